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
        yield _step(f"answer: {run.question.why}", "approve", run.id)
    unknown = [s for s in run.servers.values() if s.outcome is Outcome.UNKNOWN]
    for batch in dict.fromkeys(s.batch or 0 for s in unknown if s.reason == NO_TRACE):
        what = (
            f"no server of batch {batch} shows a trace of its request: if none restarted, give "
            f"the whole batch back;"
            " until then nothing restarts it in this cycle"
        )
        yield _step(what, "resolve", run.id, "--batch", str(batch), "--as", "not-rebooted")
    if others := [s.ref.id for s in unknown if s.reason != NO_TRACE]:
        what = (
            f"find out whether {count(len(others), 'unknown server')} restarted (the uptime "
            f"tells), and say rebooted"
            " or not-rebooted of each; until then nothing restarts it in this cycle"
        )
        yield _step(what, "resolve", run.id, "--server", _one(others), "--as", "rebooted")
    if run.is_open:
        if run.question is None:
            what = "continue the run, if no process works on it"
            if run.word == "held":
                what = "lift the halt with `reboot-runner unhalt`, then continue the run"
            yield NextStep(what, f"reboot-runner resume {run.id}")
        return
    failed = [s for s in run.servers.values() if s.outcome is Outcome.FAILED]
    if failed:
        yield NextStep(f"look after {count(len(failed), 'failed server')}", "")
    if rebooted := [s.ref.id for s in failed if not s.may_be_asked_again]:
        what = (
            f"{count(len(rebooted), 'failed server')} rebooted, or may have: decide before one "
            f"reboots once more"
        )
        yield _step(what, "resolve", run.id, "--server", _one(rebooted), "--as", "reboot-again")
    if left := sum(server.is_repeated for some in left_of(run).values() for server in some):
        what = f"when the cause is fixed, reboot what is left: {count(left, 'server')}"
        yield NextStep(what, f"reboot-runner retry {run.id} --out PLAN")


def _one(ids: list[str]) -> str:
    """Return the only id, or a placeholder: those are in capitals."""
    return ids[0] if len(ids) == 1 else "ID"


def _step(what: str, *words: str) -> NextStep:
    """A step whose command asks for a reason."""
    return NextStep(what, f"reboot-runner {shlex.join(words)} --reason TEXT")
