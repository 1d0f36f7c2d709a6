"""What a report says of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.execution.effects import Tuning
from runner.model.job import Throttled
from runner.model.schedule import Pause
from runner.model.shape import json_values
from runner.report.run_build import build_report, spread
from runner.report.run_json import report_json
from runner.report.run_words import length
from tests.execution.memory_cloud import lost_after_acceptance
from tests.execution.setup import Bench, schedule_of
from tests.report.cases import begin, case_of, plain_run, record, troubled_run


def test_a_good_run_is_told_in_a_sentence() -> None:
    """The summary holds the word, the counts and the time; nothing is left to do."""
    made = plain_run().report
    assert made.summary == f"done: 10 of 10 servers ready; {length(made.duration_s)}"
    assert (made.state, made.result, made.exit_code) == ("done", "done", 0)
    assert made.next == ()
    assert made.counts.ready == made.counts.scheduled == 10


def test_every_server_has_its_timeline() -> None:
    """A server's times stand in the order in which things happen, with the job's and the
    request's ids.
    """
    made = plain_run().report
    for server in made.servers:
        times = server.times
        known = [t for t in (times.intended, times.accepted, times.up_since, times.ended) if t]
        assert len(known) == 4
        assert known == sorted(known)
        assert server.job_id
        assert server.attempts == 1
        assert server.evidence == "state"
        assert server.reboot_s == 40.0


def test_waves_tell_their_times_counts_and_requests() -> None:
    """Each wave has its length, its counts and one request a batch, whose servers are all
    of the wave's.
    """
    bench = Bench.of(9)
    bench.tuning = Tuning(servers_per_request=3)
    run_id = bench.start(schedule_of([1, 8]))
    bench.follow(run_id)
    made = case_of(bench, run_id).report
    assert [w.counts.scheduled for w in made.waves] == [1, 8]
    assert [len(w.batches) for w in made.waves] == [1, 3]
    held = Counter(i for w in made.waves for b in w.batches for i in b.servers)
    assert held == Counter(s.id for s in made.servers)
    first = made.waves[0]
    assert first.started
    assert first.ended
    assert first.duration_s == (first.ended - first.started).total_seconds()
    assert first.is_canary


def test_a_throttled_request_is_told_with_its_code() -> None:
    """A request that was refused for its rate stays in the report beside the one that
    was accepted.
    """
    bench = Bench.of(2)
    bench.cloud.answers = [lambda c, i: Throttled("APIGW.0308", "too many", 30.0, "req-1")]
    run_id = bench.start(schedule_of([2]))
    bench.follow(run_id)
    made = case_of(bench, run_id).report
    first, second = made.waves[0].batches
    assert (first.state, first.code, first.request_id, first.job_id) == (
        "throttled",
        "APIGW.0308",
        "req-1",
        None,
    )
    assert (second.state, second.job_id) == ("accepted", "job-1")
    assert {s.attempts for s in made.servers} == {2}
    assert any(
        "throttled: APIGW.0308" in m.sentence and "again at 22:00:30" in m.sentence
        for m in made.course
    )


def test_outcomes_add_up() -> None:
    """Every scheduled server is counted once, in the whole and in its wave, and listed once."""
    made = troubled_run().report
    for counts in (made.counts, *(w.counts for w in made.waves)):
        numbers = asdict(counts)
        assert numbers.pop("scheduled") == sum(numbers.values())
    assert (
        sum(w.counts.scheduled for w in made.waves)
        == made.counts.scheduled
        == len(made.servers)
        == 12
    )
    assert len({s.id for s in made.servers}) == 12
    assert {s.outcome for s in made.servers} == {
        "ready",
        "failed",
        "unknown",
        "skipped",
        "not_started",
    }


def test_unknown_servers_are_listed_with_what_was_seen() -> None:
    """Nobody can say what became of them: the report says what was read, when it was asked,
    and what to do.
    """
    made = troubled_run().report
    assert [u.id for u in made.unknown] == ["s-006", "s-007", "s-008"]
    assert all(
        u.reason == "MixedEvidence" and u.seen.startswith("no reboot in its history")
        for u in made.unknown
    )
    assert all(u.intended and u.batch for u in made.unknown)
    assert "3 unknown servers" in made.next[0].what
    assert made.next[0].command.startswith(f"reboot-runner resolve {made.run} --server ID ")


def test_people_are_named() -> None:
    """Approvals, the cancel and the resolution tell who decided what, when and why."""
    made = troubled_run("ann").report
    assert [(d.kind, d.by, d.reason) for d in made.decisions] == [
        *[("approve", "ann", "ann")] * 3, ("cancel", "ann", "ann"), ("resolve", "ann", "ann")
    ]  # fmt: skip
    assert [a.question for a in made.approvals if a.given] == ["pause:1", "pause:2", "proof:2"]
    assert [a.question for a in made.approvals if not a.given] == ["pause:3"]
    assert made.stop
    assert (made.stop.reason, made.stop.detail) == ("Cancelled", "ann")
    resolved = next(s for s in made.servers if s.id == "s-005")
    assert resolved.outcome == "ready"
    assert resolved.reason == "ResolvedAsRebooted"
    assert resolved.resolution
    assert resolved.resolution.items() >= {"as": "rebooted", "by": "ann", "reason": "ann"}.items()


def test_circumstances_are_told() -> None:
    """Tool, actor, commit and CI run come from the run's facts; what the schedule left out
    is listed.
    """
    made = troubled_run("given").report
    assert (made.tool_version, made.actor, made.commit, made.ci_run) == (
        "0.1.0",
        "given",
        "given",
        "given",
    )
    assert [(e.id, e.reason, e.detail) for e in made.excluded] == [("s-900", "Locked", "given")]
    assert {
        "Locked",
        "JobFailed",
        "MixedEvidence",
        "NotActive",
        "Refused",
        "Cancelled",
    } <= made.reasons.keys()


def test_a_run_without_facts_is_reported() -> None:
    """A run that another tool began, without facts, has empty places instead of an error."""
    made = plain_run().report
    assert (made.tool_version, made.actor, made.commit, made.ci_run) == ("", "", "", "")


def test_a_lost_answer_is_told_as_seen() -> None:
    """A server whose reboot was proven by its history is ready with evidence `state`,
    without a job.
    """
    bench = Bench.of(2)
    bench.cloud.answers = [lost_after_acceptance]
    run_id = bench.start(schedule_of([2]))
    bench.follow(run_id)
    made = case_of(bench, run_id).report
    assert {(s.outcome, s.reason, s.evidence) for s in made.servers} == {
        ("ready", "RebootSeen", "state")
    }
    assert made.waves[0].batches[0].looks >= 1
    assert made.waves[0].batches[0].job_id is None


def test_an_open_run_is_reported_as_it_is() -> None:
    """Before its end the report tells what is pending, the open question, and how to go on."""
    bench = Bench.of(3)
    run_id = bench.start(schedule_of([1, 2], pause=Pause("approval")))
    bench.follow(run_id, until="approval")
    made = case_of(bench, run_id).report
    assert (made.state, made.result, made.exit_code, made.ended) == (
        "waiting",
        "suspended",
        75,
        None,
    )
    assert made.counts.pending == 2
    assert made.waits_for
    assert made.waits_for.question == "pause:1"
    assert made.next[0].command == f"reboot-runner approve {run_id} --reason TEXT"
    record(bench, run_id, "approval.given", {"question": "pause:1", "by": "ann"})
    after = case_of(bench, run_id).report
    assert after.waits_for is None
    assert after.next[0].command == f"reboot-runner resume {run_id}"


def test_equal_journals_give_equal_reports() -> None:
    """The report has no time of its own: read again it is the same, byte for byte."""
    bench = Bench.of(12)
    run_id = begin(bench, schedule_of([2, 10]), {"actor": "ann"})
    bench.follow(run_id)
    first = report_json(case_of(bench, run_id).report)
    bench.clock.jump(days=3)
    assert report_json(case_of(bench, run_id).report) == first


def test_every_prefix_of_a_journal_can_be_reported() -> None:
    """Wherever a process died, what is in the journal makes a report whose counts add up."""
    from runner.execution.journal import replay

    whole = troubled_run()
    for n in range(1, len(whole.events) + 1):
        events = list(whole.events[:n])
        made = build_report(replay(whole.run.id, events), events)
        numbers = asdict(made.counts)
        assert numbers.pop("scheduled") == sum(numbers.values()) == 12
        assert made.as_of == events[-1].at
        assert (
            json_values(build_report(replay(whole.run.id, events), events))["run"] == whole.run.id
        )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([10.0], (10, 10, 10)),
        ([40.0, 10, 30, 20], (20, 40, 40)),
        ([float(n) for n in range(1, 11)], (5, 9, 10)),
    ],
)
def test_percentiles_are_nearest_ranks(
    values: list[float], expected: tuple[float, float, float]
) -> None:
    """The p-th percentile of n values is number ceil(p * n) in their order."""
    made = spread([None, *values])
    assert made
    assert (made.p50_s, made.p90_s, made.max_s) == expected
    assert made.servers == len(values)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=50))
def test_percentiles_really_occurred(values: list[float | None]) -> None:
    """Each percentile is one of the values, and they do not fall."""
    made = spread(values)
    known = [v for v in values if v is not None]
    if made is None:
        assert not known
        return
    assert {made.p50_s, made.p90_s, made.max_s} <= set(known)
    assert made.p50_s <= made.p90_s <= made.max_s == max(known)
    assert sum(v <= made.p50_s for v in known) >= len(known) / 2


def test_the_course_tells_what_mattered() -> None:
    """Waves, answers, decisions and the stop are told in their order, at their times."""
    made = troubled_run("ann").report
    kinds = [m.event for m in made.course]
    assert kinds[0] == "wave.started"
    assert kinds[-1] == "server.resolved"
    assert {
        "batch.accepted",
        "batch.refused",
        "batch.ambiguous",
        "cancel.requested",
        "run.ended",
    } <= set(kinds)
    assert [m.at for m in made.course] == sorted(m.at for m in made.course)


def test_out_begins_with_the_acceptance() -> None:
    """`out_s` goes from the cloud's acceptance until the server was seen back, so it is
    never under `reboot_s`.
    """
    bench = Bench.of(5)
    bench.cloud.takes = {f"s-{n:03d}": 20.0 + 10 * n for n in range(5)}
    run_id = bench.start(schedule_of([5], stable_for_s=30.0))
    bench.follow(run_id)
    made = case_of(bench, run_id).report
    assert [s.reboot_s for s in made.servers] == [20, 30, 40, 50, 60]
    for server in made.servers:
        assert server.reboot_s is not None
        assert server.out_s is not None
        assert server.out_s >= server.reboot_s
        assert server.times.ended
        assert server.times.up_since
        assert server.times.ended - server.times.up_since >= timedelta(seconds=30)
