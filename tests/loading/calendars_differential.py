"""The calendar reader against a second, independent expansion, over generated calendars.

    python -m tests.loading.calendars_differential                 10,000 calendars: some two minutes
    python -m tests.loading.calendars_differential --examples 100000

An event is generated as plain values. From these it is written as text, which the reader
reads, and expanded by python-dateutil and the rules of RFC 5545 as this module states them.
Both must close the same.
"""  # noqa: E501

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr  # type: ignore[import-untyped]
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from runner.loading.calendars import read_calendar

WINDOW = datetime(2026, 9, 1, tzinfo=UTC), datetime(2027, 10, 1, tzinfo=UTC)
FROM, TO = datetime(2026, 8, 1), datetime(2027, 11, 1)  # noqa: DTZ001 - by the clocks of any zone, with a margin
OWN = "Asia/Tokyo"
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "UTC",
)
WRITTEN = {
    "Europe/Berlin": (
        "Europe/Berlin",
        "/mozilla.org/20050126_1/Europe/Berlin",
        "W. Europe Standard Time",
    )
}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True)
class When:
    """A day, or a time by the clocks of a zone; `zone` is empty where the calendar's holds."""

    wall: datetime
    zone: str
    is_day: bool
    name: str = ""

    @property
    def instant(self) -> datetime:
        return self.wall.replace(tzinfo=ZoneInfo(self.zone or OWN)).astimezone(UTC)

    def written(self, prop: str) -> str:
        if self.is_day:
            return f"{prop};VALUE=DATE:{self.wall:%Y%m%d}"
        if self.zone == "UTC":
            return f"{prop}:{self.wall:%Y%m%dT%H%M%S}Z"
        zone = f";TZID={self.name or self.zone}" if self.zone else ""
        return f"{prop}{zone}:{self.wall:%Y%m%dT%H%M%S}"


@dataclass(frozen=True)
class Moved:
    """A repetition (by its place among them) that begins at another time, or is
    cancelled (None).
    """

    place: int
    zone: str
    to: When | None


@dataclass(frozen=True)
class Spec:
    """An event. It lasts `days` and `seconds`, written as DURATION or as the DTEND of its
    first repetition.
    """

    start: When
    days: int
    seconds: int
    has_end: bool
    rule: str = ""
    count: int = 0
    until: When | None = None
    dates: tuple[When, ...] = ()
    excluded: tuple[tuple[int, str], ...] = ()
    strange: tuple[When, ...] = ()
    moved: tuple[Moved, ...] = ()


# --- the second expansion


def starts_of(spec: Spec) -> list[When]:
    """The repetitions by dateutil until the window is over, exceptions not taken out."""
    start = spec.start
    if not spec.rule:
        return [start, *spec.dates]
    found = []
    for wall in rrulestr(
        spec.rule + (f";COUNT={spec.count}" if spec.count else ""), dtstart=start.wall
    ):
        when = When(wall, start.zone, start.is_day, start.name)
        if wall > TO:
            break
        if _is_within(when, spec.until):
            found.append(when)
    return [*found, *spec.dates]


def _is_within(when: When, until: When | None) -> bool:
    if until is None:
        return True
    if until.is_day:
        return when.wall.date() <= until.wall.date()
    return when.instant <= until.instant if until.zone else when.wall <= until.wall


def expected(spec: Spec) -> list[tuple[datetime, datetime]]:
    """What the event closes in the window, overlaps joined."""
    starts = starts_of(spec)
    gone = {starts[place].instant for place, _ in spec.excluded if place < len(starts)}
    gone |= {starts[m.place].instant for m in spec.moved if m.place < len(starts)}
    gone |= {when.instant for when in spec.strange}
    spans = [(s.instant, _end(spec, s)) for s in starts if s.instant not in gone]
    spans += [_moved_span(m.to) for m in spec.moved if m.to and m.place < len(starts)]
    return _joined(span for span in spans if span[1] > WINDOW[0] and span[0] < WINDOW[1])


def _moved_span(to: When) -> tuple[datetime, datetime]:
    """A day that is moved lasts a day, a time an hour."""
    next_day = When(to.wall + timedelta(1), to.zone, True)
    return to.instant, next_day.instant if to.is_day else to.instant + timedelta(hours=1)


def _end(spec: Spec, when: When) -> datetime:
    zone = ZoneInfo(when.zone or OWN)
    if when.is_day:
        return (when.wall + timedelta(max(1, spec.days))).replace(tzinfo=zone).astimezone(UTC)
    nominal = (when.wall + timedelta(spec.days)).replace(tzinfo=zone).astimezone(UTC)
    if not spec.has_end:
        return nominal + timedelta(seconds=spec.seconds)
    by_clock = (when.wall + timedelta(spec.days, spec.seconds)).replace(tzinfo=zone).astimezone(UTC)
    return max(by_clock, when.instant + (first_end(spec).instant - spec.start.instant))


def first_end(spec: Spec) -> When:
    """The end of the first repetition, by the clocks of its zone."""
    wall = spec.start.wall + timedelta(spec.days, spec.seconds)
    return When(wall, spec.start.zone, spec.start.is_day, spec.start.name)


