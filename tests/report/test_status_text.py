"""`status` as text: the table of runs, and one run fitted to a screen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runner.model.run import SERVER_WORDS, Run
from runner.report.fitting import cells
from runner.report.status_text import Listed, fitted, full, runs_table
from tests.report.cases import plain_run, troubled_run

NONE: dict[str, int] = dict.fromkeys(SERVER_WORDS, 0)
RUNS = [
    Listed(
        "20261201-101010-abcdef", "web", "suspended", "pause until 2026-12-01T22:00:00+00:00",
        NONE | {"ready": 12, "failed": 1, "unknown": 2, "in_flight": 292, "in_doubt": 8, "pending": 585},  # noqa: E501
        datetime(2026, 12, 1, 10, 10, tzinfo=UTC), "resume",
    ),
    Listed(
        "20261130-090000-ghjkmn", "prod-kernel-2026-11", "done", "", NONE | {"ready": 1},
        datetime(2026, 11, 30, 9, 0, tzinfo=UTC), "",
    ),
    Listed("20260101-090000-qrstuv", "old", "stopped", "", None, datetime(2026, 1, 1, 9, 0, tzinfo=UTC), ""),  # noqa: E501
]  # fmt: skip


def test_the_table_of_runs_has_a_heading_and_aligned_columns() -> None:
    """Run, plan, state, what it waits for, its counts, when it began and what to do next;
    one row a run.
    """
    head, *rows = runs_table(RUNS, None)
    assert head.split("  ")[0] == "run"
    for words in (
        "plan",
        "state",
        "waiting for",
        "ready/failed/in flight/in doubt/total",
        "started",
        "next",
    ):
        at = head.index(words)
        assert all(row[at - 1] == " " for row in rows), words
    assert " 12/3/292/8/900  2026-12-01 10:10  resume" in rows[0]
    assert " 1/0/0/0/1  2026-11-30 09:00" in rows[1]
    assert "/" not in rows[2], "its journal was not read"
    assert len({cells(row) for row in (head, *rows)}) == 1


@pytest.mark.parametrize("width", [60, 80, 129, 130, 200])
def test_the_table_fits_the_terminal(width: int) -> None:
    """Narrow terminals get two lines a run, in words; nothing is wider than the terminal."""
    runs = [replace(RUNS[0], plan="p" * 63), *RUNS[1:]]
    lines = list(runs_table(runs, width))
    assert max(map(cells, lines)) <= width
    said = "\n".join(lines)
    assert ("12 ready, 1 failed" in said) == (width < 130)
    assert all(run.id in said and run.state in said for run in runs)


def test_one_run_is_aligned_with_more_than_nine_waves() -> None:
    """The columns of wave 2 and wave 10 begin at one place; one server is `1 server`."""
    lines = [x for x in full(many_waves(), ["head"]) if x.startswith("  wave")]
    assert len({line.index("web") for line in lines}) == 1
    assert len(lines) == 12


def many_waves() -> Run:
    return plain_run([1] * 12).run


def test_a_screen_shows_the_worst_first() -> None:
    """Unknown before failed; what does not fit is counted, and each line takes one row."""
    run = troubled_run("because " * 30).run
    everything = fitted(run, ["head"], 100, 40)
    outcomes = [
        line.split()[0] for line in everything if line.startswith(("  unknown", "  failed"))
    ]
    assert outcomes == sorted(outcomes, reverse=True)
    assert len(outcomes) > 3
    few = fitted(run, ["head"], 60, 7)
    assert len(few) == 7
    assert few[0] == "head"
    assert (
        few[-1] == f"  and {len(outcomes) - sum(line.startswith('  unknown') for line in few)} more"
    )
    assert max(map(cells, few)) <= 60
