"""Freezes: calendars as people's programs write them, hostile ones, and what of them the
digest covers.
"""

from __future__ import annotations

import subprocess
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.loading.calendar_lines import BadCalendar
from runner.loading.calendars import MAX_CALENDAR_BYTES, read_calendar
from runner.loading.plan import Loaded, load_plan, plan_digest, require
from runner.loading.revision import load_plan_at

BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
PLAN = """\
version: 1
name: web
freeze: [freeze/2026.ics]
groups: [{name: web, servers: {all: true}, waves: [1]}]
"""


def calendar(*events: str, head: str = "") -> bytes:
    """A calendar; each event's lines are parted by blanks."""
    made = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *head.split()]
    for n, event in enumerate(events):
        uid = () if "UID:" in event else (f"UID:{n}",)
        made += ["BEGIN:VEVENT", *uid, *event.split(), "END:VEVENT"]
    return "\r\n".join([*made, "END:VCALENDAR", ""]).encode()


def closed(data: bytes, zone: str = "Europe/Berlin") -> list[str]:
    found = read_calendar(data).closed(BEGIN, END, zone)
    return [f"{f.begins:%m-%d %H:%M}/{f.ends:%m-%d %H:%M}" for f in found]


WEEKLY = (
    "DTSTART;TZID=Europe/Berlin:20261101T220000 DURATION:PT2H RRULE:FREQ=WEEKLY;COUNT=4;BYDAY=SU"
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (calendar("DTSTART:20261110T100000Z DTEND:20261110T120000Z"), ["11-10 10:00/11-10 12:00"]),
        (calendar("DTSTART:20261110T100000Z DURATION:P1DT2H"), ["11-10 10:00/11-11 12:00"]),
        (calendar("DTSTART:20261110T100000 DTEND:20261110T120000"), ["11-10 09:00/11-10 11:00"]),
        (
            calendar("DTSTART;TZID=America/New_York:20261110T100000 DURATION:PT1H"),
            ["11-10 15:00/11-10 16:00"],
        ),
        (calendar("DTSTART;VALUE=DATE:20261224"), ["12-23 23:00/12-24 23:00"]),
        (
            calendar("DTSTART;VALUE=DATE:20261224 DTEND;VALUE=DATE:20261227"),
            ["12-23 23:00/12-26 23:00"],
        ),
        (
            calendar("DTSTART;VALUE=DATE:20261224", head="X-WR-TIMEZONE:Asia/Tokyo"),
            ["12-23 15:00/12-24 15:00"],
        ),
        (calendar("DTSTART;VALUE=DATE:20201225 RRULE:FREQ=YEARLY"), ["12-24 23:00/12-25 23:00"]),
        (
            calendar("DTSTART;VALUE=DATE:20161124 RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"),
            ["11-25 23:00/11-26 23:00"],
        ),
        (
            calendar(WEEKLY),
            [
                "11-01 21:00/11-01 23:00",
                "11-08 21:00/11-08 23:00",
                "11-15 21:00/11-15 23:00",
                "11-22 21:00/11-22 23:00",
            ],
        ),
        (
            calendar(
                f"UID:w {WEEKLY} EXDATE;TZID=Europe/Berlin:20261108T220000",
                "UID:w RECURRENCE-ID;TZID=Europe/Berlin:20261115T220000 "
                "DTSTART;TZID=Europe/Berlin:20261116T080000"
                " DURATION:PT1H",
                "UID:w RECURRENCE-ID;TZID=Europe/Berlin:20261122T220000 "
                "DTSTART;TZID=Europe/Berlin:20261122T220000"
                " DURATION:PT1H STATUS:CANCELLED",
            ),
            ["11-01 21:00/11-01 23:00", "11-16 07:00/11-16 08:00"],
        ),
        (calendar("DTSTART:20261110T100000Z DURATION:PT1H STATUS:CANCELLED"), []),
        (calendar(f"{WEEKLY} STATUS:CANCELLED"), []),
        (calendar("DTSTART:20261110T100000Z"), []),
        (calendar("DTSTART:20261030T100000Z DURATION:P5D"), ["10-30 10:00/11-04 10:00"]),
        (
            calendar(
                "DTSTART:20261110T100000Z DURATION:PT2H", "DTSTART:20261110T110000Z DURATION:PT2H"
            ),
            ["11-10 10:00/11-10 13:00"],
        ),
        (
            calendar(
                "DTSTART;TZID=W.\u00a0Europe:20261110T100000 DURATION:PT1H".replace("\u00a0", "_")
            ),
            None,
        ),
        (calendar(), []),
    ],
)
def test_what_a_calendar_closes(data: bytes, expected: list[str] | None) -> None:
    """Single, repeating, all-day, zoned, moved and cancelled events are what a calendar
    program would show.
    """
    if expected is None:
        with pytest.raises(BadCalendar, match="time zone"):
            closed(data)
    else:
        assert closed(data) == expected


