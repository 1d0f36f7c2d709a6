"""Files become text here: bounded, UTF-8, without characters that hide what a reviewer
would read.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runner.inputs import files
from runner.model.hidden import described
from runner.model.problem import Location, Problem

MAX_BYTES = 1 << 20
EXCERPT = 2000
"""Characters of a line that a message can show."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]|\r(?!\n)"
)
"""What is refused anywhere in a file, comments included: control characters, line breaks that
editors do not show as such, and marks that reverse the reading order. Values are checked
for more (`runner.model.hidden`).
"""

_SECRET = re.compile(
    r"""(?ix) ://[^/@\s]*:[^/@\s]*@ | \b\w*(passw|secret|token|credential|private_?key|access_?key|api_?key)\w*["']?\s*:
    | (?<!\w)(ak|sk)["']?\s*:"""  # noqa: E501
)


@dataclass(frozen=True)
class Source:
    """A text file as people see it. `name` is what messages call it, `digest` is of its bytes."""

    name: str
    text: str
    digest: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends. Only LF and CRLF end a line: other breaks are refused."""
        return [line.removesuffix("\r") for line in self.text.split("\n")]

    def excerpt(self, line: int) -> str:
        """The source line for a message (counting from 1); empty where it may hold a credential."""
        if not 1 <= line <= len(self.lines):
            return ""
        text = self.lines[line - 1]
        shown = text[:EXCERPT]
        # Only what is shown is searched: the patterns take quadratic time. A cut may fall
        # inside of `://user:password@`.
        end = "@" if len(text) > EXCERPT else ""
        return "" if _SECRET.search(shown + end) else shown


class Unreadable(Exception):
    """A file cannot be used. Becomes a problem at once; never leaves this package."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes. Raises Unreadable."""
    try:
        return files.read_regular(path, limit)
    except OSError as error:
        code = "TooLarge" if isinstance(error, files.TooLarge) else "Unreadable"
        raise Unreadable(code, files.describe(error)) from None


def decode(data: bytes, name: str) -> tuple[Source | None, tuple[Problem, ...]]:
    """Bytes as a source, or the problem that stops it from being one. A UTF-8 byte order
    mark is dropped.
    """
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        where = _place(name, before, len(before))
        return None, (
            Problem(
                "NotUtf8",
                "the file is not UTF-8 text",
                where,
                hint="save it as UTF-8, without another encoding",
            ),
        )
    text = text.removeprefix("\ufeff")
    source = Source(name, text, digest)
    found = _UNSEEN.search(text)
    if found:
        return None, (_unseen(source, found),)
    return source, ()


def read_source(path: Path, name: str) -> tuple[Source | None, tuple[Problem, ...]]:
    """A file as a source, or its problems."""
    try:
        data = read_regular(path, MAX_BYTES)
    except Unreadable as error:
        return None, (
            Problem(error.code, f"the file {error.message}", Location(name), hint=error.hint),
        )
    return decode(data, name)


def _unseen(source: Source, found: re.Match[str]) -> Problem:
    where = _place(source.name, source.text, found.start())
    return Problem(
        "ControlCharacter",
        f"character {described(found[0][0])} cannot be seen and is not allowed",
        where,
        hint="remove it; line ends are LF or CRLF, indentation is spaces, the encoding is UTF-8",
        excerpt=source.excerpt(where.line),
    )


def _place(name: str, text: str, index: int) -> Location:
    line_start = text.rfind("\n", 0, index) + 1
    return Location(name, text.count("\n", 0, index) + 1, index - line_start + 1)
