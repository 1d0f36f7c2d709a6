"""What a dry-run shows: one plan against the live cloud, in a sentence, as text, as Markdown and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from runner.errors import EXIT_WORDS, Exit
from runner.model.problem import Problem
from runner.model.quantity import Amount, format_duration
from runner.model.schedule import ALL_BUT_ONE, Exclusion, Rate, Schedule, Spread, Wave
from runner.model.surroundings import Surroundings
from runner.planning.exclusions import REASONS, REBOOTED_IN_CYCLE
from runner.planning.forecast import Forecast, forecast
from runner.planning.when import Outlook
from runner.report.diff_since import SinceBase, SinceRun, base_json, run_json
from runner.report.folding import fold, shared_names
from runner.report.gates import GatesNow, gates_json
from runner.report.problems import problems_document
from runner.report.safe import json_text
from runner.report.schedule_json import document
from runner.report.surroundings import surroundings_json
from runner.report.windows import outlook_json

FORMAT_VERSION = 1

PRECEDENCE = (1, 77, 3, 7, 6, 5, 4, 75, 2, 0)
"""Of several plans' exit codes the first of these that occurs is the command's."""


@dataclass(frozen=True)
class PlanDiff:
    """One plan's dry-run: a schedule with its forecast, or why there is none.

    `failure`: an error that is no problem of the plan's, with its exit code (cloud or store not reachable, access
    denied). `command`: what to type next, a whole line, already quoted for a shell. With an error among the problems
    nothing may be run, whether there is a schedule or not.
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
        excluded = self.schedule.excluded if self.schedule else ()
        return tuple(e for e in excluded if e.server.id not in self.scheduled)

    @cached_property
    def taken_elsewhere(self) -> tuple[Exclusion, ...]:
        """The exclusions of servers that another group reboots, a canary group for example."""
        excluded = self.schedule.excluded if self.schedule else ()
        return tuple(e for e in excluded if e.server.id in self.scheduled)


