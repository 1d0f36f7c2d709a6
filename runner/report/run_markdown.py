"""The report as Markdown, for a pull-request comment or a CI job's summary: the totals first, cut visibly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from runner.model.schedule import ServerRef
from runner.report.folding import fold, names_shared, wrapped
from runner.report.reasons import sentence
from runner.report.run_report import ExcludedPart, RunReport, ServerPart, Spread, WavePart
from runner.report.run_requests import HELD, held_by, request_words
from runner.report.run_words import STORE_BEGUN, count, counts_words, length, shown
from runner.report.safe import markdown as _md

COMMENT_LIMIT = 60_000
"""A comment holds 65,536 characters; what posts it adds a few of its own."""
SUMMARY_LIMIT = 900_000
"""A job's step summary holds 1 MiB; over that its upload fails whole."""
LEAST_LIMIT = 20_000
"""What always fits: the heading, the totals and what to do next, with the longest texts they can hold."""

_ROOM = 300
"""Kept free of each block for its closing and for saying what was cut."""
_TROUBLES = (("unknown", "it is not known whether they restarted"), ("failed", ""), ("skipped", ""))


class Block(NamedTuple):
    """A part that can be cut between two of its lines. `share`: the most of the room left that it may take."""

    opening: str
    lines: Iterable[str]
    closing: str = "\n"
    share: float = 1.0


def report_markdown(report: RunReport, limit: int = COMMENT_LIMIT) -> str:
    """The report in at most `limit` bytes of UTF-8 (and so of characters).

    Heading, totals and next steps are never cut. Then waves, servers by outcome, decisions, exclusions, the course and
    the list of all servers fill what is left, in this order, each with a sentence where it is cut.
    Raises ValueError for a limit under LEAST_LIMIT.
    """
    if limit < LEAST_LIMIT:
        raise ValueError(f"the limit must be {LEAST_LIMIT} or more")
    out = [_head(report)]
    room = limit - _size(out[0])
    for block in _blocks(report):
        text = _cut(block, int(room * block.share), report.run)
        room -= _size(text)
        out.append(text)
    return "".join(out)


def _size(text: str) -> int:
    return len(text.encode())


def _cut(block: Block, room: int, run: str) -> str:
    """The block with as many of its first lines as fit into `room` bytes, and a sentence when those are not all."""
    room -= _ROOM + _size(block.opening) + _size(block.closing)
    fitting: list[str] = []
    left = 0
    for line in block.lines:
        room -= _size(line)
        if left or room < 0:
            left += 1
        else:
            fitting.append(line)
    if not left:
        return block.opening + "".join(fitting) + block.closing if fitting else ""
    more = f"_{count(left, 'more line')} cut here for lack of space; all is in <code>report {run} -o json</code>._\n\n"
    if fitting:
        return block.opening + "".join(fitting) + block.closing + more
    return more if room + _ROOM > _size(more) else ""


# --- what is never cut -------------------------------------------------------------------------------------------


def _head(report: RunReport) -> str:
    lines = [
        f"### Run {_md(report.run)} of plan {_md(report.plan.name, 63)}",
        f"**{_md(report.summary, 300)}**",
        *_stop(report),
        *([STORE_BEGUN] if report.store_begun else []),
        *(step_line(step.what, step.command) for step in report.next),
        _about(report),
    ]
    return "\n\n".join(lines) + "\n\n"


def _stop(report: RunReport) -> Iterator[str]:
    if report.stop:
        detail = f": {_md(report.stop.detail)}" if report.stop.detail else ""
        explained = f" – {_md(text)}" if (text := sentence(report.stop.reason)) else ""
        yield f"Stopped at {_time(report.stop.at)}: **{_md(report.stop.reason, 80)}**{detail}{explained}"


def step_line(what: str, command: str) -> str:
    """Return one next step: what to do, and the command that does it."""
    typed = f"<br><code>{_md(command, 400)}</code>" if command else ""
    return f"➡ {_md(what, 400)}{typed}"


