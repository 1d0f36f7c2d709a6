"""Checks a tree against a model, and says what is wrong in sentences for people, each at its place.

pydantic's own messages are for programmers. A table by error type turns them into what is
wrong, what was found, and how to mend it; its paths are looked up in the tree. An error at
a place that already has a problem is its consequence and is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from runner.loading.findings import Findings, did_you_mean
from runner.loading.hints import (
    day_hint,
    elsewhere_hint,
    models_in,
    selector_hint,
    space_hint,
    zone_hint,
)
from runner.loading.nodes import (
    ListNode,
    MapNode,
    Node,
    NodePlace,
    Scalar,
    Span,
    locate,
    to_data,
    walk,
)
from runner.loading.scalars import resolve
from runner.model.hidden import described

M = TypeVar("M", bound=BaseModel)
Said: TypeAlias = tuple[str, str, str | None]  # code, message, hint

MAX_KEYS = 1_000
_MAX_ERRORS = 2_000
_CONVERTIBLE = frozenset({"int_type", "bool_type", "float_type", "literal_error", "value_error"})
_EXAMPLES: Mapping[str, str] = {
    "version": "version: 1",
    "name": "name: web-kernel",
    "groups": "groups: [{name: web, servers: {tags: {role: web}}, waves: [1, 10%]}]",
    "servers": "servers: {tags: {role: web}}",
    "rate.servers": "servers: 10",
    "rate.per": "per: 1m",
    "waves": "waves: [1, 10%, 25%]",
    "cloud": "cloud: huaweicloud",
    "days": "days: [tue, wed, thu]",
    "start": 'start: "22:00"',
    "length": "length: 5h",
    "timezone": "timezone: Europe/Berlin",
    "source": "source: main",
    "query": "query: 'sum(rate(http_errors_total[5m]))'",
}


def check(model: type[M], root: MapNode, findings: Findings) -> M | None:
    """The tree as a model, or None with every problem noted.

    A text that came from a template is read as YAML would read it where the field is a
    number or a truth value (`--var` gives text only); a text that is written in the file is
    not.
    """
    if _is_too_wide(root, findings):
        return None
    _refuse_null(root, findings)
    known = findings.places
    data = to_data(root)
    while True:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        if not _convert(errors, root, data):
            break
    for one in errors[:_MAX_ERRORS]:
        if findings.is_full:
            break  # more would only be counted
        _note(one, model, root, findings, known)
    return None


def _is_too_wide(root: MapNode, findings: Findings) -> bool:
    """Whether a mapping has more keys than can be checked: each could be an error. Noted."""
    wide = [
        n
        for n in walk(root.without(["vars"]))
        if isinstance(n, MapNode) and len(n.entries) > MAX_KEYS
    ]
    for node in wide:
        findings.add(
            "TooLarge", f"a mapping with more than {MAX_KEYS:,} keys", node.span, item=node.item
        )
    return bool(wide)


def _refuse_null(root: MapNode, findings: Findings) -> None:
    """A key without a value is a mistake: `exclude:` would silently exclude nothing."""
    for node in walk(root.without(["vars"])):
        if isinstance(node, MapNode):
            for key, value in node.entries:
                if isinstance(value, Scalar) and value.value is None:
                    message, hint = f'"{key.text}" has no value', "give it one, or remove the key"
                    findings.add("NoValue", message, value.span, hint=hint, item=node.item)


def _convert(errors: Sequence[Any], root: Node, data: Any) -> bool:
    """Turn texts that templates made into what YAML reads in them, where that may help.
    Whether any was turned.
    """
    changed = False
    for error in errors[:_MAX_ERRORS]:
        if error["type"] not in _CONVERTIBLE:
            continue
        parent, last = _holder(data, error["loc"])
        place = locate(root, error["loc"])
        if parent is None or not (
            isinstance(place.node, Scalar) and place.node.templated and place.exact
        ):
            continue
        value = parent[last]
        converted = _resolved(value)
        if converted is not value:
            parent[last] = converted
            changed = True
    return changed


def _resolved(value: Any) -> Any:
    try:
        found = resolve(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return value if isinstance(found, str) or found is None else found


def _holder(data: Any, path: Sequence[str | int]) -> tuple[Any, Any]:
    """The container and key that `path` ends at; (None, None) when it does not lead to a value."""
    parent: Any = None
    last: Any = None
    for part in path:
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if in_list or (isinstance(data, dict) and part in data):
            parent, last, data = data, part, data[part]
    return parent, last


def _note(
    error: Any, model: type[BaseModel], root: Node, findings: Findings, known: frozenset[Span]
) -> None:
    path, kind = error["loc"], error["type"]
    place = locate(root, path)
    if _is_consequence(kind, place.node):
        return
    at_key = kind == "extra_forbidden" or path[-1:] == ("[key]",)
    span = place.key.span if at_key and place.key else place.node.span
    if span in known and kind != "missing":
        return
    code, message, hint = _say(error, model, place)
    if hint is None and isinstance(place.node, Scalar):
        hint = _odd_character(place.node)
    findings.add(code, message, span, hint=hint, item=place.item)


def _is_consequence(kind: str, node: Node) -> bool:
    """A value whose problem is known; a list that only looks empty because its items are wrong."""
    if isinstance(node, Scalar):
        return node.broken or kind == "too_short"
    children = node.items if isinstance(node, ListNode) else node.entries
    return kind == "too_short" and bool(children)


def _say(error: Any, model: type[BaseModel], place: NodePlace) -> Said:
    path, kind = error["loc"], error["type"]
    name = _name(path)
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind == "missing":
        return _missing(path)
    speaker = _SPEAKERS.get(kind)
    if speaker is None:
        return "BadValue", f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}", None
    code, message, hint = speaker(name, error.get("ctx", {}), place)
    if hint is None and kind in ("model_type", "model_attributes_type"):
        hint = _keys_hint("" if isinstance(path[-1], int) else f"{name}: ", _fields_at(model, path))
    return code, message, hint


def _keys_hint(prefix: str, fields: Mapping[str, Any]) -> str | None:
    """Return how to write a mapping: with the keys that it must have, or with those that it
    can have.
    """
    keys = [key for key, field in fields.items() if field.is_required()] or sorted(fields)
    return f"write {prefix}{{{', '.join(f'{key}: …' for key in keys)}}}" if keys else None


def _name(path: Sequence[str | int]) -> str:
    """The field that a path is about, as people call it."""
    names = [part for part in path if isinstance(part, str)]
    if names[-1:] == ["[key]"]:
        return f"a key of {names[-3]}" if len(names) > 2 else "a key"
    return names[-1] if names else "the file"


def _unknown_key(path: Sequence[str | int], model: type[BaseModel]) -> Said:
    known = [field.alias or name for name, field in _fields_at(model, path[:-1]).items()]
    if "waves" in known:
        known.append("for_each")
    key = str(path[-1])
    here = tuple(part for part in path[:-1] if isinstance(part, str))
    longer = [name for name in known if name.startswith(f"{key}_") or key.startswith(f"{name}_")]
    hint = space_hint(key) or (f"did you mean {' or '.join(longer)}?" if longer else None)
    hint = hint or elsewhere_hint(key, model, here) or did_you_mean(key, known)
    hint = hint or ("known keys: " + ", ".join(sorted(known)) if known else None)
    return "UnknownKey", f'unknown key "{key}"', hint


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> Mapping[str, Any]:
    """The fields that a model has at a path."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is not None and part in current.model_fields:
            current = next(iter(models_in(current.model_fields[str(part)].annotation)), None)
    return current.model_fields if current else {}


