"""What every worker stands on, whoever tells it which run is next: configuration, store, pages, signals, figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.app.app import App
from runner.app.scheduler import Told, signals_handled
from runner.app.step_run import Stepped, Stepper
from runner.app.stores import open_store_of, store_url
from runner.app.worker_state import WorkerState
from runner.errors import InvalidInput, RunnerError, StoreError
from runner.net.pages import served
from runner.ports.store import RunRow, Store
from runner.report.safe import plain

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig

LOOK_EVERY_S = 1.0
"""How often, at least, the store is asked for runs that somebody has begun or made due meanwhile."""
CONFIG_EVERY_S = 1.0
"""How often, at most, the configuration is read again."""
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
    """An open store, and all that is around it."""

    app: App
    options: Options
    config: Configuration
    store: Store
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

    async def step(self, row: RunRow) -> Stepped:
        """One step of a run, counted."""
        began = time.monotonic()
        self.state.held += 1
        try:
            stepped = await self.stepper.step(row)
        finally:
            self.state.held -= 1
        self.state.note(stepped, time.monotonic() - began)
        self.state.resting = self.stepper.resting
        return stepped


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
            watch = app.log().watch
            stepper = Stepper(app, store, config.now, told.ending, watch, grace_s, stays=True)
            app.talk(f"worker of {options.runs} runs at once; {url}/healthz /readyz /metrics", url=url, engine=engine)
            try:
                yield Base(app, options, config, store, stepper, state, told, url)
            finally:
                await stepper.close()


@dataclass(frozen=True, slots=True)
class Look:
    """What the store showed: all open runs, and those of them that are due and free. `now` is the store's."""

    now: float
    due: tuple[RunRow, ...]
    open: tuple[RunRow, ...]


@dataclass(slots=True)
class Lookout:
    """Looks into the store again and again."""

    base: Base
    pause_s: float = LOOK_EVERY_S
    """In how many seconds to look again at the latest; longer while the store fails."""
    _failures: int = 0
    _seen: dict[str, float] = field(default_factory=dict)
    """Runs that are due at once, and since when (monotonic) this worker knows of that."""

    def look(self, mine: Collection[str]) -> Look | None:
        """What is due now, None where nothing may be done: the configuration is wrong, or the store away.

        `mine`: the runs that this worker is at just now.
        """
        base = self.base
        base.state.turn()
        self.pause_s = LOOK_EVERY_S
        if not base.configured():
            return None
        try:
            now = base.store.now()
            due = base.store.due()
            rows = base.store.runs(open_only=True, limit=10_000)
        except StoreError as error:
            base.state.store_errors += 1
            base.trouble("store", error)
            self._failures += 1
            self.pause_s = float(min(2 ** (min(self._failures, 10) - 1), STORE_REST_S))
            return None
        self._failures = 0
        look = Look(now, tuple(r for r in due if r.id not in mine), tuple(rows))
        self._count(look)
        return look

    def lag(self, row: RunRow, now: float) -> float:
        """For how many seconds a run has been due, as far as this worker can know."""
        return now - row.due if row.due > AT_ONCE else time.monotonic() - self._seen.get(row.id, time.monotonic())

    def _count(self, look: Look) -> None:
        state, clock = self.base.state, time.monotonic()
        self._seen = {r.id: self._seen.get(r.id, clock) for r in look.due if r.due <= AT_ONCE}
        state.open, state.due = len(look.open), len(look.due)
        state.lag_s = max((self.lag(r, look.now) for r in look.due), default=0.0)
        state.resting = self.base.stepper.resting
