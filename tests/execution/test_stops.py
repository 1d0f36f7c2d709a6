"""How a stopped run looks from outside."""

from __future__ import annotations

from tests.journal import made

from .setup import Bench, schedule_of


def test_a_cancelled_run_leaves_no_wave_open() -> None:
    """The wave in which a run is cancelled ends like any other: its time and counts are in
    the report.
    """
    bench = Bench.of(6)
    run_id = bench.start(schedule_of([1, 5]))
    driver = bench.driver(run_id)
    bench.follow(run_id, driver, until="come back")
    bench.store.record(
        run_id, bench.clock.now(), [made("cancel.requested", {"by": "ann", "reason": "incident"})]
    )
    run = bench.follow(run_id, driver)
    assert run.word == "cancelled"
    assert run.waves[0].ended is not None
    assert run.waves[0].counts == {"ready": 1}
    assert run.waves[1].started is None


def test_each_lease_is_known_by_its_fence() -> None:
    """A driver remembers the fence of its last lease: by it a process knows whether it was
    the last one at the run.
    """
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([2]))
    first, second = bench.driver(run_id), bench.driver(run_id)
    bench.follow(run_id, first, until="come back")
    assert bench.store.find(run_id).fence == first.fence
    bench.follow(run_id, second)
    assert second.fence == bench.store.find(run_id).fence
    assert first.fence != second.fence


def asked(bench: Bench, run_id: str) -> list[str]:
    """Every question that the run asks, each answered with a yes."""
    said: list[str] = []
    while True:
        run = bench.follow(run_id, until="approval")
        if run.question is None:
            return said
        said.append(run.question.why)
        answer = {"question": run.question.id, "by": "ann"}
        bench.store.record(run_id, bench.clock.now(), [made("approval.given", answer)])


def test_a_yes_covers_the_failures_that_there_were() -> None:
    """`on_failure: approval`: each further failure over the group's budget is asked about,
    not only the first.
    """
    bench = Bench.of(10)
    bench.cloud.fails = {f"s-00{n}": "boot failed" for n in (1, 2, 5, 8)}
    run_id = bench.start(
        schedule_of([3, 3, 3, 1], max_failures=9, group_max=1, on_failure="approval")
    )
    assert asked(bench, run_id) == [f"{n} of group web failed, 1 allowed (1)" for n in (2, 3, 4)]
    assert bench.read(run_id).word == "done"


def test_a_yes_to_the_canary_is_none_to_the_number() -> None:
    """The canary's failure is asked about once, not also as a wave that proved nothing; the
    budget counts on.
    """
    bench = Bench.of(6)
    bench.cloud.fails = {f"s-00{n}": "boot failed" for n in (0, 1, 3)}
    run_id = bench.start(
        schedule_of([1, 2, 2, 1], max_failures=9, group_max=1, on_failure="approval")
    )
    assert asked(bench, run_id) == [
        "the canary of group web failed",
        "2 of group web failed, 1 allowed (1)",
        "3 of group web failed, 1 allowed (1)",
    ]
    assert bench.read(run_id).word == "done"
