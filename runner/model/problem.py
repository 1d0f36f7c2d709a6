"""A problem is a value: found first, collected, sorted, and only then shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. `line` and `column` count from 1; `column` counts characters,
    not bytes.
    """

    file: str
    line: int = 1
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and how to mend it.

    `code` is stable and CamelCase (`UnknownKey`). `excerpt` is the source line at
    `location`, empty where it must not be shown (files that a plan names). `path` leads to
    the place in the plan as keys and indices (`("groups", 0, "servers")`) for problems
    found after loading: whoever has the positions makes it a location. `message` and `hint`
    may hold text from the file: whoever renders a problem escapes it for its channel.
    """

    code: str
    message: str
    location: Location | None = None
    hint: str | None = None
    excerpt: str = ""
    severity: Severity = "error"
    path: tuple[str | int, ...] = ()

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """File, line, column, then code and message: the order in which people read problems."""
        where = self.location or Location("")
        return (where.file, where.line, where.column, self.code, self.message)
