"""Which files a plan names, read from its tree without rendering anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node, Scalar, walk
from runner.loading.source import Source
from runner.loading.yaml_reader import parse

_NAMING = ("ids_from", "freeze")
"""Keys whose values are names of files."""

_HIDING = ("servers", "exclude")
"""Keys whose values, where they are templates, can turn into a selector that names a file."""


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """`names` as they are written, relative to the plan. `open`: templates can make others,
    nobody knows which.
    """

    names: frozenset[str] = frozenset()
    open: bool = False


def named_files(source: Source) -> NamedFiles:
    """The files that a plan names. Of a plan that is not valid YAML: none, for it cannot be run."""
    root = parse(source, Findings(source))
    if not isinstance(root, MapNode):
        return NamedFiles()
    scalars = list(_naming(root))
    groups = root.get("groups")
    hiding = [value for name in _HIDING for value in _values(root, (name,))]
    hiding += groups.items if isinstance(groups, ListNode) else []
    is_open = any(_is_template(node) for node in [*scalars, *hiding])
    return NamedFiles(frozenset(str(s.value) for s in scalars if not _is_template(s)), is_open)


def _naming(root: MapNode) -> Iterable[Scalar]:
    for value in _values(root, _NAMING):
        yield from (
            node for node in walk(value) if isinstance(node, Scalar) and isinstance(node.value, str)
        )


def _values(root: MapNode, names: tuple[str, ...]) -> Iterable[Node]:
    """The values of these keys, wherever they stand."""
    for node in walk(root):
        if isinstance(node, MapNode):
            yield from (value for key, value in node.entries if key.text in names)


def _is_template(node: Node) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, str) and "{{" in node.value
