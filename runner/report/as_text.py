"""Sections as lines of text, for terminals and logs. Nothing is cut; whoever shows the
lines wraps them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from runner.report.fitting import cells, middle
from runner.report.folding import wrapped
from runner.report.run_words import length
from runner.report.safe import line_start, plain
from runner.report.sections import Emphasis, Inline, Line, Section, Table

_LONGEST = 10_000
"""Characters of a line."""


def printed(lines: Iterable[str]) -> str:
    """The lines as one text that a terminal shows and a CI runner does not obey; no line
    break at its end.
    """
    return "\n".join(line_start(plain(line.rstrip(), _LONGEST)) for line in lines)


def sections_lines(sections: Iterable[Section]) -> Iterator[str]:
    """Yield the lines of sections: a title and each table after an empty line, what has a
    title set in.
    """
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


def table_lines(
    table: Table, width: int | None = None, narrow: Sequence[int] = ()
) -> Iterator[str]:
    """Yield the rows below their headings, each column as wide as its widest cell; empty
    columns are left out.

    If that takes more than `width` columns of the terminal, the columns `narrow` become
    narrower, down to 12.
    """
    rows = [[plain(inline(cell)) for cell in row] for row in table.rows]
    used = [n for n in range(len(table.columns)) if any(row[n] for row in rows)]
    rows = [[row[n] for n in used] for row in (list(table.columns), *rows)]
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    over = 0 if width is None else sum(widths) + 2 * (len(widths) - 1) - width
    for at in (used.index(n) for n in narrow if n in used):
        less = max(0, min(over, widths[at] - 12))
        widths[at] -= less
        over -= less
    yield from aligned(rows, widths, {at for at, n in enumerate(used) if table.is_right(n)})


def aligned(
    rows: Iterable[Sequence[str]], widths: Sequence[int], right: Collection[int] = ()
) -> Iterator[str]:
    """Yield rows with each cell in its width; longer ones are shortened in the middle.
    `right`: columns of numbers.
    """
    for row in rows:
        texts = [middle(text, width) for text, width in zip(row, widths, strict=True)]
        blanks = [" " * (width - cells(text)) for text, width in zip(texts, widths, strict=True)]
        pieces = (
            b + text if n in right else text + b
            for n, (text, b) in enumerate(zip(texts, blanks, strict=True))
        )
        yield "  ".join(pieces)


def inline(piece: Inline) -> str:
    """Return one piece of text as it is."""
    match piece:
        case None:
            return ""
        case Emphasis(text):
            return text
        case datetime():
            return f"{piece:%H:%M:%S} UTC"
        case timedelta():
            return length(piece.total_seconds())
        case tuple():
            return "".join(map(inline, piece))
        case _:
            return str(piece)
