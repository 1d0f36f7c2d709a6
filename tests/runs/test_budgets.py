"""Budgets over HTTP: a run stops as early as it can, and never fails more servers than its
diff has told.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from runner.execution.effects import Tuning
from runner.model.run import Run
from tests.journal import made
from tests.runs.harness import Field, options_of, plan_of, simulated

SLOWLY = Tuning(poll_every_s=30)


def test_a_failure_stops_the_run_before_the_next_wave() -> None:
    """One failure over the budget: the wave in flight ends, the next is never asked for."""

    async def scene() -> None:
        rule = {"do": "job_fail", "servers": {"names": ["web-001"]}}
        async with simulated(options_of(8, rule), tuning=SLOWLY) as field:
            run = await field.run(plan_of("5"))  # web-001 is the fifth by name
            assert run.word == "stopped"
            assert run.counts()["failed"] == 1
            assert run.counts()["ready"] == 4
            assert run.counts()["not_started"] == 3
            assert len(field.calls("reboot")) == 1
            assert len(field.state.reboot_counts()) == 5

    asyncio.run(scene())


def test_a_failure_stops_the_run_between_two_batches_of_a_wave() -> None:
    """Batches that wait for room in the quota are not sent once the budget is exceeded."""

    async def scene() -> None:
        tuning = Tuning(poll_every_s=5, servers_per_request=2, servers_per_minute=2)
        rule = {"do": "job_fail", "servers": {"names": ["api-001"]}}
        async with simulated(options_of(8, rule, reboot_s=20), tuning=tuning) as field:
            run = await field.run(plan_of("8"))
            assert run.stop
            assert run.stop.reason == "FailureBudgetExceeded"
            assert run.counts()["failed"] == 1
            assert run.counts()["not_started"] == 6
            assert len(field.calls("reboot")) == 1

    asyncio.run(scene())


def test_a_canary_that_fails_costs_one_server() -> None:
    """A first wave of one exceeds its group's budget by failing, whatever the numbers say."""

    async def scene() -> None:
        rule = {"do": "server_error", "servers": {"names": ["api-001"]}}
        async with simulated(options_of(8, rule), tuning=SLOWLY) as field:
            run = await field.run(plan_of("1, 100%", max_failures="100%"))
            assert run.stop
            assert run.stop.reason == "CanaryFailed"
            assert run.failed == 1
            assert sum(field.state.reboot_counts().values()) == 1

    asyncio.run(scene())


def random_plan(dice: random.Random) -> str:
    """Two groups with waves and budgets at random."""
    groups = []
    for name in ("web", "api"):
        waves = dice.choice(["1, 50%", "2", "1, 1, 3", "40%", "100%", "3, 2"])
        group = f"  - name: {name}\n    servers: {{tags: {{role: {name}}}}}\n    waves: [{waves}]\n"
        if dice.random() < 0.6:
            group += f"    max_failures: {dice.choice([0, 1, 2, '20%'])}\n"
            group += f"    on_failure: {dice.choice(['stop', 'stop', 'continue', 'approval'])}\n"
        groups.append(group)
    return (
        "version: 1\nname: budgets\nlimits: {servers: 1000, percent: 100}\n"
        f"max_failures: {dice.choice([0, 1, 3, '10%', '50%'])}\n"
        f"on_unknown: {dice.choice(['hold', 'retry'])}\ngroups:\n" + "".join(groups)
    )


async def follow_with_consent(field: Field, run_id: str) -> Run:
    """To the end, with every question answered at once: nobody holds this run but its budgets."""
    while True:
        run = await field.follow(run_id, until="approval")
        if not run.is_open:
            return run
        assert run.question
        given = {"question": run.question.id, "by": "ann"}
        field.store.record(
            run_id, field.clock.now(), [made("approval.given", given)], expect=run.seq
        )


@pytest.mark.parametrize("seed", range(8))
def test_the_worst_case_of_the_diff_is_never_exceeded(seed: int) -> None:
    """Servers that fail at random, answers that are lost: never more failures than the
    schedule has announced.
    """
    asyncio.run(scene_of(seed))


async def scene_of(seed: int) -> Run:
    dice = random.Random(seed)
    share = dice.choice([0.1, 0.3, 0.6, 1.0])
    kind = dice.choice(["job_fail", "server_error", "stays_in_reboot"])
    rules: list[dict[str, Any]] = [
        {"do": kind, "servers": {"share": share}},
        {
            "do": "reset",
            "on": "reboot",
            "when": dice.choice(["before", "after"]),
            "probability": 0.2,
            "times": "all",
        },
    ]
    options = options_of(20, *rules, seed=seed + 1, reboot_s=20)
    async with simulated(options, tuning=Tuning(poll_every_s=120, servers_per_request=3)) as field:
        run = await follow_with_consent(field, await field.begin(random_plan(dice)))
        assert run.failed <= run.schedule.worst_case.failures_before_stop
        assert run.failed == run.counts()["failed"] + run.counts()["unknown"]
        assert max(field.state.reboot_counts().values(), default=0) <= 1
        assert run.counts()["pending"] == 0
        return run


def test_the_worst_case_can_be_reached() -> None:
    """The number is no mere bound: when all servers fail from the second wave on, it is met."""

    async def scene() -> None:
        async with simulated(options_of(9, reboot_s=20), tuning=SLOWLY) as field:
            run_id = await field.begin(plan_of("3", max_failures=2))
            schedule = field.read(run_id).schedule
            first, second = schedule.waves[:2]
            names = [s.name for s in (*first.servers[:2], *second.servers)]
            field.add_rules({"do": "job_fail", "servers": {"names": names}})
            run = await field.follow(run_id)
            assert run.word == "stopped"
            assert run.failed == schedule.worst_case.failures_before_stop == 5

    asyncio.run(scene())
