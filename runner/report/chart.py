"""Pictures as data: seconds from left to right, pixels from top to bottom. Pure.

The page draws each for wide and narrow windows, with presentation attributes and classes
only, because its policy allows no inline styles. Bars have words for pointers and screen
readers; the tables beside the pictures say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from runner.report.fitting import middle
from runner.report.safe import plain

_STEPS_S = (
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
    172800,
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `kind` is its class."""

    kind: str
    start_s: float
    end_s: float
    top: int
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class Label:
    """Words at the left; `y` is their base line."""

    text: str
    y: int
    kind: str = "label"


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon of (seconds, y)."""

    kind: str
    points: Sequence[tuple[float, float]]
    words: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A chart for one width of page: a picture that is only made smaller cannot be read on a
    telephone.

    `left`: the room for labels, `letters`: their characters.
    """

    name: str
    width: int
    left: int
    letters: int
    span_s: float

    def x(self, seconds: float) -> float:
        """Return the horizontal place of a moment."""
        share = min(1.0, max(0.0, seconds / self.span_s)) if self.span_s > 0 else 0.0
        return round(self.left + share * (self.width - self.left - 20), 1)

    def extent(self, bar: Bar) -> float:
        """Return the width of a bar; one that would be invisible is drawn a little wider."""
        return max(1.0, round(self.x(bar.end_s) - self.x(bar.start_s), 1))

    def label(self, text: str) -> str:
        return middle(plain(text, 300), self.letters)

    def points(self, area: Area) -> str:
        return " ".join(f"{self.x(seconds)},{y:.1f}" for seconds, y in area.points)

    def marks(self) -> Iterator[tuple[float, timedelta]]:
        """Yield round times: the place of each, and how long it is since the beginning."""
        most = self.width // 140
        step = next((s for s in _STEPS_S if self.span_s <= most * s), self.span_s / most)
        for n in range(int(self.span_s // step) + 1 if step else 1):
            yield self.x(n * step), timedelta(seconds=n * step)


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of `height` pixels and an axis below."""

    title: str
    span_s: float
    height: int
    labels: Sequence[Label]
    bars: Sequence[Bar] = ()
    areas: Sequence[Area] = ()

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return Layout("wide", 1000, 190, 28, self.span_s), Layout(
            "narrow", 340, 96, 15, self.span_s
        )
