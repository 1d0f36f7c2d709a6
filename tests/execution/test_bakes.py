"""The bake watches what it waits for: in virtual time, with a cloud in memory and servers
that can be asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.errors import CloudDenied, CloudError
from runner.execution.journal import replay
from runner.model.check import Check
from runner.model.events import Outcome
from runner.model.inventory import PowerState, Server, Task
from runner.model.run import Evidence, Run
from runner.model.schedule import Pause, Schedule
from tests.execution.bedside import bedside, bench_of, well
from tests.execution.memory_cloud import MemoryCloud
from tests.execution.setup import Bench, schedule_of
from tests.execution.test_deaths import carry_on
from tests.journal import made

TCP = (Check("tcp", 443),)


def two_groups(bake_s: float = 1800.0, **more: object) -> Schedule:
    return schedule_of([2, 2], groups=["a", "b"], bake_s=bake_s, **more)  # type: ignore[arg-type]  # of a schedule


def dies(
    bench: Bench,
    server: str,
    state: PowerState = PowerState.STOPPED,
    *,
    after_s: float = 0.0,
    back_s: float = 1e9,
) -> None:
    """From so many seconds after now the server reads so, until it is back."""
    began, real = bench.clock.now(), bench.cloud.see

    def see(server_id: str) -> Server | None:
        seen, age = real(server_id), (bench.clock.now() - began).total_seconds()
        is_down = server_id == server and after_s <= age < back_s
        return replace(seen, state=state, words=f"state {state}") if is_down and seen else seen

    bench.cloud.see = see  # type: ignore[method-assign]


def types(bench: Bench, run: Run) -> list[str]:
    return [e.type for e in bench.store.events(run.id)]


def test_a_server_that_dies_in_the_bake_stops_the_run_before_the_next_group() -> None:
    """It turns from ready to failed with a reason, the budget is judged at once, and
    nothing more is sent.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups())
    bench.follow(run_id, until="bake")
    dies(bench, "s-001", after_s=300)
    began = bench.clock.now()
    run = bench.follow(run_id)
    assert (run.word, run.stop and run.stop.reason) == ("stopped", "FailureBudgetExceeded")
    lost = run.servers["s-001"]
    assert (lost.outcome, lost.reason, lost.evidence) == (
        Outcome.FAILED,
        "LostInBake",
        Evidence.STATE,
    )
    assert "state stopped" in lost.detail
    assert run.waves[0].counts == {"ready": 1, "failed": 1}
    assert bench.clock.now() - began < timedelta(minutes=10)
    assert bench.cloud.calls["reboot"] == 1
    assert run.servers["s-002"].outcome is Outcome.NOT_STARTED
    assert replay(run_id, bench.store.events(run_id)).counts() == run.counts()


def test_one_miss_is_no_loss() -> None:
    """A server that is away for a minute and back is still ready; the misses are in the journal."""
    bench = Bench.of(4)
    run_id = bench.start(two_groups())
    bench.follow(run_id, until="bake")
    dies(bench, "s-001", PowerState.REBOOTING, after_s=290, back_s=360)
    run = bench.follow(run_id)
    assert (run.word, run.counts()["ready"]) == ("done", 4)
    assert types(bench, run).count("bake.observed") == 2
    assert types(bench, run).count("bake.ended") == 2
    assert run.servers["s-001"].missing_since is None


@pytest.mark.parametrize(("task", "word"), [(Task.OTHER, "done"), (Task.STOP, "stopped")])
def test_a_task_is_no_miss_unless_the_server_is_on_its_way_out(task: Task, word: str) -> None:
    """A server with a snapshot under way runs; one that is powered off still reads ACTIVE,
    and is lost all the same.
    """
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([2], bake_s=600))
    bench.follow(run_id, until="bake")
    real = bench.cloud.see

    def see(server_id: str) -> Server | None:
        seen = real(server_id)
        return replace(seen, task=task) if seen else None

    bench.cloud.see = see  # type: ignore[method-assign]
    assert bench.follow(run_id).word == word


