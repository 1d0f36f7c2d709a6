"""The events of a calendar, and what they close. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from runner.loading.calendar_rules import Rule
from runner.model.window import Freeze, join


@dataclass(frozen=True, slots=True)
class CalendarNote:
    """A part of a calendar that has no effect. `count`: how many such parts there are;
    `line`: of the first.
    """

    line: int
    what: str
    hint: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class EventTime:
    """A day, or a time by the clocks of a zone. `zone` is None where the calendar's own
    zone holds.
    """

    wall: datetime
    zone: ZoneInfo | None
    is_day: bool

    def at(self, own: ZoneInfo) -> datetime:
        """Return the instant in UTC; a day begins at its midnight."""
        return _instant(self.wall, self.zone or own)


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """One event. `end` is None where `nominal` days and `exact` seconds say how long it lasts.

    `replaced`: the starts of repetitions that exceptions and moved days take out. `instance`: for a
    moved day, the start that it had in its series.
    """

    line: int
    uid: str
    sequence: int
    start: EventTime
    end: EventTime | None
    nominal: timedelta
    exact: timedelta
    rule: Rule | None
    dates: tuple[EventTime, ...]
    replaced: tuple[EventTime, ...]
    replaced_lines: tuple[int, ...]
    instance: EventTime | None
    is_cancelled: bool
    is_flagged: bool

    @property
    def closes(self) -> bool:
        """Return True if it is in force and has a length, by the clocks or by elapsed time."""
        has_length = (
            self.start.is_day or self.is_flagged or max(self._lengths(utc())) > timedelta(0)
        )
        return has_length and not self.is_cancelled

    def closed(self, begin: datetime, end: datetime, own: ZoneInfo) -> Iterator[Freeze]:
        """Yield what the event closes between two instants, in no order."""
        replaced = {moment.at(own) for moment in self.replaced}
        nominal, exact = self._lengths(own)
        margin = nominal + exact + timedelta(days=3)
        first, last = (begin - margin).date(), (end + margin).date()
        for moment in self._starts(first, last, own):
            begins, zone = moment.at(own), moment.zone or own
            if begins in replaced:
                continue
            ends = _instant(moment.wall + nominal, zone)
            ends = ends + exact if self.end is None else max(ends, begins + exact)
            found = Freeze(begins, ends)
            if self.is_flagged:
                found = _whole_days(found, own if zone.key == "UTC" else zone)
            if found.ends > begin and found.begins < end:
                yield found

    def starts_at(self, instant: datetime, own: ZoneInfo) -> bool:
        """Return True if one of its repetitions begins at an instant."""
        day = instant.astimezone(self.start.zone or own).date()
        return any(moment.at(own) == instant for moment in self._starts(day, day, own))

    def _starts(self, first: date, last: date, own: ZoneInfo) -> Iterator[EventTime]:
        """Yield its start, its single dates, and the repetitions between two days."""
        yield self.start
        yield from self.dates
        if self.rule is None:
            return
        clock = self.start.wall.time()
        for day in self.rule.days(first, last):
            moment = EventTime(datetime.combine(day, clock), self.start.zone, self.start.is_day)
            if is_until(self.rule.until, moment, own):
                yield moment

    def _lengths(self, own: ZoneInfo) -> tuple[timedelta, timedelta]:
        """Return the nominal length, by the clocks, and the exact one, in elapsed time.

        RFC 5545 3.3.6: days are nominal, hours exact; a DURATION is the one and then the
        other. An event with DTEND has an exact length by RFC 5545 and a nominal one in
        calendar programs: of its two ends the later holds.
        """
        if self.end is None:
            return self.nominal, self.exact
        return same_zone(self.end, self.start) - self.start.wall, self.end.at(own) - self.start.at(
            own
        )


@dataclass(frozen=True, slots=True)
class IcsCalendar:
    """What a calendar closes. `zone`: of days and times without one, if it says; `notes`:
    what has no effect.
    """

    events: tuple[CalendarEvent, ...]
    zone: str | None = None
    notes: tuple[CalendarNote, ...] = ()

    def closed(self, begin: datetime, end: datetime, zone: str) -> tuple[Freeze, ...]:
        """Return the events between two instants, in order, those that overlap or touch as one."""
        own = ZoneInfo(self.zone or zone)
        return join(found for event in self.events for found in event.closed(begin, end, own))


@cache
def utc() -> ZoneInfo:
    return ZoneInfo("UTC")


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant at which clocks show a time.

    RFC 5545 3.3.5: the first of two; a time that is skipped counts from the offset before
    the change.
    """
    return wall.replace(tzinfo=zone).astimezone(UTC)


def same_zone(end: EventTime, start: EventTime) -> datetime:
    """Return an end as the clocks of the start's zone show it."""
    if end.zone == start.zone or end.zone is None or start.zone is None:
        return end.wall
    return end.wall.replace(tzinfo=end.zone).astimezone(start.zone).replace(tzinfo=None)


def is_until(until: date | datetime | None, moment: EventTime, own: ZoneInfo) -> bool:
    """Return True if a repetition is not after the end of its rule.

    An UNTIL without a time includes its day: in the zone of the event, and for a time in
    UTC also in the calendar's.
    """
    if until is None:
        return True
    if not isinstance(until, datetime):
        is_utc = moment.zone is not None and moment.zone.key == "UTC"
        here = moment.at(own).astimezone(own).date() if is_utc else moment.wall.date()
        return min(here, moment.wall.date()) <= until
    if until.tzinfo is None:
        return moment.wall <= until or (moment.is_day and moment.wall.date() <= until.date())
    return moment.at(own) <= until or (moment.is_day and moment.wall.date() <= until.date())


def _whole_days(freeze: Freeze, zone: ZoneInfo) -> Freeze:
    """Return the days of a zone that a time touches, at least one."""
    first = freeze.begins.astimezone(zone).date()
    last = max(freeze.ends - timedelta(seconds=1), freeze.begins).astimezone(zone).date()
    midnight = datetime.combine(first, time())
    return Freeze(
        _instant(midnight, zone), _instant(midnight + timedelta((last - first).days + 1), zone)
    )
