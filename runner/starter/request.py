"""What the caller of `init` asks for: each value is checked before it becomes part of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner import REPOSITORY, __version__
from runner.model.clouds import CLOUDS
from runner.model.patterns import NAME_PATTERN

_SOURCE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9_-]{0,38}/[A-Za-z0-9._-]{1,100})(?:@([0-9a-f]{40}|v[0-9]+(?:\.[0-9]+)*))?"
)
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_USUAL = ("main", "master")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWNER = re.compile(
    r"@[A-Za-z0-9][A-Za-z0-9_-]{0,63}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?|[\w.+-]{1,64}@[A-Za-z0-9.-]{1,190}"
)
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class ActionSource:
    """A repository on GitHub, and the tag or the full commit that workflows and the
    hook use of it.
    """

    repository: str = REPOSITORY
    revision: str = f"v{__version__}"

    @property
    def is_commit(self) -> bool:
        return _COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True, slots=True)
class StarterRequest:
    """What a starter repository holds.

    `region` None: that of `CLOUDS`. `owners` empty: no CODEOWNERS file. `branch`: the
    default branch, where known.
    """

    target: str = "prod"
    cloud: str = next(iter(CLOUDS))
    region: str | None = None
    source: ActionSource = ActionSource()
    owners: tuple[str, ...] = ()
    github: bool = True
    hardened: bool = False
    branch: str | None = None

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches whose pushes start a run: the default branch, or the names that one
        usually has.
        """
        if self.branch is None or self.branch in _USUAL or not _BRANCH.fullmatch(self.branch):
            return _USUAL
        return (self.branch,)


def name(text: str) -> str:
    """Return the name of a target or a region: 1 to 63 of a-z, 0-9 and `-`. Raises ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError("1 to 63 of a-z, 0-9 and -, for example eu-west-101")
    return text


def source(text: str) -> ActionSource:
    """Read `OWNER/NAME`, `OWNER/NAME@v1.2.3` or `OWNER/NAME@SHA` with a full commit. Raises
    ValueError.
    """
    found = _SOURCE.fullmatch(text)
    if found is None or found[1].endswith(("/.", "/..")) or found[2] == "0" * 40:
        raise ValueError(
            "write OWNER/NAME, OWNER/NAME@v1.2.3 or OWNER/NAME@SHA with all 40 digits of the commit"
        )
    return ActionSource(found[1], found[2] or ActionSource().revision)


def owners(text: str) -> tuple[str, ...]:
    """Read users, teams or mail addresses of CODEOWNERS, separated by blanks or commas.
    Raises ValueError.
    """
    found = tuple(text.replace(",", " ").split())
    if not found or not all(_OWNER.fullmatch(one) for one in found):
        raise ValueError(
            "write @user, @organisation/team or an address; several separated by commas"
        )
    return found
