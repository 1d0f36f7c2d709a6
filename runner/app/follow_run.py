"""Follows one run to its end, or until this process should end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from runner.app.app import App, Display
from runner.app.scheduler import NextSteps, real_s, schedule, signals_handled
from runner.errors import Exit, LeaseLost
from runner.execution.driver import Advance, Driver
from runner.model.events import Event, RunSuspended
from runner.model.run import Run
from runner.ports.store import LeaseHeld, RunNotFound

LOOK_EVERY_S = 5.0
"""How often, at least, a waiting process looks whether somebody cancelled or approved
(`poll_every`, if shorter).
"""
HELD_PATIENCE_S = 90.0
"""How long another process may hold the run before we say so and end: one lease and a half."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run is followed, in real seconds: it suspends rather than wait longer than
    `max_wait_s`, and in any case after `deadline_s`. `watch` is told every event once it is
    stored. `override`: who lets this process begin waves outside windows, and why.
    """

    max_wait_s: float | None = None
    deadline_s: float | None = None
    watch: Callable[[Run, Event], None] | None = None
    override: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the loop ended. `code` is None when the run is closed: its own exit code counts.

    `due_s`: in how many real seconds an open run wants to be gone on with; None where only
    a person can bring it on.
    """

    run: Run
    code: int | None
    why: str = ""
    due_s: float | None = None


@dataclass(slots=True)
class Follower:
    """The agenda of one run."""

    app: App
    driver: Driver
    display: Display
    manner: Manner
    _step: Advance | None = None
    _is_waiting: bool = False
    _held_since: float | None = None
    _ending: Ending | None = None

    async def follow(self) -> Ending:
        """Advance until the run is closed, must wait and may not, or this process is told to end.

        Raises what `Driver.advance` raises, LeaseHeld after 90 s of another process holding
        the run included.
        """
        ending = self.driver.ending
        async with signals_handled(self.app, ending) as told:
            if self.manner.deadline_s is not None:
                asyncio.get_running_loop().call_later(self.manner.deadline_s, ending.set)
            await schedule(self, ending)
        if self._ending is not None:
            return self._ending
        run = self.driver.load()
        if not run.is_open:
            return Ending(run, None)
        if told.signal is None:
            return self._suspend(run, Exit.SUSPENDED, "the deadline of this process", 0.0)
        return self._suspend(run, told.code, signal.Signals(told.signal).name, 0.0)

    async def turn(self, mine: Collection[str]) -> NextSteps:
        """Step until the run ends; between two steps look into the journal in small pieces
        of the wait.
        """
        if mine or self._ending is not None:
            return NextSteps()
        pause_s = self._pause_s()
        self._is_waiting = pause_s is not None
        return NextSteps({self.driver.run_id: self._advance()} if pause_s is None else {}, pause_s)

    def _pause_s(self) -> float | None:
        step, setting = self._step, self.driver.setting
        if self._held_since is not None:
            return None if self._is_waiting else 1.0
        if step is None or step.due is None:
            return None
        left_s = real_s(setting, step.due)
        if left_s <= 0 or (
            self._is_waiting and setting.store.events(step.run.id, after=step.run.seq)
        ):
            return None
        self.display.tick(step.run, step.waits_for, setting.clock.now())
        pieces = (LOOK_EVERY_S, *(site.tuning.poll_every_s for site in setting.sites.values()))
        return min(left_s, min(pieces) / setting.time_scale)

    async def _advance(self) -> None:
        try:
            step = self._step = await self.driver.advance()
        except (LeaseHeld, LeaseLost):
            self._held_since = self._held_since or time.monotonic()
            if time.monotonic() - self._held_since > HELD_PATIENCE_S:
                raise
            return
        self._held_since = None
        if not step.run.is_open:
            self._ending = Ending(step.run, None)
        elif step.halted is not None and step.can_suspend:
            self._ending = self._suspend(step.run, Exit.HELD, f"halted: {step.halted}")
        elif step.can_suspend and step.due is not None and self.manner.max_wait_s is not None:
            left_s = real_s(self.driver.setting, step.until or step.due)
            if left_s > self.manner.max_wait_s:
                due_s = None if step.run.question else left_s
                self._ending = self._suspend(step.run, Exit.SUSPENDED, step.waits_for, due_s)

    def _suspend(self, run: Run, code: int, why: str, due_s: float | None = None) -> Ending:
        """Leave a line in the journal: who reads it knows that nobody is at it, and why."""
        setting, held = self.driver.setting, "held" if code == Exit.HELD else ""
        word = held or ("waiting" if run.question else "suspended")
        if setting.store.find(run.id).fence != self.driver.fence:
            return Ending(run, code, f"{why}; another process goes on with the run", due_s)
        try:
            setting.store.record(run.id, setting.clock.now(), (RunSuspended(why, held),), word=word)
        except RunNotFound:  # another process has ended it since it was read
            return Ending(self.driver.load(), None)
        return Ending(self.driver.load(), code, why, due_s)
