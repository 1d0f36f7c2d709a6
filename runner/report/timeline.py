"""The pictures of a run: waves along the run's time, and what each server did inside its
wave. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import accumulate

from runner.report.chart import Area, Bar, Chart, Label
from runner.report.run_report import RunReport, ServerPart, WavePart
from runner.report.run_words import count, counts_words, length, shown

MOST_SERVERS = 200
"""With more servers than this a wave is one curve instead of a bar for each."""
MOST_WAVES = 400
"""More waves than this are not drawn one by one."""

_ROW = 14
_CURVE = 44
_POINTS = 80
_WAITS = frozenset(
    {
        "pause.started",
        "bake.started",
        "approval.asked",
        "window.awaited",
        "gates.asked",
        "wave.held",
    }
)
"""Events whose sentences say what a wave waits for."""


def course_chart(report: RunReport) -> Chart:
    """The waves as bars along the time of the whole run: what they took, and what was
    waited for between them.
    """
    begun = sum(w.started is not None for w in report.waves)
    waves = report.waves[: begun + (report.ended is None)][:MOST_WAVES]
    waits = sorted((m.at, m.sentence) for m in report.course if m.event in _WAITS)
    labels, bars = [], []
    before: datetime | None = report.created
    for n, wave in enumerate(waves):
        y = n * _ROW
        labels.append(Label(f"{wave.number} {wave.group}", y + _ROW - 4))
        until = wave.started or report.as_of
        said = "; ".join(text for at, text in waits if before is not None and before <= at <= until)
        if before is not None and said:
            start, end = _since(before, report.created), _since(until, report.created)
            bars.append(
                _bar("pause", start, end, y, f"{length(end - start)}: {said}", height=4, foot=3)
            )
        if wave.started:
            start, end = (
                _since(wave.started, report.created),
                _since(wave.ended or report.as_of, report.created),
            )
            words = (
                f"wave {wave.number}, {wave.group}: {length(end - start)}: "
                f"{counts_words(asdict(wave.counts))}"
            )
            bars.append(_bar(_wave_class(wave), start, end, y, words))
            troubles = [kind for kind in ("failed", "unknown") if getattr(wave.counts, kind)]
            for k, kind in enumerate(troubles):  # however few: a strip along the foot of the bar
                bars.append(_bar(kind, start, end, y, words, height=3, foot=3 * k))
        before = wave.ended
    return Chart(
        f"Waves along the {length(report.duration_s)} of the run",
        report.duration_s,
        _ROW * len(waves),
        labels,
        bars,
    )


def servers_chart(report: RunReport) -> Chart:
    """What the servers did inside their waves, counted from each wave's beginning, all on
    one scale.

    Up to MOST_SERVERS a bar each: waiting, asked, rebooting, proving; above that a curve
    a wave: how many were out.
    """
    by_wave: dict[int, list[ServerPart]] = {}
    for server in report.servers:
        if server.times.intended:
            by_wave.setdefault(server.wave, []).append(server)
    waves = [
        (w, w.started, by_wave[w.number]) for w in report.waves if w.started and w.number in by_wave
    ][:MOST_WAVES]
    spans = [_since(wave.ended or report.as_of, begin) for wave, begin, _ in waves]
    is_folded = sum(map(len, by_wave.values())) > MOST_SERVERS
    labels, bars, areas = [], [], []
    y = 0
    for (wave, begin, servers), span in zip(waves, spans, strict=True):
        if is_folded:
            labels.append(
                Label(f"{wave.number} {wave.group} ({len(servers)})", y + (_CURVE + _ROW) // 2 - 4)
            )
            for kind in (
                "ready",
                "failed",
                "unknown",
            ):  # all that were out, and those that ended badly once more
                some = [s for s in servers if kind in ("ready", s.outcome)]
                if some:
                    words = count(len(some), "server") if kind == "ready" else f"{len(some)} {kind}"
                    words = f"wave {wave.number}, {wave.group}: {words}"
                    areas.append(
                        _area(kind, some, len(servers), begin, span, report.as_of, y, words)
                    )
            y += _CURVE
            continue
        labels.append(Label(f"wave {wave.number} {wave.group}", y + _ROW - 4, "head"))
        for server in servers:
            y += _ROW
            labels.append(Label(server.name or server.id, y + _ROW - 4))
            for start, end, kind, what in _segments(server, begin, report.as_of):
                bars.append(
                    _bar(
                        kind,
                        start,
                        end,
                        y,
                        f"{server.name} ({server.id}): {what} {length(end - start)}",
                    )
                )
        y += _ROW
    title = (
        "Servers that were out, wave by wave"
        if is_folded
        else "Each server from the request to its outcome"
    )
    return Chart(title, max(spans, default=0.0), y, labels, bars, areas)


def _wave_class(wave: WavePart) -> str:
    """The colour of most of the wave: of the outcome that most of its servers have."""
    found = {kind: getattr(wave.counts, kind) for kind in ("ready", "failed", "unknown", "skipped")}
    for kind in ("in_doubt", "in_flight"):
        if getattr(wave.counts, kind):
            return kind
    if wave.ended is None or not any(found.values()):
        return "pending"
    return max(found, key=lambda kind: found[kind])


def _segments(
    server: ServerPart, begin: datetime, as_of: datetime
) -> Iterator[tuple[float, float, str, str]]:
    """Yield (start, end, class, words) of each thing it did, in seconds since its wave began,
    by the run's clock.

    What a request still holds goes on until `as_of`.
    """
    t = server.times
    if t.intended is None:
        return
    is_held = server.outcome in ("in_doubt", "in_flight")
    last = as_of if is_held else t.ended or t.up_since or t.accepted or t.intended
    asked, end = _since(t.intended, begin), _since(last, begin)
    start = _since(t.accepted or (t.intended if is_held else last), begin)
    if start > asked:
        yield asked, start, "asked", "asked for"
    if is_held:
        yield start, end, server.outcome, f"{shown(server.outcome)} for"
    elif t.accepted is None:
        return
    elif server.outcome == "ready":
        rebooted = _since(t.up_since or last, begin)
        if server.reboot_s is not None:
            rebooted = min(start + server.reboot_s, end)
        yield start, rebooted, "ready", "rebooted within"
        if end > rebooted:
            yield rebooted, end, "proving", "seen back and stable after another"
    elif t.lost:
        yield (
            start,
            end,
            server.outcome,
            f"failed ({server.reason}) in the bake of its group; had been ready after",
        )
    else:
        yield start, end, server.outcome, f"{shown(server.outcome)} ({server.reason}) after"


def _area(
    kind: str,
    servers: Sequence[ServerPart],
    of: int,
    begin: datetime,
    span: float,
    as_of: datetime,
    y: int,
    words: str,
) -> Area:
    """How many of `of` servers were rebooting at each moment of a wave that took `span` seconds.

    A server is out from the cloud's acceptance for as long as its part of the job took,
    else until it was seen back or given up.
    """
    outs: list[tuple[float, float]] = []
    for server in servers:
        t = server.times
        if t.accepted:
            start = _since(t.accepted, begin)
            end = _since(t.up_since or t.ended or as_of, begin)
            outs.append((start, end if server.reboot_s is None else start + server.reboot_s))
    base = float(y + _CURVE - 4)
    points = [(0.0, base)]
    for n in range(_POINTS + 1):
        at = span * n / _POINTS
        points.append(
            (at, base - (_CURVE - 8) * sum(start <= at < end for start, end in outs) / of)
        )
    steps = sorted(
        [(start, 1) for start, _ in outs] + [(end, -1) for _, end in outs]
    )  # ends before beginnings
    most = max(accumulate((step for _, step in steps), initial=0))
    return Area(kind, [*points, (span, base)], f"{words}, at most {most} rebooting at once")


def _bar(
    kind: str,
    start_s: float,
    end_s: float,
    y: int,
    words: str,
    height: int = _ROW - 4,
    foot: int = 0,
) -> Bar:
    """A bar `height` high that stands `foot` over the lower edge of its row."""
    return Bar(kind, start_s, end_s, y + _ROW - 2 - height - foot, height, words)


def _since(at: datetime, begin: datetime) -> float:
    return (at - begin).total_seconds()
