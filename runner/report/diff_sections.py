"""The dry-run of a plan as sections, the same for a terminal and for a pull request,
and as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from runner.model.problem import Problem
from runner.model.quantity import Amount, format_duration
from runner.model.schedule import ALL_BUT_ONE, Allowance, Exclusion, Rate, Schedule, Spread, Wave
from runner.planning.exclusions import REASONS
from runner.report.as_text import printed, sections_lines
from runner.report.diff import PlanDiff, rounded, summary
from runner.report.diff_since import base_lines, base_words, lift_words, run_lines, run_words
from runner.report.folding import clipped, fold
from runner.report.gates import gate_lines
from runner.report.run_words import count
from runner.report.sections import Emphasis, Line, Section, Table
from runner.report.surroundings import surroundings_lines
from runner.report.windows import when_lines

LIFTED = "BELT LIFTED"
"""How a line begins that tells of a belt which the plan loosens."""

_NAMES_WIDTH = 44


def diff_text(diff: PlanDiff) -> str:
    """One plan's dry-run, the totals first: every wave, every server, every exclusion; ends
    with a line break.

    Of a plan that could not be planned it says only so: its problems or its failure are
    shown beside it.
    """
    lines = [summary(diff)]
    lines += [
        f"{LIFTED}  {lift_words(lift)}"
        for lift in (diff.since_base.lifts if diff.since_base else ())
    ]
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
    targets = ", ".join(
        f"{t.name} ({t.cloud}, {t.region}, project {t.project_id})" for t in schedule.targets
    )
    plan = f"plan {schedule.plan_name} ({diff.file}), cycle {schedule.cycle}"
    return f"{plan}, target {targets}, {schedule.reboot_type} reboot"


def diff_sections(diff: PlanDiff, problems: Iterable[Problem]) -> Iterator[Section]:
    """Yield what is to be known before anybody runs the plan, what is new in it, its waves,
    and who is left out.
    """
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
    if schedule is not None:
        yield Section("", wave_table(diff, schedule))
    number = count(len({e.server.id for e in diff.left_out}), "server")
    yield Section(f"excluded: {number}", list(_excluded(diff, diff.left_out)), is_open=False)
    elsewhere = list(_excluded(diff, diff.taken_elsewhere))
    yield Section("excluded from one group and rebooted in another:", elsewhere, is_open=False)
    if schedule is not None:
        names = ((wave, fold(wave.servers, diff.shared)) for wave in schedule.waves)
        members = [
            Line(f"wave {wave.number}, {wave.group}", each)
            for wave, each in names
            if _is_clipped(each)
        ]
        yield Section("servers, wave by wave:", members, is_open=False)


def wave_table(diff: PlanDiff, schedule: Schedule) -> Table:
    """Return the waves as people read them."""
    rules = {g.name: g for g in schedule.groups}
    several = len(schedule.targets) > 1
    starts = diff.forecast.waves if diff.forecast else ()
    at_best = ""
    rows = []
    for n, (wave, following) in enumerate(
        zip(schedule.waves, (*schedule.waves[1:], None), strict=False)
    ):
        group = rules[wave.group]
        begins = f"+{rounded(starts[n].start_s)}{at_best}" if starts else ""
        names = clipped(fold(wave.servers, diff.shared), _NAMES_WIDTH)
        where = f"{wave.group} on {group.target}" if several else wave.group
        size, zones = size_words(wave, group.eligible), zone_words(wave)
        rows.append(
            (wave.number, where, size, zones, begins, _then(wave, following, group.bake_s), names)
        )
        at_best = " at best" if at_best or wave.pause.kind == "approval" else ""
    return Table("waves", ("wave", "group", "servers", "zones", "starts", "then", "names"), rows)


def _is_clipped(names: Sequence[str]) -> bool:
    return clipped(names, _NAMES_WIDTH).endswith("…")


def _problem(problem: Problem, file: str) -> Line:
    where = problem.location
    place = f"{where.file}:{where.line}:{where.column}" if where else file
    hint = f" – {problem.hint}" if problem.hint else ""
    return Line(
        (Emphasis(f"{problem.severity}[{problem.code}]"), f" {place}: {problem.message}{hint}")
    )


def _rules(diff: PlanDiff, schedule: Schedule) -> Iterator[Line]:
    """What stops the run, when waves may start, what gates answer now, and what holds
    waves back.
    """
    budget = schedule.max_failures
    yield Line(
        f"the run stops when more than {count(budget.allowed, 'server')}{_share(budget)} failed"
    )
    yield from map(Line, when_lines(schedule, diff.window))
    yield from gate_lines(schedule, diff.gates)
    for group in schedule.groups:
        if own := group.max_failures:
            yield Line(
                f"group {group.name}: {group.on_failure} when more than "
                f"{own.allowed}{_share(own)} failed"
            )
    yield from map(Line, brake_words(schedule))


def _share(budget: Allowance) -> str:
    return f" ({budget.written} of {budget.of})" if budget.written.endswith("%") else ""


def _excluded(diff: PlanDiff, excluded: Sequence[Exclusion]) -> Iterator[Line]:
    for reason, parts in by_reason(excluded):
        number = len({e.server.id for _, _, some in parts for e in some})
        yield Line((Emphasis(reason), f": {count(number, 'server')} {REASONS.get(reason, '')}"))
        for group, detail, some in parts:
            why = f" ({detail})" if detail else ""
            yield Line(group + why, fold((e.server for e in some), diff.shared), level=1)


def size_words(wave: Wave, eligible: int) -> str:
    """A wave's size with the integers behind it: `1 (canary)`, `10% of 37 = 3`, `25% of 37
    = 9, only 6 left`.
    """
    size = len(wave.servers)
    amount = Amount.parse(wave.written)
    wanted = amount.as_size(eligible) if amount.number is None else amount.number
    text = str(wanted) if amount.percent is None else f"{wave.written} of {eligible} = {wanted}"
    if wave.held_by:
        text += f", only {size}"
    elif size < wanted:
        text += f", only {size} left"
    text += " (canary)" if wave.is_canary else ""
    return text + (f", held by spread {', '.join(wave.held_by)}" if wave.held_by else "")


def brake_words(schedule: Schedule) -> Iterator[str]:
    """What holds waves back besides their sizes, a sentence each."""
    if schedule.retry_of:
        yield (
            f"servers that failed in run {schedule.retry_of} go down once more in this cycle "
            f"(retry_of)"
        )
    if schedule.rate is not None:
        yield _rate_words(schedule.rate)
    for group in schedule.groups:
        if group.max_unavailable is not None:
            most = group.max_unavailable
            share = f" ({most.written} of {most.of})" if most.written.endswith("%") else ""
            yield (
                f"group {group.name}: at most {most.allowed}{share} down at once, those already "
                f"down included"
            )
        for rule in group.spread:
            yield f"group {group.name}: {_spread_words(rule)}"
        if group.rate is not None:
            yield f"group {group.name}: {_rate_words(group.rate)}"


def _rate_words(rate: Rate) -> str:
    return f"at most {count(rate.servers, 'server')} asked for in any {format_duration(rate.per_s)}"


def _spread_words(rule: Spread) -> str:
    """`in one wave at most 10% of a zone (3 zones, at most 4 servers)`."""
    kind = rule.key.replace("_", " ").replace("tag:", "value of tag ", 1)
    if rule.written == ALL_BUT_ONE:
        return f"in one wave never all of a {kind} ({count(rule.domains, kind)})"
    many = count(rule.domains, "domain")
    most = f", at most {rule.most} servers" if rule.written.endswith("%") else ""
    return f"in one wave at most {rule.written} of a {kind} ({many}{most})"


def zone_words(wave: Wave) -> str:
    """`eu-de-01 2, eu-de-02 1`; one zone stands without a number."""
    zones = Counter(s.zone or "no zone" for s in wave.servers)
    if len(zones) == 1:
        return next(iter(zones))
    return ", ".join(f"{zone} {number}" for zone, number in sorted(zones.items()))


def _then(wave: Wave, following: Wave | None, bake_s: float) -> str:
    """What follows a wave: `bake 30m, pause 15m`, `approval`, or nothing."""
    words = []
    if bake_s and (following is None or following.group != wave.group):
        words.append(f"bake {format_duration(bake_s)}")
    if following is not None and wave.pause.kind == "approval":
        words.append("approval")
    elif following is not None and wave.pause.seconds:
        words.append(f"pause {format_duration(wave.pause.seconds)}")
    return ", ".join(words)


def by_reason(
    excluded: Iterable[Exclusion],
) -> Iterator[tuple[str, list[tuple[str, str, list[Exclusion]]]]]:
    """Exclusions by reason, in the order of REASONS, and inside by group and sentence."""
    found: dict[str, dict[tuple[str, str], list[Exclusion]]] = {}
    for exclusion in excluded:
        found.setdefault(exclusion.reason, {}).setdefault(
            (exclusion.group, exclusion.detail), []
        ).append(exclusion)
    known = [*REASONS, *sorted(set(found) - set(REASONS))]
    for reason in known:
        if reason in found:
            yield reason, [(group, detail, some) for (group, detail), some in found[reason].items()]
