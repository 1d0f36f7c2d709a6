"""Runs stop early, and never later than their dry-runs said: each scenario once, in a
small fleet.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stops.judge import Trial
from tests.stops.scenes import SCENES
from tests.stops.table import HEADER, Row, row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stopping.md"
SERVERS = 100


@pytest.mark.parametrize("title", SCENES)
def test_no_more_fail_than_was_announced(title: str) -> None:
    """Whatever goes wrong, what the cloud's log tells is within the dry-run's worst case,
    and the stop is a stop.
    """
    try:
        made = row(title, SERVERS, [1])
    except OSError as error:
        pytest.skip(f"this machine has one loopback address only: {error}")
    assert made.is_fine, made.trials
    assert made.line().endswith("| yes |")


@pytest.mark.parametrize(
    "title", ["the budget is used up, then all fail", "a bake loses its whole group"]
)
def test_the_worst_case_is_met(title: str) -> None:
    """The announced number is no mere bound: runs reach it."""
    trial = asyncio.run(_trial(title))
    assert trial.failed == trial.counted == trial.shown.announced


def test_a_bake_is_announced_besides() -> None:
    """What a bake finds may be more than the waves can show: the first line of the dry-run
    says both numbers.
    """
    trial = asyncio.run(_trial("a bake loses its whole group"))
    assert trial.failed > trial.shown.schedule.worst_case.failures_before_stop
    assert (
        "worst case 7 failures before it stops, 50 if only a bake shows them;"
        in trial.shown.first_line
    )


def test_failed_servers_stay_down_while_the_next_wave_is() -> None:
    """More than the largest wave can be down at a time, and never more than the worst case."""
    trial = asyncio.run(_trial("the budget is used up, then all fail", seed=1))
    assert trial.shown.largest < trial.at_once <= trial.shown.announced


def test_a_run_beyond_its_dry_run_is_found() -> None:
    """The verdict is no formality: with a smaller announcement, or a law that does not
    hold, it says no.
    """
    trial = asyncio.run(_trial("a bad image: all fail after the canary"))
    less = replace(trial, shown=replace(trial.shown, announced=trial.failed - 1))
    assert "| NO, 1 times |" in Row("x", [trial, less]).line()
    assert not Row("x", [trial, less]).is_fine
    late = replace(trial, broken=("a reboot was asked for after the stop",))
    assert "BROKEN: a reboot was asked for after the stop" in Row("x", [late]).line()
    assert not Row("x", [late]).is_fine


def test_the_page_shows_every_scenario() -> None:
    """docs/stopping.md holds the table of `python -m tests.stops`: all scenarios, each
    within what was announced.
    """
    text = PAGE.read_text(encoding="utf-8")
    assert HEADER in text
    rows = re.findall(r"^\| (.*?) \| \d.*\| (\w+) \|$", text, re.MULTILINE)
    assert rows == [(title, "yes") for title in SCENES]


async def _trial(title: str, seed: int = 1) -> Trial:
    return await SCENES[title](SERVERS, seed)
