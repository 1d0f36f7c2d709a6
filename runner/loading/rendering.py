"""A plan's tree with every template replaced by its value and every `for_each` by its groups.

Positions stay those of the file: a value made by a template stands where the template
stands, and a group made by a `for_each` stands where it is written and knows its item.
Jinja is imported only when the file has a template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from runner.loading.findings import Findings
from runner.loading.hidden import note_hidden
from runner.loading.nodes import Key, ListNode, MapNode, Node, Scalar, from_data, to_data, walk
from runner.model.hidden import hidden_in
from runner.model.plan import MAX_GROUPS

if TYPE_CHECKING:
    from runner.loading.templates import Templates

MAX_RENDERED_NODES = 500_000
MAX_RENDERED_TEXT = 10_000_000
"""Characters that templates and `for_each` may make: a text of 1 MB stands a thousand times
in a thousand groups.
"""

_IDENTITY = ("name", "cycle", "target")
"""Top-level keys that say what a plan is: they may not depend on the environment they are read in.
"""


class _Stop(Exception):
    """Rendering is over a limit; the finding is already noted."""


class Renderer:
    """Renders one plan. `used` afterwards holds the variables that templates read, as
    (`vars`, name).
    """

    def __init__(
        self, findings: Findings, variables: Mapping[str, Any], env: Mapping[str, str]
    ) -> None:
        self._findings = findings
        self._context: dict[str, Any] = {"vars": variables, "env": dict(env)}
        self._sizes: dict[str, int] = {}
        self._templates: Templates | None = None
        self._nodes = 0
        self._characters = 0
        self._item: str | None = None

    @property
    def used(self) -> set[tuple[str, str]]:
        return self._templates.used if self._templates else set()

    def render(self, root: MapNode) -> MapNode | None:
        """The rendered tree; None when a limit stops it. What is wrong with one value never
        stops the others.
        """
        try:
            return MapNode(
                tuple((key, self._top(key, value)) for key, value in root.entries), root.span
            )
        except _Stop:
            return None

    def _top(self, key: Key, value: Node) -> Node:
        if key.text == "vars":
            return value
        if key.text == "groups":
            return self._groups(value)
        return self._value(
            value, _without_env(self._context) if key.text in _IDENTITY else self._context
        )

    # groups

    def _groups(self, node: Node) -> Node:
        if not isinstance(node, ListNode):
            if isinstance(node, Scalar) and _is_template(node):
                hint = "write one group with for_each"
                self._findings.add(
                    "TemplateNotAllowed", "groups cannot be a template", node.span, hint=hint
                )
                return Scalar("", node.span, broken=True)
            return node
        groups: list[Node] = []
        for group in node.items:
            groups.extend(self._expand(group, MAX_GROUPS - len(groups)))
        return ListNode(tuple(groups), node.span)

    def _expand(self, group: Node, room: int) -> list[Node]:
        if not isinstance(group, MapNode) or group.get("for_each") is None:
            return [self._group(group, self._context)]
        items = self._items(group, room)
        if items is None:
            return [Scalar("", group.span, broken=True)]
        body = group.without(["for_each"])
        self._count(body, group, len(items))
        return [self._one_of_each(body, item, number) for number, item in enumerate(items, 1)]

    def _items(self, group: MapNode, room: int) -> list[Any] | None:
        """The items of a `for_each`; None, and noted, where it is not a list that can be used."""
        node = group.get("for_each")
        assert node is not None  # noqa: S101 - the caller looked
        rendered = self._value(node, self._context)
        if any(isinstance(one, Scalar) and one.broken for one in walk(rendered)):
            return None
        if not isinstance(rendered, ListNode):
            hint = 'for example for_each: "{{ vars.zones }}"'
            self._findings.add("BadForEach", "for_each needs a list", node.span, hint=hint)
            return None
        if len(rendered.items) > room:
            self._findings.add(
                "TemplateTooLarge", f"more than {MAX_GROUPS:,} groups in all", node.span
            )
            return None
        allowed = group.get("allow_empty")
        if not rendered.items and not (isinstance(allowed, Scalar) and allowed.value is True):
            hint = "fill the list, or write allow_empty: true in the group"
            self._findings.add(
                "BadForEach",
                "for_each has an empty list, so there would be no group",
                node.span,
                hint=hint,
            )
            return None
        return [to_data(item) for item in rendered.items]

    def _one_of_each(self, body: MapNode, item: Any, number: int) -> MapNode:
        self._item = (
            f'"{item}"' if isinstance(item, str) and len(item) <= 60 else f"number {number}"
        )
        self._sizes.pop("item", None)
        rendered = self._group(body, {**self._context, "item": item})
        label, self._item = self._item, None
        assert isinstance(rendered, MapNode)  # noqa: S101 - a mapping renders to a mapping
        return MapNode(rendered.entries, rendered.span, label)

    def _group(self, group: Node, context: Mapping[str, Any]) -> Node:
        """A group; which target it is for may not depend on the environment either."""
        target = group.get("target") if isinstance(group, MapNode) else None
        if not isinstance(group, MapNode) or target is None:
            return self._value(group, context)
        apart = _without_env(context)
        entries = (
            (key, self._value(v, apart if v is target else context)) for key, v in group.entries
        )
        return MapNode(tuple(entries), group.span, group.item)

    # values

    def _value(self, node: Node, context: Mapping[str, Any]) -> Node:
        """A node with its templates rendered; the same object where there is none. Depth is
        bounded by the reader.
        """
        if isinstance(node, Scalar):
            return self._scalar(node, context) if _is_template(node) else node
        if isinstance(node, ListNode):
            items = tuple(self._value(item, context) for item in node.items)
            return node if _same(items, node.items) else ListNode(items, node.span)
        values = tuple(self._value(value, context) for _, value in node.entries)
        if _same(values, tuple(value for _, value in node.entries)):
            return node
        keys = (key for key, _ in node.entries)
        return MapNode(tuple(zip(keys, values, strict=True)), node.span, node.item)

    def _scalar(self, node: Scalar, context: Mapping[str, Any]) -> Node:
        from runner.loading.templates import TemplateProblem, Templates

        self._templates = self._templates or Templates()
        for name in context:
            if name not in self._sizes:
                self._sizes[name] = self._size(context[name])
        try:
            value = self._templates.render(str(node.value), context, self._sizes)
        except TemplateProblem as error:
            self._findings.add(
                error.code, error.message, node.span, hint=error.hint, item=self._item
            )
            if error.is_final or self._findings.is_full:
                raise _Stop from None
            return Scalar("", node.span, broken=True)
        result = from_data(value, node.span)
        self._count(result, node)
        char = next(filter(None, map(hidden_in, _texts(result))), None)
        if char is not None:
            note_hidden(
                char,
                node.span,
                self._findings,
                what="the template makes text with a ",
                item=self._item,
            )
            return Scalar("", node.span, broken=True)
        return result

    def _size(self, value: Any) -> int:
        from runner.loading.templates import size_of

        return size_of(value)

    def _count(self, made: Node, at: Node, times: int = 1) -> None:
        self._nodes += times * sum(1 for _ in walk(made))
        self._characters += times * sum(
            len(node.raw) for node in walk(made) if isinstance(node, Scalar)
        )
        if self._nodes > MAX_RENDERED_NODES:
            self._stop(f"{MAX_RENDERED_NODES:,} values", at)
        if self._characters > MAX_RENDERED_TEXT:
            self._stop(f"{MAX_RENDERED_TEXT:,} characters", at)

    def _stop(self, most: str, at: Node) -> NoReturn:
        self._findings.add("TemplateTooLarge", f"the rendered plan has more than {most}", at.span)
        raise _Stop


def _texts(root: Node) -> Iterator[str]:
    """Every text of a tree, keys included."""
    for node in walk(root):
        if isinstance(node, MapNode):
            yield from (key.text for key, _ in node.entries)
        elif isinstance(node, Scalar) and isinstance(node.value, str):
            yield node.value


def _without_env(context: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data for name, data in context.items() if name != "env"}


def _is_template(node: Scalar) -> bool:
    """Only text with `{{` is a template; `{%` alone is taken as an attempt at one, so that
    it is not silently text.
    """
    return isinstance(node.value, str) and ("{{" in node.value or "{%" in node.value)


def _same(one: tuple[Node, ...], other: tuple[Node, ...]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))
