"""Windows and freezes before a wave: may it start now, and until when does it wait? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.execution.effects import Pace, ReadFreezes, Step
from runner.execution.gating import wait_deadline
from runner.model.events import EventData, RunStopping, WindowAwaited, WindowOverridden
from runner.model.quantity import format_duration
from runner.model.run import Run
from runner.model.schedule import Schedule, Wave
from runner.model.window import CurrentFreezes, Open, closed_why, first_fit, join, state
from runner.planning.forecast import REBOOT_S, wave_length_s

READ_AGAIN_S = 60.0
"""How often calendars are read again while they cannot be read, or hold a wave that the
run's own copy would let go.
"""


@dataclass(frozen=True, slots=True)
class ClosedWave:
    """Why a wave may not start now, and when it may: None where that is not in sight.
    `current`: by the plan's calendars as they are now, which the run's own copy of them
    does not hold.
    """

    why: str
    opens: datetime | None
    current: bool = False


def outside(
    run: Run, wave: Wave, pace: Pace, now: datetime, servers_per_minute: int, *start: EventData
) -> Step | None:
    """What a wave waits for that may not start now, or would not be over in time; None
    where it may.

    `start`: what begins the wave, if it has not begun. Windows and the run's copy of the
    freezes are asked first, then the plan's calendars as they are now: the stricter
    wins. The wait is measured from its own beginning and ends in a stop after
    `wait_at_most`. Only starting is limited: of a wave that has begun every batch is
    sent.
    """
    schedule = run.schedule
    if run.window_since is not None and now >= wait_deadline(run, run.window_since):
        wait = format_duration(schedule.wait_at_most_s)
        detail = f"wave {wave.number} could not begin in any window within {wait}"
        return Step(events=(RunStopping("WindowTimeout", detail),))
    rules = run.group(wave.group)
    length = wave_length_s(
        wave, rules, schedule.rate, run.longest_s or REBOOT_S, servers_per_minute
    )
    closed = _closed(schedule, now, length)
    if closed is None:
        if pace.calendars is None or pace.calendars[0] != wave.number:
            return _read_first(run, wave, rules.target)
        closed = _closed_now(schedule, pace.calendars[1], now, length)
    return _wait(run, wave, pace, now, start, closed) if closed else None


def _read_first(run: Run, wave: Wave, target: str) -> Step:
    """The calendars are read before a wave begins. Who cannot read them shows what they were
    last found to close, as long as nothing later is waited for.
    """
    waits = run.window_since is not None and run.gates_since is None
    words = _words(run.window_why, run.window_opens) if waits else ""
    return Step(
        effects=(ReadFreezes(target, wave.number),), waits_for=words, until=run.window_opens
    )


def _wait(
    run: Run,
    wave: Wave,
    pace: Pace,
    now: datetime,
    start: tuple[EventData, ...],
    closed: ClosedWave,
) -> Step | None:
    if pace.override is not None and not start and run.waves[run.position].overridden:
        return None  # by this call or an earlier one; it is recorded once
    if pace.override is not None:
        return Step(events=(WindowOverridden(wave.number, closed.why, **pace.override), *start))
    if run.window_since is None or (closed.current and closed.why != run.window_why):
        until = closed.opens.replace(microsecond=0) if closed.opens else None
        return Step(events=(WindowAwaited(wave.number, closed.why, until, closed.current),))
    deadline = wait_deadline(run, run.window_since)
    over = min(closed.opens or deadline, deadline)
    again = now + timedelta(seconds=READ_AGAIN_S) if closed.current else over
    words = _words(closed.why, closed.opens)
    if closed.opens is None or closed.opens > deadline:
        words += (
            f"; the run stops at {deadline.isoformat(timespec='seconds')}, before that "
            f"(wait_at_most)"
        )
    return Step(wake=min(again, over), waits_for=words, can_suspend=True, until=over)


def _words(why: str, opens: datetime | None) -> str:
    until = f" until {opens.isoformat(timespec='seconds')}" if opens else ""
    return f"window ({why}){until}" if until else f"window ({why}; none is in sight)"


def _closed(schedule: Schedule, now: datetime, length_s: float) -> ClosedWave | None:
    """What windows and the copied freezes say."""
    if not schedule.windows and not schedule.freezes:
        return None
    opens = first_fit(schedule.windows, schedule.freezes, now, length_s)
    if opens == now:
        return None
    if isinstance(state(schedule.windows, schedule.freezes, now), Open):
        return ClosedWave(
            f"the wave takes {format_duration(float(round(length_s)))}, which is more than is left",
            opens,
        )
    return ClosedWave(closed_why(schedule.windows, schedule.freezes, now), opens)


def _closed_now(
    schedule: Schedule, current: CurrentFreezes, now: datetime, length_s: float
) -> ClosedWave | None:
    """What the plan's calendars close now besides. What nobody can tell is closed."""
    if current.problem:
        return ClosedWave(
            f"the plan's calendars cannot be read now: {current.problem}", None, current=True
        )
    if not current.freezes:
        return None
    both = join((*schedule.freezes, *current.freezes))
    opens = first_fit(schedule.windows, both, now, length_s)
    if opens == now:
        return None
    added = "a freeze that was added since the run began"
    if any(f.begins <= now < f.ends for f in current.freezes):
        return ClosedWave(f"{added} is on", opens, current=True)
    takes = format_duration(float(round(length_s)))
    return ClosedWave(f"the wave takes {takes}, and {added} comes sooner", opens, current=True)
