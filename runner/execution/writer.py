"""Appends to one run's journal under its lease, and keeps the folded run in step with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runner.errors import LeaseLost, StoreError
from runner.execution import fold, journal
from runner.execution.site import Setting
from runner.model.events import (
    BatchAccepted,
    BatchDenied,
    BatchNotSent,
    BatchSettled,
    Event,
    EventData,
    Outcome,
    RunEnded,
    ServersEnded,
    ServersRechecked,
)
from runner.model.run import Run
from runner.ports.store import Intent, JournalMoved, Lease

INSIST_EVERY_S = 2.0
INSIST_TIMES = 60
"""How long a job id is offered to a store that cannot be reached, in real seconds."""


@dataclass(slots=True)
class Writer:
    """The journal of one run while its lease is ours."""

    setting: Setting
    run: Run
    lease: Lease
    renewed_wall: float = 0.0
    renewed_boot: float = 0.0

    def __post_init__(self) -> None:
        self._renewed()

    def read_on(self) -> list[Event]:
        """Take in what others appended (approve, cancel, a late job id)."""
        events = journal.read_on(self.setting.store, self.run)
        for event in events:
            self.setting.watch(self.run, event)
        return events

    def decide(self, events: Sequence[EventData], intent: Intent | None = None) -> bool:
        """Append what follows from the run as read; False when the journal moved meanwhile:
        decide again.
        """
        try:
            self._append(events, intent)
        except JournalMoved:
            self.read_on()
            return False
        return True

    def conclude(self, make: Callable[[], Sequence[EventData]]) -> None:
        """Append what follows from a reading. `make` is asked again when the journal moved
        meanwhile.

        What was read stays true, but not always what follows from it: a late job id,
        above all, changes that.
        """
        while True:
            events = make()
            if not events or self.decide(events):
                return

    def observe(self, events: Sequence[EventData]) -> None:
        """Append what can follow in every state, whatever others appended meanwhile: job
        ids and errors.
        """
        while not self.decide(events):
            pass

    async def accepted(self, fact: BatchAccepted) -> None:
        """Append a job id, also when the lease is gone: commands need the fence, facts never do.

        When the store cannot be reached the id is told, spooled to a file, and tried again
        for a while. Raises LeaseLost and StoreError when this process cannot go on; the
        fact is kept in either case.
        """
        try:
            self.observe((fact,))
        except LeaseLost:
            self._record_late(fact)
            raise
        except StoreError:
            await self._insist(fact)

    async def _insist(self, fact: BatchAccepted) -> None:
        setting, run_id = self.setting, self.run.id
        where = setting.spool.put(run_id, fact) if setting.spool else "this message only"
        setting.talk(
            f"the store cannot be reached; job {fact.job} of run {run_id} is kept in {where}"
        )
        for attempt in range(INSIST_TIMES):
            await asyncio.sleep(INSIST_EVERY_S)
            try:
                self._record_late(fact)
            except StoreError:
                if attempt == INSIST_TIMES - 1:
                    raise
            else:
                if setting.spool:
                    setting.spool.clear(run_id)
                raise LeaseLost(f"job {fact.job} is stored late; the run is read again")

    def _record_late(self, fact: BatchAccepted) -> None:
        late = replace(fact, late=True)
        self.setting.store.record(self.run.id, self.setting.clock.now(), (late,), open_only=False)

    def unspool(self) -> None:
        """Take in job ids that an earlier process of this machine could not store."""
        spool = self.setting.spool
        facts = spool.read(self.run.id) if spool else []
        for fact in facts:
            self._record_late(fact)
        if spool and facts:
            spool.clear(self.run.id)

    def lease_age_s(self) -> float:
        """Seconds since the lease was renewed, by the larger of wall clock and boot-time clock.

        The boot-time clock counts while the machine sleeps, the wall clock may be set back:
        the larger is the safe one.
        """
        return max(time.time() - self.renewed_wall, _boot_time() - self.renewed_boot)

    def touch(self) -> None:
        self.setting.store.touch(self.lease)
        self._renewed()

    def _append(self, events: Sequence[EventData], intent: Intent | None = None) -> None:
        """Fold the events, then store them: what cannot follow is never stored, what is not
        stored never happened.
        """
        before, now, run = self.lease_mark(), self.setting.clock.now(), self.run
        seq = run.seq
        new = [Event(data, now, seq + i, self.lease.fence) for i, data in enumerate(events, 1)]
        with fold.trial(run, new):
            stored = self.setting.store.append(
                self.lease,
                now,
                events,
                expect=seq,
                intent=intent,
                release=_released(events),
                forget=_forgotten(run, events),
                word=run.word,
                close=any(isinstance(event, RunEnded) for event in events),
            )
        self.renewed_wall, self.renewed_boot = before
        for event in stored:
            self.setting.watch(run, event)

    def _renewed(self) -> None:
        self.renewed_wall, self.renewed_boot = self.lease_mark()

    @staticmethod
    def lease_mark() -> tuple[float, float]:
        """Both clocks, read before the store renews: the age is never judged too young."""
        return time.time(), _boot_time()


def _released(events: Sequence[EventData]) -> list[str]:
    """Servers whose claim ends: all that end, but those that end unknown keep it until a
    person resolves them.
    """
    released: list[str] = []
    for event in events:
        if isinstance(event, ServersEnded):
            released += [
                i for i, row in event.servers.items() if row.outcome is not Outcome.UNKNOWN
            ]
    return released


def _forgotten(run: Run, events: Sequence[EventData]) -> list[str]:
    """Servers that were provably not rebooted by a request: the cycle is not spent for them,
    and their claim ends.

    A refused or throttled answer proves nothing before its servers were read again.
    """
    forgotten: list[str] = []
    for event in events:
        match event:
            case BatchNotSent(batch=number) | BatchDenied(batch=number):
                forgotten += run.batches[number].servers
            case BatchSettled(again=again):
                forgotten += again
            case ServersRechecked(fit=fit):
                forgotten += fit
            case ServersEnded(servers=servers):
                forgotten += [
                    i
                    for i, row in servers.items()
                    if row.outcome is Outcome.SKIPPED or row.reason == "Refused"
                ]
    return forgotten


def _boot_time() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()
