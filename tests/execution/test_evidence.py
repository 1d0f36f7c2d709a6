"""A server is judged by what is seen of it: failed jobs, stuck jobs, throttled requests,
lost answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from runner.errors import CloudError
from runner.execution import fold
from runner.execution.effects import Tuning
from runner.execution.evidence import Finding, Trace, earlier_requests, trace_of
from runner.execution.journal import create_run
from runner.model.events import Event, Outcome
from runner.model.inventory import Server, Task
from runner.model.job import (
    Accepted,
    Ambiguous,
    Job,
    JobGone,
    JobStatus,
    RebootAnswer,
    Refusal,
    Refused,
    SubJob,
    Throttled,
)
from runner.model.run import BatchPhase, Evidence, Phase, Run
from runner.report.run_words import headline
from tests.journal import made

from .memory_cloud import MemoryCloud, lost_after_acceptance
from .setup import Bench, schedule_of

ALL_MAY_FAIL = 99
THROTTLED = Throttled("APIGW.0308", "over ratelimit", None, "req-7")


def touch(cloud: MemoryCloud, *ids: str) -> None:
    """Change `updated` of servers, as any change of theirs does."""
    for server_id in ids:
        cloud.servers[server_id] = replace(cloud.servers[server_id], updated="touched")


def touched(
    *ids: str, answer: RebootAnswer
) -> Callable[[MemoryCloud, Collection[str]], RebootAnswer]:
    """Change `updated` of servers when a request comes, and give this answer."""

    def fault(cloud: MemoryCloud, asked: Collection[str]) -> RebootAnswer:
        touch(cloud, *ids)
        return answer

    return fault


def quiet(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    """Accept a job that does nothing to its servers."""
    cloud.idle |= set(ids)
    return cloud.accept(ids)


def with_job(bench: Bench, make: Callable[[Job], Job]) -> None:
    """Answer job polls with what `make` makes of the real job."""
    real = bench.cloud.job

    async def job(job_id: str) -> Job | JobGone:
        found = await real(job_id)
        return found if isinstance(found, JobGone) else make(found)

    bench.cloud.job = job  # type: ignore[method-assign]


def follow(bench: Bench, *, servers: int, **rules: object) -> Run:
    schedule = schedule_of([servers], max_failures=ALL_MAY_FAIL, **rules)  # type: ignore[arg-type]
    return bench.follow(bench.start(schedule))


# --- jobs that failed ---------------------------------------------------------


def failed_whole(job: Job) -> Job:
    return replace(
        job,
        status=JobStatus.FAIL,
        sub_jobs={},
        code="Common.0021",
        reason="could not be carried out",
        request_id="p-1",
    )


@pytest.mark.parametrize("readable", [True, False])
def test_a_failed_job_is_never_made_good_by_a_changed_updated(readable: bool) -> None:
    """A job that failed without sub-jobs leaves servers failed or unknown, with the cloud's
    code and what was seen.
    """
    bench = Bench.of(2)
    bench.cloud.history_readable = readable
    bench.cloud.answers = [quiet]
    with_job(bench, failed_whole)
    bench.cloud.after_call = lambda name: touch(bench.cloud, "s-001") if name == "reboot" else None
    run = follow(bench, servers=2)
    untouched, touched = run.servers["s-000"], run.servers["s-001"]
    assert (untouched.outcome, untouched.reason) == (Outcome.FAILED, "JobFailed")
    assert "Common.0021: could not be carried out (job job-1, request id p-1)" in untouched.detail
    assert "not updated" in untouched.detail
    assert untouched.may_be_asked_again
    assert (touched.outcome, touched.reason) == (
        Outcome.FAILED if readable else Outcome.UNKNOWN,
        "JobFailed",
    )
    assert "it was updated at touched" in touched.detail
    assert not touched.may_be_asked_again


def test_the_code_of_a_failed_part_without_a_server_reaches_the_servers_without_a_result() -> None:
    """One server's part succeeded, the failed one names no server: it is the other's."""

    def mixed(job: Job) -> Job:
        good = SubJob("s-000", JobStatus.SUCCESS, word="SUCCESS")
        bad = SubJob("", JobStatus.FAIL, code="Ecs.0319", reason="no host", word="FAIL")
        return replace(
            job,
            status=JobStatus.FAIL,
            sub_jobs={"s-000": good},
            anonymous=(bad,),
            code="Common.0021",
        )

    bench = Bench.of(2)
    with_job(bench, mixed)
    run = follow(bench, servers=2)
    assert run.servers["s-000"].outcome is Outcome.READY
    assert run.servers["s-001"].outcome is Outcome.FAILED
    assert "Ecs.0319: no host" in run.servers["s-001"].detail


def test_a_server_whose_job_failed_although_it_rebooted_is_failed_with_what_was_seen() -> None:
    """The reboot in its history is told, counts as evidence, and does not make it ready."""
    bench = Bench.of(1)
    bench.cloud.fails = {"s-000": "agent said no"}
    server = follow(bench, servers=1).servers["s-000"]
    assert (server.outcome, server.reason, server.evidence) == (
        Outcome.FAILED,
        "JobFailed",
        Evidence.STATE,
    )
    assert "Ecs.0227: agent said no" in server.detail
    assert "its history has a reboot at 2026-11-23T22:00:00+00:00; running" in server.detail


def test_a_failed_server_whose_history_is_ahead_of_its_state_is_not_repeated() -> None:
    """The history shows a reboot by a clock that is behind, and the state lags: a sign, so
    that a person decides.
    """
    bench = Bench.of(1)
    bench.cloud.answers = [quiet]
    with_job(bench, failed_whole)
    real, began = bench.cloud.reboot_history, bench.clock.now() - timedelta(minutes=2)

    async def behind(server_id: str) -> tuple[datetime, ...]:
        return (*await real(server_id), began)

    bench.cloud.reboot_history = behind  # type: ignore[method-assign]
    server = follow(bench, servers=1).servers["s-000"]
    assert (server.outcome, server.may_be_asked_again) == (Outcome.FAILED, False)
    assert "its history has a reboot at 2026-11-23T21:58:00+00:00" in server.detail


def test_a_server_that_reboots_while_its_job_says_fail_is_waited_for() -> None:
    """It is judged when it no longer reboots, not in the middle."""
    bench = Bench.of(1)
    bench.cloud.takes = {"s-000": 120.0}
    with_job(bench, failed_whole)
    run = follow(bench, servers=1)
    server = run.servers["s-000"]
    assert server.outcome is Outcome.FAILED
    assert "running" in server.detail
    assert server.ended
    assert server.ended - run.created >= timedelta(seconds=120)


def test_no_request_leaves_before_a_failed_server_is_judged() -> None:
    """The second batch of a wave waits for the look at the first one's failures, and the
    budget stops it.
    """
    bench = Bench.of(4)
    bench.tuning = Tuning(servers_per_request=2, servers_per_minute=2)
    bench.cloud.fails = {"s-000": "no"}
    run = bench.follow(bench.start(schedule_of([4])))
    assert run.word == "stopped"
    assert bench.cloud.calls["reboot"] == 1


def test_a_failed_server_that_cannot_be_looked_at_is_unknown_with_the_cause() -> None:
    """The cloud's word stays, and that nothing was seen is said."""
    bench = Bench.of(1)
    with_job(bench, failed_whole)
    polled = bench.clock.now() + timedelta(seconds=1)

    def blind(name: str) -> None:
        if name == "read_servers" and bench.clock.now() >= polled:
            raise CloudError("503")

    bench.cloud.before_call = blind
    server = follow(bench, servers=1).servers["s-000"]
    assert (server.outcome, server.reason) == (Outcome.UNKNOWN, "JobFailed")
    assert "Common.0021" in server.detail
    assert "could not be asked" in server.detail


