"""Journal -> run. Pure: no clock, no I/O; an event that cannot follow raises and changes nothing.

An event that is stored and cannot follow would make its run unreadable for ever. So events
are folded before they are stored (`trial`), and what others may append at any moment (a
late job id) follows in every state.

`model.events` is the whole vocabulary of a journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import singledispatch
from typing import TypeAlias

from runner.execution.savepoint import Savepoint
from runner.model.events import (
    ApprovalAsked,
    ApprovalGiven,
    BakeEnded,
    BakeObserved,
    BakeStarted,
    BaselineChecked,
    BatchAccepted,
    BatchAmbiguous,
    BatchAnswer,
    BatchDenied,
    BatchIntended,
    BatchLooked,
    BatchNotSent,
    BatchRefused,
    BatchSettled,
    BatchThrottled,
    BudgetPassed,
    CancelRequested,
    Event,
    EventData,
    GatesAsked,
    JobLost,
    JobPolled,
    Note,
    Outcome,
    PauseStarted,
    RunCreated,
    RunEnded,
    RunError,
    RunResumed,
    RunStopping,
    RunSuspended,
    ServerResolved,
    ServersBlocked,
    ServersChecked,
    ServersEnded,
    ServersFailing,
    ServersLost,
    ServersObserved,
    ServersRechecked,
    TargetFailed,
    WaveBusy,
    WaveChecked,
    WaveEnded,
    WaveHeld,
    WaveStarted,
    WindowAwaited,
    WindowOverridden,
)
from runner.model.gate import GateState, verdict
from runner.model.job import JobStatus
from runner.model.run import (
    UNHEALTHY_BEFORE,
    Batch,
    BatchPhase,
    Evidence,
    Phase,
    Question,
    Run,
    ServerState,
    Stop,
    WaveState,
)
from runner.model.schedule import Schedule, Wave

_OfBatch: TypeAlias = BatchAccepted | BatchAnswer | BatchLooked | BatchSettled | JobPolled | JobLost


class IllegalEvent(Exception):
    """An event that cannot follow what the journal says so far: a bug, or a journal that
    somebody edited.
    """


def begin(run_id: str, schedule: Schedule, event: Event) -> Run:
    """Return the run as its first event leaves it. Raises IllegalEvent where that is no
    beginning.
    """
    created = event.data
    if not isinstance(created, RunCreated):
        raise IllegalEvent("it has no beginning")
    run = Run(
        id=run_id,
        schedule=schedule,
        created=event.at,
        facts=created.facts,
        baseline=created.baseline,
        earlier=created.earlier,
        repeats=created.repeats,
        seq=event.seq,
        waves=[WaveState() for _ in schedule.waves],
        last_event_at=event.at,
    )
    for wave in schedule.waves:
        for ref in wave.servers:
            run.servers[ref.id] = ServerState(ref, wave.number)
        target = run.group(wave.group).target
        run.open_on[target] = run.open_on.get(target, 0) + len(wave.servers)
    if len(run.servers) != schedule.servers:
        raise IllegalEvent("a server stands in two waves of the schedule")
    for server_id, why in created.skipped.items():
        _end(run, run.servers[server_id], event.at, Outcome.SKIPPED, *why, Evidence.NONE)
    return run


def apply(run: Run, event: Event) -> None:
    """Add one event to the run.

    Raises IllegalEvent and leaves the run as it was: for an unknown type, for a closed run
    (facts and decisions about its servers excepted), for data that does not fit, and for
    what contradicts the state.
    """
    with trial(run, (event,)):
        pass


@contextmanager
def trial(run: Run, events: Sequence[Event]) -> Iterator[None]:
    """The run with these events added; without them again if the block raises, which is where
    they are stored.

    Raises IllegalEvent, before the block is entered, if they cannot follow one after the other.
    """
    saved = Savepoint(run, events)
    try:
        for event in events:
            _follow(run, event)
        yield
    except BaseException:
        saved.restore()
        raise


def _follow(run: Run, event: Event) -> None:
    data = event.data
    if not run.is_open and not isinstance(data, AFTER_THE_END):
        raise IllegalEvent(f"{event.type} after the end of the run")
    try:
        _add(data, run, event)
    except LookupError as error:
        raise IllegalEvent(
            f"{event.type} of something that the run does not have: {error!r}"
        ) from error
    if event.fence and not isinstance(data, RunSuspended):
        _go_on(run)
    run.seq = max(run.seq, event.seq)
    run.last_event_at = event.at
    run.error_streak = run.error_streak + 1 if isinstance(data, RunError) else 0


@singledispatch
def _add(data: EventData, run: Run, event: Event) -> None:
    """Add one event to the run, by the type of its data. Raises IllegalEvent and
    LookupError for what cannot follow.
    """
    raise IllegalEvent(f"{event.type} is not the first event")


def apply_all(run: Run, events: Iterable[Event]) -> Run:
    """Add the events of a whole journal in order; returns the same run.

    Raises IllegalEvent like `apply`, but the run is then of no use: nothing is kept to set
    it back, which is most of the time that a journal of 100,000 servers takes to read.
    """
    for event in events:
        _follow(run, event)
    return run


def _demand(condition: object, why: str) -> None:
    if not condition:
        raise IllegalEvent(why)


def _batch(run: Run, data: _OfBatch, *phases: BatchPhase) -> Batch:
    batch = run.batches.get(data.batch)
    if batch is None:
        raise IllegalEvent(f"{data.type} of a batch that was never intended")
    _demand(not phases or batch.phase in phases, f"{data.type} of a batch that is {batch.phase}")
    return batch


def _of(run: Run, batch: Batch) -> list[ServerState]:
    """The servers that this batch, and no later one, holds."""
    return [s for s in (run.servers[i] for i in batch.servers) if s.batch == batch.number]


def _current(run: Run, number: int) -> WaveState:
    """The wave of this number, which must be the current one."""
    _demand(run.wave is not None and run.wave.number == number, f"wave {number} out of turn")
    return run.waves[run.position]


def _begun(run: Run, number: int) -> WaveState:
    state = _current(run, number)
    _demand(state.started is not None, f"wave {number} before it starts")
    return state


# --- waves --------------------------------------------------------------------


@_add.register
def _wave_started(data: WaveStarted, run: Run, event: Event) -> None:
    state = _current(run, data.wave)
    _demand(state.started is None, "a wave starts twice")
    _demand_open(run)
    state.started = event.at
    run.pause_began = run.bake_began = None
    run.window_since, run.window_opens, run.window_why, run.window_current = None, None, "", False
    run.suspended = None


@_add.register
def _gates_asked(data: GatesAsked, run: Run, event: Event) -> None:
    gates, answers = run.schedule.gates, data.answers
    state = _current(run, data.wave)
    _demand(gates and len(answers) == len(gates), "other gates are asked than the schedule has")
    run.gate_answers = answers
    is_open = verdict(gates, answers) is GateState.OPEN
    run.gates_since = None if is_open else run.gates_since or event.at
    state.reopened = event.at if is_open and state.started else None


def _demand_open(run: Run) -> None:
    """Nothing begins before the gates have been asked, and all are open."""
    gates = run.schedule.gates
    asked = len(run.gate_answers) == len(gates)
    _demand(
        asked and verdict(gates, run.gate_answers) is GateState.OPEN,
        "something begins while a gate is not open",
    )


@_add.register
def _wave_held(data: WaveHeld, run: Run, event: Event) -> None:
    state = _begun(run, data.wave)
    state.held = state.held or event.at


@_add.register
def _wave_busy(data: WaveBusy, run: Run, event: Event) -> None:
    state = _begun(run, data.wave)
    state.busy = state.busy or event.at


@_add.register
def _servers_blocked(data: ServersBlocked, run: Run, event: Event) -> None:
    servers = [run.servers[i] for i in data.servers]
    number = run.wave.number if run.wave else 0
    _demand(
        all(s.phase is Phase.WAITING and s.wave == number for s in servers),
        "a server is blocked out of turn",
    )
    for server in servers:
        server.blocked_since = server.blocked_since or event.at


@_add.register
def _wave_checked(data: WaveChecked, run: Run, event: Event) -> None:
    state = _begun(run, data.wave)
    looked_at = [run.servers[i] for i in (*data.fit, *data.skipped)]
    _demand(all(s.phase is Phase.WAITING for s in looked_at), "a server is checked out of turn")
    state.checked, state.held, state.busy = event.at, None, None
    for server_id, updated in data.fit.items():
        run.servers[server_id].updated_before = updated
    for server_id, (reason, detail) in data.skipped.items():
        _end(run, run.servers[server_id], event.at, Outcome.SKIPPED, reason, detail, Evidence.NONE)


@_add.register
def _wave_ended(data: WaveEnded, run: Run, event: Event) -> None:
    state = _current(run, data.wave)
    _demand(all(s.outcome for s in run.current()), "a wave ends before its servers")
    state.ended = event.at
    state.counts = _count(run, run.schedule.waves[run.position])
    run.position += 1
    run.pause_began = run.bake_began = None
    run.gate_answers, run.gates_since = (), None
    run.window_since, run.window_opens, run.window_why, run.window_current = None, None, "", False
    _end_trouble(run)


def _end_trouble(run: Run) -> None:
    """Forget the back-off: a request was accepted, or the wave is over."""
    run.send_after = run.trouble_since = run.throttled_since = None
    run.trouble_count = 0


def _count(run: Run, wave: Wave) -> dict[str, int]:
    return dict(Counter(map(run.word_of, run.members(wave))))


# --- requests -----------------------------------------------------------------


@_add.register
def _batch_intended(data: BatchIntended, run: Run, event: Event) -> None:
    number, wave = data.batch, run.wave
    servers = [run.servers[i] for i in data.servers]
    if wave is None or number in run.batches:
        raise IllegalEvent("a batch is intended out of turn")
    _demand(servers, "an empty batch")
    _demand(
        all(s.phase is Phase.WAITING and s.wave == wave.number for s in servers),
        "a server is asked for twice",
    )
    _demand(run.stop is None, "a batch is intended by a run that stops")
    if not run.current_batches() or any(s.first_asked for s in servers):
        _demand_open(run)
        run.window_since, run.window_opens, run.window_why, run.window_current = (
            None,
            None,
            "",
            False,
        )
    run.batches[number] = Batch(
        number,
        wave.number,
        data.target,
        data.servers,
        event.at,
        sender=data.sender,
        valid_until=data.valid_until,
    )
    for server in servers:
        server.phase, server.batch, server.intended = Phase.INTENDED, number, event.at
        server.first_asked = server.first_asked or event.at
        server.blocked_since = None
        server.attempts += 1


@_add.register
def _batch_accepted(data: BatchAccepted, run: Run, event: Event) -> None:
    """A job id is a fact whenever it arrives, whatever was thought of its batch: it is
    never refused.

    It also answers a batch that was given up as lost. Servers of the current wave are
    followed again; those of a wave that is over stay unknown, with the job's id for
    whoever resolves them.
    """
    batch, job = _batch(run, data), data.job
    if batch.job_id is not None:
        return
    # Where a cloud has no jobs, the servers themselves have to show what became of them.
    batch.phase = BatchPhase.ACCEPTED if job else BatchPhase.GONE
    batch.job_id, batch.answered = job, event.at
    batch.request_id = data.request_id
    accepted = batch.intended if data.late else event.at
    for server in (run.servers[i] for i in batch.servers):
        if server.batch != batch.number and server.phase in (Phase.WAITING, Phase.REFUSED):
            server.batch = batch.number  # its later request was turned away, and this one was not
    for server in _of(run, batch):
        if server.outcome is Outcome.UNKNOWN and server.resolution is None:
            if run.is_open and run.wave and run.wave.number == server.wave:
                _reopen(run, server)
            else:
                server.detail = f"its job {job[:100]} became known when its wave was over"
        if server.phase in (Phase.INTENDED, Phase.ADOPTED, Phase.WAITING, Phase.REFUSED):
            server.phase, server.accepted = Phase.ACCEPTED, accepted
    _end_trouble(run)


def _answered(run: Run, data: BatchAnswer, event: Event) -> Batch:
    """Note the answer to a request that was not accepted."""
    batch = _batch(run, data, BatchPhase.INTENDED)
    batch.phase, batch.answered = _PHASES[type(data)], event.at
    batch.code, batch.reason, batch.request_id = data.code, data.reason, data.request_id
    if isinstance(data, BatchNotSent | BatchThrottled):
        run.trouble_count += 1
        run.send_after = data.again
    return batch


_PHASES: dict[type[BatchAnswer], BatchPhase] = {
    BatchNotSent: BatchPhase.NOT_SENT,
    BatchThrottled: BatchPhase.THROTTLED,
    BatchRefused: BatchPhase.REFUSED,
    BatchDenied: BatchPhase.DENIED,
    BatchAmbiguous: BatchPhase.AMBIGUOUS,
}


@_add.register
def _not_begun(data: BatchNotSent | BatchDenied, run: Run, event: Event) -> None:
    """An answer that proves that no server of the batch was touched."""
    batch = _answered(run, data, event)
    for server in _of(run, batch):
        server.phase = Phase.WAITING
        if server.first_asked == batch.intended:
            server.first_asked = None
    if isinstance(data, BatchNotSent):
        run.trouble_since = run.trouble_since or event.at


@_add.register
def _turned_away(data: BatchThrottled | BatchRefused, run: Run, event: Event) -> None:
    """An answer after which each server is read before it may be asked for again."""
    batch = _answered(run, data, event)
    for server in _of(run, batch):
        server.phase = Phase.REFUSED
    if isinstance(data, BatchRefused):
        batch.refusals = data.why
    else:
        run.throttled_since = run.throttled_since or event.at
        run.trouble_since = None


@_add.register
def _batch_ambiguous(data: BatchAmbiguous, run: Run, event: Event) -> None:
    batch = _answered(run, data, event)
    for server in _of(run, batch):
        server.doubted = True


@_add.register
def _batch_looked(data: BatchLooked, run: Run, event: Event) -> None:
    batch = _batch(run, data)
    if data.round:
        doubted = (BatchPhase.INTENDED, BatchPhase.AMBIGUOUS, BatchPhase.GONE)
        _demand(batch.phase in doubted, f"{event.type} of a batch that is {batch.phase}")
        batch.rounds += 1
        batch.last_round = event.at
    for server_id, seen in data.seen.items():
        server = run.servers[server_id]
        server.doubted = True
        server.detail = seen[:300]
    for server_id in data.adopted:
        _adopt(run.servers[server_id], event)
    for server_id in data.proven:
        run.servers[server_id].evidence = Evidence.STATE


def _adopt(server: ServerState, event: Event) -> None:
    if server.phase in (Phase.WAITING, Phase.ENDED, Phase.ADOPTED, Phase.REBOOTED):
        return
    server.phase, server.accepted = Phase.ADOPTED, server.accepted or event.at
    server.evidence = Evidence.STATE


@_add.register
def _batch_settled(data: BatchSettled, run: Run, event: Event) -> None:
    batch = _batch(run, data, BatchPhase.INTENDED, BatchPhase.AMBIGUOUS, BatchPhase.GONE)
    again = [run.servers[i] for i in data.again]
    _demand(
        all(s.phase is Phase.INTENDED for s in again),
        "a server is asked for again that was rebooted",
    )
    batch.phase = BatchPhase.SETTLED
    for server in again:
        server.phase = Phase.WAITING


@_add.register
def _servers_rechecked(data: ServersRechecked, run: Run, event: Event) -> None:
    touched = [run.servers[i] for i in (*data.fit, *data.moving, *data.doubted)]
    _demand(all(_may_be_rechecked(s) for s in touched), "a server is rechecked out of turn")
    for server_id in data.fit:
        run.servers[server_id].phase = Phase.WAITING
    for server_id in data.moving:
        server = run.servers[server_id]
        server.phase, server.accepted, server.doubted = Phase.ADOPTED, event.at, True
        server.evidence = Evidence.STATE
    for server_id, seen in data.doubted.items():
        server = run.servers[server_id]
        server.phase, server.doubted, server.detail = Phase.INTENDED, True, seen[:300]
        run.batches[server.batch or 0].phase = BatchPhase.AMBIGUOUS


def _may_be_rechecked(server: ServerState) -> bool:
    is_repeated = server.phase is Phase.WAITING and server.first_asked is not None
    return server.phase is Phase.REFUSED or is_repeated


# --- jobs and servers ---------------------------------------------------------


@_add.register
def _job_polled(data: JobPolled, run: Run, event: Event) -> None:
    batch = _batch(run, data, BatchPhase.ACCEPTED)
    if data.final:
        batch.job_final = event.at
    for server_id, (status, began, ended) in data.servers.items():
        server = run.servers[server_id]
        if server.batch != batch.number or server.phase is not Phase.ACCEPTED:
            continue
        server.job_began, server.job_ended = began, ended
        if status == JobStatus.SUCCESS:
            server.phase, server.evidence = Phase.REBOOTED, Evidence.JOB
            _learn(run, server)


def _learn(run: Run, server: ServerState) -> None:
    """Remember the shortest and the longest reboot, by the cloud's own clock."""
    if server.job_began and server.job_ended and server.job_ended > server.job_began:
        took = (server.job_ended - server.job_began).total_seconds()
        run.shortest_s = min(took, run.shortest_s or took)
        run.longest_s = max(took, run.longest_s or took)


