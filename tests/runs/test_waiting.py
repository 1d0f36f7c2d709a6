"""What servers of a wave wait for: room, people, other runs. They are looked at again
before they are asked for.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from runner.execution.effects import Tuning
from runner.ports.store import Halt
from tests.runs.harness import options_of, plan_of, simulated

HALF = Tuning(poll_every_s=30, servers_per_request=3, servers_per_minute=3)


def test_a_wave_that_was_left_for_two_days_is_looked_at_again() -> None:
    """Half of a wave was sent, then nobody was at it for two days: the other half is judged
    as it is now.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=HALF) as field:
            run_id = await field.begin(plan_of("6", max_failures="100%"))
            await field.follow(run_id, until=lambda r: 1 in r.batches)
            field.add_rules(
                {"do": "locked", "servers": {"names": ["web-001"]}, "at": "10h"},
                {"do": "rebooted_by_somebody", "servers": {"names": ["web-002"]}, "at": "20h"},
            )
            field.clock.jump(days=2)
            run = await field.follow(run_id)
            found = {s.ref.name: f"{s.outcome} {s.reason}" for s in run.servers.values()}
            assert found.pop("web-001") == "skipped Locked"
            assert found.pop("web-002") == "skipped RebootedByOther"
            assert found.pop("web-003") == "ready Rebooted"
            assert set(found.values()) == {"ready RebootSeen"}
            assert set(field.state.reboot_counts().values()) == {1}
            assert len(field.calls("reboot")) == 2

    asyncio.run(scene())


def test_a_short_wait_costs_no_second_look() -> None:
    """The rest of a wave that waits a minute for room is sent without another reading."""

    async def scene() -> None:
        async with simulated(options_of(6), tuning=HALF) as field:
            run_id = await field.begin(plan_of("6"))
            lists = len(field.calls("list"))
            run = await field.follow(run_id, until=lambda r: 2 in r.batches)
            assert run.counts()["ready"] <= 3
            before_second = [c.call for c in field.calls()][
                : [c.call for c in field.calls()].index("reboot") + 1
            ]
            assert before_second.count("list") == lists + 1
            assert len([e for e in field.store.events(run_id) if e.type == "wave.checked"]) == 1

    asyncio.run(scene())


def test_a_halt_in_the_middle_of_a_wave_is_followed_by_another_look() -> None:
    """Unhalted an hour later, a server that was deleted meanwhile is skipped, not asked for."""

    async def scene() -> None:
        async with simulated(options_of(6), tuning=HALF) as field:
            run_id = await field.begin(plan_of("6"))
            await field.follow(run_id, until=lambda r: 1 in r.batches)
            field.store.set_halt(Halt("incident", "ann", field.clock.now()))
            await field.follow(run_id, until="halted")
            field.clock.jump(hours=1)
            field.add_rules({"do": "missing", "servers": {"names": ["web-003"]}})
            field.store.set_halt(None)
            run = await field.follow(run_id)
            assert {
                s.ref.name: s.reason for s in run.servers.values() if s.reason != "Rebooted"
            } == {"web-003": "Missing"}
            assert set(field.state.reboot_counts().values()) == {1}

    asyncio.run(scene())


@pytest.mark.parametrize("is_same_cycle", [True, False])
def test_servers_that_another_run_holds_are_waited_for(is_same_cycle: bool) -> None:
    """When the other run lets them go they are looked at and asked for; in the same cycle
    they are skipped for it.
    """

    async def scene() -> None:
        async with simulated(options_of(6), tuning=Tuning(poll_every_s=30)) as field:
            first = await field.begin(plan_of("6", name="first") + "cycle: one\n")
            await field.follow(
                first, until="come back"
            )  # and its process dies; the servers come back
            field.clock.jump(minutes=5)
            second = await field.begin(
                plan_of("6", name="second") + f"cycle: {'one' if is_same_cycle else 'two'}\n"
            )
            run = await field.follow(second, until="in flight in run")
            assert not run.batches
            field.clock.jump(minutes=4)
            await field.follow(first)
            run = await field.follow(second)
            assert run.ended
            assert run.ended - run.created <= timedelta(minutes=8)
            counts = set(field.state.reboot_counts().values())
            if is_same_cycle:
                assert {s.reason for s in run.servers.values()} == {"RebootedInCycle"}
                assert counts == {1}
            else:
                assert {s.reason for s in run.servers.values()} == {"Rebooted"}
                assert counts == {2}

    asyncio.run(scene())


def test_servers_that_another_run_never_lets_go_are_skipped_with_its_name() -> None:
    """After `ready.timeout` the waiting ends; what is free goes on at once."""

    async def scene() -> None:
        async with simulated(options_of(6), tuning=Tuning(poll_every_s=30)) as field:
            holder = await field.begin(plan_of("6", name="holder", servers="{names: [web-*]}"))
            await field.follow(holder, until="come back")
            field.clock.jump(minutes=5)
            run_id = await field.begin(plan_of("6", name="other"))
            run = await field.follow(run_id)
            skipped = {s.ref.name: s for s in run.servers.values() if s.outcome == "skipped"}
            assert set(skipped) == {"web-001", "web-002", "web-003"}
            assert {s.reason for s in skipped.values()} == {"ClaimedByOtherRun"}
            assert all(holder in s.detail for s in skipped.values())
            assert run.counts()["ready"] == 3
            assert set(field.state.reboot_counts().values()) == {1}

    asyncio.run(scene())
