"""Which servers changed, and which were rebooted, after their schedule was made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.execution.since_review import (
    changed_since_review,
    may_be_older,
    reason_of,
    rebooted_since_review,
)
from runner.model.inventory import Inventory, Server
from tests.execution.setup import schedule_of

START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
SCHEDULE = replace(schedule_of([1]), made_at=START.isoformat())


@pytest.mark.parametrize(
    ("after_s", "is_old", "is_changed"),
    [(1, True, True), (1, False, True), (-1, True, True), (-1, False, False), (-301, True, False)],
)
def test_what_counts_as_changed(after_s: float, is_old: bool, is_changed: bool) -> None:
    """The cloud's clock may be 5 minutes behind; a schedule of this very call is compared
    to the second.
    """
    updated = (START + timedelta(seconds=after_s)).isoformat()
    found = Inventory((Server("s-000", "web-0", updated=updated),), START)
    assert changed_since_review(SCHEDULE, found, (), is_old=is_old) == (
        {"t": ["s-000"]} if is_changed else {}
    )


@pytest.mark.parametrize("updated", [None, "", "yesterday", "2026-11-23T22:00:00"])
def test_a_server_without_a_time_of_its_last_change_is_looked_at(updated: str | None) -> None:
    """A list that does not say when servers changed hides no reboot since a review."""
    found = Inventory((Server("s-000", "web-0", updated=updated),), START)
    assert changed_since_review(SCHEDULE, found, (), is_old=True) == {"t": ["s-000"]}
    assert changed_since_review(SCHEDULE, found, {"s-000"}, is_old=True) == {}
    assert changed_since_review(SCHEDULE, found, (), is_old=False) == {}


@pytest.mark.parametrize(
    ("after_s", "is_found"),
    [(-299, True), (-301, False), (9, True)],
)
def test_which_reboots_are_since_the_review(after_s: float, is_found: bool) -> None:
    """A reboot from 5 minutes before the schedule on, and no
    unreadable history.
    """
    history = (START + timedelta(seconds=after_s),)
    found = rebooted_since_review(SCHEDULE, {"s-000": history, "s-001": None}, {})
    assert found == ({"s-000": history[0]} if is_found else {})
    assert reason_of(SCHEDULE, history[0])[0] == "RebootedSinceReview"


@pytest.mark.parametrize(
    ("asked_s", "reboots_s", "is_found"),
    [
        ((-60,), (-59,), False),
        ((-60,), (90,), False),
        ((-60,), (-59, 60), True),
        ((-60,), (-300, -59), True),
        ((60,), (61,), True),
        ((-700,), (-200,), True),
        ((-200, -60), (-199, -59), False),
    ],
)
def test_what_the_store_asked_for_before_the_review_is_no_reboot_since(
    asked_s: tuple[int, ...], reboots_s: tuple[int, ...], is_found: bool
) -> None:
    """A new cycle may be reviewed right after a run; one reboot more than was asked for is
    somebody else's.
    """
    history = tuple(START + timedelta(seconds=s) for s in reboots_s)
    asked = {"s-000": [START + timedelta(seconds=s) for s in asked_s]}
    assert bool(rebooted_since_review(SCHEDULE, {"s-000": history}, asked)) is is_found
    assert bool(may_be_older(SCHEDULE, {"s-000": history[-1]}))
