"""What a run does next: `decide(run, pace, now) -> Step`. Pure: no clock, no I/O.

The order of the rules is the safety of the tool, so it is written once, here: consequences of what is known come
first, then what is in flight is followed, and only then something new is begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from runner.execution import baking, brakes, failing, gating
from runner.execution.effects import (
    Ask,
    AskBefore,
    Effect,
    Look,
    NewEvent,
    Pace,
    Poll,
    ReadBack,
    ReadWave,
    Recheck,
    Send,
    Step,
    Tuning,
)
from runner.execution.evidence import is_held
from runner.execution.openings import outside
from runner.model.quantity import format_duration
from runner.model.run import IN_FLIGHT, Batch, BatchPhase, Outcome, Phase, Run, ServerState
from runner.model.schedule import GroupRules, Wave

BLIND_GRACE_S = 120.0
"""How long reading may fail at a deadline before a server is called unknown."""
SECOND_LOOK = 1 / 3
"""Time between the two readings that prove "no trace", as a share of `settle`: 60 s of 3 minutes."""
STRAGGLER_READ_S = 120.0
"""How often states are read while some servers of the wave are still rebooting."""
LOOK_HOLDS_S = 600.0
"""How long the look at a wave's servers holds: those that were not asked for by then are read again first."""
CLAIM_AGAIN_S = 60.0
"""How often a server that another run holds is asked for."""
DEFAULT_TUNING = Tuning()

TuningOf = Callable[[str], Tuning]


def decide(run: Run, pace: Pace, now: datetime, tuning: TuningOf, halted: str | None = None) -> Step:
    """The next step of an open run; a closed run has none.

    `halted`: the reason of a halt flag, if one is set. Events come before effects: the caller appends them and asks
    again. A step without events and effects says when to ask again.
    """
    if not run.is_open:
        return Step(can_suspend=True)
    for consequence in CONSEQUENCES:
        events = consequence(run, pace, now)
        if events:
            return Step(events=events)
    effects, wakes = _follow(run, pace, now, tuning)
    busy = any(s.phase in IN_FLIGHT for s in _current(run))
    begun = _begin(run, pace, now, tuning, halted)
    if begun.events:
        return begun
    wakes += [begun.wake] if begun.wake else []
    return Step(
        effects=(*effects, *begun.effects),
        wake=min(wakes) if wakes else None,
        waits_for=_awaited(run) if busy else begun.waits_for,
        can_suspend=begun.can_suspend and not busy and not effects,
        until=begun.until,
    )


def _awaited(run: Run) -> str:
    flying = [s for s in _current(run) if s.phase in IN_FLIGHT]
    if _rules(run).checks and all(s.up_since for s in flying):
        return f"the checks of {len(flying)} server{'' if len(flying) == 1 else 's'} to pass"
    return "servers to come back"


# --- consequences of what is known -------------------------------------------------------------------------------


def _current(run: Run) -> list[ServerState]:
    return run.members(run.wave) if run.wave else []


def _rules(run: Run) -> GroupRules:
    assert run.wave is not None  # noqa: S101 - asked only while a wave is current
    return run.group(run.wave.group)


def _ended_servers(run: Run, pace: Pace, now: datetime) -> tuple[NewEvent, ...]:
    """Servers whose outcome is known now: back and stable, or past their deadline."""
    ended: dict[str, tuple[str, str, str]] = {}
    for server in _current(run):
        verdict = _verdict(run, server, pace, now)
        if verdict:
            ended[server.ref.id] = verdict
    return (("servers.ended", {"servers": ended}),) if ended else ()


def _verdict(run: Run, server: ServerState, pace: Pace, now: datetime) -> tuple[str, str, str] | None:
    if server.phase not in (Phase.ACCEPTED, Phase.ADOPTED, Phase.REBOOTED):
        return _waited_too_long(run, server, pace, now)
    if server.phase is Phase.ACCEPTED:
        batch = run.batches[server.batch or 0]
        if batch.phase is BatchPhase.GONE:
            return None  # its evidence is being looked for
        return _too_late(run, server, pace, now, batch.number)
    if server.up_since is None:
        return _too_late(run, server, pace, now, 0)
    rules, looked = _rules(run), pace.looked.get(server.ref.id)
    if rules.checks and not _lasts(server.healthy_since, pace.asked.get(server.ref.id), rules.stable_for_s):
        return _unhealthy(run, server, pace, now)
    if not _lasts(server.up_since, looked, rules.stable_for_s):
        return _out_of_sight(run, server, pace, now) if rules.checks else None
    return (Outcome.READY, "Rebooted" if server.phase is Phase.REBOOTED else "RebootSeen", "")


