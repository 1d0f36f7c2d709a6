"""The store on a Git ref: the SQL of the others, written again when others were quicker, and
spared pushes.

A push takes as long as a few dozen writes to a database. So what a run's holder does with
its lease, and what it observes, waits for the next push; what others must know before
something happens is pushed at once: an intent, a job id, a decision, the end. Nothing waits
for longer than a third of the lease, nor beyond the end of an `advance` that has seen
something.

What waits was only promised. When somebody else writes to the same run meanwhile, or takes
it over, it cannot be done again as it was: then the holder is told that its lease is lost,
and reads the run anew, as after any takeover. It repeats what it only saw; whatever it did
is in the journal, since no intent waits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from runner.errors import Held, LeaseLost, StoreError
from runner.model.events import (
    BakeObserved,
    BaselineChecked,
    Event,
    EventData,
    GatesAsked,
    JobPolled,
    RunCreated,
    ServersBlocked,
    ServersChecked,
    ServersEnded,
    ServersObserved,
    WaveBusy,
    WaveChecked,
    WaveEnded,
    WaveStarted,
)
from runner.model.owner import Owner
from runner.ports.store import (
    Halt,
    Halted,
    Intent,
    JournalMoved,
    Lease,
    NewRun,
    RateFull,
    RunNotFound,
    Taken,
)
from runner.store import rows
from runner.store.gitref.dialect import Git, Waiting
from runner.store.gitref.errors import Overtaken
from runner.store.sql import SqlStore

MAY_WAIT = (
    *(BaselineChecked, WaveStarted, WaveBusy, WaveChecked, WaveEnded, GatesAsked),
    *(ServersBlocked, ServersObserved, ServersChecked, ServersEnded, JobPolled, BakeObserved),
)
"""Events that say what was seen. Who loses them sees it again."""
SOON_S = 15.0
"""A run that its holder comes back to so soon is not given back in between."""

CONTENTION_S = 60.0
"""How long a write is tried again while others are quicker each time."""

_REFUSALS = (Held, RunNotFound, JournalMoved, Halted, RateFull, Taken, LeaseLost)
_T = TypeVar("_T")


class GitStore(SqlStore):
    """`ports.store.Store` on a ref. Used by one thread."""

    db: Git

    def __init__(self, db: Git) -> None:
        super().__init__(db)
        self._watched: dict[str, float] = {}
        """Runs that were held when they were first looked at, and until when; renewals change that.
        """

    def close(self) -> None:
        with suppress(StoreError):  # the lease runs out
            self._write(self.db.flush)
        super().close()

    # --- runs -----------------------------------------------------------------

    def create(self, run: NewRun, created: RunCreated) -> None:
        self._write(partial(super().create, run, created))

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        found = super().events(run_id, after)
        self._still(run_id)
        if self.db.recall(run_id):
            return super().events(run_id, after)
        return found

    # --- leases ---------------------------------------------------------------

    def take(self, run_id: str, owner: Owner, ttl_s: float) -> Lease:
        waits = self._is_kept(run_id, owner, ttl_s)
        lease = self._write(partial(super().take, run_id, owner, ttl_s), waits=waits)
        if waits:
            self.db.waiting.append(
                Waiting(run_id, partial(self._take_again, lease), has_events=False)
            )
        return lease

    def _take_again(self, lease: Lease) -> None:
        if super().take(lease.run_id, lease.owner, lease.ttl_s).fence != lease.fence:
            raise _lost(lease.run_id)

    def touch(self, lease: Lease) -> None:
        self._write(partial(super().touch, lease), lease.run_id)

    def give_back(self, lease: Lease, due: float | None) -> None:
        run, db = lease.run_id, self.db
        is_soon = due is not None and due - self.now() <= SOON_S
        again = partial(super().give_back, lease, due)
        try:
            if is_soon and any(write.run == run and write.has_events for write in db.waiting):
                self._write(db.flush)  # what was seen is stored, and the lease stays in the ref
            waits = is_soon and self._is_kept(run, lease.owner, lease.ttl_s)
            self._write(again, waits=waits)
            if waits:
                db.waiting.append(Waiting(run, again, has_events=False))
            self._still(run)
        finally:
            db.lost.discard(run)

    def watched_s(self) -> float | None:
        now = self.now()
        held = [
            r for r in super().runs(open_only=True, limit=10_000) if r.due <= now < r.lease_until
        ]
        silent = [r for r in held if self._watched.setdefault(r.id, r.lease_until) == r.lease_until]
        return min((r.lease_until - now for r in silent), default=None)

    def _is_kept(self, run_id: str, owner: Owner, ttl_s: float) -> bool:
        """Whether the ref has the run as this owner's, and for so long that nobody can take
        it over soon.
        """
        return self.db.mirror.lease_left(run_id, rows.written_owner(owner)) >= ttl_s * 2 / 3

    # --- journal --------------------------------------------------------------

    def append(
        self,
        lease: Lease,
        at: datetime,
        events: Sequence[EventData],
        *,
        expect: int | None = None,
        intent: Intent | None = None,
        release: Sequence[str] = (),
        forget: Sequence[str] = (),
        word: str | None = None,
        close: bool = False,
    ) -> list[Event]:
        run = lease.run_id
        waits = (
            intent is None
            and not (forget or close)
            and all(isinstance(event, MAY_WAIT) for event in events)
            and self._is_kept(run, lease.owner, lease.ttl_s)
        )
        append = partial(super().append, lease, at, events, release=release, word=word)
        stored = self._write(
            partial(append, expect=expect, intent=intent, forget=forget, close=close),
            run,
            waits=waits,
        )
        if waits:
            before = stored[0].seq - 1 if stored else expect
            self.db.waiting.append(Waiting(run, partial(append, expect=before), has_events=True))
        return stored

    def record(
        self,
        run_id: str,
        at: datetime,
        events: Sequence[EventData],
        *,
        expect: int | None = None,
        release: Sequence[str] = (),
        forget: Sequence[str] = (),
        open_only: bool = True,
        word: str | None = None,
    ) -> list[Event]:
        record = partial(
            super().record, run_id, at, events, expect=expect, release=release, forget=forget
        )
        return self._write(partial(record, open_only=open_only, word=word))

    def hold(self, project: str, run_id: str, wait_s: float, window_s: float) -> None:
        self._write(partial(super().hold, project, run_id, wait_s, window_s))

    def set_halt(self, halt: Halt | None) -> None:
        self._write(partial(super().set_halt, halt))

    # --- against others -------------------------------------------------------

    def _write(
        self, work: Callable[[], _T], holder_of: str | None = None, *, waits: bool = False
    ) -> _T:
        """Do it, on what others wrote where they were quicker. What is refused is only
        believed of the newest state.

        `holder_of`: the run whose lease the write needs. Raises LeaseLost when what waited
        for that run was lost.
        """
        until = time.monotonic() + CONTENTION_S
        while True:
            if holder_of is not None:
                self._still(holder_of)
            try:
                with self.db.put_off(wanted=waits):
                    return work()
            except Overtaken:
                if time.monotonic() > until:
                    raise
                time.sleep(random.uniform(0.0, 0.02))  # noqa: S311 - only so that two do not keep in step
            except _REFUSALS:
                if not self.db.look() or time.monotonic() > until:
                    raise

    def _still(self, run_id: str) -> None:
        if run_id in self.db.lost:
            raise _lost(run_id)


def _lost(run_id: str) -> LeaseLost:
    return LeaseLost(
        f"the lease on run {run_id} is gone: somebody else wrote to it before what was seen was "
        f"stored",
        hint="the run is read again",
    )
