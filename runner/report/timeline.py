"""The picture of a run as SVG: waves along the run's time, and what each server did inside its wave. Pure.

Only presentation attributes and classes are used: a page with a strict content policy shows it without inline styles.
Each bar carries a `<title>` for a pointer and for screen readers; the tables beside it say the same in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import accumulate

from runner.report.fitting import middle
from runner.report.run_report import RunReport, ServerPart, WavePart
from runner.report.run_words import count, counts_words, length, shown
from runner.report.safe import markup, plain

MOST_SERVERS = 200
"""With more servers than this a wave is one curve instead of a bar for each."""
MOST_WAVES = 400
"""More waves than this are not drawn one by one."""

_ROW = 14
_CURVE = 44
_POINTS = 80


_WAITS = frozenset({"pause.started", "bake.started", "approval.asked", "window.awaited", "gates.asked", "wave.held"})
"""Events whose sentences say what a wave waits for."""
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A picture for one width of page: which class shows it, its width, the room for labels and their characters."""

    name: str
    width: int
    left: int
    letters: int


_LAYOUTS = (_Layout("wide", 1000, 190, 28), _Layout("narrow", 340, 96, 15))
"""A picture that is only made smaller cannot be read on a telephone."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Seconds -> horizontal place."""

    span_s: float
    layout: _Layout

    def x(self, seconds: float) -> float:
        share = min(1.0, max(0.0, seconds / self.span_s)) if self.span_s > 0 else 0.0
        return self.layout.left + share * (self.layout.width - self.layout.left - 20)

    def width(self, start_s: float, end_s: float) -> float:
        """Of a bar; one that would be invisible is drawn a little wider."""
        return max(1.0, self.x(end_s) - self.x(start_s))


def course_svg(report: RunReport) -> str:
    """The waves as bars along the time of the whole run: what they took, and what was waited for between them."""
    return "".join(_course(report, layout) for layout in _LAYOUTS)


def _course(report: RunReport, layout: _Layout) -> str:
    begun = sum(w.started is not None for w in report.waves)
    waves = report.waves[: begun + (report.ended is None)][:MOST_WAVES]
    scale = _Scale(report.duration_s, layout)
    waits = sorted((m.at, m.sentence) for m in report.course if m.event in _WAITS)
    rows = []
    for n, wave in enumerate(waves):
        before = report.waves[n - 1].ended if n else report.created
        rows.append(_label(scale, f"{wave.number} {wave.group}", n * _ROW))
        rows += _wait_bar(report, wave, before, waits, scale, n * _ROW)
        rows += _wave_bar(report, wave, scale, n * _ROW) if wave.started else ()
    height = len(waves) * _ROW
    title = f"Waves along the {length(report.duration_s)} of the run"
    return _svg(layout, title, [*rows, *_axis(scale, height)], height)


def servers_svg(report: RunReport) -> str:
    """What the servers did inside their waves, counted from each wave's beginning, all on one scale.

    Up to MOST_SERVERS a bar each: waiting, asked, rebooting, proving; above that a curve a wave: how many were out.
    """
    return "".join(_servers(report, layout) for layout in _LAYOUTS)


def _servers(report: RunReport, layout: _Layout) -> str:
    by_wave: dict[int, list[ServerPart]] = {}
    for server in report.servers:
        if server.times.intended:
            by_wave.setdefault(server.wave, []).append(server)
    waves = [w for w in report.waves if w.started and w.number in by_wave][:MOST_WAVES]
    scale = _Scale(max((_wave_span(report, w) for w in waves), default=0.0), layout)
    is_folded = sum(map(len, by_wave.values())) > MOST_SERVERS
    parts: list[str] = []
    y = 0
    for wave in waves:
        servers = by_wave[wave.number]
        if is_folded:
            parts.append(_curve(report, wave, servers, scale, y))
        else:
            parts.extend(_bars(wave, servers, scale, y, report.as_of))
        y += _CURVE if is_folded else (len(servers) + 1) * _ROW
    title = "Servers that were out, wave by wave" if is_folded else "Each server from the request to its outcome"
    return _svg(layout, title, [*parts, *_axis(scale, y)], y)


