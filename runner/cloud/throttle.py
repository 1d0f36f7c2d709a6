"""One pace for all reads of a client: when the cloud says "too many", everybody slows down, not just the one asked."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

LONGEST_S = 30.0
_FIRST_S = 1.0

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Reads call `wait` before they are sent. Seconds are real ones, whatever clock a run has."""

    def __init__(self, sleep: Sleep = asyncio.sleep, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._until = 0.0
        self._next_s = _FIRST_S

    async def wait(self) -> None:
        """Return when the next read may be sent; up to a tenth later, so that waiters do not start as one."""
        left = self._until - self._monotonic()
        if left > 0:
            await self._sleep(left * random.uniform(1.0, 1.1))  # noqa: S311 - spreads load, protects nothing

    def slow_down(self, seconds: float | None) -> None:
        """After a throttled answer: wait `seconds`, or, where it names none, twice as long as the last time.

        Never more than 30 s: the hint names a whole quota window (up to 5 minutes), whose end nobody knows.
        """
        if seconds is None:
            seconds, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        self._until = max(self._until, self._monotonic() + min(seconds, LONGEST_S))

    def ease(self) -> None:
        """After a good answer."""
        self._next_s = _FIRST_S
