"""A worker: takes the due runs of a store, several at once, for as long as the process lives.

The same step as everywhere (`Stepper`); here is only who is next, and how long to wait.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.cli.common import App
from runner.cli.following import Told, signals_handled
from runner.cli.progress import LineProgress
from runner.cli.stepping import Stepper
from runner.cli.targets import open_store_of, store_url
from runner.cli.worker_state import WorkerState
from runner.errors import InvalidInput, RunnerError, StoreError
from runner.net.pages import served
from runner.ports.store import RunRow
from runner.report.safe import plain
from runner.store.sql import SqlStore

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig

LOOK_EVERY_S = 1.0
"""How often, at least, the store is asked for runs that somebody has begun or made due meanwhile."""
CONFIG_EVERY_S = 1.0
"""How often, at most, the configuration is read again."""
GAP_S = 0.05
"""The least time between two steps of one run."""
RIVAL_S = 0.5
"""About how long a run is left alone that another process has just taken."""
STORE_REST_S = 30.0
"""The longest pause after a look into the store that failed; the first is a second."""
MARGIN_S = 1.0
"""Of the grace period, what is kept for ending in order once the last request has been answered or given up."""
AT_ONCE = 1.0
"""A run's `due` up to this says "at once", and nothing of since when (`store.sql.RECORDED`, `TAKEN`)."""


@dataclass(frozen=True, slots=True)
class Options:
    """`runs`: so many at once. `grace_s`: from the signal to the end of the process. `listen`: where pages are."""

    runs: int
    grace_s: float
    listen: tuple[str, int]


@dataclass(slots=True)
class Configuration:
    """The configuration, read again every second; the same object for as long as nothing has changed in it."""

    app: App
    loaded: LoadedConfig
    read: float = field(default_factory=time.monotonic)
    broken: InvalidInput | None = None

    def now(self) -> LoadedConfig:
        """What holds now. Raises InvalidInput for as long as it is wrong: nothing is done by an older one."""
        if time.monotonic() - self.read >= CONFIG_EVERY_S:
            self.read = time.monotonic()
            try:
                again = self.app.load_config()
            except InvalidInput as error:
                self.broken = error
            else:
                self.broken = None
                if (again.path, again.config) != (self.loaded.path, self.loaded.config):
                    self.loaded = again
        if self.broken is not None:
            raise self.broken
        return self.loaded


@dataclass(slots=True)
class Base:
    """What every worker stands on, whoever tells it which run is next."""

    app: App
    options: Options
    config: Configuration
    store: SqlStore
    stepper: Stepper
    state: WorkerState
    told: Told
    url: str
    _said: str = ""
    _moved: str = ""

    @property
    def ending(self) -> asyncio.Event:
        return self.told.ending

    def trouble(self, word: str, error: RunnerError | None = None) -> None:
        """What keeps the worker from its work, told when it begins and when it is over; "" for nothing."""
        text = f"{word}: {plain(error.message, 1000)}" if error else word
        if text != self._said:
            if isinstance(error, InvalidInput):
                self.app.show_error(error)
            self.app.talk(f"not ready: {text}" if text else "ready", trouble=word)
            self._said = text
        self.state.trouble = word

    def configured(self) -> bool:
        """Whether the configuration can be used now. What failed is tried again at once when it has changed."""
        before = self.config.loaded
        try:
            loaded = self.config.now()
        except InvalidInput as error:
            self.trouble("configuration", error)
            return False
        if loaded is not before:
            self.app.talk("the configuration has changed")
            self.stepper.rouse()
            moved = store_url(self.app, loaded)
            if moved != store_url(self.app, before) and moved != self._moved:
                self._moved = moved
                self.app.talk("the configuration names another store now: this worker keeps to its own until its end")
        return True

    async def step(self, row: RunRow) -> float:
        """One step of a run; in how many seconds at the soonest this worker may take it again."""
        began = time.monotonic()
        self.state.held += 1
        try:
            stepped = await self.stepper.step(row)
        finally:
            self.state.held -= 1
        self.state.note(stepped, time.monotonic() - began)
        self.state.resting = self.stepper.resting
        return RIVAL_S * random.uniform(0.5, 1.5) if stepped.is_held else GAP_S  # noqa: S311 - only to part rivals


