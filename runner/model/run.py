"""A run's nouns: the state that the events of its journal add up to.

The journal is the truth: everything here can be built again from its events (`execution.fold`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import takewhile
from typing import Any, Literal, get_args

from runner.model.events import EarlierRequest, Event, Outcome, RunSuspended
from runner.model.gate import GateAnswer
from runner.model.job import Refusal
from runner.model.schedule import EXCLUDED_BY_PLAN, GroupRules, Schedule, ServerRef, Wave

CHECK_FAILED = "CheckFailed"
UNHEALTHY_IN_BAKE = "UnhealthyInBake"
UNHEALTHY_BEFORE = "UnhealthyBefore"
JOB_TIMED_OUT = "JobTimedOut"
NO_TRACE = "NoTrace"


ServerWord = Literal[
    "ready", "failed", "unknown", "skipped", "not_started", "in_doubt", "in_flight", "pending"
]
"""Where a server stands, in every count and every report: its outcome, or one of the three
words without an outcome.

`in_doubt`: a request for it was written down, and it is not known whether the cloud
accepted it. `in_flight`: the cloud accepted a request for it, and its reboot is followed.
`pending`: no request holds it.
"""
SERVER_WORDS: tuple[ServerWord, ...] = get_args(ServerWord)
"""In the order in which counts are shown."""


class Evidence(StrEnum):
    """How much was seen of a server's reboot, from nothing to its own checks."""

    NONE = "none"
    JOB = "job"
    STATE = "state"
    CHECK = "check"
    PERSON = "person"


class Phase(StrEnum):
    """Where one server of the current wave is."""

    WAITING = "waiting"
    """Read and found fit; no request holds it."""
    INTENDED = "intended"
    """A request for it may be on its way, or was lost: nobody but evidence can tell."""
    REFUSED = "refused"
    """Its request was refused or throttled: its state is read before it may be asked for again."""
    ACCEPTED = "accepted"
    """The cloud has a job for it."""
    ADOPTED = "adopted"
    """It was rebooted, but there is no job to follow: followed by its state."""
    REBOOTED = "rebooted"
    """Its sub-job ended well; not yet seen to be back."""
    FAILING = "failing"
    """Its job failed, or did not end in time: its state and history are read before it is judged.
    """
    ENDED = "ended"


IN_FLIGHT = frozenset(Phase) - {Phase.WAITING, Phase.ENDED}
"""A request holds the server: it is down, or may be at any moment."""


@dataclass(slots=True)
class ServerState:
    """One server on its way through its wave. Times are of the run's clock, `job_began` and
    `job_ended` the cloud's.
    """

    ref: ServerRef
    wave: int
    phase: Phase = Phase.WAITING
    batch: int | None = None
    attempts: int = 0
    doubted: bool = False
    updated_before: str | None = None
    blocked_since: datetime | None = None
    """Since when another run was found to hold it, while this one waits to ask for it."""
    intended: datetime | None = None
    first_asked: datetime | None = None
    """When the first request of this run was written that may have reached the cloud."""
    accepted: datetime | None = None
    job_began: datetime | None = None
    job_ended: datetime | None = None
    up_since: datetime | None = None
    healthy_since: datetime | None = None
    """Its checks have passed since, without a miss."""
    unhealthy_before: str = ""
    """What its checks answered before the first wave, where they did not pass and that is
    counted apart.
    """
    ended: datetime | None = None
    missing_since: datetime | None = None
    """Since when the bake of its group has not seen it well."""
    lost: datetime | None = None
    """When the bake of its group gave it up: it had been ready."""
    outcome: Outcome | None = None
    reason: str = ""
    detail: str = ""
    evidence: Evidence = Evidence.NONE
    resolution: Mapping[str, str] | None = None

    @property
    def uses_up_budget(self) -> bool:
        """Whether it counts against failure budgets: a check that failed before the run as
        well does not.
        """
        if self.reason in (CHECK_FAILED, UNHEALTHY_IN_BAKE) and self.unhealthy_before:
            return False
        return self.outcome is not None and self.outcome.counts_as_failed

    @property
    def may_be_asked_again(self) -> bool:
        """Whether its cycle may ask for it once more: nothing shows a reboot, or a person
        decided so.
        """
        if self.outcome is Outcome.NOT_STARTED:
            return True
        shows_nothing = self.evidence is Evidence.NONE and not self.doubted
        return self.outcome is Outcome.FAILED and (shows_nothing or self.resolution is not None)