@_add.register
def _servers_failing(data: ServersFailing, run: Run, event: Event) -> None:
    servers = [run.servers[i] for i in data.servers]
    _demand(all(s.phase is Phase.ACCEPTED for s in servers), "a server fails that no job holds")
    for server, (reason, detail) in zip(servers, data.servers.values(), strict=True):
        server.phase, server.reason, server.detail = Phase.FAILING, reason, detail


@_add.register
def _job_lost(data: JobLost, run: Run, event: Event) -> None:
    batch = _batch(run, data, BatchPhase.ACCEPTED)
    batch.phase = BatchPhase.GONE


@_add.register
def _servers_observed(data: ServersObserved, run: Run, event: Event) -> None:
    for server_id in data.up:
        server = run.servers[server_id]
        server.up_since = server.up_since or event.at
        if server.evidence in (Evidence.NONE, Evidence.JOB):
            server.evidence = Evidence.STATE
    for server_id in data.down:
        server = run.servers[server_id]
        server.up_since = None
        _no_longer_healthy(server)


@_add.register
def _servers_checked(data: ServersChecked, run: Run, event: Event) -> None:
    touched = [run.servers[i] for i in (*data.passed, *data.missed)]
    _demand(
        all(s.up_since and s.phase in (Phase.ADOPTED, Phase.REBOOTED) for s in touched),
        "checked out of turn",
    )
    for server_id in data.passed:
        server = run.servers[server_id]
        server.healthy_since = server.healthy_since or event.at
        server.evidence = Evidence.CHECK
    for server_id in data.missed:
        _no_longer_healthy(run.servers[server_id])


