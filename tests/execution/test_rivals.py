"""Several processes at one run, or at the same servers: one wins, nothing doubles."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.errors import LeaseLost
from runner.execution.driver import Driver
from runner.execution.effects import Tuning
from runner.model.events import EventData, Outcome
from runner.model.inventory import Task
from runner.model.job import RebootAnswer
from runner.model.run import Run
from runner.model.schedule import Pause
from runner.ports.store import Halt, LeaseHeld
from tests.journal import fields_of, made

from .memory_cloud import MemoryCloud, lost_before_acceptance
from .setup import Bench, schedule_of


def alive(driver: Driver) -> Driver:
    """A driver that takes nobody for dead: leases must run out."""
    driver.setting = replace(driver.setting, is_dead=lambda owner: False)
    return driver


async def drive(bench: Bench, driver: Driver, turns: int = 5_000) -> None:
    """Advance in small steps, giving way to others between any two calls."""
    for _ in range(turns):
        try:
            step = await driver.advance()
        except (LeaseHeld, LeaseLost):
            await asyncio.sleep(0)
            bench.clock.jump(milliseconds=50)
            continue
        if step.due is None:
            return
        await asyncio.sleep(0)
        bench.clock.jump(milliseconds=200)
    raise AssertionError("the run did not end")


def yielding(bench: Bench) -> None:
    """Every request gives way in the middle, so that rivals interleave at it."""
    reboot = bench.cloud.reboot

    async def slow(*args, **kwargs):  # type: ignore[no-untyped-def]
        for _ in range(3):
            await asyncio.sleep(0)
        return await reboot(*args, **kwargs)

    bench.cloud.reboot = slow  # type: ignore[method-assign]


def test_two_runners_of_one_run_send_each_batch_once() -> None:
    """Two processes advance the same run by turns: each server is rebooted once, each batch
    is asked for once.
    """
    bench = Bench.of(40)
    bench.tuning = Tuning(servers_per_request=5)
    yielding(bench)
    run_id = bench.start(schedule_of([1, 9, 30]))

    async def both() -> None:
        await asyncio.gather(*(drive(bench, alive(bench.driver(run_id))) for _ in range(3)))

    asyncio.run(both())
    assert set(bench.cloud.times_rebooted().values()) == {1}
    assert bench.read(run_id).counts()["ready"] == 40
    assert bench.cloud.calls["reboot"] == 1 + 2 + 6


def test_two_plans_that_share_servers_never_have_one_in_flight_at_once() -> None:
    """A server in flight in one run is waited for by the other, which names the holder when
    it gives up.
    """
    bench = Bench.of(20)
    yielding(bench)
    first = bench.start(schedule_of([20], plan="one", cycle="c1"))
    second = bench.start(schedule_of([20], plan="two", cycle="c2"))

    async def both() -> None:
        await asyncio.gather(*(drive(bench, alive(bench.driver(r))) for r in (first, second)))

    asyncio.run(both())
    spans: dict[str, list[tuple[float, float]]] = {}
    for r in bench.cloud.reboots:
        spans.setdefault(r.server, []).append((r.began.timestamp(), r.ended.timestamp()))
    for ranges in spans.values():
        ranges.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))
    for run_id in (first, second):
        counts = bench.read(run_id).counts()
        assert counts["ready"] + counts["skipped"] == 20


def test_the_same_cycle_in_two_plans_reboots_once() -> None:
    """A cycle is spent for a server by the first plan that reboots it; the second skips it
    and names the run.
    """
    bench = Bench.of(5)
    first = bench.start(schedule_of([5], plan="one", cycle="kernel"))
    second = bench.start(schedule_of([5], plan="two", cycle="kernel"))
    bench.follow(first)
    run = bench.follow(second)
    assert {s.reason for s in run.servers.values()} == {"RebootedInCycle"}
    assert first in run.servers["s-000"].detail
    assert set(bench.cloud.times_rebooted().values()) == {1}


def test_a_claim_that_is_not_given_up_is_named() -> None:
    """Servers held by another run are skipped after `ready.timeout`, with the holder's name."""
    bench = Bench.of(3)
    bench.cloud.stuck = {"s-001"}
    first = bench.start(schedule_of([3], plan="one", cycle="c1"))
    bench.follow(first, until="come back")
    second = bench.start(schedule_of([3], plan="two", cycle="c2"))
    bench.clock.jump(seconds=1)
    run = bench.follow(second)
    assert run.counts()["skipped"] == 3
    assert {s.reason for s in run.servers.values()} <= {
        "ClaimedByOtherRun",
        "RebootedByOther",
        "Busy",
        "NotActive",
    }


