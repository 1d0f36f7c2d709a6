"""What a step of a GitHub job writes for its runner: commands in its output, its outputs, and
its summary.

Commands are printed in GitHub Actions only, at the start of a line: whoever printed before
them has ended its line. The summary is a page of Markdown that grows while the job runs.
GitHub shows it when the step has ended; of more than 1 MiB it shows nothing, so it is kept
below 900 kB.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from runner.github.api import GitHubError
from runner.inputs.files import open_regular
from runner.net.secret import Secret
from runner.report.safe import command_data, plain


def in_actions(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of a GitHub job."""
    return environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def stop_commands(environ: Mapping[str, str], stream: TextIO | None = None) -> Iterator[None]:
    """What the block prints on the stream (stdout) is text to the runner, whatever it looks like.

    Commands work again after the block, also when it raises. The word that ends it is 128 random
    bits. The runner reads stdout and stderr apart, so text on the other stream is not covered for
    sure.
    """
    if not in_actions(environ):
        yield
        return
    _STOPPED.append(_stop(stream))
    try:
        yield
    finally:
        # On a line of its own even if the block has left one open: glued to it, the word
        # would be text.
        _say(stream, f"\n::{_STOPPED.pop()}::\n")


def _stop(stream: TextIO | None) -> str:
    token = secrets.token_hex(16)
    _say(stream, f"::stop-commands::{token}\n")
    return token


_STOPPED: list[str] = []
"""The words that end the blocks of this process, the innermost last."""


def add_mask(environ: Mapping[str, str], secret: Secret, stream: TextIO | None = None) -> None:
    """The runner shows `***` for the secret in all later output. Call it before anything can print
    the secret.

    Printed on stderr, for GitHub's runner only, which takes the line out of the log, and never to a
    file: anywhere else it would be the leak. In a block of `stop_commands` on the same stream
    commands work again for this line.
    """
    out = stream or sys.stderr
    if in_actions(environ) and secret and not _is_file(out):
        _command(out, f"::add-mask::{command_data(secret.reveal())}\n")


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def group(environ: Mapping[str, str], title: str, stream: TextIO | None = None) -> Iterator[None]:
    """The block's output can be folded away in the log under the title. Groups do not nest.

    In a block of `stop_commands` on the same stream commands work again for these lines.
    """
    if not in_actions(environ):
        yield
        return
    _command(stream, f"::group::{command_data(plain(title, 200))}\n")
    try:
        yield
    finally:
        _command(stream, "::endgroup::\n")


def _command(stream: TextIO | None, line: str) -> None:
    """A command of ours: commands that are stopped work again for this line."""
    if _STOPPED:
        _say(stream, f"\n::{_STOPPED[-1]}::\n")
    _say(stream, line)
    if _STOPPED:
        _STOPPED[-1] = _stop(stream)


def _say(stream: TextIO | None, text: str) -> None:
    out = stream or sys.stdout
    out.write(text)
    out.flush()


Value = str | int | bool | Sequence[str] | Sequence[int] | Mapping[str, str] | None

OUTPUTS = {
    "result": "the exit code as a word",
    "exit-code": "the exit code",
    "failure-reason": "why it failed, as a fixed word; empty where it did not",
    "plans": "JSON list of the plans' files",
    "schedule-digests": "JSON object: plan's file to its schedule's digest",
    "run-ids": "JSON list of the runs",
    "report-dir": "the folder with the reports",
    "due": "when a suspended run wants to go on, ISO 8601 in UTC; or empty",
    "comment-ids": "JSON list of the pull request's comments",
    "follow-up": "true where a suspended run is due soon",
}
"""Every output that the action has, and what it tells."""

MOST_OUTPUTS = 400_000
"""Bytes of all outputs of a call. A job has 1 MB, counted in UTF-16: ASCII counts double there."""


