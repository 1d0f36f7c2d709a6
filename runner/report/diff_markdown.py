"""The dry-run as Markdown for a pull-request comment: the summary first, cut visibly where space ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.errors import EXIT_WORDS, Exit
from runner.model.problem import Problem
from runner.model.schedule import Exclusion, Schedule
from runner.planning.exclusions import REASONS
from runner.report.diff import PlanDiff, Row, Selected, brake_words, by_reason, count, exit_code, rows, summary
from runner.report.diff_since import (
    SHORT,
    Line,
    base_lines,
    base_words,
    lift_words,
    lifts_words,
    run_lines,
    run_words,
)
from runner.report.folding import clipped, fold, wrapped
from runner.report.gates import gate_lines
from runner.report.safe import markdown
from runner.report.surroundings import advice
from runner.report.surroundings import lines as surroundings_lines
from runner.report.windows import when_lines

MAX_CHARACTERS = 60_000
"""A comment holds 65,536 characters; what posts it adds a few of its own."""

_HEADS = "| wave | group | servers | zones | starts | then | names |\n|---:|---|---|---|---|---|---|\n"
_CUT = "\n… cut here: there is no room for more. The whole text is what `diff -o text` prints.\n\n"
_MORE_BELTS = "> - …"
"""How the alert's last line begins where it had to be cut: then nothing else is shown. No escaped text begins so."""

_ROOM = 200
"""Kept free for saying how many plans are not shown."""


