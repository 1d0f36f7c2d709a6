"""Journal -> run. Pure: no clock, no I/O; an event that cannot follow raises and changes nothing.

An event that is stored and cannot follow would make its run unreadable for ever. So events are folded before they
are stored (`trial`), and what others may append at any moment (a late job id) follows in every state.

`EVENTS` is the whole vocabulary of a journal. Progress is data, not a position in code: a newer version of the tool
goes on with an older journal as long as the old event types stay readable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from runner.execution.savepoint import Savepoint
from runner.model.gate import GateAnswer, GateState, verdict
from runner.model.job import JobStatus
from runner.model.run import (
    UNHEALTHY_BEFORE,
    Batch,
    BatchPhase,
    EarlierRequest,
    Event,
    Evidence,
    Outcome,
    Phase,
    Question,
    Run,
    ServerState,
    Stop,
    WaveState,
)
from runner.model.schedule import Schedule, Wave


class IllegalEvent(Exception):
    """An event that cannot follow what the journal says so far: a bug, or a journal that somebody edited."""


def begin(run_id: str, schedule: Schedule, created: Event) -> Run:
    """The run as its first event leaves it: `created.data` holds `facts` and `baseline`, the schedule is parsed.

    Its `skipped` are servers of a saved schedule that are out before it begins: id -> reason and sentence.
    """
    run = Run(
        id=run_id,
        schedule=schedule,
        created=created.at,
        facts=created.data.get("facts", {}),
        baseline=created.data.get("baseline", {}),
        earlier={i: EarlierRequest.from_json(row) for i, row in created.data.get("earlier", {}).items()},
        repeats=tuple(created.data.get("repeats", (schedule.retry_of,) if schedule.retry_of else ())),
        seq=created.seq,
        waves=[WaveState() for _ in schedule.waves],
        last_event_at=created.at,
    )
    for wave in schedule.waves:
        for ref in wave.servers:
            run.servers[ref.id] = ServerState(ref, wave.number)
        target = run.group(wave.group).target
        run.open_on[target] = run.open_on.get(target, 0) + len(wave.servers)
    if len(run.servers) != schedule.servers:
        raise IllegalEvent("a server stands in two waves of the schedule")
    for server_id, (reason, detail) in created.data.get("skipped", {}).items():
        _end(run, run.servers[server_id], created.at, Outcome.SKIPPED, reason, detail, Evidence.NONE)
    return run


def apply(run: Run, event: Event) -> None:
    """Add one event to the run.

    Raises IllegalEvent and leaves the run as it was: for an unknown type, for a closed run (facts and decisions about
    its servers excepted), for data that does not fit, and for what contradicts the state.
    """
    with trial(run, (event,)):
        pass


@contextmanager
def trial(run: Run, events: Sequence[Event]) -> Iterator[None]:
    """The run with these events added; without them again if the block raises, which is where they are stored.

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
    handler = EVENTS.get(event.type)
    if handler is None:
        raise IllegalEvent(f"unknown event {event.type!r}")
    if not run.is_open and event.type not in AFTER_THE_END:
        raise IllegalEvent(f"{event.type} after the end of the run")
    try:
        handler(run, event)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise IllegalEvent(f"{event.type} with data that does not fit: {error!r}") from error
    if event.fence and event.type != "run.suspended":
        _go_on(run)
    run.seq = max(run.seq, event.seq)
    run.last_event_at = event.at
    run.error_streak = run.error_streak + 1 if event.type == "run.error" else 0


def apply_all(run: Run, events: Iterable[Event]) -> Run:
    """Add the events of a whole journal in order; returns the same run.

    Raises IllegalEvent like `apply`, but the run is then of no use: nothing is kept to set it back, which is most of
    the time that a journal of 100,000 servers takes to read.
    """
    for event in events:
        _follow(run, event)
    return run


def _demand(condition: object, why: str) -> None:
    if not condition:
        raise IllegalEvent(why)


