"""The saved schedule as a schema: what `load` accepts and `schemas/schedule.schema.json` publishes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field

from runner.model.plan import (
    CLOCK_PATTERN,
    HOST_PATTERN,
    MAX_FREEZES,
    MAX_GATES,
    MAX_QUERY,
    MAX_WINDOWS,
    NAME_PATTERN,
    PATH_PATTERN,
    RUN_PATTERN,
    SPREAD_PATTERN,
    Day,
    Zone,
)

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
ServerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
Word = Annotated[str, Field(min_length=1, max_length=1000)]
Line = Annotated[str, Field(max_length=1000)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]
Seconds = Annotated[float, Field(ge=0, le=366 * 86_400, allow_inf_nan=False)]

_T = TypeVar("_T")
Several = Annotated[list[_T], FailFast()]
"""A list of any length. Its first wrong item is reported: the errors of a million would take gigabytes."""


def _instant(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without a zone")
    return text


Instant = Annotated[str, Field(max_length=40), AfterValidator(_instant)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PlanPart(_Part):
    """The plan the schedule was made from."""

    name: Name
    digest: Digest = Field(description="Of the rendered plan, without free text.")
    file: Line = Field(description="Where it was read, for people.")
    description: Annotated[str, Field(max_length=2000)]


class TargetPart(_Part):
    """Where the servers are."""

    name: Word
    cloud: Word
    region: Line
    project_id: Line


class AllowancePart(_Part):
    """A budget as written and the integer it came to."""

    written: Annotated[str, Field(pattern=r"^(\d{1,9}|\d{1,3}(\.\d{1,6})?%)$")]
    of: Count = Field(description="The base of a percentage.")
    allowed: Count = Field(description="So many may fail; one more stops.")


class CheckPart(_Part):
    """What each server is asked itself. The fields after `port` are those of http and empty for the others."""

    kind: Literal["tcp", "http", "ssh_banner"]
    port: Annotated[int, Field(ge=1, le=65_535)]
    scheme: Literal["", "http", "https"]
    path: Annotated[str, Field(pattern=f"{PATH_PATTERN}|^$")]
    host: Annotated[str, Field(pattern=f"{HOST_PATTERN}|^$")]
    verify: bool
    status: list[Annotated[int, Field(ge=100, le=599)]] = Field(max_length=20)
    body: Line


class SpreadPart(_Part):
    """Most of one failure domain in one wave."""

    key: Annotated[str, Field(pattern=SPREAD_PATTERN)]
    written: Annotated[str, Field(pattern=r"^(\d{1,9}|\d{1,3}(\.\d{1,6})?%)?$")] = Field(
        description="As in the plan; empty: never a whole server group, which holds without being written."
    )
    domains: Count = Field(description="In how many the group's servers lie.")
    most: Count = Field(description="Servers of one domain in one wave; where that differs, the largest number.")


class RatePart(_Part):
    """No more than so many servers are asked for in any such period."""

    servers: Annotated[int, Field(ge=1, le=999_999_999)]
    per_s: Annotated[float, Field(gt=0, le=366 * 86_400, allow_inf_nan=False)]


class GroupPart(_Part):
    """The rules of one group as numbers."""

    name: Name
    target: Word
    selected: Count = Field(description="Servers that the selector matches.")
    eligible: Count = Field(description="Those that no exclusion takes away: the base of percentages.")
    order: Literal["shuffle", "listed", "name", "zone"]
    max_failures: AllowancePart | None
    on_failure: Literal["stop", "approval", "continue"]
    ready_timeout_s: Seconds
    stable_for_s: Seconds
    bake_s: Seconds
    checks: list[CheckPart] = Field([], max_length=10, description="Left out where there are none.")
    baseline: Literal["exclude", "count", "stop"] | None = Field(
        None, description="What becomes of servers that do not pass before the first wave; left out where not asked."
    )
    max_unavailable: AllowancePart | None = Field(
        None, description="Servers of the group that may be down at once, those already down included."
    )
    spread: Several[SpreadPart] = []
    rate: RatePart | None = None
    support: bool = Field(
        False, description="The runner depends on these servers: they go down after all groups. Left out where false."
    )


class WindowPart(_Part):
    """When waves may start, by the clocks of a time zone; the days are those of the start."""

    days: list[Day] = Field(min_length=1, max_length=7)
    start: Annotated[str, Field(pattern=CLOCK_PATTERN)]
    length_s: Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]
    timezone: Zone
    cutoff_s: Annotated[float, Field(ge=0, lt=7 * 86_400, allow_inf_nan=False)]


class GatePart(_Part):
    """What is asked before each wave. Fields that are not of its kind are empty."""

    kind: Literal["prometheus", "alarms", "http"]
    name: Name | Literal[""]
    source: Name | Literal[""]
    query: Annotated[str, Field(max_length=MAX_QUERY)]
    max: Annotated[float, Field(allow_inf_nan=False)] | None
    min: Annotated[float, Field(allow_inf_nan=False)] | None
    for_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    path: Annotated[str, Field(pattern=f"{PATH_PATTERN}|^$")]
    status: list[Annotated[int, Field(ge=100, le=599)]] = Field(max_length=20)
    body: Line
    dry_run: bool = Field(description="Asked and reported, and decides nothing.")


class PausePart(_Part):
    """What follows a wave."""

    kind: Literal["timed", "approval"]
    seconds: Seconds


class ServerPart(_Part):
    """A server: the id decides, name and zone are for people."""

    id: ServerId
    name: Line
    zone: Line


class ServersPart(_Part):
    """A piece of a wave's servers."""

    servers: Several[ServerPart]


