"""How frozen values are shaped as JSON: one class is the value, its JSON, its reader and its schema.

Fields of such classes are described by the text below them. Two marks on fields say what a class cannot:

* LATER: the field came after others had been saved. Where it has its default it is left out of the JSON, so that
  digests of what does not use it stay as they were. Every new optional field is marked so.
* FREE: no digest covers the field: a time, a name or a sentence for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_type_hints
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, FailFast, StringConstraints
from pydantic import Field as Bounds

LATER, FREE = "later", "free"
SHAPE: Mapping[str, Any] = {"extra": "forbid", "use_attribute_docstrings": True}

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$"
HOST_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"
PATH_PATTERN = r"^/[!\"$-~]{0,999}$"
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
ZONE_PATTERN = r"^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)+)$"
SPREAD_PATTERN = r"^(zone|server_group|enterprise_project|tag:.{1,128})$"
RUN_PATTERN = r"^[0-9a-z][0-9a-z-]{0,63}$"
AMOUNT_PATTERN = r"^(\d{1,9}|\d{1,3}(\.\d{1,6})?%)$"

_T = TypeVar("_T")


def _zone(value: str) -> str:
    """Names of the IANA database only: neither files beside it nor what a machine calls its own zone."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("no time zone has this name; write an IANA name, for example Europe/Berlin") from None
    return value


def _short(text: str) -> str:
    if len(text) > 1000:
        raise ValueError("at most 1,000 characters")
    return text


def _some(text: str) -> str:
    if not text:
        raise ValueError("at least one character")
    return text


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Line = Annotated[str, AfterValidator(_short), Bounds(json_schema_extra={"maxLength": 1000})]
"""A text of the cloud or of people, which can hold half a surrogate pair: constraints of pydantic refuse that."""
Word = Annotated[Line, AfterValidator(_some), Bounds(json_schema_extra={"minLength": 1})]
Written = Annotated[str, StringConstraints(pattern=AMOUNT_PATTERN)]
"""An amount as in the plan: `3`, `2.5%`."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ClockTime = Annotated[str, StringConstraints(pattern=CLOCK_PATTERN)]
Zone = Annotated[str, StringConstraints(pattern=ZONE_PATTERN, max_length=100), AfterValidator(_zone)]
SpreadKey = Annotated[str, StringConstraints(pattern=SPREAD_PATTERN)]
RunId = Annotated[str, StringConstraints(pattern=RUN_PATTERN)]
"""A run's whole id, as `status` shows it."""
Count = Annotated[int, Bounds(ge=0, le=10_000_000)]
Finite = Annotated[float, Bounds(allow_inf_nan=False)]
Seconds = Annotated[float, Bounds(ge=0, le=366 * 86_400, allow_inf_nan=False)]
Statuses = Annotated[tuple[Annotated[int, Bounds(ge=100, le=599)], ...], Bounds(max_length=20)]
Several = Annotated[tuple[_T, ...], FailFast()]
"""A list of any length. Its first wrong item is reported: the errors of a million would take gigabytes."""


def plain(value: Any, *, reviewed: bool = False) -> Any:
    """Return a frozen value as plain JSON values. `reviewed`: without what no digest covers."""
    if is_dataclass(value):
        made = {}
        for name, marks, default in _fields(value.__class__):
            found = getattr(value, name)
            if not ((LATER in marks and found == default) or (reviewed and FREE in marks)):
                made[name] = found if isinstance(found, str) else plain(found, reviewed=reviewed)
        return made
    if isinstance(value, tuple):
        return [plain(item, reviewed=reviewed) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value


@cache
def _fields(kind: Any) -> tuple[tuple[str, frozenset[str], Any], ...]:
    """Names, marks and defaults."""
    hints = get_type_hints(kind, include_extras=True)
    marks = {n: frozenset(m for m in getattr(h, "__metadata__", ()) if isinstance(m, str)) for n, h in hints.items()}
    return tuple((f.name, marks[f.name], f.default) for f in fields(kind))
