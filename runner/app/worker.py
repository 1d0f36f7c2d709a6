"""A worker: takes the due runs of a store, several at once, for as long as the process lives.

The same step as everywhere (`Stepper`); here is only who is next, and how long to wait.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from runner.app.app import App
from runner.app.worker_base import LOOK_EVERY_S, Base, Look, Lookout, Options, based
from runner.ports.store import RunRow

GAP_S = 0.05
"""The least time between two steps of one run."""
RIVAL_S = 0.5
"""About how long a run is left alone that another process has just taken."""


def work(app: App, options: Options) -> int:
    """Advance what is due until a signal says to end; return the exit code of that."""
    return asyncio.run(_work(app, options))


async def _work(app: App, options: Options) -> int:
    async with based(app, options, "store") as base:
        await Worker(base, Lookout(base)).go()
        return base.told.code


@dataclass(slots=True)
class Worker:
    """The loop. At most `options.runs` steps at once; the run that has waited longest is next."""

    base: Base
    lookout: Lookout
    tasks: dict[asyncio.Task[None], str] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)

    async def go(self) -> None:
        """Until told to end; then what is under way is ended in order."""
        ending = asyncio.ensure_future(self.base.ending.wait())
        try:
            while not ending.done():
                pause = self._turn()
                await asyncio.wait({*self.tasks, ending}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                self._reap()
        finally:
            ending.cancel()
            await self._drain()

    def _turn(self) -> float:
        """Begin what is due and has room; in how many seconds to look again."""
        look = self.lookout.look(set(self.tasks.values()))
        if look is None:
            return self.lookout.pause_s
        self.base.trouble("")
        clock = time.monotonic()
        self.not_before = {i: t for i, t in self.not_before.items() if t > clock}
        for row in self._order(look)[: self.base.options.runs - len(self.tasks)]:
            self.tasks[asyncio.ensure_future(self._step(row))] = row.id
        return self._pause(look)

    def _order(self, look: Look) -> list[RunRow]:
        """Who is next: the longest late first; of those late by about the same, the ones that are open here already.

        Chance decides the rest, so that several workers do not all reach for the same run.
        """
        stepper = self.base.stepper

        def rank(row: RunRow) -> tuple[int, bool, float]:
            is_new = stepper.driver_of(row.id) is None
            return (-int(self.lookout.lag(row, look.now)), is_new, random.random())  # noqa: S311 - no secret

        free = (r for r in look.due if r.id not in self.not_before and not stepper.rest_s(r.id))
        return sorted(free, key=rank)

    def _pause(self, look: Look) -> float:
        """Until something can be begun: a run is due, or one's pause is over; at most until the next look."""
        if len(self.tasks) >= self.base.options.runs:
            return LOOK_EVERY_S
        following = (r.due - look.now for r in look.open if r.due > look.now)
        again = (t - time.monotonic() for t in self.not_before.values())
        return max(0.01, min(LOOK_EVERY_S, *following, *again, LOOK_EVERY_S))

    async def _step(self, row: RunRow) -> None:
        stepped = await self.base.step(row)
        gap = RIVAL_S * random.uniform(0.5, 1.5) if stepped.is_held else GAP_S  # noqa: S311 - only to part rivals
        self.not_before[row.id] = time.monotonic() + gap

    def _reap(self) -> None:
        for task in [t for t in self.tasks if t.done()]:
            del self.tasks[task]
            task.result()  # a step never raises: whatever came here is a defect that must be seen

    async def _drain(self) -> None:
        """Steps end by themselves once `ending` is set: requests have their grace, reads are dropped."""
        base = self.base
        base.trouble("draining")
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=base.options.grace_s)
            for task in self.tasks:
                task.cancel()
            await asyncio.wait(self.tasks, timeout=0.5)