def _no_longer_healthy(server: ServerState) -> None:
    server.healthy_since = None
    if server.evidence is Evidence.CHECK:
        server.evidence = Evidence.STATE


@_add.register
def _baseline_checked(data: BaselineChecked, run: Run, event: Event) -> None:
    """A group's servers were asked before the first wave: the unhealthy are left out, or
    remembered.
    """
    group = run.group(data.group)
    unhealthy = data.unhealthy
    _demand(
        run.position == 0 and not any(w.started for w in run.waves),
        "a baseline after the first wave began",
    )
    _demand(group.name not in run.baselined, "a group's baseline twice")
    _demand(
        all(run.servers[i].outcome is None for i in unhealthy),
        "a server that has ended is left out",
    )
    run.baselined.add(group.name)
    for server_id, words in unhealthy.items():
        server = run.servers[server_id]
        if group.baseline == "exclude":
            _end(run, server, event.at, Outcome.SKIPPED, UNHEALTHY_BEFORE, words, Evidence.NONE)
        else:
            server.unhealthy_before = words


@_add.register
def _target_failed(data: TargetFailed, run: Run, event: Event) -> None:
    name = data.target
    _demand(
        any(t.name == name for t in run.schedule.targets),
        "a target fails that the run does not have",
    )
    run.failed_targets.setdefault(name, data.why)


