"""Drives a run: takes its lease, asks the machine, does what is due, appends what happened,
gives the lease back.

`Driver.advance` is re-entrant and the only execution path: `run` and `resume` call it in a
loop, `reconcile` once for each run that is due. It never sleeps: it answers when it wants
to be called again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runner.errors import CloudError, LeaseLost, RunnerError, StoreError
from runner.execution import failing, journal, reading, sending
from runner.execution.effects import (
    Ask,
    AskBefore,
    AskGates,
    Effect,
    Look,
    Pace,
    Poll,
    ReadBack,
    ReadFreezes,
    ReadWave,
    Recheck,
    Send,
    Step,
    Tuning,
    WatchBake,
)
from runner.execution.machine import decide
from runner.execution.run_clock import RunClock
from runner.execution.site import Setting, Site
from runner.execution.writer import Writer
from runner.model.events import RunError
from runner.model.run import Run
from runner.ports.store import RunNotFound

ERROR_DELAY_S = 30.0
ERROR_DELAY_MOST_S = 3600.0
DO: Mapping[
    type[Effect], Callable[[Any, Setting, Site, Writer, Pace], Coroutine[Any, Any, None]]
] = {
    Send: sending.send,
    ReadWave: reading.read_wave,
    Poll: reading.poll,
    ReadBack: reading.read_back,
    Look: reading.look,
    Recheck: reading.recheck,
    Ask: reading.ask,
    AskBefore: reading.ask_before,
    AskGates: reading.ask_gates,
    WatchBake: reading.watch,
    ReadFreezes: reading.read_freezes,
}
"""Which function does an effect."""
GRACE_S = 4.0
"""The grace of a process that a person ends: he waits for it."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Where an `advance` left a run. `due`: when to come again, of the run's clock; None when
    it is closed.

    `until`: when what it waits for is over, where `due` is only a look in between.
    """

    run: Run
    due: datetime | None
    waits_for: str
    can_suspend: bool
    halted: str | None = None
    until: datetime | None = None


@dataclass(slots=True)
class Driver:
    """One run in this process. What was read of its journal, and the pace, are kept
    between calls.
    """

    setting: Setting
    run_id: str
    run: Run | None = None
    fence: int | None = None
    """Of the last lease that this process had; None before the first."""
    pace: Pace = field(default_factory=Pace)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is to end: nothing new is begun, `advance` returns soon."""
    grace_s: float = GRACE_S
    """How long a request that is on its way may still answer then."""

    def __post_init__(self) -> None:
        if self.setting.boot is not None:
            self.setting = replace(
                self.setting, clock=RunClock(self.setting.clock, self.setting.boot)
            )

    def load(self) -> Run:
        """Return the run as its journal tells now, without the lease. From here on the
        clock tells the run's time.
        """
        if self.run is None:
            self.run = journal.read_run(self.setting.store, self.run_id)
        else:
            for event in journal.read_on(self.setting.store, self.run):
                self.setting.watch(self.run, event)
        self._hold_clock_to(self.run)
        return self.run

    def _hold_clock_to(self, run: Run) -> None:
        if isinstance(self.setting.clock, RunClock):
            self.setting.clock.hold_to(run)

    async def advance(self) -> Advance:
        """Do all that is due now.

        Raises LeaseHeld while another process is at it, LeaseLost when one took over,
        CloudDenied, CloudError and StoreError when this process cannot go on; the run stays
        as its journal says.
        """
        run = self.load()
        if not run.is_open:
            return Advance(run, None, "", can_suspend=True)
        store = self.setting.store
        try:
            lease = store.take(run.id, self.setting.owner, self.setting.lease_s)
            self.fence = lease.fence
        except RunNotFound:  # another process has ended it since it was read
            run = self.load()
            if run.is_open:
                raise
            return Advance(run, None, "", can_suspend=True)
        writer = Writer(self.setting, run, lease)
        due: datetime | None = None
        try:
            async with self._kept(writer):
                step, halted = await self._until_nothing_is_due(writer)
            due = step.wake
            return Advance(run, due, step.waits_for, step.can_suspend, halted, step.until)
        except LeaseLost:
            self.run = None
            raise
        except Exception as error:
            due = self._note_error(writer, error)
            self.run = None
            raise
        except BaseException:
            self.run = None
            raise
        finally:
            try:
                store.give_back(lease, self._store_time(due))
            except StoreError:  # what was appended may not be stored: it is read anew
                self.run = None

    def _note_error(self, writer: Writer, error: Exception) -> datetime | None:
        """Leave a line in the journal and come back later each time: one poisoned run never
        stops the others.
        """
        words = f"{error}" if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
        message = words[:500]
        try:
            writer.observe((RunError(message),))
        except Exception:  # noqa: BLE001 - the first error is the one to be told
            return None
        delay = min(ERROR_DELAY_S * 2 ** (writer.run.error_streak - 1), ERROR_DELAY_MOST_S)
        return self.setting.clock.now() + timedelta(seconds=delay)

    async def _until_nothing_is_due(self, writer: Writer) -> tuple[Step, str | None]:
        setting = self.setting
        writer.unspool()
        self.pace.calendars = None
        while True:
            writer.read_on()
            self._hold_clock_to(writer.run)
            halt = setting.store.halted()
            reason = halt.reason if halt else None
            step = decide(writer.run, self.pace, setting.clock.now(), self._tuning, reason)
            if self.ending.is_set() and not step.events:
                return step, reason
            if step.events:
                writer.decide(step.events)
            elif step.effects:
                await self._perform(step.effects, writer)
            else:
                return step, reason

    def _tuning(self, target: str) -> Tuning:
        return self.setting.sites[target].tuning

    async def _perform(self, effects: tuple[Effect, ...], writer: Writer) -> None:
        """Do effects side by side. When the process is to end, reads are dropped, a request
        gets a moment to answer.
        """
        tasks: dict[asyncio.Future[Any], Effect] = {
            asyncio.ensure_future(
                DO[type(e)](e, self.setting, self.setting.sites[e.target], writer, self.pace)
            ): e
            for e in effects
        }
        end = asyncio.ensure_future(self.ending.wait())
        try:
            pending: set[asyncio.Future[Any]] = set(tasks)
            while pending and not self.ending.is_set():
                done, _ = await asyncio.wait({*pending, end}, return_when=asyncio.FIRST_COMPLETED)
                pending -= done
            if pending:
                await self._let_go(pending, tasks)
        finally:
            end.cancel()
        errors = [
            (tasks[t], e)
            for t, e in ((t, t.exception()) for t in tasks if not t.cancelled())
            if e is not None
        ]
        lost = next((e for _, e in errors if isinstance(e, LeaseLost)), None)
        if lost is not None:
            raise lost
        for effect, error in errors:
            if not self._endures(effect, error, writer):
                raise error

    def _endures(self, effect: Effect, error: BaseException, writer: Writer) -> bool:
        """Whether the run goes on although an effect failed: its target is given up, and
        others have work left.
        """
        run = writer.run
        if not isinstance(error, CloudError):
            return False
        if effect.target not in run.failed_targets:
            if not failing.may_fail(run, effect.target):
                return False
            writer.decide((failing.failed(effect.target, error),))
        again = self.setting.clock.now() + timedelta(seconds=ERROR_DELAY_S)
        match effect:
            case Look():
                self.pace.look_again[effect.batch] = again
            case Recheck():
                self.pace.recheck_again = again
            case WatchBake():
                self.pace.watch_again = again
        return True

    async def _let_go(
        self, pending: set[asyncio.Future[Any]], tasks: Mapping[asyncio.Future[Any], Effect]
    ) -> None:
        for task in pending:
            if not isinstance(tasks[task], Send):
                task.cancel()
        _, late = await asyncio.wait(pending, timeout=self.grace_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=0.5)

    @contextlib.asynccontextmanager
    async def _kept(self, writer: Writer) -> AsyncIterator[None]:
        """Renew the lease at a third of its time for as long as effects are under way."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self.setting.lease_s / 3)
                with contextlib.suppress(LeaseLost):
                    writer.touch()

        task = asyncio.ensure_future(renew())
        try:
            yield
        finally:
            task.cancel()

    def _store_time(self, due: datetime | None) -> float | None:
        """A moment of the run's clock as seconds of the store's."""
        if due is None:
            return None
        ahead = (due - self.setting.clock.now()).total_seconds() / self.setting.time_scale
        return self.setting.store.now() + max(0.0, ahead)
