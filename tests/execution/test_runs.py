"""Runs from beginning to end, in virtual time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from runner.execution.effects import Tuning
from runner.model.events import Outcome
from runner.model.job import Ambiguous, NotSent, Refusal, Refused, Throttled
from runner.model.run import Evidence
from runner.model.schedule import Pause
from runner.report.run_steps import next_steps
from tests.journal import fields_of, made

from .memory_cloud import Answer, MemoryCloud, lost_after_acceptance, lost_before_acceptance
from .setup import PROJECT, Bench, schedule_of


def test_each_server_is_rebooted_once_in_wave_order() -> None:
    """Every server goes down exactly once, and no wave begins before the one before it is back."""
    bench = Bench.of(111)
    run = bench.follow(bench.start(schedule_of([1, 10, 100], max_failures=0)))
    assert run.word == "done"
    assert run.counts()["ready"] == 111
    assert set(bench.cloud.times_rebooted().values()) == {1}
    for before, after in zip(run.schedule.waves, run.schedule.waves[1:], strict=False):
        ended = max(
            r.ended for r in bench.cloud.reboots if r.server in {s.id for s in before.servers}
        )
        began = min(
            r.began for r in bench.cloud.reboots if r.server in {s.id for s in after.servers}
        )
        assert began >= ended


def test_a_wave_needs_one_request_two_readings_and_a_poll_an_interval() -> None:
    """API calls of a wave of 1,000: one request, one reading before and one after, polls
    only at their interval.
    """
    bench = Bench.of(1000)
    bench.cloud.takes = {f"s-{i:03d}": 30 + i % 20 for i in range(1000)}
    run = bench.follow(bench.start(schedule_of([1000])))
    assert run.counts()["ready"] == 1000
    assert bench.cloud.calls["reboot"] == 1
    assert bench.cloud.calls["read_servers"] == 2
    assert bench.cloud.calls["job"] <= 10


def test_a_pause_is_a_stored_start_and_length() -> None:
    """A process that dies in a pause does not prolong it: the next one goes on at the
    same moment.
    """
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([1, 1], pause=Pause("timed", 3600)))
    bench.follow(run_id, until="pause")
    bench.clock.jump(minutes=50)
    run = bench.follow(run_id)
    first, second = run.waves
    assert first.ended
    assert second.started
    assert second.started - first.ended == timedelta(seconds=3600)


def test_more_failures_than_allowed_stop_the_run() -> None:
    """A run stops when failed > max_failures; what is in flight is followed, the rest is
    not started.
    """
    bench = Bench.of(30)
    bench.cloud.fails = {"s-011": "boot failed", "s-012": "boot failed"}
    run = bench.follow(bench.start(schedule_of([10, 10, 10], max_failures=1)))
    assert run.word == "stopped"
    assert run.stop
    assert run.stop.reason == "FailureBudgetExceeded"
    assert Counter(run.counts()) == Counter(ready=18, failed=2, not_started=10)
    assert run.servers["s-011"].reason == "JobFailed"
    assert "boot failed" in run.servers["s-011"].detail
    assert run.servers["s-025"].reason == "FailureBudgetExceeded"


def test_a_failure_within_the_budget_goes_on() -> None:
    """Exactly as many failures as allowed do not stop a run."""
    bench = Bench.of(30)
    bench.cloud.fails = {"s-011": "boot failed"}
    run = bench.follow(bench.start(schedule_of([10, 10, 10], max_failures=1)))
    assert run.word == "done"
    assert run.counts()["ready"] == 29


def test_a_canary_that_fails_stops_its_group_whatever_the_budget() -> None:
    """A first wave of one server exceeds its group's budget by failing."""
    bench = Bench.of(11)
    bench.cloud.fails = {"s-000": "boot failed"}
    run = bench.follow(bench.start(schedule_of([1, 10], max_failures=5)))
    assert run.word == "stopped"
    assert run.stop
    assert run.stop.reason == "CanaryFailed"
    assert run.counts()["not_started"] == 10


