"""What reports are made of, without a form: a document of sections with lines, facts, tables
and pictures.

Builders put text into it as it was written or received. The renderers make it harmless,
each for its channel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from runner.report.chart import Chart


@dataclass(frozen=True, slots=True)
class Emphasis:
    """Text that stands out: `style` is `b`, `code`, `br`, a class of the HTML page or nothing.

    `limit`: its most characters.
    """

    text: str
    style: str = "b"
    limit: int | None = None


BREAK = Emphasis("", "br")
"""Begins another line."""

Inline: TypeAlias = "str | int | datetime | timedelta | Emphasis | tuple[Inline, ...] | None"
"""What stands in a line or a cell. Numbers and lengths of time stand to the right in tables."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list, and the servers that it is about, folded. `level`: how far it is set in."""

    words: Inline
    names: Sequence[str] = ()
    level: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its name is a class of the HTML page.

    `extra` names the columns, and `brief` are lines instead of all rows, for forms that
    have little room. `right` names columns of texts that are aligned like numbers.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Inline]]
    extra: Collection[str] = ()
    brief: Sequence[Line] = ()
    is_searchable: bool = False
    right: Collection[str] = ()

    def is_right(self, column: int) -> bool:
        """Return True for a column of numbers or lengths."""
        return self.columns[column] in self.right or any(
            isinstance(row[column], int | timedelta) for row in self.rows
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, for forms that show pictures; `legend`: classes with their words."""

    legend: Mapping[str, str]
    draw: Callable[[], Chart]


@dataclass(frozen=True, slots=True)
class Section:
    """A part that is left out where it is empty, and can be folded. `about` explains the title.

    `share`: the most of the room left that it may take. `in_full`: only for forms that have
    room for everything.
    """

    title: str
    body: Table | Figure | Mapping[str, Inline] | list[Line]
    about: str = ""
    intro: Sequence[Line] = ()
    is_open: bool = True
    share: float = 1.0
    in_full: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. What stands before the sections is never cut. `tone`: `good`, `open`
    or `bad`.
    """

    name: str
    title: Inline
    total: str
    tone: str
    notes: Sequence[Inline]
    facts: Mapping[str, Inline]
    sections: Sequence[Section]
