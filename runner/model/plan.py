"""The plan as people mean it: rendered, checked, frozen.

The fields and their defaults are the contract of the plan file. Templates are resolved and
`for_each` is expanded before a `Plan` is made, so every value here is final. Durations are
timedeltas, sizes and budgets are `Amount`s: both are written in JSON as they are written in
YAML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from runner.model.bounds import ClockTime, Day, Id, Name, RunId, SpreadKey, Zone
from runner.model.check import DEFAULT_PORTS, Check
from runner.model.gate import MAX_GATES, MAX_QUERY, Gate
from runner.model.patterns import HOST_PATTERN, ID_PATTERN, PATH_PATTERN
from runner.model.quantity import MAX_NUMBER, Amount, format_duration, parse_duration
from runner.model.window import HORIZON, MAX_FREEZES, MAX_WINDOWS, Calendar, Freeze, Window, join

MAX_GROUPS = 1_000
MAX_CHECKS = 10
LONGEST_FOR = timedelta(days=1)
MAX_TEXTS = 10_000
"""Patterns of names, values of a tag and the like in one selector."""
MAX_IDS = 200_000
WEEK = timedelta(days=7)


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration with a unit, for example 90s or 5m")  # noqa: TRY004 - pydantic wants it
    return parse_duration(value)


def _positive_duration(value: object) -> timedelta:
    duration = _duration(value)
    if duration <= timedelta(0):
        raise ValueError("must be longer than zero")
    return duration


def _pause(value: object) -> timedelta | Literal["approval"]:
    if value == "approval":
        return "approval"
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or approval, to wait for a person") from None


def _integer(value: object) -> object:
    """1.0 and true equal 1 in Python; a format version is neither."""
    if type(value) is not int:
        raise ValueError("must be the number 1")
    return value


def only_true(value: object) -> object:
    if value is not True:
        raise ValueError("can only be true; leave the key out otherwise")
    return value


def _amount(value: object) -> Amount:
    return value if isinstance(value, Amount) else Amount.parse(value)


def _size(value: object) -> Amount:
    if isinstance(value, int) and value < 0:
        raise ValueError("must be at least 1")
    amount = _amount(value)
    if amount.is_zero:
        raise ValueError("a size of zero is not allowed; zero never means all")
    return amount


@dataclass(frozen=True, slots=True)
class FreezeFile:
    """A calendar beside the plan whose events close. `digest` and `calendar` are there once
    the loader has read it.
    """

    path: str
    digest: str = ""
    calendar: Calendar | None = None


def _freeze(value: object) -> FreezeFile:
    if isinstance(value, FreezeFile):
        return value
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        raise ValueError("name an iCalendar file beside the plan, for example freeze/2026.ics")
    return FreezeFile(value)


class Many:
    """A list is read into a tuple; with `or_one`, a single scalar stands for a list of one.

    `items`: what items match where there can be very many. A long list is cut after its
    first wrong item: pydantic would hold an error for each.
    """

    def __init__(self, *, or_one: bool = False, items: str = "") -> None:
        self.or_one = or_one
        self.items = re.compile(items)

    def _read(self, value: object, most: int | None) -> object:
        if isinstance(value, list):
            if (
                most is not None and len(value) > most
            ):  # pydantic would hold an error for each item first
                facts = {"field_type": "List", "max_length": most, "actual_length": len(value)}
                raise PydanticKnownError("too_long", facts)
            if len(value) > MAX_TEXTS:
                wrong = (
                    n
                    for n, v in enumerate(value)
                    if not isinstance(v, str) or not self.items.match(v)
                )
                return tuple(value[: next(wrong, len(value)) + 1])
            return tuple(value)
        if self.or_one and isinstance(value, str | int | float):
            return (value,)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        items = handler(source)
        read = partial(self._read, most=items.get("max_length"))
        return core_schema.no_info_before_validator_function(read, items)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        array = handler(schema)
        return {"anyOf": [array["items"], array]} if self.or_one else array


_DURATION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
    "minLength": 2,
    "examples": ["90s", "5m", "1h30m", "2d"],
}
_PAUSE_SCHEMA = {"anyOf": [_DURATION_SCHEMA, {"type": "string", "const": "approval"}]}


def _amount_schema(minimum: int) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "integer", "minimum": minimum, "maximum": MAX_NUMBER},
            {"type": "string", "pattern": r"^([0-9]{1,9}|[0-9]{1,3}(\.[0-9]{1,6})? ?%)$"},
        ],
        "examples": [3, "10%"],
    }


def _written_pause(value: timedelta | str) -> str:
    return value if isinstance(value, str) else format_duration(value)


_write_duration = PlainSerializer(format_duration, return_type=str)
_write_pause = PlainSerializer(_written_pause, return_type=str)
_write_amount: Callable[[Amount], Any] = lambda a: a.number if a.percent is None else str(a)  # noqa: E731
_write = PlainSerializer(_write_amount, return_type=Any, when_used="always")

Duration = Annotated[
    timedelta, BeforeValidator(_duration), _write_duration, WithJsonSchema(_DURATION_SCHEMA)
]
PositiveDuration = Annotated[
    timedelta,
    BeforeValidator(_positive_duration),
    _write_duration,
    WithJsonSchema(_DURATION_SCHEMA),
]
Pause = Annotated[
    timedelta | Literal["approval"],
    PlainValidator(_pause),
    _write_pause,
    WithJsonSchema(_PAUSE_SCHEMA),
]
Budget = Annotated[Amount, BeforeValidator(_amount), _write, WithJsonSchema(_amount_schema(0))]
Size = Annotated[Amount, BeforeValidator(_size), _write, WithJsonSchema(_amount_schema(1))]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(max_length=255)]

Freezing = Annotated[
    FreezeFile,
    PlainValidator(_freeze),
    PlainSerializer(lambda f: f.path, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 1000}),
]


Version = Annotated[Literal[1], BeforeValidator(_integer)]

Ids = Annotated[
    tuple[Id, ...], Field(min_length=1, max_length=MAX_IDS), Many(or_one=True, items=ID_PATTERN)
]


def as_the_cloud_writes(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Ids are UUIDs in lower case (page "Querying Details About ECSs"): one in capitals
    would protect nothing.
    """
    return tuple(server.lower() for server in ids)