def _lasts(since: datetime | None, seen: datetime | None, stable_s: float) -> bool:
    """Whether what has been so `since`, and was last seen so by this process at `seen`, has lasted for long enough."""
    if since is None or seen is None:
        return False
    return stable_s <= 0 or (seen - since).total_seconds() >= stable_s


def _unhealthy(run: Run, server: ServerState, pace: Pace, now: datetime) -> tuple[str, str, str] | None:
    """A server that runs and whose checks do not pass: failed when an answer from its deadline on says so.

    Checks that have begun to pass by then may go on to the end of `stable_for`; the first miss ends it.
    """
    deadline, asked = ready_deadline(run, server), pace.asked.get(server.ref.id)
    if now < deadline:
        return None
    if server.healthy_since is None and asked is not None and asked >= deadline:
        timeout = format_duration(_rules(run).ready_timeout_s)
        words = pace.answers.get(server.ref.id) or "no answer"
        return (Outcome.FAILED, "CheckFailed", f"runs, but does not pass its checks within {timeout}: {words}")
    return _out_of_sight(run, server, pace, now)


def _out_of_sight(run: Run, server: ServerState, pace: Pace, now: datetime) -> tuple[str, str, str] | None:
    """A server that runs, as far as is known, while the cloud cannot be asked at its deadline."""
    deadline = ready_deadline(run, server)
    if now < deadline or not pace.is_blind(0, pace.looked.get(server.ref.id), deadline, now, BLIND_GRACE_S):
        return None
    timeout = format_duration(_rules(run).ready_timeout_s)
    return (Outcome.UNKNOWN, "CannotSee", f"the cloud could not be asked at the end of its {timeout}")


def _too_late(run: Run, server: ServerState, pace: Pace, now: datetime, what: int) -> tuple[str, str, str] | None:
    """A server past its deadline, judged only by a reading of it made since, or when reading has failed for a while.

    `what`: the batch whose job it waits for, `0` when it waits for its own state.
    """
    deadline = ready_deadline(run, server)
    seen = pace.seen.get(what) if what else pace.looked.get(server.ref.id)
    blind = pace.is_blind(what, seen, deadline, now, BLIND_GRACE_S) if now >= deadline else None
    if blind is None:
        return None
    timeout = format_duration(_rules(run).ready_timeout_s)
    if blind:
        return (Outcome.UNKNOWN, "CannotSee", f"the cloud could not be asked at the end of its {timeout}")
    if server.phase is Phase.ACCEPTED:
        return (Outcome.FAILED, "JobTimedOut", f"its job did not end within {timeout}")
    state = pace.states.get(server.ref.id, "no state seen")
    return (Outcome.FAILED, "NotReady", f"rebooted, but not back within {timeout}: {state}")


def ready_deadline(run: Run, server: ServerState) -> datetime:
    """When a server must be back: `ready.timeout` after the cloud's acceptance, job and state together."""
    began = server.accepted or server.intended or run.created
    return began + timedelta(seconds=run.group(_group_of(run, server)).ready_timeout_s)


def _group_of(run: Run, server: ServerState) -> str:
    return run.schedule.waves[server.wave - 1].group


def _waited_too_long(run: Run, server: ServerState, pace: Pace, now: datetime) -> tuple[str, str, str] | None:
    """A server that no request could be made for within `ready.timeout`."""
    if server.phase is not Phase.WAITING:
        return None
    patience = timedelta(seconds=_rules(run).ready_timeout_s)
    blocked = pace.blocked.get(server.ref.id)
    if blocked and now - (server.blocked_since or blocked[0]) >= patience:
        return (Outcome.SKIPPED, "ClaimedByOtherRun", f"in flight in {blocked[1]}")
    if run.trouble_since and now - run.trouble_since >= patience:
        return (Outcome.FAILED, "NotAccepted", f"{run.trouble_count} requests were throttled or could not be sent")
    return None