def _wait_bar(
    report: RunReport,
    wave: WavePart,
    before: datetime | None,
    waits: Sequence[tuple[datetime, str]],
    scale: _Scale,
    y: int,
) -> Iterator[str]:
    """What a wave waited for since the one before it: a pause, a bake, an approval, a window, a gate."""
    until = wave.started or report.as_of
    said = "; ".join(text for at, text in waits if before is not None and before <= at <= until)
    if before is not None and said:
        start, end = _since(before, report.created), _since(until, report.created)
        yield _bar(scale, start, end, y, "pause", f"{length(end - start)}: {said}", height=4, foot=3)


def _wave_bar(report: RunReport, wave: WavePart, scale: _Scale, y: int) -> Iterator[str]:
    assert wave.started is not None  # noqa: S101 - only waves that began are drawn
    start = _since(wave.started, report.created)
    end = _since(wave.ended or report.as_of, report.created)
    words = f"wave {wave.number}, {wave.group}: {length(end - start)}: {counts_words(asdict(wave.counts))}"
    yield _bar(scale, start, end, y, _wave_class(wave), words)
    troubles = [kind for kind in ("failed", "unknown") if getattr(wave.counts, kind)]
    for n, kind in enumerate(troubles):  # however few: a strip along the foot of the bar
        yield _bar(scale, start, end, y, kind, words, height=3, foot=3 * n)


def _wave_class(wave: WavePart) -> str:
    """The colour of most of the wave: of the outcome that most of its servers have."""
    found = {kind: getattr(wave.counts, kind) for kind in ("ready", "failed", "unknown", "skipped")}
    held = [kind for kind in ("in_doubt", "in_flight") if getattr(wave.counts, kind)]
    if held:
        return held[0]
    if wave.ended is None or not any(found.values()):
        return "pending"
    return max(found, key=lambda kind: found[kind])


def _bars(wave: WavePart, servers: Sequence[ServerPart], scale: _Scale, y: int, as_of: datetime) -> Iterator[str]:
    """A heading, then a row for each server."""
    assert wave.started is not None  # noqa: S101 - only waves that began are drawn
    yield _label(scale, f"wave {wave.number} {wave.group}", y, "head")
    for n, server in enumerate(servers, 1):
        row = y + n * _ROW
        yield _label(scale, server.name or server.id, row)
        for start, end, kind, what in _segments(server, wave, as_of):
            yield _bar(scale, start, end, row, kind, f"{server.name} ({server.id}): {what} {length(end - start)}")


def _segments(server: ServerPart, wave: WavePart, as_of: datetime) -> Iterator[tuple[float, float, str, str]]:
    """Yield (start, end, class, words) of each thing it did, in seconds since its wave began, by the run's clock.

    What a request still holds goes on until `as_of`.
    """
    begin = wave.started
    t = server.times
    if begin is None or t.intended is None:
        return
    if server.outcome in ("in_doubt", "in_flight"):
        begun = t.accepted or t.intended
        if begun > t.intended:
            yield _since(t.intended, begin), _since(begun, begin), "asked", "asked for"
        yield _since(begun, begin), _since(as_of, begin), server.outcome, f"{shown(server.outcome)} for"
        return
    last = t.ended or t.up_since or t.accepted or t.intended
    answered = t.accepted or last
    if answered > t.intended:
        yield _since(t.intended, begin), _since(answered, begin), "asked", "asked for"
    if t.accepted is None:
        return
    back = t.up_since or last
    if server.outcome == "ready":
        start, until = _since(t.accepted, begin), _since(last, begin)
        rebooted = min(start + server.reboot_s, until) if server.reboot_s is not None else _since(back, begin)
        yield start, rebooted, "ready", "rebooted within"
        if until > rebooted:
            yield rebooted, until, "proving", "seen back and stable after another"
    else:
        word = f"{shown(server.outcome)} ({server.reason}) after"
        word = f"failed ({server.reason}) in the bake of its group; had been ready after" if t.lost else word
        yield _since(t.accepted, begin), _since(last, begin), server.outcome, word


