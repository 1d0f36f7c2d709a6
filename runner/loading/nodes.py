"""YAML as a tree that remembers where each key and value was written. Frozen, like
everything read from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Plain: TypeAlias = str | int | float | bool | None


class Span(NamedTuple):
    """From a place in the file to another. Lines and columns count from 1, columns in
    characters.
    """

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1


class Key(NamedTuple):
    """A key of a mapping: always text, as it is written (`010` and `true` too)."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `raw` is the text before YAML gave it a type.

    `templated`: the value is the native result of one `{{ }}`. `broken`: a problem of it is
    already reported, and its value means nothing.
    """

    value: Plain
    span: Span
    raw: str = ""
    quoted: bool = False
    templated: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping with its keys in order. `item` is set on a group that came out of a
    `for_each`, for messages.
    """

    entries: tuple[tuple[Key, Node], ...]
    span: Span
    item: str | None = None

    def get(self, name: str) -> Node | None:
        """The value of a key, or None."""
        return next((value for key, value in self.entries if key.text == name), None)

    def key(self, name: str) -> Key | None:
        """The key as it is written, or None."""
        return next((key for key, _ in self.entries if key.text == name), None)

    def without(self, names: Iterable[str]) -> MapNode:
        """The same mapping without some keys."""
        gone = set(names)
        return MapNode(
            tuple(e for e in self.entries if e[0].text not in gone), self.span, self.item
        )


Node: TypeAlias = Scalar | ListNode | MapNode


class NodePlace(NamedTuple):
    """What a path leads to: the node (or its nearest ancestor), the last key on the way,
    the `for_each` item.
    """

    node: Node
    key: Key | None
    item: str | None
    exact: bool


def to_data(node: Node) -> Any:
    """The tree as dicts, lists and scalars. Depth is bounded by the reader, so
    recursion is safe.
    """
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [to_data(item) for item in node.items]
    return {key.text: to_data(value) for key, value in node.entries}


def from_data(value: Any, span: Span) -> Node:
    """A tree of plain data that all stands at one place: the result of a template."""
    if isinstance(value, dict):
        return MapNode(
            tuple((Key(str(k), span), from_data(v, span)) for k, v in value.items()), span
        )
    if isinstance(value, list | tuple):
        return ListNode(tuple(from_data(v, span) for v in value), span)
    return Scalar(
        value, span, raw=value if isinstance(value, str) else _written(value), templated=True
    )


def locate(root: Node, path: Sequence[str | int]) -> NodePlace:
    """Follow `path`; a part that is no child is skipped (unions and wrappers add such parts
    to pydantic's paths).
    """
    node, key, item, exact = root, None, None, True
    for part in path:
        child: Node | None = None
        exact = False
        if isinstance(node, MapNode):
            item = node.item or item
            child = node.get(str(part))
            key = node.key(str(part)) or key
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            child = node.items[part]
        if child is not None:
            node, exact = child, True
    if isinstance(node, MapNode):
        item = node.item or item
    return NodePlace(node, key, item, exact)


def walk(root: Node) -> Iterator[Node]:
    """Every node, the root first, in the order of the file. Not recursive."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ListNode):
            stack.extend(reversed(node.items))
        elif isinstance(node, MapNode):
            stack.extend(value for _, value in reversed(node.entries))


def _written(value: Plain) -> str:
    """A native value as YAML writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
