"""What can go wrong with Git on purpose.

RunnerError (1)
├── GitError (1)            the program cannot be used, or says no
│   ├── GitSlow             a call took too long and was ended
│   ├── NoRepository        there is no repository here, or no program `git`
│   ├── MissingHistory      a commit is not in this clone and cannot be fetched, or too little of the history is
│   └── NotReadable         what stands at a path of a revision is no file that we read
└── UsageProblem (64)
    ├── UnknownRevision     the caller named a revision that does not exist
    └── NoRange             the caller must name plans: nothing says what to compare
"""  # noqa: E501

from __future__ import annotations

from runner.errors import RunnerError, UsageProblem

ALL_HISTORY = (
    "check out with all history (fetch-depth: 0 of actions/checkout), or run `git "
    "fetch --unshallow`"
)


class GitError(RunnerError):
    """Git cannot be used, or refuses."""


class GitSlow(GitError):
    """A call took too long and was ended: what it did by then is not known."""


class NoRepository(GitError):
    """There is no Git repository, it may not be used, or there is no program `git`."""


class MissingHistory(GitError):
    """A commit is not in this clone and cannot be fetched, or the clone is too shallow for
    the question.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=ALL_HISTORY)


class NotReadable(GitError):
    """What stands at a path of a revision is no regular file of a reasonable size."""


class UnknownRevision(UsageProblem):
    """The caller named a revision that this repository does not have."""


class NoRange(UsageProblem):
    """Nothing says which commits to compare, so plans must be named."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, hint="name the plans, or write --changed BASE..HEAD")
