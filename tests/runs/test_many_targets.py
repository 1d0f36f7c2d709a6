"""One plan over several clouds that fail and throttle: calls, events and outcomes by count,
and how they grow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.model.run import Run
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.execution.memory_cloud import VirtualClock
from tests.runs.many import Many, SharedClock, Tally, plan_text, served

WAVE = 50


@dataclass(frozen=True, slots=True)
class Measured:
    run: Run
    tally: Tally
    events: Counter[str]


async def _measured(servers: int) -> Measured:
    clock = VirtualClock()
    store = SqlStore(Sqlite(":memory:", clock.seconds))
    async with (
        served(3, servers, clock) as (states, spots),
        Many.opened(spots, store, clock) as many,
    ):
        run = await many.follow(await many.begin(plan_text([s.name for s in spots], WAVE)))
        events = Counter(e.type for e in store.events(run.id))
        store.close()
        return Measured(run, Tally.of(states, run.created), events)


@pytest.fixture(scope="module")
def sizes() -> tuple[Measured, Measured]:
    """The same plan over 300 and over 600 servers on three clouds."""
    return asyncio.run(_measured(300)), asyncio.run(_measured(600))


def test_every_server_has_one_outcome_and_one_reboot(sizes: tuple[Measured, Measured]) -> None:
    """On each of three targets, whatever fails or is throttled, nobody is left out and
    nobody is rebooted twice.
    """
    for servers, measured in zip((300, 600), sizes, strict=True):
        run, counts = measured.run, measured.run.counts()
        assert run.word == "done"
        assert len(run.servers) == servers
        assert counts["ready"] + counts["failed"] == servers
        assert counts["failed"]
        assert measured.tally.times == dict.fromkeys(run.servers, 1)


def test_calls_are_two_lists_and_one_request_a_wave_and_polls(
    sizes: tuple[Measured, Measured],
) -> None:
    """What is more than that comes of answers that were throttled, and of the servers that
    came back early.
    """
    for measured in sizes:
        waves, calls, throttled = (
            len(measured.run.waves),
            measured.tally.calls,
            measured.tally.throttled,
        )
        assert throttled
        assert calls.keys() == {"list", "reboot", "job", "actions"}
        failed = sum(server.reason == "JobFailed" for server in measured.run.servers.values())
        assert calls["actions"] == failed
        assert waves <= calls["reboot"] <= waves + throttled
        assert 2 * waves <= calls["list"] <= 2 * waves + throttled + failed + _straggling(measured)
        assert calls["job"] <= _intervals(measured) + throttled
        assert measured.tally.planning["list"] <= 3 + 3


def _straggling(measured: Measured) -> float:
    """Lists of those that are back while others reboot: one each two minutes of a wave."""
    return sum(_length(measured.run, i) // 120 for i in range(len(measured.run.waves)))


def _intervals(measured: Measured) -> float:
    return sum(_length(measured.run, i) // 5 for i in range(len(measured.run.waves)))


def _length(run: Run, position: int) -> float:
    wave = run.waves[position]
    assert wave.started
    assert wave.ended
    return (wave.ended - wave.started).total_seconds()


def test_twice_the_servers_are_twice_the_calls_and_events(sizes: tuple[Measured, Measured]) -> None:
    """Work is for each wave, whatever the run has behind it: nothing grows with the square
    of the fleet.
    """
    small, large = sizes
    assert len(large.run.waves) == 2 * len(small.run.waves)
    for one, two in (
        (small.tally.calls.total(), large.tally.calls.total()),
        (small.events.total(), large.events.total()),
        (small.events["servers.ended"], large.events["servers.ended"]),
    ):
        assert 1.8 <= two / one <= 2.2


def test_a_clock_in_a_file_is_one_clock(tmp_path: Path) -> None:
    """Two processes that map the same file live in the same instant."""
    one, two = SharedClock(tmp_path / "clock"), SharedClock(tmp_path / "clock")
    assert one.now() == two.now() == VirtualClock().now()
    asyncio.run(one.sleep(1.5))
    two.jump(minutes=1)
    assert one.now() == two.now()
    assert (one.now() - VirtualClock().now()).total_seconds() == 61.5
    assert one.slept == 1.5
