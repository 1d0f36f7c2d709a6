"""The calendar reader against other readers: over generated calendars, and over those of
well-known programs.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.loading.calendar_lines import BadCalendar
from runner.loading.calendars import read_calendar
from tests.loading.calendars_differential import differential

EXPORTS = Path(__file__).parent.parent / "fixtures" / "calendars"
BEGIN, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
SHOWN = {
    "google": [
        *(f"11-{day:02} 17:00/11-{day:02} 21:00" for day in (2, 5, 9)),
        "11-17 18:00/11-17 22:00",
        *(f"11-{day:02} 17:00/11-{day:02} 21:00" for day in (19, 23, 26, 30)),
        "12-03 12:00/12-03 14:00",
        "12-22 23:00/01-01 23:00",
    ],
    "outlook": [
        "11-27 20:00/11-28 05:00",
        "12-04 23:00/12-05 23:00",
        "12-29 23:00/12-31 23:00",
        "01-28 21:00/01-29 05:00",
    ],
    "thunderbird": [
        "11-15 03:00/11-15 09:00",
        "11-18 03:00/11-18 09:00",
        "11-19 03:00/11-19 09:00",
        "11-25 23:00/11-26 23:00",
    ],
    "apple": [
        "11-17 10:00/11-17 14:00",
        "12-09 23:00/12-10 01:00",
        "12-15 10:00/12-15 14:00",
        "12-23 13:00/12-24 13:00",
    ],
}


@pytest.mark.parametrize("name", SHOWN)
def test_exports_of_well_known_programs_close_what_the_programs_show(name: str) -> None:
    """The same as another library reads, which has its own grammar, zones and rules."""
    data = (EXPORTS / f"{name}.ics").read_bytes()
    found = read_calendar(data).closed(BEGIN, END, "Europe/Berlin")
    assert [f"{f.begins:%m-%d %H:%M}/{f.ends:%m-%d %H:%M}" for f in found] == SHOWN[name]
    assert [(f.begins, f.ends) for f in found] == _by_library(data)


def _by_library(data: bytes) -> list[tuple[datetime, datetime]]:
    parsed = icalendar.Calendar.from_ical(data)
    own = ZoneInfo(str(parsed.get("X-WR-TIMEZONE", "Europe/Berlin")))
    margin = timedelta(days=2)
    spans = []
    for event in recurring_ical_events.of(parsed, components=["VEVENT"]).between(
        BEGIN - margin, END + margin
    ):
        begins, ends = (_instant(event[key].dt, own) for key in ("DTSTART", "DTEND"))
        if event.get("STATUS") != "CANCELLED" and ends > BEGIN and begins < END:
            spans.append((begins, ends))
    return sorted(spans)


def _instant(moment: date, own: ZoneInfo) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=own)).astimezone(UTC)


def test_generated_calendars_close_the_same_in_a_second_expansion() -> None:
    """Rules, zones, exceptions and moved days over changes of the clocks; the long form is
    a command.
    """
    differential(50)


PIECES = st.sampled_from(
    [
        *(
            "BEGIN:VEVENT",
            "END:VEVENT",
            "BEGIN:VCALENDAR",
            "END:VCALENDAR",
            "BEGIN:VTIMEZONE",
            "END:VTIMEZONE",
        ),
        *(
            "DTSTART:20261201T100000Z",
            "DTSTART;VALUE=DATE:20261201",
            "DTSTART;TZID=Europe/Berlin:20261201T100000",
        ),
        *(
            "DTEND:20261201T120000Z",
            "DTEND;VALUE=DATE:20261201",
            "DURATION:PT1H",
            "DURATION:P1D",
            "UID:x",
            "UID:y",
        ),
        *(
            "RRULE:FREQ=DAILY",
            "RRULE:FREQ=YEARLY;BYDAY=1TU;COUNT=9",
            "RRULE:FREQ=MONTHLY;UNTIL=21990101",
        ),
        *(
            "EXDATE:20261201T100000Z",
            "EXDATE;VALUE=DATE:20261201",
            "RDATE:21991231T235959Z",
            "SEQUENCE:1",
        ),
        *(
            "RECURRENCE-ID:20261202T100000Z",
            "STATUS:CANCELLED",
            "X-FUNAMBOL-ALLDAY:1",
            "TZID:Europe/Berlin",
        ),
        *(
            "TZOFFSETTO:+0100",
            "X-WR-TIMEZONE:Asia/Tokyo",
            " x",
            "",
            "\r",
            "=;:",
            'A;B="',
            "METHOD:PUBLISH",
        ),
    ]
)
LINES = st.lists(PIECES | st.text(max_size=12), max_size=14).map("\r\n".join)
EVENTS = st.lists(PIECES, max_size=8).map(
    lambda lines: "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"])
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES | st.lists(EVENTS, max_size=4).map("\r\n".join), st.booleans())
def test_any_text_is_a_calendar_or_a_problem(text: str, is_whole: bool) -> None:
    """Nothing else is raised, neither by reading nor by expanding what was read."""
    whole = f"BEGIN:VCALENDAR\r\n{text}\r\nEND:VCALENDAR" if is_whole else text
    try:
        calendar = read_calendar(whole.encode("utf-8", "replace"))
    except BadCalendar:
        return
    closed = calendar.closed(BEGIN, END, "Europe/Berlin")
    assert all(earlier.ends < later.begins for earlier, later in pairwise(closed))
