"""Fleets that change while they are listed: no server is lost between two pages, none
is met twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from runner.execution.effects import Tuning
from runner.model.events import Outcome
from tests.runs.harness import options_of, plan_of, simulated

WEB = plan_of("100%", servers="{tags: {role: web}}", max_failures="100%")
SHIFT: Mapping[str, Any] = {
    "do": "delete_servers",
    "on": "list",
    "after": 1,
    "servers": {"names": ["web-003", "db-002"]},
}
GROW: Mapping[str, Any] = {"do": "create_servers", "on": "list", "after": 1, "count": 3}


@pytest.mark.parametrize("speaks", ["huaweicloud", "otc"])
@pytest.mark.parametrize("fault", [SHIFT, GROW], ids=["two deleted", "three created"])
def test_the_list_shifts_between_the_pages_of_the_look_before_a_wave(
    fault: Mapping[str, Any], speaks: str
) -> None:
    """Servers of the first page go (or new ones come) before the second is read: only those
    gone are skipped.
    """

    async def scene() -> None:
        async with simulated(
            options_of(1012, switches={"cloud": speaks}), tuning=Tuning(poll_every_s=60)
        ) as field:
            run_id = await field.begin(WEB)
            field.add_rules(fault)
            run = await field.follow(run_id)
            skipped = {
                s.ref.name: s.reason for s in run.servers.values() if s.outcome is Outcome.SKIPPED
            }
            assert skipped == ({"web-003": "Missing"} if fault is SHIFT else {})
            counts = field.state.reboot_counts()
            assert set(counts.values()) == {1}
            assert len(counts) == run.counts()["ready"] == len(run.servers) - len(skipped)

    asyncio.run(scene())


def test_the_list_shifts_while_the_schedule_is_made() -> None:
    """A server that moves from the second page to the first while both are read is
    planned, once.
    """

    async def scene() -> None:
        async with simulated(options_of(1012, SHIFT)) as field:
            schedule, inventory = await field.plan(plan_of("100%"))
            assert len(inventory.servers) in (
                1010,
                1011,
            )  # the one of page one that went in between may still be seen
            left = {s.id for s in field.state.fleet.servers} - set(field.ids("web-003", "db-002"))
            assert left <= {s.id for s in inventory.servers}
            planned = [s.id for w in schedule.waves for s in w.servers]
            assert len(planned) == len(set(planned))

    asyncio.run(scene())
