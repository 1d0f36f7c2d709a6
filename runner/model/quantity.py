"""Durations and amounts as people write them: `1h30m`, `10%`, `3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS_MS))
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
MAX_DURATION = timedelta(days=366)
MAX_NUMBER = 999_999_999


def parse_duration(text: str) -> timedelta:
    """Read `250ms`, `90s`, `5m`, `1h30m`, `2d`: units from large to small, each once, none signed.

    `0s` is read (defaults are written so); whether zero is allowed is the field's business.

    Raises ValueError with a sentence for people, for anything else, bare numbers and more
    than 366 days included.
    """
    text = text.strip()
    if re.fullmatch("[0-9]{1,18}", text):
        number = text.lstrip("0") or "10"  # zero is seldom allowed: no example of it
        raise ValueError(f"a duration needs a unit, for example {number}s or {number}m")
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError("not a duration; write for example 90s, 5m, 1h30m or 2d")
    milliseconds = sum(
        int(n) * unit for n, unit in zip(match.groups(), _UNITS_MS.values(), strict=True) if n
    )
    if milliseconds > MAX_DURATION / timedelta(milliseconds=1):
        raise ValueError("longer than 366 days")
    return timedelta(milliseconds=milliseconds)


def format_duration(value: timedelta | float) -> str:
    """Write a duration (a timedelta, or seconds) as `parse_duration` reads it: `1h30m`,
    `0s`, `250ms`.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    rest = round(seconds * 1000)
    if rest <= 0:
        return "0s"
    parts = []
    for unit, size in _UNITS_MS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of servers, or a share of some. Exactly one of the two is set.

    `percent` is a whole number or has decimals (`0.5%`), over 0 up to 100 for sizes, from 0
    for budgets.
    """

    number: int | None = None
    percent: float | None = None

    def __post_init__(self) -> None:
        if (self.number is None) == (self.percent is None):
            raise ValueError("an amount is either a number or a percentage")

    @classmethod
    def parse(cls, value: object) -> Amount:
        """Read `3`, `"3"`, `"10%"`, `"0.5%"`.

        Raises ValueError for negative numbers, over 100 %, booleans, fractions and other text.
        """
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("write a number of servers (3) or a percentage (10%)")  # noqa: TRY004 - pydantic turns ValueErrors into problems
        if isinstance(value, int):
            if value < 0:
                raise ValueError("must be at least 0")
            if value > MAX_NUMBER:
                raise ValueError(f"must be at most {MAX_NUMBER:,}")
            return cls(number=value)
        text = value.strip()
        if re.fullmatch("0[0-9]{1,8}", text):
            raise ValueError("write the number without the 0 at its beginning")
        if re.fullmatch("[0-9]{1,9}", text):
            return cls(number=int(text))
        match = _PERCENT.fullmatch(text)
        if not match:
            raise ValueError("write a number of servers (3) or a percentage (10%)")
        percent = float(match[1])
        if percent > 100:
            raise ValueError("more than 100%")
        return cls(percent=percent)

    def __str__(self) -> str:
        if self.percent is None:
            return str(self.number)
        return f"{self.percent:.6f}".rstrip("0").rstrip(".") + "%"

    @property
    def is_zero(self) -> bool:
        return not self.number and not self.percent

    def as_budget(self, of: int) -> int:
        """How many of `of` may fail: rounded down, no minimum. 2% of 40 = 0; 2% of 100 = 2;
        3 of 2 = 3.
        """
        if self.percent is None:
            return self.number or 0
        return _share(self.percent, of)

    def as_size(self, of: int) -> int:
        """How many of `of` go together: rounded down, at least 1, at most `of`. 10% of 37 =
        3; 10% of 5 = 1.
        """
        wanted = (self.number or 0) if self.percent is None else _share(self.percent, of)
        return max(1, min(wanted, of))


def _share(percent: float, of: int) -> int:
    """`percent` of `of`, rounded down, in integers: 29% of 100 is 29, though 0.29 * 100
    is 28.999….
    """
    return round(percent * 1_000_000) * of // 100_000_000


def counted(number: int, noun: str) -> str:
    """`1 server`, `2,500 servers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
