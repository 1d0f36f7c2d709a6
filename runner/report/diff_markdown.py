"""The dry-run as Markdown for a pull-request comment: the summary first, cut visibly where space ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.errors import EXIT_WORDS
from runner.model.problem import Problem
from runner.model.schedule import Exclusion, Schedule
from runner.planning.exclusions import REASONS
from runner.report.diff import PlanDiff, Row, by_reason, count, exit_code, rows, summary
from runner.report.folding import clipped, fold, wrapped
from runner.report.safe import markdown

MAX_CHARACTERS = 60_000
"""A comment holds 65,536 characters; what posts it adds a few of its own."""

_HEADS = "| wave | group | servers | zones | starts | then | names |\n|---:|---|---|---|---|---|---|\n"
_CUT = "\n… cut here: there is no room for more. The whole text is what `diff -o text` prints.\n\n"
_ROOM = 200
"""Kept free for saying how many plans are not shown."""


def diff_markdown(diffs: Sequence[PlanDiff], limit: int = MAX_CHARACTERS) -> str:
    """All plans in at most `limit` characters (2,000 or more).

    Each plan's heading and totals come first and are never cut while those of all plans fit; tables, exclusions and
    servers fill what is left in that order, plan by plan, and say where they were cut.
    """
    heads = [_head(diff) for diff in diffs]
    shown = _fitting(heads, limit - _ROOM)
    spare = limit - _ROOM - sum(len(head) + len(_CUT) for head in heads[:shown])
    out: list[str] = []
    for n in range(shown):
        body = _body(diffs[n], spare // (shown - n))
        spare -= len(body.removesuffix(_CUT))
        out += [heads[n], body]
    if shown < len(diffs):
        code = exit_code(d.code for d in diffs[shown:])
        more = count(len(diffs) - shown, "more plan")
        out.append(f"… and {more}, not shown for lack of space (the gravest result: {EXIT_WORDS[code]}).\n")
    return "".join(out)


def _fitting(heads: Sequence[str], limit: int) -> int:
    """How many plans have room for their heads and for saying that the rest of each was cut."""
    used = 0
    for n, head in enumerate(heads):
        used += len(head) + len(_CUT)
        if used > limit:
            return n
    return len(heads)


def _head(diff: PlanDiff) -> str:
    """Heading, totals, problems in number and the digest: what must never be cut."""
    schedule = diff.schedule
    name = f"{markdown(schedule.plan_name, 63)} ({markdown(diff.file)})" if schedule else markdown(diff.file)
    lines = [f"### {name}", "", f"**{markdown(summary(diff), 500)}**", ""]
    if diff.failure is not None:
        lines += [markdown(diff.failure, 1000), ""]
        lines += [f"Hint: {markdown(diff.failure_hint, 500)}", ""] if diff.failure_hint else []
    if schedule:
        lines += [_about(schedule), ""]
    return "\n".join(lines) + "\n"


def _about(schedule: Schedule) -> str:
    targets = ", ".join(f"{markdown(t.name, 80)} ({markdown(t.region, 40)})" for t in schedule.targets)
    words = [f"cycle {markdown(schedule.cycle, 63)}", f"target {targets}", f"{schedule.reboot_type} reboot"]
    return " · ".join(words) + f"<br>digest <code>{schedule.digest}</code>"


Block = tuple[str, Iterable[str], str]
"""What stands before some lines, the lines, and what stands after them."""


def _body(diff: PlanDiff, room: int) -> str:
    """Blocks in the order of their weight; where `room` ends, at a whole line, `_CUT` follows and nothing else."""
    out: list[str] = []
    for opening, lines, closing in (_problems(diff), _command(diff), _waves(diff), _left_out(diff), _members(diff)):
        fitting: list[str] = []
        room -= len(opening) + len(closing)
        for line in lines:
            room -= len(line)
            if room < 0:
                out += [opening, *fitting, closing] if fitting else []
                return "".join([*out, _CUT])
            fitting.append(line)
        if fitting:
            out += [opening, *fitting, closing]
        else:
            room += len(opening) + len(closing)
    return "".join(out)


def _problems(diff: PlanDiff) -> Block:
    return "", [f"- {_problem(p)}\n" for p in (*diff.errors, *diff.warnings)], "\n"


def _problem(problem: Problem) -> str:
    where = problem.location
    place = f"{markdown(where.file)}:{where.line}:{where.column}: " if where else ""
    hint = f" {markdown(problem.hint, 300)}." if problem.hint else ""
    return f"**{problem.severity}** {place}{markdown(problem.message, 500)} ({markdown(problem.code)}).{hint}"


def _command(diff: PlanDiff) -> Block:
    if not diff.command or not diff.schedule or not diff.schedule.waves:
        return "", [], ""
    return "", [f"To run exactly this: <code>{markdown(diff.command, 2000)}</code>\n"], "\n"


def _waves(diff: PlanDiff) -> Block:
    return _HEADS, (_row(row) for row in rows(diff)), "\n"


def _row(row: Row) -> str:
    names = markdown(clipped(row.names, 60), 100)
    cells = [str(row.number), markdown(row.group, 63), row.size, markdown(row.zones), row.starts, row.then, names]
    return "| " + " | ".join(cells) + " |\n"


def _left_out(diff: PlanDiff) -> Block:
    if not diff.left_out and not diff.taken_elsewhere:
        return "", [], ""
    number = count(len({e.server.id for e in diff.left_out}), "server")
    return _details(f"{number} excluded, with reasons", _exclusions(diff))


def _exclusions(diff: PlanDiff) -> Iterator[str]:
    yield from _reasons(diff, diff.left_out, "")
    yield from _reasons(diff, diff.taken_elsewhere, "; rebooted in another group")


def _reasons(diff: PlanDiff, excluded: Sequence[Exclusion], more: str) -> Iterator[str]:
    for reason, parts in by_reason(excluded):
        number = len({e.server.id for _, _, some in parts for e in some})
        sentence = markdown(REASONS.get(reason, ""))
        yield f"- **{markdown(reason)}**: {count(number, 'server')} {sentence}{more}\n"
        for group, detail, some in parts:
            why = f" ({markdown(detail)})" if detail else ""
            names = fold((e.server for e in some), diff.shared)
            yield from _list(f"{markdown(group, 63)}{why}", names)


def _members(diff: PlanDiff) -> Block:
    if not diff.schedule or not diff.schedule.waves:
        return "", [], ""
    lines = (line for row in rows(diff) for line in _list(f"wave {row.number}, {markdown(row.group, 63)}", row.names))
    return _details(f"{count(diff.schedule.servers, 'server')}, wave by wave", lines)


def _list(head: str, names: Sequence[str]) -> Iterator[str]:
    for line in wrapped(names, 200):
        yield f"  - {head}: {markdown(line, 10_000)}\n"


def _details(title: str, lines: Iterable[str]) -> Block:
    return f"<details><summary>{title}</summary>\n\n", lines, "\n</details>\n\n"
