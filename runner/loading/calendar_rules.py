"""Recurrence rules of calendars (RRULE, RFC 5545 section 3.3.10), read strictly and expanded
in bounded work.

A rule names days; the time of day is that of the event's start. Rules finer than a day are
refused, and so are rules whose first day is not one of their own days: RFC 5545 leaves
undefined what those mean.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

FIRST_YEAR, LAST_YEAR = 1583, 2199
"""The years a calendar may speak of. Some programs write birthdays as of 1604 when the year
is unknown.
"""
LAST_DAY = date(LAST_YEAR, 12, 31)
MAX_INTERVAL = 1_000
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_TOO_FINE = ("SECONDLY", "MINUTELY", "HOURLY")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_READ = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS")
_NOT_READ = ("BYSECOND", "BYMINUTE", "BYHOUR", "BYYEARDAY", "BYWEEKNO", "RSCALE", "SKIP")
_RULE = re.compile("[A-Za-z0-9=;,+-]{1,1000}")
_MOMENT = re.compile("([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?")
_WEEKDAY = re.compile("([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")


class BadRule(ValueError):
    """A rule, day or time is not understood. The sentence quotes nothing of the file."""


def read_moment(text: str) -> date | datetime:
    """Return a DATE as a date, a DATE-TIME as a datetime: aware UTC with `Z`, naive without.

    Raises BadRule.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise BadRule("is not a date (20261224) or a time (20261224T220000)")
    year, month, day = (int(part) for part in match.groups()[:3])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadRule(f"has a year outside {FIRST_YEAR} to {LAST_YEAR}")
    try:
        found = date(year, month, day)
        if match[4] is None:
            return found
        if match[4] == "24":
            raise BadRule("has the hour 24; midnight is hour 00 of the next day")
        second = min(int(match[6]), 59) if match[6] == "60" else int(match[6])  # a leap second
        zone = UTC if match[7] else None
        return datetime(year, month, day, int(match[4]), int(match[5]), second, tzinfo=zone)
    except ValueError as error:
        if isinstance(error, BadRule):
            raise
        raise BadRule("is a date or a time that does not exist") from None


