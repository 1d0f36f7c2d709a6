"""What the caller of `init` says: each value is checked before it becomes part of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.model.plan import NAME_PATTERN

CLOUDS = {"huaweicloud": "eu-west-101", "otc": "eu-de", "simulator": "eu-west-101"}
"""Cloud -> the region that is assumed where none is given."""

NO_COMMIT = "0" * 40
NO_SOURCE = f"FILL_IN/reboot-runner@{NO_COMMIT}"
"""Stands where `--workflows` was not given. GitHub knows no such account (names have no `_`) and no such commit."""

NO_RELEASE = f"reboot-runner==0.0.0 --hash=sha256:{'0' * 64}"
"""Stands where `--release` was not given. No file has this hash, so nothing is installed."""

NO_OWNERS = ("@FILL_IN/reboot-reviewers",)
"""Stands where `--owners` was not given. GitHub marks the line as wrong: no such team."""

_SOURCE = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9_-]{0,38}))/([A-Za-z0-9._-]{1,100})@([0-9a-f]{40})")
_RELEASE = re.compile(r"reboot-runner==[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)? --hash=sha256:([0-9a-f]{64})")
_OWNER = re.compile(
    r"@[A-Za-z0-9][A-Za-z0-9_-]{0,63}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?|[\w.+-]{1,64}@[A-Za-z0-9.-]{1,190}"
)
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Source:
    """A repository on GitHub at one commit: where the reusable workflows and the hook come from."""

    repository: str
    commit: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a starter repository is to hold. None: not said, a placeholder stands there that can do nothing."""

    target: str = "prod"
    cloud: str = "huaweicloud"
    region: str | None = None
    release: str | None = None
    source: Source | None = None
    owners: tuple[str, ...] = ()
    github: bool = True


def name(text: str) -> str:
    """A target's or a region's name: 1 to 63 of a-z, 0-9 and `-`. Raises ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError("1 to 63 of a-z, 0-9 and -, for example eu-west-101")
    return text


def source(text: str) -> Source:
    """`OWNER/NAME@SHA` with a full commit: a tag or a branch can be moved. Raises ValueError."""
    found = _SOURCE.fullmatch(text)
    if found is None or found[2] in (".", "..") or found[3] == NO_COMMIT:
        raise ValueError("write OWNER/NAME@SHA with all 40 digits of the commit")
    return Source(f"{found[1]}/{found[2]}", found[3])


def release(text: str) -> str:
    """`reboot-runner==VERSION --hash=sha256:…`, one line of pip's own format. Raises ValueError."""
    found = _RELEASE.fullmatch(text)
    if found is None or found[1] == "0" * 64:
        raise ValueError("write reboot-runner==VERSION --hash=sha256:HASH with all 64 digits of the wheel's hash")
    return text


def owners(text: str) -> tuple[str, ...]:
    """Users, teams or mail addresses as CODEOWNERS names them, separated by blanks or commas. Raises ValueError."""
    found = tuple(text.replace(",", " ").split())
    if not found or not all(_OWNER.fullmatch(one) for one in found):
        raise ValueError("write @user, @organisation/team or an address; several separated by commas")
    return found