def write_outputs(environ: Mapping[str, str], values: Mapping[str, Value]) -> None:
    """Append the outputs to `$GITHUB_OUTPUT`; nothing without it.

    Text stays as it is, None is empty, everything else becomes JSON. No value can set another
    output: each ends at a random word that is not in it. Raises GitHubError, before anything is
    written, for more than MOST_OUTPUTS, and where the file cannot be written; KeyError for a name
    that is not in OUTPUTS.
    """
    written = environ.get("GITHUB_OUTPUT")
    if not written:
        return
    entries = b"".join(_entry(name, value) for name, value in values.items())
    if len(entries) > MOST_OUTPUTS:
        raise GitHubError(
            f"the outputs are larger than {MOST_OUTPUTS:,} bytes", hint="name fewer plans at once"
        )
    try:
        with Path(written).open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
            file.write((b"" if file.read(1) in (b"", b"\n") else b"\n") + entries)
    except OSError as error:
        raise GitHubError(f"GITHUB_OUTPUT cannot be written: {error.strerror}") from None


def _entry(name: str, value: Value) -> bytes:
    if name not in OUTPUTS:
        raise KeyError(name)
    text = json.dumps(value, separators=(",", ":"))  # `true`, `false`, numbers, lists, objects
    if value is None or isinstance(value, str):
        text = value or ""
    delimiter = secrets.token_hex(16)
    while delimiter in text:
        delimiter = secrets.token_hex(16)
    return f"{name}<<{delimiter}\n{text}\n{delimiter}\n".encode(errors="replace")


LIMIT = 900_000
"""Bytes of the whole file."""
HEAD = 4_000
"""Bytes that every section shown has for itself: its heading and totals."""
_CUT = (
    "\n… cut here: there is no room for more in a step summary. The whole text is in the "
    "reports and on the log.\n\n"
)
_ROOM = 500
"""Kept free of each section for saying that it was cut, and for what is left open there;
and once for `_MORE`.
"""
_FOLD = re.compile(r"<(/?)details\b[^<>]*>")


class StepSummary:
    """The sections of one process, below what was in the file when it began. Does nothing
    without the variable.
    """

    def __init__(self, environ: Mapping[str, str], limit: int = LIMIT) -> None:
        written = environ.get("GITHUB_STEP_SUMMARY")
        self._path = Path(written) if written else None
        self._limit = limit
        self._front: bytes | None = None
        self._sections: dict[str, str] = {}

    def set(self, key: str, markdown: str) -> None:
        """Put the section there, or in the place it had before, and write the whole file anew.

        Raises GitHubError where the file cannot be written; callers turn it into a warning.
        The section is kept then too, and is written with the next one.
        """
        self._sections[key] = markdown
        if self._path is None:
            return
        try:
            if self._front is None:
                self._front = _front(self._path, self._limit)
            room = self._limit - len(self._front)
            _rewrite(
                self._path,
                self._front
                + laid_out(list(self._sections.values()), room).encode(errors="replace"),
            )
        except OSError as error:
            raise GitHubError(
                f"the step summary cannot be written: {error.strerror}",
                hint="the reports and the log have it all",
            ) from None


def laid_out(sections: Sequence[str], limit: int) -> str:
    """The sections below each other in at most `limit` bytes of UTF-8.

    Each has an equal share; what one does not need, the others get. None has less than
    HEAD: where there are too many for that, the last are left out, and their number is
    said. Cuts are between lines and say so.
    """
    shown = min(len(sections), max(0, (limit - _ROOM) // (HEAD + _ROOM)))
    whole = [
        section.rstrip("\n") + "\n\n" for section in sections[:shown]
    ]  # the next heading begins a paragraph
    shares = _shares([len(s.encode(errors="replace")) for s in whole], limit - _ROOM)
    out = [_cut(section, share) for section, share in zip(whole, shares, strict=True)]
    if shown < len(sections) and limit >= _ROOM:
        out.append(f"… and {len(sections) - shown} more, not shown for lack of space.\n")
    return "".join(out)


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    """How much each of these sizes gets: all it needs, or as much as every other one that
    needs more.
    """
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
