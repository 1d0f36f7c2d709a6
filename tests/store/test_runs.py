"""Runs in a store: created once, found by what people type, listed, closed."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from runner.errors import LeaseLost, StoreError
from runner.model.events import BatchAccepted, Event, RunCreated, RunEnded
from runner.ports.store import Halt, RunExists, RunNotFound
from runner.store.sql import SqlStore
from tests.store.kit import AT, NOTE, SCHEDULE, TTL, Place, begun, leased, new_run, owner, told


def test_a_run_is_stored_with_its_first_event(store: SqlStore) -> None:
    """What was given to `create` is read back, with nothing held and the run due at once."""
    run = new_run("20261123-220000-k3m9x2")
    store.create(run, RunCreated(SCHEDULE))
    row = store.find(run.id)
    assert (row.id, row.plan, row.plan_digest, row.schedule_digest, row.cycle, row.created) == (
        *(run.id, run.plan, run.plan_digest, run.schedule_digest, run.cycle, run.created),
    )
    assert (row.word, row.is_open, row.owner, row.lease_until, row.seq) == (
        "running",
        True,
        None,
        0.0,
        1,
    )
    assert store.events(run.id) == [Event(RunCreated(SCHEDULE), AT, 1, 0)]
    assert [r.id for r in store.due()] == [run.id]


def test_another_process_sees_the_run(place: Place) -> None:
    """What one connection has written, the next one reads."""
    begun(place.open(), "r1")
    assert place.open().find("r1").id == "r1"


def test_a_plan_has_one_open_run(store: SqlStore) -> None:
    """A second run of a plan is refused while the first is open, its id is named, and
    nothing of it is stored.
    """
    begun(store, "r1", "web")
    with pytest.raises(RunExists, match="r1") as refused:
        begun(store, "r2", "web")
    assert refused.value.run_id == "r1"
    assert [r.id for r in store.runs()] == ["r1"]
    assert store.events("r2") == []


def test_a_closed_run_makes_room_for_the_next(store: SqlStore) -> None:
    """When a plan's run has ended, its next run can begin, and the plan's name then means
    the newer one.
    """
    begun(store, "r1", "web")
    lease = store.take("r1", owner(), TTL)
    store.append(lease, AT, [RunEnded("done", "AllWavesDone")], word="done", close=True)
    begun(store, "r2", "web", created=AT + timedelta(seconds=1))
    assert store.find("web").id == "r2"
    assert [r.id for r in store.runs(plan="web", open_only=True)] == ["r2"]


def test_the_same_id_is_not_taken_twice(store: SqlStore) -> None:
    """A second run of an id that is in the store is an error, and the first keeps its journal."""
    begun(store, "r1", "web")
    with pytest.raises(StoreError, match="its id is taken"):
        begun(store, "r1", "db")
    with pytest.raises(RunExists):
        begun(store, "r1", "web")
    assert told(store, "r1") == [(1, "run.created")]


def test_find_by_id_prefix_and_plan(store: SqlStore) -> None:
    """An id, the beginning of one, and a plan's name all lead to the run."""
    begun(store, "20261123-220000-k3m9x2", "web")
    begun(store, "20261124-220000-a7b8c9", "db", created=AT + timedelta(days=1))
    for text in ("20261123-220000-k3m9x2", "20261123", "web"):
        assert store.find(text).plan == "web"


def test_a_prefix_that_fits_several_names_them(store: SqlStore) -> None:
    """Which run is meant is never guessed from the beginning of an id."""
    begun(store, "20261123-1", "web")
    begun(store, "20261123-2", "db")
    with pytest.raises(RunNotFound, match="20261123-2, 20261123-1"):
        store.find("20261123")


@pytest.mark.parametrize(
    "text", ["", "%", "_", "r%", "r_", "R1", "\\", "r1 ", "r\x00", "\udcff", "no-such"]
)
def test_find_takes_text_as_it_is(store: SqlStore, text: str) -> None:
    """Wildcards, other cases, NULs and half characters find nothing, and are an answer, not
    a crash.
    """
    begun(store, "r1", "web")
    begun(store, "r%x", "db")
    if text == "r%":
        assert store.find(text).id == "r%x"
        return
    with pytest.raises(RunNotFound):
        store.find(text)


def test_runs_are_listed_newest_first(store: SqlStore) -> None:
    """Order is by time, whatever zone or precision it was written in; `limit` cuts the
    oldest off.
    """
    begun(store, "a", created=AT + timedelta(microseconds=1))
    begun(store, "b", created=AT)
    begun(store, "c", created=(AT + timedelta(hours=1)).astimezone(timezone(timedelta(hours=-5))))
    begun(store, "d", created=AT + timedelta(seconds=1))
    assert [r.id for r in store.runs()] == ["c", "d", "a", "b"]
    assert [r.id for r in store.runs(limit=2)] == ["c", "d"]


def test_a_closed_run_takes_no_more_commands(store: SqlStore) -> None:
    """After its end a run is not due, has no lease, and the old holder's writes fail; facts
    are still recorded.
    """
    lease = leased(store)
    store.append(lease, AT, [RunEnded("done", "AllWavesDone")], word="done", close=True)
    assert store.due() == []
    assert store.runs(open_only=True) == []
    with pytest.raises(LeaseLost):
        store.append(lease, AT, NOTE)
    with pytest.raises(LeaseLost):
        store.touch(lease)
    with pytest.raises(RunNotFound, match="not open"):
        store.take("r1", owner(), TTL)
    with pytest.raises(RunNotFound, match="not open"):
        store.record("r1", AT, NOTE)
    store.record("r1", AT, [BatchAccepted(1, "j", late=True)], open_only=False)
    row = store.find("r1")
    assert (row.word, row.is_open, row.seq) == ("done", False, 3)


def test_an_unknown_run_is_named(store: SqlStore) -> None:
    """Every call that needs a run says which one there is not."""
    with pytest.raises(RunNotFound, match="r9"):
        store.take("r9", owner(), TTL)
    with pytest.raises(RunNotFound, match="r9"):
        store.record("r9", AT, NOTE)
    with pytest.raises(RunNotFound, match="r9"):
        store.record("r9", AT, NOTE, open_only=False)
    assert store.events("r9") == []


def test_a_store_without_runs_is_begun_by_this_process(place: Place) -> None:
    """New, or emptied down to its tables: `begun` is what it was when it was opened. A halt
    flag is no run.
    """
    store = place.open()
    store.set_halt(Halt("maintenance", "ana", AT))
    assert place.open().begun
    begun(store)
    assert (store.begun, place.open().begun) == (True, False)
