"""Windows and freezes as people read them: open until when, or when it opens, and how many
waves fit. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.model.bounds import Count
from runner.model.schedule import Schedule
from runner.model.shape import Shaped
from runner.planning.when import Outlook, windows_words
from runner.report.run_words import count


def outlook_words(outlook: Outlook) -> str:
    """`open until 2026-11-03 23:30 UTC: 3 of 7 waves fit`, or `closed (a freeze is on),
    opens …: 3 of 7 waves fit`.
    """
    if outlook.begins is None:
        return f"closed ({outlook.why}), no opening is in sight"
    fit = f"{outlook.waves} of {count(outlook.left, 'wave')} fit{'s' if outlook.waves == 1 else ''}"
    until = (
        f"until {_time(outlook.starts_until)}" if outlook.starts_until else "with no end in sight"
    )
    if outlook.is_open:
        return f"open now {until}: {fit}"
    return f"closed ({outlook.why}), opens {_time(outlook.begins)}, {until}: {fit}"


def when_lines(schedule: Schedule, outlook: Outlook | None) -> Iterator[str]:
    """What windows and freezes say, a sentence each; nothing for a schedule that has neither."""
    if outlook is None:
        return
    freezes = f", {count(len(schedule.calendars), 'calendar')} of freezes"
    yield f"windows: {windows_words(schedule.windows)}{freezes if schedule.calendars else ''}"
    yield outlook_words(outlook)
    if outlook.too_long:
        numbers = ", ".join(map(str, outlook.too_long[:5])) + (
            "" if len(outlook.too_long) <= 5 else ", …"
        )
        waves = f"wave{'' if len(outlook.too_long) == 1 else 's'} {numbers}"
        yield f"NEVER FITS: {waves} would not be over before the end of any window"
    if outlook.gives_up:
        yield (
            f"NEVER OPENS IN TIME: begun now, the run would stop at {_time(outlook.gives_up)} "
            f"(wait_at_most)"
        )


@dataclass(frozen=True, slots=True)
class OpeningRow(Shaped):
    """The open time that is on, or the next one. Times are ISO 8601 with a zone; null where
    none is in sight.
    """

    open: bool
    """Whether a wave may start at this moment."""
    why: str | None
    """Why not."""
    begins: datetime | None
    starts_until: datetime | None
    """Waves start before this; null where nothing closes it."""
    ends: datetime | None
    waves_fit: Count
    """So many of the waves left fit into it, one after the other."""
    waves_left: Count
    too_long: tuple[int, ...]
    """Numbers of the waves that fit into no window."""
    gives_up: datetime | None
    """When a run begun now would stop, where nothing opens before that."""

    @classmethod
    def of(cls, outlook: Outlook | None) -> OpeningRow | None:
        if outlook is None:
            return None
        times = (outlook.begins, outlook.starts_until, outlook.ends, outlook.gives_up)
        begins, starts_until, ends, gives_up = (
            at.replace(microsecond=0) if at else None for at in times
        )
        waves = (outlook.waves, outlook.left, outlook.too_long)
        return cls(
            outlook.is_open, outlook.why or None, begins, starts_until, ends, *waves, gives_up
        )


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at.second else f"{at:%Y-%m-%d %H:%M} UTC"
