"""A worker: takes the due runs of a store, several at once, for as long as the process lives.

The same step as everywhere (`Stepper`); here is only who is next, and how long to wait.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from runner.app.app import App
from runner.app.scheduler import NextSteps, schedule
from runner.app.worker_base import LOOK_EVERY_S, Base, OpenRuns, Options, based
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
        await schedule(Worker(base), base.ending, options.grace_s, lambda: base.trouble("draining"))
        return base.told.code


@dataclass(slots=True)
class Worker:
    """The agenda. At most `options.runs` steps at once; the run that has waited longest is next."""

    base: Base
    not_before: dict[str, float] = field(default_factory=dict)

    async def turn(self, mine: Collection[str]) -> NextSteps:
        """Begin what is due and has room."""
        look = self.base.look(mine)
        if look is None:
            return NextSteps(pause_s=self.base.pause_s)
        self.base.trouble("")
        clock = time.monotonic()
        self.not_before = {i: t for i, t in self.not_before.items() if t > clock}
        chosen = self._order(look)[: self.base.options.runs - len(mine)]
        is_full = len(mine) + len(chosen) >= self.base.options.runs
        pause_s = LOOK_EVERY_S if is_full else self._pause(look)
        return NextSteps({row.id: self._step(row) for row in chosen}, pause_s)

    def _order(self, look: OpenRuns) -> list[RunRow]:
        """Who is next: the longest late first; of those late by about the same, the ones that
        are open here already.

        Chance decides the rest, so that several workers do not all reach for the same run.
        """
        stepper = self.base.stepper

        def rank(row: RunRow) -> tuple[int, bool, float]:
            is_new = stepper.driver_of(row.id) is None
            return (-int(self.base.lag(row, look.now)), is_new, random.random())  # noqa: S311 - no secret

        free = (r for r in look.due if r.id not in self.not_before and not stepper.rest_s(r.id))
        return sorted(free, key=rank)

    def _pause(self, look: OpenRuns) -> float:
        """Until something can be begun: a run is due, or one's pause is over; at most until
        the next look.
        """
        following = (r.due - look.now for r in look.open if r.due > look.now)
        again = (t - time.monotonic() for t in self.not_before.values())
        return max(0.01, min((*following, *again, LOOK_EVERY_S)))

    async def _step(self, row: RunRow) -> None:
        stepped = await self.base.step(row)
        gap = RIVAL_S * random.uniform(0.5, 1.5) if stepped.is_held else GAP_S  # noqa: S311 - only to part rivals
        self.not_before[row.id] = time.monotonic() + gap
