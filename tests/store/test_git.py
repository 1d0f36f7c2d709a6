"""What is particular to a store in Git: pushes that race or are lost, clocks that differ,
writes that wait.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.errors import LeaseLost, StoreError
from runner.execution.journal import read_run
from runner.model.events import (
    BatchAccepted,
    CancelRequested,
    JobPolled,
    Note,
    RunEnded,
    RunResumed,
)
from runner.ports.store import JournalMoved, LeaseHeld, RateFull
from runner.store.gitref import mirror
from runner.store.gitref.errors import RefUnreachable
from runner.store.gitref.store import GitStore
from runner.store.sql import SqlStore
from tests.execution.memory_cloud import MemoryCloud, VirtualClock
from tests.execution.setup import Bench, schedule_of
from tests.git_server import GitServer, bare, serve
from tests.journal import fields_of
from tests.store.kit import (
    AT,
    NOTE,
    PROJECT,
    TTL,
    Clock,
    Place,
    asked,
    begun,
    git_store,
    intent,
    leased,
    owner,
    told,
)

SEEN = (JobPolled(1, {}),)
INTENDED = (asked(),)


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """A store in a bare repository on this disk."""
    place = Place(bare(tmp_path / "store.git"))
    with place.stack:
        yield place


@pytest.fixture
def host(tmp_path: Path) -> Any:
    """A Git host over HTTP."""
    with serve(tmp_path / "host") as host:
        yield host


def at(
    host: GitServer, tmp_path: Path, clock: Callable[[], float] | None = None, **patience: float
) -> SqlStore:
    """A store of a repository of that host, made where there is none."""
    url = f"git+{host.url}/s.git" if (host.root / "s.git").is_dir() else host.make("s.git")
    return git_store(url, tmp_path / "state", clock or Clock(), **patience)


def commits(place: Place) -> int:
    out = git(place, "rev-list", "--count", "refs/reboot-runner/store")
    return int(out)


def git(place: Place, *arguments: str) -> str:
    folder = place.url.removeprefix("git+file://")
    return subprocess.run(
        ["git", "-C", folder, *arguments], check=True, capture_output=True, text=True
    ).stdout


# --- pushes -------------------------------------------------------------------


def test_a_push_whose_answer_is_lost_is_stored_once(host: GitServer, tmp_path: Path) -> None:
    """The repository took it, the answer never came: the ref tells, and nothing is
    written twice.
    """
    with closing(at(host, tmp_path)) as store:
        host.cuts = 1
        lease = leased(store)
        for cuts in (1, 2, 3):
            host.cuts = cuts
            store.append(lease, AT, INTENDED, intent=intent([f"s{cuts}"]))
        assert told(store, "r1") == [
            (1, "run.created"),
            *((n, "batch.intended") for n in (2, 3, 4)),
        ]
    with closing(at(host, tmp_path)) as other:
        assert told(other, "r1") == [
            (1, "run.created"),
            *((n, "batch.intended") for n in (2, 3, 4)),
        ]
        assert set(other.spent("c1", PROJECT)) == {"s1", "s2", "s3"}


def test_a_push_that_is_lost_is_offered_again(host: GitServer, tmp_path: Path) -> None:
    """The repository never saw it: the same commit is pushed again, once."""
    with closing(at(host, tmp_path)) as store:
        host.losses = 2
        lease = leased(store)
        host.losses = 2
        store.append(lease, AT, INTENDED, intent=intent(["s1"]))
        assert told(store, "r1") == [(1, "run.created"), (2, "batch.intended")]


def test_a_push_is_known_as_stored_under_later_ones(host: GitServer, tmp_path: Path) -> None:
    """The answer is lost, and before anybody looks another process has written on top of it."""
    with closing(at(host, tmp_path)) as store, closing(at(host, tmp_path)) as other:
        lease = leased(store)
        fetch = store.db.remote.fetch  # type: ignore[attr-defined]

        def after_another(*arguments: Any, **named: Any) -> Any:
            store.db.remote.fetch = fetch  # type: ignore[attr-defined]
            other.record("r1", AT, [CancelRequested("ann", "incident")])
            return fetch(*arguments, **named)

        store.db.remote.fetch = after_another  # type: ignore[attr-defined]
        host.cuts = 1
        store.append(lease, AT, INTENDED, expect=1, intent=intent(["s1"]))
        assert told(store, "r1") == [
            (1, "run.created"),
            (2, "batch.intended"),
            (3, "cancel.requested"),
        ]


def test_nobody_knows_what_became_of_a_push(host: GitServer, tmp_path: Path) -> None:
    """Neither answer nor ref can be had for long: it is said so, and the journal tells later."""
    with closing(at(host, tmp_path, patience_s=0.1)) as store:
        lease = leased(store)
        url, fetch = store.db.remote.address.url, store.db.remote.fetch  # type: ignore[attr-defined]

        def no_network(*_: Any, **__: Any) -> None:
            host.answer = 503
            raise RefUnreachable("the network is gone")

        host.cuts, store.db.remote.fetch = 1, no_network  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match="may be stored or not") as unknown:
            store.append(lease, AT, INTENDED, expect=1, intent=intent(["s1"]))
        assert unknown.value.hint is not None
        assert url not in str(unknown.value)
        host.answer, store.db.remote.fetch = None, fetch  # type: ignore[attr-defined]
        assert told(store, "r1") == [(1, "run.created"), (2, "batch.intended")]
        with pytest.raises(JournalMoved):
            store.append(lease, AT, INTENDED, expect=1, intent=intent(["s2"]))


def test_two_runners_race_over_http(host: GitServer, tmp_path: Path) -> None:
    """Both write to one run and to their own, with answers lost: no event is lost, none is
    there twice.
    """
    host.cut = 0.2
    with closing(at(host, tmp_path)) as store:
        begun(store, "both")
        errors: list[BaseException] = []

        def work(me: int) -> None:
            try:
                with closing(at(host, tmp_path)) as mine:
                    lease = leased(mine, f"r{me}")
                    for n in range(3):
                        mine.record("both", AT, [Note(f"{me} {n}")])
                        mine.append(lease, AT, INTENDED, intent=intent([f"{me}-{n}"], batch=n))
            except BaseException as error:
                errors.append(error)
                raise

        threads = [threading.Thread(target=work, args=(me,)) for me in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        events = store.events("both")
        assert [e.seq for e in events] == list(range(1, 8))
        facts = [tuple(map(int, fields_of(e)["text"].split())) for e in events[1:]]
        assert sorted(facts) == [(me, n) for me in (1, 2) for n in range(3)]
        assert [n for me, n in facts if me == 1] == [0, 1, 2], (
            "in the order in which they were written"
        )
        assert len(store.spent("c1", PROJECT)) == 6


# --- clocks -------------------------------------------------------------------


def test_a_lease_runs_by_the_clock_of_who_watches(place: Place) -> None:
    """However wrong the holder's clock is: nobody takes over before having seen the lease
    unchanged for its length.
    """
    holder, watcher = Clock(), Clock()
    holder.step(-365 * 86_400)
    first, second = place.open(holder), place.open(watcher)
    lease = leased(first)
    for renew in (lambda: first.touch(lease), lambda: first.append(lease, AT, NOTE)):
        with pytest.raises(LeaseHeld) as held:
            second.take("r1", owner(2), TTL)
        assert held.value.until == watcher() + TTL
        watcher.step(TTL - 1)
        holder.step(1)
        renew()
    with pytest.raises(LeaseHeld) as held:
        second.take("r1", owner(2), TTL)
    assert held.value.until == watcher() + TTL, "it was renewed, so its time begins anew"
    watcher.step(TTL - 1)
    second.record("r1", AT, NOTE)  # a write by others is no renewal
    watcher.step(1)
    assert second.take("r1", owner(2), TTL).fence == 2
    with pytest.raises(LeaseLost):
        first.append(lease, AT, INTENDED, intent=intent(["s1"]))


def test_a_new_process_believes_no_lease_to_be_over(place: Place) -> None:
    """What somebody else's clock has written says nothing: a new process begins to watch
    when it comes.
    """
    holder = Clock()
    leased(place.open(holder))
    place.clock.step(10 * 86_400)
    late = place.open()
    assert late.due() == []
    assert late.watched_s() == TTL
    place.clock.step(TTL)
    assert [r.id for r in late.due()] == ["r1"]
    assert late.watched_s() is None


def test_who_renews_is_not_waited_for(place: Place) -> None:
    """A process that stays to see whether a holder lives leaves as soon as it does."""
    holder = Clock()
    store, late = place.open(holder), place.open()
    lease = leased(store)
    assert late.watched_s() == TTL
    place.clock.step(15)
    assert late.watched_s() == TTL - 15
    holder.step(15)
    store.touch(lease)
    assert late.watched_s() is None


@pytest.mark.parametrize("wrong_by", [-59.0, 59.0, -86_400.0])
def test_the_budget_holds_between_wrong_clocks(place: Place, wrong_by: float) -> None:
    """A reservation counts from when it is first seen: clocks a minute apart, or the
    reader's far behind, keep it.
    """
    other = Clock()
    other.step(wrong_by)
    first, second = place.open(), place.open(other)
    lease, theirs = leased(first, "r1"), leased(second, "r2")
    first.append(lease, AT, INTENDED, intent=intent(["s1", "s2"], per_window=2))
    with pytest.raises(RateFull) as full:
        second.append(theirs, AT, INTENDED, intent=intent(["s3"], per_window=2))
    assert full.value.wait_s == 60.0
    other.step(60.0)
    second.touch(theirs)
    second.append(theirs, AT, INTENDED, intent=intent(["s3"], per_window=2))


def test_short_lived_processes_find_room_again(place: Place) -> None:
    """Ticks that live for a moment each: what was reserved a while ago does not hold
    any of them.
    """
    lease = leased(place.open())
    place.open().append(lease, AT, INTENDED, intent=intent(["s1", "s2"], per_window=2))
    for _ in range(3):
        place.clock.step(30)
        tick = place.open()
        tick.touch(lease)
        with pytest.raises(RateFull):
            tick.append(lease, AT, INTENDED, intent=intent(["s3"], per_window=2))
    place.clock.step(30)
    tick = place.open()
    tick.touch(lease)
    tick.append(lease, AT, INTENDED, intent=intent(["s3"], per_window=2))


# --- writes that wait ---------------------------------------------------------


def test_looking_often_pushes_nothing(place: Place) -> None:
    """A holder that comes back soon and sees nothing new keeps its lease without a push,
    for a third of its time.
    """
    store, other = place.open(), place.open()
    lease = leased(store)
    before = commits(place)
    for _ in range(3):
        store.give_back(lease, place.clock.now + 5)
        assert store.find("r1").owner is None
        with pytest.raises(LeaseHeld):
            other.take("r1", owner(2), TTL)
        place.clock.step(5)
        lease = store.take("r1", owner(1), TTL)
    assert commits(place) == before
    place.clock.step(10)
    store.touch(lease)
    assert commits(place) == before + 1
    assert other.find("r1").fence == lease.fence == 4


def test_what_was_seen_goes_with_the_next_push(place: Place) -> None:
    """Observations wait for the intent, and are before it in the same commit; at the latest
    they go when it is given back.
    """
    store, other = place.open(), place.open()
    lease = leased(store)
    before = commits(place)
    store.append(lease, AT, SEEN)
    assert told(store, "r1")[1:] == [(2, "job.polled")]
    assert told(other, "r1")[1:] == []
    store.append(lease, AT, INTENDED, expect=2, intent=intent(["s1"]))
    assert told(other, "r1")[1:] == [(2, "job.polled"), (3, "batch.intended")]
    assert commits(place) == before + 1
    store.append(lease, AT, SEEN)
    store.give_back(lease, place.clock.now + 5)
    assert told(other, "r1")[3:] == [(4, "job.polled")]
    assert (other.find("r1").owner, store.find("r1").owner) == (owner(), None), "it comes back soon"
    assert commits(place) == before + 2
    store.give_back(store.take("r1", owner(), TTL), place.clock.now + 500)
    assert other.find("r1").owner is None
    assert commits(place) == before + 3


def test_what_waits_survives_writes_to_other_runs(place: Place) -> None:
    """Somebody else pushes meanwhile: it is done again on top of that."""
    store, other = place.open(), place.open()
    lease = leased(store)
    store.append(lease, AT, SEEN)
    begun(other, "r2")
    assert store.find("r2").id == "r2"
    store.append(lease, AT, SEEN, expect=2)
    store.touch(lease)
    assert told(other, "r1")[1:] == [(2, "job.polled"), (3, "job.polled")]


def test_a_holder_is_told_when_what_waited_is_lost(place: Place) -> None:
    """A person decides in between: nothing can be appended, or read on, before the run was
    read anew.
    """
    store, other = place.open(), place.open()
    lease = leased(store)
    store.append(lease, AT, SEEN, expect=1)
    other.record("r1", AT, [CancelRequested("ann", "incident")])
    for call in (
        lambda: store.append(lease, AT, INTENDED, expect=2, intent=intent(["s1"])),
        lambda: store.append(lease, AT, SEEN, expect=2),
        lambda: store.events("r1", after=2),
        lambda: store.touch(lease),
        lambda: store.give_back(lease, None),
    ):
        with pytest.raises(LeaseLost):
            call()
    assert store.spent("c1", PROJECT) == {}
    assert told(store, "r1")[1:] == [(2, "cancel.requested")]
    again = store.take("r1", owner(2), TTL)
    store.append(again, AT, SEEN, expect=2)


def test_a_run_is_driven_to_its_end_beside_somebody_who_writes(place: Place) -> None:
    """The driver reads the run anew whenever what it saw was overtaken; each server
    goes down once.
    """
    clock = VirtualClock()
    cloud = MemoryCloud.of(6, clock)
    store, other = place.open(clock.seconds), place.open(clock.seconds)
    bench = Bench(cloud, store, clock)
    run_id = bench.start(schedule_of([2, 4]))
    append, disturbed = store.append, []

    def disturbing(*arguments: Any, **named: Any) -> Any:
        stored = append(*arguments, **named)
        if (
            stored[0].type in ("wave.checked", "servers.observed")
            and stored[0].type not in disturbed
        ):
            disturbed.append(stored[0].type)
            other.record(run_id, clock.now(), [RunResumed()])
        return stored

    store.append = disturbing  # type: ignore[method-assign]
    driver = bench.driver(run_id)
    for _ in range(5):
        try:
            run = bench.follow(run_id, driver)
            break
        except LeaseLost:
            continue
    assert disturbed == ["wave.checked", "servers.observed"]
    assert not run.is_open
    assert {s.outcome.value for s in read_run(other, run_id).servers.values() if s.outcome} == {
        "ready"
    }
    assert sorted(r.server for r in cloud.reboots) == sorted(cloud.servers)


# --- a bounded tree -----------------------------------------------------------


def test_runs_that_ended_leave_the_tree_and_stay_readable(place: Place) -> None:
    """Only the newest ones' events are fetched with the ref; those of older ones come from
    its history.
    """
    store = place.open()
    last = mirror.KEPT_CLOSED + 2
    for n in range(last + 1):
        lease = leased(store, f"202611{n:02}-x")
        store.append(lease, AT, INTENDED, intent=intent([f"s{n}"], cycle=f"c{n}"))
        store.append(
            lease,
            AT,
            [RunEnded("done", "AllWavesDone")],
            release=[f"s{n}"],
            word="done",
            close=True,
        )
    names = git(place, "ls-tree", "-r", "--name-only", "refs/reboot-runner/store").split()
    assert "archive/202611/20261100-x.json" in names
    assert not [n for n in names if n.startswith("runs/20261100-x")]
    assert len([n for n in names if n.endswith(".jsonl")]) <= mirror.KEPT_CLOSED + 1
    other = place.open()
    assert other.find("20261100-x").word == "done"
    assert other.spent("c0", PROJECT) == {"s0": "20261100-x"}
    assert len(other.db.execute("select * from event where run = '20261100-x'")) == 0
    whole = [(1, "run.created"), (2, "batch.intended"), (3, "run.ended")]
    assert told(other, "20261100-x") == told(store, "20261100-x") == whole
    other.record("20261100-x", AT, [BatchAccepted(1, "j", late=True)], open_only=False)
    for reader in (store, other, place.open()):
        assert told(reader, "20261100-x") == [*whole, (4, "batch.accepted")]


def test_long_journals_are_cut_into_files(place: Place) -> None:
    """An append writes a small file, however long the journal is; all of it is read back."""
    store = place.open()
    lease = leased(store)
    for _ in range(4):
        store.append(lease, AT, [Note("x" * 40_000)])
    sizes = [
        int(line.split()[3])
        for line in git(
            place, "ls-tree", "-r", "-l", "refs/reboot-runner/store", "runs/r1/events/"
        ).splitlines()
    ]
    assert len(sizes) == 2
    assert max(sizes) < 110_000
    assert len(place.open().events("r1")) == 5


def test_a_store_is_a_git_store(place: Place) -> None:
    """What the tests use is what `open_store` gives."""
    assert isinstance(place.open(), GitStore)
