"""Follows a run to its end, or until this process should end: the loop around `Driver.advance`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from runner.app.app import App, Display
from runner.errors import Exit, LeaseLost
from runner.execution.driver import Advance, Driver
from runner.model.events import RunSuspended
from runner.model.run import Run
from runner.ports.store import LeaseHeld, RunNotFound

LOOK_EVERY_S = 5.0
"""How often, at least, a waiting process looks whether somebody cancelled or approved (`poll_every`, if shorter)."""
HELD_PATIENCE_S = 90.0
"""How long another process may hold the run before we say so and end: one lease and a half."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the loop ended. `code` is None when the run is closed: its own exit code counts.

    `due_s`: in how many real seconds an open run wants to be gone on with; None where only a person can bring it on.
    """

    run: Run
    code: int | None
    why: str = ""
    due_s: float | None = None


@dataclass(slots=True)
class Told:
    """Whether the process was told to end, and by which signal."""

    ending: asyncio.Event
    signal: int | None = None

    @property
    def code(self) -> int:
        """130 or 143; 0 when nobody told."""
        return 128 + self.signal if self.signal else 0


@contextlib.asynccontextmanager
async def signals_handled(app: App, ending: asyncio.Event | None = None) -> AsyncIterator[Told]:
    """The first SIGINT or SIGTERM sets `ending` and says what that means; the second ends the process at once."""
    loop, told = asyncio.get_running_loop(), Told(ending or asyncio.Event())

    def on_signal(number: int) -> None:
        if told.ending.is_set() and told.signal is not None:
            os._exit(128 + number)
        told.signal = number
        told.ending.set()
        app.talk(
            f"{signal.Signals(number).name}: nothing new is started; what the cloud has accepted goes on there."
            " A second signal ends at once; `resume` goes on either way."
        )

    handled = (signal.SIGINT, signal.SIGTERM)
    for number in handled:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, on_signal, number)
    try:
        yield told
    finally:
        for number in handled:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)


@dataclass(slots=True)
class Follower:
    """Options of the loop, in real seconds; None: no limit.

    `max_wait_s`: it suspends instead of waiting for longer than this; `deadline_s`: until the process suspends.
    """

    app: App
    driver: Driver
    display: Display
    max_wait_s: float | None = None
    deadline_s: float | None = None
    _told: Told | None = field(default=None, init=False)

    async def follow(self) -> Ending:
        """Advance until the run is closed, must wait and may not, or this process is told to end.

        Raises what `Driver.advance` raises, LeaseHeld after 90 s of another process holding the run included.
        """
        async with signals_handled(self.app, self.driver.ending) as self._told, self._deadline():
            held_since: float | None = None
            while not self.driver.ending.is_set():
                try:
                    step = await self.driver.advance()
                except (LeaseHeld, LeaseLost):
                    held_since = held_since or time.monotonic()
                    if time.monotonic() - held_since > HELD_PATIENCE_S:
                        raise
                    await self._pause(1.0 * self.driver.setting.time_scale)
                    continue
                held_since = None
                ending = self._ends(step)
                if ending:
                    return ending
                await self._wait(step)
        return self._told_to_end()

    def _ends(self, step: Advance) -> Ending | None:
        if not step.run.is_open:
            return Ending(step.run, None)
        if step.halted is not None and step.can_suspend:
            return self._suspend(step.run, Exit.HELD, f"halted: {step.halted}")
        if step.can_suspend and step.due is not None and self.max_wait_s is not None:
            setting = self.driver.setting
            left_s = ((step.until or step.due) - setting.clock.now()).total_seconds() / setting.time_scale
            if left_s > self.max_wait_s:
                return self._suspend(step.run, Exit.SUSPENDED, step.waits_for, None if step.run.question else left_s)
        return None

    def _told_to_end(self) -> Ending:
        run = self.driver.load()
        if not run.is_open:
            return Ending(run, None)
        told = self._told.signal if self._told else None
        if told is None:
            return self._suspend(run, Exit.SUSPENDED, "the deadline of this process", 0.0)
        return self._suspend(run, 128 + told, signal.Signals(told).name, 0.0)

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

    async def _wait(self, step: Advance) -> None:
        """Until the step is due, in small pieces: between two of them the journal is looked at."""
        setting, seq = self.driver.setting, step.run.seq
        clock = setting.clock
        while step.due is not None and not self.driver.ending.is_set():
            left = (step.due - clock.now()).total_seconds()
            if left <= 0:
                return
            self.display.tick(step.run, step.waits_for, clock.now())
            await self._pause(min(left, LOOK_EVERY_S, *(t.tuning.poll_every_s for t in setting.sites.values())))
            if setting.store.events(step.run.id, after=seq):
                return

    async def _pause(self, seconds: float) -> None:
        """Sleep by the run's clock, or less when the process is to end."""
        sleep = asyncio.ensure_future(self.driver.setting.clock.sleep(seconds))
        end = asyncio.ensure_future(self.driver.ending.wait())
        await asyncio.wait({sleep, end}, return_when=asyncio.FIRST_COMPLETED)
        for task in (sleep, end):
            task.cancel()
        await asyncio.gather(sleep, end, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        timer = None
        if self.deadline_s is not None:
            timer = asyncio.get_running_loop().call_later(self.deadline_s, self.driver.ending.set)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
