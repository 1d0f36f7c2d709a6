"""Leases: one holder a run, renewed by its writes, taken over when it is dead or silent."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import Exit, LeaseLost
from runner.model.events import ApprovalGiven
from runner.ports import BootClock
from runner.ports.store import LeaseHeld
from runner.store.open import open_store
from runner.store.owner import boot_clock, is_provably_dead, this_process
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.store.kit import AT, NOTE, TTL, Clock, Place, asked, begun, intent, leased, owner, told


def test_one_holder_at_a_time(store: SqlStore) -> None:
    """A second process is refused, with the holder's name and until when; the exit code
    says held.
    """
    leased(store, pid=4711)
    with pytest.raises(LeaseHeld, match="process 4711 on here") as held:
        store.take("r1", owner(2), TTL)
    assert held.value.owner == owner(4711)
    assert held.value.until == store.now() + TTL
    assert held.value.exit_code == Exit.HELD
    assert store.due() == []


def test_a_holder_is_refused_too(store: SqlStore) -> None:
    """The process that holds a run cannot take it again: two advances of one run never run
    side by side.
    """
    leased(store)
    with pytest.raises(LeaseHeld):
        store.take("r1", owner(), TTL)


def test_an_expired_lease_is_taken_over(place: Place, store: SqlStore) -> None:
    """Not before its last instant, but then: and from there on the old holder's writes fail."""
    old = leased(store)
    place.clock.step(TTL - 1 / 1024)
    with pytest.raises(LeaseHeld):
        store.take("r1", owner(2), TTL)
    place.clock.step(1 / 1024)
    assert [r.id for r in store.due()] == ["r1"]
    new = store.take("r1", owner(2), TTL)
    assert new.fence == old.fence + 1
    for write in (lambda: store.append(old, AT, NOTE), lambda: store.touch(old)):
        with pytest.raises(LeaseLost):
            write()
    store.append(new, AT, NOTE)
    assert told(store, "r1") == [(1, "run.created"), (2, "note")]
    assert store.events("r1")[-1].fence == new.fence


def test_each_write_renews(place: Place, store: SqlStore) -> None:
    """An append and a touch give the holder its full time again, counted from then."""
    lease = leased(store)
    for renew in (lambda: store.append(lease, AT, NOTE), lambda: store.touch(lease)):
        place.clock.step(TTL - 1)
        renew()
        assert store.find("r1").lease_until == place.clock.now + TTL


def test_a_late_holder_may_write_facts_but_no_intent(place: Place, store: SqlStore) -> None:
    """When the lease has run out and nobody has taken it, what was seen is still written;
    nothing new is begun.
    """
    lease = leased(store)
    place.clock.step(TTL + 1)
    with pytest.raises(LeaseLost):
        store.append(lease, AT, [asked()], intent=intent(["s1"]))
    assert store.spent("c1", "0" * 32) == {}
    store.append(lease, AT, NOTE)
    store.append(lease, AT, [asked()], intent=intent(["s1"]))
    assert told(store, "r1")[1:] == [(2, "note"), (3, "batch.intended")]


def test_a_lease_given_back_is_free(place: Place, store: SqlStore) -> None:
    """The next process can take it at once; `due` is when the run is listed again."""
    lease = leased(store)
    store.give_back(lease, place.clock.now + 300)
    row = store.find("r1")
    assert (row.owner, row.lease_until, row.due) == (None, 0.0, place.clock.now + 300)
    assert store.due() == []
    place.clock.step(300)
    assert [r.id for r in store.due()] == ["r1"]
    assert store.take("r1", owner(2), TTL).fence == lease.fence + 1


def test_giving_back_without_a_time_leaves_the_time(place: Place, store: SqlStore) -> None:
    """A process that could not go on does not change when the run wants to be advanced."""
    due = place.clock.now + 300
    store.give_back(leased(store), due)
    store.give_back(store.take("r1", owner(2), TTL), None)
    assert store.find("r1").due == due


def test_a_stale_holder_gives_nothing_back(place: Place, store: SqlStore) -> None:
    """Who has lost the lease ends nobody else's, and moves no due time."""
    old = leased(store)
    place.clock.step(TTL)
    store.take("r1", owner(2), TTL)
    before = store.find("r1")
    store.give_back(old, 0.0)
    assert store.find("r1") == before


