"""Advances the open runs of a store whenever they are due: once, or for as long as one of them is due soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.cli.common import App
from runner.cli.executing import setting_for
from runner.cli.following import signals_handled
from runner.cli.resume import open_targets_of
from runner.cli.targets import open_store_of
from runner.errors import Exit, RunnerError
from runner.execution.driver import Advance, Driver
from runner.execution.journal import read_run
from runner.execution.machine import counts_line
from runner.execution.site import Setting
from runner.model.run import Event, Run
from runner.ports.store import LeaseHeld, RunRow
from runner.report.safe import plain
from runner.store.sql import SqlStore

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig

LOOK_EVERY_S = 5.0
"""How often, at least, the store is asked for runs that somebody has made due meanwhile."""

REST_S = 60.0
"""How long a run whose step failed is left alone."""


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


async def tick(
    app: App,
    wait_s: float = 0.0,
    deadline_s: float | None = None,
    watch: Callable[[Run, Event], None] | None = None,
) -> Ticked:
    """Advance every run that is due; again while one is due within `wait_s` real seconds, until `deadline_s`."""
    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        async with AsyncExitStack() as stack, signals_handled(app) as told:
            ticker = _Ticker(app, loaded, store, stack, told.ending, watch)
            await ticker.go(wait_s, time.monotonic() + deadline_s if deadline_s is not None else None)
        ticker.done.open = len(store.runs(open_only=True, limit=10_000))
        ticker.done.signal = told.code
        return ticker.done


@dataclass(slots=True)
class _Ticker:
    app: App
    loaded: LoadedConfig
    store: SqlStore
    stack: AsyncExitStack
    ending: asyncio.Event
    watch: Callable[[Run, Event], None] | None
    done: Ticked = field(default_factory=Ticked)
    drivers: dict[str, Driver] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)
    """Runs that could not even be opened, until when (monotonic): the store does not know that they failed."""
    later: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Runs whose wait is over later than this process stays, though they are to be looked at sooner (a bake): when that
    is (monotonic), and the number of the last event then."""
    wait_s: float = 0.0

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
        free = [r for r in rows if r.lease_until <= now and self.resting.get(r.id, 0.0) <= time.monotonic()]
        return min((self._later_s(r) or max(0.0, r.due - now) for r in free), default=None)

    def _rests(self, row: RunRow) -> bool:
        return self.resting.get(row.id, 0.0) > time.monotonic() or self._later_s(row) > 0

    def _later_s(self, row: RunRow) -> float:
        """For how long this process leaves a run alone that has been looked at; 0 once anything has happened to it."""
        over, seq = self.later.get(row.id, (0.0, 0))
        return max(0.0, over - time.monotonic()) if row.seq == seq else 0.0

    def _put_off(self, step: Advance, setting: Setting) -> None:
        self.later.pop(step.run.id, None)
        if step.until is not None and step.can_suspend:
            left_s = (step.until - setting.clock.now()).total_seconds() / setting.time_scale
            if left_s > self.wait_s:
                self.later[step.run.id] = (time.monotonic() + left_s, step.run.seq)

    def _rest(self, row: RunRow) -> None:
        self.drivers.pop(row.id, None)
        self.resting[row.id] = time.monotonic() + REST_S

    async def _advance(self, row: RunRow) -> int:
        """One step of one run. What goes wrong is told, and never keeps the others from theirs."""
        try:
            driver = await self._driver(row)
            step = await driver.advance()
            self._put_off(step, driver.setting)
        except LeaseHeld as held:
            self.app.talk(f"{row.id} {row.plan}: {held}")
            return Exit.DONE
        except RunnerError as error:
            self._rest(row)
            self.app.talk(f"{row.id} {row.plan}: error: {plain(error.message)}", run=row.id, error=plain(error.message))
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - one poisoned run must not stop the others
            self._rest(row)
            self.app.talk(f"{row.id} {row.plan}: unexpected error: {type(error).__name__}: {plain(error)}", run=row.id)
            return Exit.ERROR
        waits = f", waits for {plain(step.waits_for)}" if step.run.is_open and step.waits_for else ""
        self.app.talk(
            f"{row.id} {row.plan}: {step.run.word}: {counts_line(step.run.counts())}{waits}",
            run=row.id,
            word=step.run.word,
        )
        return Exit.DONE

    async def _driver(self, row: RunRow) -> Driver:
        """The driver of a run: its pace, and the connections to its targets, are kept between its steps."""
        if row.id not in self.drivers:
            own = await self.stack.enter_async_context(AsyncExitStack())
            sessions = await open_targets_of(self.app, self.loaded, read_run(self.store, row.id), own)
            setting = setting_for(self.app, self.store, sessions, watch=self.watch)
            self.drivers[row.id] = Driver(setting, row.id, ending=self.ending)
        return self.drivers[row.id]


async def _sleep(seconds: float, ending: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(ending.wait(), seconds)
    except TimeoutError:
        return
