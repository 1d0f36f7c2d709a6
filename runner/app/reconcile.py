"""Advances the open runs of a store whenever they are due: once, or for as long as one of them is due soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.app.app import App
from runner.app.follow_run import signals_handled
from runner.app.step_run import Stepper
from runner.app.stores import open_store_of
from runner.errors import Exit
from runner.model.events import Event
from runner.model.run import Run
from runner.ports.store import RunRow, Store

LOOK_EVERY_S = 5.0
"""How often, at least, the store is asked for runs that somebody has made due meanwhile."""


@dataclass(slots=True)
class Ticked:
    """What was done: run ids with the code of their last step, open runs left, seconds until the next is due.

    `next_s` is None where no run of this store will be due by itself. `signal`: 130 or 143 when told to end.
    """

    codes: dict[str, int] = field(default_factory=dict)
    open: int = 0
    next_s: float | None = None
    signal: int = 0

    @property
    def advanced(self) -> list[str]:
        return list(self.codes)


def reconcile(app: App, wait_s: float, deadline_s: float | None) -> int:
    """Advance the runs that are due, say how many there were, and return 0 or the code of the first failure."""
    ticked = asyncio.run(tick(app, wait_s, deadline_s))
    app.talk(f"{len(ticked.advanced)} due, {ticked.open} open now", advanced=len(ticked.advanced), open=ticked.open)
    return ticked.signal or next((c for c in ticked.codes.values() if c), Exit.DONE)


async def tick(
    app: App,
    wait_s: float = 0.0,
    deadline_s: float | None = None,
    watch: Callable[[Run, Event], None] | None = None,
) -> Ticked:
    """Advance every run that is due; again while one is due within `wait_s` real seconds, until `deadline_s`."""
    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        async with signals_handled(app) as told:
            stepper = Stepper(app, store, lambda: loaded, told.ending, watch)
            ticker = _Ticker(stepper)
            try:
                await ticker.go(wait_s, time.monotonic() + deadline_s if deadline_s is not None else None)
            finally:
                await stepper.close()
        ticker.done.open = len(store.runs(open_only=True, limit=10_000))
        ticker.done.signal = told.code
        return ticker.done


@dataclass(slots=True)
class _Ticker:
    stepper: Stepper
    done: Ticked = field(default_factory=Ticked)
    later: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Runs whose wait is over later than this process stays, though they are to be looked at sooner (a bake): when that
    is (monotonic), and the number of the last event then."""
    halted: set[str] = field(default_factory=set)
    """Runs that the store's halt stopped at their last step: this process does not wait for `unhalt`."""
    wait_s: float = 0.0

    @property
    def store(self) -> Store:
        return self.stepper.store

    @property
    def ending(self) -> asyncio.Event:
        return self.stepper.ending

    async def go(self, wait_s: float, until: float | None) -> None:
        self.wait_s = wait_s
        while not self.ending.is_set():
            for row in (r for r in self.store.due() if not self._rests(r)):
                if self.ending.is_set() or (until is not None and time.monotonic() >= until):
                    break
                self.done.codes[row.id] = await self._advance(row)
            self.done.next_s = self._next_s()
            left = until - time.monotonic() if until is not None else None
            watched_s, next_s = self.store.watched_s(), self.done.next_s
            if next_s is not None and (wait_s <= 0 or next_s > wait_s):
                next_s = None
            if (next_s is None and watched_s is None) or (left is not None and left <= 0):
                return
            pause = min(s for s in (next_s, watched_s, left, LOOK_EVERY_S) if s is not None)
            await _sleep(max(pause, 0.05), self.ending)

    def _next_s(self) -> float | None:
        """Until the first open run that nobody holds is due; failed steps count when they are due again."""
        now = self.store.now()
        rows = self.store.runs(open_only=True, limit=10_000)
        free = [
            r for r in rows if r.id not in self.halted and not self.store.is_held(r) and not self.stepper.rest_s(r.id)
        ]
        return min((self._later_s(r) or max(0.0, r.due - now) for r in free), default=None)

    def _rests(self, row: RunRow) -> bool:
        return self.stepper.rest_s(row.id) > 0 or self._later_s(row) > 0

    def _later_s(self, row: RunRow) -> float:
        """For how long this process leaves a run alone that has been looked at; 0 once anything has happened to it."""
        over, seq = self.later.get(row.id, (0.0, 0))
        return max(0.0, over - time.monotonic()) if row.seq == seq else 0.0

    async def _advance(self, row: RunRow) -> int:
        stepped = await self.stepper.step(row)
        step, driver = stepped.advance, self.stepper.driver_of(row.id)
        if step is not None:
            self.later.pop(row.id, None)
        self.halted.discard(row.id)
        if step is not None and step.halted is not None and step.can_suspend:
            self.halted.add(row.id)
        if step is not None and driver is not None and step.until is not None and step.can_suspend:
            setting = driver.setting
            left_s = (step.until - setting.clock.now()).total_seconds() / setting.time_scale
            if left_s > self.wait_s:
                self.later[row.id] = (time.monotonic() + left_s, step.run.seq)
        return stepped.code


async def _sleep(seconds: float, ending: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(ending.wait(), seconds)
    except TimeoutError:
        return