def _over_budget(run: Run, pace: Pace, now: datetime) -> tuple[NewEvent, ...]:
    """The failure budgets of run and group, judged after every server's result."""
    if run.stop is not None or not run.failed:
        return ()
    budget = run.schedule.max_failures
    for name in run.failed_in:
        excess = _group_excess(run, name)
        if excess and name not in run.accepted_over:
            action = run.group(name).on_failure
            if action == "stop":
                return (("run.stopping", {"reason": excess[0], "detail": excess[1]}),)
            if action == "continue":
                return (("budget.passed", {"group": name, "why": excess[1]}), *_run_excess(run, budget.allowed))
            if run.failed <= budget.allowed and run.question is None and (run.wave or not run.bake_began):
                return (_ask(run, f"budget:{name}", excess[1]),)
    return _run_excess(run, budget.allowed)


def _run_excess(run: Run, allowed: int) -> tuple[NewEvent, ...]:
    if run.failed <= allowed:
        return ()
    detail = f"{run.failed} failed, {allowed} allowed ({run.schedule.max_failures.written})"
    return (("run.stopping", {"reason": "FailureBudgetExceeded", "detail": detail}),)


def _group_excess(run: Run, name: str) -> tuple[str, str] | None:
    """Why a group's budget is exceeded: its number, or its canary whatever the number."""
    rules = run.group(name)
    failed = run.failed_in.get(name, 0)
    canary = next((w for w in run.schedule.waves if w.group == name and w.is_canary), None)
    if canary and any(s.uses_up_budget for s in run.members(canary)):
        return ("CanaryFailed", f"the canary of group {name} failed")
    if rules.max_failures is not None and failed > rules.max_failures.allowed:
        return (
            "GroupBudgetExceeded",
            f"{failed} of group {name} failed, {rules.max_failures.allowed} allowed ({rules.max_failures.written})",
        )
    return None


def _ask(run: Run, question: str, why: str) -> NewEvent:
    number = run.wave.number if run.wave else len(run.schedule.waves)
    return ("approval.asked", {"question": question, "why": why, "wave": number})


def _question_expired(run: Run, pace: Pace, now: datetime) -> tuple[NewEvent, ...]:
    if run.question is None or run.stop is not None or now < question_deadline(run):
        return ()
    wait = format_duration(run.schedule.wait_at_most_s)
    return (("run.stopping", {"reason": "ApprovalTimeout", "detail": f"no answer within {wait}"}),)


def question_deadline(run: Run) -> datetime:
    """Until when the open question is waited for (`wait_at_most`)."""
    assert run.question is not None  # noqa: S101 - asked only while one is open
    return run.question.asked + timedelta(seconds=run.schedule.wait_at_most_s)


def _stopped(run: Run, pace: Pace, now: datetime) -> tuple[NewEvent, ...]:
    """A run that stops starts nothing more; what is in flight is followed to its end, then it is over."""
    stop = run.stop
    if stop is None:
        return ()
    if any(s.phase in IN_FLIGHT for s in _current(run)):
        idle = [s for s in _current(run) if s.phase is Phase.WAITING]
    else:
        idle = [s for s in run.servers.values() if s.outcome is None]
    if idle:
        row = (Outcome.NOT_STARTED, stop.reason, "")
        return (("servers.ended", {"servers": {s.ref.id: row for s in idle}}),)
    if all(s.outcome for s in run.servers.values()):
        ended: NewEvent = ("run.ended", {"word": stop.word, "reason": stop.reason})
        return _wave_over(run, pace, now) or (ended,)
    return ()


def _wave_over(run: Run, pace: Pace, now: datetime) -> tuple[NewEvent, ...]:
    wave = run.wave
    if wave is None or run.waves[run.position].started is None:
        return ()
    if any(s.outcome is None for s in run.members(wave)):
        return ()
    if any(b.phase.is_in_doubt and b.target not in run.failed_targets for b in run.current_batches()):
        return ()
    return (("wave.ended", {"wave": wave.number}),)


def _all_over(run: Run, pace: Pace, now: datetime) -> tuple[NewEvent, ...]:
    if run.wave or baking.rules_now(run):
        return ()
    return (("run.ended", {"word": "done", "reason": "AllWavesDone"}),)


CONSEQUENCES = (
    _ended_servers,
    failing.ended,
    _over_budget,
    _question_expired,
    _stopped,
    failing.passed_over,
    _wave_over,
    baking.over,
    _all_over,
)
"""In the order in which they are drawn."""


# --- following what is in flight ---------------------------------------------------------------------------------


