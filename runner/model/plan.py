"""The plan as people mean it: rendered, checked, frozen.

The fields and their defaults are the contract of the plan file. Templates are resolved and `for_each` is
expanded before a `Plan` is made, so every value here is final. Durations are timedeltas, sizes and budgets are
`Amount`s: both are written in JSON as they are written in YAML.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from runner.model.quantity import Amount, format_duration, parse_duration

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
MAX_GROUPS = 1_000


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration with a unit, for example 90s or 5m")  # noqa: TRY004 - pydantic wants it
    return parse_duration(value)


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than zero")
    return value


def _amount(value: object) -> Amount:
    return value if isinstance(value, Amount) else Amount.parse(value)


def _size(value: object) -> Amount:
    amount = _amount(value)
    if amount.is_zero:
        raise ValueError("a size of zero is not allowed; zero never means all")
    return amount


_DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$",
    "minLength": 2,
    "examples": ["90s", "5m", "1h30m", "2d"],
}
_AMOUNT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^(\d{1,9}|\d{1,3}(\.\d{1,6})?\s?%)$"},
    ],
    "examples": [3, "10%"],
}
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^(\d{1,9}|\d{1,3}(\.\d{1,6})?\s?%)$"},
    ],
    "examples": [1, "10%"],
}

_write_duration = PlainSerializer(format_duration, return_type=str)
_write_amount = PlainSerializer(
    lambda a: a.number if a.percent is None else str(a), return_type=Any, when_used="always"
)

Duration = Annotated[timedelta, BeforeValidator(_duration), _write_duration, WithJsonSchema(_DURATION_SCHEMA)]
Budget = Annotated[Amount, BeforeValidator(_amount), _write_amount, WithJsonSchema(_AMOUNT_SCHEMA)]
Size = Annotated[Amount, BeforeValidator(_size), _write_amount, WithJsonSchema(_SIZE_SCHEMA)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]


class Part(BaseModel):
    """What every part of a plan has in common: frozen, strict about types, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True, populate_by_name=True
    )


class Selector(Part):
    """Which servers. In `servers` the keys are ANDed; in `exclude` any one match removes a server."""

    ids: tuple[Id, ...] | None = Field(None, min_length=1, description="Server ids.")
    ids_from: str | None = Field(
        None,
        min_length=1,
        description="A text file beside the plan, one server id a line, for very long lists.",
    )
    names: tuple[Text, ...] | None = Field(None, min_length=1, description="Shell globs, for example web-*.")
    tags: dict[str, tuple[str, ...]] | None = Field(
        None, min_length=1, description="AND between keys, OR in a list of values."
    )
    zones: tuple[Text, ...] | None = Field(None, min_length=1, description="Availability zones.")
    flavors: tuple[Text, ...] | None = Field(None, min_length=1, description="Flavor ids.")
    server_groups: tuple[Text, ...] | None = Field(
        None, min_length=1, description="Ids or names of the cloud's anti-affinity groups."
    )
    enterprise_projects: tuple[Text, ...] | None = Field(
        None, min_length=1, description="Ids of enterprise projects; 0 is the default one."
    )
    all: Literal[True] | None = Field(
        None, description="Every server of the target. Stands alone; the only way to mean everything."
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are written, in the order of the model."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _says_something(self) -> Selector:
        keys = self.keys
        if not keys:
            raise ValueError("an empty selector selects nothing; write all: true to mean every server")
        if self.all and len(keys) > 1:
            raise ValueError("all: true stands alone; use exclude to leave servers out")
        return self


class Ready(Part):
    """When a rebooted server counts as back."""

    timeout: Annotated[Duration, BeforeValidator(lambda v: _positive(_duration(v)))] = Field(
        timedelta(minutes=15), description="For job and state together, from the cloud's acceptance."
    )
    stable_for: Duration = Field(timedelta(0), description="How long it must stay ready without a miss.")


class Group(Part):
    """Servers with the same rules. Groups run one at a time, in the order of the file."""

    name: Name
    servers: Selector
    exclude: Selector | None = None
    allow_empty: bool = Field(False, description="No error when the selector matches nothing.")
    order: Literal["shuffle", "listed", "name", "zone"] = Field(
        "shuffle", description="shuffle is a stable hash of cycle and id; zone begins with the smallest zone."
    )
    waves: tuple[Size, ...] = Field(
        min_length=1, max_length=1000, description="Sizes of the waves; the last repeats until all are done."
    )
    pause: tuple[Duration | Literal["approval"], ...] = Field(
        (timedelta(0),), min_length=1, max_length=1000, description="After each wave; the last repeats."
    )
    max_failures: Budget | None = Field(
        None, description="How many of the group may fail. Without it only the run's budget counts."
    )
    ready: Ready = Ready()
    on_failure: Literal["stop", "approval", "continue"] = Field(
        "stop", description="When the group's budget is exceeded; never lifts the run's."
    )
    bake: Duration = Field(timedelta(0), description="Observed wait at the end of the group.")


class Reboot(Part):
    """How servers are restarted. HARD loses what the guest has not written."""

    type: Literal["SOFT", "HARD"] = "SOFT"


class Limits(Part):
    """A larger plan is refused. `percent` is of the servers visible in the target."""

    servers: Annotated[int, Field(ge=1)] = 200
    percent: Annotated[float, Field(gt=0, le=100)] = 50


class Plan(Part):
    """A reboot plan: which servers, in which waves, with which pauses, and when to stop."""

    version: Literal[1] = Field(description="Of the format.")
    name: Name = Field(description="The plan's identity, 1 to 63 of a-z, 0-9 and -.")
    description: str | None = Field(None, max_length=2000)
    labels: dict[str, str] = Field(default_factory=dict)
    vars: dict[str, Any] = Field(default_factory=dict, description="For templates; --var and --vars-file override.")
    target: Text | None = Field(None, description="A target of the configuration; --target overrides.")
    cycle: Name | None = Field(
        None, description="The campaign; a server is rebooted at most once in it. Default: the plan's name."
    )
    reboot: Reboot = Reboot()
    limits: Limits = Limits()
    max_failures: Budget = Field(Amount(number=0), description="How many servers of the run may fail.")
    on_unknown: Literal["hold", "retry"] = Field(
        "hold", description="What becomes of servers whose reboot request was lost without a trace."
    )
    wait_at_most: Annotated[Duration, BeforeValidator(lambda v: _positive(_duration(v)))] = Field(
        timedelta(days=7), description="For an approval; then the run stops."
    )
    groups: tuple[Group, ...] = Field(min_length=1, max_length=MAX_GROUPS)

    @property
    def campaign(self) -> str:
        """The cycle, or the plan's name where none is written."""
        return self.cycle or self.name
