"""Runs on two targets, one of which cannot be used any more: its groups stop, those of the
other go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from runner.errors import CloudDenied, CloudError
from runner.execution.driver import Driver
from runner.execution.site import Absent, Site
from runner.model.events import Outcome
from runner.model.job import Ambiguous
from runner.model.run import Run
from runner.model.run_exit import exit_code
from runner.model.schedule import Pause, Schedule, Target
from runner.ports import Cloud
from tests.execution.memory_cloud import MemoryCloud, VirtualClock
from tests.execution.setup import Bench, schedule_of
from tests.journal import made

OTHER = "1" * 32


def on_two(waves: list[int], groups: list[str], **options: object) -> Schedule:
    """Group `a` is on target `t`, every other on `u`."""
    made = schedule_of(waves, groups=groups, **options)  # type: ignore[arg-type]
    rules = tuple(replace(g, target="t" if g.name == "a" else "u") for g in made.groups)
    return replace(
        made, groups=rules, targets=(*made.targets, Target("u", "simulator", "r", OTHER))
    )


@dataclass
class Two:
    """Two clouds with the same servers in each; each server of a schedule is asked for on
    its own target only.
    """

    bench: Bench
    other: MemoryCloud
    sites: dict[str, Cloud] = field(default_factory=dict)

    @classmethod
    def of(cls, servers: int) -> Two:
        bench = Bench.of(servers)
        return cls(bench, MemoryCloud.of(servers, bench.clock))

    def driver(self, run_id: str) -> Driver:
        driver = self.bench.driver(run_id)
        first = driver.setting.sites["t"]
        second = Site(self.sites.get("u", self.other), OTHER, first.tuning)
        driver.setting = replace(driver.setting, sites={"t": first, "u": second})
        return driver

    def run(self, schedule: Schedule) -> Run:
        run_id = self.bench.start(schedule)
        self.bench.follow(run_id, self.driver(run_id))
        return self.bench.read(run_id)


def breaks(
    cloud: MemoryCloud, clock: VirtualClock, when: Callable[[datetime], bool], error: CloudError
) -> None:
    """Every call fails once `when` is true."""

    def fail(name: str) -> None:
        if when(clock.now()):
            raise error

    cloud.before_call = fail


def outcomes(run: Run) -> list[str]:
    return [s.outcome.value if s.outcome else "pending" for s in run.servers.values()]


def test_each_group_goes_to_its_own_target() -> None:
    """Two clouds, two groups: each server is asked for where its group is, and nowhere else."""
    two = Two.of(6)
    run = two.run(on_two([1, 2, 3], ["a", "a", "b"]))
    assert run.word == "done"
    assert exit_code(run) == 0
    assert sorted(two.bench.cloud.times_rebooted()) == ["s-000", "s-001", "s-002"]
    assert sorted(two.other.times_rebooted()) == ["s-003", "s-004", "s-005"]
    assert [b.target for b in run.batches.values()] == ["t", "t", "u"]


@pytest.mark.parametrize(
    "error", [CloudDenied("the keys are refused"), CloudError("nobody is there")]
)
def test_a_target_that_fails_stops_its_own_groups_only(error: CloudError) -> None:
    """The first group's target fails between two of its waves: the second group, on another
    one, is done.
    """
    two = Two.of(7)
    schedule = on_two([1, 2, 1, 3], ["b", "b", "a", "a"], pause=Pause("timed", 60))
    began = two.bench.clock.now()
    breaks(two.other, two.bench.clock, lambda now: (now - began).total_seconds() > 70, error)
    run = two.run(schedule)
    assert run.word == "done"
    assert outcomes(run) == [
        "ready",
        "not_started",
        "not_started",
        "ready",
        "ready",
        "ready",
        "ready",
    ]
    lost = run.servers["s-001"]
    assert (lost.reason, lost.detail) == ("TargetFailed", f"target u: {error}")
    assert exit_code(run) == 4
    assert sum(two.other.times_rebooted().values()) == 1
    assert run.failed == 0


def test_what_was_in_flight_there_is_unknown_and_counts() -> None:
    """Servers that are down on a target nobody can look at any more are unknown at their
    deadline; the budget, which is the run's, stops everything: nobody knows whether the
    plan does harm.
    """
    two = Two.of(5)
    began = two.bench.clock.now()
    breaks(
        two.other,
        two.bench.clock,
        lambda now: (now - began).total_seconds() > 20,
        CloudDenied("no"),
    )
    run = two.run(on_two([1, 1, 3], ["b", "a", "a"], ready_timeout_s=300))
    assert outcomes(run) == ["unknown", *["not_started"] * 4]
    assert run.stop is not None
    assert exit_code(run) == 5
    two = Two.of(5)
    began = two.bench.clock.now()
    breaks(
        two.other,
        two.bench.clock,
        lambda now: (now - began).total_seconds() > 20,
        CloudDenied("no"),
    )
    run = two.run(on_two([2, 3], ["b", "a"], ready_timeout_s=300, max_failures=2))
    assert run.stop is not None
    assert run.stop.reason == "ApprovalTimeout"  # the budget is kept, but nothing is proven
    assert outcomes(run)[:2] == ["unknown"] * 2


def test_where_nothing_was_proven_a_person_is_asked() -> None:
    """A plan whose first target fails before any server came back has shown nothing: the
    other one needs a yes.
    """
    two = Two.of(3)
    breaks(two.other, two.bench.clock, lambda now: True, CloudDenied("no"))
    run_id = two.bench.start(on_two([1, 2], ["b", "a"]))
    driver = two.driver(run_id)
    two.bench.follow(run_id, driver, until="approval")
    run = two.bench.read(run_id)
    assert run.question is not None
    assert "came back ready" in run.question.why
    assert not two.bench.cloud.reboots


def test_the_last_target_that_could_go_on_keeps_the_run_open() -> None:
    """Where nothing else is left to do the error is the run's, as with a single target: it
    can be resumed.
    """
    two = Two.of(3)
    breaks(two.other, two.bench.clock, lambda now: True, CloudDenied("no"))
    run_id = two.bench.start(on_two([1, 2], ["a", "b"]))
    with pytest.raises(CloudDenied):
        two.bench.follow(run_id, two.driver(run_id))
    assert two.bench.read(run_id).is_open
    two.other.before_call = lambda name: None
    two.bench.follow(run_id, two.driver(run_id))
    assert outcomes(two.bench.read(run_id)) == ["ready"] * 3


def test_a_target_that_this_process_cannot_open_is_waited_for() -> None:
    """Its groups are given up only when it could not be read for `ready.timeout`; nothing
    is sent there.
    """
    two = Two.of(4)
    two.sites["u"] = Absent("u", CloudDenied("no credentials"))
    began = two.bench.clock.now()
    run = two.run(on_two([1, 1, 2], ["a", "b", "a"], ready_timeout_s=600))
    assert outcomes(run) == ["ready", "not_started", "ready", "ready"]
    assert (two.bench.clock.now() - began).total_seconds() > 600
    assert not two.other.reboots


def test_a_target_that_cannot_be_opened_is_named() -> None:
    """Whatever is asked of it: a line that repeats at each poll says where to look."""
    absent = Absent("u", CloudDenied("no credentials"))
    for question in (
        absent.job("j"),
        absent.inventory(),
        absent.read_servers(["s"]),
        absent.reboot_history("s"),
    ):
        with pytest.raises(CloudError, match=r"^target u could not be opened: no credentials$"):
            asyncio.run(question)


def test_a_lost_answer_there_is_settled_as_unknown() -> None:
    """The request's answer is lost, and then nobody can look: unknown when `ready.timeout`
    is over, never repeated.
    """
    two = Two.of(4)
    began = two.bench.clock.now()

    def lost(cloud: MemoryCloud, ids: object) -> Ambiguous:
        return Ambiguous("the line broke", None, None, None)

    two.other.answers = [lost]
    breaks(
        two.other, two.bench.clock, lambda now: (now - began).total_seconds() > 5, CloudDenied("no")
    )
    run = two.run(on_two([1, 2, 1], ["b", "a", "a"], ready_timeout_s=400, max_failures=3))
    first = run.servers["s-000"]
    assert (first.outcome, first.reason) == (Outcome.UNKNOWN, "CannotSee")
    assert not two.other.reboots


def test_a_stop_ends_although_nobody_can_look_any_more() -> None:
    """A run that is cancelled while a request's answer is lost on a target that was given
    up comes to its end.
    """
    two = Two.of(4)
    began = two.bench.clock.now()
    two.other.answers = [lambda cloud, ids: Ambiguous("the line broke", None, None, None)]
    breaks(
        two.other, two.bench.clock, lambda now: (now - began).total_seconds() > 5, CloudDenied("no")
    )
    run_id = two.bench.start(
        on_two([1, 2, 1], ["b", "a", "a"], ready_timeout_s=400, max_failures=3)
    )
    driver = two.driver(run_id)

    async def until_given_up() -> None:
        while not (step := await driver.advance()).run.failed_targets:
            assert step.due
            await two.bench.clock.sleep(
                max(0.001, (step.due - two.bench.clock.now()).total_seconds())
            )

    asyncio.run(until_given_up())
    two.bench.store.record(
        run_id, two.bench.clock.now(), [made("cancel.requested", {"by": "ann", "reason": "no"})]
    )
    two.bench.follow(run_id, driver)
    run = two.bench.read(run_id)
    assert run.word == "cancelled"
    assert outcomes(run) == ["unknown", *["not_started"] * 3]


def test_a_target_that_dies_in_its_canary_stops_its_own_groups() -> None:
    """Nobody can look at the canary any more: its target is given up, it counts for the run's
    budget only, and the group on the other target, whose servers have shown that the plan
    works, goes on.
    """
    two = Two.of(8)
    began = two.bench.clock.now()
    breaks(
        two.other,
        two.bench.clock,
        lambda now: (now - began).total_seconds() > 70,
        CloudError("nobody is there"),
    )
    schedule = on_two([1, 1, 2, 4], ["a", "b", "b", "a"], ready_timeout_s=300, max_failures=4)
    run = two.run(schedule)
    assert outcomes(run) == ["ready", "unknown", "not_started", "not_started", *["ready"] * 4]
    assert run.servers["s-001"].reason == "CannotSee"
    assert run.servers["s-002"].reason == "TargetFailed"
    assert run.word == "done"
