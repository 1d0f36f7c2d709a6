"""Claims and cycles: a server is in flight in one run, and asked for once in a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.model.events import BatchThrottled, EventData, RunEnded, ServerResolved
from runner.ports.store import Halt, Halted, RateFull, Taken
from runner.store.sql import SqlStore
from tests.store.kit import AT, NOTE, PROJECT, Place, asked, ended, intent, leased, told

INTENDED: Sequence[EventData] = (asked(),)


def test_a_server_is_in_flight_in_one_run(store: SqlStore) -> None:
    """An intent on a server that another run has in flight is refused, with that run's name."""
    store.append(leased(store, "r1"), AT, INTENDED, intent=intent(["s1", "s2"]))
    second = leased(store, "r2")
    with pytest.raises(Taken) as taken:
        store.append(second, AT, INTENDED, intent=intent(["s2", "s3"], cycle="another"))
    assert (taken.value.claimed, taken.value.spent) == ({"s2": "r1"}, {})
    store.append(second, AT, INTENDED, intent=intent(["s3"], cycle="another"))


def test_a_released_server_is_free_for_another_cycle_only(store: SqlStore) -> None:
    """With its outcome known a server may be asked for again, but not in the same cycle."""
    first = leased(store, "r1")
    store.append(first, AT, INTENDED, intent=intent(["s1", "s2"]))
    store.append(first, AT, [ended()], release=["s1", "s2"])
    second = leased(store, "r2")
    with pytest.raises(Taken) as taken:
        store.append(second, AT, INTENDED, intent=intent(["s1", "s9"]))
    assert (taken.value.claimed, taken.value.spent) == ({}, {"s1": "r1"})
    store.append(second, AT, INTENDED, intent=intent(["s1"], cycle="c2"))
    assert store.spent("c1", PROJECT) == {"s1": "r1", "s2": "r1"}
    assert store.spent("c2", PROJECT) == {"s1": "r2"}
    assert store.spent("c1", "1" * 32) == {}


def test_an_unknown_server_stays_claimed(store: SqlStore) -> None:
    """What nobody can know keeps its claim, also after its run has ended, until a
    person decides.
    """
    first = leased(store, "r1")
    store.append(first, AT, INTENDED, intent=intent(["s1", "s2"]))
    store.append(
        first, AT, [RunEnded("done", "AllWavesDone")], release=["s1"], word="done", close=True
    )
    second = leased(store, "r2")
    with pytest.raises(Taken) as taken:
        store.append(second, AT, INTENDED, intent=intent(["s2"], cycle="c2"))
    assert taken.value.claimed == {"s2": "r1"}
    store.record(
        "r1", AT, [ServerResolved("s2", "rebooted", "ann", "seen")], release=["s2"], open_only=False
    )
    store.append(second, AT, INTENDED, intent=intent(["s2"], cycle="c2"))


def test_a_run_that_is_repeated_leaves_its_servers_free(store: SqlStore) -> None:
    """Who repeats a run may ask for what it asked for, nobody else may; the servers of
    other runs stay taken.
    """
    first = leased(store, "r1")
    store.append(first, AT, INTENDED, intent=intent(["s1", "s2"]))
    store.append(
        first,
        AT,
        [RunEnded("done", "AllWavesDone")],
        release=["s1", "s2"],
        word="stopped",
        close=True,
    )
    second, third = leased(store, "r2"), leased(store, "r3")
    again = replace(intent(["s1", "s2", "s3"]), repeats=("r1",))
    store.append(second, AT, INTENDED, intent=again)
    assert store.spent("c1", PROJECT) == {"s1": "r2", "s2": "r2", "s3": "r2"}
    with pytest.raises(Taken) as taken:
        store.append(third, AT, INTENDED, intent=replace(again, batch=2))
    assert taken.value.claimed == {"s1": "r2", "s2": "r2", "s3": "r2"}
    store.append(second, AT, [ended()], release=["s1", "s3"])
    with pytest.raises(Taken) as taken:
        store.append(third, AT, INTENDED, intent=replace(again, servers=("s1",), batch=3))
    assert taken.value.spent == {"s1": "r2"}


def test_a_forgotten_repetition_gives_the_claim_back_to_the_run_before(store: SqlStore) -> None:
    """What was provably not sent a second time is still spent by the run that was repeated;
    new servers are free.
    """
    first = leased(store, "r1")
    store.append(first, AT, INTENDED, intent=intent(["s1"]))
    store.append(
        first, AT, [RunEnded("done", "AllWavesDone")], release=["s1"], word="stopped", close=True
    )
    second = leased(store, "r2")
    again = replace(intent(["s1", "s3"]), repeats=("r1",))
    for _ in range(2):
        store.append(second, AT, INTENDED, intent=again)
        store.append(second, AT, [BatchThrottled(1, again=AT)], forget=["s1", "s3"])
        assert store.spent("c1", PROJECT) == {"s1": "r1"}
    store.append(second, AT, INTENDED, intent=again)
    assert store.spent("c1", PROJECT) == {"s1": "r2", "s3": "r2"}


