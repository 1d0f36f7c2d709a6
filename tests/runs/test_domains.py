"""Failure domains, servers that are down already, and the rate, over HTTP and in virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from runner.execution import brakes
from runner.execution.effects import Tuning
from runner.model.run import Run
from tests.execution.setup import Bench, schedule_of
from tests.journal import fields_of
from tests.runs.harness import Field, options_of, plan_of, simulated

SLOWLY = Tuning(poll_every_s=30)
BAD = "eu-west-101c"


def asked(field: Field) -> list[tuple[float, str]]:
    """When each server was asked for, in seconds."""
    return [(r.at.timestamp(), r.server_id) for r in field.state.accepted_reboots()]


def most_in_any(period: timedelta, times: list[float]) -> int:
    """The most servers asked for in any such period: each period that begins with one is tried."""
    return max((sum(t <= u < t + period.total_seconds() for u in times) for t in times), default=0)


async def bad_zone(spread: str) -> tuple[Run, int]:
    """A run whose every server of one zone never comes back, and how many of that zone
    went down.
    """
    async with simulated(options_of(60), tuning=SLOWLY) as field:
        bad = {s.id for s in field.state.fleet.servers if s.zone == BAD}
        field.add_rules({"do": "server_error", "servers": {"names": sorted(bad)}, "times": "all"})
        run = await field.run(plan_of("1, 40%", max_failures=2, spread=spread))
        assert all(
            s.ref.id in bad
            for s in run.servers.values()
            if s.outcome and s.outcome.counts_as_failed
        )
        return run, len(bad & {i for _, i in asked(field)})


def test_a_bad_zone_stops_early() -> None:
    """With one server of a zone in a wave a bad zone costs as many servers as the budget
    needs to break, not a wave.
    """
    run, down = asyncio.run(bad_zone("{zone: 1}"))
    assert run.stop
    assert run.stop.reason == "FailureBudgetExceeded"
    assert down == run.failed == 3
    assert run.failed <= run.schedule.worst_case.failures_before_stop
    crowd, all_down = asyncio.run(bad_zone("{zone: 100%}"))
    assert all_down == crowd.failed > 2 * down
    assert crowd.failed <= crowd.schedule.worst_case.failures_before_stop


SHUT = {"do": "not_active", "servers": {"names": ["web-004", "web-005"]}}


@pytest.mark.parametrize("restart", [False, True], ids=["one process", "a process each step"])
def test_a_wave_waits_for_servers_that_are_down(restart: bool) -> None:
    """A wave that would have too many of its group down waits, untrimmed, and goes on when
    they are back.
    """

    async def scene() -> None:
        async with simulated(options_of(10)) as field:
            run_id = await field.begin(plan_of("3", max_unavailable=4))
            field.add_rules({**SHUT, "for": "5m"})
            began = field.clock.now()
            run = await follow(field, run_id, restart)
            assert run.word == "done"
            assert run.counts()["ready"] == 10
            first = min(at for at, _ in asked(field))
            assert 300 <= first - began.timestamp() <= 340
            held = [e for e in field.store.events(run_id) if e.type == "wave.held"]
            assert [fields_of(e) for e in held] == [
                {"wave": 1, "unavailable": 5, "down": 2, "allowed": 4}
            ]

    asyncio.run(scene())


@pytest.mark.parametrize("restart", [False, True], ids=["one process", "a process each step"])
def test_a_wave_that_waits_in_vain_stops_the_run(restart: bool) -> None:
    """After `ready.timeout` without recovery the run stops with its own reason; nothing was
    asked of the cloud.
    """

    async def scene() -> None:
        async with simulated(options_of(10)) as field:
            run_id = await field.begin(plan_of("3", max_unavailable=4, ready="{timeout: 10m}"))
            field.add_rules(SHUT)
            run = await follow(field, run_id, restart)
            assert run.stop
            assert run.stop.reason == "TooManyUnavailable"
            assert "5 of group all would be down, 4 allowed; 2 are down already" in run.stop.detail
            assert field.calls("reboot") == []
            assert run.ended
            assert 600 <= (run.ended - run.created).total_seconds() <= 640

    asyncio.run(scene())


async def follow(field: Field, run_id: str, restart: bool) -> Run:
    """To the end; `restart`: each step by a new process that knows nothing but the journal."""
    while restart:
        step = await field.driver(run_id).advance()
        if step.due is None:
            return step.run
        await field.clock.sleep(max(1.0, (step.due - field.clock.now()).total_seconds()))
    return await field.follow(run_id)


def test_what_was_down_before_the_plan_counts() -> None:
    """Servers that the schedule leaves out because they are down are down all the same, and
    one that is gone is not.
    """

    async def scene() -> None:
        async with simulated(options_of(10)) as field:
            field.add_rules(SHUT)
            run_id = await field.begin(plan_of("3", max_unavailable=4, ready="{timeout: 10m}"))
            field.add_rules({"do": "missing", "servers": {"names": ["web-005"]}})
            run = await field.follow(run_id)
            assert run.word == "done"  # 3 and the one that is down
            assert run.counts()["ready"] == 8

    asyncio.run(scene())


def test_others_are_read_only_where_they_decide() -> None:
    """Without `max_unavailable`, or with one that always holds, only the wave's own servers
    are read.
    """
    for most, number in ((None, 0), (6, 0), (5, 4)):
        bench = Bench.of(6)
        schedule = schedule_of([2, 2, 2], max_unavailable=most)
        run = bench.read(bench.start(schedule))
        assert len(brakes.others_to_read(run, schedule.waves[0])) == number


@pytest.mark.parametrize("restart", [False, True], ids=["one process", "a process each step"])
def test_rates(restart: bool) -> None:
    """No more than `rate` allows are asked for in any such period, of the group as of the
    run; nothing is lost.
    """
    text = """
version: 1
name: storm
limits: {servers: 100, percent: 100}
spread: {server_group: 100%}
rate: {servers: 7, per: 5m}
groups:
  - {name: web, servers: {tags: {role: web}}, waves: 100%, rate: {servers: 2, per: 1m}}
  - {name: rest, servers: {all: true}, exclude: {tags: {role: web}}, waves: 4}
"""

    async def scene() -> None:
        async with simulated(options_of(20, reboot_s=20)) as field:
            run_id = await field.begin(text)
            run = await follow(field, run_id, restart)
            assert run.counts()["ready"] == 20
            web = {s.id for s in field.state.fleet.servers if dict(s.tags)["role"] == "web"}
            assert most_in_any(timedelta(minutes=5), [t for t, _ in asked(field)]) == 7
            assert most_in_any(timedelta(minutes=1), [t for t, i in asked(field) if i in web]) == 2

    asyncio.run(scene())


def test_a_wave_slower_than_its_look_is_looked_at_again() -> None:
    """A rate that stretches a wave over hours does not stop it, nor let it ask for servers
    by an old look.
    """

    async def scene(**group: Any) -> None:
        async with simulated(options_of(4)) as field:
            run_id = await field.begin(plan_of("4", **group))
            run = await field.follow(run_id)
            assert run.counts()["ready"] == 4
            looks = [e for e in field.store.events(run_id) if e.type == "wave.checked"]
            assert len(looks) == 4

    asyncio.run(scene(rate="{servers: 1, per: 30m}", max_unavailable=4))