class BatchPhase(StrEnum):
    """What is known of one request."""

    INTENDED = "intended"
    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    THROTTLED = "throttled"
    REFUSED = "refused"
    DENIED = "denied"
    AMBIGUOUS = "ambiguous"
    GONE = "gone"
    SETTLED = "settled"

    @property
    def is_in_doubt(self) -> bool:
        return self in (BatchPhase.INTENDED, BatchPhase.AMBIGUOUS)


@dataclass(slots=True)
class Batch:
    """One reboot request and what became of it. `sender`, `valid_until`: as in its intent."""

    number: int
    wave: int
    target: str
    servers: tuple[str, ...]
    intended: datetime
    phase: BatchPhase = BatchPhase.INTENDED
    sender: Mapping[str, Any] = field(default_factory=dict)
    valid_until: datetime | None = None
    answered: datetime | None = None
    job_id: str | None = None
    request_id: str | None = None
    code: str | None = None
    refusals: tuple[Refusal, ...] = ()
    reason: str = ""
    rounds: int = 0
    last_round: datetime | None = None
    job_final: datetime | None = None

    @property
    def answer(self) -> str:
        """What the cloud answered to the request, for people; empty where it said nothing."""
        said = self.reason
        if self.code and self.code not in said:
            said = f"{self.code}: {said}" if said else self.code
        if said and self.request_id:
            said += f" (request id {self.request_id})"
        return said


