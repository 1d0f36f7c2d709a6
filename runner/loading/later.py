"""Keys of the full format that this version cannot execute: refused with their place, never
ignored.

Whoever adds one of them removes its line here and adds the field to the model.
"""

from __future__ import annotations

from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node

LATER_IN_PLANS: tuple[tuple[str, ...], ...] = (
    ("mode",),
    ("groups", "*", "mode"),
)
"""Paths to keys; `*` is every item of a list, or every key of a mapping."""

LATER_IN_CONFIG: tuple[tuple[str, ...], ...] = (("notifications",),)

LATER_IN_POLICY: tuple[tuple[str, ...], ...] = ()


def refuse_later(root: MapNode, paths: tuple[tuple[str, ...], ...], findings: Findings) -> MapNode:
    """The tree without the keys that come later; each is noted."""
    node: Node = root
    for path in paths:
        node = _without(node, path, findings)
    assert isinstance(node, MapNode)  # noqa: S101 - only keys are taken out
    return node


def _without(node: Node, path: tuple[str, ...], findings: Findings) -> Node:
    name, rest = path[0], path[1:]
    if isinstance(node, ListNode) and name == "*":
        return ListNode(tuple(_without(item, rest, findings) for item in node.items), node.span)
    if not isinstance(node, MapNode):
        return node
    if rest:
        changed = (
            (key, _without(v, rest, findings) if name in ("*", key.text) else v)
            for key, v in node.entries
        )
        return MapNode(tuple(changed), node.span, node.item)
    key = node.key(name)
    if key is None:
        return node
    hint = "remove it; nothing would obey it"
    findings.add(
        "NotSupportedYet", f'"{name}" is not supported yet', key.span, hint=hint, item=node.item
    )
    return node.without([name])
