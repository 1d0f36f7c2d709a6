"""The report for a terminal or a log: totals, what to do next, waves, troubles. Ids in full, lines never wrapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from runner.model.events import Event
from runner.model.run import Run
from runner.report.folding import fold, names_shared, wrapped
from runner.report.log_lines import log_line
from runner.report.run_build import build_report
from runner.report.run_report import ExcludedPart, RunReport, ServerPart, Spread, WavePart
from runner.report.run_requests import HELD, held_by, request_words
from runner.report.run_words import STORE_BEGUN, count, counts_words, length, shown
from runner.report.safe import plain

MOST_WAVES = 30
"""With more of them, those without trouble are only counted."""
MOST_SERVERS = 50
"""Of each outcome; the rest is counted, and in every other form of the report."""
MOST_NAMES = 10
"""Lines of names for each request that holds servers."""

_HEADS = ("wave", "group", "servers", "took", "outcome")


def run_text(run: Run, events: Sequence[Event]) -> str:
    """Return what `run` and `resume` print at their end; they say at their beginning what clock it is."""
    return report_text(replace(build_report(run, events), clock=""))


def report_text(report: RunReport) -> str:
    """The short form, totals first; without a line break at its end. Nothing untrusted is left in it."""
    return "\n".join(log_line(line.rstrip()) for line in _lines(report))


def _lines(report: RunReport) -> Iterator[str]:
    yield f"run {report.run} is {plain(report.summary, 300)}"
    yield from _about(report)
    yield ""
    yield from _waves(report)
    for word, meaning in HELD:
        yield from _held(report, word, meaning)
    for outcome in ("unknown", "failed", "skipped", "not_started"):
        yield from _servers(report, outcome)
    yield from _not_scheduled(report.not_scheduled)
    yield from _next(report)
    yield ""
    yield f"the whole report: reboot-runner report {report.run} -o html --out report.html"


def _about(report: RunReport) -> Iterator[str]:
    targets = ", ".join(plain(t.name, 80) for t in report.targets)
    file = f" ({plain(report.plan.file)})" if report.plan.file else ""
    yield (
        f"plan {plain(report.plan.name, 80)}{file}, cycle {plain(report.cycle, 80)}, target {targets}, "
        f"{report.reboot_type} reboot" + (f"; {plain(report.clock, 80)}" if report.clock else "")
    )
    times = [
        f"{name} {_spread(spread)}" for name, spread in (("reboot", report.reboot), ("back", report.out)) if spread
    ]
    if times:
        yield "; ".join(times)
    if report.stop:
        detail = f": {plain(report.stop.detail)}" if report.stop.detail else ""
        yield f"stopped at {report.stop.at:%H:%M:%S} UTC: {plain(report.stop.reason, 80)}{detail}"
    if report.store_begun:
        yield STORE_BEGUN
    yield from _gates(report)
    for decision in report.decisions:
        about = f" {plain(decision.about, 200)}" if decision.about else ""
        why = f": {plain(decision.reason)}" if decision.reason else ""
        yield f"{decision.kind}{about} by {plain(decision.by, 200) or 'somebody'} at {decision.at:%H:%M:%S} UTC{why}"


def _gates(report: RunReport) -> Iterator[str]:
    """A line for each gate: how often it was not open, and its last answer."""
    for gate, dry in dict.fromkeys((g.gate, g.dry_run) for g in report.gates):
        told = [g for g in report.gates if g.gate == gate]
        shut, last = sum(g.state != "open" for g in told), told[-1]
        why = f": {plain(last.reason, 300)}" if last.reason else f" ({plain(last.value, 60)})" if last.value else ""
        often = f"; not open in {shut} of {len(told)} answers" if shut else ""
        name = plain(gate, 100) + (" (dry run)" if dry else "")
        yield f"gate {name}: {last.state.replace('_', ' ')}{why} before wave {last.wave}{often}"


def _spread(spread: Spread) -> str:
    """`40s (p50), 44s (p90), 52s (longest) of 120 servers`."""
    values = f"{length(spread.p50_s)} (p50), {length(spread.p90_s)} (p90), {length(spread.max_s)} (longest)"
    return f"{values} of {count(spread.servers, 'server')}"


def _waves(report: RunReport) -> Iterator[str]:
    """The waves as a table, as wide as its widest words."""
    listed = [w for w in report.waves if len(report.waves) <= MOST_WAVES or _is_noteworthy(w)][:MOST_WAVES]
    cells = [_HEADS, *map(_row, listed)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(_HEADS))]
    for row in cells:
        yield "  ".join(
            cell.rjust(width) if n in (0, 2, 3) else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
    hidden = len(report.waves) - len(listed)
    if hidden:
        yield f"… and {count(hidden, 'more wave')}"


def _is_noteworthy(wave: WavePart) -> bool:
    """It has servers that are not ready, and it has begun."""
    return wave.started is not None and wave.counts.ready < wave.counts.scheduled


def _row(wave: WavePart) -> tuple[str, ...]:
    took = length(wave.duration_s) if wave.duration_s is not None else "" if wave.started is None else "…"
    canary = " (canary)" if wave.is_canary else ""
    group = plain(wave.group, 63) + canary
    return str(wave.number), group, str(wave.counts.scheduled), took, counts_words(asdict(wave.counts))


def _servers(report: RunReport, outcome: str) -> Iterator[str]:
    """Each server of one outcome with its reason; those never started only by reason."""
    found = [s for s in report.servers if s.outcome == outcome]
    if not found:
        return
    yield ""
    yield _by_reason(shown(outcome), found)
    if outcome == "not_started":
        return
    for server in found[:MOST_SERVERS]:
        yield "  " + _server_line(server)
    if len(found) > MOST_SERVERS:
        yield f"  … and {len(found) - MOST_SERVERS} more, all in the report"


def _held(report: RunReport, word: str, meaning: str) -> Iterator[str]:
    """The servers that a request holds: a line for each request, then their names."""
    requests = list(held_by(report, word))
    if not requests:
        return
    yield ""
    yield f"{shown(word)}: {count(sum(len(refs) for _, refs in requests), 'server')}: {meaning}"
    shared = names_shared(report.servers)
    for batch, refs in requests:
        yield f"  {count(len(refs), 'server')} of {plain(request_words(batch), 400)}"
        names = list(wrapped(fold(refs, shared)))
        yield from (f"    {line}" for line in names[:MOST_NAMES])
        if len(names) > MOST_NAMES:
            yield "    … and more, all in the report"


def _by_reason(what: str, servers: Sequence[ServerPart | ExcludedPart]) -> str:
    """`skipped: 3 servers (2 Busy, 1 NotActive)`."""
    found = Counter(s.reason for s in servers)
    reasons = ", ".join(f"{number} {plain(reason, 80)}" for reason, number in sorted(found.items()))
    return f"{what}: {count(len(servers), 'server')} ({reasons})"


def _not_scheduled(servers: Sequence[ExcludedPart]) -> Iterator[str]:
    if servers:
        yield ""
        yield from not_scheduled_lines(servers)


def not_scheduled_lines(servers: Sequence[ExcludedPart]) -> Iterator[str]:
    """The servers that the plan means and no wave holds, each with its reason; nothing untrusted is left in them."""
    yield _by_reason("not scheduled", servers)
    for server in servers[:MOST_SERVERS]:
        detail = f": {plain(server.detail, 600)}" if server.detail else ""
        yield f"  {_name(server)}, group {plain(server.group, 63)}: {plain(server.reason, 80)}{detail}"
    if len(servers) > MOST_SERVERS:
        yield f"  … and {len(servers) - MOST_SERVERS} more"


def _name(server: ServerPart | ExcludedPart) -> str:
    return f"{plain(server.name, 255)} ({plain(server.id, 80)})" if server.name else plain(server.id, 80)


def _server_line(server: ServerPart) -> str:
    """`web-011 (id), wave 2: JobFailed: Ecs.0227: boot failed; job …; request …`."""
    detail = f": {plain(server.detail, 600)}" if server.detail else ""
    if server.unhealthy_before:
        detail += f"; before the run: {plain(server.unhealthy_before, 300)}"
    ids = (("job", server.job_id), ("request", server.request_id))
    rest = [f"; {kind} {plain(value, 80)}" for kind, value in ids if value and value not in server.detail]
    return f"{_name(server)}, wave {server.wave}: {plain(server.reason, 80)}{detail}{''.join(rest)}"


def _next(report: RunReport) -> Iterator[str]:
    if not report.next:
        return
    yield ""
    yield "next:"
    for step in report.next:
        yield f"  {plain(step.what, 1000)}"
        if step.command:
            yield f"    {plain(step.command, 4000)}"
