"""One pace for all requests of a client: when the cloud says "too many", all slow down, not
just the one asked.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import cache

from runner.errors import CloudError
from runner.model.job import Allowed

LONGEST_S = 30.0
LONGEST_WINDOW_S = 300.0
"""Windows that are counted. The longest known from practice is 5 minutes; nobody waits for
the end of an hour.
"""
MARGIN = 1.02
"""By which a window is taken longer than it is: the cloud counts when requests arrive, we
when they leave.
"""
TOLD_S = 5.0
"""People are told of waits from here on."""
_FIRST_S = 1.0
_AFTER_REBOOT_S = 5.0
_MOST_COUNTED = 10_000
_LIMIT = re.compile(
    r"limit:\s*(\d{1,6})\s*,\s*time:\s*(\d{1,5})\s*(second|minute|hour)", re.IGNORECASE
)
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}

Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[str], None]


def allowed(text: str) -> Allowed | None:
    """The limit that a throttled answer names ("API Signing Guide", APIGW.0308: `…over
    ratelimit,limit:200,time:5 minute`); None where it names none that can be kept.
    """
    match = _LIMIT.search(text)
    if match is None:
        return None
    found = Allowed(int(match[1]), int(match[2]) * _SECONDS[match[3].lower()])
    return (
        found
        if 1 <= found.requests <= _MOST_COUNTED and 0 < found.window_s <= LONGEST_WINDOW_S
        else None
    )


class RequestPace:
    """Reads call `wait` before they are sent. Seconds are those of `monotonic`.

    `time_scale`: how much faster the time of the cloud runs that names its limits. A limit that the
    cloud has named is kept from then on, for each host: `place` is its origin. `most_s`: who asks
    would rather have no answer than wait for longer. `tell` is told of each wait of TOLD_S or more.
    """

    def __init__(
        self,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        time_scale: float = 1.0,
        most_s: float | None = None,
    ) -> None:
        self.tell: Tell = lambda sentence: None
        self._most_s = most_s
        self._sleep = sleep
        self._monotonic = monotonic
        self._scale = time_scale
        self._until = 0.0
        self._next_s = _FIRST_S
        self._allowed: dict[str, Allowed] = {}
        self._sent: dict[str, deque[float]] = {}

    async def wait(self, place: str = "") -> None:
        """Return when the next read may be sent, which counts from here; up to a tenth later
        after a throttled answer, so that waiters do not start as one.

        Raises CloudError where that would be longer than this pace may wait.
        """
        now = self._monotonic()
        left = max(self._until - now, 0.0)
        back_off_s = left * random.uniform(1.0, 1.1)  # noqa: S311 - spreads load, protects nothing
        room_s = self._room_s(place, now)
        wait_s = max(back_off_s, room_s)
        if wait_s >= min(TOLD_S, self._most_s or TOLD_S) / self._scale:
            self._tell_wait(place, wait_s, is_full=room_s >= back_off_s)
        self.count(place, now + wait_s)
        if wait_s > 0:
            await self._sleep(wait_s)

    def _tell_wait(self, place: str, wait_s: float, *, is_full: bool) -> None:
        """Say why a read waits. `is_full`: because this process has made the requests that
        the cloud allows.
        """
        limit = self._allowed.get(place)
        host = place.partition("://")[2] or "the cloud"
        why = f"{host} throttles us"
        if limit is not None:
            window_s, is_one = limit.window_s * self._scale / MARGIN, limit.requests == 1
            named = f"{limit.requests:,} request{'' if is_one else 's'} in {window_s:.0f} s"
            since = self._monotonic() - limit.window_s
            made = sum(at > since for at in self._sent.get(place, ()))
            why = f"{why} (its limit is {named}, this process made {made:,})"
            if is_full:
                why = (
                    f"{host} allows {named}, and this process has made {'it' if is_one else 'them'}"
                )
        if self._most_s is not None and wait_s > self._most_s:
            raise CloudError(
                f"{why}, and there is no room for {wait_s:.0f} s",
                hint="ask again later; fewer runs and other programs at once",
                status=429,
            )
        if wait_s >= TOLD_S / self._scale:
            self.tell(f"{why}: waiting for {wait_s:.0f} s")

    def left_s(self, place: str = "") -> float:
        """Seconds until a request that is no read may be sent; 0 for at once."""
        now = self._monotonic()
        return max(self._until - now, self._room_s(place, now), 0.0)

    def count(self, place: str = "", at: float | None = None) -> None:
        """A request is sent at `at` of this pace's clock, else now."""
        at = self._monotonic() if at is None else at
        sent = self._sent.setdefault(place, deque(maxlen=_MOST_COUNTED))
        sent.append(max(at, sent[-1]) if sent else at)

    def _room_s(self, place: str, now: float) -> float:
        """Until the learned limit has room: after the last of so many requests has left
        the window.
        """
        limit, sent = self._allowed.get(place), self._sent.get(place)
        if limit is None or not sent:
            return 0.0
        soonest = sent[-limit.requests] + limit.window_s if len(sent) >= limit.requests else now
        return max(soonest, sent[-1]) - now

    def slow_down(
        self, seconds: float | None, limit: Allowed | None = None, place: str = ""
    ) -> None:
        """After a throttled answer: wait `seconds` (of `Retry-After`), else 1, 2, 4 … s; never more
        than 30 s.

        `limit`: what the answer allows; it is waited for only when our own count fills it. Answers
        that come during a wait do not lengthen it: their requests left before it began.
        """
        self._learn(limit, place)
        if seconds is None:
            if self._monotonic() < self._until:
                return
            seconds, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        self._hold(min(seconds, LONGEST_S))

    def reboot_throttled(self, seconds: float | None, limit: Allowed | None, place: str) -> None:
        """The same after a reboot: reads wait a moment, as its limit may be one of servers
        and none of theirs.
        """
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
def pace_of(target: str, time_scale: float) -> RequestPace:
    """The one pace of a target in this process, however often it is opened: what was
    learned of its limits stays.
    """
    return RequestPace(time_scale=time_scale)