def diff_markdown(
    diffs: Sequence[PlanDiff],
    limit: int = MAX_CHARACTERS,
    *,
    in_pull_request: bool = False,
    blocked: str = "",
    selected: Selected | None = None,
) -> str:
    """All plans in at most `limit` characters (2,000 or more).

    Each plan's heading and totals come first and are never cut while those of all plans fit; lifted belts, tables,
    exclusions and servers fill what is left in that order, plan by plan, and say where they were cut.

    `in_pull_request`: for a comment there. The totals are the first line, and the last ones say what applies the
    plans, what discards them and what plans again. `selected`: what a range of commits selected beside `diffs`.
    `blocked`: what must happen before a merge applies them.
    """
    tail = _selected(selected, bool(diffs), limit // 4) + (
        _actions(diffs, markdown(blocked, 1000)) if in_pull_request and diffs else ""
    )
    room = limit - _ROOM - len(tail)
    heads = [_head(diff, 0, in_pull_request) for diff in diffs]
    shown = _fitting(heads, room)
    spare = room - sum(len(head) + len(_CUT) for head in heads[:shown])
    out: list[str] = []
    for n in range(shown):
        head = _head(diffs[n], spare // (shown - n), in_pull_request)
        spare -= len(head) - len(heads[n])
        body = _body(diffs[n], -1 if _MORE_BELTS in head else spare // (shown - n), in_pull_request)
        spare -= len(body.removesuffix(_CUT))
        out += [head, body]
    if shown < len(diffs):
        code = exit_code(d.code for d in diffs[shown:])
        more = count(len(diffs) - shown, "more plan")
        out.append(f"… and {more}, not shown for lack of space (the gravest result: {EXIT_WORDS[code]}).\n")
    return "".join([*out, tail])


def _fitting(heads: Sequence[str], limit: int) -> int:
    """How many plans have room for their heads and for saying that the rest of each was cut."""
    used = 0
    for n, head in enumerate(heads):
        used += len(head) + len(_CUT)
        if used > limit:
            return n
    return len(heads)


def _head(diff: PlanDiff, room: int, in_pull_request: bool) -> str:
    """Heading, totals, how many belts are lifted, and the digest: what must never be cut.

    `room`: characters for saying which belts.
    """
    schedule = diff.schedule
    file, totals = markdown(diff.file), markdown(summary(diff), 500)
    name = markdown(schedule.plan_name, 63) if schedule else file
    if in_pull_request:
        lines = [f"**{name}: {totals}**", ""]
    else:
        lines = [f"### {name} ({file})" if schedule else f"### {name}", "", f"**{totals}**", ""]
    lines += _caution(diff, room)
    if diff.failure is not None:
        lines += [markdown(diff.failure, 1000), ""]
        lines += [f"Hint: {markdown(diff.failure_hint, 500)}", ""] if diff.failure_hint else []
    if schedule:
        lines += [f"{file} · {_about(schedule)}" if in_pull_request else _about(schedule), ""]
    return "\n".join(lines) + "\n"


def _caution(diff: PlanDiff, room: int) -> Iterator[str]:
    """The lifted belts as an alert: how many always, which as far as there is room."""
    since = diff.since_base
    if since is None or not since.lifts:
        return
    yield "> [!CAUTION]"
    yield f"> **{markdown(lifts_words(since), 100)}**"
    for n, lift in enumerate(since.lifts):
        line = f"> - {markdown(lift_words(lift), 300)}"
        room -= len(line) + 1
        if room < 0:
            yield f"{_MORE_BELTS} and {len(since.lifts) - n} more" if n else f"{_MORE_BELTS} (no room to say which)"
            break
        yield line
    yield ""


def _about(schedule: Schedule) -> str:
    targets = ", ".join(f"{markdown(t.name, 80)} ({markdown(t.region, 40)})" for t in schedule.targets)
    words = [f"cycle {markdown(schedule.cycle, 63)}", f"target {targets}", f"{schedule.reboot_type} reboot"]
    return " · ".join(words) + f"<br>digest <code>{schedule.digest}</code>"


Block = tuple[str, Iterable[str], str]
"""What stands before some lines, the lines, and what stands after them."""

_NOTHING: Block = "", [], ""


def _body(diff: PlanDiff, room: int, in_pull_request: bool) -> str:
    """Blocks in the order of their weight; where `room` ends, at a whole line, `_CUT` follows and nothing else."""
    out: list[str] = []
    command = _NOTHING if in_pull_request else _command(diff)
    blocks: tuple[Block, ...] = (
        _problems(diff),
        _surroundings(diff),
        _when(diff),
        command,
        _since(diff),
        _brakes(diff),
        _waves(diff),
        _changes(diff),
        _left_out(diff),
        _members(diff),
    )
    for opening, lines, closing in blocks:
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


def _surroundings(diff: PlanDiff) -> Block:
    """What speaks against rebooting now, with the groups and events behind it, and what could not be read."""
    if diff.schedule is None or diff.around is None:
        return _NOTHING
    told = [f"- **warning** {markdown(words, 500)}\n" for words in advice(diff.schedule, diff.around)]
    told += [
        f"  - {markdown(line.words, 500)}: {markdown(clipped(line.names, 200), 400)}\n"
        for line in surroundings_lines(diff.schedule, diff.around, diff.shared)
    ]
    told += [f"- note: {markdown(words, 500)}\n" for words in diff.around.unread]
    return "", told, "\n"


def _when(diff: PlanDiff) -> Block:
    """When waves may start, how many fit into the next open time, and what gates answer now."""
    lines = [*when_lines(diff.schedule, diff.window), *gate_lines(diff.schedule, diff.gates)] if diff.schedule else []
    return "", [f"- {markdown(line.strip(), 4000)}\n" for line in lines], "\n"


def _problem(problem: Problem) -> str:
    where = problem.location
    place = f"{markdown(f'{where.file}:{where.line}:{where.column}')}: " if where else ""
    hint = f" {markdown(problem.hint, 300)}." if problem.hint else ""
    return f"**{problem.severity}** {place}{markdown(problem.message, 500)} ({markdown(problem.code)}).{hint}"


def _command(diff: PlanDiff) -> Block:
    if not diff.command or not diff.schedule or not diff.schedule.waves or diff.errors:
        return _NOTHING
    return "", [f"To run exactly this: <code>{markdown(diff.command, 2000)}</code>\n"], "\n"


def _since(diff: PlanDiff) -> Block:
    """What changed since the other revision and since the last run, a sentence each."""
    base, run = diff.since_base, diff.since_run
    words = [base_words(base), *base.notes] if base else []
    words += [run_words(run)] if run else []
    return "", [f"- {markdown(sentence, 500)}\n" for sentence in words], "\n"


def _changes(diff: PlanDiff) -> Block:
    """The servers, waves and rules behind those sentences."""
    lines = [*base_lines(diff.since_base, diff.shared)] if diff.since_base else []
    lines += run_lines(diff.since_run, diff.shared) if diff.since_run else []
    return _details("what changed", (text for line in lines for text in _change(line)))


def _change(line: Line) -> Iterator[str]:
    words = markdown(line.words, 500)
    if not line.names:
        yield f"- {words}\n"
    for names in wrapped(line.names, 200):
        yield f"- {words}: {markdown(names, 10_000)}\n"


def _selected(selected: Selected | None, has_plans: bool, room: int) -> str:
    """Plans of a range of commits that are not shown, or that had other names, in about `room` characters."""
    if selected is None:
        return ""
    span = f"{markdown(selected.base[:SHORT])} and {markdown(selected.head[:SHORT])}"
    lines = [] if has_plans else [f"No plan changed between {span}, so nothing will run.\n"]
    told = [f"- {markdown(path)} was deleted: nothing of it will run.\n" for path in selected.deleted]
    told += [f"- {markdown(new)} was {markdown(old)} before.\n" for new, old in sorted(selected.renamed.items())]
    for n, line in enumerate(told):
        room -= len(line)
        if room < 0:
            lines.append(f"- … and {count(len(told) - n, 'more plan')} deleted or renamed\n")
            break
        lines.append(line)
    return "\n" + "".join(lines) if lines else ""


def _actions(diffs: Sequence[PlanDiff], blocked: str) -> str:
    """What applies the plans, what discards them, what plans again. `blocked`: what to do first, if there is any."""
    codes = {d.code for d in diffs}
    if blocked:
        applies = blocked
    elif codes <= {Exit.DONE}:
        applies = "merging restarts nothing."
    elif codes <= {Exit.DONE, Exit.CHANGES}:
        applies = "merge this pull request. What is shown here is then run, exactly so and once."
    else:
        applies = "mend what is wrong first; merged as it is, it is refused."
    return (
        f"\n---\n\n- **To apply:** {applies}\n- **To discard:** close this pull request.\n"
        "- **To plan again:** push a commit, or run this job again.\n"
    )


def _waves(diff: PlanDiff) -> Block:
    return _HEADS, (_row(row) for row in rows(diff)), "\n"


def _brakes(diff: PlanDiff) -> Block:
    """What holds waves back besides their sizes."""
    return "", [f"- {markdown(words, 300)}\n" for words in brake_words(diff.schedule)] if diff.schedule else [], "\n"


def _row(row: Row) -> str:
    names = markdown(clipped(row.names, 60), 100)
    size = f"{row.size}, {markdown(row.held, 100)}" if row.held else row.size
    cells = [str(row.number), markdown(row.group, 130), size, markdown(row.zones), row.starts, row.then, names]
    return "| " + " | ".join(cells) + " |\n"


def _left_out(diff: PlanDiff) -> Block:
    if not diff.left_out and not diff.taken_elsewhere:
        return _NOTHING
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
        return _NOTHING
    lines = (line for row in rows(diff) for line in _list(f"wave {row.number}, {markdown(row.group, 130)}", row.names))
    return _details(f"{count(diff.schedule.servers, 'server')}, wave by wave", lines)


def _list(head: str, names: Sequence[str]) -> Iterator[str]:
    for line in wrapped(names, 200):
        yield f"  - {head}: {markdown(line, 10_000)}\n"


def _details(title: str, lines: Iterable[str]) -> Block:
    return f"<details><summary>{title}</summary>\n\n", lines, "\n</details>\n\n"