def _follow(run: Run, pace: Pace, now: datetime, tuning: TuningOf) -> tuple[list[Effect], list[datetime]]:
    """Effects that are due for servers in flight, and when the next will be."""
    effects: list[Effect] = []
    wakes: list[datetime] = []
    members = run.members(run.wave) if run.wave else []
    flying = _follow_ups(run, members, pace, now, tuning) if run.wave else ()
    for due, effect in (*flying, *baking.rounds(run, pace, now)):
        if due <= now:
            effects.append(effect)
        else:
            wakes.append(due)
    wakes += [d for d in (_next_deadline(run, members, now),) if d]
    return effects, wakes


def _follow_ups(
    run: Run, members: list[ServerState], pace: Pace, now: datetime, tuning: TuningOf
) -> Iterator[tuple[datetime, Effect]]:
    waiting_for_job: set[int] = set()
    back: list[str] = []
    refused: list[str] = []
    for s in members:
        if s.phase is Phase.ACCEPTED and s.batch:
            waiting_for_job.add(s.batch)
        elif s.phase in (Phase.REBOOTED, Phase.ADOPTED):
            back.append(s.ref.id)
        elif s.phase is Phase.REFUSED:
            refused.append(s.ref.id)
    target = _rules(run).target
    tune = tuning(target)
    for number in sorted(waiting_for_job):
        batch = run.batches[number]
        if batch.phase is BatchPhase.ACCEPTED and batch.job_id:
            yield _poll_due(run, batch, pace, now, tune), Poll(number, target, batch.job_id)
    for batch in run.current_batches():
        if _needs_a_look(run, batch):
            held = tuple(i for i in batch.servers if is_held(run.servers[i], batch))
            yield _look_due(batch, pace, tune), Look(batch.number, target, held)
    if back:
        seldom = (waiting_for_job and _began_rebooting(members)) or _only_checks_miss(run, members)
        gap = STRAGGLER_READ_S if seldom else tune.poll_every_s
        began = run.waves[run.position].started
        last = pace.read_back if pace.read_back and began and pace.read_back >= began else None
        first = _first_straggler_read(members, now) if waiting_for_job else now
        yield (last + timedelta(seconds=gap) if last else first), ReadBack(target, tuple(back))
        for due, servers in _due_checks(run, members, pace, now, tune).items():
            yield due, Ask(target, _rules(run).name, tuple(servers))
    if refused:
        yield pace.recheck_again or now, Recheck(target, tuple(refused))


def _due_checks(
    run: Run, members: list[ServerState], pace: Pace, now: datetime, tune: Tuning
) -> dict[datetime, list[str]]:
    """Servers that run again and whose address this process knows, by when their checks are due."""
    due: dict[datetime, list[str]] = {}
    for server in members if _rules(run).checks else ():
        server_id = server.ref.id
        if server.phase in (Phase.ADOPTED, Phase.REBOOTED) and server.up_since and server_id in pace.addresses:
            asked = pace.asked.get(server_id)
            at = asked + timedelta(seconds=tune.poll_every_s) if asked else now
            due.setdefault(max(at, now), []).append(server_id)
    return due


def _only_checks_miss(run: Run, members: list[ServerState]) -> bool:
    """Whether all that are back run, and only their checks do not pass: those tell sooner than the cloud would."""
    back = [s for s in members if s.phase in (Phase.ADOPTED, Phase.REBOOTED)]
    return bool(_rules(run).checks) and all(s.up_since and not s.healthy_since for s in back)


def _needs_a_look(run: Run, batch: Batch) -> bool:
    return batch.phase.is_in_doubt or batch.phase is BatchPhase.GONE


def _began_rebooting(members: list[ServerState]) -> bool:
    return any(s.phase is Phase.ACCEPTED for s in members)


def _first_straggler_read(members: list[ServerState], now: datetime) -> datetime:
    """While jobs still run, those that ended are read only when they have waited for the others a while."""
    ended = [s.job_ended for s in members if s.phase is Phase.REBOOTED and s.job_ended]
    return min(ended) + timedelta(seconds=STRAGGLER_READ_S) if ended else now


def _poll_due(run: Run, batch: Batch, pace: Pace, now: datetime, tune: Tuning) -> datetime:
    """Every `poll_every`; the first not before the shortest reboot seen, and placed so that one falls just behind
    the longest seen. At a server's deadline there is always one more."""
    last = pace.polled.get(batch.number)
    if last is not None:
        due = last + timedelta(seconds=tune.poll_every_s)
    else:
        due = (batch.answered or batch.intended) + timedelta(seconds=_first_poll_s(run, tune.poll_every_s))
    deadline = min((ready_deadline(run, run.servers[i]) for i in batch.servers), default=due)
    seen = pace.seen.get(batch.number)
    if now >= deadline and (seen is None or seen < deadline) and last is None:
        return now
    return due