@_add.register
def _servers_ended(data: ServersEnded, run: Run, event: Event) -> None:
    servers = [run.servers[i] for i in data.servers]
    _demand(all(s.outcome is None for s in servers), "a server ends twice")
    for server, row in zip(servers, data.servers.values(), strict=True):
        _end(run, server, event.at, *row, server.evidence)


def _end(
    run: Run,
    server: ServerState,
    at: datetime,
    outcome: Outcome,
    reason: str,
    detail: str,
    evidence: Evidence,
) -> None:
    server.phase, server.outcome, server.reason, server.ended = Phase.ENDED, outcome, reason, at
    run.open_on[run.target_of(server)] -= 1
    server.evidence = evidence
    server.detail = detail or server.detail
    if server.uses_up_budget:
        _count_failure(run, server, 1)


def _count_failure(run: Run, server: ServerState, by: int) -> None:
    run.failed += by
    group = run.schedule.waves[server.wave - 1].group
    run.failed_in[group] = run.failed_in.get(group, 0) + by


def _reopen(run: Run, server: ServerState) -> None:
    """An `unknown` server whose job id arrived after all."""
    _count_failure(run, server, -1)
    run.open_on[run.target_of(server)] += 1
    server.outcome, server.ended, server.reason, server.phase = None, None, "", Phase.INTENDED


