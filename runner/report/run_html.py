"""The report as one HTML file: no network, nothing to install, readable without its few lines of script.

The page's policy allows its own style and script by their hashes and nothing else, so text that got in as markup in
spite of everything could load and run nothing. Everything not ours goes through `safe.markup`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

from runner.report.folding import fold, names_shared
from runner.report.log_lines import markup_text
from runner.report.reasons import sentence
from runner.report.run_page import SCRIPT, STYLE, TABLES
from runner.report.run_report import ExcludedPart, RunReport, ServerPart, Spread, WavePart
from runner.report.run_requests import HELD, held_by, request_words
from runner.report.run_words import STORE_BEGUN, count, counts_words, length, shown
from runner.report.safe import markup
from runner.report.timeline import course_svg, servers_svg


def report_html(report: RunReport) -> str:
    """A whole document, UTF-8. Light or dark as the reader's system says; tables beside every picture."""
    title = f"{markup(report.plan.name, 80)}: {markup(report.summary)}"
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    return head + markup_text("\n".join(_body(report))) + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"


def policy() -> str:
    """Nothing may be loaded, sent or framed; style and script only with these very bytes."""
    style, script = (_hash(text) for text in (STYLE, SCRIPT))
    return f"default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _body(report: RunReport) -> Iterator[str]:
    yield f"<header><h1>{markup(report.plan.name, 80)}</h1>"
    yield f'<p class="total {_tone(report)}">{markup(report.summary)}</p>'
    yield "".join(_todo(report)) + _facts(report) + "</header>"
    yield "<main>"
    yield from _section("Waves", _wave_table(report), is_open=True)
    if any(w.started for w in report.waves):
        yield from _section("Course of the run", [_COURSE_LEGEND, course_svg(report)], is_open=True)
        yield from _section("Servers in their waves", [_LEGEND, servers_svg(report)], is_open=len(report.servers) <= 60)
    trouble = [s for s in report.servers if s.outcome in ("failed", "unknown")]
    for word, meaning in HELD:
        yield from _held(report, word, meaning)
    if trouble:
        yield from _section(f"{len(trouble)} failed or unknown", _server_table(trouble, ""), is_open=True)
    left_out = report.not_scheduled
    yield from _section(f"{len(left_out)} not scheduled", _excluded(left_out), is_open=True)
    everything = f"All {count(len(report.servers), 'server')}"
    yield from _section(everything, _server_table(report.servers, "servers"), is_open=False)
    yield from _section(f"{len(report.excluded)} excluded from the schedule", _excluded(report.excluded))
    yield from _section("Gates", _gates(report))
    yield from _section("Decisions", _decisions(report))
    yield from _section("Requests", _requests(report))
    yield from _section("What happened when", _course(report))
    yield from _section("What the reasons mean", _reasons(report))
    yield "</main>"


def _held(report: RunReport, word: str, meaning: str) -> Iterator[str]:
    """The servers that a request holds, request by request."""
    held = list(held_by(report, word))
    shared = names_shared(report.servers)
    rows = [
        f"<dt>{markup(request_words(batch))}</dt><dd>{markup(', '.join(fold(refs, shared)), 200_000)}</dd>"
        for batch, refs in held
    ]
    if rows:
        number = sum(len(refs) for _, refs in held)
        lines = [f"<p>{markup(meaning)}</p>", f"<dl>{''.join(rows)}</dl>"]
        yield from _section(f"{number} {shown(word)}", lines, is_open=True)


def _section(title: str, lines: Iterable[str], *, is_open: bool = False) -> Iterator[str]:
    """A part that can be folded; left out when it is empty."""
    inside = "".join(lines)
    if inside:
        yield f"<details{' open' if is_open else ''}><summary>{markup(title)}</summary>{inside}</details>"


def _tone(report: RunReport) -> str:
    return {"done": "good", "suspended": "open", "held": "open"}.get(report.result, "bad")


def _todo(report: RunReport) -> Iterator[str]:
    if report.store_begun:
        yield f"<p>{markup(STORE_BEGUN)}</p>"
    if report.stop:
        detail = f": {markup(report.stop.detail)}" if report.stop.detail else ""
        explained = f" – {markup(sentence(report.stop.reason))}" if sentence(report.stop.reason) else ""
        yield f"<p>Stopped at {_time(report.stop.at)}: <b>{markup(report.stop.reason, 80)}</b>{detail}{explained}</p>"
    if report.next:
        yield "<h2>What to do next</h2><ul>"
        for step in report.next:
            command = f"<br><code>{markup(step.command, 4000)}</code>" if step.command else ""
            yield f"<li>{markup(step.what, 1000)}{command}</li>"
        yield "</ul>"