def _curve(report: RunReport, wave: WavePart, servers: Sequence[ServerPart], scale: _Scale, y: int) -> str:
    """How many servers of a wave were rebooting at each moment; those that ended badly once more, in their colour."""
    label = _label(scale, f"{wave.number} {wave.group} ({len(servers)})", y + _CURVE // 2 - _ROW // 2)
    areas = [_area(report, wave, servers, "ready", len(servers), scale, y)]
    for kind in ("failed", "unknown"):
        some = [s for s in servers if s.outcome == kind]
        if some:
            areas.append(_area(report, wave, some, kind, len(servers), scale, y))
    return label + "".join(areas)


def _area(
    report: RunReport, wave: WavePart, servers: Sequence[ServerPart], kind: str, of: int, scale: _Scale, y: int
) -> str:
    begin = wave.started or report.created
    spans = [_down(report, server, begin) for server in servers if server.times.accepted]
    span, height, base = _wave_span(report, wave), _CURVE - 8, y + _CURVE - 4
    points = [f"{_n(scale.x(0))},{base}"]
    for n in range(_POINTS + 1):
        at = span * n / _POINTS
        down = sum(start <= at < end for start, end in spans)
        points.append(f"{_n(scale.x(at))},{_n(base - height * down / of)}")
    points.append(f"{_n(scale.x(span))},{base}")
    which = count(len(servers), "server") if kind == "ready" else f"{len(servers)} {kind}"
    words = f"wave {wave.number}, {wave.group}: {which}, at most {_most(spans)} rebooting at once"
    return f'<polygon class="{kind}" points="{" ".join(points)}">{_title(scale.layout, words)}</polygon>'


def _down(report: RunReport, server: ServerPart, begin: datetime) -> tuple[float, float]:
    """From the cloud's acceptance for as long as its part of the job took, else until it was seen back or given up."""
    start = _since(server.times.accepted or begin, begin)
    until = _since(server.times.up_since or server.times.ended or report.as_of, begin)
    return start, start + server.reboot_s if server.reboot_s is not None else until


def _most(spans: Sequence[tuple[float, float]]) -> int:
    """The most that were down together: ends before beginnings at the same instant."""
    steps = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    return max(accumulate((step for _, step in steps), initial=0))


def _wave_span(report: RunReport, wave: WavePart) -> float:
    return _since(wave.ended or report.as_of, wave.started or report.created)


def _axis(scale: _Scale, height: int) -> Iterator[str]:
    """Marks at round times."""
    marks = scale.layout.width // 140
    step = next((s for s in _STEPS_S if scale.span_s <= marks * s), scale.span_s / marks)
    for n in range(int(scale.span_s // step) + 1 if step else 1):
        x = _n(scale.x(n * step))
        yield f'<line class="axis" x1="{x}" y1="0" x2="{x}" y2="{height + 3}"/>'
        yield f'<text class="axis" x="{x}" y="{height + 15}" text-anchor="middle">{markup(length(n * step))}</text>'


def _svg(layout: _Layout, title: str, parts: Sequence[str], height: int) -> str:
    size = f'viewBox="0 0 {layout.width} {height + 20}" width="{layout.width}" height="{height + 20}"'
    label = f'role="img" aria-label="{markup(title)}"'
    return f'<svg class="{layout.name}" {size} {label}>{_title(layout, title)}{"".join(parts)}</svg>'


def _bar(
    scale: _Scale, start_s: float, end_s: float, y: int, kind: str, words: str, height: int = _ROW - 4, foot: int = 0
) -> str:
    """A bar `height` high that stands `foot` over the lower edge of its row."""
    top = y + _ROW - 2 - height - foot
    place = f'x="{_n(scale.x(start_s))}" y="{top}" width="{_n(scale.width(start_s, end_s))}" height="{height}"'
    return f'<rect class="{kind}" {place}>{_title(scale.layout, words)}</rect>'


def _label(scale: _Scale, text: str, y: int, kind: str = "label") -> str:
    words = middle(plain(text, 300), scale.layout.letters)
    return f'<text class="{kind}" x="4" y="{y + _ROW - 4}">{markup(words, 60)}</text>'


def _title(layout: _Layout, text: str) -> str:
    """Words for a pointer: only where there is one."""
    return f"<title>{markup(text, 700)}</title>" if layout.name == "wide" else ""


def _since(at: datetime, begin: datetime) -> float:
    return (at - begin).total_seconds()


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
