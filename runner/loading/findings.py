"""Where the problems of one file are collected: each once, in the order of the file, and
not without end.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from runner.loading.codes import CODES
from runner.loading.nodes import Span
from runner.loading.source import Source
from runner.model.problem import Location, Problem, Severity

MAX_PROBLEMS = 100
"""Errors that are shown of one file, and warnings as well: a flood of warnings hides no error."""
WHOLE_FILE = Span()
"""The place of a problem that is about no line in particular."""


@dataclass
class _Finding:
    problem: Problem
    items: list[str] = field(default_factory=list)


class Findings:
    """The problems of one source. `add` is quiet about a second finding of the same kind at
    the same place.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: dict[tuple[str, Span, str], _Finding] = {}
        self._places: set[Span] = set()
        self._kept: Counter[Severity] = Counter()
        self._left_out: set[Severity] = set()

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        hint: str | None = None,
        severity: Severity = "error",
        item: str | None = None,
    ) -> None:
        """Note a problem. `item` names the `for_each` item it was met with; the same
        problem of many items is one.
        """
        key = (code, span, message)
        found = self._found.get(key)
        if found is None:
            if self._kept[severity] >= MAX_PROBLEMS:
                self._left_out.add(severity)
                return
            if code not in CODES:
                raise KeyError(code)
            found = self._found[key] = _Finding(self._problem(code, message, span, hint, severity))
            self._kept[severity] += 1
            self._places.add(span)
        if item and item not in found.items:
            found.items.append(item)

    def cover(self, span: Span) -> None:
        """Mark a place whose problem is noted at a more exact one."""
        self._places.add(span)

    def has(self, code: str) -> bool:
        """Return True if a problem of this kind is noted."""
        return any(key[0] == code for key in self._found)

    @property
    def places(self) -> frozenset[Span]:
        """Where problems are known, so that another at exactly such a place would only be
        their consequence.
        """
        return frozenset(self._places)

    @property
    def is_full(self) -> bool:
        """Return True if more errors than are shown were found, so that a search for
        more may end.
        """
        return "error" in self._left_out

    @property
    def is_clean(self) -> bool:
        """Whether no error was found (warnings do not count)."""
        return not any(f.problem.severity == "error" for f in self._found.values())

    def problems(self) -> tuple[Problem, ...]:
        """All problems, sorted as people read them."""
        found = [_with_items(f) for f in self._found.values()]
        if self._left_out:
            last = max(p.location.line for p in found if p.location)
            message = f"there are more problems than the {len(found)} that are shown"
            severity: Severity = "error" if self.is_full else "warning"
            found.append(
                Problem(
                    "MoreProblems", message, Location(self.source.name, last), severity=severity
                )
            )
        return tuple(sorted(found, key=lambda p: p.sort_key))

    def _problem(
        self, code: str, message: str, span: Span, hint: str | None, severity: Severity
    ) -> Problem:
        where = Location(self.source.name, *span)
        excerpt = "" if span == WHOLE_FILE else self.source.excerpt(span.line)
        return Problem(code, message, where, hint, excerpt, severity)


def _with_items(found: _Finding) -> Problem:
    if not found.items:
        return found.problem
    more = f" and {len(found.items) - 1} more" if len(found.items) > 1 else ""
    p = found.problem
    return Problem(
        p.code,
        f"{p.message} (for item {found.items[0]}{more})",
        p.location,
        p.hint,
        p.excerpt,
        p.severity,
    )


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint with the known word that is nearest, or None."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean {by_lower[near[0]]}?" if near else None