@dataclass(frozen=True, slots=True)
class Selected:
    """Which plans a range of commits selected, beside those that are shown. `renamed`: new file to old."""

    base: str
    head: str
    deleted: Sequence[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    unchanged: int = 0


def exit_code(codes: Iterable[int]) -> int:
    """The code of a command over several plans; 0 for none."""
    found = set(codes)
    return next((code for code in PRECEDENCE if code in found), max(found, default=Exit.DONE))


def summary(diff: PlanDiff) -> str:
    """The first line: the totals, or why nothing is rebooted. Plain words, no untrusted text but the cycle's name."""
    schedule = diff.schedule
    if diff.failure is not None:
        return "not planned: the cloud or the store could not be asked"
    if schedule is None:
        return f"not planned: {count(len(diff.errors), 'problem')}"
    refused = f"refused, {count(len(diff.errors), 'problem')}: " if diff.errors else ""
    return refused + _totals(diff, schedule)


def _totals(diff: PlanDiff, schedule: Schedule) -> str:
    if not schedule.waves:
        return _nothing(diff, schedule)
    parts = [f"{count(schedule.servers, 'server')} in {count(len(schedule.waves), 'wave')}{_excluded(diff)}"]
    parts.append(f"largest wave {schedule.worst_case.down_at_once}")
    parts.append(_failures(schedule))
    parts.append(expected(diff.forecast) if diff.forecast else "")
    return "; ".join(part for part in parts if part)


def _failures(schedule: Schedule) -> str:
    """`worst case 12 failures before it stops, 37 if only a bake shows them`: as many as anything can cost."""
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


def _nothing(diff: PlanDiff, schedule: Schedule) -> str:
    """Why there are no waves. What was done already is said first: it is the usual reason."""
    matched = {e.server.id for e in schedule.excluded}
    spent = {e.server.id for e in schedule.excluded if e.reason == REBOOTED_IN_CYCLE}
    if not matched:
        return "nothing to reboot: the plan matches no server"
    again = "write a new cycle into the plan to reboot again"
    if spent == matched:
        return (
            f"nothing to reboot: all {count(len(spent), 'server')} rebooted already in cycle {schedule.cycle}; {again}"
        )
    some = f" ({len(spent)} rebooted already in cycle {schedule.cycle})" if spent else ""
    return f"nothing to reboot: {count(len(matched), 'server')} matched, all excluded{some}"


def _excluded(diff: PlanDiff) -> str:
    number = len({e.server.id for e in diff.left_out})
    spent = len({e.server.id for e in diff.left_out if e.reason == REBOOTED_IN_CYCLE})
    if not number:
        return ", none excluded"
    return f", {number} excluded" + (f" ({spent} of them rebooted already in this cycle)" if spent else "")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def rounded(seconds: float) -> str:
    """A duration people can read: whole seconds under two minutes, else whole minutes. 7,830 s: `2h11m`."""
    if seconds < 120:
        return format_duration(float(round(seconds)))
    return format_duration(float(60 * round(seconds / 60)))


@dataclass(frozen=True, slots=True)
class Row:
    """One wave as a line of a table. `names` names every server; `held` says why the wave is smaller than written.

    `group`, `zones`, `names` and `held` hold untrusted text.
    """

    number: int
    group: str
    size: str
    zones: str
    starts: str
    then: str
    names: list[str]
    held: str = ""


def rows(diff: PlanDiff) -> Iterator[Row]:
    """The waves as people read them."""
    schedule = diff.schedule
    if schedule is None:
        return
    rules = {g.name: g for g in schedule.groups}
    several = len(schedule.targets) > 1
    starts = diff.forecast.waves if diff.forecast else ()
    waits = False
    for n, (wave, following) in enumerate(zip(schedule.waves, (*schedule.waves[1:], None), strict=False)):
        group = rules[wave.group]
        begins = f"+{rounded(starts[n].start_s)}{' at best' if waits else ''}" if starts else ""
        then = _then(wave, following, group.bake_s)
        names = fold(wave.servers, diff.shared)
        size, held = size_words(wave, group.eligible), held_words(wave)
        where = f"{wave.group} on {group.target}" if several else wave.group
        yield Row(wave.number, where, size, zone_words(wave), begins, then, names, held)
        waits = waits or wave.pause.kind == "approval"


def size_words(wave: Wave, eligible: int) -> str:
    """A wave's size with the integers behind it: `1 (canary)`, `10% of 37 = 3`, `25% of 37 = 9, only 6 left`."""
    size = len(wave.servers)
    amount = Amount.parse(wave.written)
    wanted = amount.as_size(eligible) if amount.number is None else amount.number
    text = str(wanted) if amount.percent is None else f"{wave.written} of {eligible} = {wanted}"
    if wave.held_by:
        text += f", only {size}"
    elif size < wanted:
        text += f", only {size} left"
    return text + (" (canary)" if wave.is_canary else "")


def held_words(wave: Wave) -> str:
    """`held by spread zone: 1`, or nothing. Untrusted: names of tags."""
    return f"held by spread {', '.join(wave.held_by)}" if wave.held_by else ""


def brake_words(schedule: Schedule) -> Iterator[str]:
    """What holds waves back besides their sizes, a sentence each. Untrusted: names of tags."""
    if schedule.retry_of:
        yield f"servers that failed in run {schedule.retry_of} go down once more in this cycle (retry_of)"
    if schedule.rate is not None:
        yield _rate_words(schedule.rate)
    for group in schedule.groups:
        if group.max_unavailable is not None:
            most = group.max_unavailable
            share = f" ({most.written} of {most.of})" if most.written.endswith("%") else ""
            yield f"group {group.name}: at most {most.allowed}{share} down at once, those already down included"
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
    """`eu-de-01 2, eu-de-02 1`; one zone stands without a number. Untrusted."""
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


def by_reason(excluded: Iterable[Exclusion]) -> Iterator[tuple[str, list[tuple[str, str, list[Exclusion]]]]]:
    """Exclusions by reason, in the order of REASONS, and inside by group and sentence."""
    found: dict[str, dict[tuple[str, str], list[Exclusion]]] = {}
    for exclusion in excluded:
        found.setdefault(exclusion.reason, {}).setdefault((exclusion.group, exclusion.detail), []).append(exclusion)
    known = [*REASONS, *sorted(set(found) - set(REASONS))]
    for reason in known:
        if reason in found:
            yield reason, [(group, detail, some) for (group, detail), some in found[reason].items()]


def diff_json(diffs: Sequence[PlanDiff], selected: Selected | None = None) -> str:
    """All plans as one JSON object; `schemas/diff.schema.json` describes it."""
    code = exit_code(d.code for d in diffs)
    made = {
        "format_version": FORMAT_VERSION,
        "result": EXIT_WORDS[code],
        "plans": [_plan_json(diff) for diff in diffs],
        "selected": None if selected is None else {**asdict(selected), "deleted": list(selected.deleted)},
    }
    return json_text(made, sort_keys=True, allow_nan=False)


def _plan_json(diff: PlanDiff) -> dict[str, Any]:
    schedule = diff.schedule
    return {
        "file": diff.file,
        "result": EXIT_WORDS[diff.code],
        "summary": summary(diff),
        "counts": None
        if schedule is None
        else {
            "servers": schedule.servers,
            "waves": len(schedule.waves),
            "excluded": len({e.server.id for e in diff.left_out}),
            "visible": schedule.visible,
        },
        "forecast": asdict(diff.forecast) if diff.forecast else None,
        "window": outlook_json(diff.window),
        "gates": [] if schedule is None else gates_json(schedule, diff.gates),
        "surroundings": surroundings_json(schedule, diff.around),
        "schedule": document(schedule) if schedule else None,
        "problems": problems_document(diff.problems, [])["problems"],
        "error": None if diff.failure is None else {"message": diff.failure, "hint": diff.failure_hint},
        "next": diff.command or None,
        "since_base": base_json(diff.since_base),
        "since_run": run_json(diff.since_run),
    }
