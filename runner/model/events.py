"""The vocabulary of a journal: one frozen class for each type of event, and the envelope that
holds it.

The journal is the truth about a run. Progress is data, not a position in code: a newer
version of the tool goes on with an older journal as long as the classes here read it.
`store.event_json` writes and reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

from runner.model.gate import GateAnswer
from runner.model.job import Refusal
from runner.model.schedule import Schedule

FORMAT = 1
"""The format of the envelope."""


class Outcome(StrEnum):
    """How a server ends. Each has exactly one."""

    READY = "ready"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    NOT_STARTED = "not_started"

    @property
    def counts_as_failed(self) -> bool:
        """Whether it uses up a failure budget: what is unknown is as bad as what failed."""
        return self in (Outcome.FAILED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """A request for a server by an earlier run of the cycle, which may have reached the cloud.

    `updated`: the server's value before it. `known_reboot`: the last reboot that a person
    knew of who made the server eligible again at `resolved`; later ones count alone.
    """

    run: str
    at: datetime
    updated: str | None = None
    resolved: datetime | None = None
    known_reboot: datetime | None = None


class Why(NamedTuple):
    """A stable reason code and its sentence, which may hold text of the cloud or of the plan."""

    reason: str
    detail: str


class Ended(NamedTuple):
    """How a server ended."""

    outcome: Outcome
    reason: str
    detail: str = ""


class SubJobEnd(NamedTuple):
    """The end of one server's sub-job, with the cloud's times."""

    status: str
    began: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class RunCreated:
    """The first event. `facts`: tool version, actor, commit and the like. `baseline`:
    `updated` of each scheduled server. `skipped`: servers of a saved schedule that are out
    before the run begins. `plan`: the compiled plan, from which the run can be repeated.
    `earlier`: what earlier runs of the cycle asked for. `repeats`: the runs that this one
    repeats, the last one first.
    """

    type: ClassVar = "run.created"
    schedule: Schedule
    facts: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, str | None] = field(default_factory=dict)
    skipped: Mapping[str, Why] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[str, EarlierRequest] = field(default_factory=dict)
    repeats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BaselineChecked:
    """A group's servers were asked before the first wave. `unhealthy`: what their
    checks answered.
    """

    type: ClassVar = "baseline.checked"
    group: str
    asked: int
    unhealthy: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WaveStarted:
    type: ClassVar = "wave.started"
    wave: int


@dataclass(frozen=True, slots=True)
class GatesAsked:
    """The first answers before a wave, and changes. In the order of the schedule's gates."""

    type: ClassVar = "gates.asked"
    wave: int
    answers: tuple[GateAnswer, ...]


@dataclass(frozen=True, slots=True)
class WaveHeld:
    """The wave would take down more of its group than is allowed."""

    type: ClassVar = "wave.held"
    wave: int
    unavailable: int
    allowed: int
    down: int


@dataclass(frozen=True, slots=True)
class WaveBusy:
    """Servers of the wave have passing tasks: they are read again for a while."""

    type: ClassVar = "wave.busy"
    wave: int


@dataclass(frozen=True, slots=True)
class ServersBlocked:
    """Servers that another run holds: id -> that run."""

    type: ClassVar = "servers.blocked"
    servers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WaveChecked:
    """Servers were read before they are asked for. `fit`: id -> `updated`."""

    type: ClassVar = "wave.checked"
    wave: int
    fit: Mapping[str, str | None]
    skipped: Mapping[str, Why]


@dataclass(frozen=True, slots=True)
class WaveEnded:
    type: ClassVar = "wave.ended"
    wave: int


