"""Types of fields with their bounds, for values that are read from outside."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, FailFast, StringConstraints
from pydantic import Field as Bounds

from runner.model.patterns import (
    AMOUNT_PATTERN,
    CLOCK_PATTERN,
    ID_PATTERN,
    NAME_PATTERN,
    RUN_PATTERN,
    SPREAD_PATTERN,
    ZONE_PATTERN,
)

_T = TypeVar("_T")


def _zone(value: str) -> str:
    """Names of the IANA database only: neither files beside it nor what a machine calls its
    own zone.
    """
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "no time zone has this name; write an IANA name, for example Europe/Berlin"
        ) from None
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
"""A text of the cloud or of people, which can hold half a surrogate pair: constraints of
pydantic refuse that.
"""
Word = Annotated[Line, AfterValidator(_some), Bounds(json_schema_extra={"minLength": 1})]
Written = Annotated[str, StringConstraints(pattern=AMOUNT_PATTERN)]
"""An amount as in the plan: `3`, `2.5%`."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ClockTime = Annotated[str, StringConstraints(pattern=CLOCK_PATTERN)]
Zone = Annotated[
    str, StringConstraints(pattern=ZONE_PATTERN, max_length=100), AfterValidator(_zone)
]
SpreadKey = Annotated[str, StringConstraints(pattern=SPREAD_PATTERN)]
RunId = Annotated[str, StringConstraints(pattern=RUN_PATTERN)]
"""A run's whole id, as `status` shows it."""
Count = Annotated[int, Bounds(ge=0, le=10_000_000)]
Finite = Annotated[float, Bounds(allow_inf_nan=False)]
Seconds = Annotated[float, Bounds(ge=0, le=366 * 86_400, allow_inf_nan=False)]
Statuses = Annotated[tuple[Annotated[int, Bounds(ge=100, le=599)], ...], Bounds(max_length=20)]
Several = Annotated[tuple[_T, ...], FailFast()]
"""A list of any length. Its first wrong item is reported: the errors of a million would
take gigabytes.
"""
