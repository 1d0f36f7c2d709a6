"""The report for a terminal or a log: totals, what to do next, waves, troubles. Ids in
full, lines never wrapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import timedelta

from runner.model.events import Event
from runner.model.run import Run
from runner.report.as_text import printed, sections_lines
from runner.report.folding import named
from runner.report.run_build import build_report
from runner.report.run_report import ExcludedPart, RunReport, ServerPart, WavePart
from runner.report.run_requests import held_sections
from runner.report.run_words import STORE_BEGUN, count, counts_words, shown, spread_words
from runner.report.sections import Inline, Line, Section, Table

MOST_WAVES = 30
"""With more of them, those without trouble are only counted."""
MOST_SERVERS = 50
"""Of each outcome; the rest is counted, and in every other form of the report."""
MOST_NAMES = 60
"""Items of names for each request that holds servers."""


def run_text(run: Run, events: Sequence[Event]) -> str:
    """Return what `run` and `resume` print at their end; they say at their beginning what
    clock it is.
    """
    return report_text(replace(build_report(run, events), clock=""))


def report_text(report: RunReport) -> str:
    """The short form, totals first; without a line break at its end. Nothing untrusted is
    left in it.
    """
    return printed(_lines(report))


def _lines(report: RunReport) -> Iterator[str]:
    yield f"run {report.run} is {report.summary}"
    yield from _about(report)
    yield from sections_lines(_sections(report))
    if waiting := [s for s in report.servers if s.outcome == "not_started"]:
        yield from ("", _by_reason("not started", waiting))
    if report.not_scheduled:
        yield from ("", *not_scheduled_lines(report.not_scheduled))
    steps = [(Line(step.what), Line(step.command, level=1)) for step in report.next]
    yield from sections_lines(
        [Section("next:", [line for pair in steps for line in pair if line.words])]
    )
    yield ""
    yield f"the whole report: reboot-runner report {report.run} -o html --out report.html"


def _about(report: RunReport) -> Iterator[str]:
    plan = f"plan {report.plan.name}" + (f" ({report.plan.file})" if report.plan.file else "")
    targets = ", ".join(target.name for target in report.targets)
    clock = f"; {report.clock}" if report.clock else ""
    yield f"{plan}, cycle {report.cycle}, target {targets}, {report.reboot_type} reboot{clock}"
    times = {"reboot": report.reboot, "back": report.out}
    if said := "; ".join(
        f"{name} {spread_words(spread)}" for name, spread in times.items() if spread
    ):
        yield said
    if report.stop:
        yield (
            f"stopped at {report.stop.at:%H:%M:%S} UTC: "
            f"{report.stop.reason}{_why(report.stop.detail)}"
        )
    if report.store_begun:
        yield STORE_BEGUN
    for gate, is_dry in dict.fromkeys((g.gate, g.dry_run) for g in report.gates):
        told = [g for g in report.gates if g.gate == gate]
        shut, last = sum(g.state != "open" for g in told), told[-1]
        why = _why(last.reason) or (f" ({last.value})" if last.value else "")
        often = f"; not open in {shut} of {len(told)} answers" if shut else ""
        yield (
            f"gate {gate}{' (dry run)' if is_dry else ''}: {shown(last.state)}{why} before wave "
            f"{last.wave}{often}"
        )
    for decision in report.decisions:
        what = f"{decision.kind} {decision.about}".rstrip()
        who = f"by {decision.by or 'somebody'} at {decision.at:%H:%M:%S} UTC"
        yield f"{what} {who}{_why(decision.reason)}"


def _sections(report: RunReport) -> Iterator[Section]:
    waves = [w for w in report.waves if len(report.waves) <= MOST_WAVES or _is_noteworthy(w)][
        :MOST_WAVES
    ]
    yield Section(
        "",
        Table(
            "waves", ("wave", "group", "servers", "took", "outcome"), [_row(wave) for wave in waves]
        ),
    )
    hidden = len(report.waves) - len(waves)
    yield Section("", [Line(f"… and {count(hidden, 'more wave')}")] if hidden else [])
    yield from held_sections(report, MOST_NAMES)
    for outcome in ("unknown", "failed", "skipped"):
        found = [s for s in report.servers if s.outcome == outcome]
        lines = _first(
            list(map(_server_line, found)),
            MOST_SERVERS,
            f"… and {len(found) - MOST_SERVERS} more, all in the report",
        )
        yield Section(_by_reason(outcome, found), list(map(Line, lines)))


def _is_noteworthy(wave: WavePart) -> bool:
    """It has servers that are not ready, and it has begun."""
    return wave.started is not None and wave.counts.ready < wave.counts.scheduled


def _row(wave: WavePart) -> tuple[Inline, ...]:
    took: Inline = None if wave.duration_s is None else timedelta(seconds=wave.duration_s)
    if took is None and wave.started is not None:
        took = "…"
    group = wave.group + (" (canary)" if wave.is_canary else "")
    return wave.number, group, wave.counts.scheduled, took, counts_words(asdict(wave.counts))


def _first(items: list[str], most: int, more: str) -> list[str]:
    return items if len(items) <= most else [*items[:most], more]


def not_scheduled_lines(servers: Sequence[ExcludedPart]) -> list[str]:
    """Return the servers that the plan means and no wave holds, each with its reason;
    not escaped.
    """
    lines = [f"{named(s)}, group {s.group}: {s.reason}{_why(s.detail)}" for s in servers]
    more = _first(lines, MOST_SERVERS, f"… and {len(lines) - MOST_SERVERS} more")
    return [_by_reason("not scheduled", servers), *(f"  {line}" for line in more)]


def _by_reason(what: str, servers: Sequence[ServerPart | ExcludedPart]) -> str:
    """`skipped: 3 servers (2 Busy, 1 NotActive)`."""
    found = Counter(s.reason for s in servers)
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(found.items()))
    return f"{what}: {count(len(servers), 'server')} ({reasons})"


def _server_line(server: ServerPart) -> str:
    """`web-011 (id), wave 2: JobFailed: Ecs.0227: boot failed; job …; request …`."""
    rest = f"; before the run: {server.unhealthy_before}" if server.unhealthy_before else ""
    for kind, value in (("job", server.job_id), ("request", server.request_id)):
        rest += f"; {kind} {value}" if value and value not in server.detail else ""
    return f"{named(server)}, wave {server.wave}: {server.reason}{_why(server.detail)}{rest}"


def _why(reason: str) -> str:
    return f": {reason}" if reason else ""