def _facts(report: RunReport) -> str:
    said = {
        "plan": report.plan.file or report.plan.name,
        "run": report.run,
        "description": report.plan.description,
        "cycle": report.cycle,
        "target": ", ".join(f"{t.name} ({t.cloud}, {t.region}, project {t.project_id})" for t in report.targets),
        "reboot": report.reboot_type,
        "begun": f"{report.created:%Y-%m-%d %H:%M:%S} UTC" + (f" by {report.actor}" if report.actor else ""),
        "clock": report.clock,
        "took": length(report.duration_s) + ("" if report.ended else " so far"),
        "commit": report.commit,
        "CI": report.ci_run,
        "time of a reboot": _spread(report.reboot),
        "time until back": _spread(report.out),
        "may fail": f"{report.max_failures.allowed} ({report.max_failures.written})",
        "schedule": report.schedule_digest,
        "version": report.tool_version,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{markup(text, 2000)}</dd>" for name, text in said.items() if text)
    return f"<dl>{rows}</dl>"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    values = f"{length(spread.p50_s)} (p50), {length(spread.p90_s)} (p90), {length(spread.max_s)} (longest)"
    return f"{values}, of {count(spread.servers, 'server')}"


_LEGEND = (
    '<p class="legend"><span class="asked">asked for</span> <span class="ready">rebooting</span> '
    '<span class="proving">until seen back and stable</span> <span class="failed">failed</span> '
    '<span class="unknown">unknown</span> '
    '<span class="in_flight">in flight</span> <span class="in_doubt">in doubt</span></p>'
)


_COURSE_LEGEND = (
    '<p class="legend"><span class="ready">ready</span> <span class="failed">failed</span> '
    '<span class="unknown">unknown</span> <span class="in_flight">in flight</span> '
    '<span class="in_doubt">in doubt</span> <span class="pause">pause or other wait</span></p>'
)


def _wave_table(report: RunReport) -> Iterator[str]:
    yield _table_head("waves")
    yield from (_wave_row(wave) for wave in report.waves)
    yield "</tbody></table>"


def _wave_row(wave: WavePart) -> str:
    return _row(
        str(wave.number),
        markup(wave.group, 80) + (" (canary)" if wave.is_canary else ""),
        markup(wave.written, 20),
        str(wave.counts.scheduled),
        _time(wave.started),
        length(wave.duration_s) if wave.duration_s is not None else "",
        counts_words(asdict(wave.counts)),
    )


def _server_table(servers: Iterable[ServerPart], name: str) -> Iterator[str]:
    """`name`: the id of a table that gets a field to search in, where scripts run."""
    if name:
        yield f'<p hidden><label>Search <input type="search" data-table="{name}"></label></p>'
    yield _table_head("servers", name)
    yield from (_server_row(server) for server in servers)
    yield "</tbody></table>"


def _server_row(server: ServerPart) -> str:
    said = (
        f"resolved as {server.resolution['as']} by {server.resolution['by']}: {server.resolution['reason']}"
        if (server.resolution)
        else ""
    )
    before = f"before the run: {server.unhealthy_before}" if server.unhealthy_before else ""
    return _row(
        markup(server.name, 255),
        markup(server.id, 80),
        markup(server.zone, 80),
        str(server.wave),
        f'<span class="{server.outcome}">{shown(server.outcome)}</span>',
        markup(server.reason, 80),
        markup(
            "; ".join(text for text in (server.detail, before, said, f"evidence: {server.evidence.value}") if text),
            1500,
        ),
        _time(server.times.intended) + (f" ({server.attempts} times)" if server.attempts > 1 else ""),
        length(server.out_s) if server.out_s is not None else "",
        markup(server.job_id or "", 80),
        markup(server.request_id or "", 80),
    )


def _excluded(excluded: Sequence[ExcludedPart]) -> Iterator[str]:
    if excluded:
        yield _table_head("excluded")
        for e in excluded:
            cells = (markup(e.name, 255), markup(e.id, 80), markup(e.zone, 80), markup(e.group, 80))
            yield _row(*cells, markup(e.reason, 80), markup(e.detail, 1000))
        yield "</tbody></table>"


def _gates(report: RunReport) -> Iterator[str]:
    if report.gates:
        yield _table_head("gates")
        for g in report.gates:
            name = markup(g.gate, 100) + (" (dry run)" if g.dry_run else "")
            cells = (_time(g.at), str(g.wave), name, markup(g.asks, 2500), g.state.replace("_", " "))
            yield _row(*cells, markup(g.value, 60), markup(g.reason, 400))
        yield "</tbody></table>"


def _decisions(report: RunReport) -> Iterator[str]:
    if report.decisions or report.approvals:
        yield _table_head("decisions")
        for d in report.decisions:
            yield _row(_time(d.at), d.kind, markup(d.about), markup(d.by), markup(d.reason, 2000))
        for a in report.approvals:
            if a.given is None:
                yield _row(_time(a.asked), "asked, not answered", markup(a.question), "", markup(a.why, 2000))
        yield "</tbody></table>"


def _requests(report: RunReport) -> Iterator[str]:
    batches = [b for w in report.waves for b in w.batches]
    if batches:
        yield _table_head("requests")
        for b in batches:
            yield _row(
                *(str(b.number), b.state.value.replace("_", " "), str(len(b.servers)), _time(b.intended)),
                *(_time(b.answered), markup(b.code or "", 80), markup(b.reason, 1000), markup(b.job_id or "", 80)),
                *(markup(b.request_id or "", 80), markup(b.sender, 200)),
            )
        yield "</tbody></table>"


def _course(report: RunReport) -> Iterator[str]:
    if report.course:
        yield _table_head("course")
        yield from (_row(_time(m.at), markup(m.sentence, 2000)) for m in report.course)
        yield "</tbody></table>"


def _reasons(report: RunReport) -> Iterator[str]:
    if report.reasons:
        rows = "".join(f"<dt>{markup(code, 80)}</dt><dd>{markup(text)}</dd>" for code, text in report.reasons.items())
        yield f"<dl>{rows}</dl>"


def _table_head(kind: str, name: str = "") -> str:
    """Begin one of TABLES. `name`: its id, where a script looks for it."""
    cells = "".join(f'<th scope="col">{markup(n)}</th>' for n in TABLES[kind])
    named = f' id="{name}"' if name else ""
    return f'<table class="{kind}"{named}><thead><tr>{cells}</tr></thead><tbody>'


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _time(at: datetime | None) -> str:
    return f'<time datetime="{at.isoformat()}">{at:%H:%M:%S}</time>' if at else ""