def step_by_step(bench: Bench, run_id: str, most: int, **gap: float) -> Run:
    """Advanced now and then, each time by a new process that lives for one step."""
    for _ in range(most):
        step = asyncio.run(bench.driver(run_id).advance())
        if step.due is None:
            return step.run
        bench.clock.jump(**gap)
    raise AssertionError("the run did not end")


def test_patience_with_another_run_outlives_processes() -> None:
    """Driven by a timer, every step by a new process: the wait for another run ends in time
    all the same.
    """
    bench = Bench.of(3)
    bench.cloud.answers = [lost_before_acceptance]
    first = bench.start(schedule_of([3], plan="one", cycle="c1"))
    bench.follow(first, until="come back")
    second = bench.start(schedule_of([3], plan="two", cycle="c2"))
    began = bench.clock.now()
    run = step_by_step(bench, second, 6, minutes=5)
    assert {s.reason for s in run.servers.values()} == {"ClaimedByOtherRun"}
    assert first in run.servers["s-000"].detail
    assert bench.clock.now() - began == timedelta(minutes=15)
    assert [e.type for e in bench.store.events(second)].count("servers.blocked") == 1


def test_a_server_that_comes_free_in_time_is_asked_for_by_whatever_process() -> None:
    """Released before the patience is over, it is rebooted; a wait that ended leaves
    nothing behind.
    """
    bench = Bench.of(3)
    bench.cloud.answers = [lost_before_acceptance]
    first = bench.start(schedule_of([3], plan="one", cycle="c1"))
    bench.follow(first, until="come back")
    second = bench.start(schedule_of([3], plan="two", cycle="c2"))
    for _ in range(2):
        asyncio.run(bench.driver(second).advance())
        bench.clock.jump(minutes=5)
    assert bench.read(second).servers["s-000"].blocked_since
    bench.follow(first)
    for i in ("s-000", "s-001", "s-002"):
        data = {"server": i, "resolved_as": "not-rebooted", "by": "ann", "reason": "seen"}
        now = bench.clock.now()
        bench.store.record(first, now, [made("server.resolved", data)], forget=[i], open_only=False)
    run = step_by_step(bench, second, 10, minutes=5)
    assert (run.word, run.counts()["ready"]) == ("done", 3)
    assert run.servers["s-000"].blocked_since is None


def test_patience_with_busy_servers_outlives_processes() -> None:
    """A server that another task keeps busy is skipped after two minutes, also by processes
    of one step each.
    """
    bench = Bench.of(3)
    bench.cloud.servers["s-001"] = replace(bench.cloud.servers["s-001"], task=Task.OTHER)
    run_id = bench.start(schedule_of([3]))
    run = step_by_step(bench, run_id, 5, minutes=3)
    assert (run.servers["s-001"].reason, run.counts()["ready"]) == ("Busy", 2)


def test_a_frozen_owner_that_wakes_sends_nothing() -> None:
    """A process that was stopped between intent and request, longer than half its lease,
    gives the request up.
    """
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([3]))
    driver = alive(bench.driver(run_id))
    from runner.execution import writer

    aged = {"by": 0.0}
    real = writer.Writer.lease_age_s

    def age(self: writer.Writer) -> float:
        return real(self) + aged["by"]

    append = bench.store.append

    def freezing(*args, **kwargs):  # type: ignore[no-untyped-def]
        result = append(*args, **kwargs)
        if kwargs.get("intent") is not None and not aged["by"]:
            aged["by"] = 31.0
        return result

    bench.store.append = freezing  # type: ignore[method-assign]
    writer.Writer.lease_age_s = age  # type: ignore[method-assign]
    try:
        bench.follow(run_id, driver, until="room to send")
    finally:
        writer.Writer.lease_age_s = real  # type: ignore[method-assign]
    assert bench.cloud.calls["reboot"] == 0
    assert bench.read(run_id).batches[1].phase == "not_sent"
    bench.store.append = append  # type: ignore[method-assign]
    assert bench.follow(run_id).counts()["ready"] == 3
    assert set(bench.cloud.times_rebooted().values()) == {1}