@dataclass(frozen=True, slots=True)
class Question:
    """What a person must answer before the run goes on: `wave` is the one that comes next."""

    id: str
    why: str
    wave: int
    asked: datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run starts nothing more. `word` is what it will be when all in flight has ended."""

    reason: str
    detail: str
    word: str
    at: datetime


@dataclass(slots=True)
class WaveState:
    """One wave's course. `held`: since when too many servers of its group are down for it to
    go on. `reopened`: when gates that had closed again before its first request were open
    last. `busy`: since when the look at its servers waits for busy ones. `overridden`: when
    a person last let it begin outside windows or in a freeze.
    """

    started: datetime | None = None
    held: datetime | None = None
    reopened: datetime | None = None
    busy: datetime | None = None
    overridden: datetime | None = None
    checked: datetime | None = None
    ended: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, repr=False)
class Run:
    """All that a journal says. Built only by `execution.fold`; read by everybody."""

    id: str
    schedule: Schedule
    created: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, str | None] = field(default_factory=dict)
    earlier: Mapping[str, EarlierRequest] = field(default_factory=dict)
    """By server id: what earlier runs of the cycle asked of it."""
    repeats: tuple[str, ...] = ()
    """The runs that this one repeats, the last one first."""
    seq: int = 0
    word: str = "running"
    ended: datetime | None = None
    position: int = 0
    """Index of the current wave in `schedule.waves`; their number when all are over."""
    waves: list[WaveState] = field(default_factory=list)
    servers: dict[str, ServerState] = field(default_factory=dict)
    """Every scheduled server, by id."""
    batches: dict[int, Batch] = field(default_factory=dict)
    failed: int = 0
    failed_in: dict[str, int] = field(default_factory=dict)
    baselined: set[str] = field(default_factory=set)
    """Groups whose servers were asked before the first wave."""
    accepted_over: dict[str, int] = field(default_factory=dict)
    """Groups whose exceeded budget a person has accepted, each with how many had failed
    then: more are asked about.
    """
    passed_over: set[str] = field(default_factory=set)
    """Groups whose exceeded budget is none of anybody's business: they go on by
    `on_failure: continue`.
    """
    question: Question | None = None
    answered: set[str] = field(default_factory=set)
    pause_began: datetime | None = None
    bake_began: datetime | None = None
    baked: set[str] = field(default_factory=set)
    """Groups whose bake is over."""
    window_since: datetime | None = None
    """Since when the next wave waits for a window, and when the first one was expected then."""
    window_opens: datetime | None = None
    gate_answers: tuple[GateAnswer, ...] = ()
    """What the gates answered last before the current wave, as far as the journal tells:
    changes only.
    """
    gates_since: datetime | None = None
    """Since when the current wave waits for them; None while they are open."""
    window_why: str = ""
    window_current: bool = False
    """Whether it waits for what only the plan's calendars of the moment close."""
    failed_targets: dict[str, str] = field(default_factory=dict)
    """Targets that were given up, with the reason: their groups begin nothing more."""
    open_on: dict[str, int] = field(default_factory=dict)
    """How many servers of each target have no outcome yet."""
    stop: Stop | None = None
    send_after: datetime | None = None
    trouble_since: datetime | None = None
    """Since when requests could not be sent without one being accepted."""
    throttled_since: datetime | None = None
    """Since when requests have been throttled without one being accepted."""
    trouble_count: int = 0
    shortest_s: float | None = None
    longest_s: float | None = None
    decisions: list[Event] = field(default_factory=list)
    suspended: RunSuspended | None = None
    error_streak: int = 0
    """Errors since anything else happened: the delay before the next try grows with it."""
    last_event_at: datetime | None = None
    _members: dict[int, list[ServerState]] = field(default_factory=dict, repr=False)
    _groups: dict[str, GroupRules] = field(default_factory=dict, repr=False)
    _group_servers: dict[str, list[str]] = field(default_factory=dict, repr=False)
    _canaries: dict[str, Wave] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Short: a run can hold 100,000 servers."""
        return f"Run({self.id}, {self.word}, seq {self.seq})"

    @property
    def is_open(self) -> bool:
        return self.ended is None

    @property
    def wave(self) -> Wave | None:
        """The current wave, None when all are over."""
        waves = self.schedule.waves
        return waves[self.position] if self.position < len(waves) else None

    def group(self, name: str) -> GroupRules:
        if not self._groups:
            self._groups.update((g.name, g) for g in self.schedule.groups)
        return self._groups[name]

    def canary(self, name: str) -> Wave | None:
        """The canary of a group, if it has one."""
        if self._canaries is None:
            self._canaries = {w.group: w for w in self.schedule.waves if w.is_canary}
        return self._canaries.get(name)

    def target_of(self, server: ServerState) -> str:
        """The name of the target that a server is on."""
        return self.group(self.schedule.waves[server.wave - 1].group).target

    def group_servers(self, name: str) -> list[str]:
        """The ids of a group's servers: those of its waves, and those that were left out
        for anything but the plan.
        """
        found = self._group_servers.get(name)
        if found is None:
            own = [s.id for w in self.schedule.waves if w.group == name for s in w.servers]
            own += [
                e.server.id
                for e in self.schedule.exclusions
                if e.group == name and e.reason != EXCLUDED_BY_PLAN
            ]
            found = self._group_servers[name] = own
        return found

    def members(self, wave: Wave) -> list[ServerState]:
        """The servers of a wave, in the wave's order."""
        found = self._members.get(wave.number)
        if found is None:
            found = self._members[wave.number] = [self.servers[s.id] for s in wave.servers]
        return found

    def current(self) -> list[ServerState]:
        """The servers of the current wave; none when all are over."""
        return self.members(self.wave) if self.wave else []

    def rules(self) -> GroupRules:
        """Those of the current wave's group. Raises LookupError when all waves are over."""
        if self.wave is None:
            raise LookupError("all waves are over")
        return self.group(self.wave.group)

    def current_batches(self) -> list[Batch]:
        """The requests of the current wave, in the order of their numbers: the newest
        of the run.
        """
        number = self.wave.number if self.wave else 0
        newest = takewhile(lambda b: b.wave == number, reversed(self.batches.values()))
        return list(newest)[::-1]

    @property
    def working_word(self) -> str:
        """Return the word of an open run that a process works on."""
        if self.question is not None:
            return "waiting"
        return "running" if self.stop is None else "stopping"

    def word_of(self, server: ServerState, *, is_sending: bool = False) -> ServerWord:
        """Return where a server stands.

        A request without an answer is in doubt: the journal cannot tell whether its sender
        still waits for the answer. `is_sending`: the caller knows that a process works on
        the run, so the answer of a new request can still come.
        """
        if server.outcome is not None:
            return server.outcome.value
        batch = self.batches.get(server.batch or 0)
        match server.phase:
            case Phase.INTENDED:
                is_expected = is_sending and batch is not None and self._awaits_answer(batch)
                return "in_flight" if is_expected else "in_doubt"
            case Phase.ACCEPTED if batch is not None and batch.phase is BatchPhase.GONE:
                return "in_doubt"
            case Phase.ACCEPTED | Phase.ADOPTED | Phase.REBOOTED | Phase.FAILING:
                return "in_flight"
            case Phase.REFUSED if server.doubted or (batch and batch.phase is BatchPhase.THROTTLED):
                return "in_doubt"
        return "pending"

    def _awaits_answer(self, batch: Batch) -> bool:
        """Return whether nothing shows yet that the answer is lost: no suspension, no
        search for evidence.
        """
        return batch.phase is BatchPhase.INTENDED and batch.rounds == 0 and self.suspended is None

    def counts(self, *, is_sending: bool = False) -> dict[str, int]:
        """Return how many servers stand where (`word_of`), with zeros."""
        counts: dict[str, int] = dict.fromkeys(SERVER_WORDS, 0)
        for server in self.servers.values():
            counts[self.word_of(server, is_sending=is_sending)] += 1
        return counts
