"""The time of one run in one process, where the clocks of the processes that drive it differ.

Deadlines are counted from times in the journal, which another process may have written by
another wall clock. So while something of the run is timed, its time is not this process's
wall clock but goes on from the journal's:

* A process of the same boot goes on exactly: each request holds the boot-time clock beside
  the journal's time. A wall clock that is ahead, behind, or set in between ends nothing
  early and waits for nothing longer.
* A process elsewhere cannot know how long ago the last event was. It takes its wall clock
  less CLOCK_SKEW, but no time before the last event. So a clock that is ahead by less than
  that ends no server early, one that is behind counts on from the last event, and a process
  that takes over days later judges at once.

Between waves, and before the first, the wall clock holds as it is: windows and freezes are
judged by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice

from runner.execution.evidence import CLOCK_SKEW
from runner.model.run import IN_FLIGHT, Batch, Run
from runner.ports import BootClock, Clock

STEP_MOST = timedelta(hours=1)
"""A wall clock that was set by more than this between two waves is believed for pauses and bakes.
"""
LOOK_BACK = 10
"""So many requests, the newest first, are asked for a time of this boot."""


class RunClock:
    """See above. `wall` is this process's clock, `boot` counts on while the machine sleeps
    and is never set.
    """

    def __init__(self, wall: Clock, boot: BootClock) -> None:
        self._wall, self._boot = wall, boot
        self._booted: datetime | None = None
        """When the machine booted, by the run's time; None while the wall clock holds."""
        self._is_guess = False

    def now(self) -> datetime:
        if self._booted is None:
            return self._wall.now()
        return self._booted + timedelta(seconds=self._boot.seconds())

    async def sleep(self, seconds: float) -> None:
        await self._wall.sleep(seconds)

    def stamp(self) -> dict[str, str]:
        """Return what a request records of this clock: the boot, and when that was by the
        run's time.
        """
        booted = self.now() - timedelta(seconds=self._boot.seconds())
        return {"clock": self._boot.id, "booted": booted.isoformat()}

    def hold_to(self, run: Run) -> None:
        """Go on from the journal's time while something of the run is timed, from the wall
        clock otherwise.
        """
        is_flying = any(s.phase in IN_FLIGHT for s in run.current())
        if not is_flying and (self._is_guess or not _is_timed(run)):
            self._booted, self._is_guess = None, False
        elif self._booted is None:
            self._join(run, is_flying)

    def _join(self, run: Run, is_flying: bool) -> None:
        now = self._wall.now()
        own = now - timedelta(seconds=self._boot.seconds())
        batches = run.current_batches()[::-1] if is_flying else reversed(run.batches.values())
        booted = self._recorded(batches)
        if booted is not None and (is_flying or abs(booted - own) <= STEP_MOST):
            self._booted = booted
        elif booted is None and is_flying:
            last = run.last_event_at or run.created
            self._booted = own + (max(last, now - CLOCK_SKEW) - now)
            self._is_guess = True

    def _recorded(self, batches: Iterable[Batch]) -> datetime | None:
        """Return when the machine booted by the newest of these requests that a process of
        this boot has written.
        """
        senders: Iterable[Mapping[str, str]] = (b.sender for b in islice(batches, LOOK_BACK))
        mine = (s["booted"] for s in senders if self._boot.id and s.get("clock") == self._boot.id)
        found = next(mine, None)
        return datetime.fromisoformat(found) if found else None


def stamp_of(clock: Clock) -> dict[str, str]:
    """Return what a request records of the run's clock; nothing where it is simulated."""
    return clock.stamp() if isinstance(clock, RunClock) else {}


def _is_timed(run: Run) -> bool:
    """Return True while a pause, a bake or a wave that has begun is counted, and when all
    waves are over.
    """
    if run.window_since is not None or run.gates_since is not None:
        return False
    if run.pause_began is not None or run.bake_began is not None:
        return True
    return run.wave is None or run.waves[run.position].started is not None
