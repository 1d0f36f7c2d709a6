"""Windows and freezes before a wave: may it start now, and until when does it wait? Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from runner.execution.effects import NewEvent, Pace, Step
from runner.model.quantity import format_duration
from runner.model.run import Run
from runner.model.schedule import Wave
from runner.model.window import Open, closed_why, first_fit, state
from runner.planning.forecast import REBOOT_S, wave_length_s


def outside(run: Run, wave: Wave, pace: Pace, now: datetime, servers_per_minute: int, *start: NewEvent) -> Step | None:
    """What a wave waits for that may not start now, or would not be over in time; None where it may.

    `start`: what begins the wave, if it has not begun. The wait is measured from its own beginning and ends in a stop
    after `wait_at_most`. Only starting is limited: of a wave that has begun every batch is sent.
    """
    schedule = run.schedule
    if not schedule.windows and not schedule.freezes:
        return None
    if run.window_since is not None and now >= window_deadline(run, run.window_since):
        wait = format_duration(schedule.wait_at_most_s)
        detail = f"wave {wave.number} could not begin in any window within {wait}"
        return Step(events=(("run.stopping", {"reason": "WindowTimeout", "detail": detail}),))
    rules = run.group(wave.group)
    length = wave_length_s(wave, rules, schedule.rate, run.longest_s or REBOOT_S, servers_per_minute)
    opens = first_fit(schedule.windows, schedule.freezes, now, length)
    if opens == now:
        return None
    why = _why_closed(run, now, length)
    if pace.override is not None:
        return Step(events=(("window.overridden", {"wave": wave.number, "why": why, **pace.override}), *start))
    until = opens.isoformat(timespec="seconds") if opens else None
    if run.window_since is None:
        return Step(events=(("window.awaited", {"wave": wave.number, "why": why, "until": until}),))
    deadline = window_deadline(run, run.window_since)
    words = f"window ({why}) until {until}" if until else f"window ({why}; none is in sight)"
    return Step(wake=min(opens or deadline, deadline), waits_for=words, can_suspend=True)


def _why_closed(run: Run, now: datetime, length_s: float) -> str:
    schedule = run.schedule
    if isinstance(state(schedule.windows, schedule.freezes, now), Open):
        return f"the wave takes {format_duration(float(round(length_s)))}, which is more than is left"
    return closed_why(schedule.windows, schedule.freezes, now)


def window_deadline(run: Run, since: datetime) -> datetime:
    """Until when a window is waited for (`wait_at_most`)."""
    return since + timedelta(seconds=run.schedule.wait_at_most_s)
