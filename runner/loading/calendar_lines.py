"""The content lines of iCalendar files (RFC 5545 section 3.1), with the numbers of the
lines they begin at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LINE = re.compile(r'([A-Za-z0-9_-]++)((?:;[^:;="]++=(?:"[^"]*+"|[^";:]++)*+)*+):(.*)', re.DOTALL)
_PARAMETER = re.compile(r';([^=;:"]++)=((?:"[^"]*+"|[^";]++)*+)')
_HIDES = re.compile("[\x00\r]")
"""What some programs take for the end of a line or of the text, so that they read other
lines than these.
"""

_OWN_LINE = re.compile(
    rb"[ \t]*+(?:(BEGIN|END):[A-Z-]++[ \t]*+$"
    rb"|(?:DTSTART|DTEND|DURATION|RRULE|RDATE|EXDATE|EXRULE|RECURRENCE-ID|UID|SEQUENCE|STATUS|TZID)[;:])",
    re.IGNORECASE,
)
"""What is a line of its own, although a blank before it makes it continue the line before."""
_SHORTEST_FOLD = 60
"""Bytes from which on a line can be one that a program has folded: they fold at 75 (RFC 5545
section 3.1) or a few before it.
"""

EXPORT = (
    "export the calendar again: in Outlook File > Save Calendar, in Thunderbird Events and "
    "Tasks > Export"
)


class BadCalendar(Exception):
    """A calendar cannot be used. `line` is its line, None for the whole file; nothing of
    the file is quoted.
    """

    def __init__(self, line: int | None, what: str, hint: str = EXPORT) -> None:
        super().__init__(what if line is None else f"line {line}: {what}")
        self.line = line
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ContentLine:
    """A property: its name in upper case, its parameters as they are written, its value."""

    number: int
    name: str
    written: str
    value: str

    def parameters(self) -> Mapping[str, str]:
        """Return the parameters by upper-case name, quotes removed. Raises BadCalendar for
        one that is there twice.
        """
        found: dict[str, str] = {}
        for match in _PARAMETER.finditer(self.written):
            name = match[1].upper()
            if name in found:
                raise BadCalendar(self.number, f"{self.name} has a parameter twice")
            found[name] = match[2].strip('"')
        return found


def content_lines(data: bytes) -> Iterator[ContentLine]:
    """Yield the lines of a file. Raises BadCalendar for text that is no content line.

    Lines end in LF or CRLF. A line that begins with a blank continues the one before it;
    this is undone in bytes, because some programs fold inside a character.
    """
    for number, line in _unfolded(data.removeprefix(b"\xef\xbb\xbf")):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise BadCalendar(number, "the text is not UTF-8") from None
        match = _LINE.fullmatch(text)
        if match is None:
            raise BadCalendar(number, "this is not a line of an iCalendar file (NAME:VALUE)")
        if _HIDES.search(text):
            raise BadCalendar(number, "the line holds a carriage return or a zero byte")
        yield ContentLine(number, match[1].upper(), match[2], match[3])


def _unfolded(data: bytes) -> Iterator[tuple[int, bytes]]:
    begun, parts, size = 1, [b""], 0
    for number, line in enumerate(data.split(b"\n"), 1):
        line = line.rstrip(b"\r")
        before, size = size, len(line)
        if line[:1] in (b" ", b"\t"):
            own = _OWN_LINE.match(line)
            if own is not None and (own[1] or before < _SHORTEST_FOLD):
                what = "the blank at the beginning of this line makes it a part of the line before"
                raise BadCalendar(
                    number, what, f"remove the blanks at the beginning of the lines, or {EXPORT}"
                )
            parts.append(line[1:])
            continue
        if whole := b"".join(parts).strip():
            yield begun, whole
        begun, parts = number, [line]
    if whole := b"".join(parts).strip():
        yield begun, whole
