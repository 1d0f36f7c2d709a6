"""What `diff -o json` prints, as a schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.model.schedule import Schedule, ServerRef
from runner.model.shape import Count


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


ResultWord = Annotated[
    Literal["changes", "done", "invalid", "error", "denied", "held", "stale"],
    Field(description="`changes`: there are servers to reboot; `done`: there is nothing to do; else what went wrong."),
]


class CountsPart(_Part):
    """How many servers are scheduled, in how many waves, how many are excluded, how many the target shows."""

    servers: Count
    waves: Count
    excluded: Count
    visible: Count


class WaveForecastPart(_Part):
    """Seconds since the run's start: first request sent, last server ready."""

    number: int
    start_s: float
    end_s: float


class ForecastPart(_Part):
    """The expected course; approvals are taken to be given at once."""

    waves: list[WaveForecastPart]
    total_s: float
    approvals: Count
    reboot_s: float = Field(description="How long one reboot is taken to last.")


class WindowPart(_Part):
    """The open time that is on, or the next one. Times are ISO 8601 with a zone; null where none is in sight."""

    open: bool = Field(description="Whether a wave may start at this moment.")
    why: str | None = Field(description="Why not.")
    begins: str | None
    starts_until: str | None = Field(description="Waves start before this; null where nothing closes it.")
    ends: str | None
    waves_fit: Count = Field(description="So many of the waves left fit into it, one after the other.")
    waves_left: Count
    too_long: list[int] = Field(description="Numbers of the waves that fit into no window.")
    gives_up: str | None = Field(description="When a run begun now would stop, where nothing opens before that.")


class GateNowPart(_Part):
    """A gate, and what it answers now: no promise for the moment at which a wave begins."""

    gate: str = Field(description="Its name, else what and whom it asks.")
    asks: str = Field(description="The condition, in words.")
    dry_run: bool = Field(description="It decides nothing.")
    at: str | None = Field(description="When it was asked; null where it was not.")
    state: Literal["open", "closed", "cannot_tell"] | None
    value: str | None
    reason: str | None


class ScalingGroupPart(_Part):
    """An auto-scaling group of which servers are rebooted."""

    id: str
    name: str
    audit_minutes: int | None = Field(description="How often it judges health; null where that is not said.")
    is_scaling: bool
    servers: list[ServerRef]


class EventPart(_Part):
    """What the provider plans to do with a server that is rebooted. Times as the cloud writes them."""

    id: str
    type: str
    state: str
    begins: str | None
    ends: str | None
    server: ServerRef


class SurroundingsPart(_Part):
    """What other services of the cloud know of the servers that are rebooted: advice, and no part of the schedule."""

    servers_in_scaling_groups: Count
    servers_with_events: Count
    scaling_groups: list[ScalingGroupPart]
    events: list[EventPart]
    unread: list[str] = Field(description="What could not be read, a sentence each: nothing is known of it.")


class ProblemPart(_Part):
    """What is wrong and where; line and column count from 1."""

    code: str
    severity: Literal["error", "warning"]
    message: str
    hint: str | None
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None


class ErrorPart(_Part):
    """An error that is no problem of the plan's."""

    message: str
    hint: str | None


class LiftPart(_Part):
    """A belt that the plan loosens against its form in the other revision."""

    what: str = Field(description="Which belt and how: `limits.servers raised`.")
    before: str
    after: str
    path: list[str | int] = Field(description="Its place in the plan.")


class TotalsPart(_Part):
    """A schedule in three numbers."""

    servers: Count
    waves: Count
    largest: Count = Field(description="Servers of the largest wave.")


class PlacePart(_Part):
    """Where a server goes down."""

    group: str
    wave: int
    is_canary: bool


class MovePart(_Part):
    """A server that changed its group, or became or ceased to be a canary."""

    server: ServerRef
    before: PlacePart
    after: PlacePart


class GroupWavesPart(_Part):
    """The sizes of a group's waves in order, where they are others than before."""

    group: str
    before: list[Count]
    after: list[Count]


class SettingPart(_Part):
    """A rule that changed."""

    what: str
    before: str
    after: str


class ChangesPart(_Part):
    """From the other revision's schedule to this one, against the same cloud."""

    before: TotalsPart
    after: TotalsPart
    added: list[ServerRef]
    removed: list[ServerRef]
    moved: list[MovePart]
    shifted: Count = Field(description="Servers in an earlier or later wave of the same group.")
    waves: list[GroupWavesPart]
    settings: list[SettingPart]


class SinceBasePart(_Part):
    """The plan against itself in another revision."""

    revision: str = Field(description="As the caller wrote it.")
    commit: str
    file: str | None = Field(description="Where the plan is in that revision; null for a new plan.")
    renamed: bool
    notes: list[str] = Field(description="What could not be compared, and why.")
    lifts: list[LiftPart] = Field(description="The belts that this plan loosens.")
    changes: ChangesPart | None


class SinceRunPart(_Part):
    """The plan against its last run on the target."""

    run: str
    created: str
    state: str
    outcome: str = Field(description="That run in a line.")
    added: list[ServerRef] = Field(description="Servers that go down now and were not part of that run.")
    removed: list[ServerRef] = Field(description="Servers of that run that the plan does not select any more.")


class SelectedPart(_Part):
    """Which plans a range of commits selected, beside those in `plans`."""

    base: str
    head: str
    deleted: list[str]
    renamed: dict[str, str] = Field(description="New file to old.")
    unchanged: Count


class PlanDiffPart(_Part):
    """One plan."""

    file: str
    result: ResultWord
    summary: str = Field(description="The totals in a sentence.")
    counts: CountsPart | None
    forecast: ForecastPart | None
    window: WindowPart | None = Field(description="Null for a plan without windows and freezes.")
    gates: list[GateNowPart]
    surroundings: SurroundingsPart | None = Field(description="Null where nobody asked.")
    schedule: Schedule | None
    problems: list[ProblemPart]
    error: ErrorPart | None
    next: str | None = Field(description="The command that runs exactly this.")
    since_base: SinceBasePart | None
    since_run: SinceRunPart | None


class DiffDocument(_Part):
    """A dry-run of one or several plans against the live cloud. `result` is the exit code as a word."""

    format_version: Literal[1]
    result: ResultWord
    plans: list[PlanDiffPart]
    selected: SelectedPart | None = Field(description="With `--changed`: what the range of commits selected.")
