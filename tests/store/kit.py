"""Stores for tests: both real back ends, a clock that is set by hand, short ways to make
runs and intents.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.model.events import (
    BatchIntended,
    Ended,
    EventData,
    Note,
    Outcome,
    RunCreated,
    ServersEnded,
)
from runner.model.owner import Owner
from runner.ports.store import Intent, Lease, NewRun
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.execution.setup import schedule_of

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
PROJECT = "0" * 32
TTL = 60.0


SCHEDULE = schedule_of([1])


class Clock:
    """Seconds since the epoch, moved by hand. Steps that are multiples of 1/1024 are exact."""

    def __init__(self) -> None:
        self.now = AT.timestamp()

    def __call__(self) -> float:
        return self.now

    def step(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Place:
    """Where a store is: every `open` is another connection, as another process would have it."""

    url: str
    clock: Clock = field(default_factory=Clock)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def is_postgres(self) -> bool:
        return self.url.startswith("postgresql:")

    @property
    def is_git(self) -> bool:
        return self.url.startswith("git+")

    @property
    def folder(self) -> Path:
        """Where a process at a store in Git keeps its clone."""
        return Path(self.url.removeprefix("git+file://")).parent / "state"

    def open(self, clock: Callable[[], float] | None = None, **patience: float) -> SqlStore:
        """A store on the clock of this place, or on `clock`; closed at the end of the test."""
        clock = clock or self.clock
        if self.is_postgres:
            from runner.store.postgres import Postgres

            store = SqlStore(Postgres(self.url, clock, **patience))
        elif self.is_git:
            store = git_store(self.url, self.folder, clock, **patience)
        else:
            store = SqlStore(Sqlite(Path(self.url.removeprefix("sqlite:///")), clock, **patience))
        self.stack.callback(store.close)
        return store

    def work(self, *arguments: str) -> subprocess.Popen[str]:
        """Another process at this store (`tests.store.work`), on real time."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.work", self.url, str(self.folder), *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.stack.callback(_end, process)
        return process


def git_store(url: str, folder: Path, clock: Callable[[], float], **patience: float) -> SqlStore:
    """A store in Git that sees at once what others have written: no write takes less
    than its 2 ms.
    """
    from runner.store.gitref.address import Address
    from runner.store.gitref.dialect import Git
    from runner.store.gitref.remote import Remote
    from runner.store.gitref.store import GitStore

    return GitStore(
        Git(Remote(Address.read(url, os.environ), folder), clock, fresh_s=0.002, **patience)
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def owner(pid: int = 1, host: str = "here") -> Owner:
    """A process of another machine: nobody can prove that it is dead."""
    return Owner(host, pid, boot=f"boot of {host}", namespace="pid:[1]", started="1")


def new_run(
    run_id: str = "r1", plan: str = "web", cycle: str = "c1", created: datetime = AT
) -> NewRun:
    return NewRun(run_id, plan, f"sha256:plan-{plan}", f"sha256:schedule-{run_id}", cycle, created)


def begun(store: SqlStore, run_id: str = "r1", plan: str | None = None, **more: Any) -> str:
    """A run of a plan of its own; returns its id."""
    store.create(new_run(run_id, plan or f"plan-of-{run_id}", **more), RunCreated(SCHEDULE))
    return run_id


def leased(store: SqlStore, run_id: str = "r1", pid: int = 1) -> Lease:
    """A new run and its lease."""
    return store.take(begun(store, run_id), owner(pid), TTL)


def intent(
    servers: Iterable[str], *, batch: int = 1, cycle: str = "c1", per_window: int = 1000
) -> Intent:
    return Intent(PROJECT, cycle, batch, tuple(servers), per_window)


def told(store: SqlStore, run_id: str) -> list[tuple[int, str]]:
    """The journal as sequence and type."""
    return [(e.seq, e.type) for e in store.events(run_id)]


NOTE: Sequence[EventData] = (Note(""),)


def asked(*servers: str, batch: int = 1) -> BatchIntended:
    return BatchIntended(batch, 1, "t", servers)


def ended(*servers: str) -> ServersEnded:
    return ServersEnded(dict.fromkeys(servers, Ended(Outcome.READY, "Rebooted")))
