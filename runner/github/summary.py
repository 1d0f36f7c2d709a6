"""The step summary: a page of Markdown that grows while the job runs.

GitHub shows it when the step has ended. More than 1 MiB and it shows nothing, so it is kept below 900 kB.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runner.github.api import GitHubError
from runner.inputs.files import open_regular

LIMIT = 900_000
"""Bytes of the whole file."""
HEAD = 4_000
"""Bytes that every section shown has for itself: its heading and totals."""
_CUT = "\n… cut here: there is no room for more in a step summary. The whole text is in the reports and on the log.\n\n"
_ROOM = 500
"""Kept free of each section for saying that it was cut, and for what is left open there; and once for `_MORE`."""
_FOLD = re.compile(r"<(/?)details\b[^<>]*>")


class StepSummary:
    """The sections of one process, below what was in the file when it began. Does nothing without the variable."""

    def __init__(self, environ: Mapping[str, str], limit: int = LIMIT) -> None:
        written = environ.get("GITHUB_STEP_SUMMARY")
        self._path = Path(written) if written else None
        self._limit = limit
        self._front: bytes | None = None
        self._sections: dict[str, str] = {}

    def set(self, key: str, markdown: str) -> None:
        """Put the section there, or in the place it had before, and write the whole file anew.

        Raises GitHubError where the file cannot be written; callers turn it into a warning. The section is kept then
        too, and is written with the next one.
        """
        self._sections[key] = markdown
        if self._path is None:
            return
        try:
            if self._front is None:
                self._front = _front(self._path, self._limit)
            room = self._limit - len(self._front)
            _rewrite(self._path, self._front + laid_out(list(self._sections.values()), room).encode(errors="replace"))
        except OSError as error:
            raise GitHubError(
                f"the step summary cannot be written: {error.strerror}", hint="the reports and the log have it all"
            ) from None


def laid_out(sections: Sequence[str], limit: int) -> str:
    """The sections below each other in at most `limit` bytes of UTF-8.

    Each has an equal share; what one does not need, the others get. None has less than HEAD: where there are too many
    for that, the last are left out, and their number is said. Cuts are between lines and say so.
    """
    shown = min(len(sections), max(0, (limit - _ROOM) // (HEAD + _ROOM)))
    whole = [section.rstrip("\n") + "\n\n" for section in sections[:shown]]  # the next heading begins a paragraph
    shares = _shares([len(s.encode(errors="replace")) for s in whole], limit - _ROOM)
    out = [_cut(section, share) for section, share in zip(whole, shares, strict=True)]
    if shown < len(sections) and limit >= _ROOM:
        out.append(f"… and {len(sections) - shown} more, not shown for lack of space.\n")
    return "".join(out)


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    """How much each of these sizes gets: all it needs, or as much as every other one that needs more."""
    shares = [0] * len(sizes)
    for done, n in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[n] = min(sizes[n], room // (len(sizes) - done))
        room -= shares[n]
    return shares


def _cut(section: str, room: int) -> str:
    """The section's first whole lines that fit, then that it was cut; nothing of it stays open."""
    if len(section.encode(errors="replace")) <= room:
        return section
    room -= _ROOM
    kept: list[str] = []
    open_folds, is_code = 0, False
    for line in section.split("\n"):
        folds = [bool(slash) for slash in _FOLD.findall(line)]
        deeper = max(0, open_folds + folds.count(False) - folds.count(True))
        room -= len(line.encode(errors="replace")) + 1
        if room < len("</details>\n") * deeper:
            break
        open_folds = deeper
        is_code ^= line.startswith("```")
        kept.append(line + "\n")
    return "".join(kept) + ("```\n" if is_code else "") + "\n</details>\n" * open_folds + _CUT


def _front(path: Path, limit: int) -> bytes:
    """What other tools have written, a blank line after it; the file may still be missing."""
    try:
        with open_regular(path) as file:
            found = file.read(limit + 1)
    except FileNotFoundError:
        return b""
    if len(found) > limit - _ROOM:
        raise OSError(0, "what is in it already leaves no room")
    return found.rstrip(b"\n") + b"\n\n" if found.strip() else b""


def _rewrite(path: Path, content: bytes) -> None:
    """Exchange the file's content at once; where its folder does not allow that, write over it."""
    path = path.resolve()
    try:
        _exchange(path, content)
    except OSError:
        path.write_bytes(content)


def _exchange(path: Path, content: bytes) -> None:
    before = path.stat()
    if not stat.S_ISREG(before.st_mode):
        raise OSError(0, "not a plain file")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".summary-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            if (os.getuid(), os.getgid()) != (before.st_uid, before.st_gid):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
