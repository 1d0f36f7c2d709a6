"""The dry-run as text for terminals and logs: every wave, every server, every exclusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.model.problem import Problem
from runner.model.schedule import Exclusion, Schedule
from runner.planning.exclusions import REASONS
from runner.report.diff import PlanDiff, Row, brake_words, by_reason, count, rows, summary
from runner.report.diff_since import Line, base_lines, base_words, lift_words, run_lines, run_words
from runner.report.folding import clipped, fold, wrapped
from runner.report.gates import gate_lines
from runner.report.safe import line_start, plain
from runner.report.surroundings import advice, lines
from runner.report.windows import when_lines

LIFTED = "BELT LIFTED"
"""How a line begins that tells of a belt which the plan loosens."""

_NAMES_WIDTH = 44
_HEADS = ("wave", "group", "servers", "zones", "starts", "then", "names")


def diff_text(diff: PlanDiff) -> str:
    """One plan's dry-run, the totals first; ends with a line break. Nothing untrusted is left in it.

    Of a plan that could not be planned it says only so: its problems or its failure are shown beside it.
    """
    return "".join(line_start(line.rstrip()) + "\n" for line in _lines(diff))


def _lines(diff: PlanDiff) -> Iterator[str]:
    yield plain(summary(diff), 1000)
    if diff.since_base:
        yield from (f"{LIFTED}  {plain(lift_words(lift), 1000)}" for lift in diff.since_base.lifts)
    schedule = diff.schedule
    if schedule is None:
        yield plain(diff.file)
        yield from _since(diff)
        return
    yield from _about(diff, schedule)
    yield from _since(diff)
    yield from (f"warning[{p.code}] {_where(p, diff.file)}: {plain(p.message, 1000)}" for p in diff.warnings)
    yield from _surroundings(diff, schedule)
    table = list(rows(diff))
    if table:
        yield ""
        yield from _table(table)
        yield from _members(table)
    yield from _left_out(diff)
    yield ""
    yield f"digest  {schedule.digest}"
    if diff.command and schedule.waves and not diff.errors:
        yield f"next    {plain(diff.command, 4000)}"


def _about(diff: PlanDiff, schedule: Schedule) -> Iterator[str]:
    targets = ", ".join(
        f"{plain(t.name, 80)} ({plain(t.cloud, 40)}, {plain(t.region, 40)}, project {plain(t.project_id, 40)})"
        for t in schedule.targets
    )
    yield (
        f"plan {plain(schedule.plan_name, 80)} ({plain(diff.file)}), cycle {plain(schedule.cycle, 80)}, "
        f"target {targets}, {schedule.reboot_type} reboot"
    )
    budget = schedule.max_failures
    share = f" ({budget.written} of {budget.of})" if budget.written.endswith("%") else ""
    yield f"the run stops when more than {count(budget.allowed, 'server')}{share} failed"
    yield from when_lines(schedule, diff.window)
    yield from (plain(line, 2500) if n == 0 else "  " + plain(line, 2500) for n, line in _gates(diff, schedule))
    for group in schedule.groups:
        if group.max_failures is not None:
            own = group.max_failures
            share = f" ({own.written} of {own.of})" if own.written.endswith("%") else ""
            yield f"group {group.name}: {group.on_failure} when more than {own.allowed}{share} failed"
    yield from (plain(words, 300) for words in brake_words(schedule))


def _gates(diff: PlanDiff, schedule: Schedule) -> Iterator[tuple[int, str]]:
    return enumerate(line.strip() for line in gate_lines(schedule, diff.gates))


def _since(diff: PlanDiff) -> Iterator[str]:
    """What changed since the other revision and since the last run: a line each, then what is behind it."""
    for sentence, notes, changed in _comparisons(diff):
        yield plain(sentence, 1000)
        yield from (f"  {plain(note, 1000)}" for note in notes)
        for line in changed:
            yield from (
                _list(f"  {plain(line.words, 1000)}: ", line.names) if line.names else [f"  {plain(line.words, 1000)}"]
            )


def _comparisons(diff: PlanDiff) -> Iterator[tuple[str, Sequence[str], Iterable[Line]]]:
    if diff.since_base:
        yield base_words(diff.since_base), diff.since_base.notes, base_lines(diff.since_base, diff.shared)
    if diff.since_run:
        yield run_words(diff.since_run), (), run_lines(diff.since_run, diff.shared)


def _surroundings(diff: PlanDiff, schedule: Schedule) -> Iterator[str]:
    """What speaks against rebooting now, the servers that it is about, and what could not be read."""
    yield from (f"warning: {plain(words, 500)}" for words in advice(schedule, diff.around))
    for line in lines(schedule, diff.around, diff.shared):
        yield from _list(f"  {plain(line.words, 500)}: ", line.names)
    yield from (f"note: {plain(words, 500)}" for words in (diff.around.unread if diff.around else ()))


def _table(table: Sequence[Row]) -> Iterator[str]:
    """Columns as wide as their widest word; numbers to the right, names last and clipped."""
    cells = [_HEADS] + [_cells(row) for row in table]
    used = [n for n in range(len(_HEADS)) if any(line[n] for line in cells[1:])]
    widths = [max(len(line[n]) for line in cells) for n in range(len(_HEADS))]
    for line in cells:
        yield "  ".join(line[n].rjust(widths[n]) if n == 0 else line[n].ljust(widths[n]) for n in used)


def _cells(row: Row) -> tuple[str, ...]:
    names = clipped(row.names, _NAMES_WIDTH)
    size = f"{row.size}, {plain(row.held, 100)}" if row.held else row.size
    return (str(row.number), plain(row.group, 130), size, plain(row.zones, 200), row.starts, row.then, names)


def _members(table: Iterable[Row]) -> Iterator[str]:
    """The full list of servers of each wave whose names the table had to clip."""
    clipped_rows = [row for row in table if clipped(row.names, _NAMES_WIDTH).endswith("…")]
    for n, row in enumerate(clipped_rows):
        if n == 0:
            yield ""
        yield from _list(f"wave {row.number}: ", row.names)


def _left_out(diff: PlanDiff) -> Iterator[str]:
    if diff.left_out:
        yield ""
        yield f"excluded: {count(len({e.server.id for e in diff.left_out}), 'server')}"
        yield from _reasons(diff, diff.left_out)
    if diff.taken_elsewhere:
        yield ""
        yield "excluded from one group and rebooted in another:"
        yield from _reasons(diff, diff.taken_elsewhere)


def _reasons(diff: PlanDiff, excluded: Sequence[Exclusion]) -> Iterator[str]:
    for reason, parts in by_reason(excluded):
        number = len({e.server.id for _, _, some in parts for e in some})
        yield f"  {plain(reason, 80)}: {count(number, 'server')} {REASONS.get(reason, '')}"
        for group, detail, some in parts:
            why = f" ({plain(detail, 300)})" if detail else ""
            names = fold((e.server for e in some), diff.shared)
            yield from _list(f"    {plain(group, 63)}{why}: ", names)


def _list(head: str, names: Sequence[str]) -> Iterator[str]:
    """A head and names after it; further lines are set in."""
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    for n, line in enumerate(wrapped(names)):
        yield (head if n == 0 else indent) + line


def _where(problem: Problem, file: str) -> str:
    where = problem.location
    return f"{plain(where.file)}:{where.line}:{where.column}" if where else plain(file)
