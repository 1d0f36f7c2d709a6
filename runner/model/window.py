"""When a wave may start: weekly windows, freezes, and what a moment is: open or closed. Pure;
no clock.

The rules, in full:

* A window begins on each of its `days` at `start`, by the wall clock of its `timezone`, and
  is open for `length` of elapsed time: the weekday is that of the start, midnight and
  changes of the clock do not end it or stretch it.
* A `start` that the clocks skip that night moves forward to the first instant that exists;
  one that they show twice is the first of the two. So a window opens once a day of its
  days, whatever the clocks do.
* Windows that overlap or touch are one open time. In the last `cutoff` before the end of an
  open time nothing starts; the cutoff is that of the window that ends last (the longest,
  where several end together).
* No windows: any time is open. A freeze closes whatever the windows say, and ends an open
  time; a cutoff counts from the end that the windows give it.
* Beginnings belong to an open time or a freeze, ends do not: at its end a window is closed
  and a freeze is over.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from heapq import merge
from typing import Annotated, Protocol
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime
from pydantic import Field as Bounds

from runner.model.bounds import ClockTime, Day, Zone
from runner.model.shape import Shaped

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = timedelta(days=400)
"""How far ahead anybody looks: longer than the longest wait a plan can have (366 days)."""
_SECOND = timedelta(seconds=1)
MAX_WINDOWS = 50
MAX_FREEZES = 10


@dataclass(frozen=True, slots=True)
class Window(Shaped):
    """When waves may start, by the clocks of a time zone; the days are those of the start."""

    days: Annotated[tuple[Day, ...], Bounds(min_length=1, max_length=7)]
    start: ClockTime
    length_s: Annotated[float, Bounds(gt=0, le=7 * 86_400, allow_inf_nan=False)]
    timezone: Zone
    cutoff_s: Annotated[float, Bounds(ge=0, lt=7 * 86_400, allow_inf_nan=False)] = 0.0


@dataclass(frozen=True, slots=True)
class Freeze(Shaped):
    """A time in which nothing starts: from `begins` until just before `ends`, aware UTC."""

    begins: AwareDatetime
    ends: AwareDatetime


@dataclass(frozen=True, slots=True)
class CurrentFreezes:
    """What a plan's calendars close as they are now. `problem`: why nobody can tell,
    which closes.
    """

    freezes: tuple[Freeze, ...] = ()
    problem: str = ""


class Calendar(Protocol):
    """The events of a calendar as freezes."""

    def closed(self, begin: datetime, end: datetime, zone: str) -> tuple[Freeze, ...]:
        """What of them lies between two instants, in order and joined. `zone`: of days and
        times that have none.
        """


@dataclass(frozen=True, slots=True)
class Opening:
    """An open time: waves may start from `begins` until just before `starts_until`, and are to
    be over by `ends`.

    `ends` is None where nothing closes it within the horizon.
    """

    begins: datetime
    starts_until: datetime | None
    ends: datetime | None

    def takes(self, at: datetime, length_s: float = 0.0) -> bool:
        """Whether a wave of this length may start at this moment."""
        if at < self.begins or (self.starts_until is not None and at >= self.starts_until):
            return False
        return self.ends is None or at + timedelta(seconds=length_s) <= self.ends


@dataclass(frozen=True, slots=True)
class Open:
    """Waves may start; until just before `until`, None where nothing closes within the horizon."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Closed:
    """No wave may start. `opens`: when one may again, None where that is not within the
    horizon. `why`: in a phrase.
    """

    opens: datetime | None
    why: str


def state(windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime) -> Open | Closed:
    """Whether a wave may start at a moment, and what comes next."""
    first = next(openings(windows, freezes, now), None)
    if first is not None and first.takes(now):
        return Open(first.starts_until)
    return Closed(first.begins if first else None, closed_why(windows, freezes, now))


def closed_why(windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime) -> str:
    """Why a moment is closed. A freeze is told before a window."""
    if any(f.begins <= now < f.ends for f in freezes):
        return "a freeze is on"
    begun = (
        (begin, begin + timedelta(seconds=w.length_s)) for w in windows for begin in _starts(w, now)
    )
    return (
        "the window is about to end" if any(b <= now < e for b, e in begun) else "no window is open"
    )