Texts = Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_TEXTS), Many(or_one=True)]
TagValues = Annotated[
    tuple[TagValue, ...], Field(min_length=1, max_length=MAX_TEXTS), Many(or_one=True)
]
Sizes = Annotated[tuple[Size, ...], Field(min_length=1, max_length=1000), Many(or_one=True)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Statuses = Annotated[
    tuple[Annotated[int, Field(ge=100, le=599)], ...],
    Field(min_length=1, max_length=20),
    Many(or_one=True),
]
Pauses = Annotated[tuple[Pause, ...], Field(min_length=1, max_length=1000), Many(or_one=True)]


class Part(BaseModel):
    """What every part of a plan has in common: frozen, strict about types, unknown keys refused.

    A model's validator is built when it is used, once for the whole of a document:
    `validate` has to start quickly.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        populate_by_name=True,
        defer_build=True,
    )


class Selector(Part):
    """Which servers. In `servers` the keys are ANDed; in `exclude` any one match
    removes a server.
    """

    ids: Ids | None = Field(None, description="Server ids.")
    ids_from: Text | None = Field(
        None, description="A text file beside the plan, one server id a line, for very long lists."
    )
    names: Texts | None = Field(None, description="Shell globs, for example web-*.")
    tags: dict[TagKey, TagValues] | None = Field(
        None, min_length=1, description="AND between keys, OR in a list of values."
    )
    zones: Texts | None = Field(None, description="Availability zones.")
    flavors: Texts | None = Field(None, description="Flavor ids.")
    server_groups: Texts | None = Field(
        None, description="Ids or names of the cloud's anti-affinity groups."
    )
    enterprise_projects: Texts | None = Field(
        None, description="Ids of enterprise projects; 0 is the default one."
    )
    all: Annotated[Literal[True], BeforeValidator(only_true)] | None = Field(
        None,
        description="Every server of the target. Stands alone; the only way to mean everything.",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are written, in the order of the model."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _says_something(self) -> Selector:
        keys = self.keys
        if not keys:
            raise ValueError(
                "an empty selector selects nothing; write all: true to mean every server"
            )
        if self.all and len(keys) > 1:
            raise ValueError("all: true stands alone; use exclude to leave servers out")
        if self.ids and self.ids_from:
            raise ValueError("ids and ids_from in one selector; use one of them")
        return self


class TcpCheck(Part):
    """The port takes a connection."""

    port: Port


class HttpCheck(Part):
    """A GET to the server's own address. Redirects are not followed; an answer of over 64
    KiB does not pass.
    """

    scheme: Literal["http", "https"] = "https"
    port: Port | None = Field(None, description="Default: 443 for https, 80 for http.")
    path: Annotated[str, StringConstraints(pattern=PATH_PATTERN)] = Field(
        "/", description="With a query, if any."
    )
    host: Annotated[str, StringConstraints(pattern=HOST_PATTERN)] | None = Field(
        None,
        description=(
            "The Host header and the name in the certificate. Default: the address. "
            "Never looked up."
        ),
    )
    verify: bool = Field(
        True, description="Whether the certificate must be valid, for host or for the address."
    )
    status: Statuses = Field((200,), description="The statuses that pass.")
    body: Text | None = Field(None, description="Text that stands in the answer.")


class SshBannerCheck(Part):
    """An SSH server says its version."""

    port: Port = 22


class CheckPart(Part):
    """One question to each server itself: exactly one of the keys."""

    tcp: TcpCheck | None = None
    http: HttpCheck | None = None
    ssh_banner: SshBannerCheck | None = None

    @model_validator(mode="after")
    def _is_one(self) -> CheckPart:
        if sum(x is not None for x in (self.tcp, self.http, self.ssh_banner)) != 1:
            raise ValueError(
                "a check is one of tcp, http and ssh_banner; begin each with its own dash"
            )
        return self

    @property
    def check(self) -> Check:
        """As a schedule holds it."""
        if self.tcp:
            return Check("tcp", self.tcp.port)
        if self.ssh_banner:
            return Check("ssh_banner", self.ssh_banner.port)
        http = self.http or HttpCheck()
        port = http.port or DEFAULT_PORTS[http.scheme]
        host, body = http.host or "", http.body or ""
        return Check("http", port, http.scheme, http.path, host, http.verify, http.status, body)


Baseline = Literal["exclude", "count", "stop"]


class Ready(Part):
    """When a rebooted server counts as back."""

    timeout: PositiveDuration = Field(
        timedelta(minutes=15),
        description="For job and state together, from the cloud's acceptance.",
    )
    stable_for: Duration = Field(
        timedelta(0), description="How long it must stay ready without a miss."
    )
    checks: Annotated[tuple[CheckPart, ...], Field(max_length=MAX_CHECKS), Many()] = Field(
        (),
        description=(
            "What each server is asked at its own address once it runs again; all must pass."
        ),
    )
    baseline: Baseline | None = Field(
        None,
        description="The checks are asked before the run's first wave too. Servers that do not "
        "pass are left out"
        " (exclude), are rebooted without using up a budget when their checks fail again "
        "(count), or stop the run.",
    )

    @model_validator(mode="after")
    def _baseline_asks_something(self) -> Ready:
        if self.baseline and not self.checks:
            raise ValueError("baseline without checks asks nothing; add checks or remove it")
        return self


class PlanRate(Part):
    """A brake: no more than so many servers are asked for in any such period."""

    servers: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    per: PositiveDuration


Spread = Annotated[dict[SpreadKey, Size], Field(min_length=1, max_length=100)]


class Group(Part):
    """Servers with the same rules. Groups run one at a time, in the order of the file."""

    name: Name
    target: Text | None = Field(
        None, description="A target of the configuration. Default: the plan's."
    )
    servers: Selector
    exclude: Selector | None = None
    allow_empty: bool = Field(False, description="No error when the selector matches nothing.")
    order: Literal["shuffle", "listed", "name", "zone"] = Field(
        "shuffle",
        description="shuffle is a stable hash of cycle and id; zone begins with the smallest zone.",
    )
    waves: Sizes = Field(description="Sizes of the waves; the last repeats until all are done.")
    pause: Pauses = Field(
        (timedelta(0),), description="After each wave: a duration or approval; the last repeats."
    )
    max_unavailable: Size | None = Field(
        None,
        description="How many of the group may be down at once, those that are down already "
        "included. A wave waits"
        " for recovery, and the run stops when there is none within ready.timeout.",
    )
    spread: Spread | None = Field(
        None,
        description="Most of one failure domain in one wave, by zone, server_group, "
        "enterprise_project or tag:NAME:"
        " a number, or a percentage of the domain's servers in the group. Takes the place of "
        "the plan's, key by key."
        " No server group goes down as a whole, unless server_group is 100%.",
    )
    rate: PlanRate | None = Field(
        None, description="Most servers of the group asked for in any such period."
    )
    max_failures: Budget | None = Field(
        None, description="How many of the group may fail. Without it only the run's budget counts."
    )
    ready: Ready = Ready.model_construct()
    on_failure: Literal["stop", "approval", "continue"] = Field(
        "stop", description="When the group's budget is exceeded; never lifts the run's."
    )
    bake: Duration = Field(timedelta(0), description="Observed wait at the end of the group.")

    @field_validator("exclude")
    @classmethod
    def _leaves_something(cls, exclude: Selector | None) -> Selector | None:
        if exclude and exclude.all:
            raise ValueError("exclude with all: true leaves no server; name what is to be left out")
        return exclude


class Reboot(Part):
    """How servers are restarted. HARD loses what the guest has not written."""

    type: Literal["SOFT", "HARD"] = "SOFT"


class Limits(Part):
    """A larger plan is refused. `percent` is of the servers visible in the target."""

    servers: Annotated[int, Field(ge=1)] = 200
    percent: Annotated[float, Field(gt=0, le=100)] = 50


class WeeklyWindow(Part):
    """When waves may start: from `start` on each of the days, for `length`. A wave in
    flight always finishes.
    """

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7), Many(or_one=True)] = Field(
        description="The weekdays of the start; it may cross midnight."
    )
    start: ClockTime = Field(description="By the clocks of the time zone, HH:MM.")
    length: PositiveDuration = Field(description="Elapsed time, at most 7d.")
    timezone: Zone = Field(description="An IANA name, for example Europe/Berlin.")
    cutoff: Duration = Field(
        timedelta(0), description="No wave starts in the last part of the window."
    )

    @field_validator("days")
    @classmethod
    def _each_once(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(days)) != len(days):
            raise ValueError("a day is written twice")
        return days

    @field_validator("length")
    @classmethod
    def _a_week_at_most(cls, length: timedelta) -> timedelta:
        if length > WEEK:
            raise ValueError("at most 7d; a plan without windows may start at any time")
        return length

    @field_validator("cutoff")
    @classmethod
    def _leaves_time(cls, cutoff: timedelta, info: ValidationInfo) -> timedelta:
        if cutoff >= info.data.get("length", WEEK):
            raise ValueError("must be shorter than the window, or no wave could ever start")
        return cutoff

    @property
    def window(self) -> Window:
        """The same as plain data."""
        lengths = self.length.total_seconds(), self.cutoff.total_seconds()
        return Window(self.days, self.start, lengths[0], self.timezone, lengths[1])


class PrometheusGate(Part):
    """A query whose every sample must lie within bounds. Without a sample, or with one that
    is no number: closed.
    """

    model_config = ConfigDict(populate_by_name=False)

    source: Name = Field(description="A source of the configuration with `prometheus`.")
    query: Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUERY)] = Field(
        description="PromQL."
    )
    max: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None, description="No sample is over it."
    )
    min: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None, description="No sample is under it."
    )
    lasting: Duration = Field(
        timedelta(0),
        alias="for",
        description="How long it must have been so without a gap, at most 1d.",
    )

    @field_validator("lasting")
    @classmethod
    def _a_day_at_most(cls, lasting: timedelta) -> timedelta:
        if lasting > LONGEST_FOR:
            raise ValueError("at most 1d")
        return lasting

    @model_validator(mode="after")
    def _has_bounds(self) -> PrometheusGate:
        if self.max is None and self.min is None:
            raise ValueError("a query needs max, min, or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError("min is over max, so no value would pass")
        return self


class HttpGate(Part):
    """A GET to a source. Redirects are not followed; an answer of over 64 KiB does not pass."""

    source: Name = Field(description="A source of the configuration with `http`.")
    path: Annotated[str, StringConstraints(pattern=PATH_PATTERN)] = Field(
        "/", description="Below the source's address, with a query, if any."
    )
    status: Statuses = Field((200,), description="The statuses that open.")
    body: Text | None = Field(None, description="Text that stands in the answer.")

    @field_validator("path")
    @classmethod
    def _stays_below(cls, path: str) -> str:
        steps = (
            path.partition("?")[0]
            .lower()
            .replace("%2e", ".")
            .replace("%2f", "/")
            .replace("%5c", "/")
        )
        if any(step in (".", "..") for step in steps.replace("\\", "/").split("/")):
            raise ValueError("must not hold . or .. as a step")
        return path


class GatePart(Part):
    """A condition that is asked before every wave: exactly one of prometheus, alarms and http."""

    name: Name | None = Field(None, description="What reports call it.")
    prometheus: PrometheusGate | None = None
    alarms: Literal["none"] | None = Field(
        None, description="Cloud Eye shows no alarm on a server of the plan."
    )
    http: HttpGate | None = None
    dry_run: bool = Field(False, description="Asked and reported, and decides nothing.")

    @model_validator(mode="after")
    def _is_one(self) -> GatePart:
        if sum(x is not None for x in (self.prometheus, self.alarms, self.http)) != 1:
            raise ValueError(
                "a gate is one of prometheus, alarms and http; begin each with its own dash"
            )
        return self

    @property
    def gate(self) -> Gate:
        """As a schedule holds it."""
        name = self.name or ""
        if self.prometheus:
            p = self.prometheus
            lasting = p.lasting.total_seconds()
            return Gate(
                "prometheus", name, p.source, p.query, p.max, p.min, lasting, dry_run=self.dry_run
            )
        if self.alarms:
            return Gate("alarms", name, dry_run=self.dry_run)
        h = self.http or HttpGate(source="")
        return Gate(
            "http",
            name,
            h.source,
            path=h.path,
            status=h.status,
            body=h.body or "",
            dry_run=self.dry_run,
        )


class Plan(Part):
    """A reboot plan: which servers, in which waves, with which pauses, and when to stop."""

    version: Version = Field(description="Of the format.")
    name: Name = Field(description="The plan's identity, 1 to 63 of a-z, 0-9 and -.")
    description: str | None = Field(None, max_length=2000)
    labels: dict[str, str] = Field(default_factory=dict)
    vars: dict[str, Any] = Field(
        default_factory=dict, description="For templates; --var and --vars-file override."
    )
    target: Text | None = Field(
        None,
        description="A target of the configuration, for groups that name none; --target overrides.",
    )
    cycle: Name | None = Field(
        None,
        description=(
            "The campaign; a server is rebooted at most once in it. Default: the plan's name."
        ),
    )
    reboot: Reboot = Reboot.model_construct()
    limits: Limits = Limits.model_construct()
    max_failures: Budget = Field(
        Amount(number=0), description="How many servers of the run may fail."
    )
    on_unknown: Literal["hold", "retry"] = Field(
        "hold", description="What becomes of servers whose reboot request was lost without a trace."
    )
    wait_at_most: PositiveDuration = Field(
        timedelta(days=7), description="For an approval, a window or gates; then the run stops."
    )
    windows: (
        Annotated[tuple[WeeklyWindow, ...], Field(max_length=MAX_WINDOWS, min_length=1), Many()]
        | None
    ) = Field(None, description="When waves may start. Without it at any time.")
    freeze: (
        Annotated[
            tuple[Freezing, ...], Field(max_length=MAX_FREEZES, min_length=1), Many(or_one=True)
        ]
        | None
    ) = Field(
        None,
        description=(
            "iCalendar files beside the plan; while one of their events is on, no wave starts."
        ),
    )
    gates: (
        Annotated[tuple[GatePart, ...], Field(max_length=MAX_GATES, min_length=1), Many()] | None
    ) = Field(
        None,
        description="Asked before every wave. All must be open; one that cannot answer is closed.",
    )
    spread: Spread | None = Field(
        None, description="Of every group: most of one failure domain in one wave; see the group's."
    )
    rate: PlanRate | None = Field(
        None,
        description=(
            "Most servers of the run asked for in any such period, besides the target's own quota."
        ),
    )
    retry_of: RunId | None = Field(
        None,
        description=(
            "The run whose failed servers this plan repeats, in the same cycle; `retry` writes it."
        ),
    )
    groups: Annotated[tuple[Group, ...], Field(min_length=1, max_length=MAX_GROUPS), Many()] = (
        Field(description="One at a time, in this order.")
    )

    @field_validator("gates")
    @classmethod
    def _gates_once(cls, gates: tuple[GatePart, ...] | None) -> tuple[GatePart, ...] | None:
        names = [g.name for g in gates or () if g.name]
        if len(set(names)) != len(names):
            raise ValueError("two gates have the same name")
        return gates

    @property
    def asking(self) -> tuple[Gate, ...]:
        """The gates as a schedule holds them."""
        return tuple(g.gate for g in self.gates or ())

    @property
    def campaign(self) -> str:
        """The cycle, or the plan's name where none is written."""
        return self.cycle or self.name

    @property
    def opening(self) -> tuple[Window, ...]:
        """The windows as plain data; none mean any time."""
        return tuple(w.window for w in self.windows or ())

    def frozen(self, now: datetime) -> tuple[Freeze, ...]:
        """What the freezes close from a moment on, for as long as anybody looks ahead.

        Days and times without a zone are of the calendar's zone, else of the first
        window's, else of UTC. Raises ValueError for a file that the loader has not read: a
        freeze that is not known must never look like none.
        """
        return join(freeze for file in self.freeze or () for freeze in self.frozen_by(file, now))

    def frozen_by(self, file: FreezeFile, now: datetime) -> tuple[Freeze, ...]:
        """Return what one of the freezes closes in the same time. Raises ValueError as
        `frozen` does.
        """
        if file.calendar is None:
            raise ValueError("a freeze that was not read")
        zone = self.windows[0].timezone if self.windows else "UTC"
        return file.calendar.closed(now, now + HORIZON, zone)

    def spread_of(self, group: Group) -> dict[str, Amount]:
        """The rules of spread that hold for one of its groups: the plan's, and over them
        the group's own.
        """
        return {**(self.spread or {}), **(group.spread or {})}