def _about(report: RunReport) -> str:
    targets = ", ".join(_md(t.name, 63) for t in report.targets[:5]) + (" …" if len(report.targets) > 5 else "")
    said = {
        "plan file": _md(report.plan.file),
        "cycle": _md(report.cycle, 63),
        "target": targets,
        "reboot": report.reboot_type,
        "begun by": _md(report.actor),
        "commit": _md(report.commit, 80),
        "CI": _md(report.ci_run, 300),
        "begun": f"{report.created:%Y-%m-%d} {_time(report.created)}",
        "clock": _md(report.clock, 80),
        "version": _md(report.tool_version, 40),
        "time of a reboot": _spread(report.reboot),
        "time until back": _spread(report.out),
    }
    words = " · ".join(f"{name} {text}" for name, text in said.items() if text)
    return f"{words}<br>schedule <code>{_md(report.schedule_digest, 80)}</code>"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{length(spread.p50_s)} (p50), {length(spread.p90_s)} (p90), {length(spread.max_s)} (longest)"


# --- what is cut where space ends --------------------------------------------------------------------------------


def _blocks(report: RunReport) -> Iterator[Block]:
    heads = "| wave | group | servers | began | took | outcome | requests |\n|---:|---|---:|---|---:|---|---:|\n"
    yield Block(heads, (_wave(w) for w in report.waves), share=0.4)
    for word, meaning in HELD:
        yield _held(report, word, meaning)
    for outcome, more in _TROUBLES:
        yield _outcome(report, outcome, more)
    yield _not_started(report)
    yield _not_scheduled(report)
    yield _gates(report)
    yield Block("**Decisions**\n\n", [f"- {line}\n" for line in _decisions(report)])
    yield _doubtful_batches(report)
    yield _excluded(report)
    lines = (f"- {_time(m.at)} {_md(m.sentence, 500)}\n" for m in report.course)
    yield _details("the run's course", lines, share=0.5)
    table = "| server | id | wave | outcome | reason | back after | job |\n|---|---|---:|---|---|---:|---|\n"
    rows = (_server_row(s) for s in report.servers)
    yield _details(f"all {count(len(report.servers), 'server')}", rows, opening=table)


def _wave(wave: WavePart) -> str:
    canary = " (canary)" if wave.is_canary else ""
    cells = [
        str(wave.number),
        _md(wave.group, 63) + canary,
        str(wave.counts.scheduled),
        _time(wave.started) if wave.started else "",
        length(wave.duration_s) if wave.duration_s is not None else "",
        counts_words(asdict(wave.counts)),
        str(len(wave.batches)),
    ]
    return _row(cells)


def _held(report: RunReport, word: str, meaning: str) -> Block:
    """The servers that a request holds, request by request."""
    held = [(_md(request_words(batch), 400), refs) for batch, refs in held_by(report, word)]
    lines = (line for head, refs in held for line in _folded(head, refs, report))
    number = sum(len(refs) for _, refs in held)
    return Block(f"**{count(number, 'server')} {shown(word)}**: {meaning}\n\n", lines)


def _outcome(report: RunReport, outcome: str, more: str) -> Block:
    found = [s for s in report.servers if s.outcome == outcome]
    title = f"**{count(len(found), 'server')} {outcome}**" + (f": {more}" if more else "")
    reasons = "".join(f"- {_reason(r)}\n" for r in sorted({s.reason for s in found})[:20])
    heads = "| server | id | wave | reason | what was seen | job | request |\n|---|---|---:|---|---|---|---|\n"
    return Block(f"{title}\n\n{reasons}\n{heads}", (_trouble_row(s) for s in found))


def _trouble_row(server: ServerPart) -> str:
    before = f"; before the run: {server.unhealthy_before}" if server.unhealthy_before else ""
    cells = [
        *(_md(server.name, 255), _md(server.id, 80), str(server.wave), _md(server.reason, 80)),
        *(_md(server.detail + before, 600), _md(server.job_id or "", 80), _md(server.request_id or "", 80)),
    ]
    return _row(cells)


