"""A run moves to a machine that is one of its servers: at any instant that server is safe
from there on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from runner.errors import CloudError
from runner.execution.driver import Driver
from runner.execution.site import LiveRules
from runner.model.events import Outcome, Why
from runner.model.inventory import Server
from runner.model.job import Throttled
from runner.model.run import Run

from .memory_cloud import Answer
from .setup import Bench, schedule_of
from .test_deaths import Death, Mortal

MINE = "s-003"
WHY = Why("RunnerItself", "it is the machine that the runner runs on")


class SparesMine(LiveRules):
    spares_any = True

    def spared(
        self, run: Run, target: str, group: str, servers: Mapping[str, Server]
    ) -> Mapping[str, Why]:
        assert (target, group) == ("t", "web")
        return {MINE: WHY} if MINE in servers else {}


class SparesNone(LiveRules):
    spares_any = True


def driver(bench: Bench, run_id: str, rules: LiveRules) -> Driver:
    made = bench.driver(run_id)
    made.setting = replace(made.setting, rules=rules)
    return made


def test_a_server_that_is_spared_is_skipped() -> None:
    """With reason and sentence; all others of its wave are rebooted, and it is not read
    once more for that.
    """
    bench = Bench.of(6)
    run_id = bench.start(schedule_of([1, 5]))
    run = bench.follow(run_id, driver(bench, run_id, SparesMine()))
    state = run.servers[MINE]
    assert (state.outcome, state.reason, state.detail) == (Outcome.SKIPPED, *WHY)
    assert bench.cloud.times_rebooted() == {i: 1 for i in bench.cloud.servers if i != MINE}


@pytest.mark.parametrize("offset", [0, 1])
def test_death_anywhere_and_life_on_one_of_the_servers(offset: int) -> None:
    """A process dies at any call to store or cloud; the next one, on s-003, never asks
    for s-003.
    """
    deaths = skipped = 0
    for at in range(1 + offset, 2_000, 2):
        bench = Bench.of(6)
        answers: list[Answer | None] = [None, lambda c, i: Throttled("APIGW.0308", "limit", 5.0)]
        bench.cloud.answers = list(answers)
        run_id = bench.start(schedule_of([1, 5], max_failures=9))
        mortal, first = Mortal(bench, at), driver(bench, run_id, SparesNone())
        first.setting = replace(first.setting, store=mortal.store)
        try:
            bench.follow(run_id, first)
        except Death:
            pass
        else:
            break
        bench.cloud.before_call = bench.cloud.after_call = lambda name: None
        bench.lapse()
        before = bench.cloud.times_rebooted()[MINE]
        run = bench.follow(run_id, driver(bench, run_id, SparesMine()))
        times = bench.cloud.times_rebooted()
        assert times[MINE] == before, f"death at call {at}: the machine rebooted itself"
        assert max(times.values(), default=0) <= 1
        assert all(s.outcome for s in run.servers.values())
        deaths += 1
        skipped += run.servers[MINE].reason == "RunnerItself"
    assert deaths > 10
    assert skipped > 5


def test_servers_that_cannot_be_read_are_not_asked_for() -> None:
    """Who takes over between look and request, and cannot see the servers for a while, asks
    for none until it can.
    """
    bench = Bench.of(6)
    bench.cloud.answers = [None, lambda c, i: Throttled("APIGW.0308", "limit", 5.0)]
    run_id = bench.start(schedule_of([1, 5]))
    bench.follow(run_id, driver(bench, run_id, SparesNone()), until="room to send")
    calls: list[str] = []

    def blind(name: str) -> None:
        calls.append(name)
        if name == "read_servers" and calls.count(name) <= 3:
            raise CloudError("nobody answers")

    bench.cloud.before_call = blind
    run = bench.follow(run_id, driver(bench, run_id, SparesMine()))
    assert calls[:6] == ["read_servers"] * 5 + ["reboot"]  # one more, as the request is a repeat
    assert run.servers[MINE].reason == "RunnerItself"
    assert bench.cloud.times_rebooted() == {i: 1 for i in bench.cloud.servers if i != MINE}