def first_fit(
    windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime, length_s: float
) -> datetime | None:
    """The first moment, from now on, at which a wave of this length may start and is over
    before the end.

    None where there is none within the horizon.
    """
    for opening in openings(windows, freezes, now):
        at = max(now, opening.begins)
        if opening.takes(at, length_s):
            return at
    return None


def openings(
    windows: Sequence[Window], freezes: Sequence[Freeze], after: datetime
) -> Iterator[Opening]:
    """The open times in which something may still start after a moment, in order, up to the
    horizon.
    """
    shut = join(freezes)
    over = [f.ends for f in shut]
    for opening in _joined(windows, after) if windows else (Opening(after, None, None),):
        for part in _thawed(opening, shut[bisect_right(over, max(after, opening.begins)) :]):
            if part.starts_until is None or part.starts_until > max(after, part.begins):
                yield part


def join(freezes: Iterable[Freeze]) -> tuple[Freeze, ...]:
    """The same closed time in order, with those that overlap or touch made one."""
    joined: list[Freeze] = []
    for freeze in sorted(freezes, key=lambda f: (f.begins, f.ends)):
        if joined and freeze.begins <= joined[-1].ends:
            joined[-1] = Freeze(joined[-1].begins, max(joined[-1].ends, freeze.ends))
        else:
            joined.append(freeze)
    return tuple(joined)


def start_instant(day: datetime, start: str, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which the clocks of a zone show `start` on a day; the first, if
    they show it twice.

    Where they skip it: the first instant that exists after it.
    """
    wall = datetime.combine(day, time.fromisoformat(start))
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if late >= early:
        return early
    offset = late.astimezone(
        zone
    ).utcoffset()  # skipped: read with the later offset it falls before the change
    while early - late > _SECOND:
        middle = late + (early - late) // 2
        late, early = (
            (middle, early) if middle.astimezone(zone).utcoffset() == offset else (late, middle)
        )
    return early.replace(microsecond=0)


def _starts(window: Window, after: datetime, days: int = 1) -> Iterator[datetime]:
    """The starts of a window from those that could still be open at a moment, so many days
    ahead; in order.
    """
    zone = ZoneInfo(window.timezone)
    back = int(window.length_s // 86_400) + 2
    first = after.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    for n in range(-back, days + 1):
        day = first + timedelta(days=n)
        if DAYS[day.weekday()] in window.days:
            yield start_instant(day, window.start, zone)


def _joined(windows: Sequence[Window], after: datetime) -> Iterator[Opening]:
    """The open times of windows alone, those that are over by `after` left out, and the
    last, whose end is not seen.
    """
    current: Opening | None = None
    for begins, ends, starts_until in _spans(windows, after):
        if current is None or current.ends is None or begins > current.ends:
            if current is not None:
                yield current
            current = Opening(begins, starts_until, ends)
        elif ends > current.ends:
            current = Opening(current.begins, starts_until, ends)
        elif ends == current.ends and current.starts_until is not None:
            current = Opening(current.begins, min(current.starts_until, starts_until), ends)
    if (
        current is not None
        and current.ends is not None
        and current.ends - current.begins > HORIZON / 2
    ):
        yield Opening(current.begins, None, None)  # nothing closes it as far as anybody looks


def _spans(
    windows: Sequence[Window], after: datetime
) -> Iterator[tuple[datetime, datetime, datetime]]:
    """Each single window as begin, end and last start, by their beginnings, up to the horizon."""

    def of(window: Window) -> Iterator[tuple[datetime, datetime, datetime]]:
        for begins in _starts(window, after, HORIZON.days + 1):
            ends = begins + timedelta(seconds=window.length_s)
            if ends > after:
                yield begins, ends, ends - timedelta(seconds=window.cutoff_s)

    return merge(*map(of, windows))


def _thawed(opening: Opening, freezes: Sequence[Freeze]) -> Iterator[Opening]:
    """What freezes, joined and in order, leave of an open time."""
    begins = opening.begins
    for freeze in freezes:
        if opening.ends is not None and freeze.begins >= opening.ends:
            break
        if freeze.begins > begins:
            until = (
                freeze.begins
                if opening.starts_until is None
                else min(opening.starts_until, freeze.begins)
            )
            yield Opening(begins, until, freeze.begins)
        begins = freeze.ends
    if opening.ends is None or begins < opening.ends:
        yield Opening(begins, opening.starts_until, opening.ends)
