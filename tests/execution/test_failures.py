"""What went wrong elsewhere, and must not here: each test is named after what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.cloud.huawei.reboot import reboot_body
from runner.errors import CloudError
from runner.execution.effects import Tuning
from runner.model.events import Outcome
from runner.model.inventory import PowerState, Task
from runner.model.job import RebootAnswer, Throttled
from runner.model.owner import Owner
from runner.ports.store import LeaseHeld
from tests.journal import made

from .memory_cloud import MemoryCloud, lost_after_acceptance
from .setup import Bench, schedule_of


class Killed(BaseException):
    """SIGKILL."""


def killed_after_acceptance(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    """The cloud accepts; the process is gone before the answer reaches its journal."""
    cloud.accept(ids)
    raise Killed


def test_a_runner_killed_between_request_and_answer_never_asks_again() -> None:
    """The next process finds an intent without an outcome, looks at the servers, and
    sends nothing.
    """
    bench = Bench.of(6)
    bench.cloud.answers = [killed_after_acceptance]
    run_id = bench.start(schedule_of([6], on_unknown="retry"))
    with pytest.raises(Killed):
        bench.follow(run_id)
    bench.lapse()
    run = bench.follow(run_id)
    assert run.counts()["ready"] == 6
    assert bench.cloud.calls["reboot"] == 1


def test_a_runner_killed_while_jobs_run_is_followed_by_the_stored_job_ids() -> None:
    """The next process polls the job that the journal holds, and gives each server its
    own result.
    """
    bench = Bench.of(4)
    bench.cloud.fails = {"s-002": "boot failed"}
    run_id = bench.start(schedule_of([4], max_failures=1))
    bench.follow(run_id, until="come back")
    run = bench.follow(run_id)
    assert [s.outcome for s in run.servers.values()] == ["ready", "ready", "failed", "ready"]
    assert bench.cloud.calls["reboot"] == 1


def test_a_lease_that_its_process_left_is_named_and_runs_out() -> None:
    """Whoever comes meanwhile is told who holds the run; after the lease's time he may go on."""
    bench = Bench.of(1)
    run_id = bench.start(schedule_of([1]))
    holder = Owner("build-7", 4711, ci_run="https://ci.example/runs/9")
    bench.store.take(run_id, holder, 60.0)
    driver = bench.driver(run_id)
    with pytest.raises(LeaseHeld, match=r"process 4711 on build-7 \(https://ci.example/runs/9\)"):
        asyncio.run(driver.advance())
    bench.clock.jump(seconds=61)
    assert bench.follow(run_id, driver).counts()["ready"] == 1


def test_a_lease_is_not_given_back_by_who_does_not_hold_it() -> None:
    """A process that lost its lease cannot end its successor's."""
    bench = Bench.of(1)
    run_id = bench.start(schedule_of([1]))
    old = bench.store.take(run_id, Owner("a", 1), 10.0)
    bench.clock.jump(seconds=11)
    bench.store.take(run_id, Owner("b", 2), 60.0)
    bench.store.give_back(old, None)
    with pytest.raises(LeaseHeld, match="process 2 on b"):
        bench.store.take(run_id, Owner("c", 3), 60.0)


def test_a_lease_that_runs_out_while_servers_are_down_starts_no_next_wave() -> None:
    """The successor follows the wave that is down to its end before it begins another."""
    bench = Bench.of(4)
    bench.cloud.takes = dict.fromkeys(bench.cloud.servers, 600.0)
    run_id = bench.start(schedule_of([2, 2]))
    bench.follow(run_id, until="come back")
    bench.lapse()
    driver = bench.driver(run_id)
    asyncio.run(driver.advance())
    assert bench.cloud.calls["reboot"] == 1
    assert bench.read(run_id).position == 0
    assert bench.follow(run_id, driver).counts()["ready"] == 4


def test_a_changed_rate_counts_at_the_next_batch() -> None:
    """Limits are configuration and always current: nothing of an old one is kept in the store."""
    bench = Bench.of(40)
    bench.tuning = Tuning(servers_per_request=10, servers_per_minute=40)
    run_id = bench.start(schedule_of([10, 30]))
    bench.follow(run_id, until="come back")
    bench.tuning = Tuning(servers_per_request=10, servers_per_minute=10)
    bench.follow(run_id)
    times = sorted(r.began for r in bench.cloud.reboots)
    assert all(
        sum(1 for t in times[i:] if t - at < timedelta(seconds=60)) <= 10
        for i, at in enumerate(times)
    )


def test_an_unreachable_and_a_failing_server_both_count_once() -> None:
    """A server that never comes back and one whose job failed are two failures: the budget
    of one is exceeded.
    """
    bench = Bench.of(20)
    bench.cloud.fails, bench.cloud.dead = {"s-001": "boot failed"}, {"s-002"}
    run = bench.follow(bench.start(schedule_of([10, 10], max_failures=1)))
    assert run.failed == 2
    assert run.word == "stopped"
    assert run.counts()["not_started"] == 10


