"""The rate budget: so many servers in any minute, of all runs together, and an exact
time to wait.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import StoreError
from runner.ports.store import Lease, RateFull
from runner.store.sql import SqlStore
from tests.store.kit import AT, Place, asked, intent, leased

TICK = 1 / 1024
INTENDED = (asked(),)


class Fleet:
    """Several runs of one project that ask for servers; each server is a new one."""

    def __init__(self, store: SqlStore, place: Place, runs: int) -> None:
        self.store, self.clock = store, place.clock
        self.leases = [leased(store, f"run-{os.urandom(6).hex()}") for _ in range(runs)]
        self.project = os.urandom(16).hex()
        self.made: list[tuple[float, int]] = []
        self.count = 0

    def ask(self, run: int, servers: int, limit: int, window_s: float = 60.0) -> float:
        """Ask for servers; 0 if they were granted, else the seconds to wait."""
        lease: Lease = self.leases[run % len(self.leases)]
        names = [f"{self.project}-{self.count}-{i}" for i in range(servers)]
        self.count += 1
        wanted = replace(intent(names, per_window=limit), project=self.project, window_s=window_s)
        self.store.touch(lease)
        try:
            self.store.append(lease, AT, INTENDED, intent=wanted)
        except RateFull as full:
            return full.wait_s
        self.made.append((self.clock.now, servers))
        return 0.0

    def most_in_a_window(self, window_s: float = 60.0) -> int:
        """The most servers of any window (t - window, t]; it is enough to look at those
        that end with a request.
        """
        return max(
            sum(n for at, n in self.made if end - window_s < at <= end) for end, _ in self.made
        )


@pytest.fixture
def store(place: Place) -> SqlStore:
    """A store whose commits need not reach the disk: laws need thousands of them."""
    store = place.open()
    if not (place.is_postgres or place.is_git):  # the tests' own server does not flush either
        store.db.execute("pragma synchronous = off")
    return store


wishes = st.tuples(st.integers(0, 2), st.integers(1, 50), st.integers(0, 40 * 1024))
"""Which run, how many servers, how many ticks pass before."""


def test_no_minute_exceeds_the_budget(store: SqlStore, place: Place) -> None:
    """Whatever runs ask for, whenever: in any 60 s at most the budget; who waits as told is
    let in then, not before.
    """

    @settings(
        max_examples=2 if place.is_git else 25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        limit=st.integers(50, 120),
        steps=st.lists(wishes, min_size=1, max_size=3 if place.is_git else 12),
    )
    def law(limit: int, steps: list[tuple[int, int, int]]) -> None:
        fleet = Fleet(store, place, runs=3)
        for run, servers, ticks in steps:
            place.clock.step(ticks * TICK)
            wait = fleet.ask(run, servers, limit)
            if wait:
                place.clock.step(wait - TICK)
                assert fleet.ask(run, servers, limit) == TICK
                place.clock.step(TICK)
                assert fleet.ask(run, servers, limit) == 0.0
        assert fleet.most_in_a_window() <= limit

    law()


def test_the_budget_is_of_a_project(store: SqlStore, place: Place) -> None:
    """A full project makes no other one wait."""
    fleet = Fleet(store, place, runs=1)
    assert fleet.ask(0, 10, 10) == 0.0
    assert fleet.ask(0, 1, 10) == 60.0
    fleet.project = os.urandom(16).hex()
    assert fleet.ask(0, 10, 10) == 0.0


def test_simulated_time_has_shorter_minutes(store: SqlStore, place: Place) -> None:
    """Where time runs faster, the budget's window is shorter in the store's time."""
    fleet = Fleet(store, place, runs=1)
    assert fleet.ask(0, 10, 10, window_s=0.5) == 0.0
    assert fleet.ask(0, 10, 10, window_s=0.5) == 0.5
    place.clock.step(0.5)
    assert fleet.ask(0, 10, 10, window_s=0.5) == 0.0


def test_a_batch_over_the_budget_never_fits(store: SqlStore, place: Place) -> None:
    """It is an error, not a wait without end; and it is one also when the budget is full."""
    fleet = Fleet(store, place, runs=1)
    for _ in range(2):
        with pytest.raises(StoreError, match="never fit") as error:
            fleet.ask(0, 11, 10)
        assert not isinstance(error.value, RateFull)
        fleet.ask(0, 10, 10)


def test_a_clock_set_back_does_not_close_the_budget(store: SqlStore, place: Place) -> None:
    """However far a clock was wrong, nobody waits longer than two windows."""
    fleet = Fleet(store, place, runs=1)
    place.clock.step(365 * 86_400)
    assert fleet.ask(0, 10, 10) == 0.0
    place.clock.step(-30)
    assert fleet.ask(0, 10, 10) == 90.0
    place.clock.step(-365 * 86_400 + 30)
    assert fleet.ask(0, 10, 10) == 0.0
    assert fleet.ask(0, 10, 10) == 60.0


def test_old_reservations_are_cleared_away(store: SqlStore, place: Place) -> None:
    """The table of reservations holds minutes, not the history of a fleet."""
    fleet = Fleet(store, place, runs=2)
    for _ in range(6):
        assert fleet.ask(0, 10, 10) == 0.0
        place.clock.step(60)
    assert (
        store.db.execute("select count(*) from rate where project = ?", (fleet.project,))[0][0] <= 3
    )


def test_the_budget_outlives_its_processes(place: Place, tmp_path: Path) -> None:
    """A new process finds the room that others have used."""
    fleet = Fleet(place.open(), place, runs=1)
    assert fleet.ask(0, 10, 10) == 0.0
    fleet.store = place.open()
    assert fleet.ask(0, 1, 10) == 60.0


def test_a_hold_is_for_every_run(store: SqlStore, place: Place) -> None:
    """What the cloud has said to one run keeps the others of the project waiting just as
    long, and nobody else.
    """
    fleet = Fleet(store, place, runs=3)
    assert fleet.ask(0, 10, 1000) == 0.0
    store.hold(fleet.project, fleet.leases[0].run_id, 20.0, 60.0)
    assert fleet.ask(1, 1, 1000) == 20.0
    place.clock.step(20 - TICK)
    assert fleet.ask(2, 1, 1000) == TICK
    place.clock.step(TICK)
    assert fleet.ask(2, 1000, 1000) == 0.0
    assert fleet.ask(1, 1, 1000) == 60.0
    fleet.project = os.urandom(16).hex()
    assert fleet.ask(0, 10, 10) == 0.0


def test_a_hold_is_a_window_at_most(store: SqlStore, place: Place) -> None:
    """However long the cloud wants one run to wait, the others try again after a window."""
    fleet = Fleet(store, place, runs=1)
    store.hold(fleet.project, fleet.leases[0].run_id, 3600.0, 60.0)
    assert fleet.ask(0, 1, 1000) == 60.0
    place.clock.step(60)
    assert fleet.ask(0, 1, 1000) == 0.0