def test_checks_are_asked_in_the_bake_and_at_its_end() -> None:
    """A server whose check begins to fail in mid-bake is lost by it; others are asked until
    the end.
    """
    bench = bench_of(
        4, lambda s, now, rebooted: "answered 503" if s == "s-000" and now > 900 else None
    )
    run_id = bench.start(two_groups(checks=TCP, max_failures=1))
    run = bench.follow(run_id)
    lost = run.servers["s-000"]
    assert (lost.outcome, lost.reason, lost.evidence) == (
        Outcome.FAILED,
        "UnhealthyInBake",
        Evidence.STATE,
    )
    assert "answered 503" in lost.detail
    assert (run.word, run.counts()["ready"]) == ("done", 3)
    end = (run.waves[1].ended or run.created) + timedelta(seconds=1800) - run.created
    assert max(at for who, at, _ in bedside(bench).asked if who == "s-003") >= end.total_seconds()


def test_a_fault_of_long_standing_uses_up_no_budget_in_the_bake_either() -> None:
    """`baseline: count`: who did not pass before may stop passing again; a server that is
    gone is another matter.
    """
    fault = lambda s, now, rebooted: "503" if s == "s-001" and (not rebooted or now > 900) else None  # noqa: E731
    bench = bench_of(4, fault)
    run = bench.follow(bench.start(two_groups(checks=TCP, baseline="count")))
    assert (run.word, run.failed, run.servers["s-001"].reason) == ("done", 0, "UnhealthyInBake")


def test_the_last_group_bakes_too_and_a_canary_lost_there_counts() -> None:
    """The run ends after its last bake, and what is lost there stops it like anything else."""
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([1, 2], bake_s=600, max_failures=2))
    run = bench.follow(run_id, until="bake")
    assert run.wave is None
    assert run.is_open
    over = bench.clock.now()
    dies(bench, "s-000", after_s=30)
    run = bench.follow(run_id)
    assert (run.word, run.stop and run.stop.reason) == ("stopped", "CanaryFailed")
    bench = Bench.of(3)
    run = bench.follow(bench.start(schedule_of([1, 2], bake_s=600)))
    assert run.word == "done"
    assert run.ended
    assert run.waves[1].ended
    assert run.ended - run.waves[1].ended == timedelta(seconds=600)
    assert over


def test_a_bake_that_passed_without_a_process_is_observed_at_its_end() -> None:
    """Resumed a day later: its servers are looked at before the next group begins, from the
    journal's own start.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups())
    began = bench.follow(run_id, until="bake").bake_began
    bench.clock.jump(days=1)
    dies(bench, "s-000")
    before = bench.cloud.calls["read_servers"]
    run = bench.follow(run_id)
    assert (run.word, run.servers["s-000"].reason) == ("stopped", "LostInBake")
    assert bench.cloud.calls["read_servers"] >= before + 2
    assert types(bench, run).count("bake.started") == 1
    assert began
    bench = Bench.of(4)
    run_id = bench.start(two_groups())
    bench.follow(run_id, until="bake")
    bench.clock.jump(days=1)
    before = bench.cloud.calls["read_servers"]
    asyncio.run(bench.driver(run_id).advance())
    assert bench.read(run_id).waves[1].started
    assert bench.cloud.calls["read_servers"] > before


def test_processes_that_live_for_one_step_each_lose_a_server_all_the_same() -> None:
    """Driven by a timer, every step by a new process: the first miss is the journal's, so
    it is judged in time.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups(600.0))
    bench.follow(run_id, until="bake")
    dies(bench, "s-001", after_s=100)
    for _ in range(20):
        step = asyncio.run(bench.driver(run_id).advance())
        if step.due is None:
            break
        bench.clock.jump(minutes=5)
    run = bench.read(run_id)
    assert (run.word, run.servers["s-001"].reason) == ("stopped", "LostInBake")


