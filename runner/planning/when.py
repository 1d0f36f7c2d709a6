"""When a run may go on: the present or next open time, and how many of its waves fit
into it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.model.quantity import format_duration
from runner.model.schedule import GroupRules, Schedule
from runner.model.window import DAYS, Window, closed_why, first_fit, openings
from runner.planning.forecast import REBOOT_S, SERVERS_PER_MINUTE, wave_length_s


@dataclass(frozen=True, slots=True)
class Outlook:
    """The open time that is on, or the next one.

    `why`: why the moment is closed, empty when it is open. `begins`: when it opens (the
    past, when it is open); `starts_until`, `ends`: last start and end, None where nothing
    closes it. All three are None where none is in sight. `waves` of the `left` fit into it
    one after the other with their pauses; approvals are taken to be given at once.
    `too_long`: numbers of the waves that fit into no open time in sight.
    """

    why: str
    begins: datetime | None
    starts_until: datetime | None
    ends: datetime | None
    waves: int
    left: int
    too_long: tuple[int, ...] = ()
    gives_up: datetime | None = None
    """When the run would stop (`wait_at_most`), where nothing opens before that."""

    @property
    def is_open(self) -> bool:
        return not self.why


def outlook(
    schedule: Schedule,
    now: datetime,
    *,
    done: int = 0,
    reboot_s: float = REBOOT_S,
    servers_per_minute: int = SERVERS_PER_MINUTE,
) -> Outlook | None:
    """What windows and freezes mean for the waves after the first `done`; None where the
    schedule has neither.
    """
    if not schedule.windows and not schedule.calendars:
        return None
    rules = {g.name: g for g in schedule.groups}
    lengths = [
        wave_length_s(w, rules[w.group], schedule.rate, reboot_s, servers_per_minute)
        for w in schedule.waves[done:]
    ]
    opening = next(openings(schedule.windows, schedule.freezes, now), None)
    endless = {
        s for s in set(lengths) if first_fit(schedule.windows, schedule.freezes, now, s) is None
    }
    long = tuple(n for n, length in enumerate(lengths, done + 1) if length in endless)
    deadline = now + timedelta(seconds=schedule.wait_at_most_s)
    if opening is None:
        why = closed_why(schedule.windows, schedule.freezes, now)
        return Outlook(why, None, None, None, 0, len(lengths), long, deadline)
    why = "" if opening.takes(now) else closed_why(schedule.windows, schedule.freezes, now)
    at, fit = max(now, opening.begins), 0
    for n, length in enumerate(lengths, done):
        if not opening.takes(at, length):
            break
        at += timedelta(seconds=length + _rest_s(schedule, n, rules))
        fit += 1
    late = deadline if opening.begins > deadline else None
    return Outlook(
        why, opening.begins, opening.starts_until, opening.ends, fit, len(lengths), long, late
    )


def windows_words(windows: Sequence[Window]) -> str:
    """`tue, wed 22:00 for 5h Europe/Berlin (cutoff 30m)`; `any time` without windows."""
    return "; ".join(map(_words, windows)) or "any time"


def _words(window: Window) -> str:
    days = ", ".join(sorted(window.days, key=DAYS.index))
    cutoff = f" (cutoff {format_duration(window.cutoff_s)})" if window.cutoff_s else ""
    return f"{days} {window.start} for {format_duration(window.length_s)} {window.timezone}{cutoff}"


def _rest_s(schedule: Schedule, n: int, rules: Mapping[str, GroupRules]) -> float:
    """What lies between a wave and the next: bake and pause."""
    wave, following = schedule.waves[n], schedule.waves[n + 1 : n + 2]
    is_last = not following or following[0].group != wave.group
    return (rules[wave.group].bake_s if is_last else 0.0) + wave.pause.seconds