def _batch(run: Run, event: Event, *phases: BatchPhase) -> Batch:
    batch = run.batches.get(event.data["batch"])
    if batch is None:
        raise IllegalEvent(f"{event.type} of a batch that was never intended")
    _demand(not phases or batch.phase in phases, f"{event.type} of a batch that is {batch.phase}")
    return batch


def _of(run: Run, batch: Batch) -> list[ServerState]:
    """The servers that this batch, and no later one, holds."""
    return [s for s in (run.servers[i] for i in batch.servers) if s.batch == batch.number]


# --- waves -----------------------------------------------------------------------------------------------------


def _wave_started(run: Run, event: Event) -> None:
    wave = run.wave
    if wave is None or wave.number != event.data["wave"]:
        raise IllegalEvent("a wave starts out of turn")
    _demand(run.waves[run.position].started is None, "a wave starts twice")
    _demand_open(run)
    run.waves[run.position].started = event.at
    run.pause_began = run.bake_began = None
    run.window_since, run.window_opens, run.window_why, run.window_current = None, None, "", False
    run.suspended = None


def _gates_asked(run: Run, event: Event) -> None:
    """What the gates answer before a wave, or before its first request; of the same answers nobody writes twice."""
    gates = run.schedule.gates
    answers = tuple(GateAnswer(GateState(s), str(value), str(reason)) for s, value, reason in event.data["answers"])
    _demand(run.wave is not None and run.wave.number == event.data["wave"], "gates are asked out of turn")
    _demand(gates and len(answers) == len(gates), "other gates are asked than the schedule has")
    run.gate_answers = answers
    is_open = verdict(gates, answers) is GateState.OPEN
    run.gates_since = None if is_open else run.gates_since or event.at
    state = run.waves[run.position]
    state.reopened = event.at if is_open and state.started else None


def _demand_open(run: Run) -> None:
    """Nothing begins before the gates have been asked, and all are open."""
    gates = run.schedule.gates
    asked = len(run.gate_answers) == len(gates)
    _demand(asked and verdict(gates, run.gate_answers) is GateState.OPEN, "something begins while a gate is not open")


def _wave_held(run: Run, event: Event) -> None:
    """Too many servers of the group are down for the wave to go on."""
    state = run.waves[run.position] if run.wave else None
    if state is None or state.started is None or run.wave is None or run.wave.number != event.data["wave"]:
        raise IllegalEvent("a wave is held out of turn")
    state.held = state.held or event.at


def _wave_busy(run: Run, event: Event) -> None:
    """Servers of the wave are busy: they are read again for a while."""
    state = run.waves[run.position] if run.wave else None
    if state is None or state.started is None or run.wave is None or run.wave.number != event.data["wave"]:
        raise IllegalEvent("a wave is busy out of turn")
    state.busy = state.busy or event.at


def _servers_blocked(run: Run, event: Event) -> None:
    """Servers that another run holds: they are waited for."""
    servers = [run.servers[i] for i in event.data["servers"]]
    number = run.wave.number if run.wave else 0
    _demand(all(s.phase is Phase.WAITING and s.wave == number for s in servers), "a server is blocked out of turn")
    for server in servers:
        server.blocked_since = server.blocked_since or event.at


def _wave_checked(run: Run, event: Event) -> None:
    """Servers that wait were read; again, where they have waited for long."""
    state = run.waves[run.position] if run.wave else None
    if state is None or state.started is None:
        raise IllegalEvent("a wave is checked out of turn")
    looked_at = [run.servers[i] for i in (*event.data["fit"], *event.data["skipped"])]
    _demand(all(s.phase is Phase.WAITING for s in looked_at), "a server is checked out of turn")
    state.checked, state.held, state.busy = event.at, None, None
    for server_id, updated in event.data["fit"].items():
        run.servers[server_id].updated_before = updated
    for server_id, (reason, detail) in event.data["skipped"].items():
        _end(run, run.servers[server_id], event.at, Outcome.SKIPPED, reason, detail, Evidence.NONE)