def test_an_export_with_everything_in_it_is_read() -> None:
    """Folded lines, alarms, attendees, and a zone of the file's own that has the name of a
    known one.
    """
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:PUBLISH\r\nBEGIN:VTIMEZONE\r\nTZID:W. Europe "
        "Standard Time\r\n"
        "BEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n"
        "RRULE:FREQ=SECONDLY\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:x\r\n"
        'ATTENDEE;CN="A; B: C";MEMBER="mailto:a","mailto:b":mailto:x\r\nSUMMARY:a long\r\n  '
        "summary: of; it\r\n"
        "DTSTART;TZID=W. Europe Standard Time:20261110T1000\r\n "
        "00\r\nDURATION:PT1H\r\nBEGIN:VALARM\r\n"
        "TRIGGER:-PT5M\r\nDURATION:PT5M\r\nEND:VALARM\r\nEND:VEVENT\r\nBEGIN:VTODO\r\nDTSTART:x\r\nEND:VTODO\r\nEND:VCALENDAR"
    )
    assert closed(text.encode()) == ["11-10 09:00/11-10 10:00"]


ONE = "DTSTART:20261102T100000Z DURATION:PT1H"
HOSTILE = {
    "every second": calendar(f"{ONE} RRULE:FREQ=SECONDLY"),
    "by the second": calendar(f"{ONE} RRULE:FREQ=DAILY;BYSECOND=1,2,3"),
    "the thirtieth of February": calendar(f"{ONE} RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
    "never": calendar(f"{ONE} RRULE:FREQ=MONTHLY;BYDAY=MO;BYSETPOS=300"),
    "never by the year": calendar(f"{ONE} RRULE:FREQ=YEARLY;BYYEARDAY=366;BYMONTH=2"),
    "many rules": calendar(*[f"{ONE} RRULE:FREQ=DAILY"] * 500),
    "a count": calendar(*[f"{ONE} RRULE:FREQ=DAILY;COUNT=99999999"] * 50),
    "many dates": calendar(*[f"{ONE} RDATE:" + ",".join(["20261103T100000Z"] * 1000)] * 6),
    "many events": calendar(*[ONE] * 2_001),
    "for ages": calendar("DTSTART:20261102T100000Z DURATION:P9999D"),
    "the year one": calendar("DTSTART:00010101T000000Z DURATION:PT1H RRULE:FREQ=DAILY"),
    "backwards": calendar("DTSTART:20261102T100000Z DTEND:20261101T100000Z"),
    "a day to a time": calendar("DTSTART;VALUE=DATE:20261102 DTEND:20261103T100000Z"),
    "no start": calendar("DTEND:20261102T100000Z"),
    "an unknown zone": calendar("DTSTART;TZID=Middle/Earth:20261102T100000 DURATION:PT1H"),
    "a path as zone": calendar("DTSTART;TZID=../../etc/passwd:20261102T100000 DURATION:PT1H"),
    "a path as the calendar's zone": calendar(ONE, head="X-WR-TIMEZONE:../../etc/passwd"),
    "two starts": calendar(f"{ONE} DTSTART:20261103T100000Z"),
    "the old exception rule": calendar(f"{ONE} RRULE:FREQ=DAILY;COUNT=3 EXRULE:FREQ=DAILY"),
    "deep": b"BEGIN:VCALENDAR\r\n" * 20_000,
    "cut off": calendar(ONE)[:-20],
    "parameters without end": b"BEGIN:VCALENDAR\r\nDTSTART" + b";A=B" * 200_000,
    "another encoding": calendar(ONE).decode().encode("utf-16"),
    "no calendar": b"secret: hunter2\n",
    "zeros": b"\0" * 1000,
    "nothing": b"",
    "too large": b"X" * (MAX_CALENDAR_BYTES + 1),
    "a million lines": b"BEGIN:VCALENDAR\r\n" + b"A:\n" * 340_000,
    "a line of many folds": b"A:" + b"\n " * 500_000,
    "quotes without end": b"BEGIN:VCALENDAR\r\nA;B=" + b'""' * 500_000 + b'"',
    "a count of leap days": calendar(
        *[
            (
                "DTSTART:20240229T100000Z DURATION:PT1H "
                "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;COUNT=99"
            )
        ]
        * 2_000
    ),
    "an end of leap days": calendar(
        *[
            (
                "DTSTART:20240229T100000Z DURATION:PT1H "
                "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;UNTIL=21990101"
            )
        ]
        * 2_000
    ),
    "all days of all years": calendar(
        *[f"{ONE} RRULE:FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;UNTIL=21990101"] * 500
    ),
    "dates without number": calendar(f"{ONE} RDATE:" + "," * 900_000),
    "starts without number": calendar("DTSTART:" + "," * 900_000),
    "zones without number": calendar(
        *[f"DTSTART;TZID=A/B{n}:20261102T100000 DURATION:PT1H" for n in range(2_000)]
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_calendar_ends_soon_in_a_sentence_that_quotes_nothing(name: str) -> None:
    """Rules that never end, files that are none: refused within a second, without a word of
    the file.
    """
    began = time.process_time()
    with pytest.raises(BadCalendar) as refused:
        read_calendar(HOSTILE[name])
    assert time.process_time() - began < 1.5
    assert not any(word in str(refused.value) for word in ("hunter2", "Middle", "passwd", "FREQ"))


MOST = {
    "rules": calendar(*[f"{ONE} RRULE:FREQ=DAILY"] * 149),
    "holidays": calendar(*["DTSTART:19001102 RRULE:FREQ=YEARLY"] * 2_000),
    "exceptions": calendar(
        f"{ONE} RRULE:FREQ=YEARLY;BYDAY=MO EXDATE:"
        + ",".join(
            f"{year}{month:02}{day:02}T100000Z"
            for year in range(2027, 2042)
            for month in range(1, 13)
            for day in range(1, 28)
        )
    ),
    "versions": calendar(*[f"UID:x SEQUENCE:{n} {ONE}" for n in range(2_000)]),
}


@pytest.mark.parametrize("name", MOST)
def test_the_most_that_is_allowed_is_quick(name: str) -> None:
    """A calendar as full as the limits let it be is read and expanded within seconds, in
    little memory.
    """
    began = time.process_time()
    found = read_calendar(MOST[name])
    assert found.closed(BEGIN, END, "UTC")
    assert time.process_time() - began < 6
    assert len(found.notes) <= 2


def test_the_memory_for_a_calendar_is_bounded() -> None:
    """A line of half a million folds is the most that a file can be blown up to."""
    tracemalloc.start()
    with pytest.raises(BadCalendar):
        read_calendar(HOSTILE["a line of many folds"])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100 << 20


def _repository(folder: Path, data: bytes) -> Loaded:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / "freeze").mkdir(exist_ok=True)
    (folder / "freeze/2026.ics").write_bytes(data)
    (folder / "web.yaml").write_text(PLAN)
    return load_plan(folder / "web.yaml")


def test_the_plans_digest_covers_what_its_calendars_hold(tmp_path: Path) -> None:
    """Another event, another digest; the same files, the same digest, whenever and wherever
    they are read.
    """
    first = require(_repository(tmp_path, calendar(ONE)))
    again = require(
        load_plan_at({"web.yaml": PLAN.encode(), "freeze/2026.ics": calendar(ONE)}.get, "web.yaml")
    )
    other = require(_repository(tmp_path, calendar(ONE, ONE)))
    assert plan_digest(first) == plan_digest(again)
    assert plan_digest(other) != plan_digest(first)
    assert [f"{f.begins:%m-%d %H}" for f in first.frozen(BEGIN)] == ["11-02 10"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../outside.ics", "OutsideRepository"),
        ("/etc/hostname", "OutsideRepository"),
        ("gone.ics", "Unreadable"),
        ("pipe.ics", "Unreadable"),
        ("bad.ics", "BadCalendar"),
        ("''", "BadValue"),
    ],
)
def test_what_is_wrong_with_a_freeze_is_told_at_its_name(
    tmp_path: Path, name: str, code: str
) -> None:
    """Outside, missing, not regular, no calendar: one problem, at the line of the plan,
    quoting nothing.
    """
    folder = tmp_path / "repository"
    folder.mkdir()
    (tmp_path / "outside.ics").write_bytes(calendar(ONE))
    (folder / "bad.ics").write_text("hunter2")
    subprocess.run(["mkfifo", folder / "pipe.ics"], check=True)
    (folder / ".git").mkdir()
    (folder / "web.yaml").write_text(PLAN.replace("freeze/2026.ics", name))
    (problem,) = load_plan(folder / "web.yaml").problems
    assert problem.code == code
    assert problem.location is not None
    assert problem.location.line == 3
    assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{days: [sunday], start: "22:00", length: 1h, timezone: UTC}', "days: must be"),
        ('{days: [sun, sun], start: "22:00", length: 1h, timezone: UTC}', "a day is written twice"),
        ('{days: sun, start: "24:00", length: 1h, timezone: UTC}', "start: must be a time of day"),
        ('{days: sun, start: "22:00", length: 8d, timezone: UTC}', "length: at most 7d"),
        (
            '{days: sun, start: "22:00", length: 1h, cutoff: 1h, timezone: UTC}',
            "cutoff: must be shorter",
        ),
        (
            '{days: sun, start: "22:00", length: 1h, timezone: localtime}',
            "timezone: must be an IANA",
        ),
        (
            '{days: sun, start: "22:00", length: 1h, timezone: Europe/Bern}',
            "timezone: there is no time zone Europe/Bern",
        ),
        ('{days: sun, start: "22:00", length: 1h, timezone: Europe}', "timezone: must be an IANA"),
        ('{days: sun, start: "22:00", timezone: UTC}', '"length" is missing'),
        ('{days: sun, start: "22:00", length: 1h, timezone: UTC, until: x}', 'unknown key "until"'),
    ],
)
def test_a_window_that_cannot_be_meant_is_told(tmp_path: Path, written: str, message: str) -> None:
    """Each mistake in a window is one problem with a sentence of its own."""
    (tmp_path / "web.yaml").write_text(
        PLAN.replace("freeze: [freeze/2026.ics]", f"windows: [{written}]")
    )
    (problem,) = load_plan(tmp_path / "web.yaml").problems
    assert message in problem.message


def test_a_start_without_quotes_is_a_time(tmp_path: Path) -> None:
    """`22:00` is text by YAML 1.2; YAML 1.1 would make it a number."""
    window = "windows: [{days: sun, start: 22:00, length: 1h, timezone: Europe/Berlin}]"
    (tmp_path / "web.yaml").write_text(PLAN.replace("freeze: [freeze/2026.ics]", window))
    assert require(load_plan(tmp_path / "web.yaml")).opening[0].start == "22:00"
