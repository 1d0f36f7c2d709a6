"""Readers of what the reports write, as strict as their users are."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any, TypeVar

T = TypeVar("T")

VOID = {"meta", "br", "input"}
"""Tags without an end tag in our page; SVG's lines are written with `/>`."""


class Page(HTMLParser):
    """An HTML document as a browser would take it apart: its tags, attributes, text; it
    must be well nested.
    """

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()
        self.values: list[str] = []
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(document)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.values += [value or "" for _, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> out of turn"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("style", "script"):
            self.raw[self._open[-1]] = self.raw.get(self._open[-1], "") + data
        else:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data!r}")

    @property
    def text(self) -> str:
        return "".join(self.texts)


def demand_harmless_lines(text: str) -> None:
    """No line is a command of a CI system, and nothing moves a terminal's cursor or its
    direction.
    """
    for line in re.split("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", text):
        assert not line.lstrip().startswith("::"), line
        assert "##[" not in line, line
    odd = {
        c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }
    assert not odd, odd
    text.encode()


def with_text(value: T, change: Callable[[str], str]) -> T:
    """The same nested data with every string of it changed."""
    made: Any = value
    if isinstance(made, str):
        made = change(made) if type(made) is str else made  # words of an enumeration stay
    elif isinstance(value, tuple):
        made = tuple(with_text(v, change) for v in value)
    elif isinstance(value, dict):
        made = {with_text(k, change): with_text(v, change) for k, v in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(
            value, **{f.name: with_text(getattr(value, f.name), change) for f in fields(value)}
        )
    result: T = made
    return result
