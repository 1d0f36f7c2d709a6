"""The real engine against the real simulated cloud over HTTP, in virtual time: what tests and benchmarks run on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from runner.cloud.auth.environment import find_login
from runner.cloud.ecs import HuaweiCloud
from runner.cloud.endpoints import settings_for
from runner.execution.driver import Driver
from runner.execution.effects import Tuning
from runner.execution.journal import create_run, read_run
from runner.execution.site import Setting, Site
from runner.loading.plan import load_text, plan_digest, require
from runner.model.inventory import Inventory
from runner.model.run import Run
from runner.model.schedule import Schedule, Target
from runner.planning.schedule import make_schedule
from runner.simulator.events import Called
from runner.simulator.server import serve
from runner.simulator.state import CloudOptions, State
from runner.store.owner import is_provably_dead, this_process
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.execution.memory_cloud import VirtualClock

AK, SK = "HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"


@dataclass
class Field:
    """A simulated cloud, a client, a store and a clock that jumps."""

    state: State
    cloud: HuaweiCloud
    store: SqlStore
    clock: VirtualClock
    target: Target
    tuning: Tuning = field(default_factory=Tuning)
    talk: list[str] = field(default_factory=list)
    waits: Mapping[str, float] = field(default_factory=dict)

    async def plan(self, text: str) -> tuple[Schedule, Inventory]:
        """The schedule of a plan's text against the cloud as it is now."""
        loaded = load_text(text, "plans/test.yaml")
        plan = require(loaded)
        inventory = await self.cloud.inventory()
        planned = make_schedule(plan, plan_digest(plan), self.target, inventory, now=self.clock.now())
        assert planned.schedule is not None, planned.problems
        return planned.schedule, inventory

    async def begin(self, text: str) -> str:
        schedule, inventory = await self.plan(text)
        baseline = {s.id: inventory.by_id[s.id].updated for w in schedule.waves for s in w.servers}
        return create_run(self.store, schedule, self.clock.now(), {"tool_version": "test"}, baseline)

    def driver(self, run_id: str) -> Driver:
        """A driver as the commands make it, with this process as owner."""
        setting = Setting(
            self.store,
            {self.target.name: Site(self.cloud, self.target.project_id, self.tuning, "aksk")},
            self.clock,
            this_process(),
            is_provably_dead,
            talk=self.talk.append,
        )
        return Driver(setting, run_id)

    async def follow(self, run_id: str, *, until: str = "", most: int = 100_000) -> Run:
        """To the end, or until the run waits for something that holds the text `until`."""
        driver = self.driver(run_id)
        for _ in range(most):
            step = await driver.advance()
            if step.due is None or (until and until in step.waits_for):
                return step.run
            await self.clock.sleep(max(0.001, (step.due - self.clock.now()).total_seconds()))
        raise AssertionError("the run did not end")

    async def run(self, text: str) -> Run:
        return await self.follow(await self.begin(text))

    def read(self, run_id: str) -> Run:
        return read_run(self.store, run_id)

    def calls(self) -> list[Called]:
        """Every request that the cloud has answered or dropped."""
        return self.state.requests()


@asynccontextmanager
async def simulated(
    options: CloudOptions | None = None, *, store: Path | str = ":memory:", tuning: Tuning | None = None
) -> AsyncIterator[Field]:
    """A field of its own; everything is closed at the end."""
    clock = VirtualClock()
    state = State(options, clock=clock)
    async with serve(state) as running:
        settings = settings_for(
            cloud="simulator", region=running.region, project_id=running.project_id, ecs=running.url, environ={}
        )
        login = find_login({AK: state.credentials.ak, SK: state.credentials.sk}, "aksk")
        async with HuaweiCloud.open(settings, login, now=clock.now) as cloud:
            sql = SqlStore(Sqlite(store, clock.seconds))
            target = Target("simulator", "simulator", running.region, running.project_id)
            try:
                yield Field(state, cloud, sql, clock, target, tuning or Tuning())
            finally:
                sql.close()
                state.close()


def ideal_seconds(run: Run, state: State) -> float:
    """The longest reboot of each wave plus the pauses: less is not possible. Reboots as the cloud timed them."""
    took: dict[str, timedelta] = {r.server_id: r.back - r.at for r in state.accepted_reboots() if r.back is not None}
    total = 0.0
    for wave in run.schedule.waves:
        lengths = [took[s.id].total_seconds() for s in wave.servers if s.id in took]
        total += max(lengths, default=0.0) + wave.pause.seconds
    return total
