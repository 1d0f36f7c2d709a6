"""What every worker stands on, whoever tells it which run is next: configuration, store,
pages, signals, figures.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from runner import __version__
from runner.app.app import App
from runner.app.scheduler import Told, signals_handled
from runner.app.step_run import Stepped, Stepper
from runner.app.stores import open_store_of, store_url
from runner.errors import EXIT_WORDS, InvalidInput, RunnerError, StoreError
from runner.loading.config import LoadedConfig
from runner.net.pages import Page, served
from runner.ports.store import RunRow, Store
from runner.report.metrics import CONTENT_TYPE, Metric, metrics_text
from runner.report.safe import plain

LOOK_EVERY_S = 1.0
"""How often, at least, the store is asked for runs that somebody has begun or made due meanwhile.
"""
CONFIG_EVERY_S = 1.0
"""How often, at most, the configuration is read again."""
STORE_REST_S = 30.0
"""The longest pause after a look into the store that failed; the first is a second."""
MARGIN_S = 1.0
"""Of the grace period, what is kept for ending in order once the last request has been
answered or given up.
"""
AT_ONCE = 1.0
"""A run's `due` up to this says "at once", and nothing of since when (`store.sql.RECORDED`,
`TAKEN`).
"""
STUCK_S = 120.0
"""After so long without a turn of its loop a worker is no longer alive: a step never blocks
the loop like that.
"""

FIGURES = {
    "worker_ready": "1 when the worker takes runs.",
    "worker_slots": "Runs that it may advance at once.",
    "runs_held": "Runs that it is advancing now.",
    "runs_open": "Open runs of the store.",
    "runs_due": "Open runs that are due and that nobody holds.",
    "runs_resting": "Runs that it leaves alone for a while after an error.",
    "due_lag_seconds": "By how much the run that waits longest is late.",
    "steps_total": "Steps of runs, failed ones included.",
    "step_seconds_total": "Seconds that these steps took.",
    "step_rivals_total": "Steps not taken: another process was at the run.",
    "store_errors_total": "Looks into the store that failed.",
}
"""What a worker counts. None is labelled by what users name: the number of time series
stays bounded.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """`runs`: so many at once. `grace_s`: from the signal to the end of the process.
    `listen`: where pages are.
    """

    runs: int
    grace_s: float
    listen: tuple[str, int]


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """What the store showed: all open runs, and those of them that are due and free. `now`
    is the store's.
    """

    now: float
    due: tuple[RunRow, ...]
    open: tuple[RunRow, ...]


