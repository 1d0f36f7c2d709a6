"""Errors of ours, each with its exit code.

RunnerError (1)
├── InvalidInput (3)        a plan, a configuration or a schedule is wrong: holds all problems
├── Stale (6)               the schedule is not what was reviewed
├── Held (7)                another runner holds the run, or everything is halted
├── UsageProblem (64)       the command was called wrongly
├── CloudError (1)          the cloud cannot be reached or answers what we do not understand
│   ├── CloudDenied (77)    credentials or permission
│   └── NoProject (1)       the project of a target cannot be told
└── StoreError (1)          the store cannot be read or written
    ├── BadStoreUrl (3)     the store's URL is none that can be used
    └── LeaseLost (7)       somebody else has taken the run over: stop at once
"""

from __future__ import annotations

from collections.abc import Iterable

from runner.model.problem import Problem


class Exit:
    """The exit codes, as documented for users."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    INVALID = 3
    INCOMPLETE = 4
    STOPPED = 5
    STALE = 6
    HELD = 7
    USAGE = 64
    SUSPENDED = 75
    DENIED = 77
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_WORDS = {
    Exit.DONE: "done",
    Exit.ERROR: "error",
    Exit.CHANGES: "changes",
    Exit.INVALID: "invalid",
    Exit.INCOMPLETE: "incomplete",
    Exit.STOPPED: "stopped",
    Exit.STALE: "stale",
    Exit.HELD: "held",
    Exit.USAGE: "usage",
    Exit.SUSPENDED: "suspended",
    Exit.DENIED: "denied",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "terminated",
}
"""The same codes as words, for JSON and for the outputs of a CI job."""


class RunnerError(Exception):
    """Anything we raise on purpose. `hint` says how to mend it, in a sentence a person
    can follow.
    """

    exit_code = Exit.ERROR

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(RunnerError):
    """A plan, a configuration or a schedule is wrong. Holds every problem found, not just
    the first.
    """

    exit_code = Exit.INVALID

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: p.sort_key))
        count = sum(1 for p in self.problems if p.severity == "error")
        super().__init__(f"{count} problem{'s' if count != 1 else ''}")


class Stale(RunnerError):
    """The schedule differs from what was reviewed: `differences`, a sentence each."""

    exit_code = Exit.STALE

    def __init__(
        self, message: str, *, hint: str | None = None, differences: Iterable[str] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.differences = tuple(differences)


class Held(RunnerError):
    """Another runner holds the run, or all runs are halted."""

    exit_code = Exit.HELD


class UsageProblem(RunnerError):
    """The command line was wrong in a way click cannot see."""

    exit_code = Exit.USAGE


class CloudError(RunnerError):
    """The cloud cannot be reached, or its answer cannot be used. `code` is its error code
    where it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status
        self.request_id = request_id

    def name_target(self, name: str) -> None:
        """Say in the message which target this is about."""
        self.message = f"target {name}: {self.message}"
        self.args = (self.message,)


class CloudDenied(CloudError):
    """Credentials are missing or wrong, or a permission is missing."""

    exit_code = Exit.DENIED


class NoProject(CloudError):
    """The cloud knows no project of the region's name, or several."""


class OtherProject(CloudDenied):
    """The credentials are good, and belong to another project than the target names."""


class StoreError(RunnerError):
    """The store cannot be read or written."""


class BadStoreUrl(StoreError):
    """The store's URL is none that can be used."""

    exit_code = Exit.INVALID


class LeaseLost(StoreError):
    """The lease on a run is gone: somebody else goes on with it. Nothing more may be sent."""

    exit_code = Exit.HELD
