"""What a dry-run shows: one plan against the live cloud, in a sentence, as text, as
Markdown and as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, cast

from runner.errors import EXIT_WORDS, Exit
from runner.model.bounds import Count
from runner.model.problem import Problem
from runner.model.quantity import format_duration
from runner.model.schedule import Exclusion, Schedule
from runner.model.shape import Shaped, json_values
from runner.model.surroundings import Surroundings
from runner.planning.exclusions import REBOOTED_IN_CYCLE
from runner.planning.forecast import Forecast, forecast
from runner.planning.when import Outlook
from runner.report.diff_since import SinceBase, SinceRun
from runner.report.folding import shared_names
from runner.report.gates import GateRow, GatesNow, gate_rows
from runner.report.problems import ProblemRow, problem_rows
from runner.report.run_words import count
from runner.report.safe import json_text
from runner.report.surroundings import SurroundingsRow
from runner.report.windows import OpeningRow

FORMAT_VERSION: Literal[1] = 1

PRECEDENCE = (1, 77, 3, 7, 6, 5, 4, 75, 2, 0)
"""Of several plans' exit codes the first of these that occurs is the command's."""


@dataclass(frozen=True)
class PlanDiff:
    """One plan's dry-run: a schedule with its forecast, or why there is none.

    `failure`: an error that is no problem of the plan's, with its exit code (cloud or store
    not reachable, access denied). `command`: what to type next, a whole line, already
    quoted for a shell. With an error among the problems nothing may be run, whether there
    is a schedule or not.
    """

    file: str
    schedule: Schedule | None = None
    forecast: Forecast | None = None
    problems: tuple[Problem, ...] = ()
    failure: str | None = None
    failure_hint: str | None = None
    failure_code: int = Exit.ERROR
    command: str = ""
    since_base: SinceBase | None = None
    since_run: SinceRun | None = None
    window: Outlook | None = None
    gates: GatesNow | None = None
    around: Surroundings | None = None

    @property
    def code(self) -> int:
        """The exit code of this plan alone; `CHANGES` where there are servers to reboot."""
        if self.failure is not None:
            return self.failure_code
        if self.schedule is None or self.errors:
            return Exit.INVALID
        return Exit.CHANGES if self.schedule.waves else Exit.DONE

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "warning")

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "error")

    @cached_property
    def shared(self) -> frozenset[str]:
        """Names that stand for several servers: they are shown with ids."""
        return shared_names(self.schedule) if self.schedule else frozenset()

    @cached_property
    def scheduled(self) -> Mapping[str, str]:
        """The group in which each server goes down, by id."""
        waves = self.schedule.waves if self.schedule else ()
        return {s.id: w.group for w in waves for s in w.servers}

    @cached_property
    def left_out(self) -> tuple[Exclusion, ...]:
        """The exclusions of servers that no group reboots."""
        excluded = self.schedule.exclusions if self.schedule else ()
        return tuple(e for e in excluded if e.server.id not in self.scheduled)

    @cached_property
    def taken_elsewhere(self) -> tuple[Exclusion, ...]:
        """The exclusions of servers that another group reboots, a canary group for example."""
        excluded = self.schedule.exclusions if self.schedule else ()
        return tuple(e for e in excluded if e.server.id in self.scheduled)


@dataclass(frozen=True, slots=True)
class Selected(Shaped):
    """Which plans a range of commits selected, beside those that are shown. `renamed`: new
    file to old.
    """

    base: str
    head: str
    deleted: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    unchanged: int = 0


def exit_code(codes: Iterable[int]) -> int:
    """The code of a command over several plans; 0 for none."""
    found = set(codes)
    return next((code for code in PRECEDENCE if code in found), max(found, default=Exit.DONE))


def summary(diff: PlanDiff) -> str:
    """The first line: the totals, or why nothing is rebooted. Plain words, no untrusted
    text but the cycle's name.
    """
    schedule = diff.schedule
    if diff.failure is not None:
        return "not planned: the cloud or the store could not be asked"
    if schedule is None:
        return f"not planned: {count(len(diff.errors), 'problem')}"
    refused = f"refused, {count(len(diff.errors), 'problem')}: " if diff.errors else ""
    if not schedule.waves:
        return refused + _nothing(schedule)
    left = {e.server.id for e in diff.left_out}
    spent = {e.server.id for e in diff.left_out if e.reason == REBOOTED_IN_CYCLE}
    excluded = f"{len(left) or 'none'} excluded"
    excluded += f" ({len(spent)} of them rebooted already in this cycle)" if spent else ""
    parts = [
        f"{count(schedule.servers, 'server')} in {count(len(schedule.waves), 'wave')}, {excluded}",
        f"largest wave {schedule.worst_case.down_at_once}",
        _failures(schedule),
        expected(diff.forecast) if diff.forecast else "",
    ]
    return refused + "; ".join(filter(None, parts))


def _failures(schedule: Schedule) -> str:
    """`worst case 12 failures before it stops, 37 if only a bake shows them`: as many as
    anything can cost.
    """
    worst, servers = schedule.worst_case, schedule.servers
    if servers == 1:
        return ""
    if worst.failures_before_stop >= servers:
        words = f"worst case all {servers} fail before it stops"
    else:
        words = f"worst case {count(worst.failures_before_stop, 'failure')} before it stops"
    if worst.failures_in_bake > worst.failures_before_stop:
        all_of_them = "all " if worst.failures_in_bake >= servers else ""
        words += f", {all_of_them}{worst.failures_in_bake} if only a bake shows them"
    if any(g.baseline == "count" for g in schedule.groups):
        words += ", servers that do not pass their checks before not counted"
    return words


def headline(schedule: Schedule) -> str:
    """The same first line for a schedule without a dry-run around it."""
    return summary(PlanDiff(schedule.plan_file, schedule, forecast(schedule)))


def expected(forecast: Forecast) -> str:
    """`about 2h10m, plus 1 approval`."""
    approvals = f", plus {count(forecast.approvals, 'approval')}" if forecast.approvals else ""
    return f"about {rounded(forecast.total_s)}{approvals}"


def _nothing(schedule: Schedule) -> str:
    """Why there are no waves. What was done already is said first: it is the usual reason."""
    matched = {e.server.id for e in schedule.exclusions}
    spent = {e.server.id for e in schedule.exclusions if e.reason == REBOOTED_IN_CYCLE}
    if not matched:
        return "nothing to reboot: the plan matches no server"
    again = "write a new cycle into the plan to reboot again"
    if spent == matched:
        return (
            f"nothing to reboot: all {count(len(spent), 'server')} rebooted already in cycle "
            f"{schedule.cycle}; {again}"
        )
    some = f" ({len(spent)} rebooted already in cycle {schedule.cycle})" if spent else ""
    return f"nothing to reboot: {count(len(matched), 'server')} matched, all excluded{some}"


def rounded(seconds: float) -> str:
    """A duration people can read: whole seconds under two minutes, else whole minutes.
    7,830 s: `2h11m`.
    """
    if seconds < 120:
        return format_duration(float(round(seconds)))
    return format_duration(float(60 * round(seconds / 60)))


ResultWord = Literal["changes", "done", "invalid", "error", "denied", "held", "stale"]


@dataclass(frozen=True, slots=True)
class CountsRow(Shaped):
    """How many servers are scheduled, in how many waves, how many are excluded, how many
    the target shows.
    """

    servers: Count
    waves: Count
    excluded: Count
    visible: Count


@dataclass(frozen=True, slots=True)
class FailureRow(Shaped):
    """An error that is no problem of the plan's."""

    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class PlanRow(Shaped):
    """One plan."""

    file: str
    result: ResultWord
    """`changes`: there are servers to reboot; `done`: there is nothing to do; else what went wrong.
    """
    summary: str
    """The totals in a sentence."""
    counts: CountsRow | None
    forecast: Forecast | None
    window: OpeningRow | None
    """Null for a plan without windows and freezes."""
    gates: tuple[GateRow, ...]
    surroundings: SurroundingsRow | None
    """Null where nobody asked."""
    schedule: Schedule | None
    problems: tuple[ProblemRow, ...]
    error: FailureRow | None
    next: str | None
    """The command that runs exactly this."""
    since_base: SinceBase | None
    since_run: SinceRun | None

    @classmethod
    def of(cls, diff: PlanDiff) -> PlanRow:
        made, out = diff.schedule, len({e.server.id for e in diff.left_out})
        return cls(
            file=diff.file,
            result=cast(ResultWord, EXIT_WORDS[diff.code]),
            summary=summary(diff),
            counts=CountsRow(made.servers, len(made.waves), out, made.visible) if made else None,
            forecast=diff.forecast,
            window=OpeningRow.of(diff.window),
            gates=tuple(gate_rows(made, diff.gates)) if made else (),
            surroundings=SurroundingsRow.of(made, diff.around) if made and diff.around else None,
            schedule=made,
            problems=problem_rows(diff.problems),
            error=None if diff.failure is None else FailureRow(diff.failure, diff.failure_hint),
            next=diff.command or None,
            since_base=diff.since_base,
            since_run=diff.since_run,
        )


@dataclass(frozen=True, slots=True)
class DiffDocument(Shaped):
    """What `diff -o json` prints: a dry-run of one or several plans against the live cloud."""

    format_version: Literal[1]
    result: ResultWord
    """The exit code as a word."""
    plans: tuple[PlanRow, ...]
    selected: Selected | None
    """With `--changed`: what the range of commits selected."""


def diff_json(diffs: Sequence[PlanDiff], selected: Selected | None = None) -> str:
    """Return a `DiffDocument` as JSON text."""
    result = cast(ResultWord, EXIT_WORDS[exit_code(d.code for d in diffs)])
    made = DiffDocument(FORMAT_VERSION, result, tuple(map(PlanRow.of, diffs)), selected)
    return json_text(json_values(made), sort_keys=True, allow_nan=False)
