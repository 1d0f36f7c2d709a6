"""A run's exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.errors import EXIT_WORDS, Exit
from runner.model import run_exit
from runner.model.events import Outcome
from runner.model.run import Run
from runner.model.run_exit import exit_code
from runner.model.schedule import Exclusion, Pause, ServerRef, together
from tests.execution.setup import Bench, schedule_of
from tests.journal import made
from tests.report.cases import plain_run, record, troubled_run


def test_the_numbers_are_the_documented_ones() -> None:
    """The model's numbers are those of `runner.errors.Exit`, and each has a word."""
    for name in ("DONE", "INCOMPLETE", "STOPPED", "HELD", "SUSPENDED"):
        assert getattr(run_exit, name) == getattr(Exit, name)
        assert getattr(run_exit, name) in EXIT_WORDS


def test_all_ready_is_done() -> None:
    """0: the run went to its end and every scheduled server is ready."""
    assert exit_code(plain_run().run) == 0


def run_with(outcome: Outcome, reason: str) -> Run:
    run = plain_run().run
    server = run.servers["s-003"]
    server.outcome, server.reason = outcome, reason
    return run


@pytest.mark.parametrize(
    ("outcome", "reason", "code"),
    [
        (Outcome.SKIPPED, "RebootedInCycle", 0),
        (Outcome.SKIPPED, "NotActive", 4),
        (Outcome.FAILED, "JobFailed", 4),
        (Outcome.UNKNOWN, "NoTrace", 4),
        (Outcome.NOT_STARTED, "ResolvedAsNotRebooted", 4),
        (Outcome.READY, "ResolvedAsRebooted", 0),
    ],
)
def test_one_server_decides_between_done_and_incomplete(
    outcome: Outcome, reason: str, code: int
) -> None:
    """4: the run went to its end, but a scheduled server is not ready, unless this cycle
    restarted it before.
    """
    assert exit_code(run_with(outcome, reason)) == code


@pytest.mark.parametrize(
    ("reason", "named", "code"),
    [
        ("NotActive", False, 0),
        ("NotActive", True, 4),
        ("Locked", False, 4),
        ("Frozen", False, 4),
        ("TagsUnknown", False, 4),
        ("BareMetal", False, 0),
        ("ExcludedByPlan", True, 0),
        ("RebootedInCycle", True, 0),
    ],
)
def test_a_server_in_no_wave_can_make_a_run_incomplete(reason: str, named: bool, code: int) -> None:
    """4: the plan names it by its id, or it runs and is locked or unreadable. A stopped one
    of a rule is only named.
    """
    run = plain_run().run
    excluded = together([Exclusion(ServerRef("s-900", "web-900"), "web", reason, named=named)])
    run.schedule = replace(run.schedule, excluded=excluded)
    assert exit_code(run) == code


def test_stopped_and_cancelled_are_stopped() -> None:
    """5: a budget or a person ended the run, whatever became of its servers."""
    assert exit_code(troubled_run().run) == 5
    bench = Bench.of(4)
    bench.cloud.fails = {"s-001": "boot failed"}
    stopped = bench.follow(bench.start(schedule_of([2, 2])))
    assert stopped.word == "stopped"
    assert exit_code(stopped) == 5


def test_a_person_who_resolves_the_last_doubt_makes_a_run_done() -> None:
    """An unknown server that was found to have restarted does not keep the code at 4."""
    from tests.report.cases import lost_and_changed

    bench = Bench.of(2)
    bench.cloud.answers = [lost_and_changed]
    run_id = bench.start(schedule_of([2], max_failures=2))
    assert exit_code(bench.follow(run_id)) == 4
    for server in ("s-000", "s-001"):
        said = {"server": server, "resolved_as": "rebooted", "by": "ann", "reason": "uptime"}
        bench.store.record(
            run_id, bench.clock.now(), [made("server.resolved", said)], open_only=False
        )
    assert exit_code(bench.read(run_id)) == 0


def test_an_open_run_is_suspended_or_held() -> None:
    """75 while it is open, 7 where another process is at it."""
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([1, 1], pause=Pause("approval")))
    assert exit_code(bench.read(run_id)) == 75
    run = bench.follow(run_id, until="approval")
    assert exit_code(run) == 75
    run.word = "held"
    assert exit_code(run) == 7
    record(bench, run_id, "approval.given", {"question": "pause:1", "by": "ann"})
    assert exit_code(bench.follow(run_id)) == 0