@_add.register
def _server_resolved(data: ServerResolved, run: Run, event: Event) -> None:
    server = run.servers.get(data.server)
    if server is None or server.outcome not in (Outcome.UNKNOWN, Outcome.FAILED):
        raise IllegalEvent("only an unknown or failed server can be resolved")
    outcome, reason = _RESOLVED[data.resolved_as]
    counted = server.uses_up_budget
    server.outcome, server.reason, server.evidence = outcome, reason, Evidence.PERSON
    said = {"as": data.resolved_as, "by": data.by, "reason": data.reason, "seen": data.seen}
    said |= {"updated": data.updated, "last_reboot": data.last_reboot}
    server.resolution = {"at": event.at.isoformat()} | {
        k: v for k, v in said.items() if v is not None
    }
    if counted and not server.uses_up_budget:
        _count_failure(run, server, -1)
    run.decisions.append(event)


_RESOLVED = {
    "rebooted": (Outcome.READY, "ResolvedAsRebooted"),
    "not-rebooted": (Outcome.NOT_STARTED, "ResolvedAsNotRebooted"),
    "reboot-again": (Outcome.FAILED, "ResolvedAsRebootAgain"),
}


# --- waiting, deciding, ending ------------------------------------------------


@_add.register
def _pause_started(data: PauseStarted, run: Run, event: Event) -> None:
    run.pause_began = event.at