def test_a_forgotten_server_gives_the_cycle_back(store: SqlStore) -> None:
    """A request that was provably refused spends nothing: the same cycle may ask for the
    server again.
    """
    first = leased(store, "r1")
    store.append(first, AT, INTENDED, intent=intent(["s1", "s2"]))
    store.append(first, AT, [BatchThrottled(1, again=AT)], forget=["s1"])
    assert store.spent("c1", PROJECT) == {"s2": "r1"}
    store.append(first, AT, INTENDED, intent=intent(["s1"], batch=2))
    assert store.spent("c1", PROJECT) == {"s1": "r1", "s2": "r1"}


def test_a_run_ends_only_its_own_claims(store: SqlStore) -> None:
    """Whatever a run releases or forgets, servers that another run has in flight stay claimed."""
    store.append(leased(store, "r1"), AT, INTENDED, intent=intent(["s1"]))
    second = leased(store, "r2")
    store.append(second, AT, NOTE, release=["s1"], forget=["s1"])
    store.record("r2", AT, NOTE, release=["s1"], forget=["s1"])
    with pytest.raises(Taken) as taken:
        store.append(second, AT, INTENDED, intent=intent(["s1"]))
    assert taken.value.claimed == {"s1": "r1"}


def test_a_run_cannot_ask_twice_for_what_is_in_flight(store: SqlStore) -> None:
    """A second intent of the same run on a server without an outcome is refused as
    anybody else's.
    """
    lease = leased(store)
    store.append(lease, AT, INTENDED, intent=intent(["s1"]))
    with pytest.raises(Taken) as taken:
        store.append(lease, AT, INTENDED, intent=intent(["s1"], batch=2))
    assert taken.value.claimed == {"s1": "r1"}


def test_projects_do_not_share_servers(store: SqlStore) -> None:
    """The same id in another project is another server."""
    store.append(leased(store, "r1"), AT, INTENDED, intent=intent(["s1"]))
    store.append(
        leased(store, "r2"), AT, INTENDED, intent=replace(intent(["s1"]), project="1" * 32)
    )


def test_a_thousand_servers_in_one_intent(store: SqlStore) -> None:
    """The largest batch that the cloud takes is claimed, released and forgotten whole."""
    lease = leased(store)
    servers = [f"s-{i:04d}" for i in range(1000)]
    store.append(lease, AT, INTENDED, intent=intent(servers))
    assert len(store.spent("c1", PROJECT)) == 1000
    store.append(lease, AT, NOTE, release=servers[:700], forget=servers[700:])
    assert sorted(store.spent("c1", PROJECT)) == servers[:700]
    with pytest.raises(Taken) as taken:
        store.append(leased(store, "r2"), AT, INTENDED, intent=intent(servers))
    assert (len(taken.value.claimed), len(taken.value.spent)) == (0, 700)


# --- the halt flag ------------------------------------------------------------


def test_halt_stops_intents_of_every_run(place: Place, store: SqlStore) -> None:
    """While the flag is set no intent is written, by no process; what is under way is still
    recorded.
    """
    leases = [leased(store, "r1"), leased(store, "r2")]
    halt = Halt("storage is failing \u202e\ud800", "anna", AT + timedelta(microseconds=5))
    place.open().set_halt(halt)
    assert store.halted() == halt
    for lease in leases:
        with pytest.raises(Halted, match="storage is failing"):
            store.append(lease, AT, INTENDED, intent=intent(["s1"]))
        store.append(lease, AT, NOTE)
    store.set_halt(None)
    assert store.halted() is None
    store.append(leases[0], AT, INTENDED, intent=intent(["s1"]))


def test_the_newest_halt_counts(store: SqlStore) -> None:
    """A second halt replaces the first; lifting one that is not set changes nothing."""
    store.set_halt(None)
    store.set_halt(Halt("first", "anna", AT))
    store.set_halt(Halt("second", "ben", AT))
    assert store.halted() == Halt("second", "ben", AT)


# --- together -----------------------------------------------------------------


def test_refusals_reserve_nothing(store: SqlStore) -> None:
    """An intent that is refused for one reason has not used up anything of the others."""
    one = intent(["s1"], per_window=2)
    lease = leased(store, "r1")
    store.append(leased(store, "r2"), AT, INTENDED, intent=replace(one, servers=("s9",)))
    with pytest.raises(Taken):
        store.append(lease, AT, INTENDED, intent=replace(one, servers=("s9",)))
    with pytest.raises(RateFull):
        store.append(lease, AT, INTENDED, intent=replace(one, servers=("s1", "s2")))
    assert store.spent("c1", PROJECT) == {"s9": "r2"}
    store.append(lease, AT, INTENDED, intent=one)
    assert told(store, "r1") == [(1, "run.created"), (2, "batch.intended")]