@dataclass(slots=True)
class Base:
    """An open store, and all that is around it. What it counts is read by the threads
    of the pages.
    """

    app: App
    options: Options
    loaded: LoadedConfig
    store: Store
    told: Told
    engine: str
    stepper: Stepper = field(init=False)
    pause_s: float = LOOK_EVERY_S
    """In how many seconds to look again at the latest; longer while the store fails."""
    _trouble: str = "starting"
    """Why it is not ready (`starting`, `store`, `configuration`, `temporal`, `draining`),
    "" when it is.
    """
    _said: str = ""
    _moved: str = ""
    _read: float = field(default_factory=time.monotonic)
    _broken: InvalidInput | None = None
    _failures: int = 0
    _due_since: dict[str, float] = field(default_factory=dict)
    """Runs that are due at once, and since when (monotonic) this worker knows of that."""
    _turned: float = field(default_factory=time.monotonic)
    _figures: dict[str, float] = field(default_factory=lambda: dict.fromkeys(FIGURES, 0.0))
    _ended: Counter[str] = field(default_factory=Counter)
    _errors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        grace_s, watch = max(0.0, self.options.grace_s - MARGIN_S), self.app.log().watch
        self.stepper = Stepper(
            self.app, self.store, self.config, self.ending, watch, grace_s, stays=True
        )
        self._figures["worker_slots"] = self.options.runs

    @property
    def ending(self) -> asyncio.Event:
        return self.told.ending

    def config(self) -> LoadedConfig:
        """What holds now, read again every second; the same object for as long as nothing has
        changed in it.

        Raises InvalidInput for as long as it is wrong: nothing is done by an older one.
        """
        if time.monotonic() - self._read >= CONFIG_EVERY_S:
            self._read, self._broken = time.monotonic(), None
            try:
                again = self.app.load_config()
                if (again.path, again.config) != (self.loaded.path, self.loaded.config):
                    self.loaded = again
            except InvalidInput as error:
                self._broken = error
        if self._broken is not None:
            raise self._broken
        return self.loaded

    def trouble(self, word: str, error: RunnerError | None = None) -> None:
        """What keeps the worker from its work, told when it begins and when it is over; ""
        for nothing.
        """
        text = f"{word}: {plain(error.message, 1000)}" if error else word
        if text != self._said:
            if isinstance(error, InvalidInput):
                self.app.show_error(error)
            self.app.talk(f"not ready: {text}" if text else "ready", trouble=word)
            self._said = text
        self._trouble = word

    def look(self, mine: Collection[str]) -> OpenRuns | None:
        """What is due now, None where nothing may be done: the configuration is wrong, or the
        store away.

        `mine`: the runs that this worker is at just now.
        """
        self.turn()
        self.pause_s = LOOK_EVERY_S
        try:
            self._follow_config()
            now, due = self.store.now(), tuple(r for r in self.store.due() if r.id not in mine)
            rows = tuple(self.store.runs(open_only=True, limit=10_000))
        except InvalidInput as error:
            self.trouble("configuration", error)
            return None
        except StoreError as error:
            self._figures["store_errors_total"] += 1
            self.trouble("store", error)
            self._failures += 1
            self.pause_s = float(min(2 ** (min(self._failures, 10) - 1), STORE_REST_S))
            return None
        self._failures = 0
        clock = time.monotonic()
        self._due_since = {r.id: self._due_since.get(r.id, clock) for r in due if r.due <= AT_ONCE}
        lag_s = max((self.lag(r, now) for r in due), default=0.0)
        self._figures |= {"runs_open": len(rows), "runs_due": len(due), "due_lag_seconds": lag_s}
        self._figures["runs_resting"] = self.stepper.resting
        return OpenRuns(now, due, rows)

    def _follow_config(self) -> None:
        """What failed is tried again at once when the configuration has changed."""
        before, loaded = self.loaded, self.config()
        if loaded is before:
            return
        self.app.talk("the configuration has changed")
        self.stepper.rouse()
        moved = store_url(self.app, loaded)
        if moved not in (store_url(self.app, before), self._moved):
            self._moved = moved
            self.app.talk(
                "the configuration names another store now: this worker keeps to its own until "
                "its end"
            )

    def lag(self, row: RunRow, now: float) -> float:
        """For how many seconds a run has been due, as far as this worker can know."""
        clock = time.monotonic()
        return now - row.due if row.due > AT_ONCE else clock - self._due_since.get(row.id, clock)

    async def step(self, row: RunRow) -> Stepped:
        """One step of a run, counted."""
        began, figures = time.monotonic(), self._figures
        figures["runs_held"] += 1
        try:
            stepped = await self.stepper.step(row)
        finally:
            figures["runs_held"] -= 1
        figures["runs_resting"] = self.stepper.resting
        if stepped.is_held:
            figures["step_rivals_total"] += 1
            return stepped
        figures["steps_total"] += 1
        figures["step_seconds_total"] += time.monotonic() - began
        if stepped.code:
            self._errors[EXIT_WORDS[stepped.code]] += 1
        elif stepped.advance is not None and not stepped.advance.run.is_open:
            self._ended[stepped.advance.run.word] += 1
        return stepped

    def turn(self) -> None:
        """The loop has come round."""
        self._turned = time.monotonic()

    def is_alive(self) -> Page:
        """The answer of /healthz."""
        silent_s = time.monotonic() - self._turned
        return (
            Page(503, f"stuck for {silent_s:.0f} s\n") if silent_s > STUCK_S else Page(200, "ok\n")
        )

    def is_ready(self) -> Page:
        """The answer of /readyz."""
        return Page(503, f"not ready: {self._trouble}\n") if self._trouble else Page(200, "ok\n")

    def metrics(self) -> Page:
        """The answer of /metrics."""
        return Page(200, metrics_text(self._metrics()), CONTENT_TYPE)

    def _metrics(self) -> Iterator[Metric]:
        labels, values = ("version", "engine"), (__version__, self.engine)
        yield Metric("reboot_runner_worker_info", "This worker: always 1.", {values: 1.0}, labels)
        figures = {**self._figures, "worker_ready": not self._trouble}
        for name, text in FIGURES.items():
            yield Metric(f"reboot_runner_{name}", text, {(): figures[name]})
        for name, text, label, counts in (
            (
                "step_errors_total",
                "Steps that failed, by what they failed with.",
                "result",
                self._errors,
            ),
            ("runs_ended_total", "Runs that ended in a step of this worker.", "word", self._ended),
        ):
            samples: dict[tuple[str, ...], float] = {
                (word,): n for word, n in sorted(counts.copy().items())
            }
            yield Metric(f"reboot_runner_{name}", text, samples, (label,))


@asynccontextmanager
async def based(app: App, options: Options, engine: str) -> AsyncIterator[Base]:
    """Open the store, answer probes, heed signals; what is under way ends within the grace period.

    Raises InvalidInput, StoreError, UsageProblem where a worker cannot begin.
    """
    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        async with signals_handled(app) as told:
            base = Base(app, options, loaded, store, told, engine)
            pages = {"/healthz": base.is_alive, "/readyz": base.is_ready, "/metrics": base.metrics}
            with served(*options.listen, pages) as url:
                text = f"worker of {options.runs} runs at once; {url}/healthz /readyz /metrics"
                app.talk(text, url=url, engine=engine)
                try:
                    yield base
                finally:
                    await base.stepper.close()