@_add.register
def _bake_started(data: BakeStarted, run: Run, event: Event) -> None:
    run.bake_began = event.at


def _in_bake(run: Run, group: str, ids: Iterable[str] = ()) -> list[ServerState]:
    """The servers with these ids: ready ones of the group that bakes now."""
    servers = [run.servers[i] for i in ids]
    _demand(run.bake_began and run.position, "a bake is observed where none is on")
    _demand(
        run.schedule.waves[run.position - 1].group == group and group not in run.baked,
        "the bake of another group",
    )
    for server in servers:
        _demand(run.schedule.waves[server.wave - 1].group == group, "a server of another group")
        _demand(server.outcome is Outcome.READY, "a server is lost that is not ready")
    return servers


@_add.register
def _bake_observed(data: BakeObserved, run: Run, event: Event) -> None:
    missed, back = _in_bake(run, data.group, data.missed), _in_bake(run, data.group, data.back)
    for server in missed:
        server.missing_since = server.missing_since or event.at
    for server in back:
        server.missing_since = None


@_add.register
def _servers_lost(data: ServersLost, run: Run, event: Event) -> None:
    servers = _in_bake(run, data.group, data.servers)
    _demand(servers, "nobody is lost")
    for server, (reason, detail) in zip(servers, data.servers.values(), strict=True):
        server.outcome, server.reason, server.detail, server.lost = (
            Outcome.FAILED,
            reason,
            detail,
            event.at,
        )
        if server.evidence is Evidence.CHECK:
            server.evidence = Evidence.STATE
        if server.uses_up_budget:
            _count_failure(run, server, 1)
    for number in {s.wave for s in servers}:
        run.waves[number - 1].counts = _count(run, run.schedule.waves[number - 1])