@dataclass(frozen=True, slots=True)
class BatchIntended:
    """The intent of one request, durable before it leaves.

    `sender`: the process. `valid_until`: the cloud accepts the request no later than that,
    however late it arrives; None where it may always do.
    """

    type: ClassVar = "batch.intended"
    batch: int
    wave: int
    target: str
    servers: tuple[str, ...]
    attempt: int = 1
    sender: Mapping[str, Any] = field(default_factory=dict)
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchAccepted:
    """The cloud has a job for the batch. `late`: stored by a process without the lease,
    after the fact.
    """

    type: ClassVar = "batch.accepted"
    batch: int
    job: str
    request_id: str | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    batch: int
    reason: str = ""
    code: str | None = None
    status: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class BatchDenied(_Answer):
    """Credentials or permission are missing: nothing was touched."""

    type: ClassVar = "batch.denied"


@dataclass(frozen=True, slots=True)
class BatchAmbiguous(_Answer):
    """Nobody knows whether the cloud accepted the request."""

    type: ClassVar = "batch.ambiguous"


@dataclass(frozen=True, slots=True)
class BatchRefused(_Answer):
    """The cloud refused the request. `why`: each reason that it gave."""

    type: ClassVar = "batch.refused"
    why: tuple[Refusal, ...] = (Refusal.OTHER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNotSent(_Answer):
    """The request did not leave. `again`: not before."""

    type: ClassVar = "batch.not_sent"
    again: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchThrottled(_Answer):
    """`again`: not before."""

    type: ClassVar = "batch.throttled"
    again: datetime


BatchAnswer: TypeAlias = BatchDenied | BatchAmbiguous | BatchRefused | BatchNotSent | BatchThrottled
"""Answers that are no acceptance."""


@dataclass(frozen=True, slots=True)
class BatchLooked:
    """Evidence was read for servers of a batch in doubt, or of one whose job failed.

    `adopted` were rebooted and are followed by their state; `proven` were rebooted as well,
    but their job has failed. `seen`: words for the others, of which nothing is decided yet.
    `round`: whether the reading counts for the proof that there is no trace.
    """

    type: ClassVar = "batch.looked"
    batch: int
    adopted: tuple[str, ...]
    seen: Mapping[str, str]
    proven: tuple[str, ...] = ()
    round: bool = True


@dataclass(frozen=True, slots=True)
class BatchSettled:
    """A batch in doubt is decided: `again` goes back to waiting, all its others have ended
    or were adopted.
    """

    type: ClassVar = "batch.settled"
    batch: int
    again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServersRechecked:
    """Servers whose request was turned away were read again.

    `fit` wait again, `moving` were rebooted and are followed by their state, `doubted` show
    a sign that proves nothing.
    """

    type: ClassVar = "servers.rechecked"
    fit: tuple[str, ...]
    moving: tuple[str, ...]
    doubted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JobPolled:
    """Sub-jobs that ended, by server id. `final`: the whole job is over."""

    type: ClassVar = "job.polled"
    batch: int
    servers: Mapping[str, SubJobEnd]
    final: bool = False


@dataclass(frozen=True, slots=True)
class ServersFailing:
    """A job failed for servers, or did not end in time: they are looked at before they
    are judged.
    """

    type: ClassVar = "servers.failing"
    servers: Mapping[str, Why]


@dataclass(frozen=True, slots=True)
class JobLost:
    """A job cannot be followed any more."""

    type: ClassVar = "job.lost"
    batch: int
    why: str


@dataclass(frozen=True, slots=True)
class ServersObserved:
    """Rebooted servers that run again, and those that fell down once more."""

    type: ClassVar = "servers.observed"
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServersChecked:
    """Servers whose checks pass now, and those of which one no longer does, with its words."""

    type: ClassVar = "servers.checked"
    passed: tuple[str, ...]
    missed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TargetFailed:
    """A target cannot be used: its groups begin nothing more, those of others go on."""

    type: ClassVar = "target.failed"
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class ServersEnded:
    type: ClassVar = "servers.ended"
    servers: Mapping[str, Ended]


ResolvedAs = Literal["rebooted", "not-rebooted", "reboot-again"]


@dataclass(frozen=True, slots=True)
class ServerResolved:
    """A person said what became of a server. `seen`, `updated`, `last_reboot`: what the
    cloud showed then.
    """

    type: ClassVar = "server.resolved"
    server: str
    resolved_as: ResolvedAs
    by: str
    reason: str
    seen: str | None = None
    updated: str | None = None
    last_reboot: str | None = None


@dataclass(frozen=True, slots=True)
class PauseStarted:
    type: ClassVar = "pause.started"
    after: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BakeStarted:
    type: ClassVar = "bake.started"
    group: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BakeObserved:
    """Ready servers that are not well now, with words, and those that are again."""

    type: ClassVar = "bake.observed"
    group: str
    missed: Mapping[str, str]
    back: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServersLost:
    """Servers that were ready and are not any more: they count as failed."""

    type: ClassVar = "servers.lost"
    group: str
    servers: Mapping[str, Why]


@dataclass(frozen=True, slots=True)
class BakeEnded:
    type: ClassVar = "bake.ended"
    group: str
    ready: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class WindowAwaited:
    """`until`: when the wave can begin, if that is known. `current`: only the calendars of
    the moment close it.
    """

    type: ClassVar = "window.awaited"
    wave: int
    why: str
    until: datetime | None = None
    current: bool = False


@dataclass(frozen=True, slots=True)
class WindowOverridden:
    """A person lets a wave begin outside windows or in a freeze. `why`: what closed it."""

    type: ClassVar = "window.overridden"
    wave: int
    why: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """`wave`: the one that comes next."""

    type: ClassVar = "approval.asked"
    question: str
    why: str
    wave: int


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """An answer to the open question. `wave`: the one that comes next; `schedule`: the
    digest that was approved.
    """

    type: ClassVar = "approval.given"
    question: str
    by: str
    reason: str = ""
    wave: int = 0
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class BudgetPassed:
    """A group's budget is exceeded, and the plan says to go on."""

    type: ClassVar = "budget.passed"
    group: str
    why: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    type: ClassVar = "cancel.requested"
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunStopping:
    """Nothing more is started; what is in flight is followed to its end."""

    type: ClassVar = "run.stopping"
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunSuspended:
    """Nobody is at the run. `word`: `held` where the halt flag is why; else empty."""

    type: ClassVar = "run.suspended"
    why: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed:
    type: ClassVar = "run.resumed"


@dataclass(frozen=True, slots=True)
class RunError:
    type: ClassVar = "run.error"
    error: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    type: ClassVar = "run.ended"
    word: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """For people only."""

    type: ClassVar = "note"
    text: str


EventData: TypeAlias = (
    RunCreated
    | BaselineChecked
    | WaveStarted
    | GatesAsked
    | WaveHeld
    | WaveBusy
    | ServersBlocked
    | WaveChecked
    | WaveEnded
    | BatchIntended
    | BatchAccepted
    | BatchDenied
    | BatchAmbiguous
    | BatchRefused
    | BatchNotSent
    | BatchThrottled
    | BatchLooked
    | BatchSettled
    | ServersRechecked
    | JobPolled
    | ServersFailing
    | JobLost
    | ServersObserved
    | ServersChecked
    | TargetFailed
    | ServersEnded
    | ServerResolved
    | PauseStarted
    | BakeStarted
    | BakeObserved
    | ServersLost
    | BakeEnded
    | WindowAwaited
    | WindowOverridden
    | ApprovalAsked
    | ApprovalGiven
    | BudgetPassed
    | CancelRequested
    | RunStopping
    | RunSuspended
    | RunResumed
    | RunError
    | RunEnded
    | Note
)

EVENTS: Mapping[str, type[EventData]] = {kind.type: kind for kind in get_args(EventData)}
"""By the name that journals write."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a journal. `seq` counts from 1; `at` is the run's clock, aware UTC.

    `fence` numbers the lease of the writer, 0 without one. `previous` is the SHA-256 of the
    line before as it is stored, in hexadecimal digits; empty for the first one, and for an
    event that is not stored yet.
    """

    data: EventData
    at: datetime
    seq: int = 0
    fence: int = 0
    previous: str = ""
    format: int = FORMAT

    @property
    def type(self) -> str:
        return self.data.type
