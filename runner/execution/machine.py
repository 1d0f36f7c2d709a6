"""What a run does next: `decide(run, pace, now) -> Step`. Pure: no clock, no I/O.

The order of the rules is the safety of the tool, so it is written once, here: consequences
of what is known come first, then what is in flight is followed, and only then something new
is begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from runner.execution import baking, brakes, failing, gating
from runner.execution.budgets import ask, over_budget
from runner.execution.deadlines import ended_servers
from runner.execution.effects import (
    AskBefore,
    Pace,
    ReadWave,
    Recheck,
    Send,
    Step,
    Tuning,
)
from runner.execution.following import TuningOf, follow
from runner.execution.openings import outside
from runner.model.events import (
    Ended,
    EventData,
    Outcome,
    PauseStarted,
    RunEnded,
    RunStopping,
    ServersEnded,
    WaveEnded,
    WaveStarted,
)
from runner.model.quantity import format_duration
from runner.model.run import IN_FLIGHT, BatchPhase, Phase, Run, ServerState
from runner.model.schedule import Wave

LOOK_HOLDS_S = 600.0
"""How long the look at a wave's servers holds: those that were not asked for by then are
read again first.
"""
RECHECK_HOLDS_S = 10.0
"""How long the look at servers that are asked for once more holds."""
CLAIM_AGAIN_S = 60.0
"""How often a server that another run holds is asked for."""
DEFAULT_TUNING = Tuning()


def decide(
    run: Run, pace: Pace, now: datetime, tuning: TuningOf, halted: str | None = None
) -> Step:
    """The next step of an open run; a closed run has none.

    `halted`: the reason of a halt flag, if one is set. Events come before effects: the
    caller appends them and asks again. A step without events and effects says when to ask
    again.
    """
    if not run.is_open:
        return Step(can_suspend=True)
    for consequence in CONSEQUENCES:
        events = consequence(run, pace, now)
        if events:
            return Step(events=events)
    effects, wakes = follow(run, pace, now, tuning)
    busy = any(s.phase in IN_FLIGHT for s in run.current())
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
    flying = [s for s in run.current() if s.phase in IN_FLIGHT]
    if all(s.phase is Phase.REFUSED for s in flying):
        return "room to send"
    if run.rules().checks and all(s.up_since for s in flying):
        return f"the checks of {len(flying)} server{'' if len(flying) == 1 else 's'} to pass"
    return "servers to come back"


# --- consequences of what is known --------------------------------------------


def _question_expired(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    if run.question is None or run.stop is not None or now < question_deadline(run):
        return ()
    wait = format_duration(run.schedule.wait_at_most_s)
    return (RunStopping("ApprovalTimeout", f"no answer within {wait}"),)


def question_deadline(run: Run) -> datetime:
    """Until when the open question is waited for (`wait_at_most`)."""
    assert run.question is not None  # noqa: S101 - asked only while one is open
    return run.question.asked + timedelta(seconds=run.schedule.wait_at_most_s)


def _stopped(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    """A run that stops starts nothing more; what is in flight is followed to its end, then
    it is over.
    """
    stop = run.stop
    if stop is None:
        return ()
    if any(s.phase in IN_FLIGHT for s in run.current()):
        idle = [s for s in run.current() if s.phase is Phase.WAITING]
    else:
        idle = [s for s in run.servers.values() if s.outcome is None]
    if idle:
        row = Ended(Outcome.NOT_STARTED, stop.reason)
        return (ServersEnded({s.ref.id: row for s in idle}),)
    if all(s.outcome for s in run.servers.values()):
        return _wave_over(run, pace, now) or (RunEnded(stop.word, stop.reason),)
    return ()


def _wave_over(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    wave = run.wave
    if wave is None or run.waves[run.position].started is None:
        return ()
    if any(s.outcome is None for s in run.members(wave)):
        return ()
    if any(
        b.phase.is_in_doubt and b.target not in run.failed_targets for b in run.current_batches()
    ):
        return ()
    return (WaveEnded(wave.number),)


def _all_over(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    if run.wave or baking.rules_now(run):
        return ()
    return (RunEnded("done", "AllWavesDone"),)


CONSEQUENCES = (
    ended_servers,
    failing.ended,
    over_budget,
    _question_expired,
    _stopped,
    failing.passed_over,
    _wave_over,
    baking.over,
    _all_over,
)
"""In the order in which they are drawn."""


# --- beginning something new --------------------------------------------------


def _begin(run: Run, pace: Pace, now: datetime, tuning: TuningOf, halted: str | None) -> Step:
    wave = run.wave
    if run.stop is not None:
        return Step()
    if wave is None:
        return baking.waits(run, now) or Step()
    if run.question is not None:
        return Step(
            wake=question_deadline(run), waits_for=f"approval: {run.question.why}", can_suspend=True
        )
    if halted is not None:
        return Step(
            wake=now + timedelta(seconds=30),
            waits_for=f"`unhalt` (halted: {halted})",
            can_suspend=True,
        )
    course = run.waves[run.position]
    if course.started is None:
        step = _before_wave(run, wave, pace, now, tuning)
        begins = any(isinstance(event, WaveStarted) for event in step.events)
        return (
            (gating.held(run, wave, pace, now) or _baseline(run, pace, now)) if begins else None
        ) or step
    if course.checked is None:
        return _look_at_wave(run, wave, pace, now)
    return _send(run, wave, pace, now, tuning)


def _baseline(run: Run, pace: Pace, now: datetime) -> Step | None:
    """Before the run's first wave: the servers of each group that asks for it, as they are
    before anything happens.
    """
    if run.position:
        return None
    if pace.baseline_again and pace.baseline_again > now:
        return Step(
            wake=pace.baseline_again,
            waits_for="servers to be read before the first wave",
            can_suspend=True,
        )
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
            return Step(wake=due, waits_for="servers to be read again before the wave")
        return Step(
            wake=due,
            waits_for="servers of the group that are down (max_unavailable)",
            can_suspend=True,
        )
    waiting = tuple(s.ref.id for s in run.members(wave) if s.phase is Phase.WAITING)
    return Step(
        effects=(
            ReadWave(wave.number, run.rules().target, waiting, brakes.others_to_read(run, wave)),
        )
    )


def _before_wave(run: Run, wave: Wave, pace: Pace, now: datetime, tuning: TuningOf) -> Step:
    """Bake, then pause or approval, then proof that the wave before came back, then a
    window; then it starts.
    """
    start = WaveStarted(wave.number)
    waits = _after(run, wave, now) if run.position else None
    per_minute = tuning(run.group(wave.group).target).servers_per_minute
    return waits or outside(run, wave, pace, now, per_minute, start) or Step(events=(start,))


def _after(run: Run, wave: Wave, now: datetime) -> Step | None:
    """What follows the wave before: bake, then pause or approval, then proof of it; None
    when all is over.
    """
    before = run.schedule.waves[run.position - 1]
    baked = baking.waits(run, now)
    if baked:
        return baked
    if (
        before.pause.kind == "timed"
        and before.pause.seconds > 0
        and run.waves[run.position - 1].started
    ):
        begun = PauseStarted(before.number, before.pause.seconds)
        waiting = _timed(run.pause_began, before.pause.seconds, now, "pause", begun)
        if waiting:
            return waiting
    for question, why in _questions(run, before):
        if question not in run.answered:
            return Step(events=(ask(run, question, why),))
    return None


def _questions(run: Run, before: Wave) -> Iterator[tuple[str, str]]:
    if before.pause.kind == "approval":
        yield f"pause:{before.number}", f"the plan asks for an approval after wave {before.number}"
    members = run.members(before)
    proven = any(s.outcome is Outcome.READY for s in members)
    if before.is_canary and before.group in run.accepted_over:
        proven = True  # its failure is what a person was asked about, and said yes
    if (
        not proven
        and not all(s.reason == "RebootedInCycle" for s in members)
        and not failing.says_nothing(run, before)
    ):
        yield f"proof:{before.number}", f"no server of wave {before.number} came back ready"


def _timed(
    began: datetime | None, seconds: float, now: datetime, what: str, begin: EventData
) -> Step | None:
    """A stored start and length, asked afresh: None when it is over."""
    if began is None:
        return Step(events=(begin,))
    until = began + timedelta(seconds=seconds)
    if now >= until:
        return None
    return Step(
        wake=until,
        waits_for=f"{what} until {until.isoformat(timespec='seconds')}",
        can_suspend=True,
    )


def _send(run: Run, wave: Wave, pace: Pace, now: datetime, tuning: TuningOf) -> Step:
    """The next batch of the wave: its fit servers in the wave's order, smaller after a refusal."""
    waiting = [s for s in run.members(wave) if s.phase is Phase.WAITING]
    if not waiting:
        return Step()
    if any(s.phase is Phase.FAILING for s in run.members(wave)):
        return Step(waits_for="servers whose job failed to be looked at")
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
    target = run.rules().target
    size = batch_size(run, free, tuning(target).servers_per_request)
    size = size if left is None else min(size, left)
    first = free[0]
    same = [s for s in free if s.attempts == first.attempts][:size]
    is_repeat = any(s.first_asked for s in same)
    starts = is_repeat or not run.current_batches()
    held = _held_back(run, wave, pace, now, tuning) if starts else None
    if held is not None:
        return held
    ids = tuple(s.ref.id for s in same)
    if is_repeat and not _are_rechecked(ids, pace, now):
        due = pace.recheck_again or now
        return Step(wake=due) if due > now else Step(effects=(Recheck(target, ids),))
    number = next(reversed(run.batches), 0) + 1
    return Step(effects=(Send(number, target, ids),))


def _are_rechecked(ids: tuple[str, ...], pace: Pace, now: datetime) -> bool:
    """Return True if this process has read all these servers a moment ago."""
    since = now - timedelta(seconds=RECHECK_HOLDS_S)
    return all((at := pace.rechecked.get(i)) is not None and at >= since for i in ids)


def _held_back(run: Run, wave: Wave, pace: Pace, now: datetime, tuning: TuningOf) -> Step | None:
    """What holds a wave that has begun while none of its servers was asked for, or a request
    that is repeated: gates that are no longer open, a window that has closed, a freeze. It
    may have waited for long: for servers that are down or busy, for a rate, for throttling
    to end, for the next process.
    """
    per_minute = tuning(run.group(wave.group).target).servers_per_minute
    return gating.held(run, wave, pace, now) or outside(run, wave, pace, now, per_minute)


def batch_size(run: Run, free: list[ServerState], most: int) -> int:
    """Servers of the next request. A server that was in a refused batch of n goes next in
    one of at most n/2.
    """
    last = run.batches.get(free[0].batch or 0)
    if last is not None and last.phase is BatchPhase.REFUSED:
        return max(1, min(most, len(last.servers) // 2))
    return most
