"""iCalendar files (`freeze`): read with suspicion, reduced to what closes, expanded by the library.

A file comes from anybody's calendar program. Of its text only the lines about times are kept, rewritten, and given to
`icalendar`; who meets where, and time zones that it defines itself, are never looked at. What could make expanding it
long is refused before: rules finer than a day, rules that never match, more repetitions than a calendar for people has.
Messages name a line and quote nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from runner.loading.files import FileReader
from runner.loading.findings import Findings
from runner.loading.nodes import ListNode, MapNode, Node, Scalar
from runner.loading.source import Unreadable
from runner.model.plan import ZONE_PATTERN, FreezeFile
from runner.model.window import Freeze, join

MAX_CALENDAR_BYTES = 1 << 20
MAX_EVENTS = 2_000
MAX_DATES = 5_000
"""Single dates (`RDATE`, `EXDATE`) of all events."""
MAX_REPETITIONS = 25_000
"""Of all rules together, from their beginnings until the end of `COUNTED_UNTIL`."""
COUNTED_UNTIL = 2040
LONGEST = timedelta(days=366)
YEARS = range(1970, 2200)

_LINE = re.compile(r'([A-Za-z0-9-]+)((?:;[^:;="]+=(?:"[^"]*"|[^";:])*)*):(.*)')
_PARAM = re.compile(r';([^=;:"]+)=("[^"]*"|[^";:]*)')
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(T\d{6}Z?)?")
_DURATION = re.compile(r"\+?P(\d{1,4}W|(\d{1,4}D)?(T(\d{1,6}H)?(\d{1,6}M)?(\d{1,6}S)?)?)")
_TZID = re.compile(r"[A-Za-z0-9_+\-/ .()&,]{1,100}")
_RULE = re.compile("[A-Za-z0-9=;,+-]{1,1000}")
_STEPS = {"DAILY": 1.0, "WEEKLY": 7.0, "MONTHLY": 30.4, "YEARLY": 365.2}
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_RULE_KEYS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS", "WKST"}
_MOMENTS = {"DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE"}
_KEPT = {*_MOMENTS, "DURATION", "RRULE", "STATUS", "UID", "SEQUENCE"}


class BadCalendar(Exception):
    """A calendar cannot be used; the sentence quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class IcsCalendar:
    """What a calendar closes. `text`: its events, rewritten; `zone`: of days and times without one, if it says."""

    text: str
    zone: str | None = None

    def closed(self, begin: datetime, end: datetime, zone: str) -> tuple[Freeze, ...]:
        """The events between two instants, in order, those that overlap or touch as one; cancelled ones left out."""
        own = ZoneInfo(self.zone or zone)
        margin = timedelta(days=2)  # times without a zone are compared with instants
        found = []
        for event in _expansion(self.text).between(begin - margin, end + margin):
            if str(event.get("STATUS", "")).upper() == "CANCELLED":
                continue
            begins, ends = (_instant(event[key].dt, own) for key in ("DTSTART", "DTEND"))
            if begins < ends and ends > begin and begins < end:
                found.append(Freeze(begins, ends))
        return join(found)


def freezes_of(tree: MapNode, files: FileReader, findings: Findings) -> tuple[FreezeFile, ...]:
    """The calendars that a plan names under `freeze`, read. What is wrong with one is noted at its name."""
    node = tree.get("freeze")
    names: tuple[Node, ...] = node.items if isinstance(node, ListNode) else (node,) if node is not None else ()
    read = []
    for name in names:
        if not isinstance(name, Scalar) or name.broken or not isinstance(name.value, str) or not name.value:
            continue  # the model says what is wrong with it
        try:
            data = files(name.value)
            read.append(FreezeFile(name.value, "sha256:" + hashlib.sha256(data).hexdigest(), read_calendar(data)))
        except Unreadable as error:
            findings.add(error.code, f"freeze: the file {error.message}", name.span, hint=error.hint)
        except BadCalendar as error:
            findings.add("BadCalendar", f"freeze: {error}", name.span, hint="export it again, or remove such events")
    return tuple(read)


