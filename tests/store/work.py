"""Another process at a store: `python -m tests.store.work URL FOLDER WHAT …`. Its answers
are lines on stdout.
"""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from runner.model.events import Note, RunCreated
from runner.ports.store import Intent, JournalMoved, LeaseHeld, NewRun, RateFull, RunExists, Taken
from runner.store.open import open_store
from runner.store.owner import this_process
from runner.store.sql import SqlStore
from tests.store.kit import SCHEDULE, asked, ended

PROJECT = "0" * 32


def say(*words: object) -> None:
    print(*words, flush=True)


def now() -> datetime:
    return datetime.now(UTC)


def take(store: SqlStore, run_id: str) -> None:
    """Hold a run until killed."""
    store.take(run_id, this_process(), 3600.0)
    say("taken")
    sys.stdin.read()


def create(store: SqlStore, plan: str) -> None:
    """Begin a run of a plan; says who won."""
    run = NewRun(f"run-{os.getpid()}", plan, "p", "s", "c", now())
    try:
        store.create(run, RunCreated(SCHEDULE))
    except RunExists as other:
        say("exists", other.run_id)
    else:
        say("created", run.id)


def contend(store: SqlStore, run_id: str, times: str) -> None:
    """Take and give back one run, write under the lease, and record without it; says how
    much was written.
    """
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
                store.append(lease, now(), [Note(f"{os.getpid()} {before}")], expect=before)
                appended += 1
        except JournalMoved:
            pass
        finally:
            store.give_back(lease, 0.0)
        store.record(run_id, now(), [Note(f"fact {os.getpid()}")])
        recorded += 1
    say(appended, recorded)


def claim(store: SqlStore, run_id: str, servers: str, limit: str, window_s: str) -> None:
    """Ask for each of the servers once, a few at a time, under a rate budget, until all
    were granted.

    Says when each claim was there, and when it was about to be released: a server that
    two processes have in such spans at one time was claimed twice. The cycle is the
    run's own, so that only flight makes servers rare.
    """
    chance = random.Random(run_id)
    lease = store.take(run_id, this_process(), 60.0)
    wanted = [f"s{i}" for i in range(int(servers))]
    batch = 0
    while wanted:
        batch += 1
        some = tuple(chance.sample(wanted, min(4, len(wanted))))
        intent = Intent(PROJECT, run_id, batch, some, int(limit), float(window_s))
        try:
            store.append(lease, now(), [asked(*some)], intent=intent)
        except RateFull as full:
            time.sleep(min(full.wait_s, 0.02))
        except Taken:
            time.sleep(0.001)
        else:
            began = time.time()
            time.sleep(0.002)
            say(began, time.time(), *some)
            store.append(lease, now(), [ended(*some)], release=some)
            wanted = [s for s in wanted if s not in some]


def write(store: SqlStore, run_id: str) -> None:
    """Write without end: intents of three servers, then their outcome; says each sequence
    number once it is durable.
    """
    lease = store.take(run_id, this_process(), 60.0)
    for batch in range(1, 1_000_000):
        servers = tuple(f"{run_id}-{batch}-{i}" for i in range(3))
        intent = Intent(PROJECT, "c1", batch, servers, 10_000_000, 0.001)
        say(store.append(lease, now(), [asked(*servers)], intent=intent)[-1].seq)
        say(store.append(lease, now(), [ended(*servers)], release=servers)[-1].seq)


def hold_on(store: SqlStore, run_id: str) -> None:
    """Stop in the middle of a write, until killed: a process that was frozen there."""
    with store.db.transaction():
        store.db.execute("update run set word = 'frozen' where id = ?", (run_id,))
        say("inside")
        sys.stdin.read()


TOGETHER = {f.__name__: f for f in (create, contend, claim, write)}
"""Work that several processes begin at one moment: none has opened the store before."""
ALONE = {f.__name__: f for f in (take, hold_on)}

if __name__ == "__main__":
    url, folder, what, *arguments = sys.argv[1:]
    if what in TOGETHER:
        say("ready")
        sys.stdin.readline()
    with closing(open_store(url, Path(folder))) as opened:
        (TOGETHER | ALONE)[what](opened, *arguments)