def test_an_end_of_a_bake_that_cannot_be_looked_at_waits_and_then_says_so() -> None:
    """While the cloud cannot be read the next group does not begin; after `ready.timeout`
    the process tells it.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups(600.0))
    bench.follow(run_id, until="bake")

    def fails(name: str) -> None:
        if name == "read_servers":
            raise CloudError("no route")

    bench.cloud.before_call = fails
    began = bench.clock.now()
    with pytest.raises(CloudError, match="no route"):
        bench.follow(run_id)
    assert timedelta(seconds=1500) <= bench.clock.now() - began < timedelta(seconds=1600)
    assert bench.read(run_id).is_open
    bench.cloud.before_call = lambda name: None
    bench.lapse()
    assert bench.follow(run_id).counts()["ready"] == 4


def test_credentials_that_stay_refused_are_told() -> None:
    """After three refusals in a row the process says so; a person must mend them."""
    bench = Bench.of(4)
    run_id = bench.start(two_groups())
    bench.follow(run_id, until="bake")

    def denied(name: str) -> None:
        raise CloudDenied("no")

    bench.cloud.before_call = denied
    with pytest.raises(CloudDenied):
        bench.follow(run_id)


@pytest.mark.parametrize("event", ["cancel.requested", "lost"])
def test_what_stops_a_run_ends_its_bake(event: str) -> None:
    """Cancelled in its bake, a run is over at once; so is one with nobody left to watch,
    but for what it asks.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups(max_failures=4))
    bench.follow(run_id, until="bake")
    began = bench.clock.now()
    if event == "cancel.requested":
        bench.store.record(
            run_id, bench.clock.now(), [made(event, {"by": "ann", "reason": "incident"})]
        )
        assert bench.follow(run_id).word == "cancelled"
        assert bench.clock.now() == began
        return
    bench.cloud.dead = {"s-000", "s-001"}
    run = bench.follow(run_id, until="approval")
    assert run.question
    assert run.question.id == "proof:1"
    assert bench.clock.now() - began < timedelta(minutes=6)


def test_a_loss_may_ask_a_person() -> None:
    """`on_failure: approval`: the question is open while the bake goes on; its answer lets
    the run go on.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups(max_failures=2, group_max=0, on_failure="approval"))
    bench.follow(run_id, until="bake")
    bench.cloud.dead = {"s-000"}
    run = bench.follow(run_id, until="approval")
    assert run.question
    assert run.question.id == "budget:a:1"
    assert run.servers["s-000"].reason == "LostInBake"
    bench.store.record(
        run_id, bench.clock.now(), [made("approval.given", {"question": "budget:a:1", "by": "ann"})]
    )
    run = bench.follow(run_id)
    assert (run.word, run.counts()["ready"]) == ("done", 3)
    assert run.waves[1].started
    assert run.bake_began


def test_a_loss_in_the_last_bake_asks_nobody() -> None:
    """There is nothing to let go on: the run ends, and says what it lost."""
    bench = Bench.of(2)
    run_id = bench.start(
        schedule_of([2], bake_s=600, max_failures=2, group_max=0, on_failure="approval")
    )
    bench.follow(run_id, until="bake")
    bench.cloud.dead = {"s-000"}
    run = bench.follow(run_id)
    assert (run.word, run.failed, run.question) == ("done", 1, None)
    assert "approval.asked" not in types(bench, run)


def test_a_group_without_a_ready_server_does_not_bake() -> None:
    """Where nothing came back there is nothing to watch; a person is asked instead."""
    bench = Bench.of(4)
    bench.cloud.fails = {"s-000": "boot failed", "s-001": "boot failed"}
    run_id = bench.start(two_groups(max_failures=4))
    run = bench.follow(run_id, until="approval")
    assert "bake.started" not in types(bench, run)


def test_many_servers_are_read_by_one_list_a_round() -> None:
    """Gently: a round a minute at first, then seldom; one reading of all servers each."""
    bench = bench_of(60, well)
    run_id = bench.start(schedule_of([60], bake_s=4 * 3600, checks=TCP))
    bench.follow(run_id, until="bake")
    before, began = bench.cloud.calls["read_servers"], bench.clock.now()
    run = bench.follow(run_id)
    rounds = bench.cloud.calls["read_servers"] - before
    assert 48 <= rounds <= 70
    assert bench.clock.now() - began == timedelta(hours=4)
    assert types(bench, run)[-2:] == ["bake.ended", "run.ended"]


def test_a_step_in_a_bake_says_when_the_bake_is_over() -> None:
    """A process that may not wait for long suspends for the whole bake, not for the next look."""
    bench = Bench.of(4)
    run_id = bench.start(two_groups())
    driver = bench.driver(run_id)
    bench.follow(run_id, driver, until="bake")
    step = asyncio.run(driver.advance())
    assert step.can_suspend
    assert step.due == bench.clock.now() + timedelta(seconds=60)
    assert step.until == bench.clock.now() + timedelta(seconds=1800)


def test_a_journal_of_an_older_version_goes_on_in_its_pause() -> None:
    """Begun before bakes were observed: its pause is on and no end of the bake is told; its
    servers are looked at.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups(100.0, pause=Pause("timed", 1000)))
    bench.follow(run_id, until="bake")
    bench.clock.jump(seconds=101)
    bench.store.record(
        run_id, bench.clock.now(), [made("pause.started", {"after": 1, "seconds": 1000.0})]
    )
    began = bench.clock.now()
    run = bench.follow(run_id)
    assert (run.word, types(bench, run).count("pause.started")) == ("done", 1)
    assert run.waves[1].started == began + timedelta(seconds=1000)


