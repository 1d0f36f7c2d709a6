"""The report of a run as a document: what people must know and do first, then everything
that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta

from runner.model.schedule import ServerRef
from runner.report.as_markdown import document_markdown
from runner.report.folding import fold, names_shared
from runner.report.reasons import sentence
from runner.report.run_report import BatchPart, ExcludedPart, RunReport, ServerPart
from runner.report.run_requests import held_sections
from runner.report.run_words import STORE_BEGUN, count, counts_words, shown, spread_words
from runner.report.sections import BREAK, Document, Emphasis, Figure, Inline, Line, Section, Table
from runner.report.timeline import course_chart, servers_chart

COMMENT_LIMIT = 60_000
"""A comment holds 65,536 characters; what posts it adds a few of its own."""
SUMMARY_LIMIT = 900_000
"""A job's step summary holds 1 MiB; over that its upload fails whole."""
LEAST_LIMIT = 20_000
"""What always fits: the heading, the totals and what to do next, with the longest texts
they can hold.
"""

_COURSE = {
    **{word: shown(word) for word in ("ready", "failed", "unknown", "in_flight", "in_doubt")},
    "pause": "pause or other wait",
}
_SERVERS = {
    **{"asked": "asked for", "ready": "rebooting", "proving": "until seen back and stable"},
    **{word: shown(word) for word in ("failed", "unknown", "in_flight", "in_doubt")},
}


def report_markdown(report: RunReport, limit: int = COMMENT_LIMIT) -> str:
    """The report as Markdown in at most `limit` bytes of UTF-8 (and so of characters).

    Heading, totals and next steps are never cut. Raises ValueError for a limit under LEAST_LIMIT.
    """
    if limit < LEAST_LIMIT:
        raise ValueError(f"the limit must be {LEAST_LIMIT} or more")

    def cut_words(left: int) -> str:
        where = f"<code>report {report.run} -o json</code>"
        return f"_{count(left, 'more line')} cut here for lack of space; all is in {where}._\n\n"

    return document_markdown(run_document(report), limit, cut_words)


def run_document(report: RunReport) -> Document:
    """Return the whole report; what matters most comes first."""
    notes: list[Inline] = []
    if report.stop:
        said = [report.stop.detail, sentence(report.stop.reason)]
        why = tuple(
            part
            for text, lead in zip(said, (": ", " – "), strict=True)
            if text
            for part in (lead, text)
        )
        notes.append(("Stopped at ", report.stop.at, ": ", Emphasis(report.stop.reason), *why))
    notes += [STORE_BEGUN] if report.store_begun else []
    notes += [step_words(step.what, step.command) for step in report.next]
    targets = ", ".join(
        f"{t.name} ({t.cloud}, {t.region}, project {t.project_id})" for t in report.targets
    )
    facts: dict[str, Inline] = {
        "plan file": report.plan.file,
        "description": report.plan.description,
        "cycle": report.cycle,
        "target": Emphasis(targets, "", 1000),
        "reboot": report.reboot_type,
        "begun by": report.actor,
        "commit": report.commit,
        "CI": report.ci_run,
        "begun": f"{report.created:%Y-%m-%d %H:%M:%S} UTC",
        "took": (timedelta(seconds=report.duration_s), "" if report.ended else " so far"),
        "clock": report.clock,
        "version": report.tool_version,
        "may fail": f"{report.max_failures.allowed} ({report.max_failures.written})",
        "time of a reboot": spread_words(report.reboot),
        "time until back": spread_words(report.out),
        "schedule": Emphasis(report.schedule_digest, "code"),
    }
    return Document(
        name=report.plan.name,
        title=f"Run {report.run} of plan {report.plan.name}",
        total=report.summary,
        tone={"done": "good", "suspended": "open", "held": "open"}.get(report.result, "bad"),
        notes=notes,
        facts=facts,
        sections=list(_sections(report)),
    )


def step_words(what: str, command: str) -> Inline:
    """Return one next step: what to do, and the command that does it."""
    return ("➡ ", what, *((BREAK, Emphasis(command, "code")) if command else ()))