def _first_poll_s(run: Run, every_s: float) -> float:
    shortest, longest = run.shortest_s or 0.0, run.longest_s or 0.0
    if shortest <= every_s:
        return every_s
    return shortest + (longest + 0.5 - shortest) % every_s


def _look_due(batch: Batch, pace: Pace, tune: Tuning) -> datetime:
    if batch.number in pace.look_again:
        return pace.look_again[batch.number]
    if batch.last_round is not None:
        return batch.last_round + timedelta(seconds=tune.settle_s * SECOND_LOOK)
    if batch.phase is BatchPhase.GONE:
        return batch.answered or batch.intended
    return (batch.answered or batch.intended) + timedelta(seconds=tune.settle_s)


def _next_deadline(run: Run, members: list[ServerState], now: datetime) -> datetime | None:
    late = [ready_deadline(run, s) for s in members if s.phase in (Phase.ACCEPTED, Phase.ADOPTED, Phase.REBOOTED)]
    return min((d for d in late if d > now), default=None)


# --- beginning something new -------------------------------------------------------------------------------------


def _begin(run: Run, pace: Pace, now: datetime, tuning: TuningOf, halted: str | None) -> Step:
    wave = run.wave
    if run.stop is not None:
        return Step()
    if wave is None:
        return baking.waits(run, now) or Step()
    if run.question is not None:
        return Step(wake=question_deadline(run), waits_for=f"approval: {run.question.why}", can_suspend=True)
    if halted is not None:
        return Step(wake=now + timedelta(seconds=30), waits_for=f"halted: {halted}", can_suspend=True)
    course = run.waves[run.position]
    if course.started is None:
        step = _before_wave(run, wave, pace, now, tuning)
        begins = any(kind == "wave.started" for kind, _ in step.events)
        return ((gating.held(run, wave, pace, now) or _baseline(run, pace, now)) if begins else None) or step
    if course.checked is None:
        return _look_at_wave(run, wave, pace, now)
    return _send(run, wave, pace, now, tuning)


def _baseline(run: Run, pace: Pace, now: datetime) -> Step | None:
    """Before the run's first wave: the servers of each group that asks for it, as they are before anything happens."""
    if run.position:
        return None
    if pace.baseline_again and pace.baseline_again > now:
        return Step(wake=pace.baseline_again, waits_for="servers to be read before the first wave", can_suspend=True)
    for group in run.schedule.groups:
        if group.baseline and group.name not in run.baselined:
            waves = (w for w in run.schedule.waves if w.group == group.name)
            servers = tuple(s.ref.id for w in waves for s in run.members(w) if s.outcome is None)
            if servers:
                return Step(effects=(AskBefore(group.target, group.name, servers),))
    return None


def _look_at_wave(run: Run, wave: Wave, pace: Pace, now: datetime) -> Step:
    due = pace.check_again or now
    if due > now:
        if run.waves[run.position].held is None:
            return Step(wake=due, waits_for="busy servers")
        return Step(wake=due, waits_for="servers of the group that are down (max_unavailable)", can_suspend=True)
    waiting = tuple(s.ref.id for s in run.members(wave) if s.phase is Phase.WAITING)
    return Step(effects=(ReadWave(wave.number, _rules(run).target, waiting, brakes.others_to_read(run, wave)),))


def _before_wave(run: Run, wave: Wave, pace: Pace, now: datetime, tuning: TuningOf) -> Step:
    """Bake, then pause or approval, then proof that the wave before came back, then a window; then it starts."""
    start: NewEvent = ("wave.started", {"wave": wave.number})
    waits = _after(run, wave, now) if run.position else None
    per_minute = tuning(run.group(wave.group).target).servers_per_minute
    return waits or outside(run, wave, pace, now, per_minute, start) or Step(events=(start,))


