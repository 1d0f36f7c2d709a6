"""How a stopped run looks from outside."""

from __future__ import annotations

from .setup import Bench, schedule_of


def test_a_cancelled_run_leaves_no_wave_open() -> None:
    """The wave in which a run is cancelled ends like any other: its time and counts are in the report."""
    bench = Bench.of(6)
    run_id = bench.start(schedule_of([1, 5]))
    driver = bench.driver(run_id)
    bench.follow(run_id, driver, until="come back")
    bench.store.record(run_id, bench.clock.now(), [("cancel.requested", {"by": "ann", "reason": "incident"})])
    run = bench.follow(run_id, driver)
    assert run.word == "cancelled"
    assert run.waves[0].ended is not None
    assert run.waves[0].counts == {"ready": 1}
    assert run.waves[1].started is None


def test_each_lease_is_known_by_its_fence() -> None:
    """A driver remembers the fence of its last lease: by it a process knows whether it was the last one at the run."""
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([2]))
    first, second = bench.driver(run_id), bench.driver(run_id)
    bench.follow(run_id, first, until="come back")
    assert bench.store.find(run_id).fence == first.fence
    bench.follow(run_id, second)
    assert second.fence == bench.store.find(run_id).fence
    assert first.fence != second.fence