def _wave_ended(run: Run, event: Event) -> None:
    wave = run.wave
    if wave is None or wave.number != event.data["wave"]:
        raise IllegalEvent("a wave ends out of turn")
    _demand(all(s.outcome for s in run.members(wave)), "a wave ends before its servers")
    state = run.waves[run.position]
    state.ended = event.at
    state.counts = _count(run, wave)
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


# --- requests --------------------------------------------------------------------------------------------------


def _batch_intended(run: Run, event: Event) -> None:
    data = event.data
    number, wave = data["batch"], run.wave
    servers = [run.servers[i] for i in data["servers"]]
    if wave is None or number in run.batches:
        raise IllegalEvent("a batch is intended out of turn")
    _demand(servers, "an empty batch")
    _demand(all(s.phase is Phase.WAITING and s.wave == wave.number for s in servers), "a server is asked for twice")
    _demand(run.stop is None, "a batch is intended by a run that stops")
    if not run.current_batches() or any(s.first_asked for s in servers):
        _demand_open(run)
        run.window_since, run.window_opens, run.window_why, run.window_current = None, None, "", False
    run.batches[number] = Batch(
        number, wave.number, data["target"], tuple(data["servers"]), event.at,
        sender=data.get("sender", {}), signed=data.get("signed", ""),
    )  # fmt: skip
    for server in servers:
        server.phase, server.batch, server.intended = Phase.INTENDED, number, event.at
        server.first_asked = server.first_asked or event.at
        server.blocked_since = None
        server.attempts += 1


def _batch_accepted(run: Run, event: Event) -> None:
    """A job id is a fact whenever it arrives, whatever was thought of its batch: it is never refused.

    It also answers a batch that was given up as lost. Servers of the current wave are followed again; those of a wave
    that is over stay unknown, with the job's id for whoever resolves them.
    """
    batch, job = _batch(run, event), str(event.data["job"])
    if batch.job_id is not None:
        return
    batch.phase, batch.job_id, batch.answered = BatchPhase.ACCEPTED, job, event.at
    batch.request_id = event.data.get("request_id")
    accepted = batch.intended if event.data.get("late") else event.at
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


def _answered(run: Run, event: Event, phase: BatchPhase) -> Batch:
    """Note the answer to a request that was not accepted."""
    batch = _batch(run, event, BatchPhase.INTENDED)
    batch.phase, batch.answered = phase, event.at
    batch.code, batch.reason = event.data.get("code"), event.data.get("reason", "")
    batch.codes = tuple(event.data.get("codes", ()))
    batch.request_id = event.data.get("request_id")
    return batch


def _batch_not_begun(phase: BatchPhase) -> Callable[[Run, Event], None]:
    """Handle an answer that proves that no server of the batch was touched."""

    def handler(run: Run, event: Event) -> None:
        batch = _answered(run, event, phase)
        for server in _of(run, batch):
            server.phase = Phase.WAITING
            if server.first_asked == batch.intended:
                server.first_asked = None
        if phase is BatchPhase.NOT_SENT:
            run.trouble_since = run.trouble_since or event.at
            _back_off(run, event)

    return handler


def _batch_turned_away(phase: BatchPhase) -> Callable[[Run, Event], None]:
    """Handle an answer after which each server is read before it may be asked for again."""

    def handler(run: Run, event: Event) -> None:
        batch = _answered(run, event, phase)
        for server in _of(run, batch):
            server.phase = Phase.REFUSED
        if phase is BatchPhase.THROTTLED:
            run.throttled_since = run.throttled_since or event.at
            run.trouble_since = None
            _back_off(run, event)

    return handler


def _back_off(run: Run, event: Event) -> None:
    run.trouble_count += 1
    run.send_after = _time(event.data["again"])


def _batch_ambiguous(run: Run, event: Event) -> None:
    batch = _answered(run, event, BatchPhase.AMBIGUOUS)
    for server in _of(run, batch):
        server.doubted = True


