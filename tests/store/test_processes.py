"""Several processes at one store, and processes that are killed or frozen in the middle
of a write.
"""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import time
from collections.abc import Sequence

import pytest

from runner.errors import StoreError
from runner.ports.store import Intent
from runner.store.sql import SqlStore
from tests.journal import fields_of
from tests.store.kit import AT, NOTE, PROJECT, TTL, Place, begun, leased, owner, told

Process = subprocess.Popen[str]


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(processes: Sequence[Process]) -> None:
    """Let processes begin at one moment."""
    for process in processes:
        assert line(process) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def answers(processes: Sequence[Process]) -> list[list[str]]:
    """The last words of processes that have all succeeded, as lists of lines."""
    outs = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outs


def test_one_of_many_begins_a_plan(place: Place) -> None:
    """Of processes that begin the same plan at the same moment, in an empty store that they
    all make, one wins.

    The others are told its run.
    """
    processes = [place.work("create", "web") for _ in range(3)]
    go(processes)
    said = sorted(out[-1] for out in answers(processes))
    winner = place.open().find("web").id
    assert said == [f"created {winner}", *[f"exists {winner}"] * 2]


def test_no_event_is_lost_between_processes(place: Place) -> None:
    """Writers of one run, with and without the lease: the sequence has no gap and holds all
    that was acknowledged.
    """
    store = place.open(time.time)
    begun(store)
    processes = [place.work("contend", "r1", "4" if place.is_git else "30") for _ in range(3)]
    go(processes)
    counts = [[int(n) for n in out[-1].split()] for out in answers(processes)]
    events = store.events("r1")
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert len(events) == 1 + sum(map(sum, counts)) == store.find("r1").seq
    mine = [e for e in events if e.type == "note" and not fields_of(e)["text"].startswith("fact")]
    assert len(mine) == sum(appended for appended, _ in counts)
    assert all(int(fields_of(e)["text"].split()[1]) == e.seq - 1 for e in mine), (
        "written over something that was not read"
    )
    for fence, group in itertools.groupby(mine, key=lambda e: e.fence):
        assert len({fields_of(e)["text"].split()[0] for e in group}) == 1, (
            f"two processes wrote under fence {fence}"
        )
    assert [e.fence for e in mine] == sorted(e.fence for e in mine), (
        "an old holder wrote after a new one"
    )


def test_no_server_is_claimed_twice_and_no_window_overrun(place: Place) -> None:
    """Three runs that want the same servers: each gets each one once, never two at a time,
    and none too fast.
    """
    runs, servers, limit, window_s = (2, 8, 8, 0.5) if place.is_git else (3, 24, 16, 0.25)
    store = place.open(time.time)
    processes = [
        place.work("claim", begun(store, f"r{i}"), str(servers), str(limit), str(window_s))
        for i in range(runs)
    ]
    go(processes)
    spans = [(float(a), float(b), run, s) for run, out in enumerate(answers(processes)) for a, b, *ss in  # noqa: E501
             (row.split() for row in out) for s in ss]  # fmt: skip
    assert len(spans) == runs * servers
    by_server = sorted(spans, key=lambda span: (span[3], span[0]))
    for (_, end, _, server), (begin, _, _, next_server) in itertools.pairwise(by_server):
        assert server != next_server or end <= begin, f"{server} was in flight twice"
    made = store.db.execute("select at, count(*) from claim group by project, run, batch, at")
    for end, _ in made:
        assert sum(n for at, n in made if end - window_s < at <= end) <= limit


def test_a_killed_writer_leaves_a_whole_journal(place: Place) -> None:
    """Writers are killed at any instant: all that was acknowledged is there, nothing is
    half there, others go on.
    """
    store, chance = place.open(time.time), random.Random(7)
    runs = [f"r{i}" for i in range(2 if place.is_git else 3)]
    processes = {run: place.work("write", begun(store, run)) for run in runs}
    go(list(processes.values()))
    acknowledged = {}
    for run, process in processes.items():
        said = [line(process) for _ in range(chance.randrange(3, 10 if place.is_git else 40))]
        process.send_signal(signal.SIGKILL)
        said += process.communicate()[0].splitlines()
        acknowledged[run] = int(said[-1])
        if (
            place.is_git
        ):  # the intents, which have even numbers, are there; what was seen since may have waited
            acknowledged[run] -= acknowledged[run] % 2
    for run in runs:
        check_whole(store, run, acknowledged[run])
        lease = store.take(run, owner(), TTL)  # the holder is provably dead
        store.append(
            lease, AT, NOTE, intent=Intent(PROJECT, "c1", 1, (f"{run}-new",), 10_000_000, 0.001)
        )


def check_whole(store: SqlStore, run: str, acknowledged: int) -> None:
    """The journal has all that was acknowledged, and claims say the same as events."""
    events = store.events(run)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert acknowledged <= len(events) == store.find(run).seq
    intended = {s for e in events if e.type == "batch.intended" for s in fields_of(e)["servers"]}
    ended = {s for e in events if e.type == "servers.ended" for s in fields_of(e)["servers"]}
    claims = dict(
        store.db.execute("select server, released is not null from claim where run = ?", (run,))
    )
    assert set(claims) == intended
    assert {server for server, released in claims.items() if released} == ended


def test_a_frozen_writer_does_not_hang_the_others(place: Place) -> None:
    """While a process is stopped in the middle of a write, others are told so after a while,
    and still can read.

    In Git nobody waits for anybody: others write on, and the frozen write would be refused.
    """
    store = place.open(patience_s=0.1)
    lease = leased(store)
    process = place.work("hold_on", "r1")
    assert line(process) == "inside"
    if not place.is_git:
        with pytest.raises(StoreError) as error:
            store.append(lease, AT, NOTE)
        assert error.value.hint is not None
        assert "stopped" in error.value.hint
    assert told(store, "r1") == [(1, "run.created")]
    process.kill()
    process.wait()
    place.open().append(lease, AT, NOTE)
    assert place.open().find("r1").word == "running"