def test_a_wave_without_a_ready_server_asks_a_person() -> None:
    """When nothing of a wave came back, the next one waits for an approval although the
    budget allows it.
    """
    bench = Bench.of(20)
    bench.cloud.fails = {f"s-{i:03d}": "boot failed" for i in range(10)}
    run_id = bench.start(schedule_of([10, 10], max_failures=15))
    run = bench.follow(run_id, until="approval")
    assert run.question
    assert run.question.id == "proof:1"
    bench.store.record(
        run_id, bench.clock.now(), [made("approval.given", {"question": "proof:1", "by": "ann"})]
    )
    assert bench.follow(run_id).word == "done"
    assert [fields_of(d)["by"] for d in bench.read(run_id).decisions] == ["ann"]


def test_an_approval_that_never_comes_stops_the_run() -> None:
    """`wait_at_most` ends the wait for an answer."""
    bench = Bench.of(2)
    run = bench.follow(bench.start(schedule_of([1, 1], pause=Pause("approval"))))
    assert run.stop
    assert run.stop.reason == "ApprovalTimeout"
    assert run.counts()["not_started"] == 1


def test_a_server_that_never_returns_is_failed_at_its_deadline() -> None:
    """Every wait has a deadline: a job that never ends, and a server that stays down,
    are failed.
    """
    bench = Bench.of(3)
    bench.cloud.idle, bench.cloud.dead = {"s-001"}, {"s-002"}
    run = bench.follow(bench.start(schedule_of([3], max_failures=3)))
    assert run.servers["s-001"].reason == "JobTimedOut"
    assert run.servers["s-002"].reason == "NotReady"
    assert "SHUTOFF" in run.servers["s-002"].detail
    assert run.servers["s-000"].outcome is Outcome.READY


def test_throttling_is_waited_for_and_repeated() -> None:
    """A throttled request was not accepted: it is repeated when the cloud says, and
    reboots once.
    """
    bench = Bench.of(3)
    bench.cloud.answers = [lambda c, i: Throttled("APIGW.0308", "limit", 30.0)] * 2
    run = bench.follow(bench.start(schedule_of([3])))
    assert run.counts()["ready"] == 3
    assert set(bench.cloud.times_rebooted().values()) == {1}
    assert bench.cloud.reboots[0].began - run.created >= timedelta(seconds=60)


def test_a_request_that_never_left_is_repeated() -> None:
    """DNS, connect and TLS errors prove that nothing was sent."""
    bench = Bench.of(3)
    bench.cloud.answers = [lambda c, i: NotSent("connection refused")]
    assert bench.follow(bench.start(schedule_of([3]))).counts()["ready"] == 3
    assert set(bench.cloud.times_rebooted().values()) == {1}


def test_a_lost_answer_is_settled_by_evidence() -> None:
    """The batch was accepted and its answer lost: the servers' history tells, and nothing
    is sent again.
    """
    bench = Bench.of(3)
    bench.cloud.answers = [lost_after_acceptance]
    run = bench.follow(bench.start(schedule_of([3])))
    assert run.counts()["ready"] == 3
    assert {s.reason for s in run.servers.values()} == {"RebootSeen"}
    assert {s.evidence for s in run.servers.values()} == {Evidence.STATE}
    assert bench.cloud.calls["reboot"] == 1


def test_a_lost_request_without_a_trace_is_held_for_a_person() -> None:
    """With `hold`, what left no trace is unknown, keeps its claim and is never sent again."""
    bench = Bench.of(3)
    bench.cloud.answers = [lost_before_acceptance]
    run = bench.follow(bench.start(schedule_of([3])))
    assert run.counts()["unknown"] == 3
    assert run.servers["s-000"].reason == "NoTrace"
    assert bench.cloud.calls["reboot"] == 1


def test_a_lost_request_without_a_trace_is_repeated_with_retry() -> None:
    """With `retry`, *no trace* on two readings leads to one more attempt by the same process."""
    bench = Bench.of(3)
    bench.cloud.answers = [lost_before_acceptance]
    run = bench.follow(bench.start(schedule_of([3], on_unknown="retry")))
    assert run.counts()["ready"] == 3
    assert set(bench.cloud.times_rebooted().values()) == {1}
    assert bench.cloud.calls["reboot"] == 2