@pytest.mark.parametrize("word", ["CANCELLED", "FAILED"])
def test_an_undocumented_last_word_with_an_end_time_is_a_failure_after_a_minute(word: str) -> None:
    """Without an end time it is pending, until the job has timed out."""
    bench = Bench.of(2)
    bench.cloud.answers = [quiet]

    def odd(job: Job) -> Job:
        parts = {i: SubJob(i, JobStatus.PENDING, word=word) for i in ("s-000", "s-001")}
        parts["s-000"] = replace(parts["s-000"], looks_ended=True, code="Ecs.9", reason="gave up")
        return replace(job, sub_jobs=parts)

    with_job(bench, odd)
    run = follow(bench, servers=2)
    ended, pending = run.servers["s-000"], run.servers["s-001"]
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, "JobFailed")
    assert f"{word}: Ecs.9: gave up" in ended.detail
    assert ended.ended
    assert timedelta(seconds=60) <= ended.ended - run.created < timedelta(minutes=3)
    assert (pending.outcome, pending.reason) == (Outcome.FAILED, "JobTimedOut")


def test_a_job_that_never_ends_is_judged_by_the_server() -> None:
    """Rebooted and back: ready by its state. Nothing in its history: failed, and the
    sentence says so.
    """
    bench = Bench.of(3)
    bench.cloud.stuck, bench.cloud.idle = {"s-000"}, {"s-001", "s-002"}
    bench.cloud.after_call = lambda name: touch(bench.cloud, "s-002") if name == "reboot" else None
    run = follow(bench, servers=3)
    rebooted, idle, touched = run.servers.values()
    assert (rebooted.outcome, rebooted.reason, rebooted.evidence) == (
        Outcome.READY,
        "RebootSeen",
        Evidence.STATE,
    )
    assert (idle.outcome, idle.reason) == (Outcome.FAILED, "JobTimedOut")
    assert (
        "its job job-1 did not end within 15m; seen since: no reboot in its history" in idle.detail
    )
    assert (touched.outcome, touched.reason) == (Outcome.FAILED, "JobTimedOut")
    assert [s.may_be_asked_again for s in (rebooted, idle, touched)] == [False, True, False]


