"""Windows and freezes as tables of instants: both nights of the clocks, week wrap, leap
day, cutoff, overlaps.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.bounds import Day
from runner.model.window import (
    Closed,
    Freeze,
    Open,
    Opening,
    Window,
    first_fit,
    join,
    openings,
    start_instant,
    state,
)

BERLIN, SYDNEY, LORD_HOWE = "Europe/Berlin", "Australia/Sydney", "Australia/Lord_Howe"


def window(days: str, start: str, hours: float, zone: str = "UTC", cutoff_h: float = 0) -> Window:
    return Window(
        tuple(cast("list[Day]", days.split())), start, hours * 3600, zone, cutoff_h * 3600
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "start", "instant"),
    [
        (BERLIN, "2026-03-29", "01:59", "2026-03-29 00:59"),
        (BERLIN, "2026-03-29", "02:00", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29", "02:30", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29", "03:00", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29", "22:00", "2026-03-29 20:00"),
        (BERLIN, "2026-10-25", "02:30", "2026-10-25 00:30"),
        (BERLIN, "2026-10-25", "03:00", "2026-10-25 02:00"),
        (SYDNEY, "2026-10-04", "02:30", "2026-10-03 16:00"),
        (SYDNEY, "2026-04-05", "02:30", "2026-04-04 15:30"),
        (LORD_HOWE, "2026-10-04", "02:15", "2026-10-03 15:30"),
        (LORD_HOWE, "2026-10-04", "02:30", "2026-10-03 15:30"),
        (LORD_HOWE, "2026-04-05", "01:45", "2026-04-04 14:45"),
        (LORD_HOWE, "2026-04-05", "02:00", "2026-04-04 15:30"),
        ("Pacific/Apia", "2011-12-30", "22:00", "2011-12-30 10:00"),
    ],
)
def test_a_start_that_is_skipped_moves_forward_and_one_shown_twice_is_the_first(
    zone: str, day: str, start: str, instant: str
) -> None:
    """The first instant that exists, the first of two, on both nights of three zones and on
    a day that never was.
    """
    assert start_instant(datetime.fromisoformat(day), start, ZoneInfo(zone)) == utc(instant)


SPRING = window(
    "sat", "22:00", 6, BERLIN
)  # of 28 March 2026: 21:00 to 03:00 UTC, by the clocks 05:00
AUTUMN = window(
    "sat", "22:00", 6, BERLIN
)  # of 24 October 2026: 20:00 to 02:00 UTC, by the clocks 03:00


def said(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "None"


NIGHT = window(
    "tue wed", "22:00", 5, BERLIN, cutoff_h=0.5
)  # winter: 21:00 to 02:00 UTC, starts until 01:30


@pytest.mark.parametrize(
    ("windows", "now", "expected"),
    [
        ([], "2026-11-03 12:00", None),
        ([SPRING], "2026-03-28 20:59", "opens 2026-03-28 21:00"),
        ([SPRING], "2026-03-28 21:00", "until 2026-03-29 03:00"),
        ([SPRING], "2026-03-29 02:59", "until 2026-03-29 03:00"),
        ([SPRING], "2026-03-29 03:00", "opens 2026-04-04 20:00"),
        ([AUTUMN], "2026-10-24 20:00", "until 2026-10-25 02:00"),
        ([AUTUMN], "2026-10-25 02:00", "opens 2026-10-31 21:00"),
        ([window("sun", "02:30", 1, BERLIN)], "2026-03-29 00:30", "opens 2026-03-29 01:00"),
        ([window("sun", "02:30", 1, BERLIN)], "2026-03-29 01:30", "until 2026-03-29 02:00"),
        ([window("sun", "02:30", 1, BERLIN)], "2026-10-25 01:29", "until 2026-10-25 01:30"),
        ([window("sun", "02:30", 1, BERLIN)], "2026-10-25 01:30", "opens 2026-11-01 01:30"),
        ([window("sun", "02:15", 1, LORD_HOWE)], "2026-10-03 15:29", "opens 2026-10-03 15:30"),
        ([window("sun", "01:45", 1, LORD_HOWE)], "2026-04-04 15:44", "until 2026-04-04 15:45"),
        ([window("sun", "02:30", 1, SYDNEY)], "2026-10-03 15:59", "opens 2026-10-03 16:00"),
        # the weekday is that of the start
        ([NIGHT], "2026-11-05 00:30", "until 2026-11-05 01:30"),
        ([NIGHT], "2026-11-06 00:30", "opens 2026-11-10 21:00"),
        # cutoff
        ([NIGHT], "2026-11-04 01:29", "until 2026-11-04 01:30"),
        ([NIGHT], "2026-11-04 01:30", "opens 2026-11-04 21:00"),
        # week wrap
        ([window("sun", "23:00", 3)], "2026-11-09 01:59", "until 2026-11-09 02:00"),
        ([window("sun", "23:00", 3)], "2026-11-09 02:00", "opens 2026-11-15 23:00"),
        ([window("mon", "00:00", 168, cutoff_h=1)], "2026-11-09 00:00", None),
        # leap day
        ([window("mon tue", "23:00", 3)], "2028-02-29 01:00", "until 2028-02-29 02:00"),
        ([window("tue", "23:00", 3)], "2028-03-01 01:00", "until 2028-03-01 02:00"),
        # overlapping and back to back: one open time, with the cutoff of the last
        (
            [window("tue", "20:00", 3), window("tue", "22:00", 4, cutoff_h=1)],
            "2026-11-03 22:59",
            "until 2026-11-04 01:00",
        ),
        (
            [window("tue", "20:00", 2, cutoff_h=1), window("tue", "22:00", 2)],
            "2026-11-03 21:30",
            "until 2026-11-04 00:00",
        ),
        (
            [window("tue", "20:00", 4, cutoff_h=1), window("tue", "22:00", 2)],
            "2026-11-03 21:30",
            "until 2026-11-03 23:00",
        ),
        (
            [window("tue", "20:00", 2), window("tue", "22:01", 2)],
            "2026-11-03 22:00",
            "opens 2026-11-03 22:01",
        ),
        (
            [window("tue", "20:00", 9), window("tue", "22:00", 1, cutoff_h=0.5)],
            "2026-11-03 22:45",
            "until 2026-11-04 05:00",
        ),
    ],
)
def test_what_a_moment_is(windows: list[Window], now: str, expected: str | None) -> None:
    """Open until, or closed until, at the edges of windows: beginnings belong to them,
    ends do not.
    """
    match state(windows, [], utc(now)):
        case Open(None):
            assert expected is None
        case Open(until):
            assert f"until {until:%Y-%m-%d %H:%M}" == expected
        case Closed(opens, _):
            assert f"opens {opens:%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    ("windows", "freezes", "now", "expected"),
    [
        ([], ["2026-11-03 10:00/2026-11-03 12:00"], "2026-11-03 09:00", "until 2026-11-03 10:00"),
        (
            [],
            ["2026-11-03 10:00/2026-11-03 12:00"],
            "2026-11-03 10:00",
            "opens 2026-11-03 12:00, a freeze is on",
        ),
        ([], ["2026-11-03 10:00/2026-11-03 12:00"], "2026-11-03 12:00", "until None"),
        (
            [NIGHT],
            ["2026-11-03 20:00/2026-11-04 03:00"],
            "2026-11-03 22:00",
            "opens 2026-11-04 21:00, a freeze is on",
        ),
        (
            [NIGHT],
            ["2026-11-03 22:00/2026-11-03 23:00"],
            "2026-11-03 21:30",
            "until 2026-11-03 22:00",
        ),
        (
            [NIGHT],
            ["2026-11-03 22:00/2026-11-03 23:00"],
            "2026-11-03 22:30",
            "opens 2026-11-03 23:00, a freeze is on",
        ),
        (
            [NIGHT],
            ["2026-11-03 22:00/2026-11-04 01:45"],
            "2026-11-03 22:30",
            "opens 2026-11-04 21:00, a freeze is on",
        ),
        (
            [NIGHT],
            ["2026-11-01 00:00/2026-12-25 00:00"],
            "2026-11-03 12:00",
            "opens 2026-12-29 21:00, a freeze is on",
        ),
        (
            [NIGHT],
            ["2026-11-01 00:00/2029-01-01 00:00"],
            "2026-11-03 12:00",
            "opens None, a freeze is on",
        ),
        ([NIGHT], [], "2026-11-03 12:00", "opens 2026-11-03 21:00, no window is open"),
        ([NIGHT], [], "2026-11-04 01:45", "opens 2026-11-04 21:00, the window is about to end"),
    ],
)
def test_freezes_win(windows: list[Window], freezes: list[str], now: str, expected: str) -> None:
    """A freeze closes what windows open, ends an open time, and is over at its end."""
    closed = [Freeze(*(utc(part) for part in text.split("/"))) for text in freezes]
    found = state(windows, closed, utc(now))
    words = (
        f"until {said(found.until)}"
        if isinstance(found, Open)
        else f"opens {said(found.opens)}, {found.why}"
    )
    assert words == expected


@pytest.mark.parametrize(
    ("now", "hours", "expected"),
    [
        ("2026-11-03 21:00", 5, "2026-11-03 21:00"),
        ("2026-11-03 21:01", 5, "2026-11-04 21:00"),
        ("2026-11-04 01:20", 0.5, "2026-11-04 01:20"),
        ("2026-11-04 01:20", 0.75, "2026-11-04 21:00"),
        ("2026-11-05 01:20", 0.75, "2026-11-10 21:00"),
        ("2026-11-03 21:00", 5.01, None),
    ],
)
def test_a_wave_starts_only_where_it_fits(now: str, hours: float, expected: str | None) -> None:
    """The first moment at which a wave of this length is over before the end; none where no
    window is long enough.
    """
    found = first_fit([NIGHT], [], utc(now), hours * 3600)
    assert found == (utc(expected) if expected else None)


def test_freezes_are_joined() -> None:
    """Freezes that overlap or touch are one; others stay apart and in order."""
    at = [utc("2026-11-03 10:00") + timedelta(hours=n) for n in range(8)]
    given = [Freeze(at[6], at[7]), Freeze(at[0], at[2]), Freeze(at[1], at[3]), Freeze(at[3], at[4])]
    assert join(given) == (Freeze(at[0], at[4]), Freeze(at[6], at[7]))


HOURS = st.integers(0, 24 * 9)
WINDOWS = st.builds(
    lambda days, hour, length, zone, cutoff: Window(
        tuple(days), f"{hour:02}:30", length * 3600.0, zone, min(cutoff, length - 0.5) * 3600
    ),
    st.sets(st.sampled_from(("mon", "wed", "sat", "sun")), min_size=1),
    st.integers(0, 23),
    st.integers(1, 40),
    st.sampled_from((BERLIN, SYDNEY, LORD_HOWE, "UTC")),
    st.integers(0, 3),
)


@given(st.lists(WINDOWS, max_size=3), st.lists(st.tuples(HOURS, HOURS), max_size=3), HOURS)
def test_no_moment_is_open_that_a_single_window_does_not_hold(
    windows: list[Window], frozen: list[tuple[int, int]], hour: int
) -> None:
    """Open means: no freeze is on, and some window began at most its length ago; openings
    never overlap.
    """
    base: Any = utc("2026-10-22 00:00")
    now = base + timedelta(hours=hour, minutes=7)
    freezes = [
        Freeze(base + timedelta(hours=a), base + timedelta(hours=a + b)) for a, b in frozen if b
    ]
    if isinstance(state(windows, freezes, now), Open):
        assert not any(f.begins <= now < f.ends for f in freezes)
        assert not windows or any(_holds(w, now) for w in windows)
    parts: list[Opening] = [
        o for o, _ in zip(openings(windows, freezes, now), range(5), strict=False)
    ]
    for one, other in pairwise(parts):
        assert one.ends is not None
        assert one.ends <= other.begins


def _holds(window: Window, now: datetime) -> bool:
    """The oracle: any of the last days' starts, at most the window's length ago."""
    zone = ZoneInfo(window.timezone)
    local = now.astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    days = (local - timedelta(days=n) for n in range(-1, 10))
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    begins = (
        start_instant(d, window.start, zone) for d in days if names[d.weekday()] in window.days
    )
    return any(begin <= now < begin + timedelta(seconds=window.length_s) for begin in begins)