def _after(run: Run, wave: Wave, now: datetime) -> Step | None:
    """What follows the wave before: bake, then pause or approval, then proof of it; None when all is over."""
    before = run.schedule.waves[run.position - 1]
    baked = baking.waits(run, now)
    if baked:
        return baked
    if before.pause.kind == "timed" and before.pause.seconds > 0 and run.waves[run.position - 1].started:
        begun: NewEvent = ("pause.started", {"after": before.number, "seconds": before.pause.seconds})
        waiting = _timed(run.pause_began, before.pause.seconds, now, "pause", begun)
        if waiting:
            return waiting
    for question, why in _questions(run, before):
        if question not in run.answered:
            return Step(events=(_ask(run, question, why),))
    return None


def _questions(run: Run, before: Wave) -> Iterator[tuple[str, str]]:
    if before.pause.kind == "approval":
        yield f"pause:{before.number}", f"the plan asks for an approval after wave {before.number}"
    members = run.members(before)
    proven = any(s.outcome is Outcome.READY for s in members)
    if not proven and not all(s.reason == "RebootedInCycle" for s in members) and not failing.says_nothing(run, before):
        yield f"proof:{before.number}", f"no server of wave {before.number} came back ready, so it has proven nothing"


def _timed(began: datetime | None, seconds: float, now: datetime, what: str, begin: NewEvent) -> Step | None:
    """A stored start and length, asked afresh: None when it is over."""
    if began is None:
        return Step(events=(begin,))
    until = began + timedelta(seconds=seconds)
    if now >= until:
        return None
    return Step(wake=until, waits_for=f"{what} until {until.isoformat(timespec='seconds')}", can_suspend=True)


def _send(run: Run, wave: Wave, pace: Pace, now: datetime, tuning: TuningOf) -> Step:
    """The next batch of the wave: its fit servers in the wave's order, smaller after a refusal."""
    waiting = [s for s in run.members(wave) if s.phase is Phase.WAITING]
    if not waiting:
        return Step()
    after = max((t for t in (run.send_after, pace.send_after) if t), default=now)
    free = [s for s in waiting if s.ref.id not in pace.blocked]
    since = now - timedelta(seconds=LOOK_HOLDS_S)
    if not free and pace.claimed:
        since = pace.claimed + timedelta(seconds=CLAIM_AGAIN_S)
        if now < since:
            holders = ", ".join(sorted({pace.blocked[s.ref.id][1] for s in waiting}))
            return Step(wake=since, waits_for=f"servers in flight in {holders}", can_suspend=True)
        free = waiting
    if after > now:
        return Step(wake=after, waits_for="room to send")
    left, frees, rate = brakes.room(run, wave, now)
    if rate is not None and left is not None and left <= 0:
        words = f"room to send (rate: {rate.servers} in {format_duration(rate.per_s)})"
        return Step(wake=frees, waits_for=words, can_suspend=True)
    checked = run.waves[run.position].checked
    if checked is None or checked < since:
        return _look_at_wave(run, wave, pace, now)
    held = None if run.current_batches() else _held_back(run, wave, pace, now, tuning)
    if held is not None:
        return held
    target = _rules(run).target
    size = batch_size(run, free, tuning(target).servers_per_request)
    size = size if left is None else min(size, left)
    first = free[0]
    same = [s for s in free if s.attempts == first.attempts][:size]
    number = next(reversed(run.batches), 0) + 1
    return Step(effects=(Send(number, target, tuple(s.ref.id for s in same)),))


def _held_back(run: Run, wave: Wave, pace: Pace, now: datetime, tuning: TuningOf) -> Step | None:
    """What holds a wave that has begun while none of its servers was asked for: gates that are no longer open. After
    such a wait it must begin within a window again.
    """
    shut = gating.held(run, wave, pace, now)
    if shut is not None or run.waves[run.position].reopened is None:
        return shut
    per_minute = tuning(run.group(wave.group).target).servers_per_minute
    return outside(run, wave, pace, now, per_minute)


def batch_size(run: Run, free: list[ServerState], most: int) -> int:
    """Servers of the next request. A server that was in a refused batch of n goes next in one of at most n/2."""
    last = run.batches.get(free[0].batch or 0)
    if last is not None and last.phase is BatchPhase.REFUSED:
        return max(1, min(most, len(last.servers) // 2))
    return most


def counts_line(counts: Mapping[str, int]) -> str:
    """`12 ready, 1 failed, 3 pending`: only what is not zero, in a fixed order."""
    order = ("ready", "failed", "unknown", "skipped", "not_started", "pending")
    return ", ".join(f"{counts[k]} {k.replace('_', ' ')}" for k in order if counts.get(k)) or "no servers"
