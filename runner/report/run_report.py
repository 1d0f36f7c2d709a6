"""What a report holds: frozen data from which every rendering is made. Its JSON form is the
published schema.

Times are aware UTC of the run's clock, but `job_began` and `job_ended`, which the cloud
tells. Lengths are seconds. Text is as it was written or received: who shows it makes it
harmless for the channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runner.model.gate import GateState
from runner.model.run import BatchPhase, Evidence, Phase, ServerWord
from runner.model.schedule import Allowance, PlanRef, Target
from runner.model.shape import Shaped

FORMAT_VERSION: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class Counts(Shaped):
    """How many servers stand where. All of them add up to `scheduled`."""

    scheduled: int
    ready: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    not_started: int = 0
    in_doubt: int = 0
    """Without an outcome yet: it is not known whether the cloud accepted the request for it."""
    in_flight: int = 0
    """Without an outcome yet: the cloud accepted a request for it, and its reboot is followed."""
    pending: int = 0
    """Without an outcome yet: no request holds it."""


@dataclass(frozen=True, slots=True)
class Percentiles(Shaped):
    """How long something took for `servers` servers. Percentiles are nearest ranks: values
    that really occurred.
    """

    servers: int
    p50_s: float
    p90_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class StopPart(Shaped):
    """Why the run started nothing more."""

    at: datetime
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Approval(Shaped):
    """A question that the run asked, and who answered it."""

    question: str
    why: str
    wave: int
    """The wave that waits for the answer."""
    asked: datetime
    given: datetime | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class GateAnswerPart(Shaped):
    """What a gate answered before a wave. The journal has the first answers of each wave,
    and changes.
    """

    at: datetime
    wave: int
    gate: str
    """Its name, else what and whom it asks."""
    asks: str
    """The condition, in words."""
    dry_run: bool
    """It decides nothing."""
    state: GateState
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class DecisionPart(Shaped):
    """What a person decided."""

    at: datetime
    kind: Literal["approve", "cancel", "resolve", "override"]
    about: str
    """The question, the server's id and what it was resolved as, or the wave that began
    outside a window.
    """
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CoursePart(Shaped):
    """One step of the run's course, for people."""

    at: datetime
    event: str
    """The type of the journal's event."""
    sentence: str


@dataclass(frozen=True, slots=True)
class NextStep(Shaped):
    """What a person should do. `command` is a whole line for a shell, empty where none does it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class BatchPart(Shaped):
    """One reboot request and what became of it."""

    number: int
    state: BatchPhase
    target: str
    servers: tuple[str, ...]
    """Ids."""
    sender: str
    """The process that sent it."""
    intended: datetime
    answered: datetime | None
    job_id: str | None
    job_ended: datetime | None
    """When its job was seen to be final."""
    request_id: str | None
    """The cloud's id of the request, for its support."""
    code: str | None
    reason: str
    looks: int
    """How often its servers were read because its answer was missing."""


@dataclass(frozen=True, slots=True)
class WavePart(Shaped):
    """One wave's course."""

    number: int
    group: str
    written: str
    """The size as in the plan."""
    is_canary: bool
    started: datetime | None
    checked: datetime | None
    """When its servers had been read, and the unfit ones skipped."""
    ended: datetime | None
    duration_s: float | None
    counts: Counts
    batches: tuple[BatchPart, ...]


@dataclass(frozen=True, slots=True)
class ServerTimes(Shaped):
    """One server's way. What did not happen, or was not seen, is null."""

    intended: datetime | None
    """The request for it was written down, just before it was sent."""
    accepted: datetime | None
    job_began: datetime | None
    """Told by the cloud's clock."""
    job_ended: datetime | None
    """Told by the cloud's clock."""
    up_since: datetime | None
    """Seen ACTIVE without a task, and so ever since."""
    healthy_since: datetime | None
    """Its own checks passed, and did so ever since; null where the plan has none."""
    ended: datetime | None
    """Its outcome was decided."""
    lost: datetime | None
    """It had been ready, and the bake of its group gave it up."""