def test_the_budget_does_not_depend_on_the_size_of_the_wave() -> None:
    """One failure in a wave of one is one failure of the run, not all of a wave: within the
    budget it goes on.
    """
    bench = Bench.of(6)
    bench.cloud.fails = {"s-003": "boot failed"}
    schedule = schedule_of([2, 1, 1, 1, 1], max_failures=1)
    run_id = bench.start(schedule)
    run = bench.follow(run_id, until="approval")
    assert run.question is not None
    assert run.question.id == "proof:3"
    bench.store.record(
        run_id, bench.clock.now(), [made("approval.given", {"question": "proof:3", "by": "ann"})]
    )
    assert bench.follow(run_id).counts()["ready"] == 5


def test_a_job_that_ended_well_does_not_make_a_server_ready_that_is_still_down() -> None:
    """Two signals before ready: the sub-job's success and the state. A server that stays in
    REBOOT is waited for.
    """
    bench = Bench.of(1)
    see = bench.cloud.see
    back_at = bench.clock.now() + timedelta(seconds=300)

    def lagging(server_id: str):  # type: ignore[no-untyped-def]
        server = see(server_id)
        if server and bench.cloud.reboots and bench.clock.now() < back_at:
            return replace(server, state=PowerState.REBOOTING, task=Task.REBOOT)
        return server

    bench.cloud.see = lagging  # type: ignore[method-assign]
    run = bench.follow(bench.start(schedule_of([1])))
    server = run.servers["s-000"]
    assert server.outcome is Outcome.READY
    assert server.ended
    assert server.ended >= back_at


def test_a_server_that_never_returns_does_not_hold_its_wave_for_ever() -> None:
    """Every wait has a deadline; then the budget decides."""
    bench = Bench.of(5)
    bench.cloud.idle = {"s-001"}
    run = bench.follow(bench.start(schedule_of([2, 3], max_failures=1)))
    assert run.word == "done"
    assert run.servers["s-001"].reason == "JobTimedOut"
    assert "no reboot in its history" in run.servers["s-001"].detail
    assert run.ended
    assert run.ended - run.created < timedelta(minutes=25)


def test_a_failed_wave_is_followed_by_no_request_at_all() -> None:
    """After the stop nothing more is asked of the cloud but what follows the servers in flight."""
    bench = Bench.of(20)
    bench.cloud.fails = {"s-000": "boot failed"}
    run = bench.follow(bench.start(schedule_of([1, 19])))
    assert run.word == "stopped"
    assert bench.cloud.calls["reboot"] == 1
    assert {r.server for r in bench.cloud.reboots} == {"s-000"}


def test_repeating_is_bounded_and_counted() -> None:
    """A cloud that throttles for ever ends in a failure that says how often it was asked
    and what it answered.
    """
    bench = Bench.of(2)
    bench.cloud.answers = [lambda c, i: Throttled("APIGW.0308", "limit", 30.0, "r-1")] * 1000
    schedule = replace(
        schedule_of([2], max_failures=2, ready_timeout_s=60.0), wait_at_most_s=3 * 3600.0
    )
    run = bench.follow(bench.start(schedule))
    assert {s.reason for s in run.servers.values()} == {"NotAccepted"}
    assert "requests were throttled" in run.servers["s-000"].detail
    assert "APIGW.0308: limit (request id r-1)" in run.servers["s-000"].detail
    assert run.ended
    assert run.ended - run.created >= timedelta(hours=3)
    assert bench.cloud.calls["reboot"] < 60
    assert not bench.cloud.reboots


def test_no_request_names_no_server() -> None:
    """An empty list is never sent: it could mean anything."""
    with pytest.raises(ValueError, match="server"):
        reboot_body((), "SOFT")


def test_more_servers_than_a_request_takes_are_asked_for_in_several() -> None:
    """A wave above the limit of a request is split; every server is rebooted, none is left
    out silently.
    """
    bench = Bench.of(2500)
    bench.tuning = Tuning(servers_per_minute=100_000)
    run = bench.follow(bench.start(schedule_of([2500])))
    assert bench.cloud.calls["reboot"] == 3
    assert run.counts()["ready"] == 2500


def test_errors_while_polling_are_no_verdict() -> None:
    """A cloud that answers no poll for minutes loses nobody: its jobs go on and are read
    when it is back.
    """
    bench = Bench.of(3)
    blind_until = bench.clock.now() + timedelta(minutes=10)

    def outage(name: str) -> None:
        if name == "job" and bench.clock.now() < blind_until:
            raise CloudError("HTTP 503")

    bench.cloud.before_call = outage
    run = bench.follow(bench.start(schedule_of([3])))
    assert run.counts()["ready"] == 3
    assert {s.reason for s in run.servers.values()} == {"Rebooted"}


def test_a_stopped_run_stays_stopped() -> None:
    """A closed run takes no decision and sends nothing, whoever drives it."""
    bench = Bench.of(3)
    bench.cloud.fails = {"s-000": "boot failed"}
    run_id = bench.start(schedule_of([1, 2]))
    bench.follow(run_id)
    calls = bench.cloud.calls["reboot"]
    assert bench.follow(run_id).word == "stopped"
    assert bench.cloud.calls["reboot"] == calls


def test_a_lost_answer_in_a_canary_counts_for_what_became_of_it() -> None:
    """A canary whose answer was lost and that came back is ready: the run goes on."""
    bench = Bench.of(3)
    bench.cloud.answers = [lost_after_acceptance]
    assert bench.follow(bench.start(schedule_of([1, 2]))).word == "done"
