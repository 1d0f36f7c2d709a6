"""Sections as lines of text, for terminals and logs. Nothing is cut; whoever shows the lines wraps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from runner.report.fitting import cells
from runner.report.folding import wrapped
from runner.report.run_words import length
from runner.report.safe import line_start, plain
from runner.report.sections import Inline, Line, Section, Span, Table

_LONGEST = 10_000
"""Characters of a line."""


def printed(lines: Iterable[str]) -> str:
    """The lines as one text that a terminal shows and a CI runner does not obey; no line break at its end."""
    return "\n".join(line_start(plain(line.rstrip(), _LONGEST)) for line in lines)


def sections_lines(sections: Iterable[Section]) -> Iterator[str]:
    """Yield the lines of sections: a title and each table after an empty line, what has a title set in."""
    for section in sections:
        body = section.body
        if isinstance(body, Table) and body.rows:
            yield ""
            yield from table_lines(body)
        elif isinstance(body, list) and body:
            if section.title:
                yield ""
                yield section.title + (f": {section.about}" if section.about else "")
            for line in body:
                yield from item(line, 2 * line.level + 2 * bool(section.title))


def item(line: Line, indent: int = 0) -> Iterator[str]:
    """Yield the words of a line and its names; further lines of names are set in."""
    head = " " * indent + inline(line.words)
    if not line.names:
        yield head
    for n, names in enumerate(wrapped(line.names)):
        yield f"{' ' * (indent + 2)}{names}" if n else f"{head}: {names}"


def table_lines(table: Table) -> Iterator[str]:
    """Yield the rows below their headings, each column as wide as its widest cell; empty columns are left out."""
    rows = [list(table.columns), *([plain(inline(cell)) for cell in row] for row in table.rows)]
    used = [n for n in range(len(table.columns)) if any(row[n] for row in rows[1:])]
    widths = {n: max(cells(row[n]) for row in rows) for n in used}
    for row in rows:
        yield "  ".join(aligned(row[n], widths[n], is_right=table.is_right(n)) for n in used)


def aligned(text: str, width: int, *, is_right: bool = False) -> str:
    """Return the text with blanks on one side, so that it takes `width` columns."""
    blanks = " " * (width - cells(text))
    return blanks + text if is_right else text + blanks


def inline(piece: Inline) -> str:
    """Return one piece of text as it is."""
    match piece:
        case None:
            return ""
        case Span(text):
            return text
        case datetime():
            return f"{piece:%H:%M:%S} UTC"
        case timedelta():
            return length(piece.total_seconds())
        case tuple():
            return "".join(map(inline, piece))
        case _:
            return str(piece)
