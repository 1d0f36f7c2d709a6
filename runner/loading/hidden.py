"""Hidden characters in what people wrote: refused wherever they stand, before and after
YAML and templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.loading.files import is_server_id
from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, Span, walk
from runner.loading.source import Source
from runner.model.hidden import described, is_blank
from runner.model.patterns import ID_PATTERN

_SELECTORS = frozenset({"servers", "exclude", "forbidden"})
"""Keys whose mappings select servers, in plans, policies and configurations."""

_WORDS = frozenset({"names", "tags", "zones", "flavors", "server_groups", "enterprise_projects"})
"""Keys of a selector whose values are compared, character by character, with what the cloud says.
"""


def note_hidden(
    char: str, span: Span, findings: Findings, *, what: str = "", item: str | None = None
) -> None:
    """Note a hidden character, where it stands in the file if it can be found there. `what`
    holds it.
    """
    message, hint = said_of_hidden(char)
    place = place_of(char, span, findings.source)
    findings.add("ControlCharacter", f"{what}{message}", place, hint=hint, item=item)
    findings.cover(span)


def said_of_hidden(char: str) -> tuple[str, str]:
    """Return the sentence about a hidden character, and what to do."""
    if is_blank(char):
        return (
            f"character {described(char)} looks like a space and is not allowed here",
            "write an ordinary space",
        )
    return (
        f"character {described(char)} cannot be seen and is not allowed",
        "remove it; text that was copied from a web page or a chat can hold it",
    )


def place_of(char: str, span: Span, source: Source) -> Span:
    """Return the place of the first such character inside `span`; `span` itself where it is
    written as an escape.
    """
    if not span.line <= span.end_line <= len(source.lines):
        return span
    for line in range(span.line, span.end_line + 1):
        start = span.column - 1 if line == span.line else 0
        end = span.end_column - 1 if line == span.end_line else None
        found = source.lines[line - 1].find(char, start, end)
        if found >= 0:
            return Span(line, found + 1, line, found + 2)
    return span


def check_words(root: MapNode, findings: Findings) -> None:
    """Note what selectors compare and people cannot see: line breaks and tabs, and blanks
    at the ends.
    """
    for selector, item in _selectors(root, None):
        for key, value in selector.entries:
            for text, span in _words(value) if key.text in _WORDS else ():
                _check_word(key.text, text, span, item, findings)
            if key.text == "ids":
                _check_ids(list(_words(value)), item, findings)


def _check_word(key: str, text: str, span: Span, item: str | None, findings: Findings) -> None:
    char = next(
        (char for char in text if char in "\t\n\r"), None
    )  # others were refused where they were read
    if char is not None:
        note_hidden(char, span, findings, what=f"{key}: ", item=item)
    elif text != text.strip():
        message = (
            f"{key}: a blank at the end of a word counts: it matches only a server that has it too"
        )
        findings.add(
            "BlankAtEnd", message, span, hint="remove the blank", severity="warning", item=item
        )


def _check_ids(ids: list[tuple[str, Span]], item: str | None, findings: Findings) -> None:
    """The cloud refuses other ids than UUIDs (error `Ecs.0005`), and none of its servers has one.

    One warning for a list, at the first; what cannot be an id at all is an error of the model.
    """
    odd = [span for text, span in ids if re.match(ID_PATTERN, text) and not is_server_id(text)]
    if odd:
        message = (
            f"ids: {len(odd)} of {len(ids)} are no UUIDs, as the ids of servers are, so "
            f"they match no server"
        )
        hint = "copy ids from the console; to choose servers by name, use names"
        findings.add("NotAnId", message, odd[0], hint=hint, severity="warning", item=item)


def _selectors(node: Node, item: str | None) -> Iterator[tuple[MapNode, str | None]]:
    """Every selector below a node, with the `for_each` item of its group. Depth is bounded
    by the reader.
    """
    if isinstance(node, ListNode):
        for child in node.items:
            yield from _selectors(child, item)
    elif isinstance(node, MapNode):
        item = node.item or item
        for key, value in node.entries:
            if key.text in _SELECTORS and isinstance(value, MapNode):
                yield value, item
            elif key.text != "vars":
                yield from _selectors(value, item)


def _words(value: Node) -> Iterator[tuple[str, Span]]:
    """Texts of a value, and the keys of tags. What is broken is reported already."""
    for node in walk(value):
        if isinstance(node, Scalar) and isinstance(node.value, str) and not node.broken:
            yield node.value, node.span
        elif isinstance(node, MapNode):
            yield from ((key.text, key.span) for key, _ in node.entries)
