"""A run of 1,000 servers in 10 waves over HTTP: what the simulated cloud's own log says of it."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from runner.execution.effects import Tuning
from runner.model.events import Event
from runner.model.run import Run
from tests.runs.harness import Field, ideal_seconds, options_of, plan_of, simulated

Slices = list[tuple[str, float]]
"""Calls of the run with the second at which each was made, from the run's beginning."""


async def _measured(servers: int, size: int, reboot_s: float | None) -> tuple[Field, Run, Slices]:
    async with simulated(options_of(servers, reboot_s=reboot_s)) as field:
        run_id = await field.begin(plan_of(str(size)))
        planned = len(field.calls())
        run = await field.follow(run_id)
        calls = [(c.call, c.at / 1000 - run.created.timestamp()) for c in field.calls()[planned:]]
        return field, run, calls


LETTERS = {"list": "l", "reboot": "r", "job": "j"}


@pytest.mark.parametrize("reboot_s", [40.0, None], ids=["40 s", "15-120 s"])
def test_a_thousand_servers_in_ten_waves(reboot_s: float | None) -> None:
    """Each server goes down exactly once, in the order of the waves, by one request and few
    readings a wave.
    """
    field, run, calls = asyncio.run(_measured(1000, 100, reboot_s))
    assert run.word == "done"
    assert run.counts()["ready"] == 1000
    assert set(field.state.reboot_counts().values()) == {1}
    assert len(field.state.reboot_counts()) == 1000
    _assert_wave_order(field, run)
    _assert_quota(field, 1000)
    assert {kind for kind, _ in calls} == {"list", "reboot", "job"}
    waves = "".join(LETTERS[kind] for kind, _ in calls).split("lr")
    assert waves.pop(0) == ""
    for wave, part in zip(run.waves, waves, strict=True):  # after one list and one request
        assert wave.started
        assert wave.ended
        intervals = (wave.ended - wave.started).total_seconds() / 5
        assert part.count("j") <= intervals
        if reboot_s:
            assert part == "j" * part.count("j") + "l"
        else:  # the first that are back are read while the last still reboot, but not more often than jobs are polled  # noqa: E501
            assert 1 <= part.count("l") <= intervals / 2
    _assert_poll_interval(calls, 5.0)
    assert run.ended
    assert (run.ended - run.created).total_seconds() <= 1.10 * ideal_seconds(run, field.state)


def _assert_wave_order(field: Field, run: Run) -> None:
    """No server of a wave goes down before every server of the wave before is back."""
    at = {r.server_id: r for r in field.state.accepted_reboots()}
    for before, after in itertools.pairwise(run.schedule.waves):
        back = max(at[s.id].back or run.created for s in before.servers)
        assert min(at[s.id].at for s in after.servers) >= back


def _assert_quota(field: Field, most: int) -> None:
    """In any 60 s no more servers were accepted than the quota allows, and nothing was
    throttled.
    """
    times = sorted(r.at for r in field.state.accepted_reboots())
    first = 0
    for i, at in enumerate(times):
        while at - times[first] >= timedelta(seconds=60):
            first += 1
        assert i - first + 1 <= most
    assert {c.status for c in field.calls("reboot")} == {200}


def _assert_poll_interval(calls: Slices, every_s: float) -> None:
    """One poll per batch and interval: a run of one batch a wave never polls more often."""
    polls = [second for kind, second in calls if kind == "job"]
    assert all(b - a >= every_s - 0.001 for a, b in itertools.pairwise(polls))


def test_a_wave_over_the_quota_is_spread_over_minutes() -> None:
    """A wave of 1,050 servers goes out in batches of 1,000 a minute, is polled per batch,
    and is never throttled.
    """

    async def scene() -> None:
        async with simulated(options_of(1050)) as field:
            run = await field.run(plan_of("1050"))
            assert run.counts()["ready"] == 1050
            assert set(field.state.reboot_counts().values()) == {1}
            _assert_quota(field, 1000)
            assert len(field.calls("reboot")) == 2
            polls: dict[str, list[float]] = {}
            for call in field.calls("job"):
                polls.setdefault(call.path, []).append(call.at / 1000)
            assert len(polls) == 2
            for times in polls.values():
                assert all(b - a >= 4.999 for a, b in itertools.pairwise(times))

    asyncio.run(scene())


def test_small_batches_share_one_minute() -> None:
    """With 25 servers a request and 100 a minute, every minute of the cloud's log holds at
    most 100.
    """

    async def scene() -> None:
        tuning = Tuning(servers_per_request=25, servers_per_minute=100)
        async with simulated(
            options_of(350, switches={"quota_servers": 100}), tuning=tuning
        ) as field:
            run = await field.run(plan_of("350"))
            assert run.counts()["ready"] == 350
            _assert_quota(field, 100)
            assert len(field.calls("reboot")) == 14
            assert run.ended
            assert timedelta(seconds=180) <= run.ended - run.created <= timedelta(seconds=300)

    asyncio.run(scene())


def test_two_runs_share_the_quota_of_their_target() -> None:
    """Two runs of one store, on one target, together never ask for more than the quota."""

    async def scene() -> None:
        two = (
            plan_of("40", servers="{tags: {role: web}}", name="one"),
            plan_of("40", servers="{tags: {role: api}}", name="two"),
        )
        async with simulated(
            options_of(120, switches={"quota_servers": 30}),
            tuning=Tuning(servers_per_minute=30, servers_per_request=9),
        ) as field:
            runs = [await field.begin(text) for text in two]
            drivers = [field.driver(r) for r in runs]
            while any(d.load().is_open for d in drivers):
                dues = [due for d in drivers if (due := (await d.advance()).due)]
                if dues:
                    await field.clock.sleep(
                        max(0.001, (min(dues) - field.clock.now()).total_seconds())
                    )
            for run_id in runs:
                assert field.read(run_id).word == "done"
            assert set(field.state.reboot_counts().values()) == {1}
            _assert_quota(field, 30)

    asyncio.run(scene())


def test_what_was_seen_is_what_is_stored() -> None:
    """Whoever watches a run over HTTP is told every event of its journal, in order, once it
    is durable.
    """

    async def scene() -> None:
        async with simulated(options_of(20)) as field:
            told: list[tuple[int, str]] = []

            def watch(run: Run, event: Event) -> None:
                told.append((event.seq, event.type))
                assert field.store.find(run.id).seq >= event.seq

            field.watch = watch
            run = await field.run(plan_of("5", pause="1m"))
            stored = [(e.seq, e.type) for e in field.store.events(run.id)]
            assert told == stored[1:]

    asyncio.run(scene())