@dataclass(frozen=True, slots=True)
class Rule:
    """The days on which an event repeats, from `first` to `last`, both included.

    `weekdays` are pairs of ordinal (0: every) and weekday (0: Monday). `until` is what the
    rule says of its end; the event compares it with the time of day. `last` is a day after
    which nothing is left.
    """

    frequency: str
    first: date
    interval: int = 1
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0
    until: date | datetime | None = None
    last: date = LAST_DAY

    def days(self, begin: date, end: date) -> Iterator[date]:
        """Yield the days of the rule from `begin` to `end`, both included, in order."""
        begin, end = max(begin, self.first), min(end, self.last)
        number = self._number_at(begin)
        while (period := self._period(number)) <= end:
            for day in self._days_of(period):
                if begin <= day <= end:
                    yield day
            number += 1

    @property
    def work(self) -> int:
        """The number of days to look at, at most, for one period of the rule."""
        in_month = 31 if self.weekdays else len(self.month_days) or 1
        sizes = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": in_month}
        return sizes.get(self.frequency, in_month * len(self._months_of_year()))

    @property
    def yearly_work(self) -> int:
        """The number of days to look at, at most, for any 400 days."""
        step = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 28, "YEARLY": 365}[self.frequency]
        return (400 // (step * self.interval) + 2) * self.work

    def _number_at(self, day: date) -> int:
        """Return the number of the last period that begins on or before a day, at least 0."""
        start = self._period(0)
        if self.frequency == "YEARLY":
            steps = day.year - start.year
        elif self.frequency == "MONTHLY":
            steps = (day.year - start.year) * 12 + day.month - start.month
        else:
            steps = (day - start).days // (7 if self.frequency == "WEEKLY" else 1)
        return max(0, steps // self.interval)

    def _period(self, number: int) -> date:
        """Return the first day of a period; period 0 holds the rule's first day."""
        first, steps = self.first, number * self.interval
        if self.frequency == "YEARLY":
            return date(first.year + steps, 1, 1)
        if self.frequency == "MONTHLY":
            months = first.year * 12 + first.month - 1 + steps
            return date(months // 12, months % 12 + 1, 1)
        if self.frequency == "WEEKLY":
            return first - timedelta((first.weekday() - self.week_start) % 7) + timedelta(7 * steps)
        return first + timedelta(steps)

    def _days_of(self, period: date) -> list[date]:
        """Return the days of one period in order, `positions` applied."""
        if self.frequency == "DAILY":
            found = [period] if self._matches(period) else []
        elif self.frequency == "WEEKLY":
            week = [period + timedelta(n) for n in range(7)]
            found = [day for day in week if self._matches(day)]
        elif self.frequency == "MONTHLY":
            found = self._days_of_month(period.year, period.month)
        else:
            found = []
            for month in self._months_of_year():
                found += self._days_of_month(period.year, month)
        if not self.positions:
            return found
        size = len(found)
        places = {n - 1 if n > 0 else size + n for n in self.positions}
        return [found[n] for n in sorted(places) if 0 <= n < size]

    def _months_of_year(self) -> tuple[int, ...]:
        if self.months:
            return self.months
        return tuple(range(1, 13)) if self.month_days or self.weekdays else (self.first.month,)

    def _days_of_month(self, year: int, month: int) -> list[date]:
        if self.months and month not in self.months:
            return []
        size = monthrange(year, month)[1]
        if self.month_days:
            numbers = sorted({n if n > 0 else size + 1 + n for n in self.month_days})
        elif self.weekdays:
            numbers = list(range(1, size + 1))
        else:
            numbers = [self.first.day]
        days = [date(year, month, n) for n in numbers if 1 <= n <= size]
        return [day for day in days if self._is_weekday(day)] if self.weekdays else days

    def _matches(self, day: date) -> bool:
        """Return True if a day of a daily or weekly rule is one of its days."""
        if self.months and day.month not in self.months:
            return False
        if self.month_days:
            from_end = day.day - monthrange(day.year, day.month)[1] - 1
            if day.day not in self.month_days and from_end not in self.month_days:
                return False
        if self.weekdays:
            return (0, day.weekday()) in self.weekdays
        return self.frequency == "DAILY" or day.weekday() == self.first.weekday()

    def _is_weekday(self, day: date) -> bool:
        """Return True if BYDAY names a day; ordinals count in the month, or in the year
        without BYMONTH.
        """
        if (0, day.weekday()) in self.weekdays:
            return True
        if self.frequency == "YEARLY" and not self.months:
            place = day.timetuple().tm_yday
            size = 366 if monthrange(day.year, 2)[1] == 29 else 365
        else:
            place, size = day.day, monthrange(day.year, day.month)[1]
        from_start, from_end = (place - 1) // 7 + 1, -((size - place) // 7 + 1)
        named = ((from_start, day.weekday()), (from_end, day.weekday()))
        return any(pair in self.weekdays for pair in named)


def read_rule(text: str, first: date, spend: Callable[[int], None]) -> Rule:
    """Return the rule of an event that begins on `first`. Raises BadRule, and what `spend` raises.

    `spend` is given the number of days that were looked at to find where a COUNT ends.
    """
    parts = _parts(text)
    rule = Rule(
        frequency=_frequency(parts),
        first=first,
        interval=_number("INTERVAL", parts.get("INTERVAL", "1"), 1, MAX_INTERVAL),
        months=_numbers(parts, "BYMONTH", 1, 12),
        month_days=_numbers(parts, "BYMONTHDAY", 1, 31, negative=True),
        weekdays=_weekdays(parts),
        positions=_numbers(parts, "BYSETPOS", 1, 366, negative=True),
        week_start=_DAYS.index(parts["WKST"]) if parts.get("WKST") in _DAYS else 0,
    )
    _check(rule, parts)
    if "UNTIL" in parts:
        return _until(rule, parts["UNTIL"])
    if "COUNT" in parts:
        count = _number("COUNT", parts["COUNT"], 1, 10**9)
        return replace(rule, last=_last_of(rule, count, spend))
    return rule


def _parts(text: str) -> Mapping[str, str]:
    if not text:
        raise BadRule("is empty")
    if re.search(r"\s", text):
        raise BadRule("holds a blank; its parts and lists have none (BYDAY=MO,TU)")
    if not _RULE.fullmatch(text):
        raise BadRule("is too long, or holds characters that no rule has")
    parts: dict[str, str] = {}
    for part in text.upper().removesuffix(";").split(";"):
        name, _, value = part.partition("=")
        if name in _NOT_READ:
            raise BadRule(f"has the part {name}, which is not supported")
        if name not in _READ or not value:
            raise BadRule("has a part that no rule has, or one without a value")
        if name in parts:
            raise BadRule(f"says {name} twice")
        parts[name] = value
    return parts


def _frequency(parts: Mapping[str, str]) -> str:
    found = parts.get("FREQ", "")
    if found in _TOO_FINE:
        raise BadRule("repeats more often than daily, which is not supported")
    if found not in _FREQUENCIES:
        raise BadRule("does not say FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    return found


def _number(name: str, text: str, least: int, most: int, negative: bool = False) -> int:
    match = re.fullmatch("([+-]?)([0-9]{1,9})", text)
    if match is None or not least <= int(match[2]) <= most or (match[1] == "-" and not negative):
        raise BadRule(f"has a number in {name} that is not from {least} to {most:,}")
    return -int(match[2]) if match[1] == "-" else int(match[2])


def _numbers(
    parts: Mapping[str, str], name: str, least: int, most: int, negative: bool = False
) -> tuple[int, ...]:
    texts = parts[name].split(",") if name in parts else []
    return tuple(sorted({_number(name, text, least, most, negative) for text in texts}))


def _weekdays(parts: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    found: set[tuple[int, int]] = set()
    for text in parts["BYDAY"].split(",") if "BYDAY" in parts else ():
        match = _WEEKDAY.fullmatch(text)
        if match is None:
            raise BadRule("names a day in BYDAY that is none of MO, TU, WE, TH, FR, SA, SU")
        ordinal = _number("BYDAY", match[1], 1, 53, negative=True) if match[1] else 0
        found.add((ordinal, _DAYS.index(match[2])))
    return tuple(sorted(found))


def _check(rule: Rule, parts: Mapping[str, str]) -> None:
    """Refuse what RFC 5545 does not allow together. Raises BadRule."""
    has_ordinals = any(ordinal for ordinal, _ in rule.weekdays)
    if parts.get("WKST", "MO") not in _DAYS:
        raise BadRule("names a day in WKST that is none of MO, TU, WE, TH, FR, SA, SU")
    if "COUNT" in parts and "UNTIL" in parts:
        raise BadRule("ends twice, by COUNT and by UNTIL")
    if has_ordinals and rule.frequency in ("DAILY", "WEEKLY"):
        raise BadRule("counts weekdays (BYDAY=1MO) and is neither monthly nor yearly")
    if rule.month_days and rule.frequency == "WEEKLY":
        raise BadRule("names days of the month (BYMONTHDAY) and is weekly")
    if rule.positions and not (rule.weekdays or rule.month_days or rule.months):
        raise BadRule("has BYSETPOS without BYDAY, BYMONTHDAY or BYMONTH")
    if next(rule.days(rule.first, rule.first), None) is None:
        raise BadRule("does not fit the event: the first day is not one that the rule names")


def _until(rule: Rule, text: str) -> Rule:
    try:
        until = read_moment(text)
    except BadRule as error:
        raise BadRule(f"has an UNTIL that {error}") from None
    day = until.date() if isinstance(until, datetime) else until
    zone_margin = timedelta(1 if isinstance(until, datetime) and until.tzinfo else 0)
    if day + zone_margin < rule.first:
        raise BadRule("ends (UNTIL) before the event begins")
    return replace(rule, until=until, last=min(LAST_DAY, day + timedelta(1)))


def _last_of(rule: Rule, count: int, spend: Callable[[int], None]) -> date:
    """Return the day of the last of `count` repetitions."""
    number, left = 0, count
    while (period := rule._period(number)) <= LAST_DAY:
        spend(rule.work)
        for day in rule._days_of(period):
            if day < rule.first:
                continue
            left -= 1
            if left == 0:
                return day
        number += 1
    return LAST_DAY
