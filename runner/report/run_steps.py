"""What a person must do after a run, or while it waits. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runner.model.run import Outcome, Run
from runner.planning.again import left_of
from runner.report.run_report import NextStep
from runner.report.run_words import count

VERBS = frozenset({"approve", "resolve", "resume", "retry"})
"""The commands that steps are made of."""


def next_steps(run: Run) -> tuple[NextStep, ...]:
    """The most urgent first; empty when nothing is left to do."""
    return tuple(_steps(run))


def _steps(run: Run) -> Iterator[NextStep]:
    if run.question is not None:
        yield NextStep(f"answer: {run.question.why}", _command("approve", run.id, "--reason", "TEXT"))
    unknown = [s.ref.id for s in run.servers.values() if s.outcome is Outcome.UNKNOWN]
    if unknown:
        yield _resolve(run, unknown)
    if run.is_open and run.question is None:
        what = "continue the run, if no process works on it"
        if run.word == "held":
            what = "lift the halt with `reboot-runner unhalt`, then continue the run"
        yield NextStep(what, _command("resume", run.id))
    if run.is_open:
        return
    failed = sum(s.outcome is Outcome.FAILED for s in run.servers.values())
    if failed:
        yield NextStep(f"look after {count(failed, 'failed server')}", "")
    left = sum(server.is_repeated for some in left_of(run).values() for server in some)
    if left:
        what = f"when the cause is fixed, reboot what is left: {count(left, 'server')}"
        yield NextStep(what, _command("retry", run.id, "--out", "PLAN"))


def _resolve(run: Run, ids: list[str]) -> NextStep:
    what = (
        f"find out whether {count(len(ids), 'unknown server')} restarted (the uptime tells), and say rebooted or "
        "not-rebooted of each; until then nothing restarts it in this cycle"
    )
    server = ids[0] if len(ids) == 1 else "ID"
    return NextStep(what, _command("resolve", run.id, "--server", server, "--as", "rebooted", "--reason", "TEXT"))


def _command(verb: str, *words: str) -> str:
    """A line for a shell. Placeholders are in capitals."""
    return " ".join(["reboot-runner", verb, *map(shlex.quote, words)])
