"""Another process at a store: `python -m tests.store.work URL WHAT …`. Its answers are lines on stdout."""

from __future__ import annotations

import os
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from runner.errors import LeaseLost
from runner.model.run import Event
from runner.ports.store import Intent, JournalMoved, Lease, LeaseHeld, NewRun, RateFull, RunExists, Taken
from runner.store.open import open_store
from runner.store.owner import this_process
from runner.store.sql import SqlStore

PROJECT = "0" * 32


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - the answer to the test


def ready() -> None:
    """Tell the test that the work can begin, and wait for its word: all processes begin together."""
    say("ready")
    sys.stdin.readline()


def now() -> datetime:
    return datetime.now(UTC)


def take(store: SqlStore, run_id: str) -> None:
    """Hold a run until killed."""
    store.take(run_id, this_process(), 3600.0)
    say("taken")
    sys.stdin.read()


def create(store: SqlStore, plan: str) -> None:
    """Begin a run of a plan at the same moment as others; says who won."""
    ready()
    run = NewRun(f"run-{os.getpid()}", plan, "p", "s", "c", now())
    try:
        store.create(run, Event("run.created", {}, run.created))
    except RunExists as other:
        say("exists", other.run_id)
    else:
        say("created", run.id)


def contend(store: SqlStore, run_id: str, times: str) -> None:
    """Take and give back one run, write under the lease, and record without it; says how much was written."""
    ready()
    appended = recorded = 0
    while appended < int(times):
        try:
            lease = store.take(run_id, this_process(), 60.0)
        except LeaseHeld:
            time.sleep(0.001)
            continue
        try:
            for _ in range(5):
                before = store.events(run_id)[-1].seq
                store.append(lease, now(), [("mine", {"pid": os.getpid(), "before": before})], expect=before)
                appended += 1
        except JournalMoved:
            pass
        finally:
            store.give_back(lease, 0.0)
        store.record(run_id, now(), [("fact", {"pid": os.getpid()})])
        recorded += 1
    say(appended, recorded)


def claim(store: SqlStore, run_id: str, servers: str, limit: str, window_s: str) -> None:
    """Ask for random servers again and again under a rate budget; says each claim, and each release before it is made.

    The lines are the witness: a server that two processes have between `+` and `-` at one time was claimed twice.
    """
    ready()
    chance = random.Random(run_id)
    lease = store.take(run_id, this_process(), 60.0)
    wanted = [f"s{i}" for i in range(int(servers))]
    for batch in range(1, 10_000):
        free = [s for s in wanted if chance.random() < 0.5][:4]
        if not free:
            if not wanted:
                return
            continue
        try:
            store.append(lease, now(), [("batch.intended", {"servers": free})],
                         intent=Intent(PROJECT, "c1", batch, tuple(free), int(limit), float(window_s)))  # fmt: skip
        except RateFull as full:
            time.sleep(min(full.wait_s, 0.02))
        except Taken as taken:
            gone = {*taken.claimed, *taken.spent}
            wanted = [s for s in wanted if s not in taken.spent]
            assert gone
        else:
            say("+", time.time(), *free)
            say("-", time.time(), *free)
            store.append(lease, now(), [("servers.ended", {"servers": free})], release=free)
            wanted = [s for s in wanted if s not in free]


def write(store: SqlStore, run_id: str) -> None:
    """Write without end: intents of three servers, then their outcome; says each sequence number once it is durable."""
    ready()
    lease = store.take(run_id, this_process(), 60.0)
    for batch in range(1, 1_000_000):
        say(store.append(lease, now(), *_intended(batch), intent=_intent(batch))[-1].seq)
        say(store.append(lease, now(), [("servers.ended", {"batch": batch})], release=_servers(batch))[-1].seq)


def _servers(batch: int) -> tuple[str, ...]:
    return tuple(f"s-{batch}-{i}" for i in range(3))


def _intended(batch: int) -> tuple[list[tuple[str, dict[str, object]]]]:
    return ([("batch.intended", {"batch": batch, "servers": list(_servers(batch)), "text": "x" * 500})],)


def _intent(batch: int) -> Intent:
    return Intent(PROJECT, "c1", batch, _servers(batch), 10_000_000, 0.001)


def hold_on(store: SqlStore, run_id: str) -> None:
    """Stop in the middle of a write, until killed: a process that was frozen there."""
    with store.db.transaction():
        store.db.execute("update run set word = 'frozen' where id = ?", (run_id,))
        say("inside")
        sys.stdin.read()


def lose(store: SqlStore, run_id: str) -> None:
    """Write under a lease of another's, until it is lost."""
    fence = int(sys.stdin.readline())
    lease = Lease(run_id, fence, this_process(), 60.0)
    try:
        store.append(lease, now(), [("zombie", {})])
    except LeaseLost:
        say("lost")
    else:
        say("written")


WORK = {f.__name__: f for f in (take, create, contend, claim, write, hold_on, lose)}

if __name__ == "__main__":
    url, what, *arguments = sys.argv[1:]
    WORK[what](open_store(url, Path()), *arguments)
