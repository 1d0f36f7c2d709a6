"""The filters and tests that templates may use: plain functions over plain data, strict where
Jinja's own guess.

`int` of `abc` is an error here (Jinja answers 0). What could make much of little
(`replace`, `join`) counts first. All raise Unfit with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined
from jinja2.exceptions import TemplateRuntimeError

MAX_TEXT = 100_000


class Unfit(TemplateRuntimeError):
    """A value does not fit what is done with it. The message is for people."""


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is missing
    if not isinstance(value, str):
        raise Unfit(f"text is needed, not {kind(value)}")
    return value


def _list(value: Any) -> list[Any]:
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is missing
    if not isinstance(value, list):
        raise Unfit(f"a list is needed, not {kind(value)}")
    return value


def _default(value: Any, default: Any = "", boolean: bool = False) -> Any:
    return default if isinstance(value, Undefined) or (boolean and not value) else value


def _join(value: Any, separator: str = "") -> str:
    parts = [as_text(part) for part in _list(value)]
    if sum(map(len, parts)) + len(_text(separator)) * len(parts) > MAX_TEXT:
        raise Unfit("the text becomes too long")
    return separator.join(parts)


def _replace(value: Any, old: str, new: str) -> str:
    text = _text(value)
    if not _text(old):
        raise Unfit("replace needs a text to look for")
    if len(text) + text.count(old) * len(_text(new)) > MAX_TEXT:
        raise Unfit("the text becomes too long")
    return text.replace(old, new)


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise Unfit(f"a whole number is needed, not {kind(value)}") from None


def _decimal(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise Unfit(f"a number is needed, not {kind(value)}") from None


def _keys(value: Any) -> list[Any]:
    if not isinstance(value, Mapping):
        raise Unfit(f"a mapping is needed, not {kind(value)}")
    return list(value)


def _length(value: Any) -> int:
    if not isinstance(value, str | list | Mapping):
        raise Unfit(f"text, a list or a mapping is needed, not {kind(value)}")
    return len(value)


def _end(position: int) -> Callable[[Any], Any]:
    def pick(value: Any) -> Any:
        values = value if isinstance(value, str) else _list(value)
        if not values:
            raise Unfit("nothing is in it")
        return values[position]

    return pick


def _unique(value: Any) -> list[Any]:
    if not all(isinstance(v, str | int | float) for v in _list(value)):
        raise Unfit("unique needs a list of text or numbers")
    return list(dict.fromkeys(value))


def _split(value: Any, separator: str = ",") -> list[str]:
    return [part.strip() for part in _text(value).split(_text(separator)) if part.strip()]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "capitalize": lambda v: _text(v).capitalize(),
    "count": _length,
    "d": _default,
    "default": _default,
    "first": _end(0),
    "float": _decimal,
    "int": _integer,
    "join": _join,
    "keys": _keys,
    "last": _end(-1),
    "length": _length,
    "lower": lambda v: _text(v).lower(),
    "max": lambda v: max(_list(v)),
    "min": lambda v: min(_list(v)),
    "replace": _replace,
    "reverse": lambda v: v[::-1] if isinstance(v, str) else _list(v)[::-1],
    "sort": lambda v, reverse=False: sorted(_list(v), reverse=bool(reverse)),
    "split": _split,
    "string": lambda v: as_text(v),
    "trim": lambda v: _text(v).strip(),
    "unique": _unique,
    "upper": lambda v: _text(v).upper(),
}

TESTS = frozenset(
    {
        "boolean",
        "defined",
        "eq",
        "even",
        "false",
        "float",
        "ge",
        "gt",
        "in",
        "integer",
        "le",
        "lower",
        "lt",
    }
    | {"mapping", "ne", "none", "number", "odd", "string", "true", "undefined", "upper"}
)
"""Names of Jinja's own tests that are allowed."""


def as_text(value: Any) -> str:
    """A native value inside a text: truth values as YAML writes them. Lists, mappings and
    null are errors.
    """
    if isinstance(value, Undefined):
        return str(value)  # raises: our undefined is the strict one
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise Unfit(f"{kind(value)} cannot be part of a text")


def kind(value: object) -> str:
    """What people call a value."""
    names: tuple[tuple[Any, str], ...] = (
        (Undefined, "something without a value"),
        (bool, "true or false"),
        (int | float, "a number"),
        (str, "text"),
        (Mapping, "a mapping"),
        (list | tuple, "a list"),
    )
    return next((name for type_, name in names if isinstance(value, type_)), "null")
