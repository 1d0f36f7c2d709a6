"""Calendars as programs and people write them: what closes, what is refused, and what is
named as without effect.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.loading.calendar_lines import BadCalendar
from runner.loading.calendar_reader import MAX_DATES, MAX_EVENTS, MAX_LINES, MAX_WORK, ReadingBudget
from runner.loading.calendars import read_calendar
from runner.loading.plan import load_plan
from runner.model.plan import FreezeFile
from runner.planning.plan_warnings import idle_freezes
from tests.planning.build import inventory, plan, planned, server

BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC)
BERLIN, NEW_YORK = "TZID=Europe/Berlin", "TZID=America/New_York"


def calendar(*events: str, head: str = "") -> bytes:
    """A calendar of events; `|` parts the lines of an event, and of `head`. The first event
    begins in line 4.
    """
    made = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *filter(None, head.split("|"))]
    for event in events:
        made += ["BEGIN:VEVENT", *event.split("|"), "END:VEVENT"]
    return "\r\n".join([*made, "END:VCALENDAR", ""]).encode()


def closed(data: bytes, zone: str = "Europe/Berlin") -> list[str]:
    found = read_calendar(data).closed(BEGIN, END, zone)
    return [f"{f.begins:%m-%d %H:%M}/{f.ends:%m-%d %H:%M}" for f in found]


def refusal(data: bytes) -> str:
    with pytest.raises(BadCalendar) as refused:
        read_calendar(data)
    assert "export" in refused.value.hint or "UID" in refused.value.hint
    return str(refused.value)


def notes(data: bytes) -> list[str]:
    return [f"{note.line}: {note.what}" for note in read_calendar(data).notes]


WHOLE_DAY = ["11-30 23:00/12-01 23:00"]
TWO_DAYS = ["11-30 23:00/12-01 23:00", "12-07 23:00/12-08 23:00"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART;VALUE=DATE:20261201|DTEND;VALUE=DATE:20261201", WHOLE_DAY),
        ("DTSTART:20261201|DTEND:20261201", WHOLE_DAY),
        ("DTSTART;VALUE=DATE:20261201", WHOLE_DAY),
        ("DTSTART;VALUE=DATE:20261201|DURATION:P0D", WHOLE_DAY),
        ("DTSTART;VALUE=DATE:20261201|DURATION:PT0S", WHOLE_DAY),
        ("DTSTART:20261201|DURATION:P1D", WHOLE_DAY),
        (
            "DTSTART;VALUE=DATE:20261201|DTEND;VALUE=DATE:20261201|RRULE:FREQ=WEEKLY;COUNT=2",
            TWO_DAYS,
        ),
        (
            "DTSTART;VALUE=DATE:20261201|DTEND;VALUE=DATE:20261201|RDATE;VALUE=DATE:20261208",
            TWO_DAYS,
        ),
        (
            "DTSTART:20261201T000000|DTEND:20261201T000000|X-MICROSOFT-CDO-ALLDAYEVENT:TRUE",
            WHOLE_DAY,
        ),
        ("DTSTART:20261201T000000|X-FUNAMBOL-ALLDAY:1", WHOLE_DAY),
        ("DTSTART:20261201T000000|X-MICROSOFT-MSNCALENDAR-ALLDAYEVENT:TRUE", WHOLE_DAY),
        ("DTSTART:20261201T000000|DTEND:20261201T235900|X-FUNAMBOL-ALLDAY:TRUE", WHOLE_DAY),
        ("DTSTART:20261130T230000Z|DTEND:20261130T230000Z|X-FUNAMBOL-ALLDAY:TRUE", WHOLE_DAY),
        (f"DTSTART;{BERLIN}:20261201T090000|X-MICROSOFT-CDO-ALLDAYEVENT:TRUE", WHOLE_DAY),
        (
            "DTSTART:20261130T230000Z|DTEND:20261201T230000Z|X-MICROSOFT-CDO-ALLDAYEVENT:FALSE",
            WHOLE_DAY,
        ),
        (f"DTSTART;{BERLIN};VALUE=DATE:20261201|DTEND;VALUE=DATE:20261202", WHOLE_DAY),
        ("DTSTART;TZID=Asia/Tokyo;VALUE=DATE:20261201", ["11-30 15:00/12-01 15:00"]),
    ],
)
def test_an_all_day_event_closes_its_whole_day(event: str, expected: list[str]) -> None:
    """Also where its end equals its start, and where only a vendor's flag says that it
    lasts all day.
    """
    assert closed(calendar(event)) == expected
    assert notes(calendar(event)) == []


@pytest.mark.parametrize(
    "length", ["DTEND:20261201T100000Z", "DURATION:PT0S", "SUMMARY:x", "X-FUNAMBOL-ALLDAY:0"]
)
def test_a_timed_event_without_length_is_named(length: str) -> None:
    """It closes nothing: a warning with its line, once for all of its kind."""
    event = f"DTSTART:20261201T100000Z|{length}"
    assert closed(calendar(event)) == []
    (note,) = read_calendar(calendar(event, event)).notes
    assert (note.line, note.count) == (4, 2)
    assert "the event has no length" in note.what


NOVEMBER = "UID:x|DTSTART;VALUE=DATE:20261110|DTEND;VALUE=DATE:20261113"
DECEMBER = "UID:x|DTSTART;VALUE=DATE:20261201|DTEND;VALUE=DATE:20261206"
IN_NOVEMBER, IN_DECEMBER = "11-09 23:00/11-12 23:00", "11-30 23:00/12-05 23:00"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((NOVEMBER, DECEMBER), [IN_NOVEMBER, IN_DECEMBER]),
        ((f"{NOVEMBER}|SEQUENCE:1", f"{DECEMBER}|SEQUENCE:1"), [IN_NOVEMBER, IN_DECEMBER]),
        ((f"{NOVEMBER}|SEQUENCE:0", DECEMBER), [IN_NOVEMBER, IN_DECEMBER]),
        ((f"{NOVEMBER}|SEQUENCE:2", f"{DECEMBER}|SEQUENCE:1"), [IN_NOVEMBER]),
        ((NOVEMBER, f"{DECEMBER}|SEQUENCE:1"), [IN_DECEMBER]),
        ((NOVEMBER, f"{NOVEMBER}|SEQUENCE:1|STATUS:CANCELLED"), []),
        ((NOVEMBER, f"{NOVEMBER}|STATUS:CANCELLED"), [IN_NOVEMBER]),
        (
            (NOVEMBER.replace("UID:x|", ""), DECEMBER.replace("UID:x|", "")),
            [IN_NOVEMBER, IN_DECEMBER],
        ),
    ],
)
def test_events_of_the_same_uid_all_close_unless_a_higher_sequence_replaces_them(
    events: tuple[str, ...], expected: list[str]
) -> None:
    """What is replaced is named."""
    assert closed(calendar(*events)) == expected
    assert len(notes(calendar(*events))) == (len(expected) < 2 and "SEQUENCE" in "".join(events))


def test_a_moved_day_of_two_events_of_one_uid_is_refused() -> None:
    """It is not known of which series the day is: both lines are named."""
    said = refusal(
        calendar(NOVEMBER, DECEMBER, "UID:x|RECURRENCE-ID;VALUE=DATE:20261110|DTSTART:20270101")
    )
    assert "line 9: UID: line 4 has the same, and line 14" in said


@pytest.mark.parametrize(
    ("start", "until", "last"),
    [
        (f"DTSTART;{BERLIN}:20261130T020000|DTEND;{BERLIN}:20261130T235900", "20261201", "12-01"),
        (f"DTSTART;{BERLIN}:20261130T020000|DURATION:PT1H", "20261201T005959Z", "11-30"),
        (f"DTSTART;{BERLIN}:20261130T020000|DURATION:PT1H", "20261201T010000Z", "12-01"),
        (f"DTSTART;{BERLIN}:20261130T020000|DURATION:PT1H", "20261201T020000", "12-01"),
        (f"DTSTART;{BERLIN}:20261130T020000|DURATION:PT1H", "20261201T015959", "11-30"),
        ("DTSTART:20261130T020000|DURATION:PT1H", "20261201", "12-01"),
        ("DTSTART;VALUE=DATE:20261130", "20261201T000000Z", "11-29 23:00/12-01 23:00"),
        ("DTSTART;VALUE=DATE:20261130", "20261130", "11-29 23:00/11-30 23:00"),
        (f"DTSTART;{NEW_YORK}:20261130T230000|DURATION:PT1H", "20261201", "12-02"),
    ],
)
def test_an_until_without_a_time_includes_its_day(start: str, until: str, last: str) -> None:
    """In the zone of the event. One with a time is an instant, or a time of that zone."""
    assert closed(calendar(f"{start}|RRULE:FREQ=DAILY;UNTIL={until}"))[-1].startswith(last)


NIGHTS = f"UID:n|DTSTART;{NEW_YORK}:20261130T210000|DURATION:PT6H|RRULE:FREQ=DAILY;COUNT=3"
ALL_NIGHTS = ["12-01 02:00/12-01 08:00", "12-02 02:00/12-02 08:00", "12-03 02:00/12-03 08:00"]


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        ("EXDATE;TZID=Asia/Tokyo:20261130T210000", ALL_NIGHTS),
        ("EXDATE;TZID=Asia/Tokyo:20261201T110000", ALL_NIGHTS[1:]),
        ("EXDATE:20261201T020000Z,20261203T020000Z", ALL_NIGHTS[1:2]),
        (f"EXDATE;{BERLIN}:20261201T030000", ALL_NIGHTS[1:]),
        ("EXDATE:20261201T030000", ALL_NIGHTS[1:]),
    ],
)
def test_exceptions_are_compared_as_instants(exception: str, expected: list[str]) -> None:
    """The same wall clock in another zone is another time: it takes nothing out, which is named."""
    data = calendar(f"{NIGHTS}|{exception}")
    assert closed(data) == expected
    assert bool(notes(data)) == (expected == ALL_NIGHTS)


def test_a_moved_day_is_found_by_its_instant() -> None:
    """RECURRENCE-ID in another zone than the series; a day that no series has closes by itself."""
    moved = "UID:n|RECURRENCE-ID:20261201T020000Z|DTSTART:20261210T020000Z|DURATION:PT1H"
    assert closed(calendar(NIGHTS, moved)) == [*ALL_NIGHTS[1:], "12-10 02:00/12-10 03:00"]
    other = moved.replace("20261201T020000Z", "20261201T020001Z")
    assert closed(calendar(other, NIGHTS)) == [*ALL_NIGHTS, "12-10 02:00/12-10 03:00"]
    assert closed(calendar(moved)) == ["12-10 02:00/12-10 03:00"]
    cancelled = moved + "|STATUS:CANCELLED"
    assert closed(calendar(NIGHTS, cancelled)) == ALL_NIGHTS[1:]


OWN_ZONE = (
    "BEGIN:VTIMEZONE|TZID:{0}|BEGIN:STANDARD|DTSTART:19700101T000000|TZOFFSETFROM:-0800|TZOFFSETTO:-0800"
    "|END:STANDARD|END:VTIMEZONE"
)


@pytest.mark.parametrize("name", ["Ops Zone", "Europe/Berlin"])
@pytest.mark.parametrize("place", ["DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID"])
def test_a_zone_of_the_files_own_is_refused_wherever_it_stands(place: str, name: str) -> None:
    """Unknown by name, or known by a name that means other offsets elsewhere; the file may
    define it after its use.
    """
    others = {
        "DTSTART": f"{BERLIN}:20261223T190000".replace(BERLIN, "TZID=Europe/Paris"),
        "DTEND": "20261223T230000Z",
    }
    others[place] = f"TZID={name}:20261223T200000"
    event = "|".join(
        f"{key}{':' if value[0].isdigit() else ';'}{value}" for key, value in others.items()
    )
    data = calendar("UID:x|" + event, head=OWN_ZONE.format(name))
    lines = data.split(b"\r\n")
    number = next(
        n
        for n, line in enumerate(lines, 1)
        if line.startswith(place.encode()) and b"20261223T20" in line
    )
    assert refusal(data).startswith(f"line {number}: {place}: the ")
    begin, end = lines.index(b"BEGIN:VTIMEZONE"), lines.index(b"END:VTIMEZONE") + 1
    later = [*lines[:begin], *lines[end:-2], *lines[begin:end], *lines[-2:]]
    assert place in refusal(b"\r\n".join(later))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (f"DTSTART;{BERLIN}:20270327T220000|DURATION:PT8H", "03-27 21:00/03-28 05:00"),
        (f"DTSTART;{BERLIN}:20270327T220000|DURATION:P1D", "03-27 21:00/03-28 20:00"),
        (f"DTSTART;{BERLIN}:20270327T220000|DURATION:P1DT2H", "03-27 21:00/03-28 22:00"),
        (f"DTSTART;{BERLIN}:20270327T220000|DURATION:PT24H", "03-27 21:00/03-28 21:00"),
        (
            f"DTSTART;{BERLIN}:20270327T220000|DTEND;{BERLIN}:20270328T060000",
            "03-27 21:00/03-28 04:00",
        ),
        (f"DTSTART;{BERLIN}:20270328T023000|DURATION:PT1H", "03-28 01:30/03-28 02:30"),
        ("DTSTART;VALUE=DATE:20270328", "03-27 23:00/03-28 22:00"),
        (f"DTSTART;{NEW_YORK}:20270314T013000|DURATION:PT2H", "03-14 06:30/03-14 08:30"),
        (f"DTSTART;{NEW_YORK}:20261101T013000|DTEND:20261101T061500Z", "11-01 05:30/11-01 06:15"),
        (f"DTSTART;{NEW_YORK}:20261101T013000|DURATION:PT1H", "11-01 05:30/11-01 06:30"),
        (f"DTSTART;{NEW_YORK}:20261101T003000|DURATION:PT4H", "11-01 04:30/11-01 08:30"),
    ],
)
def test_days_are_nominal_and_hours_exact(event: str, expected: str) -> None:
    """RFC 5545 3.3.6, over both changes of the clocks; 3.3.5 for times that are skipped or
    shown twice.
    """
    assert closed(calendar(event)) == [expected]


def test_a_repeating_end_by_the_clock_holds_for_the_longer_of_its_two_readings() -> None:
    """RFC 5545 repeats the exact length, calendar programs show the same end on the clock."""
    night = f"DTSTART;{BERLIN}:{{0}}T220000|DTEND;{BERLIN}:{{1}}T060000|RRULE:FREQ=DAILY;COUNT=2"
    assert closed(calendar(night.format("20270326", "20270327")))[-1] == "03-27 21:00/03-28 05:00"
    assert closed(calendar(night.format("20261024", "20261025"))) == []
    autumn = read_calendar(calendar(night.format("20261023", "20261024"))).closed(
        BEGIN - timedelta(30), END, "UTC"
    )
    assert autumn[-1].ends == datetime(2026, 10, 25, 5, tzinfo=UTC)


DAY = "DTSTART;VALUE=DATE:20261201"
REFUSED = {
    "nested": (
        calendar("X:y").replace(b"BEGIN:VEVENT", b"BEGIN:VCALENDAR", 1),
        "line 4: BEGIN: a second calendar",
    ),
    "two calendars": (calendar(DAY) * 2, "line 8: BEGIN: a second calendar"),
    "busy times": (
        calendar(head="BEGIN:VFREEBUSY|FREEBUSY:x|END:VFREEBUSY"),
        "line 4: BEGIN: VFREEBUSY is not read",
    ),
    "availability": (
        calendar(head="BEGIN:VAVAILABILITY|END:VAVAILABILITY"),
        "line 4: BEGIN: VAVAILABILITY is not",
    ),
    "unknown component": (
        calendar(head="BEGIN:VEVENTS|END:VEVENTS"),
        "line 4: BEGIN: a component of this name",
    ),
    "outside": (calendar(DAY) + b"X:y\r\n", "line 8: the line stands outside"),
    "event in event": (
        calendar(f"{DAY}|BEGIN:VEVENT|{DAY}|END:VEVENT"),
        "line 6: BEGIN: an event begins inside",
    ),
    "not ended": (calendar(f"{DAY}|END:VCALENDAR"), "line 6: END: ends a component"),
    "cut off": (calendar(DAY)[:-20], "line 6: END: ends a component that has not begun"),
    "hidden line": (
        calendar(f"SUMMARY:x\rRRULE:FREQ=DAILY|{DAY}"),
        "line 5: the line holds a carriage return",
    ),
    "folded off": (calendar(f"SUMMARY:x| y|and so on|{DAY}"), "line 7: this is not a line"),
    "indented event": (
        calendar(DAY).replace(b"\nBEGIN:VEVENT", b"\n BEGIN:VEVENT"),
        "line 4: the blank at the beginning",
    ),
    "indented line": (
        calendar(f"{DAY}|  RRULE:FREQ=DAILY"),
        "line 6: the blank at the beginning of this line",
    ),
    "indented file": (calendar(DAY).replace(b"\n", b"\n\t"), "line 4: the blank at the beginning"),
    "outside of an event": (
        calendar(DAY, head="DTSTART;VALUE=DATE:20261210"),
        "line 4: DTSTART stands outside of an",
    ),
    "in an alarm": (
        calendar(
            f"{DAY}|BEGIN:VALARM|TRIGGER:PT0S|DURATION:PT1H|DTEND;VALUE=DATE:20261210|END:VALARM"
        ),
        "line 9: DTEND stands in a component inside the event",
    ),
    "misspelt own zone": (
        calendar(DAY, head="X-WR-TIMEZON:Europe/Berlin"),
        "line 4: the calendar has no property of this name; did you mean X-WR-TIMEZONE?",
    ),
    "vCalendar 1.0": (calendar(DAY).replace(b":2.0", b":1.0"), "line 2: VERSION"),
    "other calendar": (calendar(DAY, head="CALSCALE:CHINESE"), "line 4: CALSCALE"),
    "cancel": (calendar(DAY, head="METHOD:CANCEL"), "line 4: METHOD: this is a message"),
    "reply": (calendar(DAY, head="METHOD:REPLY"), "line 4: METHOD: this is a message"),
    "latin-1": (
        calendar(f"{DAY}|SUMMARY:é").decode().encode("latin-1"),
        "line 6: the text is not UTF-8",
    ),
    "hour 24": (
        calendar("DTSTART:20261201T100000|DTEND:20261201T240000"),
        "line 6: DTEND has the hour 24",
    ),
    "no such day": (
        calendar("DTSTART;VALUE=DATE:20261131"),
        "line 5: DTSTART is a date or a time that does not exist",
    ),
    "no date": (calendar("DTSTART:2026-12-01"), "line 5: DTSTART is not a date"),
    "long ago": (calendar("DTSTART;VALUE=DATE:01001201"), "line 5: DTSTART has a year outside"),
    "other digits": (calendar("DTSTART:２０２６1201"), "line 5: DTSTART is not a date"),
    "says a time": (
        calendar("DTSTART;VALUE=DATE-TIME:20261201"),
        "line 5: DTSTART is not what its VALUE says",
    ),
    "says a day": (
        calendar("DTSTART;VALUE=DATE:20261201T100000"),
        "line 5: DTSTART is not what its VALUE says",
    ),
    "misspelt zone": (
        calendar("DTSTART;TZDI=Europe/Berlin:20261201T100000"),
        "line 5: DTSTART has a form",
    ),
    "two zones": (
        calendar(f"DTSTART;{BERLIN};{NEW_YORK}:20261201T100000"),
        "line 5: DTSTART has a parameter twice",
    ),
    "zone and UTC": (
        calendar(f"DTSTART;{BERLIN}:20261201T100000Z"),
        "line 5: DTSTART is in UTC (Z) and names",
    ),
    "unknown zone": (
        calendar("DTSTART;TZID=Here:20261201T100000"),
        "line 5: DTSTART: the time zone (TZID)",
    ),
    "abbreviation": (
        calendar("DTSTART;TZID=EST:20261201T100000"),
        "line 5: DTSTART: the time zone (TZID)",
    ),
    "unknown zone of days": (
        calendar("DTSTART;TZID=Here;VALUE=DATE:20261201"),
        "line 5: DTSTART: the time zone",
    ),
    "unknown own zone": (calendar(DAY, head="X-WR-TIMEZONE:Here"), "line 4: X-WR-TIMEZONE"),
    "two own zones": (
        calendar(head="X-WR-TIMEZONE:UTC|X-WR-TIMEZONE:Asia/Tokyo"),
        "line 5: X-WR-TIMEZONE",
    ),
    "half a zone": (
        calendar(f"DTSTART;{BERLIN}:20261201T100000|DTEND:20261201T110000"),
        "line 6: DTEND: of start",
    ),
    "day to time": (
        calendar(f"{DAY}|DTEND:20261202T100000Z"),
        "line 6: DTEND: of this and DTSTART",
    ),
    "backwards": (
        calendar("DTSTART:20261201T100000Z|DTEND:20261201T095959Z"),
        "line 6: DTEND: the event ends before",
    ),
    "days backwards": (
        calendar(f"{DAY}|DTEND;VALUE=DATE:20261130"),
        "line 6: DTEND: the event ends before",
    ),
    "negative": (
        calendar("DTSTART:20261201T100000Z|DURATION:-PT1H"),
        "line 6: DURATION: the event ends before",
    ),
    "negative days": (
        calendar("DTSTART:20261201T100000Z|DURATION:-P1D"),
        "line 6: DURATION: the event ends before",
    ),
    "no duration": (
        calendar("DTSTART:20261201T100000Z|DURATION:P1DT"),
        "line 6: DURATION is not a length",
    ),
    "two ends": (
        calendar(f"{DAY}|DTEND:20261202|DURATION:P1D"),
        "line 7: DURATION: the event has a DTEND",
    ),
    "too long": (calendar(f"{DAY}|DURATION:P367D"), "line 6: DURATION: the event lasts longer"),
    "no start": (calendar("SUMMARY:x"), "line 4: DTSTART: the event has no start"),
    "two starts": (calendar(f"{DAY}|{DAY}"), "line 6: DTSTART is there twice"),
    "no number": (calendar(f"{DAY}|SEQUENCE:x"), "line 6: SEQUENCE is not a number"),
    "a day of EXDATE": (
        calendar("DTSTART:20261201T100000Z|EXDATE;VALUE=DATE:20261201"),
        "line 6: EXDATE: of this and",
    ),
    "a period": (
        calendar(f"{DAY}|RDATE;VALUE=PERIOD:20261201T000000Z/P1D"),
        "line 6: RDATE has a form",
    ),
    "old exceptions": (calendar(f"{DAY}|EXRULE:FREQ=DAILY"), "line 6: EXRULE is not supported"),
    "this and future": (
        calendar(f"UID:x|RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20261201|{DAY}"),
        "line 6: RECURRENCE-ID: a change to all days from one on (RANGE)",
    ),
    "a day that repeats": (
        calendar(f"UID:x|RECURRENCE-ID:20261201|{DAY}|RRULE:FREQ=DAILY"),
        "line 6: RECURRENCE-ID: a",
    ),
    "hours of whole days": (
        calendar("DTSTART;VALUE=DATE:20261201|DURATION:PT4H"),
        "line 6: DURATION: an event of whole days",
    ),
    "a day without UID": (
        calendar(f"RECURRENCE-ID:20261201|{DAY}"),
        "line 5: RECURRENCE-ID: a single day",
    ),
    "another kind of day": (
        calendar(
            "UID:x|DTSTART:20261201T000000Z|RRULE:FREQ=DAILY", f"UID:x|RECURRENCE-ID:20261202|{DAY}"
        ),
        "line 9: RECURRENCE-ID: this is a day",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_with_its_line_and_property(name: str) -> None:
    """Each with a hint that says what to do in a calendar program."""
    data, said = REFUSED[name]
    assert refusal(data).startswith(said)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "is empty"),
        ("FREQ=WEEKLY;BYDAY=TU, WE", "holds a blank"),
        ("FREQ=WEEKLY;BYDAY=TU,XX", "names a day in BYDAY"),
        ("BYDAY=TU", "does not say FREQ"),
        ("FREQ=HOURLY", "repeats more often than daily"),
        ("FREQ=DAILY;BYHOUR=1", "has the part BYHOUR"),
        ("FREQ=YEARLY;BYWEEKNO=1", "has the part BYWEEKNO"),
        ("FREQ=DAILY;FREQ=WEEKLY", "says FREQ twice"),
        ("FREQ=DAILY;EVERY=2", "has a part that no rule has"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20271201", "ends twice"),
        ("FREQ=DAILY;COUNT=0", "has a number in COUNT"),
        ("FREQ=DAILY;INTERVAL=0", "has a number in INTERVAL"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "has a number in BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=30", "does not fit the event"),
        ("FREQ=WEEKLY;BYDAY=MO", "does not fit the event"),
        ("FREQ=WEEKLY;BYDAY=1TU", "counts weekdays"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "names days of the month"),
        ("FREQ=MONTHLY;BYSETPOS=1", "has BYSETPOS without"),
        ("FREQ=DAILY;UNTIL=20261130", "ends (UNTIL) before the event begins"),
        ("FREQ=DAILY;UNTIL=20261130T120000", "ends (UNTIL) before the event begins"),
        ("FREQ=DAILY;UNTIL=20261130T120000Z", "ends (UNTIL) before the event begins"),
        ("FREQ=DAILY;UNTIL=tomorrow", "has an UNTIL that is not a date"),
        ("RSCALE=CHINESE;FREQ=YEARLY", "has the part RSCALE"),
    ],
)
@pytest.mark.parametrize("start", [DAY, "DTSTART:20261201T100000Z|DURATION:PT1H"])
def test_a_rule_that_is_not_followed_is_refused(start: str, rule: str, said: str) -> None:
    """The sentence says which part of the rule; the line is that of the rule."""
    data = calendar(f"{start}|RRULE:{rule}")
    number = 6 + start.count("|")
    assert refusal(data).startswith(f"line {number}: RRULE {said}")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;INTERVAL=3;COUNT=3", ["12-01", "12-04", "12-07"]),
        ("FREQ=WEEKLY;BYDAY=TU,FR;COUNT=3;WKST=SU", ["12-01", "12-04", "12-08"]),
        ("FREQ=MONTHLY;BYDAY=1TU;COUNT=3", ["12-01", "01-05", "02-02"]),
        (
            "FREQ=MONTHLY;BYDAY=TU,-1FR;COUNT=7;BYSETPOS=1,-1",
            ["12-01", "12-29", "01-05", "01-29", "02-02"],
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=1,-1;COUNT=4", ["12-01", "12-31", "01-01", "01-31"]),
        ("FREQ=YEARLY;BYDAY=-5TU;COUNT=2", ["12-01"]),
        ("FREQ=DAILY;BYMONTH=12;BYMONTHDAY=1,3,-1", ["12-01", "12-03", "12-31"]),
        ("freq=daily;count=2;", ["12-01", "12-02"]),
    ],
)
def test_rules_name_days_as_the_standard_says(rule: str, expected: list[str]) -> None:
    """The first of them, each as it begins in UTC."""
    data = calendar(f"DTSTART:20261201T100000Z|DURATION:PT1H|RRULE:{rule}")
    assert [one[:5] for one in closed(data)][: len(expected)] == expected


@pytest.mark.parametrize("year", [1604, 1899, 1965, 2026])
def test_a_yearly_day_that_began_long_ago_closes(year: int) -> None:
    """Birthdays of an unknown year are written as of 1604; holidays begin before 1970."""
    assert closed(calendar(f"DTSTART;VALUE=DATE:{year}1201|RRULE:FREQ=YEARLY")) == WHOLE_DAY


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Berlin",
        '"Europe/Berlin"',
        "/mozilla.org/20050126_1/Europe/Berlin",
        "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin",
        "/softwarestudio.org/Tzfile/Europe/Berlin",
        "/citadel.org/20190914_1/Europe/Berlin",
        "/Europe/Berlin",
        "W. Europe Standard Time",
        "w. europe standard time",
    ],
)
def test_zones_are_known_by_the_names_that_programs_give_them(name: str) -> None:
    """Of a time, of a day, and of the calendar."""
    assert closed(calendar(f"DTSTART;TZID={name}:20261201T100000|DURATION:PT1H"), "UTC") == [
        "12-01 09:00/12-01 10:00"
    ]
    assert closed(calendar(f"DTSTART;TZID={name};VALUE=DATE:20261201"), "UTC") == WHOLE_DAY
    assert closed(calendar(DAY, head=f"X-WR-TIMEZONE:{name}".replace('"', "")), "UTC") == WHOLE_DAY


def test_other_zones_of_three_parts_and_of_microsoft_are_known() -> None:
    """Vendors put a prefix before names with two slashes as well."""
    name = "/mozilla.org/20050126_1/America/Argentina/Buenos_Aires"
    assert closed(calendar(f"DTSTART;TZID={name}:20261201T100000|DURATION:PT1H")) == [
        "12-01 13:00/12-01 14:00"
    ]
    utc = 'DTSTART;TZID="tzone://Microsoft/Utc":20261201T100000|DURATION:PT1H'
    assert closed(calendar(utc)) == ["12-01 10:00/12-01 11:00"]


@pytest.mark.parametrize(
    "line",
    ["TRANSP:TRANSPARENT", "STATUS:TENTATIVE", "CLASS:PRIVATE", "X-MICROSOFT-CDO-BUSYSTATUS:FREE"],
)
def test_every_event_closes_whatever_else_it_says(line: str) -> None:
    """Free, tentative, private: a freeze is often marked as free time."""
    assert closed(calendar(f"{DAY}|{line}")) == WHOLE_DAY


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n"])
def test_bytes_of_all_kinds_of_exports_are_read(end: bytes) -> None:
    """A byte order mark, any line ends, folds inside a character, blank lines, a
    lower-case name.
    """
    data = b"\xef\xbb\xbf" + calendar(f"SUMMARY:caf\u00e9|{DAY}|dtend;value=date:20261202")
    data = data.replace(b"\xc3\xa9", b"\xc3\r\n \xa9").replace(b"20261201", b"2026\r\n\t1201")
    assert closed(data.replace(b"\r\n", end) + end * 3) == WHOLE_DAY


def test_a_time_takes_out_a_whole_day_by_its_midnight() -> None:
    """Some programs write exceptions of all-day events as times; what is not the midnight
    takes nothing out.
    """
    days = f"UID:x|{DAY}|RRULE:FREQ=DAILY;COUNT=3|EXDATE:{{}}"
    rest = ["12-01 23:00/12-03 23:00"]
    assert (
        closed(calendar(days.format("20261201T000000"), head="X-WR-TIMEZONE:Europe/Berlin")) == rest
    )
    assert closed(calendar(days.format("20261130T230000Z"))) == rest
    other = calendar(days.format("20261201T100000"))
    assert closed(other) == ["11-30 23:00/12-03 23:00"]
    assert (
        closed(
            calendar(
                days.format("20290101"),
                f"UID:x|RECURRENCE-ID:20261201T000000|{DAY}|STATUS:CANCELLED",
            )
        )
        == rest
    )
    assert notes(calendar(days.format("20261201T100000"), head="X-WR-TIMEZONE:UTC")) == [
        "9: EXDATE takes out a time at which the event does not begin"
    ]


def test_a_date_only_until_of_a_time_in_utc_includes_its_day_where_the_calendar_is() -> None:
    """03:00 UTC is 22:00 of the day before in New York."""
    data = calendar("DTSTART:20261201T030000Z|DURATION:PT1H|RRULE:FREQ=DAILY;UNTIL=20261201")
    assert closed(data, "America/New_York")[-1] == "12-02 03:00/12-02 04:00"
    assert closed(data, "UTC")[-1] == "12-01 03:00/12-01 04:00"


def test_a_misspelt_property_is_named() -> None:
    """It would otherwise look as if the event did not repeat; what vendors add is not named."""
    assert notes(calendar(f"{DAY}|SUMMARY:x|X-COFFEE:y|RRUEL:FREQ=DAILY")) == [
        "8: a property of an event has a name that is not known, and no effect"
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (calendar(f"{DAY}|X-DTEND;VALUE=DATE:20261209"), "6: a property of an event"),
        (calendar(DAY, head="PUBLISHED:x|X-WR-CALNAME:Freezes"), "4: a property of the calendar"),
        (
            calendar(DAY, head="BEGIN:VTIMEZONE|TZID:UTC|TZOFFSETFORM:+0100|X-LIC:y|END:VTIMEZONE"),
            "6: a property of a time",
        ),
    ],
)
def test_a_name_that_is_not_known_is_a_warning_wherever_it_stands(data: bytes, said: str) -> None:
    """In events, calendars and zones; of vendors' names those that look like one that has
    an effect.
    """
    (note,) = notes(data)
    assert note.startswith(said)
    assert note.endswith("has a name that is not known, and no effect")


@pytest.mark.parametrize("at", range(60, 76))
def test_a_folded_text_may_hold_the_names_of_properties(at: int) -> None:
    """Programs fold long lines at 75 bytes or a few before; what continues there is text,
    whatever it looks like.
    """
    text = ("SUMMARY:" + "x" * 80)[:at]
    assert closed(calendar(f"{DAY}|{text}| DTSTART:20261210T100000Z")) == WHOLE_DAY


@pytest.mark.parametrize("component", ["VTODO", "VJOURNAL", "X-COFFEE"])
def test_components_that_close_nothing_are_named(component: str) -> None:
    """Tasks and journals have days as well, but only events close."""
    data = calendar(head=f"BEGIN:{component}|DTSTART;VALUE=DATE:20261201|END:{component}")
    assert closed(data) == []
    (note,) = notes(data)
    assert note.startswith("4: BEGIN: ")
    assert "closes nothing; only events (VEVENT) do" in note


IDLE = {
    "no event": calendar(),
    "only a task": calendar(head="BEGIN:VTODO|END:VTODO"),
    "all taken out": calendar(
        "DTSTART;VALUE=DATE:20261201|RRULE:FREQ=DAILY;COUNT=2|EXDATE;VALUE=DATE:20261201,20261202"
    ),
    "itself taken out": calendar("DTSTART:20261201T100000Z|DURATION:PT1H|EXDATE:20261201T100000Z"),
    "all cancelled": calendar("DTSTART;VALUE=DATE:20261201|STATUS:CANCELLED"),
    "over": calendar("DTSTART;VALUE=DATE:20251201|RRULE:FREQ=WEEKLY;UNTIL=20260901"),
    "far away": calendar("DTSTART;VALUE=DATE:20290101"),
    "without length": calendar("DTSTART:20261201T100000Z"),
}


@pytest.mark.parametrize("name", IDLE)
def test_a_calendar_that_closes_nothing_is_a_warning_of_its_plan(name: str) -> None:
    """Whatever the reason; the same calendar with an event that closes is none."""
    day = calendar("DTSTART;VALUE=DATE:20261224")
    for data, is_idle in ((IDLE[name], True), (day, False)):
        made = plan(freeze=(FreezeFile("a.ics", "sha256:" + "1" * 64, read_calendar(data)),))
        problems = planned(made, inventory([server(1)]), now=BEGIN).problems
        assert [(p.code, p.severity, p.path) for p in problems] == [
            ("FreezeClosesNothing", "warning", ("freeze", 0))
        ] * is_idle
        assert list(idle_freezes(made, BEGIN)) == list(problems)


def test_problems_of_a_calendar_name_its_file_and_line(tmp_path: Path) -> None:
    """An error and a warning, each at the calendar's name in the plan."""
    plan = (
        "version: 1\nname: web\nfreeze: [a.ics, b.ics]\ngroups: [{name: web, servers: {all: "
        "true}, waves: [1]}]\n"
    )
    (tmp_path / "web.yaml").write_text(plan)
    (tmp_path / "a.ics").write_bytes(calendar("DTSTART;TZID=Here:20261201T100000|DURATION:PT1H"))
    (tmp_path / "b.ics").write_bytes(
        calendar("DTSTART:20261201T100000Z", "DTSTART:20261201T100000Z")
    )
    error, warning = load_plan(tmp_path / "web.yaml").problems
    assert (error.code, warning.code) == ("BadCalendar", "FreezeWithoutEffect")
    assert (
        "freeze: a.ics:5: DTSTART: the time zone (TZID) is not known by this name" in error.message
    )
    assert "Outlook" in (error.hint or "")
    assert "Thunderbird" in (error.hint or "")
    assert (
        "freeze: b.ics:4: DTSTART: the event has no length and closes nothing (1 more like it)"
        in warning.message
    )
    assert warning.severity == "warning"


