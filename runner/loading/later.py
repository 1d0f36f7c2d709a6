"""Keys of the full format that this version cannot execute: refused with their place, never ignored.

Whoever adds one of them removes its line here and adds the field to the model.
"""

from __future__ import annotations

from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node, Scalar

LATER_IN_PLANS: tuple[tuple[str, ...], ...] = (
    ("mode",),
    ("groups", "*", "mode"),
)
"""Paths to keys; `*` is every item of a list, or every key of a mapping."""

LATER_IN_CONFIG: tuple[tuple[str, ...], ...] = (("notifications",),)

LATER_IN_POLICY: tuple[tuple[str, ...], ...] = ()

LATER_WORDS_IN_CONFIG: dict[tuple[str, ...], frozenset[str]] = {
    ("targets", "*", "auth"): frozenset({"metadata"}),
}
"""Values that are not supported yet, by the path of their key."""


def refuse_later(root: MapNode, paths: tuple[tuple[str, ...], ...], findings: Findings) -> MapNode:
    """The tree without the keys that come later; each is noted."""
    node: Node = root
    for path in paths:
        node = _without(node, path, findings)
    assert isinstance(node, MapNode)  # noqa: S101 - only keys are taken out
    return node


def refuse_later_words(root: Node, words: dict[tuple[str, ...], frozenset[str]], findings: Findings) -> None:
    """Note the values that come later; the check of the field is then quiet about the same place."""
    for path, later in words.items():
        for node in _at(root, path):
            if isinstance(node, Scalar) and node.value in later:
                findings.add("NotSupportedYet", f'"{node.value}" is not supported yet', node.span)


def _without(node: Node, path: tuple[str, ...], findings: Findings) -> Node:
    name, rest = path[0], path[1:]
    if isinstance(node, ListNode) and name == "*":
        return ListNode(tuple(_without(item, rest, findings) for item in node.items), node.span)
    if not isinstance(node, MapNode):
        return node
    if rest:
        changed = ((key, _without(v, rest, findings) if name in ("*", key.text) else v) for key, v in node.entries)
        return MapNode(tuple(changed), node.span, node.item)
    key = node.key(name)
    if key is None:
        return node
    hint = "remove it; nothing would obey it"
    findings.add("NotSupportedYet", f'"{name}" is not supported yet', key.span, hint=hint, item=node.item)
    return node.without([name])


def _at(node: Node, path: tuple[str, ...]) -> list[Node]:
    if not path:
        return [node]
    if isinstance(node, ListNode):
        return [found for item in node.items if path[0] == "*" for found in _at(item, path[1:])]
    if isinstance(node, MapNode):
        return [found for key, v in node.entries if path[0] in ("*", key.text) for found in _at(v, path[1:])]
    return []
