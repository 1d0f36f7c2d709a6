"""The dry-run of a plan as sections, the same for a terminal and for a pull request, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.model.problem import Problem
from runner.model.schedule import Allowance, Exclusion, Schedule
from runner.planning.exclusions import REASONS
from runner.report.as_text import printed, sections_lines
from runner.report.diff import PlanDiff, brake_words, by_reason, count, rows, summary
from runner.report.diff_since import base_lines, base_words, lift_words, run_lines, run_words
from runner.report.folding import clipped, fold
from runner.report.gates import gate_lines
from runner.report.sections import Line, Section, Span, Table
from runner.report.surroundings import surroundings_lines
from runner.report.windows import when_lines

LIFTED = "BELT LIFTED"
"""How a line begins that tells of a belt which the plan loosens."""

_NAMES_WIDTH = 44


def diff_text(diff: PlanDiff) -> str:
    """One plan's dry-run, the totals first: every wave, every server, every exclusion; ends with a line break.

    Of a plan that could not be planned it says only so: its problems or its failure are shown beside it.
    """
    lines = [summary(diff)]
    lines += [f"{LIFTED}  {lift_words(lift)}" for lift in (diff.since_base.lifts if diff.since_base else ())]
    lines.append(about_words(diff, diff.schedule) if diff.schedule else diff.file)
    lines += sections_lines(diff_sections(diff, diff.warnings if diff.schedule else ()))
    if diff.schedule:
        lines += ["", f"digest  {diff.schedule.digest}"]
    if is_runnable(diff):
        lines.append(f"next    {diff.command}")
    return printed(lines) + "\n"


def is_runnable(diff: PlanDiff) -> bool:
    """Return True if there is a command that runs the schedule, and a reason to run it."""
    return bool(diff.command and diff.schedule and diff.schedule.waves and not diff.errors)


def about_words(diff: PlanDiff, schedule: Schedule) -> str:
    """Say in a line which plan it is, and what it would do where."""
    targets = ", ".join(f"{t.name} ({t.cloud}, {t.region}, project {t.project_id})" for t in schedule.targets)
    plan = f"plan {schedule.plan_name} ({diff.file}), cycle {schedule.cycle}"
    return f"{plan}, target {targets}, {schedule.reboot_type} reboot"


def diff_sections(diff: PlanDiff, problems: Iterable[Problem]) -> Iterator[Section]:
    """Yield what is to be known before anybody runs the plan, what is new in it, its waves, and who is left out."""
    yield Section("", [_problem(problem, diff.file) for problem in problems])
    schedule = diff.schedule
    if schedule is not None:
        yield Section("", list(surroundings_lines(schedule, diff.around, diff.shared)))
        yield Section("", list(_rules(diff, schedule)))
    since: list[tuple[str, list[Line]]] = []
    if base := diff.since_base:
        since.append((base_words(base), [*map(Line, base.notes), *base_lines(base, diff.shared)]))
    if run := diff.since_run:
        since.append((run_words(run), list(run_lines(run, diff.shared))))
    for sentence, changed in since:
        title, lines = (sentence, changed) if changed else ("", [Line(sentence)])
        yield Section(title, lines, is_open=not changed, share=0.4)
    table, members = list(rows(diff)), []
    waves = []
    for row in table:
        names = clipped(row.names, _NAMES_WIDTH)
        size = f"{row.size}, {row.held}" if row.held else row.size
        waves.append((row.number, row.group, size, row.zones, row.starts, row.then, names))
        if names.endswith("…"):
            members.append(Line(f"wave {row.number}, {row.group}", row.names))
    yield Section("", Table("waves", ("wave", "group", "servers", "zones", "starts", "then", "names"), waves))
    number = count(len({e.server.id for e in diff.left_out}), "server")
    yield Section(f"excluded: {number}", list(_excluded(diff, diff.left_out)), is_open=False)
    elsewhere = list(_excluded(diff, diff.taken_elsewhere))
    yield Section("excluded from one group and rebooted in another:", elsewhere, is_open=False)
    yield Section("servers, wave by wave:", members, is_open=False)


def _problem(problem: Problem, file: str) -> Line:
    where = problem.location
    place = f"{where.file}:{where.line}:{where.column}" if where else file
    hint = f" – {problem.hint}" if problem.hint else ""
    return Line((Span(f"{problem.severity}[{problem.code}]"), f" {place}: {problem.message}{hint}"))


def _rules(diff: PlanDiff, schedule: Schedule) -> Iterator[Line]:
    """What stops the run, when waves may start, what gates answer now, and what holds waves back."""
    budget = schedule.max_failures
    yield Line(f"the run stops when more than {count(budget.allowed, 'server')}{_share(budget)} failed")
    yield from map(Line, when_lines(schedule, diff.window))
    yield from gate_lines(schedule, diff.gates)
    for group in schedule.groups:
        if own := group.max_failures:
            yield Line(f"group {group.name}: {group.on_failure} when more than {own.allowed}{_share(own)} failed")
    yield from map(Line, brake_words(schedule))


def _share(budget: Allowance) -> str:
    return f" ({budget.written} of {budget.of})" if budget.written.endswith("%") else ""


def _excluded(diff: PlanDiff, excluded: Sequence[Exclusion]) -> Iterator[Line]:
    for reason, parts in by_reason(excluded):
        number = len({e.server.id for _, _, some in parts for e in some})
        yield Line((Span(reason), f": {count(number, 'server')} {REASONS.get(reason, '')}"))
        for group, detail, some in parts:
            why = f" ({detail})" if detail else ""
            yield Line(group + why, fold((e.server for e in some), diff.shared), level=1)
