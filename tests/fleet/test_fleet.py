"""The fleet in its small form; in full: `python -m tests.fleet`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fleet.fleet import HEADER, Shape, Tally, fleet, most_in_a_minute

SMALL = Shape(
    runs=4, servers=4, workers=2, kills=2, rate=8, minute_s=1.5, margin_s=0.5, pause="0s", kill_every_s=(0.3, 0.8),  # noqa: E501
    patience_s=60.0, most_spread=4.0,
)  # fmt: skip


def test_workers_that_are_killed_end_every_run(tmp_path: Path, postgres_url: str) -> None:
    """Real processes, real SIGKILLs, PostgreSQL: nothing twice, nothing lost, the shared
    rate kept, every run ends.
    """
    tally = fleet(tmp_path, store=postgres_url, name="postgres", shape=SMALL, seed=3)
    assert tally.kills >= SMALL.kills, tally.row()
    assert not tally.findings, f"{tally.findings}\n{HEADER}\n{tally.row()}"
    assert tally.outcomes.total() == SMALL.runs * SMALL.servers


def test_the_judge_sees_what_must_not_be() -> None:
    """Each finding has its number; a minute is any 60 seconds, not one of a grid."""
    tally = Tally(
        "store",
        "postgres",
        SMALL,
        twice=1,
        lost=2,
        lies=3,
        unended=4,
        worst_minute=11,
        ended_s=[2, 2, 9],
    )
    assert len(tally.findings) == 6
    start = datetime(2026, 11, 23, tzinfo=UTC)
    times = [start + timedelta(seconds=s) for s in (0, 59, 60, 61, 118.9)]
    assert most_in_a_minute(times, 60.0) == 4
    assert most_in_a_minute(times[:1], 60.0) == 1