@asynccontextmanager
async def based(app: App, options: Options, engine: str) -> AsyncIterator[Base]:
    """Open the store, answer probes, heed signals; what is under way ends within the grace period.

    Raises InvalidInput, StoreError, UsageProblem where a worker cannot begin.
    """
    loaded = app.load_config()
    state = WorkerState(engine, options.runs)
    with open_store_of(app, loaded) as store, served(*options.listen, state.pages()) as url:
        async with signals_handled(app) as told:
            config = Configuration(app, loaded)
            grace_s = max(0.0, options.grace_s - MARGIN_S)
            watch = LineProgress(app, named=True).watch
            stepper = Stepper(app, store, config.now, told.ending, watch, grace_s, stays=True)
            app.talk(f"worker of {options.runs} runs at once; {url}/healthz /readyz /metrics", url=url, engine=engine)
            try:
                yield Base(app, options, config, store, stepper, state, told, url)
            finally:
                await stepper.close()


async def work(app: App, options: Options) -> int:
    """Advance what is due until a signal says to end; the exit code of that."""
    async with based(app, options, "store") as base:
        await Worker(base).go()
        return base.told.code


@dataclass(slots=True)
class Worker:
    """The loop. At most `options.runs` steps at once; the run that has waited longest is next."""

    base: Base
    tasks: dict[asyncio.Task[None], str] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    """Runs that are due at once, and since when (monotonic) this worker knows of that."""
    failures: int = 0

    async def go(self) -> None:
        """Until told to end; then what is under way is ended in order."""
        ending = asyncio.ensure_future(self.base.ending.wait())
        try:
            while not ending.done():
                self.base.state.turn()
                pause = self._turn()
                await asyncio.wait({*self.tasks, ending}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                self._reap()
        finally:
            ending.cancel()
            await self._drain()

    def _turn(self) -> float:
        """Begin what is due and has room; in how many seconds to look again."""
        base = self.base
        if not base.configured():
            return LOOK_EVERY_S
        try:
            now = base.store.now()
            rows = base.store.due()
            following = [r for r in base.store.runs(open_only=True, limit=10_000) if r.due > now]
        except StoreError as error:
            base.state.store_errors += 1
            base.trouble("store", error)
            self.failures += 1
            return float(min(2 ** (self.failures - 1), STORE_REST_S))
        self.failures = 0
        base.trouble("")
        self._figures(rows, now, len(following))
        for row in self._order(rows, now):
            if len(self.tasks) >= base.options.runs:
                break
            self.tasks[asyncio.ensure_future(self._step(row))] = row.id
        return self._pause((r.due - now for r in following), rows)

    def _order(self, rows: Iterable[RunRow], now: float) -> list[RunRow]:
        """Who is next: the longest late first; of those late by about the same, the ones that are open here already.

        Chance decides the rest, so that several workers do not all reach for the same run.
        """
        taken, clock = set(self.tasks.values()), time.monotonic()
        free = [
            r
            for r in rows
            if r.id not in taken
            and self.not_before.get(r.id, 0.0) <= clock
            and not self.base.stepper.rest_s(r.id)
        ]  # fmt: skip

        def rank(row: RunRow) -> tuple[int, bool, float]:
            is_new = self.base.stepper.driver_of(row.id) is None
            return (-int(self._lag(row, now)), is_new, random.random())  # noqa: S311 - no secret

        return sorted(free, key=rank)

    def _lag(self, row: RunRow, now: float) -> float:
        """For how long a run has been due, as far as this worker can know."""
        return now - row.due if row.due > AT_ONCE else time.monotonic() - self.seen.get(row.id, time.monotonic())

    def _figures(self, rows: list[RunRow], now: float, following: int) -> None:
        state, clock = self.base.state, time.monotonic()
        mine = set(self.tasks.values())
        self.seen = {r.id: self.seen.get(r.id, clock) for r in rows if r.due <= AT_ONCE and r.id not in mine}
        self.not_before = {i: t for i, t in self.not_before.items() if t > clock}
        waiting = [r for r in rows if r.id not in mine]
        state.open, state.due = following + len(rows), len(waiting)
        state.lag_s = max((self._lag(r, now) for r in waiting), default=0.0)
        state.resting = self.base.stepper.resting

    def _pause(self, following: Iterable[float], rows: list[RunRow]) -> float:
        """Until something can be begun: a run is due, or one's pause is over; at most until the next look."""
        if len(self.tasks) >= self.base.options.runs:
            return LOOK_EVERY_S
        clock, taken = time.monotonic(), set(self.tasks.values())
        again = (self.not_before[r.id] - clock for r in rows if r.id in self.not_before and r.id not in taken)
        return max(0.01, min(LOOK_EVERY_S, *following, *again, LOOK_EVERY_S))

    async def _step(self, row: RunRow) -> None:
        gap = await self.base.step(row)
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
