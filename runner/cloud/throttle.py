"""One pace for all requests of a client: when the cloud says "too many", all slow down, not just the one asked."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

LONGEST_S = 30.0
LONGEST_WINDOW_S = 300.0
"""Windows that are counted. The longest known from practice is 5 minutes; nobody waits for the end of an hour."""
MARGIN = 1.02
"""By which a window is taken longer than it is: the cloud counts when requests arrive, we when they leave."""
_FIRST_S = 1.0
_AFTER_REBOOT_S = 5.0
_MOST_COUNTED = 10_000
_LIMIT = re.compile(r"limit:\s*(\d{1,6})\s*,\s*time:\s*(\d{1,5})\s*(second|minute|hour)", re.IGNORECASE)
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Allowed:
    """So many requests in any `window_s` seconds."""

    requests: int
    window_s: float


def allowed(text: str) -> Allowed | None:
    """The limit that a throttled answer names ("API Signing Guide", APIGW.0308: `…over ratelimit,limit:200,time:5
    minute`); None where it names none that can be kept."""
    match = _LIMIT.search(text)
    if match is None:
        return None
    found = Allowed(int(match[1]), int(match[2]) * _SECONDS[match[3].lower()])
    return found if 1 <= found.requests <= _MOST_COUNTED and 0 < found.window_s <= LONGEST_WINDOW_S else None


class Pace:
    """Reads call `wait` before they are sent. Seconds are those of `monotonic`, real ones as a rule.

    `time_scale`: how much faster the time of the cloud runs that names its limits (the embedded simulated one).
    A limit that the cloud has named is kept from then on, for each host: `place` is its origin.
    """

    def __init__(
        self,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        time_scale: float = 1.0,
    ) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._scale = time_scale
        self._until = 0.0
        self._next_s = _FIRST_S
        self._allowed: dict[str, Allowed] = {}
        self._sent: dict[str, deque[float]] = {}

    async def wait(self, place: str = "") -> None:
        """Return when the next read may be sent, which counts from here; up to a tenth later after a throttled answer,
        so that waiters do not start as one."""
        now = self._monotonic()
        left = self._until - now
        spread = left * random.uniform(1.0, 1.1) if left > 0 else 0.0  # noqa: S311 - spreads load, protects nothing
        at = max(now + spread, now + self._room_s(place, now))
        self._count(place, at)
        if at > now:
            await self._sleep(at - now)

    def left_s(self, place: str = "") -> float:
        """Seconds until a request that is no read may be sent; 0 for at once."""
        now = self._monotonic()
        return max(self._until - now, self._room_s(place, now), 0.0)

    def count(self, place: str = "") -> None:
        """A request that is no read is sent now."""
        self._count(place, self._monotonic())

    def _count(self, place: str, at: float) -> None:
        sent = self._sent.setdefault(place, deque(maxlen=_MOST_COUNTED))
        sent.append(max(at, sent[-1]) if sent else at)

    def _room_s(self, place: str, now: float) -> float:
        """Until the learned limit has room: after the last of so many requests has left the window."""
        limit, sent = self._allowed.get(place), self._sent.get(place)
        if limit is None or not sent:
            return 0.0
        soonest = sent[-limit.requests] + limit.window_s if len(sent) >= limit.requests else now
        return max(soonest, sent[-1]) - now

    def slow_down(self, seconds: float | None, limit: Allowed | None = None, place: str = "") -> None:
        """After a throttled answer: wait `seconds`, or, where it names none, twice as long as the last time.

        Never more than 30 s: the hint names a whole quota window (up to 5 minutes), whose end nobody knows. `limit`:
        what the answer says is allowed.
        """
        if seconds is None:
            seconds, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        self._hold(min(seconds, LONGEST_S))
        self._learn(limit, place)

    def reboot_throttled(self, seconds: float | None, limit: Allowed | None, place: str) -> None:
        """The same after a reboot: reads wait a moment, as its limit may be one of servers and none of theirs."""
        self._hold(min(_FIRST_S if seconds is None else seconds, _AFTER_REBOOT_S))
        self._learn(limit, place)

    def _hold(self, seconds: float) -> None:
        self._until = max(self._until, self._monotonic() + seconds / self._scale)

    def _learn(self, limit: Allowed | None, place: str) -> None:
        if limit is not None:
            self._allowed[place] = Allowed(limit.requests, limit.window_s * MARGIN / self._scale)

    def ease(self) -> None:
        """After a good answer."""
        self._next_s = _FIRST_S


@cache
def pace_of(target: str, time_scale: float) -> Pace:
    """The one pace of a target in this process, however often it is opened: what was learned of its limits stays."""
    return Pace(time_scale=time_scale)
