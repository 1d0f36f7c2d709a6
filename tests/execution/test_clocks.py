"""Processes whose clocks differ drive one run: none ends a server early, and none waits
for ever.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from runner.execution.driver import Driver
from runner.model.events import Outcome
from runner.ports import BootClock
from runner.report.run_now import heartbeat
from tests.execution.memory_cloud import VirtualClock, lost_before_acceptance
from tests.execution.setup import Bench, schedule_of


class Apart:
    """A wall clock that differs from the bench's."""

    def __init__(self, clock: VirtualClock, by: timedelta) -> None:
        self.clock, self.by = clock, by

    def now(self) -> datetime:
        return self.clock.now() + self.by

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


def driver(
    bench: Bench, run_id: str, by: timedelta = timedelta(), boot: str = "this boot"
) -> Driver:
    """A process with a wall clock of its own. Those of the same boot share a boot-time clock."""
    made = bench.driver(run_id)
    clock = BootClock(boot, bench.clock.seconds)
    return Driver(replace(made.setting, clock=Apart(bench.clock, by), boot=clock), run_id)


def with_a_canary_in_flight(bench: Bench) -> str:
    """A run whose first server was asked for by a process of this boot; it has 60 seconds
    to be back.
    """
    run_id = bench.start(schedule_of([1, 2], ready_timeout_s=60.0))
    run = bench.follow(run_id, driver(bench, run_id), until="servers to come back")
    assert run.counts()["in_flight"] == 1
    bench.clock.jump(seconds=10)
    return run_id


AHEAD = timedelta(seconds=120)


@pytest.mark.parametrize("boot", ["this boot", "another boot", ""])
@pytest.mark.parametrize("by", [AHEAD, timedelta(), -timedelta(hours=10)])
def test_a_second_process_with_another_clock_ends_no_server_early(boot: str, by: timedelta) -> None:
    """A clock that is ahead or behind, on this machine or another: every server is ready."""
    bench = Bench.of(3)
    run_id = with_a_canary_in_flight(bench)
    run = bench.follow(run_id, driver(bench, run_id, by, boot))
    assert (run.word, run.counts()["ready"]) == ("done", 3)


@pytest.mark.parametrize("boot", ["this boot", "another boot"])
def test_a_process_that_has_only_read_the_journal_tells_the_runs_time(boot: str) -> None:
    """`resume` says for how long servers are down by the run's clock, not by its own
    that is ahead.
    """
    bench = Bench.of(3)
    run_id = with_a_canary_in_flight(bench)
    second = driver(bench, run_id, AHEAD, boot)
    run = second.load()
    down_s = 10 if boot == "this boot" else 0
    assert f"1 rebooting, oldest {down_s} s" in heartbeat(run, "", second.setting.clock.now())


def test_both_processes_go_on_side_by_side() -> None:
    """The process that began the run finds nothing changed by the one whose clock is ahead."""
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([1, 2], ready_timeout_s=60.0))
    first, second = driver(bench, run_id), driver(bench, run_id, AHEAD)
    bench.follow(run_id, first, until="servers to come back")
    for _ in range(4):
        bench.clock.jump(seconds=4)
        bench.follow(run_id, second, until="servers to come back")
        bench.follow(run_id, first, until="servers to come back")
    run = bench.follow(run_id, first)
    assert (run.word, run.counts()["ready"]) == ("done", 3)


@pytest.mark.parametrize("boot", ["this boot", "another boot", ""])
@pytest.mark.parametrize("by", [AHEAD, timedelta(), -timedelta(hours=10)])
def test_a_server_that_does_not_come_back_is_judged_in_bounded_time(
    boot: str, by: timedelta
) -> None:
    """A process that goes on with the run gives it up after `ready.timeout`, and five
    minutes elsewhere at most.
    """
    bench = Bench.of(3)
    bench.cloud.idle = {"s-000"}
    run_id = with_a_canary_in_flight(bench)
    began = bench.clock.now()
    run = bench.follow(run_id, driver(bench, run_id, by, boot))
    assert run.servers["s-000"].outcome is Outcome.FAILED
    took = (bench.clock.now() - began).total_seconds()
    assert 50 <= took <= 50 + 300 + 30


@pytest.mark.parametrize("boot", ["this boot", "another boot"])
def test_a_process_that_takes_over_days_later_judges_soon(boot: str) -> None:
    """Nothing was seen meanwhile, and the time is over by every clock."""
    bench = Bench.of(3)
    bench.cloud.idle = {"s-000"}
    run_id = with_a_canary_in_flight(bench)
    bench.clock.jump(seconds=timedelta(days=3).total_seconds())
    began = bench.clock.now()
    run = bench.follow(run_id, driver(bench, run_id, boot=boot))
    assert run.servers["s-000"].outcome is Outcome.FAILED
    assert (bench.clock.now() - began).total_seconds() < 60


def test_a_lost_answer_is_settled_by_the_journal_s_time() -> None:
    """A clock that is ahead does not shorten the wait before "no trace" is believed."""
    bench = Bench.of(1)
    bench.cloud.answers = [lost_before_acceptance]
    run_id = bench.start(schedule_of([1]))
    bench.follow(run_id, driver(bench, run_id), until="servers to come back")
    asked = bench.clock.now()
    run = bench.follow(run_id, driver(bench, run_id, AHEAD))
    assert run.servers["s-000"].reason == "NoTrace"
    assert (bench.clock.now() - asked).total_seconds() >= 180


def test_windows_are_judged_by_the_wall_clock() -> None:
    """With nothing in flight a process elsewhere goes by its own clock again."""
    bench = Bench.of(3)
    run_id = with_a_canary_in_flight(bench)
    made = driver(bench, run_id, AHEAD, "another boot")
    run = bench.follow(run_id, made)
    assert run.word == "done"
    assert made.setting.clock.now() == bench.clock.now() + AHEAD
