"""One YAML document as a tree with positions, from the parser's events, without recursion.

Nothing is built by PyYAML's constructors: its events are read one at a time, and size,
depth and number of values are checked before a value is kept. So a file of 200,000 `[` ends
at the 65th. Duplicate keys, aliases, anchors, tags, directives and further documents are
refused.
"""

from __future__ import annotations

from typing import Any

import yaml

from runner.inputs.yaml_text import TooMuchYaml, events
from runner.loading.findings import WHOLE_FILE, Findings
from runner.loading.hidden import note_hidden
from runner.loading.nodes import Key, ListNode, MapNode, Node, Scalar, Span
from runner.loading.scalars import MAX_DIGITS, resolve
from runner.loading.source import Source
from runner.loading.syntax import (
    QUOTE_IT,
    UNQUOTED_SAID,
    note_conflict,
    note_syntax,
    pattern_at,
    quote,
)
from runner.model.hidden import hidden_in


class _TooMuchYaml(Exception):
    """The document is over a limit, or has more problems than are shown; that is already noted."""


def parse(source: Source, findings: Findings) -> Node | None:
    """The document as a tree; None when it cannot be used, and then `findings` says why.

    Duplicate keys are noted, and the first of them counts, so that the rest of the file can
    be checked as well.
    """
    if note_conflict(source, findings):
        return None
    reader = _Reader(findings)
    try:
        for event in events(source.text):
            reader.take(event)
    except _TooMuchYaml:
        return None
    except TooMuchYaml as error:
        findings.add("TooLarge", str(error), _span(error.event))
        return None
    except yaml.YAMLError as error:
        note_syntax(error, source, findings, reader.open_bracket)
        return None
    if reader.unusable:
        return None
    if reader.root is None or (isinstance(reader.root, Scalar) and reader.root.value is None):
        findings.add("Empty", "the file holds nothing", WHOLE_FILE)
        return None
    return reader.root


class _Open:
    """A list or mapping whose end has not come yet."""

    __slots__ = ("entries", "flow", "is_map", "items", "key", "seen", "start")

    def __init__(self, is_map: bool, start: Any, flow: bool) -> None:
        self.is_map = is_map
        self.flow = flow
        self.start = start
        self.items: list[Node] = []
        self.entries: list[tuple[Key, Node]] = []
        self.seen: dict[str, Span] = {}
        self.key: Key | None = None


class _Reader:
    """Builds the tree event by event."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.root: Node | None = None
        self.unusable = False
        self._stack: list[_Open] = []
        self._documents = 0

    @property
    def open_bracket(self) -> Span | None:
        """Where the innermost `[` or `{` stands that is still open."""
        open_ones = [part.start for part in self._stack if part.flow]
        return _between(open_ones[-1], open_ones[-1]) if open_ones else None

    def take(self, event: Any) -> None:
        """Go on by one event. Raises _TooMuch when a limit is passed."""
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_properties(event)
            self._attach(self._scalar(event))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._refuse_properties(event)
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._attach(self._close(event))
        elif isinstance(event, yaml.AliasEvent):
            span = _span(event)
            written = pattern_at(self.findings.source, span.line, span.column)
            message = "an unquoted * begins an alias in YAML, and aliases are not allowed"
            self.findings.add(
                "AliasNotAllowed", message, span, hint=quote(written) + "; for an alias use vars"
            )
            # mostly an unquoted pattern: the rest of the file can be checked as well
            self._stop_when_full()
            self._attach(Scalar("", _span(event), broken=True))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse(
                "SeveralDocuments", "a second document begins here", event, "one file, one document"
            )
            raise _TooMuchYaml
        if event.version or event.tags:
            self._refuse(
                "TagNotAllowed", "directives (%…) are not allowed", event, "remove the line"
            )

    def _refuse_properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(
                "AliasNotAllowed",
                "anchors (&name) are not allowed",
                event,
                "use vars, or write it out",
            )
        if event.tag is not None:
            self._refuse(
                "TagNotAllowed",
                "YAML tags (!name) are not allowed",
                event,
                "quotes are enough to make text",
            )

    def _open(self, event: Any) -> None:
        is_map = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Open(is_map, event.start_mark, bool(event.flow_style)))

    def _close(self, event: Any) -> Node:
        done = self._stack.pop()
        span = _between(done.start, event.end_mark)
        if done.is_map:
            return MapNode(tuple(done.entries), span)
        return ListNode(tuple(done.items), span)

    def _scalar(self, event: Any) -> Scalar:
        span, text = _span(event), event.value
        quoted = bool(event.style)  # None or empty for plain text, as the parser likes
        if char := hidden_in(text):
            note_hidden(char, span, self.findings)
            return Scalar("", span, text, quoted, broken=True)
        if quoted or self._is_at_key:
            return Scalar(text, span, text, quoted)
        try:
            return Scalar(resolve(text), span, text)
        except ValueError as error:
            self.findings.add("BadNumber", str(error), span, hint=_number_hint(text))
            return Scalar("", span, text, broken=True)

    @property
    def _is_at_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_map and self._stack[-1].key is None

    def _attach(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        if not parent.is_map:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = self._key(parent, node)
        else:
            self._entry(parent, parent.key, node)
            parent.key = None

    def _key(self, parent: _Open, node: Node) -> Key:
        if isinstance(node, Scalar):
            if node.raw == "<<" and not node.quoted:
                self._refuse_at(
                    "AliasNotAllowed", "merge keys (<<) are not allowed", node.span, "write it out"
                )
            elif "{{" in node.raw:
                self._refuse_at(
                    "TemplateInKey",
                    "a key cannot be a template",
                    node.span,
                    "only values are rendered",
                )
            return Key(node.raw, node.span)
        if parent.flow and isinstance(node, MapNode):
            line, column = parent.start.line + 1, parent.start.column + 1
            span = Span(line, column, line, column + 2)
            self._refuse_at("UnquotedTemplate", UNQUOTED_SAID, span, QUOTE_IT)
        elif not self._is_template(node.span):
            self._refuse_at(
                "KeyNotText", "a key must be text, not a list or a mapping", node.span, None
            )
        return Key("", node.span)

    def _is_template(self, span: Span) -> bool:
        """Whether `{{` stands here: then its inner mapping is already reported."""
        return self.findings.source.lines[span.line - 1].startswith("{{", span.column - 1)

    def _entry(self, parent: _Open, key: Key, node: Node) -> None:
        first = parent.seen.setdefault(key.text, key.span)
        if first is key.span:
            parent.entries.append((key, node))
            return
        message = f'"{_short(key.text)}" is written twice; the first is in line {first.line}'
        self.findings.add("DuplicateKey", message, key.span, hint="keep one of them")
        self._stop_when_full()

    def _refuse(self, code: str, message: str, event: Any, hint: str | None) -> None:
        self._refuse_at(code, message, _span(event), hint)

    def _refuse_at(self, code: str, message: str, span: Span, hint: str | None) -> None:
        self.unusable = True
        self.findings.add(code, message, span, hint=hint)
        self._stop_when_full()

    def _stop_when_full(self) -> None:
        if self.findings.is_full:
            raise _TooMuchYaml


def _span(event: Any) -> Span:
    return _between(event.start_mark, event.end_mark)


def _between(start: Any, end: Any) -> Span:
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _number_hint(text: str) -> str:
    plain = text.lstrip("0")
    if plain.isdecimal() and plain != text and len(text) <= MAX_DIGITS:
        return f'write {plain}, or "{text}" if it is text'
    return "write a plain number, or quote it if it is text"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