def test_one_locked_server_does_not_stop_the_others() -> None:
    """A batch refused because of one server is read again and split until the bad one
    stands alone.
    """
    bench = Bench.of(64)

    def refuse(cloud: MemoryCloud, ids):  # type: ignore[no-untyped-def]
        return (
            Refused("Ecs.0605", "locked", 400, why=(Refusal.LOCKED,), is_divisible=True)
            if "s-013" in ids
            else None
        )

    bench.cloud.answers = [refuse] * 40
    run = bench.follow(bench.start(schedule_of([64])))
    assert run.counts()["ready"] == 63
    assert run.servers["s-013"].outcome is Outcome.SKIPPED
    assert run.servers["s-013"].reason == "Locked"
    assert set(bench.cloud.times_rebooted().values()) == {1}
    assert "s-013" not in bench.cloud.times_rebooted()


def test_servers_rebooted_by_somebody_else_are_skipped() -> None:
    """A server rebooted since the run began is not rebooted again, and only moved servers'
    histories are read.
    """
    bench = Bench.of(50)
    run_id = bench.start(schedule_of([25, 25]))
    bench.clock.jump(seconds=1)
    bench.cloud.accept(["s-030"])
    run = bench.follow(run_id)
    assert run.servers["s-030"].reason == "RebootedByOther"
    assert bench.cloud.calls["reboot_history"] == 1
    assert run.counts()["ready"] == 49


def test_the_rate_budget_is_never_exceeded() -> None:
    """In any 60 s no more servers are asked for than the target allows."""
    bench = Bench.of(300)
    bench.tuning = Tuning(servers_per_request=50, servers_per_minute=100)
    run = bench.follow(bench.start(schedule_of([300])))
    assert run.counts()["ready"] == 300
    times = sorted(r.began for r in bench.cloud.reboots)
    for i, began in enumerate(times):
        assert sum(1 for t in times[i:] if t - began < timedelta(seconds=60)) <= 100


def refused(code: str, why: Refusal) -> Refused:
    return Refused(code, "no", 400, why=(why,), is_divisible=True)


def test_an_ambiguous_answer_with_a_second_refusal_is_evidence() -> None:
    """After a doubtful attempt, a refusal for the server's state proves nothing: it is
    settled by evidence.
    """
    bench = Bench.of(1)
    answers: list[Answer | None] = [
        lost_before_acceptance,
        lambda c, i: (c.accept(i), refused("Ecs.0100", Refusal.NOT_ACTIVE))[1],
    ]
    bench.cloud.answers = answers
    run = bench.follow(bench.start(schedule_of([1], on_unknown="retry")))
    assert bench.cloud.times_rebooted() == {"s-000": 1}
    assert run.servers["s-000"].outcome is Outcome.READY


def test_a_run_resumed_after_two_days_ends_correctly() -> None:
    """Finished jobs vanish from the cloud after a day; history and `updated` then tell."""
    bench = Bench.of(5)
    run_id = bench.start(schedule_of([5]))
    bench.follow(run_id, until="come back")
    bench.clock.jump(days=2)
    run = bench.follow(run_id)
    assert run.counts()["ready"] == 5
    assert {s.evidence for s in run.servers.values()} == {Evidence.STATE}
    assert bench.cloud.calls["reboot"] == 1


def test_six_hours_cost_no_time() -> None:
    """A plan with hours of pauses runs in virtual time."""
    bench = Bench.of(12)
    run = bench.follow(bench.start(schedule_of([1] * 12, pause=Pause("timed", 1800))))
    assert run.word == "done"
    assert bench.clock.now() - run.created > timedelta(hours=5)


def test_stable_for_needs_the_whole_time_without_a_miss() -> None:
    """A server is ready only when it has read ACTIVE and idle for `stable_for`."""
    bench = Bench.of(1)
    run = bench.follow(bench.start(schedule_of([1], stable_for_s=60)))
    server = run.servers["s-000"]
    assert server.ended
    assert server.up_since
    assert server.ended - server.up_since >= timedelta(seconds=60)