def _batch_looked(run: Run, event: Event) -> None:
    """Evidence was read for servers of a batch in doubt, or of one whose job failed.

    `adopted` were rebooted and are followed by their state; `proven` were rebooted as well, but their
    job has failed. Of the others nothing is decided yet. `round`: whether the reading counts for the
    proof that there is no trace.
    """
    batch = _batch(run, event)
    if event.data.get("round", True):
        doubted = (BatchPhase.INTENDED, BatchPhase.AMBIGUOUS, BatchPhase.GONE)
        _demand(batch.phase in doubted, f"{event.type} of a batch that is {batch.phase}")
        batch.rounds += 1
        batch.last_round = event.at
    for server_id, seen in event.data["seen"].items():
        server = run.servers[server_id]
        server.doubted = True
        server.detail = str(seen)[:300]
    for server_id in event.data["adopted"]:
        _adopt(run.servers[server_id], event)
    for server_id in event.data.get("proven", ()):
        run.servers[server_id].evidence = Evidence.STATE


def _adopt(server: ServerState, event: Event) -> None:
    if server.phase in (Phase.WAITING, Phase.ENDED, Phase.ADOPTED, Phase.REBOOTED):
        return
    server.phase, server.accepted = Phase.ADOPTED, server.accepted or event.at
    server.evidence = Evidence.STATE


def _batch_settled(run: Run, event: Event) -> None:
    """A batch in doubt is decided: `again` goes back to waiting, all its others have ended or were adopted."""
    batch = _batch(run, event, BatchPhase.INTENDED, BatchPhase.AMBIGUOUS, BatchPhase.GONE)
    again = [run.servers[i] for i in event.data.get("again", ())]
    _demand(all(s.phase is Phase.INTENDED for s in again), "a server is asked for again that was rebooted")
    batch.phase = BatchPhase.SETTLED
    for server in again:
        server.phase = Phase.WAITING


def _servers_rechecked(run: Run, event: Event) -> None:
    """Servers whose request was turned away were read again.

    `fit` wait again, `moving` were rebooted and are followed by their state, `doubted` show a sign
    that proves nothing: they are in doubt from now on.
    """
    data = event.data
    doubted = data.get("doubted", {})
    touched = [run.servers[i] for i in (*data["fit"], *data["moving"], *doubted)]
    _demand(all(_may_be_rechecked(s) for s in touched), "a server is rechecked out of turn")
    for server_id in data["fit"]:
        run.servers[server_id].phase = Phase.WAITING
    for server_id in data["moving"]:
        server = run.servers[server_id]
        server.phase, server.accepted, server.doubted = Phase.ADOPTED, event.at, True
        server.evidence = Evidence.STATE
    for server_id, seen in doubted.items():
        server = run.servers[server_id]
        server.phase, server.doubted, server.detail = Phase.INTENDED, True, str(seen)[:300]
        run.batches[server.batch or 0].phase = BatchPhase.AMBIGUOUS


def _may_be_rechecked(server: ServerState) -> bool:
    is_repeated = server.phase is Phase.WAITING and server.first_asked is not None
    return server.phase is Phase.REFUSED or is_repeated


# --- jobs and servers ------------------------------------------------------------------------------------------


def _job_polled(run: Run, event: Event) -> None:
    batch = _batch(run, event, BatchPhase.ACCEPTED)
    if event.data.get("final"):
        batch.job_final = event.at
    for server_id, (status, began, ended) in event.data["servers"].items():
        server = run.servers[server_id]
        if server.batch != batch.number or server.phase is not Phase.ACCEPTED:
            continue
        server.job_began, server.job_ended = _time(began), _time(ended)
        if status == JobStatus.SUCCESS:
            server.phase, server.evidence = Phase.REBOOTED, Evidence.JOB
            _learn(run, server)


def _learn(run: Run, server: ServerState) -> None:
    """Remember the shortest and the longest reboot, by the cloud's own clock."""
    if server.job_began and server.job_ended and server.job_ended > server.job_began:
        took = (server.job_ended - server.job_began).total_seconds()
        run.shortest_s = min(took, run.shortest_s or took)
        run.longest_s = max(took, run.longest_s or took)