def read_calendar(data: bytes) -> IcsCalendar:
    """A calendar from the bytes of its file. Raises BadCalendar, soon, for what is no calendar or would take long."""
    if len(data) > MAX_CALENDAR_BYTES:
        raise BadCalendar(f"the file is larger than {MAX_CALENDAR_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadCalendar("the file is not UTF-8 text") from None
    events, zone = _events(text)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//reboot-runner//EN"]
    repetitions, dates, firsts = 0.0, 0, []
    for event in events:
        first = event.first()
        firsts.append(first)
        repetitions += event.repetitions(first)
        dates += event.dates
        if repetitions > MAX_REPETITIONS or dates > MAX_DATES:
            raise BadCalendar("its events repeat more often than a calendar for people does")
        lines += ["BEGIN:VEVENT", *event.lines, "END:VEVENT"]
    calendar = IcsCalendar("\r\n".join([*lines, "END:VCALENDAR", ""]), zone)
    _try(calendar, firsts)
    return calendar


@dataclass(slots=True)
class _Event:
    """One event as it is read. `line`: where it begins."""

    line: int
    lines: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    dates: int = 0

    def take(self, number: int, name: str, params: Mapping[str, str], value: str) -> None:
        if name == "EXRULE":
            raise BadCalendar(f"line {number}: EXRULE is not supported")
        if name not in _KEPT:
            return
        if name in self.values and name not in ("RDATE", "EXDATE"):
            raise BadCalendar(f"line {number}: {name} stands twice in one event")
        self.values[name] = value
        if name in _MOMENTS:
            count = len(parts := value.split(","))
            if not all(_is_moment(part) for part in parts) or (count > 1 and name not in ("RDATE", "EXDATE")):
                raise BadCalendar(f"line {number}: {name} is no day or time that is understood")
            self.dates += count if name in ("RDATE", "EXDATE") else 0
        elif name == "DURATION" and (not _DURATION.fullmatch(value) or value.endswith(("P", "T"))):
            raise BadCalendar(f"line {number}: {name} is no length of time that is understood")
        elif name == "UID":
            value = hashlib.sha256(value.encode()).hexdigest()
        elif name == "STATUS":
            value = "CANCELLED" if value.strip().upper() == "CANCELLED" else "CONFIRMED"
        elif name == "SEQUENCE" and not re.fullmatch(r"\d{1,9}", value):
            return
        self.lines.append(f"{name}{_parameters(number, name, params)}:{value}")

    def first(self) -> date:
        """The day of its start. Raises BadCalendar where it has none, or none that can be meant."""
        match = _MOMENT.fullmatch(self.values.get("DTSTART", ""))
        try:
            first = date(*(int(part) for part in match.groups()[:3])) if match else None
        except ValueError:
            first = None
        if first is None or first.year not in YEARS:
            raise BadCalendar(f"line {self.line}: the event has no start, or none that can be meant")
        return first

    def repetitions(self, first: date) -> float:
        """How many times it repeats, at most. Raises BadCalendar for rules that this reader does not follow."""
        if "RRULE" not in self.values:
            return 0.0
        try:
            return _repetitions(self.values["RRULE"], first)
        except (ValueError, KeyError):
            said = "its rule of repetition is none that is supported (daily, weekly, monthly or yearly,"
            raise BadCalendar(f"line {self.line}: {said} on days that the first one is of)") from None


def _events(text: str) -> tuple[list[_Event], str | None]:
    """The events of a calendar and the zone that it names. Other components, and those inside events, are left out."""
    inside: list[str] = []
    events: list[_Event] = []
    zone, calendars = None, 0
    for number, line in _unfolded(text):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadCalendar(f"line {number} is not a line of an iCalendar file")
        name, value = match[1].upper(), match[3]
        if name == "BEGIN":
            inside.append(value.strip().upper())
            calendars += inside == ["VCALENDAR"]
            if len(inside) > 4 or inside[0] != "VCALENDAR" or calendars > 1:
                raise BadCalendar(f"line {number}: not the structure of one calendar")
            if inside == ["VCALENDAR", "VEVENT"]:
                events.append(_Event(number))
        elif name == "END":
            if not inside or inside.pop() != value.strip().upper():
                raise BadCalendar(f"line {number}: ends what has not begun")
        elif inside == ["VCALENDAR", "VEVENT"]:
            params = {m[1].upper(): m[2].strip('"') for m in _PARAM.finditer(match[2])}
            events[-1].take(number, name, params, value)
        elif inside == ["VCALENDAR"] and name == "X-WR-TIMEZONE":
            zone = _zone(number, value.strip())
        if len(events) > MAX_EVENTS:
            raise BadCalendar(f"it holds more than {MAX_EVENTS:,} events")
    if inside or not calendars:
        raise BadCalendar("the file is not a whole iCalendar file (BEGIN:VCALENDAR to END:VCALENDAR)")
    return events, zone


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """The lines of content with the numbers they begin at; a line that begins with a blank goes on with the last."""
    number, parts = 0, [""]
    for n, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line[:1] in (" ", "\t"):
            parts.append(line[1:])
            continue
        if whole := "".join(parts).strip():
            yield number, whole
        number, parts = n, [line]
    if whole := "".join(parts).strip():
        yield number, whole


def _is_moment(text: str) -> bool:
    match = _MOMENT.fullmatch(text)
    return match is not None and int(match[1]) in YEARS


def _parameters(number: int, name: str, params: Mapping[str, str]) -> str:
    """What of a line's parameters decides about times."""
    if name not in _MOMENTS:
        return ""
    kept = ""
    if "VALUE" in params:
        if params["VALUE"].upper() not in ("DATE", "DATE-TIME"):
            raise BadCalendar(f"line {number}: {name} is given in a form that is not supported")
        kept += f";VALUE={params['VALUE'].upper()}"
    if "TZID" in params:
        if not _TZID.fullmatch(params["TZID"]):
            raise BadCalendar(f"line {number}: its time zone is not known by this name")
        kept += f';TZID="{params["TZID"].lstrip("/")}"'
    if params.get("RANGE", "").upper() == "THISANDFUTURE":
        kept += ";RANGE=THISANDFUTURE"
    return kept


def _zone(number: int, name: str) -> str:
    try:
        if re.fullmatch(ZONE_PATTERN, name):
            return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        pass
    raise BadCalendar(f"line {number}: the calendar's time zone is not an IANA name")


def _repetitions(rule: str, first: date) -> float:
    """How often a rule applies at most until the end of COUNTED_UNTIL, or of its own end.

    Raises ValueError or KeyError for rules with parts that are not supported, that are finer than a day, and for those
    that their own first day does not fit: such a rule may never match, and the search for its next day never ends.
    """
    if not _RULE.fullmatch(rule):
        raise ValueError
    parts = dict(part.split("=", 1) for part in rule.upper().rstrip(";").split(";"))
    step, interval = _STEPS[parts["FREQ"]], int(parts.get("INTERVAL", "1"))
    if not parts.keys() <= _RULE_KEYS or not 1 <= interval <= 1000 or ("COUNT" in parts and "UNTIL" in parts):
        raise ValueError
    last = date(COUNTED_UNTIL, 12, 31)
    if "UNTIL" in parts:
        until = _MOMENT.fullmatch(parts["UNTIL"])
        if until is None:
            raise ValueError
        last = min(last, date(int(until[1]), int(until[2]), int(until[3])))
    days = _days_each_time(parts, first)
    times = max(0.0, ((last - first).days / (step * interval) + 1) * days)
    return min(times, float(int(parts["COUNT"]))) if "COUNT" in parts else times


def _days_each_time(parts: Mapping[str, str], first: date) -> float:
    """How many days a period of the rule has at most. Raises ValueError where the first day is none of them."""
    often = parts["FREQ"]
    months, numbers, places = (_numbers(parts.get(key)) for key in ("BYMONTH", "BYMONTHDAY", "BYSETPOS"))
    week = [(m[1], m[2]) for m in map(_weekday, parts["BYDAY"].split(","))] if "BYDAY" in parts else []
    ordinals = [number for number, _ in week if number]
    monthly = often in ("MONTHLY", "YEARLY")
    last_day = ((first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    if (
        (months and first.month not in months)
        or (numbers and not {first.day, first.day - last_day - 1} & set(numbers))
        or (week and _DAYS[first.weekday()] not in {day for _, day in week})
        or ((numbers or ordinals or places) and not monthly)
        or (ordinals and (numbers or (often == "YEARLY" and not months) or any(abs(int(n)) > 5 for n in ordinals)))
        or (places and (not week or ordinals or numbers or any(abs(p) > 4 for p in places)))
    ):
        raise ValueError
    if often == "DAILY":
        return 1.0
    if often == "WEEKLY":
        return float(len(week) or 1)
    by_day = float(len(numbers)) or float(sum(1 if number else 5 for number, _ in week)) or 1.0
    return by_day * (1 if often == "MONTHLY" else len(months) or (12 if numbers or week else 1))


def _numbers(text: str | None) -> list[int]:
    numbers = [int(part) for part in text.split(",")] if text is not None else []
    if 0 in numbers or len(numbers) > 62:
        raise ValueError
    return numbers


def _weekday(text: str) -> re.Match[str]:
    match = re.fullmatch(r"([+-]?[1-9]\d?)?(MO|TU|WE|TH|FR|SA|SU)", text)
    if match is None:
        raise ValueError
    return match


def _try(calendar: IcsCalendar, firsts: list[date]) -> None:
    """Expand it once, around its first and its last event: what the library stumbles over is told here.

    Raises BadCalendar.
    """
    import icalendar

    try:
        parsed = icalendar.Calendar.from_ical(calendar.text)
        _check(parsed)
        for first in {min(firsts), max(firsts)} if firsts else ():
            begin = datetime.combine(first, time(), UTC)
            calendar.closed(begin, begin + timedelta(days=40), "UTC")
    except BadCalendar:
        raise
    except Exception:  # noqa: BLE001 - whatever the library says quotes the file
        raise BadCalendar("the file holds an event that cannot be understood") from None


def _check(parsed: Any) -> None:
    for n, event in enumerate(parsed.walk("VEVENT"), 1):
        start, end, length = (event.get(key) for key in ("DTSTART", "DTEND", "DURATION"))
        if any(getattr(v, "dt", None) is not None and _is_lost(v) for v in (start, end)):
            raise BadCalendar(f"event {n}: its time zone is not known by this name")
        took = end.dt - start.dt if end is not None else length.dt if length is not None else timedelta(0)
        if not timedelta(0) <= took <= LONGEST:
            raise BadCalendar(f"event {n}: it ends before it begins, or lasts longer than {LONGEST.days} days")


def _is_lost(moment: Any) -> bool:
    """Whether a zone was named that the library does not know: it takes such a time for one without a zone."""
    return "TZID" in moment.params and isinstance(moment.dt, datetime) and moment.dt.tzinfo is None


@lru_cache(maxsize=8)
def _expansion(text: str) -> Any:
    """The library's view of a calendar that was read."""
    import icalendar
    import recurring_ical_events

    return recurring_ical_events.of(icalendar.Calendar.from_ical(text), components=["VEVENT"])


def _instant(moment: date | datetime, zone: ZoneInfo) -> datetime:
    """A day begins at its midnight; a time without a zone is of the given one."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
