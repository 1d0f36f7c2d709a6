"""Windows and freezes as people read them: open until when, or when it opens, and how many waves fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from runner.model.schedule import Schedule
from runner.planning.when import Outlook, windows_words
from runner.report.run_words import count


def outlook_words(outlook: Outlook) -> str:
    """`open until 2026-11-03 23:30 UTC: 3 of 7 waves fit`, or `closed (a freeze is on), opens …: 3 of 7 waves fit`."""
    if outlook.begins is None:
        return f"closed ({outlook.why}), no opening is in sight"
    fit = f"{outlook.waves} of {count(outlook.left, 'wave')} fit{'s' if outlook.waves == 1 else ''}"
    until = f"until {_time(outlook.starts_until)}" if outlook.starts_until else "with no end in sight"
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
        numbers = ", ".join(map(str, outlook.too_long[:5])) + ("" if len(outlook.too_long) <= 5 else ", …")
        waves = f"wave{'' if len(outlook.too_long) == 1 else 's'} {numbers}"
        yield f"NEVER FITS: {waves} would not be over before the end of any window"
    if outlook.gives_up:
        yield f"NEVER OPENS IN TIME: begun now, the run would stop at {_time(outlook.gives_up)} (wait_at_most)"


def outlook_json(outlook: Outlook | None) -> dict[str, Any] | None:
    """The same as plain values; times are ISO 8601 with a zone."""
    if outlook is None:
        return None
    return {
        "open": outlook.is_open,
        "why": outlook.why or None,
        "begins": _iso(outlook.begins),
        "starts_until": _iso(outlook.starts_until),
        "ends": _iso(outlook.ends),
        "waves_fit": outlook.waves,
        "waves_left": outlook.left,
        "too_long": list(outlook.too_long),
        "gives_up": _iso(outlook.gives_up),
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at.second else f"{at:%Y-%m-%d %H:%M} UTC"