def test_a_server_that_a_person_resolved_is_left_to_that_person() -> None:
    """Resolved as rebooted, it is not judged by the bake."""
    bench = Bench.of(4)
    bench.cloud.history_readable = False

    def half(cloud: MemoryCloud, ids: object) -> object:
        from runner.model.job import Ambiguous

        return Ambiguous("reset")

    bench.tuning = type(bench.tuning)(servers_per_request=1)
    bench.cloud.answers = [half]  # type: ignore[list-item]  # a fault
    run_id = bench.start(two_groups(max_failures=4))
    run = bench.follow(run_id, until="bake")
    (server,) = [s.ref.id for s in run.servers.values() if s.outcome is Outcome.UNKNOWN]
    data = {"server": server, "resolved_as": "rebooted", "by": "ann", "reason": "seen"}
    bench.store.record(run_id, bench.clock.now(), [made("server.resolved", data)])
    dies(bench, server)
    run = bench.follow(run_id)
    assert (run.word, run.servers[server].outcome) == ("done", Outcome.READY)


def test_a_death_at_any_call_of_a_bake_changes_nothing() -> None:
    """Whatever call was the last one of a process, the next loses exactly the server that
    is gone, and stops.
    """
    deaths = 0
    for at in range(1, 500, 2):  # every other call: half the time
        bench = Bench.of(4)
        run_id = bench.start(two_groups(300.0))
        bench.follow(run_id, until="bake")
        dies(bench, "s-001", after_s=60)
        if not carry_on(bench, run_id, at):
            break
        deaths += 1
        run = bench.read(run_id)
        assert (run.word, run.stop and run.stop.reason) == ("stopped", "FailureBudgetExceeded"), (
            f"death at call {at}"
        )
        assert run.servers["s-001"].reason == "LostInBake"
        assert run.counts()["ready"] == 1
        assert run.failed == 1
        assert bench.cloud.calls["reboot"] == 1
        assert replay(run_id, bench.store.events(run_id)).failed == 1
    assert deaths > 10


def test_a_meddler_in_the_bake_cannot_poison_the_run() -> None:
    """Cancelled between a reading and what follows from it: nothing is recorded that
    cannot follow.
    """
    bench = Bench.of(4)
    run_id = bench.start(two_groups(600.0))
    bench.follow(run_id, until="bake")
    dies(bench, "s-001", after_s=100)

    def cancel(name: str) -> None:
        if name == "read_servers" and bench.read(run_id).servers["s-001"].missing_since:
            event = made("cancel.requested", {"by": "ann", "reason": "incident"})
            bench.cloud.after_call = lambda name: None
            bench.store.record(run_id, bench.clock.now(), [event])

    bench.cloud.after_call = cancel
    run = bench.follow(run_id)
    assert (run.word, run.servers["s-001"].outcome) == ("cancelled", Outcome.READY)
    assert replay(run_id, bench.store.events(run_id)).word == "cancelled"
