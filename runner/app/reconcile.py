"""Advances the open runs of a store whenever they are due: once, or for as long as one of
them is due soon.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from runner.app.app import App
from runner.app.scheduler import NextSteps, real_s, schedule, signals_handled
from runner.app.step_run import Stepper
from runner.app.stores import open_store_of
from runner.errors import Exit
from runner.model.events import Event
from runner.model.run import Run
from runner.ports.store import RunRow

LOOK_EVERY_S = 5.0
"""How often, at least, the store is asked for runs that somebody has made due meanwhile."""


@dataclass(slots=True)
class Ticked:
    """What was done: run ids with the code of their last step, open runs left, seconds until
    the next is due.

    `next_s` is None where no run of this store will be due by itself. `signal`: 130 or 143
    when told to end.
    """

    codes: dict[str, int] = field(default_factory=dict)
    open: int = 0
    next_s: float | None = None
    signal: int = 0

    @property
    def code(self) -> int:
        """The exit code: of the signal, else of the first failure, else 0."""
        return self.signal or next((c for c in self.codes.values() if c), Exit.DONE)


def reconcile(app: App, wait_s: float, deadline_s: float | None) -> int:
    """Advance the runs that are due, say how many there were, and return 0 or the code of
    the first failure.
    """
    ticked = asyncio.run(tick(app, wait_s, deadline_s))
    advanced = len(ticked.codes)
    app.talk(f"{advanced} due, {ticked.open} open now", advanced=advanced, open=ticked.open)
    return ticked.code


async def tick(
    app: App,
    wait_s: float = 0.0,
    deadline_s: float | None = None,
    watch: Callable[[Run, Event], None] | None = None,
) -> Ticked:
    """Advance every run that is due; again while one is due within `wait_s` real seconds,
    until `deadline_s`.
    """
    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        async with signals_handled(app) as told:
            stepper = Stepper(app, store, lambda: loaded, told.ending, watch)
            until = time.monotonic() + deadline_s if deadline_s is not None else None
            ticker = _Ticker(stepper, wait_s, until)
            try:
                await schedule(ticker, told.ending)
            finally:
                await stepper.close()
        ticker.done.open = len(store.runs(open_only=True, limit=10_000))
        ticker.done.signal = told.code
        return ticker.done


@dataclass(slots=True)
class _Ticker:
    """The agenda of one pass after the other over the runs that are due. `until`: monotonic."""

    stepper: Stepper
    wait_s: float
    until: float | None
    done: Ticked = field(default_factory=Ticked)
    due: list[RunRow] | None = None
    """What is left of the pass; None before one."""
    later: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Runs whose wait is over later than this process stays, though they are to be looked at
    sooner (a bake): when that is (monotonic), and the number of the last event then.
    """
    halted: set[str] = field(default_factory=set)
    """Runs that the store's halt stopped at their last step: this process does not wait for
    `unhalt`.
    """

    async def turn(self, mine: Collection[str]) -> NextSteps:
        """One run at a time; after a pass a pause, for as long as a run is due soon."""
        if mine:
            return NextSteps()
        stepper, store = self.stepper, self.stepper.store
        is_late = self.until is not None and time.monotonic() >= self.until
        if self.due is None:
            self.due = [r for r in store.due() if not stepper.rest_s(r.id) and not self._later_s(r)]
        if self.due and not is_late:
            row = self.due.pop(0)
            return NextSteps({row.id: self._step(row)})
        self.due = None
        watched_s, now = store.watched_s(), store.now()
        rows = store.runs(open_only=True, limit=10_000)
        free = [
            r
            for r in rows
            if r.id not in self.halted and not store.is_held(r) and not stepper.rest_s(r.id)
        ]
        next_s = self.done.next_s = min(
            (self._later_s(r) or max(0.0, r.due - now) for r in free), default=None
        )
        if next_s is not None and (self.wait_s <= 0 or next_s > self.wait_s):
            next_s = None
        if (next_s is None and watched_s is None) or is_late:
            return NextSteps()
        left_s = self.until - time.monotonic() if self.until is not None else None
        pause_s = min(s for s in (next_s, watched_s, left_s, LOOK_EVERY_S) if s is not None)
        return NextSteps(pause_s=max(pause_s, 0.05))

    def _later_s(self, row: RunRow) -> float:
        """For how long this process leaves a run alone that has been looked at; 0 once
        anything has happened to it.
        """
        over, seq = self.later.get(row.id, (0.0, 0))
        return max(0.0, over - time.monotonic()) if row.seq == seq else 0.0

    async def _step(self, row: RunRow) -> None:
        stepped = await self.stepper.step(row)
        self.done.codes[row.id] = stepped.code
        step, driver = stepped.advance, self.stepper.driver_of(row.id)
        self.halted.discard(row.id)
        if step is None:
            return
        self.later.pop(row.id, None)
        if step.halted is not None and step.can_suspend:
            self.halted.add(row.id)
        if driver is not None and step.until is not None and step.can_suspend:
            left_s = real_s(driver.setting, step.until)
            if left_s > self.wait_s:
                self.later[row.id] = (time.monotonic() + left_s, step.run.seq)