@_add.register
def _bake_ended(data: BakeEnded, run: Run, event: Event) -> None:
    _in_bake(run, data.group)
    run.baked.add(data.group)


@_add.register
def _window_awaited(data: WindowAwaited, run: Run, event: Event) -> None:
    _current(run, data.wave)
    run.window_opens, run.window_why = data.until, data.why
    run.window_since = run.window_since or event.at
    run.window_current = data.current


@_add.register
def _window_overridden(data: WindowOverridden, run: Run, event: Event) -> None:
    state = _current(run, data.wave)
    state.reopened, state.overridden = None, event.at
    run.decisions.append(event)


@_add.register
def _approval_asked(data: ApprovalAsked, run: Run, event: Event) -> None:
    _demand(run.question is None, "a second question while one is open")
    run.question = Question(data.question, data.why, data.wave, event.at)
    run.word = "waiting"


@_add.register
def _approval_given(data: ApprovalGiven, run: Run, event: Event) -> None:
    question = run.question
    if question is None or question.id != data.question:
        raise IllegalEvent("an answer to a question that is not open")
    run.answered.add(question.id)
    run.question = None
    run.word = "suspended" if run.suspended else run.working_word
    _suspended_still(run, "approved")
    run.decisions.append(event)
    kind, _, rest = question.id.partition(":")
    if kind == "budget":
        group, _, failed = rest.partition(":")
        run.accepted_over[group] = int(failed) if failed else run.failed_in.get(group, 0)


@_add.register
def _budget_passed(data: BudgetPassed, run: Run, event: Event) -> None:
    run.passed_over.add(data.group)


@_add.register
def _cancel_requested(data: CancelRequested, run: Run, event: Event) -> None:
    run.decisions.append(event)
    _suspended_still(run, "cancelled")
    if run.stop is None:
        run.stop = Stop("Cancelled", data.reason, "cancelled", event.at)
        run.question = None
        run.word = run.working_word


@_add.register
def _run_stopping(data: RunStopping, run: Run, event: Event) -> None:
    _demand(run.stop is None, "a run stops twice")
    run.stop = Stop(data.reason, data.detail, "stopped", event.at)
    run.question = None
    run.word = run.working_word


@_add.register
def _run_suspended(data: RunSuspended, run: Run, event: Event) -> None:
    run.suspended = data
    waits = "waiting" if run.question else "suspended"
    run.word = data.word or waits


@_add.register
def _run_resumed(data: RunResumed, run: Run, event: Event) -> None:
    _go_on(run)


def _suspended_still(run: Run, what: str) -> None:
    """What a suspended run waited for is decided: it waits for somebody to go on with it,
    and for nothing else.
    """
    if run.suspended is not None:
        run.suspended = RunSuspended(f"{what} since; nobody goes on with it yet")


def _go_on(run: Run) -> None:
    """Somebody is at the run again."""
    if run.suspended is not None:
        run.suspended = None
        run.word = run.working_word


@_add.register
def _run_ended(data: RunEnded, run: Run, event: Event) -> None:
    _demand(
        all(s.outcome for s in run.servers.values()), "a run ends while servers have no outcome"
    )
    run.word, run.ended = data.word, event.at
    run.question = None


@_add.register
def _noted(data: Note | RunError, run: Run, event: Event) -> None:
    """Nothing changes but what every event changes."""


AFTER_THE_END = (ServerResolved, BatchAccepted, Note)
"""Facts and decisions that may still arrive when a run is closed."""