def _reason(reason: str) -> str:
    """A code and what it means."""
    text = sentence(reason)
    return f"**{_md(reason, 80)}**" + (f": {_md(text)}" if text else "")


def _not_started(report: RunReport) -> Block:
    found = [s for s in report.servers if s.outcome == "not_started"]
    return Block(f"**{count(len(found), 'server')} not started**\n\n", _by_reason(found, report))


def _not_scheduled(report: RunReport) -> Block:
    found = report.not_scheduled
    title = f"**{count(len(found), 'server')} not scheduled**: the plan means them, and they could not be rebooted"
    return Block(f"{title}\n\n", _by_reason(found, report))


def _by_reason(found: Iterable[ServerPart | ExcludedPart], report: RunReport) -> Iterator[str]:
    by_reason: dict[str, list[ServerRef]] = {}
    for server in found:
        by_reason.setdefault(server.reason, []).append(ServerRef(server.id, server.name, server.zone))
    for reason, refs in sorted(by_reason.items()):
        yield from _folded(_reason(reason), refs, report)


def _gates(report: RunReport) -> Block:
    """What gates answered: the first answers before each wave, and changes."""
    heads = "| wave | at | gate | answer | value | reason |\n|---:|---|---|---|---|---|\n"
    shut = sum(g.state != "open" and not g.dry_run for g in report.gates)
    rows = (
        _row(
            [
                *(str(g.wave), _time(g.at), _md(g.gate, 100) + (" (dry run)" if g.dry_run else "")),
                *(g.state.replace("_", " "), _md(g.value, 60), _md(g.reason, 300)),
            ]
        )
        for g in report.gates
    )
    not_open = f", {shut} not open" if shut else ""
    return _details(f"{count(len(report.gates), 'answer')} of gates{not_open}", rows, opening=heads, share=0.4)


def _decisions(report: RunReport) -> Iterator[str]:
    for d in report.decisions:
        why = f": {_md(d.reason, 500)}" if d.reason else ""
        yield f"{_time(d.at)} **{d.kind}** {_md(d.about)} by {_md(d.by) or 'somebody'}{why}"
    for a in report.approvals:
        if a.given is None:
            yield f"{_time(a.asked)} asked, not answered: {_md(a.why, 500)}"


def _doubtful_batches(report: RunReport) -> Block:
    """Requests that did not simply lead to a job."""
    batches = [b for w in report.waves for b in w.batches if b.state != "accepted"]
    heads = (
        "| request | state | servers | at | code | answer | request id | job |\n|---:|---|---:|---|---|---|---|---|\n"
    )
    rows = (
        _row(
            [
                *(str(b.number), b.state.value.replace("_", " "), str(len(b.servers)), _time(b.intended)),
                *(_md(b.code or "", 80), _md(b.reason, 300), _md(b.request_id or "", 80), _md(b.job_id or "", 80)),
            ]
        )
        for b in batches
    )
    return _details(f"{count(len(batches), 'request')} not simply accepted", rows, opening=heads)


def _excluded(report: RunReport) -> Block:
    counted = {e.id for e in report.not_scheduled}
    rest = [e for e in report.excluded if e.id not in counted]
    number = len({e.id for e in rest})
    return _details(f"{count(number, 'server')} excluded from the schedule", _by_reason(rest, report))


def _folded(head: str, refs: list[ServerRef], report: RunReport) -> Iterator[str]:
    """Names without one lost, several lines where they are many."""
    names = names_shared([*report.servers, *report.excluded])
    for line in wrapped(fold(refs, names), 200):
        yield f"- {head} – {_md(line, 10_000)}\n"


def _server_row(server: ServerPart) -> str:
    back = length(server.out_s) if server.out_s is not None else ""
    words = [shown(server.outcome), _md(server.reason, 80), back, _md(server.job_id or "", 80)]
    return _row([_md(server.name, 255), _md(server.id, 80), str(server.wave), *words])


def _details(title: str, lines: Iterable[str], opening: str = "", share: float = 1.0) -> Block:
    return Block(f"<details><summary>{title}</summary>\n\n{opening}", lines, "\n</details>\n\n", share)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _time(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
