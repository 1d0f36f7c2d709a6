"""Scenes over several seeds, as one table."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.stops.judge import Trial
from tests.stops.scenes import SCENES

HEADER = (
    "| what goes wrong | servers | waves | largest wave | announced worst case | rebooted "
    "| down at once | failed |"
    " counted | how it ended | observed ≤ announced |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One scene with a trial for each seed."""

    title: str
    trials: Sequence[Trial]

    @property
    def is_fine(self) -> bool:
        return all(t.is_within and not t.broken for t in self.trials)

    def line(self) -> str:
        """A row: what was announced as a range over the seeds, what was observed as the most."""
        shown = [t.shown for t in self.trials]
        cells = [
            self.title,
            _range(s.schedule.servers for s in shown),
            _range(len(s.schedule.waves) for s in shown),
            _range(s.largest for s in shown),
            _range(s.announced for s in shown),
            *(str(max(column)) for column in zip(*map(_observed, self.trials), strict=True)),
            _endings(self.trials),
            self.verdict(),
        ]
        return f"| {' | '.join(cells)} |"

    def verdict(self) -> str:
        """`yes`, or what does not hold."""
        broken = sorted({law for t in self.trials for law in t.broken})
        more = sum(not t.is_within for t in self.trials)
        found = [f"NO, {more} times"] * bool(more) + [f"BROKEN: {law}" for law in broken]
        return "; ".join(found) or "yes"


def row(
    title: str, servers: int, seeds: Iterable[int], tell: Callable[[str], None] = lambda line: None
) -> Row:
    """Run a scene once for each seed."""
    trials = []
    for seed in seeds:
        trials.append(asyncio.run(_one(title, servers, seed)))
        if not trials[-1].is_within or trials[-1].broken:
            tell(f"{title}, seed {seed}: {trials[-1]}"[:2000])
    return Row(title, trials)


async def _one(title: str, servers: int, seed: int) -> Trial:
    return await SCENES[title](servers, seed)


def _observed(trial: Trial) -> tuple[int, int, int, int]:
    return trial.down, trial.at_once, trial.failed, trial.counted


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


def _endings(trials: Sequence[Trial]) -> str:
    count = Counter(t.ending for t in trials)
    return ", ".join(f"{ending} ×{number}" for ending, number in sorted(count.items()))