@dataclass(frozen=True, slots=True)
class ServerPart(Shaped):
    """What became of one server."""

    id: str
    name: str
    zone: str
    group: str
    wave: int
    outcome: ServerWord
    """The outcome, or where a server without one stands: `in_doubt`, `in_flight` or `pending`."""
    phase: Phase
    """Where a server without an outcome is; `ended` for all others."""
    reason: str
    """A code that `reasons` explains; empty without an outcome."""
    detail: str
    evidence: Evidence
    """How much was seen of its reboot."""
    unhealthy_before: str
    """What its checks answered before the first wave, where `ready.baseline` counts that
    apart; else empty.
    """
    attempts: int
    """Requests that were written down for it. More than one reboot can come of them only
    where one is doubtful.
    """
    batch: int | None
    """The last request that held it."""
    job_id: str | None
    request_id: str | None
    times: ServerTimes
    reboot_s: float | None
    """How long the cloud took for its part of the job, by the cloud's clock."""
    out_s: float | None
    """From the cloud's acceptance until it was seen back."""
    resolution: Mapping[str, str] | None
    """What a person said of it: `as`, `by`, `reason`."""


@dataclass(frozen=True, slots=True)
class UnknownPart(Shaped):
    """A server of which nobody can say whether it was rebooted, and what was seen of it."""

    id: str
    name: str
    wave: int
    reason: str
    seen: str
    intended: datetime | None
    batch: int | None
    job_id: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class ExcludedPart(Shaped):
    """A server that a group's selector matched and the schedule left out of that group."""

    id: str
    name: str
    zone: str
    group: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class RunReport(Shaped):
    """What happened in one run of reboot-runner, as its journal tells. Equal journals give
    equal reports.
    """

    format_version: Literal[1]
    run: str
    """Its id."""
    state: str
    """`running`, `waiting`, `suspended` or `held` while it is open, then `done`, `stopped`
    or `cancelled`.
    """
    result: Literal["done", "incomplete", "stopped", "suspended", "held"]
    """The exit code as a word."""
    exit_code: int
    summary: str
    """The totals in a sentence."""
    next: tuple[NextStep, ...]
    """What a person must do, the most urgent first; empty when nothing is left to do."""
    created: datetime
    ended: datetime | None
    as_of: datetime
    """The time of the last event that the report knows."""
    duration_s: float
    """From its creation to its end, or to `as_of`."""
    tool_version: str
    """The version that began the run."""
    actor: str
    commit: str
    ci_run: str
    clock: str
    """`simulated clock, 30 times real time` where all times of the run are of such a clock;
    else empty.
    """
    store_begun: bool
    """The store held no run before this one: earlier reboots of the cycle were not known to it."""
    plan: PlanRef
    schedule_digest: str
    cycle: str
    targets: tuple[Target, ...]
    reboot_type: Literal["SOFT", "HARD"]
    max_failures: Allowance
    counts: Counts
    failed_before: int
    """How many of the failed did not pass their checks before the first wave either: they
    use up no budget.
    """
    reboot: Percentiles | None
    """How long the cloud took to reboot a server, by the cloud's clock."""
    out: Percentiles | None
    """From the cloud's acceptance until a server was seen back, of those that are ready."""
    stop: StopPart | None
    waits_for: Approval | None
    """The open question."""
    approvals: tuple[Approval, ...]
    decisions: tuple[DecisionPart, ...]
    gates: tuple[GateAnswerPart, ...]
    """What gates answered, in the order of asking."""
    waves: tuple[WavePart, ...]
    unknown: tuple[UnknownPart, ...]
    servers: tuple[ServerPart, ...]
    """Every scheduled server, in the order of the waves."""
    not_scheduled: tuple[ExcludedPart, ...]
    """Servers that the plan means and no wave holds, each once: locked or stopped ones, for
    example. They were not rebooted, and count beside the scheduled ones.
    """
    excluded: tuple[ExcludedPart, ...]
    """All that the schedule left out of its groups, with those that `exclude` removes or
    that the cycle had before.
    """
    course: tuple[CoursePart, ...]
    """The run's course in sentences."""
    reasons: Mapping[str, str]
    """The reason codes that occur in this report, explained."""
