"""What a store is: journals, leases, claims, rate reservations and the halt flag.

The only mutable rows are the run (fence, owner, expiry, due, sequence), claims and rate
reservations; events are append-only. Commands need the fence, facts never do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runner.errors import Held, StoreError
from runner.model.events import Event, EventData, RunCreated
from runner.model.owner import Owner


class LeaseHeld(Held):
    """Another process holds the run. `until` is the store's time, in seconds since the epoch."""

    def __init__(self, owner: Owner | None, until: float) -> None:
        super().__init__(f"held by {owner}" if owner else "held by another process")
        self.owner = owner
        self.until = until


class RunExists(Held):
    """An open run of the same plan is in the store."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} of this plan is open")
        self.run_id = run_id


class RunNotFound(StoreError):
    """No run has this id, prefix or plan name; or a prefix fits several."""


class JournalMoved(StoreError):
    """Somebody (approve, cancel) appended since the journal was read: read it again."""


class Halted(StoreError):
    """The halt flag is set."""


class RateFull(StoreError):
    """The target's servers of the last minute leave no room. `wait_s`: seconds of the
    store's clock until they do.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"rate budget full for {wait_s:.1f} s")
        self.wait_s = wait_s


class Taken(StoreError):
    """Servers of an intent that are not free: in flight in another run, or rebooted in
    this cycle.
    """

    def __init__(self, claimed: Mapping[str, str], spent: Mapping[str, str]) -> None:
        super().__init__("servers are taken")
        self.claimed = claimed
        self.spent = spent


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the store lists it. `lease_until` and `due` are seconds since the epoch of the
    store's clock.

    `clock` and `booted`: the id of the holder's boot-time clock, and when that was 0 by the
    holder's wall clock. They are set where each process counts by its own wall clock, and
    tell processes of the same boot when the lease ends.
    """

    id: str
    plan: str
    plan_digest: str
    schedule_digest: str
    cycle: str
    word: str
    is_open: bool
    created: datetime
    fence: int
    owner: Owner | None
    lease_until: float
    due: float
    seq: int
    clock: str = ""
    booted: float = 0.0


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is stored when a run is created."""

    id: str
    plan: str
    plan_digest: str
    schedule_digest: str
    cycle: str
    created: datetime


@dataclass(slots=True)
class Lease:
    """The right to write a run's journal, until somebody else takes it. `ttl_s` is renewed
    by each write.
    """

    run_id: str
    fence: int
    owner: Owner
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Intent:
    """What an intent reserves: claims on servers of a project in a cycle, and room in the
    rate budget.

    `window_s`: the length of the budget's minute in the store's clock (shorter where
    simulated time runs faster). `repeats`: closed runs of the cycle that this one
    repeats, one after the other; what one of them asked for as the last run is free.
    """

    project: str
    cycle: str
    batch: int
    servers: tuple[str, ...]
    per_window: int
    window_s: float = 60.0
    repeats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Halt:
    """The flag that stops every run of a store before its next batch."""

    reason: str
    by: str
    at: datetime


class Store(Protocol):
    """See `store.sql` for the one implementation; SQLite, PostgreSQL and the ref of a Git
    repository share its text.
    """

    begun: bool
    """True if no run was in the store when this process opened it: it is new, or was emptied.
    What was rebooted in a cycle before is not known here then.
    """

    def create(self, run: NewRun, created: RunCreated) -> None:
        """Insert a run with its first event, at the time of its creation. Raises RunExists
        while a run of the same plan is open.
        """
        ...

    def find(self, text: str) -> RunRow:
        """By id, unique prefix of an id, or a plan's name (its latest run). Raises RunNotFound."""
        ...

    def runs(
        self, *, plan: str | None = None, open_only: bool = False, limit: int = 100
    ) -> list[RunRow]:
        """Newest first."""
        ...

    def due(self) -> list[RunRow]:
        """Open runs that are due and not held by a living process, longest due first."""
        ...

    def is_held(self, run: RunRow) -> bool:
        """Return whether the holder of a run's lease may go on with it."""
        ...

    def watched_s(self) -> float | None:
        """For how long this process has to stay to know whether the holder of a run that is
        due still lives.

        None where no run is in such doubt: where the store's clock tells, none ever is.
        Where there is no common clock, a lease is over once it was seen unchanged for its
        length; one that was renewed meanwhile is its holder's.
        """
        ...

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        """Return the run's events after a sequence number, in order. Raises StoreError for
        one that cannot be read.
        """
        ...

    def take(self, run_id: str, owner: Owner, ttl_s: float) -> Lease:
        """The lease of an open run. Raises LeaseHeld, RunNotFound."""
        ...

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
        """One transaction: fence, claims, rate, events; renews the lease. Returns the events
        as stored.

        `expect`: the sequence the caller has read up to. `release`: servers whose outcome
        is known; `forget`: servers that were provably not rebooted, so that the cycle is
        not spent for them. Raises LeaseLost, JournalMoved, Halted, RateFull, Taken (the
        last three only with an intent).
        """
        ...

    def touch(self, lease: Lease) -> None:
        """Renew the lease. Raises LeaseLost."""
        ...

    def give_back(self, lease: Lease, due: float | None) -> None:
        """End the lease; `due` is when the run wants to be advanced next. No error when it is
        lost already.

        A store may let the lease's writes wait until here, all but intents and job ids.
        Raises LeaseLost when they could not be stored, because somebody else wrote to the
        run in between: then it has to be read anew.
        """
        ...

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
        """A fact or a person's decision, without the lease. Makes the run due. Raises
        JournalMoved, RunNotFound.

        `word`: what the run's row says from now on.
        """
        ...

    def spent(self, cycle: str, project: str) -> dict[str, str]:
        """Server id -> run id: the servers that this cycle is spent for."""
        ...

    def hold(self, project: str, run_id: str, wait_s: float, window_s: float) -> None:
        """No room in the rate budget of a project before `wait_s` from now (at most
        `window_s`), for any run.

        For what the cloud itself says: its limit may be lower than the budget, or used by others.
        """
        ...

    def set_halt(self, halt: Halt | None) -> None: ...

    def halted(self) -> Halt | None: ...

    def now(self) -> float:
        """The store's clock, in seconds since the epoch."""
        ...

    def close(self) -> None: ...