class WavePart(_Part):
    """Servers that go down together."""

    number: Annotated[int, Field(ge=1)] = Field(description="From 1 over the whole run.")
    group: Name
    written: Annotated[str, Field(pattern=r"^(\d{1,9}|\d{1,3}(\.\d{1,6})?%)$")] = Field(
        description="The size as in the plan; the servers are what it came to."
    )
    is_canary: bool = Field(description="The first wave of its group, and a single server.")
    pause: PausePart = Field(description="After the wave; after the run's last, a wait of 0 s.")
    held_by: Several[Word] = Field([], description="The rules of spread that made it smaller than written.")
    servers: Several[ServerPart] = Field(min_length=1)


class _WhyPart(_Part):
    group: Name
    reason: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]{0,63}$")] = Field(description="A stable word.")
    detail: Line = Field(description="A sentence, for people.")
    named: bool = Field(default=False, description="The group's `servers` names it by its id.")


class ExclusionPart(ServerPart, _WhyPart):
    """A server that a group's selector matches and the schedule leaves out of that group."""


class ExcludedServerPart(ServerPart):
    """A server of several that are left out for the same reason."""

    detail: Line = Field("", description="If it is another than that of the entry.")


class ExcludedServersPart(_Part):
    """A piece of such a list."""

    servers: Several[ExcludedServerPart]


class ExclusionsPart(_WhyPart):
    """Several such servers with the same reason."""

    servers: Several[ExcludedServerPart] = Field(min_length=1)


class WorstCasePart(_Part):
    """The most servers taken down together, and the most that can fail before the run stops by itself."""

    down_at_once: Count = Field(description="The largest wave. Servers that failed before it may still be down.")
    failures_before_stop: Count = Field(description="As the waves show them.")
    wave: int | None = Field(description="The wave in which the most failures are reached.")
    failures_in_bake: Count = Field(
        0, description="If servers come back ready and only the bake of their group loses them. Missing: no bake."
    )


class ScheduleDocument(_Part):
    """Servers assigned to waves: what people review and a run executes. Seconds are numbers."""

    format_version: Literal[1]
    digest: Digest = Field(description="Over everything but times, names and sentences.")
    inventory_digest: Digest = Field(description="Over what the plan saw of the fleet: it changes when the fleet does.")
    made_at: Annotated[str, Field(max_length=40)]
    plan: PlanPart
    cycle: Name = Field(description="The campaign; a server is rebooted at most once in it.")
    targets: Several[TargetPart] = Field(min_length=1)
    reboot_type: Literal["SOFT", "HARD"]
    on_unknown: Literal["hold", "retry"]
    wait_at_most_s: Seconds
    windows: list[WindowPart] = Field([], max_length=MAX_WINDOWS, description="None mean any time.")
    calendars: list[Digest] = Field([], max_length=MAX_FREEZES, description="Of the files of freezes.")
    freezes: list[Annotated[list[Instant], Field(min_length=2, max_length=2)]] = Field(
        [], max_length=100_000, description="What the calendars close, begin and end, for 400 days from `made_at`."
    )
    gates: list[GatePart] = Field([], max_length=MAX_GATES, description="Asked before every wave; all must be open.")
    max_failures: AllowancePart = Field(description="Of the run.")
    visible: Count = Field(description="Servers that the target showed.")
    groups: Several[GroupPart] = Field(min_length=1)
    waves: Several[WavePart]
    excluded: Several[ExclusionPart | ExclusionsPart]
    worst_case: WorstCasePart
    rate: RatePart | None = Field(None, description="Of the run, besides the target's own quota.")
    retry_of: Annotated[str, Field(pattern=RUN_PATTERN)] | None = Field(
        None, description="The run whose failed servers go down once more in the cycle."
    )