def test_the_calendars_of_a_plan_share_one_limit(tmp_path: Path) -> None:
    """Ten calendars cost no more than one of the largest: the one that exceeds the limit is
    named with its line.
    """
    plan = (
        "version: 1\nname: web\nfreeze: [a.ics, b.ics]\ngroups: [{name: web, servers: {all: "
        "true}, waves: [1]}]\n"
    )
    (tmp_path / "web.yaml").write_text(plan)
    half = calendar(*["DTSTART;VALUE=DATE:20261224"] * (MAX_EVENTS // 2))
    for name in ("a.ics", "b.ics"):
        (tmp_path / name).write_bytes(half)
    assert load_plan(tmp_path / "web.yaml").problems == ()
    (tmp_path / "b.ics").write_bytes(
        half.replace(b"END:VCALENDAR", b"BEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR")
    )
    (problem,) = load_plan(tmp_path / "web.yaml").problems
    assert (problem.code, problem.severity) == ("BadCalendar", "error")
    line = len(half.splitlines())
    assert (
        f"freeze: b.ics:{line}: the plan's calendars hold more than 2,000 events" in problem.message
    )


@pytest.mark.parametrize(
    ("name", "most"), [("lines", MAX_LINES), ("dates", MAX_DATES), ("work", MAX_WORK)]
)
def test_what_other_calendars_have_used_up_counts(name: str, most: int) -> None:
    """Lines, single dates and the days that rules name are limited for all calendars of a plan."""
    data = calendar(
        "DTSTART:20261201T100000Z|DURATION:PT1H|RRULE:FREQ=DAILY|EXDATE:20261202T100000Z"
    )
    assert read_calendar(data, ReadingBudget()) == read_calendar(data)
    with pytest.raises(BadCalendar, match=f"the plan's calendars .* more than {most:,}"):
        read_calendar(data, ReadingBudget(**{name: most}))