def _sections(report: RunReport) -> Iterator[Section]:
    shared = names_shared([*report.servers, *report.excluded])
    yield Section("Waves", _waves(report), share=0.4)
    if any(wave.started for wave in report.waves):
        yield Section("Course of the run", Figure(_COURSE, lambda: course_chart(report)))
        is_small = len(report.servers) <= 60
        yield Section(
            "Servers in their waves",
            Figure(_SERVERS, lambda: servers_chart(report)),
            is_open=is_small,
        )
    yield from held_sections(report)
    told: set[str] = set()
    for outcome in ("unknown", "failed", "skipped"):
        found = [server for server in report.servers if server.outcome == outcome]
        reasons = sorted({server.reason for server in found})
        told.update(reasons[:20])
        about = "it is not known whether they restarted" if outcome == "unknown" else ""
        intro = [Line(_reason(reason)) for reason in reasons[:20]]
        table = _servers(found, ("zone", "outcome", "asked", "back after"))
        yield Section(f"{count(len(found), 'server')} {outcome}", table, about, intro)
    waiting = [server for server in report.servers if server.outcome == "not_started"]
    yield Section(f"{count(len(waiting), 'server')} not started", list(_by_reason(waiting, shared)))
    left = report.not_scheduled
    about = "the plan means them, and they could not be rebooted"
    yield Section(f"{count(len(left), 'server')} not scheduled", _excluded(left, shared), about)
    yield _gates(report)
    decisions: list[tuple[Inline, ...]] = [
        (d.at, Emphasis(d.kind), d.about, d.by, d.reason) for d in report.decisions
    ]
    asked = (a for a in report.approvals if a.given is None)
    decisions += [(a.asked, "asked, not answered", a.question, None, a.why) for a in asked]
    yield Section(
        "Decisions", Table("decisions", ("when", "what", "about", "by", "why"), decisions)
    )
    batches = [batch for wave in report.waves for batch in wave.batches]
    odd = [batch for batch in batches if batch.state != "accepted"]
    yield Section(
        f"{count(len(odd), 'request')} not simply accepted", _requests(odd), is_open=False
    )
    counted = {server.id for server in left}
    rest = [server for server in report.excluded if server.id not in counted]
    number = len({server.id for server in rest})
    yield Section(
        f"{count(number, 'server')} excluded from the schedule",
        _excluded(rest, shared),
        is_open=False,
    )
    course = Table(
        "course", ("when", "what"), [(moment.at, moment.sentence) for moment in report.course]
    )
    yield Section("What happened when", course, is_open=False, share=0.5)
    extra = ("zone", "what was seen", "asked", "request")
    everything = _servers(report.servers, extra, is_searchable=True)
    yield Section(f"all {count(len(report.servers), 'server')}", everything, is_open=False)
    yield Section("Requests", _requests(batches), is_open=False, in_full=True)
    others = {code: text for code, text in report.reasons.items() if code not in told}
    yield Section("What the other reasons mean", others, is_open=False)


def _waves(report: RunReport) -> Table:
    rows = [
        (
            wave.number,
            wave.group + (" (canary)" if wave.is_canary else ""),
            wave.written,
            wave.counts.scheduled,
            wave.started,
            _seconds(wave.duration_s),
            counts_words(asdict(wave.counts)),
            len(wave.batches),
        )
        for wave in report.waves
    ]
    return Table(
        "waves", ("wave", "group", "size", "servers", "began", "took", "outcome", "requests"), rows
    )


def _servers(
    servers: Sequence[ServerPart], extra: Sequence[str], *, is_searchable: bool = False
) -> Table:
    columns = (
        "server",
        "id",
        "zone",
        "wave",
        "outcome",
        "reason",
        "what was seen",
        "asked",
        "back after",
        "job",
    )
    rows: list[tuple[Inline, ...]] = []
    for server in servers:
        seen = [server.detail] if server.detail else []
        seen += [f"before the run: {server.unhealthy_before}"] if server.unhealthy_before else []
        if said := server.resolution:
            seen.append(f"resolved as {said['as']} by {said['by']}: {said['reason']}")
        seen.append(f"evidence: {server.evidence.value}")
        times = f" ({server.attempts} times)" if server.attempts > 1 else ""
        rows.append(
            (
                server.name,
                server.id,
                server.zone,
                server.wave,
                Emphasis(shown(server.outcome), server.outcome),
                server.reason,
                "; ".join(seen),
                (server.times.intended, times),
                _seconds(server.out_s),
                server.job_id,
                server.request_id,
            )
        )
    return Table("servers", (*columns, "request"), rows, extra, is_searchable=is_searchable)


def _excluded(servers: Sequence[ExcludedPart], shared: frozenset[str]) -> Table:
    rows = [(s.name, s.id, s.zone, s.group, s.reason, s.detail) for s in servers]
    columns = ("server", "id", "zone", "group", "reason", "detail")
    return Table("excluded", columns, rows, brief=list(_by_reason(servers, shared)))


def _by_reason(
    servers: Iterable[ServerPart | ExcludedPart], shared: frozenset[str]
) -> Iterator[Line]:
    by_reason: dict[str, list[ServerRef]] = {}
    for server in servers:
        by_reason.setdefault(server.reason, []).append(
            ServerRef(server.id, server.name, server.zone)
        )
    for reason, refs in sorted(by_reason.items()):
        yield Line(_reason(reason), fold(refs, shared))


def _reason(reason: str) -> Inline:
    """A code and what it means."""
    meaning = sentence(reason)
    return (Emphasis(reason), *((": ", meaning) if meaning else ()))


def _gates(report: RunReport) -> Section:
    """What gates answered: the first answers before each wave, and changes."""
    rows = [
        (
            g.at,
            g.wave,
            g.gate + (" (dry run)" if g.dry_run else ""),
            g.asks,
            shown(g.state),
            g.value,
            g.reason,
        )
        for g in report.gates
    ]
    shut = sum(g.state != "open" and not g.dry_run for g in report.gates)
    title = f"{count(len(rows), 'answer')} of gates" + (f", {shut} not open" if shut else "")
    columns = ("when", "wave", "gate", "what it asks", "answer", "value", "reason")
    return Section(
        title, Table("gates", columns, rows, ("what it asks",)), is_open=False, share=0.4
    )


def _requests(batches: Iterable[BatchPart]) -> Table:
    columns = (
        "request",
        "state",
        "servers",
        "asked",
        "answered",
        "code",
        "answer",
        "job",
        "request id",
        "by",
    )
    rows = [
        (
            *(b.number, shown(b.state.value), len(b.servers), b.intended, b.answered),
            *(b.code, b.reason, b.job_id, b.request_id, b.sender),
        )
        for b in batches
    ]
    return Table("requests", columns, rows, ("answered", "by"))


def _seconds(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
