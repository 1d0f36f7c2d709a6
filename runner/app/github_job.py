"""What a job of GitHub Actions leaves behind: summary, outputs, reports, and whether
somebody must go on soon.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.app.app import App
from runner.app.files import write_whole
from runner.app.stores import open_store_of
from runner.errors import EXIT_WORDS, Exit, InvalidInput, RunnerError, Stale, UsageProblem
from runner.execution.machine import question_deadline
from runner.github.api import GitHub, dispatch, tolerated
from runner.github.event import GitHubEvent, read_event
from runner.github.step import StepSummary, Value, stop_commands, write_outputs
from runner.loading.config import LoadedConfig
from runner.model.events import ApprovalAsked, Event, GatesAsked, RunEnded, RunStopping, WaveEnded
from runner.model.problem import Location, Problem
from runner.model.run import Run
from runner.model.run_exit import exit_code
from runner.ports.store import Store
from runner.report.as_markdown import inline
from runner.report.forms import rendered
from runner.report.problems import problems_github
from runner.report.run_build import build_report
from runner.report.run_sections import step_words
from runner.report.run_steps import next_steps
from runner.report.run_words import counts_words
from runner.report.safe import markdown, plain

FORMS = {"json": "json", "markdown": "md", "html": "html", "junit": "xml", "csv": "csv"}
FOLLOW_UP_WITHIN_S = 1800.0
SECTION_LIMIT = 400_000
REASONS = {
    Exit.ERROR: "error",
    Exit.INVALID: "invalid-plan",
    Exit.INCOMPLETE: "servers-failed",
    Exit.STOPPED: "wave-aborted",
    Exit.STALE: "plan-changed",
    Exit.HELD: "locked",
    Exit.USAGE: "usage",
    Exit.DENIED: "auth",
    Exit.INTERRUPTED: "cancelled",
    Exit.TERMINATED: "cancelled",
}
"""`failure-reason` by exit code; empty for what is no failure."""
STOPPED_BY = {
    "Cancelled": "cancelled",
    "ApprovalTimeout": "approval-timeout",
    "WindowTimeout": "window-timeout",
    "GateClosed": "gate-closed",
    "GateCannotTell": "gate-cannot-tell",
    "PolicyViolated": "policy",
    "TooManyUnavailable": "unavailable",
}
"""The same for stopped runs, by the reason of the stop."""


OUTSIDE = UsageProblem(
    "this is no job of GitHub Actions",
    hint="elsewhere use `reboot-runner validate`, `diff`, `run` and `reconcile`",
)
WRONG_JOB = {
    "plan": {
        "push": "run the plans of a push with `reboot-runner github run`",
        "schedule": "continue open runs on a schedule with `reboot-runner github reconcile`",
    },
    "run": {
        "pull_request": "show the plans of a pull request with `reboot-runner github plan`",
        "pull_request_target": "show the plans of a pull request with `reboot-runner github plan`",
        "merge_group": (
            "check a merge group with `reboot-runner github plan`; its push runs the plans"
        ),
    },
}
WRONG_JOB["reconcile"] = WRONG_JOB["run"]
"""Command -> event that it is not for -> what to do instead."""


def event_for(command: str) -> GitHubEvent:
    """Return the event of this job. Raise UsageProblem outside of GitHub Actions and for an
    event of another command.

    Raise BadEvent for an event that cannot be read.
    """
    event = read_event(os.environ)
    if event is None:
        raise OUTSIDE
    instead = WRONG_JOB[command].get(event.name)
    if instead is not None:
        raise UsageProblem(f"`github {command}` is not for the event {event.name}", hint=instead)
    return event


def do(job: GitHubJob, command: str, work: Callable[[GitHubEvent], int]) -> int:
    """Do a job's work while commands are stopped; the exit code of the step.

    What goes wrong as a whole is told where the rest is told: in the summary, the outputs
    and an annotation.
    """
    event: GitHubEvent | None = None
    with stop_commands(os.environ, sys.stderr):
        try:
            event = event_for(command)
            code = work(event)
        except RunnerError as error:
            job.fail(error)
            code = asyncio.run(job.end(error.exit_code, None, {}, event))
        except Exception as error:
            job.fail(RunnerError(f"unexpected error: {type(error).__name__}: {error}"))
            asyncio.run(job.end(Exit.ERROR, None, {}, event))
            job.annotate()
            raise
    job.annotate()
    return code


def failure_section(error: RunnerError, file: Path | None) -> str:
    """Why a plan was not run, or nothing was, for the summary."""
    lines = [
        f"### {markdown(file or 'reboot-runner')}",
        "",
        f"**{EXIT_WORDS[error.exit_code]}**: {markdown(error.message, 1000)}",
        "",
    ]
    if isinstance(error, Stale):
        lines += [f"- {markdown(d, 1000)}" for d in error.differences] + [""]
    if isinstance(error, InvalidInput):
        lines += [f"- {_problem_line(p)}" for p in error.problems[:50]] + [""]
    if error.hint:
        lines += [f"Hint: {markdown(error.hint, 500)}", ""]
    return "\n".join(lines)


def _problem_line(problem: Problem) -> str:
    where = problem.location or Location("")
    place = f"{where.file}:{where.line}:{where.column}: " if where.file else ""
    return f"{markdown(place)}<code>{problem.code}</code> {markdown(problem.message, 1000)}"


def _open(run: Run) -> Problem:
    """What people must know of a run that is not over: a notice at its plan."""
    where = Location(run.schedule.plan_file) if run.schedule.plan_file else None
    is_asked = run.question is not None and run.stop is None
    if run.question is not None and is_asked:
        said = f"run {run.id} waits for an approval: {run.question.why}"
        hint = f"reboot-runner approve {run.id} --reason …"
    else:
        said = f"run {run.id} is not over: {run.suspended.why if run.suspended else run.word}"
        hint = f"`reconcile`, or reboot-runner resume {run.id}, goes on with it"
    return Problem("Waiting" if is_asked else "Suspended", said, where, hint, severity="warning")


def to_be_acted_on(run: Run) -> str:
    """Return what to say on the merged pull request of a run that needs a person; empty if
    it needs none.
    """
    is_asked = run.question is not None
    if run.is_open and not is_asked:
        return ""  # `reconcile` continues it
    if not run.is_open and exit_code(run) == Exit.DONE:
        return ""
    problem = _open(run) if is_asked else _not_well(run)
    lines = [
        f"> [!{'IMPORTANT' if is_asked else 'CAUTION'}]",
        f"> {markdown(problem.message, 1000)}",
        "",
    ]
    if is_asked:
        lines += [f"Servers: {markdown(counts_words(run.counts()))}.", ""]
        lines += [
            f"Not answered until {question_deadline(run):%Y-%m-%d %H:%M} UTC, the run stops.",
            "",
        ]
    lines += [f"- {inline(step_words(step.what, step.command))}" for step in next_steps(run)]
    return "\n".join(lines) + "\n"


def no_run_section(file: Path, note: str) -> str:
    """Return why a plan began no run, for the summary and the pull request."""
    lines = "".join(f"- {markdown(line, 1000)}\n" for line in note.splitlines())
    return f"### {markdown(file)}\n\n{lines}"


def _not_well(run: Run) -> Problem:
    """An ended run that people must look at: an error at its plan."""
    where = Location(run.schedule.plan_file) if run.schedule.plan_file else None
    why = f" ({run.stop.reason}: {run.stop.detail})" if run.stop else ""
    said = f"run {run.id} is {run.word}{why}: {counts_words(run.counts())}"
    return Problem(
        "NotAllReady" if run.stop is None else "Stopped",
        said,
        where,
        "the report names each server",
    )


TOLD = (WaveEnded, GatesAsked, ApprovalAsked, RunStopping, RunEnded)
"""Events after which a run's part of the summary is written anew."""


