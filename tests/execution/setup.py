"""Runs for tests: a schedule, a store, a clock and a cloud in memory, put together as the
commands do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from runner.execution.driver import Advance, Driver
from runner.execution.effects import Tuning
from runner.execution.journal import create_run, read_run
from runner.execution.site import LiveRules, Nobody, Setting, Site
from runner.model.check import Check
from runner.model.gate import Gate, GateAnswer, GateState
from runner.model.owner import Owner
from runner.model.run import Run
from runner.model.schedule import (
    Allowance,
    GroupRules,
    Pause,
    PlanRef,
    Schedule,
    ServerRef,
    Target,
    Wave,
    WorstCase,
)
from runner.ports import Prober
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite

from .memory_cloud import MemoryCloud, VirtualClock

PROJECT = "0" * 32
DIGEST = "sha256:" + "0" * 64


def schedule_of(
    waves: Sequence[int],
    *,
    max_failures: int = 0,
    pause: Pause | None = None,
    on_unknown: str = "hold",
    group_max: int | None = None,
    on_failure: str = "stop",
    stable_for_s: float = 0.0,
    bake_s: float = 0.0,
    plan: str = "web",
    cycle: str = "c1",
    groups: Sequence[str] | None = None,
    first_server: int = 0,
    ready_timeout_s: float = 900.0,
    checks: Sequence[Check] = (),
    baseline: Literal["exclude", "count", "stop"] | None = None,
    max_unavailable: int | None = None,
) -> Schedule:
    """A schedule of servers s-000 … in waves of these sizes; `groups` names the group
    of each wave.
    """
    names = list(groups or ["web"] * len(waves))
    number: int = first_server
    made: list[Wave] = []
    for i, size in enumerate(waves):
        refs = tuple(
            ServerRef(f"s-{number + k:03d}", f"web-{number + k}", "z0") for k in range(size)
        )
        number += size
        last = i == len(waves) - 1
        first = names.index(names[i]) == i
        after = Pause() if last else pause or Pause()
        made.append(Wave(i + 1, names[i], str(size), refs, after, is_canary=first and size == 1))
    allowance = Allowance(str(group_max), number, group_max) if group_max is not None else None
    down = (
        None
        if max_unavailable is None
        else Allowance(str(max_unavailable), number, max_unavailable)
    )
    rules = tuple(
        GroupRules(
            n,
            "t",
            number,
            number,
            "listed",
            allowance,
            on_failure,  # type: ignore[arg-type]
            ready_timeout_s,
            stable_for_s,
            bake_s,
            tuple(checks),
            baseline,
            down,
        )
        for n in dict.fromkeys(names)
    )
    return Schedule(
        PlanRef(plan, DIGEST), cycle, (Target("t", "simulator", "r", PROJECT),), "SOFT", on_unknown,  # type: ignore[arg-type]
        Allowance(str(max_failures), number, max_failures), 7 * 86400.0, rules, tuple(made), (), number,  # noqa: E501
        WorstCase(max(waves), max_failures + 1), digest=DIGEST, inventory_digest=DIGEST,
    )  # fmt: skip


@dataclass
class Keeper(LiveRules):
    """Answers for all gates alike, one after the other; the last answer stays."""

    answers: list[GateState]

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        state = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return GateAnswer(state, "1", "" if state is GateState.OPEN else "why not")


@dataclass
class Bench:
    """One store, one cloud, one clock; processes come and go."""

    cloud: MemoryCloud
    store: SqlStore
    clock: VirtualClock
    tuning: Tuning = field(default_factory=Tuning)
    process: int = 1
    log: list[str] = field(default_factory=list)
    prober: Prober = field(default_factory=Nobody)
    rules: LiveRules = field(default_factory=LiveRules)

    @classmethod
    def of(cls, servers: int, path: str = ":memory:") -> Bench:
        clock = VirtualClock()
        return cls(MemoryCloud.of(servers, clock), SqlStore(Sqlite(path, clock.seconds)), clock)

    def start(self, schedule: Schedule) -> str:
        baseline = {i: s.updated for i in self.cloud.servers if (s := self.cloud.see(i))}
        return create_run(self.store, schedule, self.clock.now(), {}, baseline)

    def driver(self, run_id: str) -> Driver:
        """A driver of a new process."""
        self.process += 1
        owner = Owner("host", self.process, boot="b", namespace="n", started=str(self.process))
        site = Site(self.cloud, PROJECT, self.tuning, self.prober)
        return Driver(
            Setting(
                self.store, {"t": site}, self.clock, owner, self.is_dead, wall=self.clock.now,
                watch=lambda run, event: self.log.append(event.type), talk=self.log.append,
                rules=self.rules,
            ),
            run_id,
        )  # fmt: skip

    def is_dead(self, owner: Owner) -> bool:
        """In these tests one process lives at a time, and all are of one machine."""
        return owner.pid != self.process

    def follow(
        self, run_id: str, driver: Driver | None = None, *, until: str = "", most: int = 20_000
    ) -> Run:
        """Advance to the end, or until the run waits for something that holds the text `until`."""
        return asyncio.run(self._follow(driver or self.driver(run_id), until, most))

    async def _follow(self, driver: Driver, until: str, most: int) -> Run:
        for _ in range(most):
            step: Advance = await driver.advance()
            if step.due is None or (until and until in step.waits_for):
                return step.run
            await self.clock.sleep(
                max(0.001, (step.due - driver.setting.clock.now()).total_seconds())
            )
        raise AssertionError("the run did not end")

    def read(self, run_id: str) -> Run:
        return read_run(self.store, run_id)

    def lapse(self) -> None:
        """Time passes until any lease has expired."""
        self.clock.jump(seconds=timedelta(minutes=2).total_seconds())
