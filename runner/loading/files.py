"""Files that a plan or a configuration names: relative, regular, inside the repository.
Nothing in them is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from runner.loading.source import Unreadable, read_regular
from runner.model.hidden import described, hidden_in
from runner.model.plan import MAX_IDS

MAX_ID_BYTES = 16 << 20
MAX_LINES = 1_000_000
MAX_BAD_LINES = 1_000
"""The reading ends there: a file of another kind is wrong in every line."""

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}")
_HEADER = re.compile(
    r"""(?i)["']?(?:(?:ecs|server|instance|resource|host)[ _-]?)?(?:ids?|uuids?|names?)["']?(?:[,;\t].*)?"""  # noqa: E501
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")

FileReader: TypeAlias = Callable[[str], bytes]
"""Gives the bytes of a file named relative to the plan. Raises Unreadable."""


def git_root(start: Path) -> Path | None:
    """The nearest folder from `start` upwards that holds `.git` (a folder, or the file of a
    worktree).
    """
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def check_inside(path: Path, root: Path) -> Path:
    """The path with its links resolved, when it lies in `root` and not in `.git`. Raises
    Unreadable.

    A path that leads out is refused before it is known whether it exists: nobody can ask
    us what this machine holds.
    """
    try:
        real, base = path.resolve(), root.resolve()
    except (OSError, RuntimeError, ValueError):
        raise Unreadable("Unreadable", "cannot be read: its links lead nowhere") from None
    if not real.is_relative_to(base) or ".git" in real.relative_to(base).parts:
        raise Unreadable(
            "OutsideRepository", "is outside the repository (or in .git)", "keep it beside the plan"
        )
    return real


def reader_beside(folder: Path, root: Path | None) -> FileReader:
    """Reads files beside a plan, inside `root` (or inside `folder` where there is no
    repository).
    """

    def read(name: str) -> bytes:
        if Path(name).is_absolute() or "\0" in name:
            raise Unreadable(
                "OutsideRepository", "must be relative to this file", "keep it beside the plan"
            )
        return read_regular(check_inside(folder / name, root or folder), MAX_ID_BYTES)

    return read


def is_server_id(text: str) -> bool:
    """Return True for the form of the cloud's ids: a UUID, with or without dashes."""
    return _UUID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a file of ids that is none. `number` counts from 1; `what` says what it
    looks like, never its text.
    """

    number: int
    what: str


def read_ids(data: bytes) -> tuple[tuple[str, ...], tuple[BadLine, ...]]:
    """Return server ids, one a line, each once, in order; blank lines and `#` comments are
    passed over.

    An id is a UUID, as the cloud makes them (page "Querying Details About ECSs"), in lower
    case. The second part are lines that are no id. Raises Unreadable for other encodings,
    too many ids, or none.
    """
    ids: dict[str, None] = {}
    bad: list[BadLine] = []
    if data.count(b"\n") > MAX_LINES:
        raise Unreadable("BadIdList", f"holds more than {MAX_LINES:,} lines")
    for number, line in enumerate(_text_of(data).split("\n"), 1):
        entry, _, comment = line.partition("#")
        entry = entry.strip(" \t\r")
        if hidden_in(comment.removesuffix("\r").replace("\t", " ")) is not None:
            bad.append(
                BadLine(
                    number,
                    _what_it_is(comment.removesuffix("\r").replace("\t", " "), is_first=False),
                )
            )
        elif is_server_id(entry):
            ids[entry.lower()] = None
        elif entry:
            bad.append(BadLine(number, _what_it_is(entry, is_first=not ids and not bad)))
        if len(ids) > MAX_IDS:
            raise Unreadable("BadIdList", f"holds more than {MAX_IDS:,} ids")
        if len(bad) >= MAX_BAD_LINES:
            break
    if not ids and not bad:
        raise Unreadable("BadIdList", "holds no id")
    return tuple(ids), tuple(bad)


def _text_of(data: bytes) -> str:
    """The text of a file of ids; a byte order mark is dropped. Raises Unreadable."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(
            "BadIdList", "is not UTF-8 but UTF-16", "save it as UTF-8, without another encoding"
        )
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(
            "BadIdList", f"is not UTF-8 text in line {line}", "save it as UTF-8"
        ) from None


def _what_it_is(entry: str, *, is_first: bool) -> str:
    """What a line looks like that is no id."""
    char = hidden_in(entry)
    if char is not None:
        return f"holds the character {described(char)}, which cannot be seen"
    if re.match(r"<{7}|={7}$|>{7}|\|{7}", entry):
        return "is a merge conflict marker"
    if is_first and _HEADER.fullmatch(entry):
        return "looks like a header"
    if re.search(r"[,;\t\"']", entry):
        return "has more than a bare id (columns, commas or quotes)"
    if _NAME.fullmatch(entry):
        return "looks like a name"
    return "is not a server id"