def _servers_failing(run: Run, event: Event) -> None:
    """A job failed for servers, or did not end in time: they are looked at before they are judged."""
    rows = {i: (str(reason), str(detail)) for i, (reason, detail) in event.data["servers"].items()}
    servers = [run.servers[i] for i in rows]
    _demand(all(s.phase is Phase.ACCEPTED for s in servers), "a server fails that no job holds")
    for server, (reason, detail) in zip(servers, rows.values(), strict=True):
        server.phase, server.reason, server.detail = Phase.FAILING, reason, detail


def _job_gone(run: Run, event: Event) -> None:
    batch = _batch(run, event, BatchPhase.ACCEPTED)
    batch.phase = BatchPhase.GONE


def _servers_observed(run: Run, event: Event) -> None:
    for server_id in event.data.get("up", ()):
        server = run.servers[server_id]
        server.up_since = server.up_since or event.at
        if server.evidence in (Evidence.NONE, Evidence.JOB):
            server.evidence = Evidence.STATE
    for server_id in event.data.get("down", ()):
        server = run.servers[server_id]
        server.up_since = None
        _no_longer_healthy(server)


def _servers_checked(run: Run, event: Event) -> None:
    """Servers whose checks pass now, and those of which one no longer does."""
    touched = [run.servers[i] for i in (*event.data["passed"], *event.data["missed"])]
    _demand(all(s.up_since and s.phase in (Phase.ADOPTED, Phase.REBOOTED) for s in touched), "checked out of turn")
    for server_id in event.data["passed"]:
        server = run.servers[server_id]
        server.healthy_since = server.healthy_since or event.at
        server.evidence = Evidence.CHECK
    for server_id in event.data["missed"]:
        _no_longer_healthy(run.servers[server_id])


def _no_longer_healthy(server: ServerState) -> None:
    server.healthy_since = None
    if server.evidence is Evidence.CHECK:
        server.evidence = Evidence.STATE


def _baseline_checked(run: Run, event: Event) -> None:
    """A group's servers were asked before the first wave: the unhealthy are left out, or remembered."""
    group = run.group(event.data["group"])
    unhealthy = {run.servers[i].ref.id: str(words) for i, words in event.data["unhealthy"].items()}
    _demand(run.position == 0 and not any(w.started for w in run.waves), "a baseline after the first wave began")
    _demand(group.name not in run.baselined, "a group's baseline twice")
    _demand(all(run.servers[i].outcome is None for i in unhealthy), "a server that has ended is left out")
    run.baselined.add(group.name)
    for server_id, words in unhealthy.items():
        server = run.servers[server_id]
        if group.baseline == "exclude":
            _end(run, server, event.at, Outcome.SKIPPED, UNHEALTHY_BEFORE, words, Evidence.NONE)
        else:
            server.unhealthy_before = words


def _target_failed(run: Run, event: Event) -> None:
    """A target that cannot be used: its groups begin nothing more, those of others go on."""
    name = event.data["target"]
    _demand(any(t.name == name for t in run.schedule.targets), "a target fails that the run does not have")
    run.failed_targets.setdefault(name, str(event.data["why"]))


def _servers_ended(run: Run, event: Event) -> None:
    outcomes = {i: (run.servers[i], *row) for i, row in event.data["servers"].items()}
    _demand(all(s.outcome is None for s, *_ in outcomes.values()), "a server ends twice")
    for server, word, reason, detail in outcomes.values():
        _end(run, server, event.at, Outcome(word), reason, detail, server.evidence)