def _missing(path: Sequence[str | int]) -> Said:
    name = _name(path)
    example = _EXAMPLES.get(".".join(map(str, path[-2:])), _EXAMPLES.get(name))
    return "MissingKey", f'"{name}" is missing', f"for example {example}" if example else None


def _text_needed(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    node = place.node
    if isinstance(node, Scalar) and isinstance(node.value, bool | int | float):
        kind = "true or false" if isinstance(node.value, bool) else "a number"
        where = " in vars" if node.templated else ""
        return (
            "QuoteIt",
            f"{name}: text is needed, and YAML reads {node.raw} as {kind}",
            f'quote it{where}: "{node.raw}"',
        )
    hint = (
        'quote a pattern that begins with "?"'
        if isinstance(node, MapNode) and name == "names"
        else None
    )
    return "WrongType", f"{name}: text is needed, not {_found(node)}", hint


def _needs(what: str) -> Callable[[str, Mapping[str, Any], NodePlace], Said]:
    def say(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
        node = place.node
        hint = None
        if isinstance(node, Scalar) and node.quoted:
            hint = "remove the quotes"
        elif isinstance(node, Scalar) and node.raw.endswith("%"):
            hint = "a percentage cannot be used here"
        elif isinstance(node, Scalar):
            hint = _made(node)
        if name == "percent":
            hint = "write the number alone, for example percent: 30"
        return "WrongType", f"{name}: {what} is needed, not {_found(node)}", hint

    return say


def _list_needed(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    hint = (
        "begin each item with a dash" if isinstance(place.node, MapNode) else f"write {name}: [ … ]"
    )
    return "WrongType", f"{name}: a list is needed, not {_found(place.node)}", hint


def _map_needed(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    node = place.node
    hint = space_hint(node.raw) if isinstance(node, Scalar) else None
    if hint is None and name in ("servers", "exclude"):
        hint = selector_hint(name, node)
    return "WrongType", f"{name}: a mapping (key: value) is needed, not {_found(node)}", hint


def _one_of(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    expected = str(ctx.get("expected", ""))
    written = place.node.raw if isinstance(place.node, Scalar) else ""
    words = [part for i, part in enumerate(expected.split("'")) if i % 2]
    hint = day_hint(written) if name == "days" else None
    return (
        "BadValue",
        f"{name}: must be {expected.replace(chr(39), '')}",
        hint or did_you_mean(written, words),
    )


def _pattern(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    if name == "timezone" and (said := _zone(place.node)):
        return said
    sentence = _PATTERNS.get(name, _PATTERNS["name"])
    return "BadValue", f"{name}: {sentence}", _made(place.node)


def _length(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    if ctx.get("min_length") == 1:
        return "BadValue", f"{name}: must not be empty", None
    unit = "characters" if isinstance(place.node, Scalar) else "entries"
    return "BadValue", f"{name}: has more than {ctx.get('max_length'):,} {unit}", None


def _range(word: str, bound: str) -> Callable[[str, Mapping[str, Any], NodePlace], Said]:
    def say(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
        return "BadValue", f"{name}: must be {word} {ctx.get(bound):g}", None

    return say


def _own_sentence(name: str, ctx: Mapping[str, Any], place: NodePlace) -> Said:
    """What our own validators say."""
    if name == "timezone" and (zone := _zone(place.node)):
        return zone
    said = str(ctx.get("error", "is wrong"))
    if isinstance(place.node, MapNode):
        return (
            ("BadValue", f"{name}: {said}", None)
            if name in _NO_SELECTORS
            else ("BadSelector", said, None)
        )
    return "BadValue", f"{name}: {said}", _made(place.node)


def _odd_character(node: Scalar) -> str | None:
    """A look-alike from a web page or another keyboard: a typographic quote, a minus sign,
    a full-width digit.
    """
    char = next((char for char in node.raw if not char.isascii()), None)
    return None if char is None else f"it holds {described(char)}; type it with the keyboard"


def _zone(node: Node) -> Said | None:
    found = zone_hint(str(node.value)) if isinstance(node, Scalar) else None
    return None if found is None else ("BadValue", f"timezone: {found[0]}", found[1])


def _made(node: Node) -> str | None:
    """What a template came to: the excerpt shows only the template."""
    return (
        f'the template made "{node.raw[:80]}"'
        if isinstance(node, Scalar) and node.templated
        else None
    )


def _found(node: Node) -> str:
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "true or false"
    return "text" if isinstance(node.value, str) else "a number"


_PATTERNS: Mapping[str, str] = {
    "name": "must be 1 to 63 of a-z, 0-9 and -, and neither begin nor end with -",
    "ids": "not a server id: 1 to 64 letters, digits and -",
    "project_id": "not a project id: 32 of 0-9 and a-f",
    "path": "must begin with / and hold no blanks, # or other characters that are percent-encoded",
    "host": "not the name of a host (without a port)",
    "start": 'must be a time of day as HH:MM, for example "22:00"',
    "timezone": "must be an IANA time zone, for example Europe/Berlin, or UTC",
    "a key of spread": "must be zone, server_group, enterprise_project or tag:NAME",
    "template_env": "not the name of an environment variable",
    "token_env": "not the name of an environment variable",
}

_NO_SELECTORS = frozenset({"ready", "checks", "gates", "prometheus", "http", "sources"})
"""Mappings with a rule of their own that select nothing."""

_SPEAKERS: Mapping[str, Callable[[str, Mapping[str, Any], NodePlace], Said]] = {
    "bool_type": _needs("true or false"),
    "dict_type": _map_needed,
    "float_type": _needs("a number"),
    "greater_than": _range("over", "gt"),
    "greater_than_equal": _range("at least", "ge"),
    "int_from_float": _needs("a whole number"),
    "int_type": _needs("a whole number"),
    "less_than": _range("under", "lt"),
    "less_than_equal": _range("at most", "le"),
    "list_type": _list_needed,
    "literal_error": _one_of,
    "model_attributes_type": _map_needed,
    "model_type": _map_needed,
    "string_pattern_mismatch": _pattern,
    "string_too_long": _length,
    "string_too_short": _length,
    "string_type": _text_needed,
    "too_long": _length,
    "too_short": _length,
    "tuple_type": _list_needed,
    "value_error": _own_sentence,
}
"""pydantic's error type -> what we say. Each is given the field's name, pydantic's context,
and the place.
"""
