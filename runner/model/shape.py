"""How frozen values are shaped as JSON: one class is the value, its JSON, its reader and
its schema.

Fields of such classes are described by the text below them. Two marks on fields say what
a class cannot:

* LATER: the field came after others had been saved. Where it has its default it is left
  out of the JSON, so that digests of what does not use it stay as they were. Every new
  optional field is marked so.
* FREE: no digest covers the field: a time, a name or a sentence for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, get_type_hints

LATER, FREE = "later", "free"


class Shaped:
    """A frozen dataclass that is its own JSON and schema: nothing but its fields."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
    }


def json_values(value: Any, *, reviewed: bool = False) -> Any:
    """Return a frozen value as plain JSON values. `reviewed`: without what no digest covers."""
    if is_dataclass(value):
        made = {}
        for name, marks, default in _fields(value.__class__):
            found = getattr(value, name)
            if not ((LATER in marks and found == default) or (reviewed and FREE in marks)):
                made[name] = (
                    found if isinstance(found, str) else json_values(found, reviewed=reviewed)
                )
        return made
    if isinstance(value, Mapping):
        return {key: json_values(item, reviewed=reviewed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(item, reviewed=reviewed) for item in value]
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


@cache
def _fields(kind: Any) -> tuple[tuple[str, frozenset[str], Any], ...]:
    """Names, marks and defaults."""
    hints = get_type_hints(kind, include_extras=True)
    marks = {
        n: frozenset(m for m in getattr(h, "__metadata__", ()) if isinstance(m, str))
        for n, h in hints.items()
    }
    return tuple((f.name, marks[f.name], f.default) for f in fields(kind))