def test_a_bake_comes_before_the_pause() -> None:
    """At the end of a group its bake is waited for, then the pause."""
    bench = Bench.of(2)
    schedule = schedule_of([1, 1], bake_s=100, pause=Pause("timed", 50), groups=["a", "b"])
    run = bench.follow(bench.start(schedule))
    assert run.waves[0].ended
    assert run.waves[1].started
    assert run.waves[1].started - run.waves[0].ended == timedelta(seconds=150)


def test_a_cancel_reaches_a_run_between_two_waves() -> None:
    """A cancel from another process stops the run; nothing is lost of what was done."""
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([1, 1], pause=Pause("timed", 3600)))
    bench.follow(run_id, until="pause")
    bench.store.record(
        run_id, bench.clock.now(), [made("cancel.requested", {"by": "ann", "reason": "incident"})]
    )
    run = bench.follow(run_id)
    assert run.word == "cancelled"
    assert run.counts()["ready"] == 1
    assert run.servers["s-001"].reason == "Cancelled"


def test_a_cancelled_run_asks_nothing_and_says_that_it_stops() -> None:
    """Until a process ends it, it is `stopping`, its question is closed, and the next step
    is to follow it.
    """
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([1, 1], pause=Pause("approval")))
    assert bench.follow(run_id, until="approval").word == bench.store.find(run_id).word == "waiting"
    cancel = made("cancel.requested", {"by": "ann", "reason": "incident"})
    bench.store.record(run_id, bench.clock.now(), [cancel], word="stopping")
    run = bench.read(run_id)
    assert run.word == "stopping"
    assert run.question is None
    assert [step.command for step in next_steps(run)] == [f"reboot-runner resume {run_id}"]
    assert bench.follow(run_id).word == bench.store.find(run_id).word == "cancelled"


def test_on_failure_approval_asks_in_the_middle_of_a_wave() -> None:
    """A group's exceeded budget with `on_failure: approval` holds further requests until a
    person answers.
    """
    bench = Bench.of(20)
    bench.cloud.fails = {"s-003": "boot failed"}
    run_id = bench.start(schedule_of([10, 10], max_failures=5, group_max=0, on_failure="approval"))
    run = bench.follow(run_id, until="approval")
    assert run.question
    assert run.question.id == "budget:web:1"
    bench.store.record(
        run_id,
        bench.clock.now(),
        [made("approval.given", {"question": "budget:web:1", "by": "ann"})],
    )
    assert bench.follow(run_id).counts()["ready"] == 19


def test_evidence_is_ambiguous_when_history_cannot_be_read() -> None:
    """Without a readable history a lost answer stays unknown, also with `retry`."""
    bench = Bench.of(2)
    bench.cloud.history_readable = False
    bench.cloud.answers = [lambda c, i: Ambiguous("reset")]
    run = bench.follow(bench.start(schedule_of([2], on_unknown="retry")))
    assert run.counts()["unknown"] == 2
    assert bench.cloud.calls["reboot"] == 1


def test_a_server_that_reboots_although_its_batch_was_refused_is_followed_and_spent() -> None:
    """Found in REBOOT after a refusal it is taken for rebooted: not asked again, and its
    cycle is spent.
    """
    bench = Bench.of(4)
    bench.cloud.answers = [lambda c, i: (c.accept(["s-001"]), refused("Ecs.0603", Refusal.BUSY))[1]]
    run = bench.follow(bench.start(schedule_of([4])))
    assert run.counts()["ready"] == 4
    assert run.servers["s-001"].reason == "RebootSeen"
    assert set(bench.cloud.times_rebooted().values()) == {1}
    assert len(bench.store.spent("c1", PROJECT)) == 4


def test_a_refused_server_does_not_spend_its_cycle() -> None:
    """What the cloud provably refused may be asked for by the next plan of the cycle."""
    bench = Bench.of(3)
    locked = refused("Ecs.0605", Refusal.LOCKED)
    refuse = lambda c, i: locked if "s-002" in i else None  # noqa: E731
    bench.cloud.answers = [refuse] * 9
    run = bench.follow(bench.start(schedule_of([3])))
    assert run.servers["s-002"].reason == "Locked"
    assert set(bench.store.spent("c1", PROJECT)) == {"s-000", "s-001"}
