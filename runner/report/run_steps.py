"""What a person must do after a run, or while it waits. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from runner.model.events import Outcome
from runner.model.run import NO_TRACE, Run
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
    unknown = [s for s in run.servers.values() if s.outcome is Outcome.UNKNOWN]
    traceless = dict.fromkeys(s.batch for s in unknown if s.reason == NO_TRACE)
    for batch in traceless:
        yield _resolve_batch(run, batch or 0)
    others = [s.ref.id for s in unknown if s.reason != NO_TRACE]
    if others:
        yield _resolve(run, others)
    if run.is_open and run.question is None:
        what = "continue the run, if no process works on it"
        if run.word == "held":
            what = "lift the halt with `reboot-runner unhalt`, then continue the run"
        yield NextStep(what, _command("resume", run.id))
    if run.is_open:
        return
    failed = [s for s in run.servers.values() if s.outcome is Outcome.FAILED]
    if failed:
        yield NextStep(f"look after {count(len(failed), 'failed server')}", "")
    rebooted = [s.ref.id for s in failed if not s.may_be_asked_again]
    if rebooted:
        what = f"{count(len(rebooted), 'failed server')} rebooted, or may have: decide before one reboots once more"
        server = rebooted[0] if len(rebooted) == 1 else "ID"
        words = ("--server", server, "--as", "reboot-again", "--reason", "TEXT")
        yield NextStep(what, _command("resolve", run.id, *words))
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


def _resolve_batch(run: Run, number: int) -> NextStep:
    what = (
        f"no server of batch {number} shows a trace of its request: if none restarted, give the whole batch back;"
        " until then nothing restarts it in this cycle"
    )
    return NextStep(
        what, _command("resolve", run.id, "--batch", str(number), "--as", "not-rebooted", "--reason", "TEXT")
    )


def _command(verb: str, *words: str) -> str:
    """A line for a shell. Placeholders are in capitals."""
    return " ".join(["reboot-runner", verb, *map(shlex.quote, words)])