def test_a_job_id_that_arrives_after_the_lease_was_lost_is_kept() -> None:
    """The old owner's job id reaches the journal although somebody else has the run, and is
    followed from there.
    """
    bench = Bench.of(4)
    run_id = bench.start(schedule_of([4]))
    slow = alive(bench.driver(run_id))
    quick = alive(bench.driver(run_id))

    def taken_over(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
        accepted = cloud.accept(ids)
        bench.lapse()
        bench.store.take(run_id, quick.setting.owner, 60.0)
        return accepted

    bench.cloud.answers = [taken_over]
    with pytest.raises(LeaseLost):
        bench.follow(run_id, slow)
    late = [e for e in bench.store.events(run_id) if e.type == "batch.accepted"]
    assert [fields_of(e).get("late") for e in late] == [True]
    bench.lapse()
    run = bench.follow(run_id, quick)
    assert run.counts()["ready"] == 4
    assert {s.reason for s in run.servers.values()} == {"Rebooted"}
    assert set(bench.cloud.times_rebooted().values()) == {1}


def test_a_halt_stops_every_runner_before_its_next_batch() -> None:
    """While the flag is set no run of the store sends a batch; what is in flight is
    followed; unhalt lets all go on.
    """
    bench = Bench.of(60)
    runs = [
        bench.start(schedule_of([1, 2, 3], plan=f"p{i}", cycle=f"c{i}", first_server=10 * i))
        for i in range(3)
    ]
    drivers = [alive(bench.driver(r)) for r in runs]
    sent_at_halt: list[int] = []

    async def scene() -> None:
        for turn in range(4_000):
            if turn == 6:
                bench.store.set_halt(Halt("incident", "ann", bench.clock.now()))
                sent_at_halt.append(bench.cloud.calls["reboot"])
            if turn == 2_000:
                sent_at_halt.append(bench.cloud.calls["reboot"])
                bench.store.set_halt(None)
            steps = []
            for driver in drivers:
                with contextlib.suppress(LeaseHeld):
                    steps.append(await driver.advance())
            if turn == 1_999:
                assert all(s.halted == "incident" for s in steps if s.due is not None)
            if all(s.due is None for s in steps):
                return
            bench.clock.jump(milliseconds=500)

    asyncio.run(scene())
    assert sent_at_halt[0] == sent_at_halt[1]
    assert all(not bench.read(r).is_open for r in runs)


def test_no_run_waits_for_anothers_pause() -> None:
    """Runs are advanced one by one; a run in a pause of hours does not hold the others."""
    bench = Bench.of(4)
    long = bench.start(schedule_of([1, 1], plan="long", cycle="c1", pause=Pause("timed", 7200)))
    bench.follow(long, until="pause")
    short = bench.start(schedule_of([2, 2], plan="short", cycle="c2"))
    run = bench.follow(short)
    assert run.ended
    assert run.ended - run.created < timedelta(minutes=30)
    assert bench.read(long).is_open


def test_a_run_that_raises_comes_back_later_each_time() -> None:
    """An error is noted in the journal and the run is set back with a growing delay; others
    are not touched.
    """
    bench = Bench.of(2)
    poisoned = bench.start(schedule_of([2], plan="poisoned"))

    def poison(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
        raise RuntimeError("boom")

    bench.cloud.answers = [poison]
    delays = []
    bench.cloud.before_call = lambda name: (_ for _ in ()).throw(RuntimeError("boom"))
    for _ in range(4):
        with pytest.raises(RuntimeError):
            asyncio.run(bench.driver(poisoned).advance())
        row = bench.store.find(poisoned)
        delays.append(row.due - bench.store.now())
        assert poisoned not in [r.id for r in bench.store.due()]
        bench.clock.jump(seconds=delays[-1] + 1)
    assert [round(d) for d in delays] == [30, 60, 120, 240]
    assert bench.read(poisoned).servers["s-000"].outcome is None
    assert all(s.outcome is not Outcome.FAILED for s in bench.read(poisoned).servers.values())


def test_a_run_that_another_process_ended_meanwhile_is_over_and_no_error() -> None:
    """Between reading the journal and taking the lease a rival ends the run: the loser just
    sees it closed.
    """
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([2]))
    bench.follow(run_id, until="come back")
    late = bench.driver(run_id)
    take = bench.store.take
    outside = bench.store.db

    def after_the_rival(*args, **kwargs):  # type: ignore[no-untyped-def]
        now = bench.clock.now()
        rows = dict.fromkeys(("s-000", "s-001"), ("ready", "Rebooted", ""))
        events: list[EventData] = [
            made("servers.ended", {"servers": rows}),
            made("wave.ended", {"wave": 1}),
            made("run.ended", {"word": "done", "reason": "AllWavesDone"}),
        ]
        bench.store.record(run_id, now, events)
        outside.execute("update run set is_open = 0, word = 'done' where id = ?", (run_id,))
        return take(*args, **kwargs)

    bench.store.take = after_the_rival  # type: ignore[method-assign]
    step = asyncio.run(late.advance())
    assert step.due is None
    assert step.run.word == "done"
