"""`ids_from`: the ids of a file take the place of its name, so that digest, schedule and
diff see only ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.loading.files import BadLine, FileReader, read_ids
from runner.loading.findings import Findings
from runner.loading.nodes import Key, ListNode, MapNode, Node, Scalar, Span
from runner.loading.source import Unreadable

MAX_ALL_IDS = 500_000
_TOLD = 3
"""So many bad lines of a file are told one by one; the rest is counted."""


class IdLists:
    """Reads the id files of one plan, each once. What they hold is bounded in all."""

    def __init__(self, files: FileReader, findings: Findings) -> None:
        self._files = files
        self._findings = findings
        self._read: dict[str, tuple[str, ...]] = {}
        self._nodes: dict[tuple[str, Span], ListNode] = {}
        self._total = 0

    def resolve(self, tree: MapNode) -> MapNode:
        """The plan's tree with `ids` instead of every `ids_from`. What is wrong with a file
        is noted.
        """
        groups = tree.get("groups")
        if not isinstance(groups, ListNode):
            return tree
        resolved = ListNode(tuple(self._group(group) for group in groups.items), groups.span)
        return _with(tree, "groups", resolved)

    def _group(self, group: Node) -> Node:
        if not isinstance(group, MapNode):
            return group
        for name in ("servers", "exclude"):
            selector = group.get(name)
            if isinstance(selector, MapNode) and selector.key("ids_from"):
                group = _with(group, name, self._selector(selector, group.item))
        return group

    def _selector(self, selector: MapNode, item: str | None) -> MapNode:
        key, name = selector.key("ids_from"), selector.get("ids_from")
        if (
            key is None
            or not isinstance(name, Scalar)
            or name.broken
            or not isinstance(name.value, str)
        ):
            return selector
        if not name.value or selector.key("ids"):
            return selector
        node = self._node(name.value, name.span, item)
        entries = (
            (Key("ids", key.span), node) if k.text == "ids_from" else (k, v)
            for k, v in selector.entries
        )
        return MapNode(tuple(entries), selector.span, selector.item)

    def _node(self, name: str, span: Span, item: str | None) -> Node:
        """The ids as a list that stands where the file's name stands; groups of one
        `for_each` share it.
        """
        ids = self._ids(name, span, item)
        if not ids:
            return Scalar("", span, broken=True)
        if (name, span) not in self._nodes:
            self._nodes[name, span] = ListNode(
                tuple(Scalar(entry, span, entry) for entry in ids), span
            )
        return self._nodes[name, span]

    def _ids(self, name: str, span: Span, item: str | None) -> tuple[str, ...]:
        if name not in self._read:
            self._read[name] = self._from_file(name, span, item)
        ids = self._read[name]
        self._total += len(ids)
        if self._total > MAX_ALL_IDS:
            self._findings.add(
                "TooLarge", f"ids_from: more than {MAX_ALL_IDS:,} ids in all groups", span
            )
            return ()
        return ids

    def _from_file(self, name: str, span: Span, item: str | None) -> tuple[str, ...]:
        try:
            ids, bad = read_ids(self._files(name))
        except Unreadable as error:
            self._findings.add(
                error.code, f"ids_from: the file {error.message}", span, hint=error.hint, item=item
            )
            return ()
        if bad:
            message = f"ids_from: {_lines_words(bad)}"
            self._findings.add("BadIdList", message, span, hint=_how_to_correct(bad), item=item)
            return ()
        return ids


def _with(node: MapNode, name: str, value: Node) -> MapNode:
    entries = tuple((key, value if key.text == name else old) for key, old in node.entries)
    return MapNode(entries, node.span, node.item)


def _lines_words(bad: Sequence[BadLine]) -> str:
    """`line 1 of the file looks like a header, line 3 looks like a name, and 4 more lines
    are not server ids`.
    """
    words = [
        f"line {line.number}{' of the file' if n == 0 else ''} {line.what}"
        for n, line in enumerate(bad[:_TOLD])
    ]
    rest = len(bad) - _TOLD
    return ", ".join(words) + (f", and {rest} more lines are not server ids" if rest > 0 else "")


def _how_to_correct(bad: Sequence[BadLine]) -> str:
    if all(line.what.endswith("a name") for line in bad):
        return 'an id is a UUID; select servers by name with names: ["web-*"]'
    return "one id (a UUID) a line; # begins a comment"
