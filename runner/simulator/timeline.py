"""Time of the simulated cloud: whole milliseconds since 1970, and clocks that run faster than
a wall clock.

Everything the cloud shows is a function of (seed, log, now), so `now` is the only thing
that moves by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

Millis = int
"""Milliseconds since 1970-01-01T00:00:00Z, or a length in milliseconds."""

Wall = Callable[[], datetime]
"""Answers the real time, aware UTC. Signatures and tokens are always judged by it, however
fast the clock runs.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class SimClock(Protocol):
    """The time servers live in. `now` is aware UTC; `sleep` waits seconds of this clock's time."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_millis(moment: datetime) -> Millis:
    """Whole milliseconds of an aware datetime, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def from_millis(millis: Millis) -> datetime:
    return _EPOCH + timedelta(milliseconds=millis)


def length_millis(length: timedelta) -> Millis:
    return length // _MILLISECOND


def iso_millis(millis: Millis) -> str:
    """As jobs write times: `2023-07-26T02:11:05.120Z` (page "Querying Job Execution
    Status", `begin_time`).
    """
    return from_millis(millis).isoformat(timespec="milliseconds")[:23] + "Z"


def iso_seconds(millis: Millis) -> str:
    """As servers write times: `2019-05-22T03:30:52Z` (page "Querying Details About ECSs",
    `updated`).
    """
    return from_millis(millis).isoformat(timespec="seconds")[:19] + "Z"


def iso_micros(millis: Millis) -> str:
    """As `OS-SRV-USG:launched_at` writes times: six digits, no zone letter, UTC."""
    return from_millis(millis).isoformat(timespec="microseconds")[:26]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Ties simulated time to real time: at `wall` it was `sim`, and since then it runs
    `scale` times as fast.
    """

    sim: Millis
    wall: Millis
    scale: float

    def at(self, wall: Millis) -> Millis:
        """Simulated time at a real time. Never before `sim`, even if the wall clock was
        set back.
        """
        return self.sim + max(0, int((wall - self.wall) * self.scale))


class ScaledClock:
    """simulated now = anchor.sim + (wall - anchor.wall) * scale; never goes back."""

    def __init__(self, anchor: Anchor, wall: Wall = utc_now) -> None:
        self.anchor = anchor
        self._wall = wall
        self._latest: Millis = anchor.sim

    def now(self) -> datetime:
        self._latest = max(self._latest, self.anchor.at(to_millis(self._wall())))
        return from_millis(self._latest)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of simulated time: `seconds / scale` of real time."""
        await asyncio.sleep(max(0.0, seconds) / self.anchor.scale)
