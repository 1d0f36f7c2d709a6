"""One step of one run of a store, whoever asks for it: `reconcile`, a worker, or an engine
that drives one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from runner.app.app import App
from runner.app.execute_run import setting_for
from runner.app.resume_run import end_suspension, open_targets_of
from runner.errors import Exit, InvalidInput, LeaseLost, RunnerError
from runner.execution.driver import GRACE_S, Advance, Driver
from runner.execution.journal import read_run
from runner.loading.config import LoadedConfig
from runner.model.events import Event
from runner.model.run import Run
from runner.ports.store import LeaseHeld, RunRow, Store
from runner.report.run_words import counts_words
from runner.report.safe import plain

REST_S = 15.0
REST_MOST_S = 300.0
"""How long a run whose step failed is left alone by this process: longer each time."""

MOST_KEPT = 100
"""Runs whose connections are kept between their steps; those that were stepped longest ago
are closed first.
"""


@dataclass(frozen=True, slots=True)
class Stepped:
    """What came of a step. `code`: 0, or of the error that it failed with. `advance`: None
    where it failed.

    `is_held`: nothing was done, another process (or another task of this one) is at the run.
    """

    code: int
    advance: Advance | None = None
    is_held: bool = False


@dataclass(slots=True)
class _Kept:
    """A run in this process: its driver, what closes its targets, and the configuration
    that they were opened by.
    """

    driver: Driver
    stack: AsyncExitStack
    loaded: LoadedConfig


@dataclass(slots=True)
class Stepper:
    """Advances runs by one step each; what goes wrong with one is told, and never keeps the
    others from theirs.

    `config` gives the configuration of the moment: the same object for as long as nothing
    has changed in it. Several runs may be stepped side by side, all in one thread. `close`
    when done.
    """

    app: App
    store: Store
    config: Callable[[], LoadedConfig]
    ending: asyncio.Event
    watch: Callable[[Run, Event], None] | None = None
    grace_s: float = GRACE_S
    stays: bool = False
    """This process stays with the runs: one that was suspended is so no longer once it is at it."""
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _resting: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Runs whose last step failed: until when they are left alone (monotonic), and how many
    failed in a row.
    """
    _said: dict[str, str] = field(default_factory=dict)

    def rest_s(self, run_id: str) -> float:
        """For how long this process leaves a run alone because its last step failed. The
        store may not know of it.
        """
        return max(0.0, self._resting.get(run_id, (0.0, 0))[0] - time.monotonic())

    def rouse(self) -> None:
        """What failed may be tried again at once: something has been mended."""
        self._resting = {run_id: (0.0, failures) for run_id, (_, failures) in self._resting.items()}

    @property
    def resting(self) -> int:
        """How many runs are left alone."""
        return sum(1 for run_id in self._resting if self.rest_s(run_id) > 0)

    def driver_of(self, run_id: str) -> Driver | None:
        """The driver that is kept for a run."""
        kept = self._kept.get(run_id)
        return kept.driver if kept else None

    async def step(self, row: RunRow) -> Stepped:
        """One step of one run. Never raises but for cancellation."""
        if row.id in self._busy:
            return Stepped(Exit.DONE, is_held=True)
        self._busy.add(row.id)
        try:
            return Stepped(Exit.DONE, await self._advance(row))
        except (LeaseHeld, LeaseLost) as held:
            self._say(row, str(held))
            return Stepped(Exit.DONE, is_held=True)
        except Exception as error:  # noqa: BLE001 - one poisoned run must not stop the others
            await self._let_go(row.id)
            failures = self._resting.get(row.id, (0.0, 0))[1]
            rest_s = min(REST_S * 2 ** min(failures, 10), REST_MOST_S)
            self._resting[row.id] = (time.monotonic() + rest_s, failures + 1)
            self._said.pop(row.id, None)
            if not isinstance(error, RunnerError):
                text = f"unexpected error: {type(error).__name__}: {plain(error)}"
                self.app.talk(f"{row.id} {row.plan}: {text}", run=row.id)
                return Stepped(Exit.ERROR)
            words = (
                [p.message for p in error.problems]
                if isinstance(error, InvalidInput)
                else [error.message]
            )
            text = plain("; ".join(words), 1000)
            self.app.talk(f"{row.id} {row.plan}: error: {text}", run=row.id, error=text)
            return Stepped(error.exit_code)
        finally:
            self._busy.discard(row.id)
            idle = [run_id for run_id in self._kept if run_id not in self._busy]
            for run_id in idle[: max(0, len(self._kept) - MOST_KEPT)]:
                await self._let_go(run_id)

    async def _advance(self, row: RunRow) -> Advance:
        driver = await self._driver(row)
        if self.stays and row.word == "suspended":
            end_suspension(driver)
        step = await driver.advance()
        self._resting.pop(row.id, None)
        waits = (
            f", waits for {plain(step.waits_for)}" if step.run.is_open and step.waits_for else ""
        )
        word = step.run.word
        self._say(row, f"{word}: {counts_words(step.run.counts())}{waits}", word=word)
        if not step.run.is_open:
            await self._let_go(row.id)
            self._said.pop(row.id)
        return step

    def _say(self, row: RunRow, text: str, **fields: str) -> None:
        """Talk, but not the same of a run again and again."""
        if self._said.get(row.id) != text:
            self._said[row.id] = text
            self.app.talk(f"{row.id} {row.plan}: {text}", run=row.id, **fields)

    async def _driver(self, row: RunRow) -> Driver:
        """The driver of a run: its pace, and the connections to its targets, are kept
        between its steps.
        """
        loaded, kept = self.config(), self._kept.get(row.id)
        if kept is None or kept.loaded is not loaded:
            await self._let_go(row.id)
            async with AsyncExitStack() as stack:
                sessions = await open_targets_of(
                    self.app, loaded, read_run(self.store, row.id), stack
                )
                setting = setting_for(self.app, self.store, sessions, self.watch)
                driver = Driver(setting, row.id, ending=self.ending, grace_s=self.grace_s)
                kept = _Kept(driver, stack.pop_all(), loaded)
        self._kept.pop(row.id, None)
        self._kept[row.id] = kept  # the last in order: the one stepped last
        return kept.driver

    async def _let_go(self, run_id: str) -> None:
        """Close what is kept for a run; its next step opens it anew."""
        kept = self._kept.pop(run_id, None)
        if kept is None:
            return
        try:
            await kept.stack.aclose()
        except Exception as error:  # noqa: BLE001 - what cannot be closed is gone all the same
            self.app.talk(
                f"{run_id}: its targets were not closed well: {type(error).__name__}: "
                f"{plain(error)}"
            )

    async def close(self) -> None:
        """Close everything that is kept."""
        for run_id in list(self._kept):
            await self._let_go(run_id)