def _joined(spans: Iterator[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    edges = sorted(edge for begin, end in spans for edge in ((begin, 0), (end, 1)))
    found, depth = [], 0
    for at, is_end in edges:
        if depth == 0:
            begins = at
        depth += -1 if is_end else 1
        if depth == 0:
            found.append((begins, at))
    return found


# --- the text


def text_of(spec: Spec, fold: int = 0) -> bytes:
    """The event in a calendar; `fold`: after how many characters lines are folded."""
    start = spec.start
    lines = [start.written("DTSTART"), *([_length(spec)] if _length(spec) else [])]
    if spec.rule:
        ends = f";COUNT={spec.count}" if spec.count else ""
        ends += (
            f";{spec.until.written('UNTIL').replace(';VALUE=DATE:', '=').replace(':', '=')}"
            if spec.until
            else ""
        )
        lines.append(f"RRULE:{spec.rule}{ends}")
    starts = starts_of(spec)
    lines += [when.written("RDATE") for when in spec.dates]
    lines += [
        _in_zone(starts[n], zone).written("EXDATE") for n, zone in spec.excluded if n < len(starts)
    ]
    lines += [when.written("EXDATE") for when in spec.strange]
    blocks = [lines]
    for moved in spec.moved:
        if moved.place >= len(starts):
            continue
        there = _in_zone(starts[moved.place], moved.zone).written("RECURRENCE-ID")
        to = moved.to.written("DTSTART") if moved.to else start.written("DTSTART")
        blocks.append([there, to, "DURATION:P1D" if start.is_day else "DURATION:PT1H"])
        blocks[-1] += [] if moved.to else ["STATUS:CANCELLED"]
    body = [line for block in blocks for line in ("BEGIN:VEVENT", "UID:x", *block, "END:VEVENT")]
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", f"X-WR-TIMEZONE:{OWN}", *body, "END:VCALENDAR", ""]
    if fold:
        whole = [
            "\r\n ".join(line[n : n + fold] for n in range(0, len(line), fold)) for line in whole
        ]
    return "\r\n".join(whole).encode()


def _length(spec: Spec) -> str:
    if spec.has_end:
        return first_end(spec).written("DTEND")
    if spec.start.is_day:
        return f"DURATION:P{spec.days}D"
    return f"DURATION:P{spec.days}DT{spec.seconds // 3600}H{spec.seconds % 3600 // 60}M"


def _in_zone(when: When, zone: str) -> When:
    """The same instant by the clocks of another zone. A time that is shown twice is
    written in UTC.
    """
    if when.is_day or not zone:
        return when
    there = when.instant.astimezone(ZoneInfo(zone))
    if there.fold:
        return When(when.instant.replace(tzinfo=None), "UTC", False)
    return When(there.replace(tzinfo=None), zone, False)


# --- generation

CLOCKS = st.builds(time, st.sampled_from((0, 1, 2, 3, 10, 22, 23)), st.sampled_from((0, 30)))
TURNS = (
    *(
        date(2026, 10, 3),
        date(2026, 10, 24),
        date(2026, 10, 29),
        date(2026, 10, 31),
        date(2027, 3, 13),
    ),
    *(
        date(2027, 3, 27),
        date(2027, 4, 3),
        date(2027, 4, 29),
        date(2024, 2, 29),
        date(2026, 12, 31),
    ),
)
"""Days on or before which clocks of the zones change, and ends of months."""
DATES = st.sampled_from(TURNS) | st.dates(date(2024, 1, 1), date(2027, 9, 1))
PLACES = st.integers(0, 9)


@st.composite
def whens(draw: st.DrawFn, is_day: bool, days: st.SearchStrategy[date] = DATES) -> When:
    day = draw(days)
    if is_day:
        return When(datetime.combine(day, time()), "", True)
    zone = draw(st.sampled_from(("", *ZONES, *ZONES[:2])))
    name = draw(st.sampled_from(WRITTEN[zone])) if zone in WRITTEN else ""
    return When(datetime.combine(day, draw(CLOCKS)), zone, False, name)


@st.composite
def rules(draw: st.DrawFn, first: date) -> str:
    """A rule that names the first day, without its end."""
    often = draw(st.sampled_from(("DAILY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY", "YEARLY")))
    parts = [f"FREQ={often}"]
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.sampled_from((1, 2, 3, 5, 12)))}")
    if draw(st.booleans()):
        parts.append(f"BYMONTH={_with(draw, first.month, st.integers(1, 12))}")
    by = draw(
        st.sampled_from(("", "BYDAY", "BYMONTHDAY", "ordinal", "ordinal", "both", "position"))
    )
    if by == "BYMONTHDAY" and often != "WEEKLY":
        parts.append(f"BYMONTHDAY={_month_days(draw, first)}")
    elif by == "both" and often != "WEEKLY":
        parts += [f"BYMONTHDAY={_month_days(draw, first)}", f"BYDAY={DAYS[first.weekday()]},FR"]
    elif by == "ordinal" and often in ("MONTHLY", "YEARLY"):
        in_year = often == "YEARLY" and not any(part.startswith("BYMONTH") for part in parts)
        parts.append(f"BYDAY={_ordinal(draw, first, in_year)}{DAYS[first.weekday()]}")
    elif by == "position" and often in ("MONTHLY", "YEARLY"):
        days = ",".join(sorted({"MO", "WE", DAYS[first.weekday()]}))
        whole = rrulestr(
            ";".join([*parts, f"BYDAY={days}"]),
            dtstart=datetime.combine(_period(first, often), time()),
        )
        place = next(n for n, at in enumerate(whole, 1) if at.date() == first)
        parts += [f"BYDAY={days}", f"BYSETPOS={_with(draw, place, st.integers(-3, -1))}"]
    elif by:
        parts.append(f"BYDAY={_with(draw, DAYS[first.weekday()], st.sampled_from(DAYS))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    return ";".join(parts)


def _with(draw: st.DrawFn, value: object, others: st.SearchStrategy[object]) -> str:
    return ",".join(
        dict.fromkeys(map(str, draw(st.permutations([value, *draw(st.lists(others, max_size=3))]))))
    )


def _month_days(draw: st.DrawFn, first: date) -> str:
    from_end = first.day - _month_size(first) - 1
    return _with(
        draw,
        draw(st.sampled_from((first.day, from_end))),
        st.sampled_from((1, 15, 28, 29, 30, 31, -1, -31)),
    )


def _ordinal(draw: st.DrawFn, first: date, in_year: bool) -> int:
    place, size = first.day, _month_size(first)
    if in_year:
        place, size = first.timetuple().tm_yday, date(first.year, 12, 31).timetuple().tm_yday
    return draw(st.sampled_from(((place - 1) // 7 + 1, -((size - place) // 7 + 1))))


def _month_size(day: date) -> int:
    return ((day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)).day


def _period(day: date, often: str) -> date:
    return day.replace(day=1) if often == "MONTHLY" else day.replace(month=1, day=1)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    is_day = draw(st.sampled_from((False, False, False, True)))
    start = draw(whens(is_day))
    has_end = draw(st.booleans())
    days = draw(st.integers(0, 4))
    seconds = 0 if is_day else draw(st.sampled_from((1800, 3600, 8 * 3600, 23 * 3600, 30 * 3600)))
    rule = draw(rules(start.wall.date())) if draw(st.integers(0, 4)) else ""
    spec = Spec(start, days, seconds, has_end, rule)
    if rule:
        ends = draw(st.sampled_from(("", "count", "until")))
        later = DATES.filter(lambda day: day >= start.wall.date())
        count = draw(st.integers(1, 60)) if ends == "count" else 0
        until = draw(_untils(start, later)) if ends == "until" else None
        spec = Spec(start, days, seconds, has_end, rule, count, until)
    if first_end(spec).instant < start.instant:  # over a time that is shown twice or skipped
        spec = Spec(start, days + 1, seconds, has_end, rule, spec.count, spec.until)
    zones = st.sampled_from((*ZONES, ""))
    return Spec(
        start,
        spec.days,
        seconds,
        has_end,
        rule,
        spec.count,
        spec.until,
        dates=tuple(draw(st.lists(whens(is_day), max_size=3))),
        excluded=tuple(draw(st.lists(st.tuples(PLACES, zones), max_size=3))),
        strange=tuple(draw(st.lists(whens(is_day), max_size=2))),
        moved=tuple(draw(st.lists(_moves(is_day), max_size=2))),
    )


@st.composite
def _untils(draw: st.DrawFn, start: When, later: st.SearchStrategy[date]) -> When:
    day = draw(later)
    kind = draw(st.sampled_from(("day", "local", "utc")))
    if start.is_day or kind == "day":
        return When(datetime.combine(day, time()), "", True)
    wall = datetime.combine(day, draw(CLOCKS))
    until = When(wall, "" if kind == "local" else "UTC", False)
    return until if _is_within(start, until) else When(datetime.combine(day, time()), "", True)


@st.composite
def _moves(draw: st.DrawFn, is_day: bool) -> Moved:
    to = draw(st.none() | whens(is_day))
    return Moved(draw(PLACES), draw(st.sampled_from(ZONES)), to)


def check(spec: Spec, fold: int = 0) -> None:
    """Both close the same. Raises AssertionError with the calendar."""
    text = text_of(spec, fold)
    found = [(f.begins, f.ends) for f in read_calendar(text).closed(*WINDOW, "America/Lima")]
    assert found == expected(spec), text.decode()


def differential(examples: int) -> None:
    """Compare the two over generated calendars."""

    @settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(specs(), st.sampled_from((0, 0, 7, 75)))
    def compare(spec: Spec, fold: int) -> None:
        check(spec, fold)

    compare()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--examples", type=int, default=10_000, help="number of calendars (default 10,000)"
    )
    examples = parser.parse_args().examples
    differential(examples)
    print(f"{examples:,} calendars close the same in both expansions")


if __name__ == "__main__":
    main()