# --- throttled requests -------------------------------------------------------


def throttled_after_effect(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    cloud.accept(ids)
    return THROTTLED


def test_a_throttled_request_that_took_effect_is_not_repeated() -> None:
    """The servers are read before the repeat: what reboots is followed, and never asked
    for again.
    """
    bench = Bench.of(3)
    bench.cloud.answers = [throttled_after_effect] * 10
    run = follow(bench, servers=3)
    assert run.counts()["ready"] == 3
    assert max(bench.cloud.times_rebooted().values()) == 1
    assert bench.cloud.calls["reboot"] == 1


def test_a_throttled_request_is_repeated_after_one_list_call() -> None:
    """Nothing changed: one reading, at least 2 s after the answer, and no history."""
    bench = Bench.of(3)
    bench.cloud.answers = [lambda cloud, ids: THROTTLED]
    run_id = bench.start(schedule_of([3]))
    bench.follow(run_id, until="come back")
    answered, repeated = (b.intended for b in bench.read(run_id).batches.values())
    assert timedelta(seconds=2) <= repeated - answered <= timedelta(seconds=5)
    assert bench.cloud.calls["read_servers"] == 2
    assert bench.cloud.calls["actions"] == 0
    assert bench.follow(run_id).counts()["ready"] == 3


def test_a_changed_server_is_not_asked_again_after_a_throttled_answer() -> None:
    """A hint blocks the repeat for that server alone; without proof it ends unknown, with
    the cloud's code.
    """
    bench = Bench.of(3)
    bench.cloud.answers = [touched("s-001", answer=THROTTLED)]
    run = follow(bench, servers=3)
    doubted = run.servers["s-001"]
    assert (doubted.outcome, doubted.reason) == (Outcome.UNKNOWN, "MixedEvidence")
    assert "APIGW.0308: over ratelimit (request id req-7)" in doubted.detail
    assert bench.cloud.times_rebooted() == {"s-000": 1, "s-002": 1}
    assert run.counts()["ready"] == 2


def test_throttling_never_uses_up_the_time_to_get_ready() -> None:
    """An hour of it passes with a `ready.timeout` of a minute, and all servers become ready."""
    bench = Bench.of(2)
    until = bench.clock.now() + timedelta(hours=1)
    bench.cloud.answers = [lambda c, i: THROTTLED if c.clock.now() < until else None] * 200
    run = follow(bench, servers=2, ready_timeout_s=60.0)
    assert run.counts()["ready"] == 2
    assert len(run.batches) < 30


def test_a_repeat_waits_for_halt_and_reads_again() -> None:
    """Each repeat is a new intent: the halt flag holds it, and what was read before the
    wait is read anew.
    """
    from runner.ports.store import Halt

    bench = Bench.of(2)
    bench.cloud.answers = [lambda cloud, ids: THROTTLED]
    run_id = bench.start(schedule_of([2], max_failures=ALL_MAY_FAIL))
    driver = bench.driver(run_id)
    asyncio.run(driver.advance())
    bench.store.set_halt(Halt("night is over", "ann", bench.clock.now()))
    bench.follow(run_id, driver, until="halted")
    touch(bench.cloud, "s-000")
    bench.clock.jump(seconds=11)
    bench.store.set_halt(None)
    run = bench.follow(run_id, driver)
    assert run.servers["s-000"].outcome is Outcome.UNKNOWN
    assert bench.cloud.times_rebooted() == {"s-001": 1}


def test_a_stop_reads_throttled_servers_before_it_calls_them_not_started() -> None:
    """A cancelled run knows of each throttled server whether it went down after all."""
    bench = Bench.of(2)
    bench.cloud.answers = [throttled_after_effect]
    run_id = bench.start(schedule_of([2]))
    asyncio.run(bench.driver(run_id).advance())
    bench.store.record(
        run_id, bench.clock.now(), [made("cancel.requested", {"by": "ann", "reason": "enough"})]
    )
    run = bench.follow(run_id)
    assert run.word == "cancelled"
    assert run.counts()["ready"] == 2


# --- refused requests ---------------------------------------------------------


def test_a_state_in_the_way_of_a_refused_request_can_be_our_own_reboot() -> None:
    """A server that is found busy after Ecs.0603 is in doubt, not skipped; a reboot in its
    history is proof.
    """

    def refused(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
        cloud.accept(["s-000"])
        cloud.servers["s-001"] = replace(cloud.servers["s-001"], task=Task.STOP)
        return Refused("Ecs.0603", "another task", 501, why=(Refusal.BUSY,), is_divisible=True)

    bench = Bench.of(3)
    bench.cloud.answers = [refused]
    run = follow(bench, servers=3)
    assert run.servers["s-000"].outcome is Outcome.READY
    assert run.servers["s-001"].outcome is Outcome.UNKNOWN
    assert run.servers["s-002"].outcome is Outcome.READY
    assert max(bench.cloud.times_rebooted().values()) == 1


BUSY = Refused("Ecs.0603", "another task", 501, why=(Refusal.BUSY,), is_divisible=True)


def blind(cloud: MemoryCloud, seconds: float) -> None:
    """Show every server and its history as they were at first, for so long."""
    shows = cloud.clock.now() + timedelta(seconds=seconds)
    see, history = cloud.see, cloud.reboot_history

    def lagging(server_id: str) -> Server | None:
        return see(server_id) if cloud.clock.now() >= shows else cloud.servers[server_id]

    async def late(server_id: str) -> tuple[datetime, ...]:
        found = await history(server_id)
        return found if cloud.clock.now() >= shows else ()

    cloud.see, cloud.reboot_history = lagging, late  # type: ignore[method-assign]


def test_a_refused_repeat_can_be_in_the_way_of_the_throttled_request_before_it() -> None:
    """Ecs.0603 for a single server that looks fit, after a throttled answer: in doubt, and
    never skipped as busy.
    """
    bench = Bench.of(1)
    bench.cloud.answers = [throttled_after_effect, lambda cloud, ids: BUSY]
    blind(bench.cloud, 30)
    server = follow(bench, servers=1).servers["s-000"]
    assert (server.outcome, server.reason) == (Outcome.READY, "RebootSeen")
    assert bench.cloud.times_rebooted() == {"s-000": 1}


def test_a_server_in_doubt_takes_its_batch_with_it_and_back() -> None:
    """When the event cannot be stored, neither the server nor its request stays in doubt."""
    bench = Bench.of(1)
    bench.cloud.answers = [lambda cloud, ids: THROTTLED]
    run_id = bench.start(schedule_of([1]))
    asyncio.run(bench.driver(run_id).advance())
    run = bench.read(run_id)
    data = {"fit": [], "moving": [], "doubted": {"s-000": "it was updated"}}
    event = Event(made("servers.rechecked", data), bench.clock.now())
    assert (
        headline(run, event)
        == "read again before a second request: 1 server in doubt (it was updated)"
    )
    saved = fold.trial(run, [event])
    saved.__enter__()
    assert run.batches[1].phase is BatchPhase.AMBIGUOUS
    error = OSError("the disk is full")
    assert not saved.__exit__(OSError, error, None)
    assert (run.batches[1].phase, run.servers["s-000"].phase) == (
        BatchPhase.THROTTLED,
        Phase.REFUSED,
    )


# --- lost answers -------------------------------------------------------------


def test_proof_is_seen_at_the_first_look() -> None:
    """A lost answer costs no `settle` where the servers can be seen to reboot."""
    bench = Bench.of(3)
    bench.cloud.answers = [lost_after_acceptance]
    run = follow(bench, servers=3)
    assert run.counts()["ready"] == 3
    assert run.ended
    assert run.ended - run.created < timedelta(seconds=60)


def test_proof_that_comes_late_is_seen_at_the_next_poll() -> None:
    """While the state lags, servers are read at every poll."""
    bench = Bench.of(2)
    bench.cloud.answers = [lost_after_acceptance]
    shows = bench.clock.now() + timedelta(seconds=23)
    real = bench.cloud.see

    def lagging(server_id: str) -> Server | None:
        return real(server_id) if bench.clock.now() >= shows else bench.cloud.servers[server_id]

    bench.cloud.see = lagging  # type: ignore[method-assign]
    bench.cloud.history_readable = False
    run = follow(bench, servers=2)
    assert run.counts()["ready"] == 2
    adopted = min(s.accepted for s in run.servers.values() if s.accepted)
    assert shows <= adopted <= shows + timedelta(seconds=5)


def test_a_server_whose_state_lags_behind_its_history_is_not_back() -> None:
    """Its history shows the reboot, its state is still the old one: it is waited for, not ready."""
    bench = Bench.of(1)
    bench.cloud.answers = [lost_after_acceptance]
    bench.cloud.takes = {"s-000": 20.0}
    see, shows = bench.cloud.see, bench.clock.now() + timedelta(seconds=8)
    bench.cloud.see = lambda i: see(i) if bench.clock.now() >= shows else bench.cloud.servers[i]  # type: ignore[method-assign, assignment]
    run = follow(bench, servers=1)
    server = run.servers["s-000"]
    assert (server.outcome, server.evidence) == (Outcome.READY, Evidence.STATE)
    assert server.ended
    assert server.ended - run.created >= timedelta(seconds=20)


def test_a_server_whose_updated_never_moves_is_back_after_settle() -> None:
    """A cloud that does not touch `updated` costs time, and no failure."""
    bench = Bench.of(1)
    bench.cloud.answers = [lost_after_acceptance]
    bench.cloud.see = bench.cloud.servers.get  # type: ignore[method-assign, assignment]
    run = follow(bench, servers=1)
    server = run.servers["s-000"]
    assert server.outcome is Outcome.READY
    assert server.ended
    assert timedelta(minutes=3) <= server.ended - run.created <= timedelta(minutes=5)


def test_a_history_in_whole_seconds_shows_a_reboot_of_the_same_second() -> None:
    """The request left in the middle of a second, and the history knows its beginning only."""
    asked = Bench.of(1).clock.now() + timedelta(milliseconds=900)
    unmoved = Server("s-000", "web-0", updated="2026-11-23T20:00:00Z")
    finding = Finding(unmoved, (asked.replace(microsecond=0),))
    assert trace_of(finding, asked, unmoved.updated)[0] is Trace.REBOOTED


@pytest.mark.parametrize(
    ("began", "trace"), [(-61, Trace.UNCLEAR), (-60, Trace.REBOOTED), (5, Trace.REBOOTED)]
)
def test_a_reboot_that_began_before_updated_was_read_is_not_ours(began: int, trace: Trace) -> None:
    """Both times are of the cloud's clock: what was there before the request never proves it."""
    asked = Bench.of(1).clock.now()
    before = (asked - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    server = Server("s-000", "web-0", updated="2026-11-23T23:00:00Z")
    finding = Finding(server, (asked + timedelta(seconds=began),))
    assert trace_of(finding, asked, before)[0] is trace


def test_a_job_id_that_comes_late_counts_after_a_later_request_was_turned_away() -> None:
    """The first request was given up as lost and repeated; the repeat is throttled when the
    first one's job is told.
    """
    bench = Bench.of(1)
    bench.cloud.answers = [lost_after_acceptance, lambda cloud, ids: THROTTLED]
    blind(bench.cloud, 600)
    run_id = bench.start(schedule_of([1], on_unknown="retry"))
    bench.follow(run_id, until="room to send")
    accepted = {"batch": 1, "job": bench.cloud.reboots[0].job, "late": True}
    bench.store.record(run_id, bench.clock.now(), [made("batch.accepted", accepted)])
    run = bench.follow(run_id)
    assert run.servers["s-000"].outcome is Outcome.READY
    assert bench.cloud.times_rebooted() == {"s-000": 1}


def test_no_trace_stops_the_run_and_names_the_command_that_resolves_it() -> None:
    """With `hold` one lost request ends in one decision, whatever the budget is."""
    bench = Bench.of(4)
    bench.cloud.answers = [lambda cloud, ids: Ambiguous("HTTP 503", 503, "APIGW.0201", "req-9")]
    run = bench.follow(bench.start(schedule_of([2, 2], max_failures=ALL_MAY_FAIL)))
    assert run.stop
    assert run.stop.reason == "NoTrace"
    assert f"reboot-runner resolve {run.id} --batch 1 --as not-rebooted" in run.stop.detail
    assert [s.outcome for s in run.servers.values()] == [
        "unknown",
        "unknown",
        "not_started",
        "not_started",
    ]
    assert "APIGW.0201: HTTP 503 (request id req-9)" in run.servers["s-000"].detail


def test_a_hint_alone_never_adopts_a_server_whose_request_was_not_accepted() -> None:
    """It was updated, its history is unreadable: unknown, and the others of the batch are
    unknown as well.
    """
    bench = Bench.of(2)
    bench.cloud.history_readable = False
    bench.cloud.answers = [touched("s-000", answer=Ambiguous("reset"))]
    run = follow(bench, servers=2)
    assert {s.outcome for s in run.servers.values()} == {Outcome.UNKNOWN}
    assert {s.reason for s in run.servers.values()} == {"MixedEvidence"}


# --- earlier runs of the cycle ------------------------------------------------


def again(bench: Bench, first: Run, servers: int) -> Run:
    """Run the servers of a closed run once more."""
    schedule = replace(
        schedule_of([servers], max_failures=ALL_MAY_FAIL, plan="again"), retry_of=first.id
    )
    earlier = earlier_requests([first], first.servers)
    seen = {i: s.updated for i in bench.cloud.servers if (s := bench.cloud.see(i))}
    run_id = create_run(
        bench.store, schedule, bench.clock.now(), {}, seen, earlier=earlier, repeats=[first.id]
    )
    return bench.follow(run_id)


def test_a_repeat_leaves_servers_alone_that_an_earlier_request_rebooted() -> None:
    """The job never ended, the run gave up, then the reboot came: the repetition sees it
    and sends nothing for it.
    """
    bench = Bench.of(2)
    bench.cloud.idle = {"s-000", "s-001"}
    first = follow(bench, servers=2)
    assert first.counts()["failed"] == 2
    bench.cloud.idle = set()
    bench.cloud.stuck = set()
    bench.cloud.reboots = [
        replace(r, began=bench.clock.now(), never_ends=False) for r in bench.cloud.reboots[:1]
    ]
    bench.clock.jump(minutes=5)
    second = again(bench, first, 2)
    left_alone, repeated = second.servers.values()
    assert (left_alone.outcome, left_alone.reason) == (Outcome.SKIPPED, "RebootedByEarlierRequest")
    assert f"run {first.id} asked for it" in left_alone.detail
    assert repeated.outcome is Outcome.READY
    assert bench.cloud.times_rebooted() == {"s-000": 1, "s-001": 1}


def test_a_reboot_that_a_person_knew_of_proves_nothing_of_the_repetition() -> None:
    """After `reboot-again` the repeated request is lost, and the late state of the first
    reboot moves `updated`.
    """
    bench = Bench.of(1)
    bench.cloud.fails = {"s-000": "boot failed"}
    first = follow(bench, servers=1)
    known = bench.cloud.reboots[0].began
    data = {
        "server": "s-000",
        "resolved_as": "reboot-again",
        "by": "ann",
        "reason": "hangs",
        "last_reboot": known.isoformat(),
    }
    bench.store.record(
        first.id,
        bench.clock.now(),
        [made("server.resolved", data)],
        forget=["s-000"],
        open_only=False,
    )
    bench.cloud.answers = [touched("s-000", answer=Ambiguous("reset"))]
    see = bench.cloud.see
    moved = bench.cloud.servers["s-000"]
    bench.cloud.see = lambda i: moved if bench.cloud.servers[i] is moved else see(i)  # type: ignore[method-assign, assignment]
    second = again(bench, bench.read(first.id), 1)
    assert bench.cloud.times_rebooted() == {"s-000": 1}
    assert second.servers["s-000"].outcome is Outcome.UNKNOWN


def test_a_person_can_say_twice_that_a_server_was_not_rebooted() -> None:
    """The reboot that was known at the first decision is known at the second."""
    bench = Bench.of(1)
    bench.cloud.fails = {"s-000": "boot failed"}
    run = follow(bench, servers=1)
    known = bench.cloud.reboots[0].began.isoformat()
    for says, more in (("reboot-again", {"last_reboot": known}), ("not-rebooted", {})):
        now = bench.clock.now()
        data = {"server": "s-000", "resolved_as": says, "by": "ann", "reason": "x", **more}
        bench.store.record(
            run.id, now, [made("server.resolved", data)], forget=["s-000"], open_only=False
        )
        earlier = earlier_requests(
            [bench.read(i.id) for i in reversed(bench.store.runs())], ["s-000"]
        )
        bench.cloud.fails = {}
        bench.cloud.answers = (
            [lambda cloud, ids: Ambiguous("reset")] if says == "reboot-again" else []
        )
        schedule = replace(schedule_of([1], max_failures=ALL_MAY_FAIL, plan=says), retry_of=run.id)
        seen = {"s-000": bench.cloud.servers["s-000"].updated}
        again_id = create_run(
            bench.store, schedule, now, {}, seen, earlier=earlier, repeats=[run.id]
        )
        run = bench.follow(again_id)
    assert run.servers["s-000"].outcome is Outcome.READY
    assert bench.cloud.times_rebooted() == {"s-000": 2}


def test_a_history_that_shows_a_reboot_after_a_person_saw_none_is_a_new_sign() -> None:
    """`not-rebooted` was said while the history lagged: the repetition sees the reboot,
    whenever it began.
    """
    bench = Bench.of(2)
    bench.cloud.answers = [lambda cloud, ids: Ambiguous("reset")]
    first = follow(bench, servers=2)
    assert first.counts()["unknown"] == 2
    for server_id in first.servers:
        data = {
            "server": server_id,
            "resolved_as": "not-rebooted",
            "by": "ann",
            "reason": "no trace",
            "updated": "u0",
        }
        bench.store.record(
            first.id,
            bench.clock.now(),
            [made("server.resolved", data)],
            forget=[server_id],
            open_only=False,
        )
    real = bench.cloud.reboot_history
    at = first.created + timedelta(seconds=2)

    async def late(server_id: str) -> tuple[datetime, ...]:
        found = await real(server_id)
        return (*found, at) if server_id == "s-000" else found

    bench.cloud.reboot_history = late  # type: ignore[method-assign]
    bench.clock.jump(minutes=1)
    second = again(bench, bench.read(first.id), 2)
    left_alone, repeated = second.servers.values()
    assert left_alone.reason == "RebootedByEarlierRequest"
    assert repeated.outcome is Outcome.READY


def test_a_person_s_decision_is_newer_than_the_signs_before_it() -> None:
    """A server that rebooted and failed goes down once more after `reboot-again`; later
    reboots still count.
    """
    bench = Bench.of(2)
    bench.cloud.fails = {"s-000": "boot failed", "s-001": "boot failed"}
    first = follow(bench, servers=2)
    bench.clock.jump(minutes=1)
    for server_id in first.servers:
        seen = bench.cloud.see(server_id)
        reboots = [r.began for r in bench.cloud.reboots if r.server == server_id]
        data = {
            "server": server_id,
            "resolved_as": "reboot-again",
            "by": "ann",
            "reason": "still broken",
            "updated": seen.updated if seen else None,
            "last_reboot": max(reboots).isoformat(),
        }
        bench.store.record(
            first.id,
            bench.clock.now(),
            [made("server.resolved", data)],
            forget=[server_id],
            open_only=False,
        )
    bench.cloud.fails = {}
    bench.clock.jump(minutes=1)
    bench.cloud.accept(["s-001"])  # somebody else was quicker
    bench.clock.jump(minutes=3)
    second = again(bench, bench.read(first.id), 2)
    assert second.servers["s-000"].outcome is Outcome.READY
    assert second.servers["s-001"].reason == "RebootedByEarlierRequest"


def test_an_accepted_job_that_is_told_late_is_followed_after_a_throttled_answer() -> None:
    """A job id is a fact, also of a request that was answered as throttled."""
    bench = Bench.of(1)
    bench.cloud.answers = [throttled_after_effect]
    run_id = bench.start(schedule_of([1]))
    asyncio.run(bench.driver(run_id).advance())
    accepted = Accepted(bench.cloud.reboots[0].job)
    bench.store.record(
        run_id, bench.clock.now(), [made("batch.accepted", {"batch": 1, "job": accepted.job_id})]
    )
    run = bench.follow(run_id)
    assert run.servers["s-000"].reason == "Rebooted"
    assert run.servers["s-000"].evidence is not Evidence.NONE