def test_a_dead_process_of_this_machine_is_replaced_at_once(place: Place) -> None:
    """A holder that was killed does not make the next one wait for its lease to run out."""
    store = place.open()
    begun(store)
    process = place.work("take", "r1")
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    with pytest.raises(LeaseHeld) as held:
        store.take("r1", this_process(), TTL)
    assert held.value.owner is not None
    assert held.value.owner.pid == process.pid
    process.kill()
    process.wait()
    assert [r.id for r in store.due()] == ["r1"]
    assert store.take("r1", this_process(), TTL).fence == 2


def test_death_is_proven_only_here_and_now() -> None:
    """Only for this boot and pid namespace a pid says anything; a pid that is another
    process now is a death.
    """
    me = this_process()
    assert not is_provably_dead(me)
    assert is_provably_dead(replace(me, started="1"))
    for elsewhere in (
        {"boot": "other"},
        {"namespace": "pid:[1]"},
        {"boot": ""},
        {"started": ""},
        {"namespace": ""},
    ):
        assert not is_provably_dead(replace(me, pid=2**22 + 1, **elsewhere))
    assert is_provably_dead(replace(me, pid=2**22 + 1))


def test_runs_are_due_longest_first(place: Place, store: SqlStore) -> None:
    """The run that has waited longest comes first; those whose time has not come are not listed."""
    for name, after in (("a", 20), ("b", 10), ("c", 50)):
        store.give_back(leased(store, name), place.clock.now + after)
    place.clock.step(30)
    assert [r.id for r in store.due()] == ["b", "a"]


def test_no_decision_is_slept_through(place: Place, store: SqlStore) -> None:
    """What is recorded while a process holds the run makes it due at once, whatever the
    process says when it leaves.
    """
    lease = leased(store)
    store.record("r1", AT, [ApprovalGiven("pause:1", "ann")])
    store.give_back(lease, place.clock.now + 7 * 86_400)
    assert [r.id for r in store.due()] == ["r1"]
    next_one = store.take("r1", owner(2), TTL)
    store.give_back(next_one, place.clock.now + 7 * 86_400)
    assert store.due() == []


def test_the_boot_clock_is_one_for_all_processes_of_a_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the boot and counts on; where the kernel tells another time than the process
    sees, it has no name.
    """
    clock = boot_clock()
    assert clock.id.startswith(this_process().boot)
    assert clock.id == boot_clock().id
    before = clock.seconds()
    assert clock.seconds() >= before > 0
    monkeypatch.setattr(
        "runner.store.owner._read", lambda path: "12345678.90 1.0" if "uptime" in path else "x"
    )
    assert boot_clock().id == ""


@pytest.mark.parametrize("boot", ["this boot", "another boot", ""])
def test_a_clock_that_is_ahead_takes_no_lease_over(tmp_path: Path, boot: str) -> None:
    """Processes of one boot judge a lease by the boot-time clock as well; of others only
    the wall clocks are known.
    """
    clock, ahead, up = Clock(), Clock(), Clock()
    ahead.step(2 * TTL)
    up.now = 1000.0

    def opened(wall: Clock, name: str) -> SqlStore:
        return SqlStore(Sqlite(tmp_path / "runs.db", wall), boot=BootClock(name, up))

    with closing(opened(clock, "this boot")) as first, closing(opened(ahead, boot)) as second:
        old = leased(first)
        if boot != "this boot":
            assert second.take("r1", owner(2), TTL).fence == old.fence + 1
            return
        for moved in (clock, ahead, up):
            moved.step(TTL / 2)
        first.touch(old)
        for moved in (clock, ahead, up):
            moved.step(TTL - 1)
        assert (second.due(), second.is_held(second.find("r1"))) == ([], True)
        with pytest.raises(LeaseHeld):
            second.take("r1", owner(2), TTL)
        first.append(old, AT, [asked()], intent=intent(["s1"]))
        for moved in (clock, ahead, up):
            moved.step(TTL)
        assert [r.id for r in second.due()] == ["r1"]
        assert second.take("r1", owner(2), TTL).fence == old.fence + 1


def test_a_store_in_a_file_knows_this_boot(tmp_path: Path) -> None:
    """As commands open it, the lease of a process that lives holds for one whose wall clock
    is days ahead.
    """
    with closing(open_store("sqlite:///runs.db", tmp_path)) as first:
        leased(first)
        later = SqlStore(Sqlite(tmp_path / "runs.db", lambda: first.now() + 1e6), boot=boot_clock())
        with closing(later), pytest.raises(LeaseHeld):
            later.take("r1", owner(2), TTL)
