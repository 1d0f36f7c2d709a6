"""Events from the lines of a calendar: understood, refused with their line, or noted as
without effect.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from runner.loading.calendar_events import (
    CalendarEvent,
    CalendarNote,
    EventTime,
    IcsCalendar,
    is_until,
    same_zone,
    utc,
)
from runner.loading.calendar_lines import EXPORT, BadCalendar, ContentLine
from runner.loading.calendar_rules import BadRule, Rule, read_moment, read_rule
from runner.loading.calendar_zones import zone_named

# The limits hold for all calendars of a plan together.
MAX_LINES = 150_000
MAX_EVENTS = 2_000
MAX_DATES = 5_000
"""Single dates (`RDATE`, `EXDATE`) of all events."""
MAX_WORK = 60_000
"""Days that all rules together may look at to expand any 400 days."""
MAX_COUNTED = 200_000
"""Days that may be looked at to find where rules with COUNT end, and what single dates mean."""
MAX_DEPTH = 4
LONGEST = timedelta(days=366)

LARGE_HINT = "export only what closes: a calendar of its own for freezes, from this year on"
ZONE_HINT = (
    "in Outlook or Thunderbird open the event, show its time zones, choose one of the list"
    " such as Europe/Berlin, and export the calendar again"
)
RULE_HINT = (
    "in Outlook or Thunderbird open the series, choose a daily, weekly, monthly or yearly pattern,"
    " and export the calendar again"
)
EVENT_HINT = (
    "in Outlook or Thunderbird open the event that begins near this line, correct its "
    "start and end,"
    " and export the calendar again"
)
SERIES_HINT = (
    "in Outlook or Thunderbird open the series, delete or move the single day there, "
    "and export the calendar again"
)

_DURATION = re.compile(
    r"([+-]?)P(?:([0-9]{1,4})W|(?:([0-9]{1,4})D)?(?:T(?=[0-9])(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})S)?)?)"
)
_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "UID", "SEQUENCE", "STATUS", "RECURRENCE-ID")
_ALL_DAY_FLAG = re.compile("X-([A-Z0-9-]+-)?ALL-?DAY(-?EVENT)?")
"""X-MICROSOFT-CDO-ALLDAYEVENT, X-FUNAMBOL-ALLDAY and the like."""
_ABOUT_OTHERS = {
    *(
        "ACKNOWLEDGED",
        "ATTACH",
        "ATTENDEE",
        "CALENDAR-ADDRESS",
        "CATEGORIES",
        "CLASS",
        "COLOR",
        "COMMENT",
    ),
    *("CONCEPT", "CONFERENCE", "CONTACT", "CREATED", "DESCRIPTION", "DTSTAMP", "GEO", "IMAGE"),
    *(
        "LAST-MODIFIED",
        "LINK",
        "LOCATION",
        "LOCATION-TYPE",
        "NAME",
        "ORGANIZER",
        "PRIORITY",
        "REFID",
    ),
    *(
        "RELATED-TO",
        "REQUEST-STATUS",
        "RESOURCES",
        "SOURCE",
        "STRUCTURED-DATA",
        "STYLED-DESCRIPTION",
    ),
    *("SUMMARY", "TRANSP", "URL"),
}
"""Properties of events (RFC 5545, 7986, 9073, 9253) that say nothing about times."""
_TIMES = {"DTSTART", "DTEND", "RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID"}
"""Properties of events, and of time zones, that are found nowhere else."""
_OF_CALENDARS = {
    *(
        "PRODID",
        "VERSION",
        "CALSCALE",
        "METHOD",
        "X-WR-TIMEZONE",
        "TIMEZONE-ID",
        "NAME",
        "DESCRIPTION",
        "UID",
    ),
    *(
        "LAST-MODIFIED",
        "URL",
        "CATEGORIES",
        "REFRESH-INTERVAL",
        "SOURCE",
        "COLOR",
        "IMAGE",
        "CONFERENCE",
    ),
}
"""Properties of calendars (RFC 5545 and 7986, and what Google writes)."""
_OF_ZONES = {
    *(
        "TZID",
        "LAST-MODIFIED",
        "TZURL",
        "TZUNTIL",
        "TZID-ALIAS-OF",
        "DTSTART",
        "TZOFFSETTO",
        "TZOFFSETFROM",
    ),
    *("RRULE", "RDATE", "TZNAME", "COMMENT"),
}
"""Properties of time zones and their parts (RFC 5545 and 7808)."""
_BUSY = ("VFREEBUSY", "VAVAILABILITY")
_IDLE = ("VTODO", "VJOURNAL")
_EVENT, _CALENDAR, _ZONE = ["VCALENDAR", "VEVENT"], ["VCALENDAR"], ["VCALENDAR", "VTIMEZONE"]
_WR_HINT = (
    f"choose the calendar's time zone in its settings, a name such as Europe/Berlin; {EXPORT}"
)


@dataclass(slots=True)
class _Draft:
    """The lines of one event that say something about times. `line`: where it begins."""

    line: int
    lines: dict[str, list[ContentLine]] = field(default_factory=lambda: defaultdict(list))
    is_flagged: bool = False

    def one(self, name: str) -> ContentLine | None:
        found = self.lines.get(name)
        return found[0] if found else None


@dataclass(slots=True)
class ReadingBudget:
    """What the calendars of one plan have used up of the limits."""

    lines: int = 0
    events: int = 0
    dates: int = 0
    work: int = 0
    counted: int = 0


@dataclass(slots=True)
class CalendarReader:
    """Reads one calendar: `take` each line, then `calendar`. Both raise BadCalendar.

    `spent` is shared by the calendars of a plan.
    """

    inside: list[str] = field(default_factory=list)
    drafts: list[_Draft] = field(default_factory=list)
    own: ZoneInfo | None = None
    calendars: int = 0
    spent: ReadingBudget = field(default_factory=ReadingBudget)
    zone_id: str = ""
    offsets: dict[str, set[timedelta]] = field(default_factory=dict)
    notes: dict[str, CalendarNote] = field(default_factory=dict)

    def take(self, line: ContentLine) -> None:
        self.spent.lines += 1
        if self.spent.lines > MAX_LINES:
            raise BadCalendar(
                line.number, f"the plan's calendars have more than {MAX_LINES:,} lines", LARGE_HINT
            )
        if line.name == "BEGIN":
            self._begin(line)
        elif line.name == "END":
            if not self.inside or self.inside.pop() != line.value.strip().upper():
                raise BadCalendar(line.number, "END: ends a component that has not begun")
        elif not self.inside:
            raise BadCalendar(
                line.number, "the line stands outside BEGIN:VCALENDAR and END:VCALENDAR"
            )
        elif self.inside == _EVENT:
            self._take_of_event(line)
        elif self.inside == _CALENDAR:
            self._take_of_calendar(line)
        elif self.inside[:2] == _ZONE:
            self._take_of_zone(line)
        elif self.inside[:2] == _EVENT and line.name in _TIMES:
            what = (
                f"{line.name} stands in a component inside the event, where it says nothing "
                f"about the event"
            )
            raise BadCalendar(line.number, what, EVENT_HINT)

    def calendar(self) -> IcsCalendar:
        if self.inside or not self.calendars:
            raise BadCalendar(
                None, "the file is not a whole iCalendar file (BEGIN:VCALENDAR to END:VCALENDAR)"
            )
        events = [self._event(draft) for draft in self.drafts]
        self._spend_work(events)
        self._note_idle(events)
        events = self._in_force(events)
        events = self._with_moved(events)
        key = self.own.key if self.own else None
        return IcsCalendar(
            tuple(event for event in events if event.closes), key, tuple(self.notes.values())
        )

    def note(self, line: int, what: str, hint: str) -> None:
        """Note something without effect, once for each kind."""
        known = self.notes.get(what)
        self.notes[what] = (
            replace(known, count=known.count + 1) if known else CalendarNote(line, what, hint)
        )

    # --- lines

    def _begin(self, line: ContentLine) -> None:
        name = line.value.strip().upper()
        self.inside.append(name)
        depth = len(self.inside)
        self.calendars += name == "VCALENDAR"
        if self.inside[0] != "VCALENDAR" or depth > MAX_DEPTH:
            raise BadCalendar(line.number, "BEGIN: this is not the structure of an iCalendar file")
        if self.calendars > 1:
            raise BadCalendar(
                line.number, "BEGIN: a second calendar begins; keep each in a file of its own"
            )
        if name == "VEVENT" and self.inside != _EVENT:
            raise BadCalendar(line.number, "BEGIN: an event begins inside another component")
        if depth == 2:
            self._begin_component(line, name)

    def _begin_component(self, line: ContentLine, name: str) -> None:
        self.zone_id = ""
        if name == "VEVENT":
            self.spent.events += 1
            if self.spent.events > MAX_EVENTS:
                what = f"the plan's calendars hold more than {MAX_EVENTS:,} events"
                raise BadCalendar(line.number, what, LARGE_HINT)
            self.drafts.append(_Draft(line.number))
        elif name in _BUSY:
            raise BadCalendar(line.number, f"BEGIN: {name} is not read; only events (VEVENT) close")
        elif name in _IDLE or name.startswith("X-"):
            shown = name if name in _IDLE else "a component of a vendor"
            self.note(
                line.number,
                f"BEGIN: {shown} closes nothing; only events (VEVENT) do",
                "make it an event",
            )
        elif name != "VTIMEZONE":
            raise BadCalendar(line.number, "BEGIN: a component of this name is not known")

    def _take_of_calendar(self, line: ContentLine) -> None:
        value = line.value.strip().upper()
        if line.name in ("X-WR-TIMEZONE", "TIMEZONE-ID"):
            zone = zone_named(line.value.strip())
            if zone is None:
                what = f"{line.name}: the time zone of the calendar is not known by this name"
                raise BadCalendar(line.number, what, _WR_HINT)
            if self.own is not None and self.own.key != zone.key:
                raise BadCalendar(
                    line.number, f"{line.name}: the calendar names two time zones", _WR_HINT
                )
            self.own = zone
        elif line.name == "VERSION" and value != "2.0":
            raise BadCalendar(line.number, "VERSION: this is not iCalendar 2.0")
        elif line.name == "CALSCALE" and value != "GREGORIAN":
            raise BadCalendar(line.number, "CALSCALE: only the Gregorian calendar is supported")
        elif line.name == "METHOD" and value not in ("PUBLISH", "REQUEST"):
            raise BadCalendar(line.number, "METHOD: this is a message about events, not a calendar")
        elif line.name in _TIMES or line.name == "DURATION":
            raise BadCalendar(
                line.number, f"{line.name} stands outside of an event (BEGIN:VEVENT to END:VEVENT)"
            )
        elif line.name not in _OF_CALENDARS:
            if meant := get_close_matches(line.name, ("X-WR-TIMEZONE", "TIMEZONE-ID"), cutoff=0.85):
                raise BadCalendar(
                    line.number,
                    f"the calendar has no property of this name; did you mean {meant[0]}?",
                )
            self._note_unknown(line, "the calendar")

    def _take_of_zone(self, line: ContentLine) -> None:
        """Keep which offsets a zone of the file's own has, to compare them with the zone of
        that name.
        """
        if line.name not in _OF_ZONES:
            self._note_unknown(line, "a time zone")
        if line.name == "TZID":
            self.zone_id = line.value.strip().strip('"')
        elif line.name == "TZOFFSETTO":
            match = re.fullmatch("([+-])([0-9]{2})([0-9]{2})([0-9]{2})?", line.value.strip())
            if match is not None:
                size = timedelta(
                    hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0)
                )
                self.offsets.setdefault(self.zone_id, set()).add(-size if match[1] == "-" else size)

    def _take_of_event(self, line: ContentLine) -> None:
        draft = self.drafts[-1]
        if line.name == "EXRULE":
            raise BadCalendar(line.number, "EXRULE is not supported", SERIES_HINT)
        if line.name in ("RDATE", "EXDATE"):
            self.spent.dates += line.value.count(",") + 1
            if self.spent.dates > MAX_DATES:
                what = (
                    f"{line.name}: the plan's calendars hold more than {MAX_DATES:,} single "
                    f"dates (RDATE, EXDATE)"
                )
                raise BadCalendar(line.number, what, RULE_HINT)
        elif line.name in _ONCE:
            if line.name in draft.lines:
                raise BadCalendar(
                    line.number, f"{line.name} is there twice in one event", EVENT_HINT
                )
        elif _ALL_DAY_FLAG.fullmatch(line.name):
            draft.is_flagged |= line.value.strip().upper() in ("TRUE", "1", "YES")
            return
        else:
            if line.name not in _ABOUT_OTHERS:
                self._note_unknown(line, "an event")
            return
        draft.lines[line.name].append(line)

    def _note_unknown(self, line: ContentLine, of: str) -> None:
        """Note a property without effect. Those of vendors have none by design, unless
        named like one that has.
        """
        if line.name.startswith("X-") and line.name[2:] not in (*_TIMES, "DURATION", "STATUS"):
            return
        what = f"a property of {of} has a name that is not known, and no effect"
        self.note(line.number, what, "correct the name, or remove the line")

    # --- events

    def _event(self, draft: _Draft) -> CalendarEvent:
        begins = draft.one("DTSTART")
        if begins is None:
            raise BadCalendar(draft.line, "DTSTART: the event has no start", EVENT_HINT)
        (start,) = self._moments(begins, 1)
        end, nominal, exact = self._length(draft, start)
        dates = tuple(
            m for line in draft.lines.get("RDATE", ()) for m in self._moments(line, of=start)
        )
        replaced, replaced_lines = [], []
        for line in draft.lines.get("EXDATE", ()):
            found = self._moments(line, of=start)
            replaced += found
            replaced_lines += [line.number] * len(found)
        instance = draft.one("RECURRENCE-ID")
        moved = self._moments(instance, 1)[0] if instance else None
        rule = self._rule(draft, start)
        uid = draft.one("UID")
        if instance and (rule or dates or replaced or not uid):
            raise BadCalendar(
                instance.number,
                "RECURRENCE-ID: a single day of a series repeats, or has no UID",
                SERIES_HINT,
            )
        status = draft.one("STATUS")
        return CalendarEvent(
            line=draft.line,
            uid=uid.value if uid else f"\n{draft.line}",
            sequence=_sequence(draft.one("SEQUENCE")),
            start=start,
            end=end,
            nominal=nominal,
            exact=exact,
            rule=rule,
            dates=dates,
            replaced=tuple(replaced),
            replaced_lines=tuple(replaced_lines),
            instance=moved,
            is_cancelled=status is not None and status.value.strip().upper() == "CANCELLED",
            is_flagged=draft.is_flagged and not start.is_day,
        )

    def _rule(self, draft: _Draft, start: EventTime) -> Rule | None:
        line = draft.one("RRULE")
        if line is None:
            return None

        def spend(days: int) -> None:
            self.spent.counted += days
            if self.spent.counted > MAX_COUNTED:
                raise BadCalendar(
                    line.number, "RRULE: the rules with COUNT take too long to follow", RULE_HINT
                )

        try:
            rule = read_rule(line.value, start.wall.date(), spend)
        except BadRule as error:
            raise BadCalendar(line.number, f"RRULE {error}", RULE_HINT) from None
        if (start.zone or start.is_day) and not is_until(rule.until, start, self.own or utc()):
            raise BadCalendar(line.number, "RRULE ends (UNTIL) before the event begins", RULE_HINT)
        return rule

    def _length(
        self, draft: _Draft, start: EventTime
    ) -> tuple[EventTime | None, timedelta, timedelta]:
        """Return the end of an event, or the nominal and the exact part of its duration."""
        ends, lasts = draft.one("DTEND"), draft.one("DURATION")
        end, nominal, exact = None, timedelta(0), timedelta(0)
        line = ends or lasts
        if line is None:
            return None, timedelta(days=1 if start.is_day else 0), exact
        if ends and lasts:
            raise BadCalendar(lasts.number, "DURATION: the event has a DTEND as well", EVENT_HINT)
        if ends:
            (end,) = self._moments(ends, 1, of=start)
            if start.is_day:
                end = replace(end, zone=start.zone)
            if (end.zone is None) != (start.zone is None):
                raise BadCalendar(
                    ends.number, "DTEND: of start and end only one has a time zone", ZONE_HINT
                )
            nominal = same_zone(end, start) - start.wall
            is_backward = end.at(utc()) < start.at(utc())
        else:
            nominal, exact = _duration(line)
            if start.is_day and exact:
                what = "DURATION: an event of whole days lasts days or weeks (RFC 5545, 3.6.1)"
                raise BadCalendar(line.number, what, EVENT_HINT)
            is_backward = min(nominal, exact) < timedelta(0)
        if is_backward:
            raise BadCalendar(
                line.number, f"{line.name}: the event ends before it begins", EVENT_HINT
            )
        if nominal + exact > LONGEST:
            raise BadCalendar(
                line.number,
                f"{line.name}: the event lasts longer than {LONGEST.days} days",
                EVENT_HINT,
            )
        if start.is_day:
            days = (
                nominal if nominal + exact else timedelta(days=1)
            )  # a day that ends as it begins is a whole day
            return None, days, exact
        return end, nominal, exact

    def _moments(
        self, line: ContentLine, most: int = MAX_DATES, of: EventTime | None = None
    ) -> list[EventTime]:
        """Return the days or times of a line. `of`: the start of the event, whose kind they
        must have.
        """
        zone, kind = self._zone_and_kind(line)
        if line.value.count(",") >= most:
            raise BadCalendar(
                line.number, f"{line.name} holds more than one date or time", EVENT_HINT
            )
        found = [self._moment(line, text, zone) for text in line.value.split(",")]
        for moment in found:
            if kind and moment.is_day != (kind == "DATE"):
                raise BadCalendar(
                    line.number, f"{line.name} is not what its VALUE says", EVENT_HINT
                )
            is_midnight = (
                line.name == "EXDATE" and not moment.is_day
            )  # compared with the midnight of a day
            if of is not None and moment.is_day != of.is_day and not is_midnight:
                what = f"{line.name}: of this and DTSTART one is a day, the other a time"
                raise BadCalendar(line.number, what, EVENT_HINT)
        return found

    def _zone_and_kind(self, line: ContentLine) -> tuple[ZoneInfo | None, str]:
        """Return what the parameters of a line say: its zone, and DATE, DATE-TIME or nothing."""
        zone, kind = None, ""
        for name, value in line.parameters().items():
            if name == "TZID":
                zone = self._zone(line, value)
            elif name == "VALUE" and value.upper() in ("DATE", "DATE-TIME"):
                kind = value.upper()
            elif name == "RANGE":
                what = f"{line.name}: a change to all days from one on (RANGE) is not supported"
                raise BadCalendar(line.number, what, SERIES_HINT)
            elif not name.startswith("X-"):
                raise BadCalendar(
                    line.number,
                    f"{line.name} has a form or a parameter that is not supported",
                    EVENT_HINT,
                )
        return zone, kind

    def _zone(self, line: ContentLine, name: str) -> ZoneInfo:
        zone = zone_named(name)
        if zone is None:
            known = (
                " (the file defines it itself, which is not read)" if name in self.offsets else ""
            )
            what = f"{line.name}: the time zone (TZID) is not known by this name{known}"
            raise BadCalendar(line.number, what, ZONE_HINT)
        return zone

    def _moment(self, line: ContentLine, text: str, zone: ZoneInfo | None) -> EventTime:
        try:
            found = read_moment(text)
        except BadRule as error:
            raise BadCalendar(line.number, f"{line.name} {error}", EVENT_HINT) from None
        if not isinstance(found, datetime):
            return EventTime(datetime.combine(found, time()), zone, True)
        if found.tzinfo is not None:
            if zone is not None and zone.key not in ("UTC", "Etc/UTC"):
                raise BadCalendar(
                    line.number, f"{line.name} is in UTC (Z) and names another time zone", ZONE_HINT
                )
            return EventTime(found.replace(tzinfo=None), utc(), False)
        if zone is not None:
            self._check_offset(line, found, zone)
        return EventTime(found, zone, False)

    def _check_offset(self, line: ContentLine, wall: datetime, zone: ZoneInfo) -> None:
        """Refuse a known name whose definition in the file has other offsets: the two mean
        different times.
        """
        declared = self.offsets.get(line.parameters().get("TZID", ""))
        if declared and wall.year >= 1970 and wall.replace(tzinfo=zone).utcoffset() not in declared:
            what = f"{line.name}: the file defines the time zone of this name with other offsets"
            raise BadCalendar(line.number, what, ZONE_HINT)

    # --- the file as a whole

    def _spend_work(self, events: Iterable[CalendarEvent]) -> None:
        for event in events:
            self.spent.work += event.rule.yearly_work if event.rule else 0
            if self.spent.work > MAX_WORK:
                what = (
                    f"RRULE: the rules of the plan's calendars name more than {MAX_WORK:,} "
                    f"days in 400 days"
                )
                raise BadCalendar(event.line, what, RULE_HINT)

    def _note_idle(self, events: Iterable[CalendarEvent]) -> None:
        for event in events:
            if not event.is_cancelled and not event.closes:
                self.note(
                    event.line, "DTSTART: the event has no length and closes nothing", EVENT_HINT
                )

    def _in_force(self, events: Sequence[CalendarEvent]) -> list[CalendarEvent]:
        """Return the events that no higher SEQUENCE of the same event replaces."""
        highest: dict[tuple[str, datetime | None], CalendarEvent] = {}
        own = self.own or utc()
        keys = [(event.uid, event.instance.at(own) if event.instance else None) for event in events]
        for key, event in zip(keys, events, strict=True):
            if key not in highest or event.sequence > highest[key].sequence:
                highest[key] = event
        found = []
        for key, event in zip(keys, events, strict=True):
            if event.sequence == highest[key].sequence:
                found.append(event)
            else:
                what = "UID: an event of the same UID and a higher SEQUENCE replaces this one"
                self.note(event.line, what, "remove the older event")
        return found

    def _with_moved(self, events: Sequence[CalendarEvent]) -> list[CalendarEvent]:
        """Return the events; of series, the days that are moved or cancelled are taken out."""
        moved: dict[str, list[CalendarEvent]] = defaultdict(list)
        series: dict[str, list[CalendarEvent]] = defaultdict(list)
        for event in events:
            (moved if event.instance else series)[event.uid].append(event)
        found = [event for events_of in moved.values() for event in events_of]
        for uid, masters in series.items():
            days = moved.get(uid, ())
            if days and len(masters) > 1:
                what = (
                    f"UID: line {masters[0].line} has the same, and line {days[0].line} moves "
                    f"a day of one of them"
                )
                raise BadCalendar(
                    masters[1].line,
                    what,
                    "give each event a UID of its own, or remove one of the two",
                )
            found += [self._without(master, days) for master in masters]
        return found

    def _without(self, master: CalendarEvent, days: Sequence[CalendarEvent]) -> CalendarEvent:
        own = self.own or utc()
        instances = []
        for day in days:
            instance = day.instance
            if instance is None:
                continue
            if instance.is_day and not master.start.is_day:
                what = "RECURRENCE-ID: this is a day, and the DTSTART of its series a time"
                raise BadCalendar(day.line, what, SERIES_HINT)
            instances.append(instance)
        for moment, line in zip(master.replaced, master.replaced_lines, strict=True):
            self.spent.counted += (master.rule.work if master.rule else 1) + len(master.dates)
            is_comparable = self.own or (moment.zone is None) == (master.start.zone is None)
            if (
                self.spent.counted <= MAX_COUNTED
                and is_comparable
                and not master.starts_at(moment.at(own), own)
            ):
                self.note(
                    line, "EXDATE takes out a time at which the event does not begin", SERIES_HINT
                )
        return replace(master, replaced=(*master.replaced, *instances))


def _sequence(line: ContentLine | None) -> int:
    if line is None:
        return 0
    if not re.fullmatch("[0-9]{1,9}", line.value.strip()):
        raise BadCalendar(line.number, "SEQUENCE is not a number", EVENT_HINT)
    return int(line.value)


def _duration(line: ContentLine) -> tuple[timedelta, timedelta]:
    """Return the nominal and the exact part of a duration."""
    match = _DURATION.fullmatch(line.value.strip())
    if match is None or line.value.strip().endswith(("P", "T")):
        raise BadCalendar(line.number, "DURATION is not a length of time (P1D, PT8H)", EVENT_HINT)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    nominal = timedelta(weeks=weeks, days=days)
    return sign * nominal, sign * timedelta(hours=hours, minutes=minutes, seconds=seconds)