def _end(
    run: Run, server: ServerState, at: datetime, outcome: Outcome, reason: str, detail: str, evidence: Evidence
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


def _server_resolved(run: Run, event: Event) -> None:
    data = event.data
    server = run.servers.get(data["server"])
    if server is None or server.outcome not in (Outcome.UNKNOWN, Outcome.FAILED):
        raise IllegalEvent("only an unknown or failed server can be resolved")
    outcome, reason = _RESOLVED[data["as"]]
    counted = server.uses_up_budget
    server.outcome, server.reason, server.evidence = outcome, reason, Evidence.PERSON
    server.resolution = {
        "at": event.at.isoformat(),
        **{
            k: str(data[k]) for k in ("as", "by", "reason", "seen", "updated", "last_reboot") if data.get(k) is not None
        },
    }
    if counted and not server.uses_up_budget:
        _count_failure(run, server, -1)
    run.decisions.append(event)


_RESOLVED = {
    "rebooted": (Outcome.READY, "ResolvedAsRebooted"),
    "not-rebooted": (Outcome.NOT_STARTED, "ResolvedAsNotRebooted"),
    "reboot-again": (Outcome.FAILED, "ResolvedAsRebootAgain"),
}


# --- waiting, deciding, ending ---------------------------------------------------------------------------------


def _pause_started(run: Run, event: Event) -> None:
    run.pause_began = event.at


def _bake_started(run: Run, event: Event) -> None:
    run.bake_began = event.at


def _in_bake(run: Run, event: Event, ids: Iterable[str] = ()) -> list[ServerState]:
    """The servers with these ids: ready ones of the group that bakes now."""
    group, servers = event.data["group"], [run.servers[i] for i in ids]
    _demand(run.bake_began and run.position, f"{event.type} where no bake is on")
    _demand(run.schedule.waves[run.position - 1].group == group and group not in run.baked, "the bake of another group")
    for server in servers:
        _demand(run.schedule.waves[server.wave - 1].group == group, "a server of another group")
        _demand(server.outcome is Outcome.READY, "a server is lost that is not ready")
    return servers


def _bake_observed(run: Run, event: Event) -> None:
    """Ready servers that are not well now (`missed`), and those that are again (`back`)."""
    missed, back = _in_bake(run, event, event.data["missed"]), _in_bake(run, event, event.data["back"])
    for server in missed:
        server.missing_since = server.missing_since or event.at
    for server in back:
        server.missing_since = None


def _servers_lost(run: Run, event: Event) -> None:
    """Servers that were ready and are not any more: they count as failed from now on."""
    rows = {i: (str(reason), str(detail)) for i, (reason, detail) in event.data["servers"].items()}
    servers = _in_bake(run, event, rows)
    _demand(servers, "nobody is lost")
    for server, (reason, detail) in zip(servers, rows.values(), strict=True):
        server.outcome, server.reason, server.detail, server.lost = Outcome.FAILED, reason, detail, event.at
        if server.evidence is Evidence.CHECK:
            server.evidence = Evidence.STATE
        if server.uses_up_budget:
            _count_failure(run, server, 1)
    for number in {s.wave for s in servers}:
        run.waves[number - 1].counts = _count(run, run.schedule.waves[number - 1])


def _bake_ended(run: Run, event: Event) -> None:
    _in_bake(run, event)
    run.baked.add(event.data["group"])


def _window_awaited(run: Run, event: Event) -> None:
    _demand(run.wave is not None and run.wave.number == event.data["wave"], "a window is awaited out of turn")
    run.window_opens, run.window_why = _time(event.data["until"]), str(event.data["why"])
    run.window_since = run.window_since or event.at
    run.window_current = bool(event.data.get("current"))


def _window_overridden(run: Run, event: Event) -> None:
    _demand(run.wave is not None and run.wave.number == event.data["wave"], "a window is overridden out of turn")
    state = run.waves[run.position]
    state.reopened, state.overridden = None, event.at
    run.decisions.append(event)


def _approval_asked(run: Run, event: Event) -> None:
    _demand(run.question is None, "a second question while one is open")
    run.question = Question(event.data["question"], event.data["why"], event.data["wave"], event.at)
    run.word = "waiting"


def _approval_given(run: Run, event: Event) -> None:
    question = run.question
    if question is None or question.id != event.data["question"]:
        raise IllegalEvent("an answer to a question that is not open")
    run.answered.add(question.id)
    run.question = None
    run.word = "suspended" if run.suspended else run.working_word
    _suspended_still(run, event, "approved")
    run.decisions.append(event)
    kind, _, rest = question.id.partition(":")
    if kind == "budget":
        group, _, failed = rest.partition(":")
        run.accepted_over[group] = int(failed) if failed else run.failed_in.get(group, 0)


def _budget_passed(run: Run, event: Event) -> None:
    run.passed_over.add(event.data["group"])


def _cancel_requested(run: Run, event: Event) -> None:
    run.decisions.append(event)
    _suspended_still(run, event, "cancelled")
    if run.stop is None:
        run.stop = Stop("Cancelled", str(event.data.get("reason", "")), "cancelled", event.at)
        run.question = None
        run.word = run.working_word


def _run_stopping(run: Run, event: Event) -> None:
    _demand(run.stop is None, "a run stops twice")
    run.stop = Stop(event.data["reason"], event.data.get("detail", ""), "stopped", event.at)
    run.question = None
    run.word = run.working_word


def _run_suspended(run: Run, event: Event) -> None:
    run.suspended = event
    waits = "waiting" if run.question else "suspended"
    run.word = event.data.get("word") or waits


def _run_resumed(run: Run, event: Event) -> None:
    _go_on(run)


def _suspended_still(run: Run, event: Event, what: str) -> None:
    """What a suspended run waited for is decided: it waits for somebody to go on with it, and for nothing else."""
    if run.suspended is not None:
        data = {"why": f"{what} since; nobody goes on with it yet"}
        run.suspended = Event(run.suspended.type, data, event.at, run.suspended.seq, run.suspended.fence)


def _go_on(run: Run) -> None:
    """Somebody is at the run again."""
    if run.suspended is not None:
        run.suspended = None
        run.word = run.working_word


def _run_error(run: Run, event: Event) -> None:
    run.errors.append(event)


def _run_ended(run: Run, event: Event) -> None:
    _demand(all(s.outcome for s in run.servers.values()), "a run ends while servers have no outcome")
    run.word, run.ended = event.data["word"], event.at
    run.question = None


def _noted(run: Run, event: Event) -> None:
    """For people only."""


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


EVENTS: dict[str, Callable[[Run, Event], None]] = {
    "baseline.checked": _baseline_checked,
    "wave.started": _wave_started,
    "gates.asked": _gates_asked,
    "wave.held": _wave_held,
    "wave.busy": _wave_busy,
    "servers.blocked": _servers_blocked,
    "wave.checked": _wave_checked,
    "wave.ended": _wave_ended,
    "batch.intended": _batch_intended,
    "batch.accepted": _batch_accepted,
    "batch.not_sent": _batch_not_begun(BatchPhase.NOT_SENT),
    "batch.throttled": _batch_turned_away(BatchPhase.THROTTLED),
    "batch.refused": _batch_turned_away(BatchPhase.REFUSED),
    "batch.denied": _batch_not_begun(BatchPhase.DENIED),
    "batch.ambiguous": _batch_ambiguous,
    "batch.looked": _batch_looked,
    "batch.settled": _batch_settled,
    "servers.rechecked": _servers_rechecked,
    "job.polled": _job_polled,
    "servers.failing": _servers_failing,
    "job.gone": _job_gone,
    "servers.observed": _servers_observed,
    "servers.checked": _servers_checked,
    "target.failed": _target_failed,
    "servers.ended": _servers_ended,
    "server.resolved": _server_resolved,
    "pause.started": _pause_started,
    "bake.started": _bake_started,
    "bake.observed": _bake_observed,
    "servers.lost": _servers_lost,
    "bake.ended": _bake_ended,
    "window.awaited": _window_awaited,
    "window.overridden": _window_overridden,
    "approval.asked": _approval_asked,
    "approval.given": _approval_given,
    "budget.passed": _budget_passed,
    "cancel.requested": _cancel_requested,
    "run.stopping": _run_stopping,
    "run.suspended": _run_suspended,
    "run.resumed": _run_resumed,
    "run.error": _run_error,
    "run.ended": _run_ended,
    "note": _noted,
}

AFTER_THE_END = frozenset({"server.resolved", "batch.accepted", "note"})
"""Facts and decisions that may still arrive when a run is closed."""