@dataclass(slots=True)
class GitHubJob:
    """One job: how it is told of, and what it has done so far. `wait`: what it waits for
    itself, the rest suspends.
    """

    app: App
    reports: Path
    wait: timedelta
    deadline: timedelta | None
    follow_up: str
    summary: StepSummary = field(default_factory=lambda: StepSummary(os.environ))
    runs: dict[str, Run] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """What is to be annotated when commands work again."""

    def warn(self, text: str) -> None:
        """What goes wrong beside the work: said, and nothing else."""
        self.app.talk(f"warning: {plain(text, 1000)}")

    def fail(self, error: RunnerError, file: Path | None = None) -> None:
        """An error of one plan, or of the whole job: said, with a part of the summary and
        annotations.
        """
        self.app.show_error(error)
        self.section(file.as_posix() if file else "", failure_section(error, file))
        if isinstance(error, InvalidInput):
            self.problems += error.problems
        else:
            more = "".join(f"\n{d}" for d in error.differences) if isinstance(error, Stale) else ""
            code = EXIT_WORDS[error.exit_code].capitalize()
            where = Location(file.as_posix()) if file else None
            self.problems.append(Problem(code, error.message + more, where, error.hint))

    def annotate(self) -> None:
        """The annotations, on stdout: outside of any block that stops commands."""
        if self.problems:
            self.app.echo(problems_github(self.problems))

    def section(self, key: str, markdown: str) -> None:
        with tolerated(self.warn):
            self.summary.set(key, markdown)

    def watch(self, config: LoadedConfig) -> SummaryWatch:
        return SummaryWatch(self, config)

    def keep(self, store: Store, run: Run, *, is_old: bool = False) -> None:
        """Write the run's reports, in all forms, and its part of the summary. `is_old`:
        nothing was sent now.
        """
        events = store.events(run.id)
        report = build_report(run, events)
        self.runs[run.id] = run
        if run.is_open:
            self.problems.append(_open(run))
        elif exit_code(run) != Exit.DONE:
            self.problems.append(_not_well(run))
        said = "> [!NOTE]\n> Nothing was sent: this plan had run already.\n\n" if is_old else ""
        self.section(run.id, said + rendered(report, "markdown", SECTION_LIMIT))
        try:
            self.reports.mkdir(parents=True, exist_ok=True)
            for form, suffix in FORMS.items():
                text = rendered(report, form, None)
                write_whole(self.reports / f"{run.schedule.plan_name}-{run.id}.{suffix}", text)
        except (OSError, RunnerError) as error:
            self.warn(f"the reports could not be written: {error}")

    def tell_no_run(self, file: Path, code: int, note: str) -> None:
        """Say in the summary why no run was begun, and annotate the plan where servers
        should have been rebooted.
        """
        self.section(file.as_posix(), no_run_section(file, note))
        if code != Exit.DONE:
            said = note.replace("\n", "; ")
            self.problems.append(Problem("NotAllReady", said, Location(file.as_posix())))

    async def end(
        self,
        code: int,
        due_s: float | None,
        outputs: Mapping[str, Value],
        event: GitHubEvent | None,
    ) -> int:
        """Outputs and follow-up; the exit code of the step: a suspended run is no failure.

        `due_s`: in how many seconds the first suspended run wants to go on.
        """
        due = None if due_s is None else datetime.now(UTC) + timedelta(seconds=due_s)
        soon = code == Exit.SUSPENDED and due_s is not None and due_s <= FOLLOW_UP_WITHIN_S
        if soon and self.follow_up and event is not None:
            with tolerated(self.warn):
                async with GitHub(os.environ) as api:
                    await dispatch(api, event.repository, self.follow_up, event.default_branch)
        values: dict[str, Value] = {
            "result": EXIT_WORDS[code],
            "exit-code": code,
            "failure-reason": self._reason(code),
            "run-ids": list(self.runs),
            "report-dir": str(self.reports),
            "due": due.isoformat(timespec="seconds") if due else "",
            "follow-up": soon,
        }
        with tolerated(self.warn):
            write_outputs(os.environ, values | dict(outputs))
        return Exit.DONE if code == Exit.SUSPENDED else code

    def _reason(self, code: int) -> str:
        stops = (r.stop.reason for r in self.runs.values() if r.stop is not None)
        by_stop = (
            next((STOPPED_BY[s] for s in stops if s in STOPPED_BY), None)
            if code == Exit.STOPPED
            else None
        )
        return by_stop or REASONS.get(code, "")


@dataclass(frozen=True, slots=True)
class SummaryWatch:
    """Rewrites a run's part of the summary after each wave, and when a person is asked or
    the run ends.
    """

    job: GitHubJob
    config: LoadedConfig

    def __call__(self, run: Run, event: Event) -> None:
        if isinstance(event.data, TOLD):
            with open_store_of(self.job.app, self.config) as store:
                events = store.events(run.id)
            self.job.section(run.id, rendered(build_report(run, events), "markdown", SECTION_LIMIT))


def earliest(due: Iterable[float | None]) -> float | None:
    """The smallest of them; None where there is none."""
    return min((s for s in due if s is not None), default=None)
