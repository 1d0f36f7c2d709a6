"""Files that a plan or a configuration names: relative, regular, inside the repository. Nothing in them is quoted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from runner.loading.source import Unreadable, read_regular
from runner.model.plan import ID_PATTERN, MAX_IDS

MAX_ID_BYTES = 16 << 20

_ID = re.compile(ID_PATTERN)

FileReader: TypeAlias = Callable[[str], bytes]
"""Gives the bytes of a file named relative to the plan. Raises Unreadable."""


def git_root(start: Path) -> Path | None:
    """The nearest folder from `start` upwards that holds `.git` (a folder, or the file of a worktree)."""
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return None


def check_inside(path: Path, root: Path) -> Path:
    """The path with its links resolved, when it lies in `root` and not in `.git`. Raises Unreadable.

    A path that leads out is refused before it is known whether it exists: nobody can ask us what this machine holds.
    """
    try:
        real, base = path.resolve(), root.resolve()
    except (OSError, RuntimeError, ValueError):
        raise Unreadable("Unreadable", "cannot be read: its links lead nowhere") from None
    if not real.is_relative_to(base) or ".git" in real.relative_to(base).parts:
        raise Unreadable("OutsideRepository", "is outside the repository (or in .git)", "keep it beside the plan")
    return real


def reader_beside(folder: Path, root: Path | None) -> FileReader:
    """Reads files beside a plan, inside `root` (or inside `folder` where there is no repository)."""

    def read(name: str) -> bytes:
        if Path(name).is_absolute() or "\0" in name:
            raise Unreadable("OutsideRepository", "must be relative to this file", "keep it beside the plan")
        return read_regular(check_inside(folder / name, root or folder), MAX_ID_BYTES)

    return read


def read_ids(data: bytes) -> tuple[tuple[str, ...], int | None]:
    """Server ids, one a line, each once, in order; blank lines and `#` comments are passed over.

    The second part is the number of the first line that is no id (counting from 1), or None.
    Raises Unreadable for other encodings, too many ids, or none.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise Unreadable("BadIdList", "holds something other than ids in ASCII") from None
    ids: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if entry and not _ID.match(entry):
            return (), number
        if entry:
            ids[entry] = None
    if not ids:
        raise Unreadable("BadIdList", "holds no id")
    if len(ids) > MAX_IDS:
        raise Unreadable("BadIdList", f"holds more than {MAX_IDS:,} ids")
    return tuple(ids), None
