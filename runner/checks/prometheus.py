"""Answers of Prometheus' HTTP API, judged for a gate. Pure.

The shapes are those of the page "HTTP API" of the Prometheus documentation ("Format
overview", "Expression query result formats", "Instant queries", "Range queries"): `status`,
`data.resultType`, `data.result`, `warnings`. Only what is understood whole can open: an
empty answer, a sample that is no number, a gap, a warning and every other shape mean that
nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.model.gate import Gate, GateAnswer, GateState
from runner.net.text import tidy

STALE = timedelta(minutes=2)
"""How far the time of a sample, or of the whole answer, may lie from this machine's clock."""
MOST_SERIES = 10_000
_LABELS = 120
_FOREIGN = "the answer is none of Prometheus"
_LAST = 1e11
"""No sample is of a later second; NaN is under no number."""
_INFO = "PromQL info:"
"""Prometheus 2 lists hints about the query among the warnings; version 3 has `infos` for them."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The moments that a range query asks for: `points` of them, `step_s` apart, whole seconds
    since the epoch.

    They are multiples of the step: so servers that move them onto such a grid themselves
    leave them alone.
    """

    first: int
    step_s: int
    points: int

    @property
    def last(self) -> int:
        return self.first + self.step_s * (self.points - 1)

    @classmethod
    def covering(cls, for_s: float, now: datetime) -> Grid:
        """The last `for_s` seconds, and at most one step more. The equation: step = 15 s, or a
        quarter of a shorter time, at least 1 s; 2m -> 9 points, 1d -> 5,761.
        """
        step = max(1, min(15, math.floor(for_s / 4)))
        last = math.floor(now.timestamp() / step) * step
        steps = math.ceil(for_s / step)
        return cls(last - steps * step, step, steps + 1)


@dataclass(frozen=True, slots=True)
class _Series:
    """`name`: its labels as Prometheus writes them, cut (`up{instance="a:1"} `); empty where
    there are none.

    `samples`: time and value; NaN where the value is none.
    """

    name: str
    samples: tuple[tuple[float, float], ...]


class _Unclear(Exception):
    """The answer is not as documented, or says itself that it is not whole."""


def judge(body: Any, gate: Gate, now: datetime, grid: Grid | None) -> GateAnswer:
    """The answer of a query at `now`, or of a range query over a grid."""
    try:
        series = _read(body, grid)
        broken = _broken(gate, series)
        if broken is not None:
            return broken
        _demand_whole(series, now, grid)
    except _Unclear as unclear:
        return cannot_tell(str(unclear))
    return GateAnswer(GateState.OPEN, _values(series), "")


def cannot_tell(why: str) -> GateAnswer:
    return GateAnswer(GateState.CANNOT_TELL, "", why)


def error_words(body: Any) -> str:
    """`errorType: error` of an answer with `status: error`, empty for any other."""
    if not isinstance(body, Mapping) or body.get("status") != "error":
        return ""
    said = (body.get(key) for key in ("errorType", "error"))
    return ": ".join(tidy(text, 200) for text in said if isinstance(text, str))


def _broken(gate: Gate, series: Sequence[_Series]) -> GateAnswer | None:
    """Closed, by a number that is out of bounds: that is certain whatever else is missing.
    The latest is told.
    """
    found = [
        (at, s.name, v)
        for s in series
        for at, v in s.samples
        if math.isfinite(v) and not gate.within(v)
    ]
    if not found:
        return None
    at, name, value = max(found)
    when = f" at {datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC" if gate.for_s else ""
    many = len({n for _, n, _ in found})
    others = f", and {many - 1} other series" if many > 1 else ""
    return GateAnswer(
        GateState.CLOSED,
        f"{value:.12g}",
        f"{name}is {value:.12g}{when}, {gate.bounds} is wanted{others}",
    )


def _demand_whole(series: Sequence[_Series], now: datetime, grid: Grid | None) -> None:
    if not series:
        raise _Unclear("the query gives no sample at all")
    for one in series:
        odd = next((v for _, v in one.samples if not math.isfinite(v)), None)
        if odd is not None:
            raise _Unclear(f"{one.name}is {odd}, which is no number")
        if grid is not None and len(one.samples) != grid.points:
            many = f"{len(one.samples)} of {grid.points} samples"
            raise _Unclear(f"{one.name}has gaps: {many} in the last {grid.last - grid.first} s")
        late = abs(now.timestamp() - one.samples[-1][0])
        if late > STALE.total_seconds():
            raise _Unclear(f"{one.name}is of a time {late:.0f} s away from this machine's clock")


def _values(series: Sequence[_Series]) -> str:
    last = sorted({s.samples[-1][1] for s in series})
    return f"{last[0]:.12g}" if len(last) == 1 else f"{last[0]:.12g} to {last[-1]:.12g}"


def _read(body: Any, grid: Grid | None) -> list[_Series]:
    if not isinstance(body, Mapping) or body.get("status") != "success":
        raise _Unclear(error_words(body) or _FOREIGN)
    warnings = body.get("warnings") or ()
    for warning in warnings if isinstance(warnings, list) else [warnings] if warnings else ():
        if not (isinstance(warning, str) and warning.startswith(_INFO)):
            raise _Unclear(f"it warns that the answer is not whole: {tidy(str(warning), 200)}")
    data = body.get("data")
    kind, result = (
        (data.get("resultType"), data.get("result")) if isinstance(data, Mapping) else (None, None)
    )
    if not isinstance(result, list) or not isinstance(kind, str):
        raise _Unclear(_FOREIGN)
    if kind == "scalar" and grid is None:
        return [_Series("", (_sample(result),))]
    if kind != ("vector" if grid is None else "matrix"):
        raise _Unclear(f"the query gives a {tidy(kind, 20)}, not a number for each series")
    if len(result) > MOST_SERIES:
        raise _Unclear(f"the query gives {len(result):,} series, more than anybody can read")
    return [_series(one, grid) for one in result]


def _series(raw: Any, grid: Grid | None) -> _Series:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("metric"), Mapping):
        raise _Unclear(_FOREIGN)
    labels = {str(k): str(v) for k, v in list(raw["metric"].items())[:20]}
    name = labels.pop("__name__", "")
    inside = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()))
    if name or inside:
        name = tidy(name + (f"{{{inside}}}" if inside else ""), _LABELS) + " "
    if "histogram" in raw or "histograms" in raw:
        raise _Unclear(f"{name}is a histogram, not a number")
    if grid is None:
        return _Series(name, (_sample(raw.get("value")),))
    values = raw.get("values")
    if not isinstance(values, list) or not values:
        raise _Unclear(_FOREIGN)
    samples = tuple(map(_sample, values))
    if [at for at, _ in samples] != sorted({at for at, _ in samples}):
        raise _Unclear(_FOREIGN)
    return _Series(name, tuple(s for s in samples if grid.first <= s[0] <= grid.last))


def _sample(raw: Any) -> tuple[float, float]:
    """`[1435781451.781, "1"]`."""
    match raw:
        case [int() | float() as at, str() as value] if (
            not isinstance(at, bool) and 0 <= at < _LAST
        ):
            if len(value) <= 40 and value.isascii() and "_" not in value:
                try:
                    return float(at), float(value)
                except ValueError:
                    pass
    raise _Unclear(_FOREIGN)
