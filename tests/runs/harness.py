"""The real engine against the real simulated cloud over HTTP, in virtual time: what tests
and benchmarks run on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.checks.gatekeeper import NetGatekeeper
from runner.checks.prober import NetProber
from runner.cloud.huawei.auth.choice import choose_login
from runner.cloud.huawei.auth.logins import Login
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import settings_for
from runner.cloud.huawei.reader import Patience
from runner.cloud.huawei.throttle import RequestPace
from runner.execution.driver import Driver
from runner.execution.effects import Tuning
from runner.execution.journal import create_run, read_run
from runner.execution.site import LiveRules, Setting, Site
from runner.loading.plan import load_text, plan_digest, require
from runner.model.events import Event
from runner.model.gate import Gate, GateAnswer
from runner.model.inventory import Inventory
from runner.model.owner import Owner
from runner.model.run import Run
from runner.model.schedule import Schedule, Target
from runner.net.transport import ExchangeLimits
from runner.planning.fleet import Fleet, TargetFleet
from runner.planning.schedule import make_schedule
from runner.ports import Cloud, Prober
from runner.simulator.events import Called
from runner.simulator.fleet import FleetOptions
from runner.simulator.scenario import Scenario
from runner.simulator.server import Running, serve
from runner.simulator.state import CloudOptions, State
from runner.store.owner import is_provably_dead, this_process
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.execution.memory_cloud import VirtualClock

LoginKind = Literal["aksk", "password"]

QUICK = Patience(attempts=2, first_wait_s=0.001, longest_wait_s=0.001, jitter_s=0.0)
"""Reads are repeated once, at once: their waits are real time, which tests do not have."""


def options_of(
    servers: int,
    *rules: Mapping[str, Any],
    switches: Mapping[str, Any] | None = None,
    seed: int = 1,
    reboot_s: float | None = 40.0,
) -> CloudOptions:
    """A cloud of so many servers; `rules` and `switches` as in a scenario file."""
    scenario = Scenario.model_validate({"rules": list(rules), "switches": dict(switches or {})})
    fleet = FleetOptions(servers=servers, seed=seed, reboot_seconds=reboot_s)
    return CloudOptions(fleet=fleet, rules=scenario.rules, switches=scenario.switches)


def plan_of(
    waves: str = "100%",
    *,
    servers: str = "{all: true}",
    pause: str = "0s",
    max_failures: int | str = 0,
    on_unknown: str = "hold",
    wait_at_most: str = "",
    name: str = "test",
    **group: object,
) -> str:
    """The text of a plan with one group, in the order of names; `group` holds further keys of
    the group.

    Whole server groups may go down together, so that waves are as large as they are written.
    """
    more = "".join(f"    {key}: {value}\n" for key, value in group.items())
    return f"""
version: 1
name: {name}
limits: {{servers: 100000, percent: 100}}
max_failures: {max_failures}
on_unknown: {on_unknown}
{f"wait_at_most: {wait_at_most}" if wait_at_most else ""}
spread: {{server_group: 100%}}
groups:
  - name: all
    servers: {servers}
    order: name
    waves: [{waves}]
    pause: {pause}
{more}"""


class Line:
    """The network line to the cloud: cut, every connection is refused; whole again, it is
    the same address.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._port = 0
        self._served: AsyncExitStack | None = None

    async def mend(self) -> Running:
        self._served = AsyncExitStack()
        running = await self._served.enter_async_context(serve(self._state, port=self._port))
        self._port = int(running.url.rpartition(":")[2])
        return running

    async def cut(self) -> None:
        if self._served is not None:
            await self._served.aclose()
        self._served = None


@dataclass
class Gated(LiveRules):
    """Rules of gates alone, which this keeper asks."""

    keeper: NetGatekeeper

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        return await self.keeper.ask(gate, servers)


@dataclass
class Field:
    """A simulated cloud, a client, a store and a clock that jumps."""

    state: State
    cloud: HuaweiCloud
    store: SqlStore
    clock: VirtualClock
    target: Target
    line: Line
    tuning: Tuning = field(default_factory=Tuning)
    signed: str = "aksk"
    talk: list[str] = field(default_factory=list)
    prober: Prober = field(default_factory=NetProber)
    rules: LiveRules = field(default_factory=LiveRules)
    watch: Callable[[Run, Event], None] = lambda run, event: None

    async def plan(self, text: str) -> tuple[Schedule, Inventory]:
        """The schedule of a plan's text against the cloud as it is now."""
        loaded = load_text(text, "plans/test.yaml")
        plan = require(loaded)
        inventory = await self.cloud.inventory()
        planned = make_schedule(
            plan,
            plan_digest(plan),
            Fleet.of([TargetFleet(self.target, inventory)]),
            now=self.clock.now(),
        )
        assert planned.schedule is not None, planned.problems
        return planned.schedule, inventory

    async def begin(self, text: str) -> str:
        schedule, inventory = await self.plan(text)
        baseline = {s.id: inventory.by_id[s.id].updated for w in schedule.waves for s in w.servers}
        return create_run(
            self.store, schedule, self.clock.now(), {"tool_version": "test"}, baseline
        )

    def driver(
        self,
        run_id: str,
        *,
        owner: Owner | None = None,
        is_dead: Callable[[Owner], bool] = is_provably_dead,
        cloud: Cloud | None = None,
    ) -> Driver:
        """A driver as the commands make it; without an `owner` it is this process."""
        setting = Setting(
            self.store,
            {
                self.target.name: Site(
                    cloud or self.cloud,
                    self.target.project_id,
                    self.tuning,
                    self.prober,
                )
            },
            self.clock,
            owner or this_process(),
            is_dead,
            wall=self.clock.now,
            talk=self.talk.append,
            watch=lambda run, event: self.watch(run, event),
            rules=self.rules,
        )
        return Driver(setting, run_id)

    async def follow(
        self,
        run_id: str,
        *,
        until: str | Callable[[Run], object] = "",
        most: int = 100_000,
        driver: Driver | None = None,
    ) -> Run:
        """To the end, or until the run waits for something that holds the text `until` (or
        until that is true).
        """
        return await follow(driver or self.driver(run_id), self.clock, until=until, most=most)

    async def run(self, text: str) -> Run:
        return await self.follow(await self.begin(text))

    def read(self, run_id: str) -> Run:
        return read_run(self.store, run_id)

    def calls(self, kind: str | None = None) -> list[Called]:
        """Every request that the cloud has answered or dropped; of one kind, if asked."""
        return [c for c in self.state.requests() if kind in (None, c.call)]

    def add_rules(self, *rules: Mapping[str, Any]) -> None:
        """Let something go wrong from now on."""
        self.state.add_rules(Scenario.model_validate({"rules": list(rules)}).rules)

    def ids(self, *names: str) -> list[str]:
        """The ids of servers by name."""
        by_name = {s.name: s.id for s in self.state.fleet.servers}
        return [by_name[n] for n in names]


@asynccontextmanager
async def simulated(
    options: CloudOptions | None = None,
    *,
    store: Path | str = ":memory:",
    tuning: Tuning | None = None,
    login: LoginKind | Callable[[Running, VirtualClock], Login] = "aksk",
    patience: Patience = QUICK,
    limits: ExchangeLimits | None = None,
) -> AsyncIterator[Field]:
    """A field of its own; everything is closed at the end. Signatures and tokens live in
    virtual time, too.

    A cloud that is switched to OTC is spoken to as OTC.
    """
    clock = VirtualClock()
    state = State(options, clock=clock, wall=clock.now)
    async with AsyncExitStack() as stack:
        stack.callback(state.close)
        line = Line(state)
        running = await line.mend()
        stack.push_async_callback(line.cut)
        speaks = "otc" if state.options.switches.cloud == "otc" else "simulator"
        settings = settings_for(
            cloud=speaks,
            region=running.region,
            project_id=running.project_id,
            **dict.fromkeys(("ecs", "iam", "sts", "ces", "autoscaling"), running.url),
            environ={},
        )
        cloud = await stack.enter_async_context(
            HuaweiCloud.open(
                settings,
                login(running, clock) if callable(login) else login_of(state, login),
                wall=clock.now,
                now=clock.now,
                patience=patience,
                limits=limits,
                pace=RequestPace(clock.sleep, clock.seconds),
            )
        )
        sql = SqlStore(Sqlite(store, clock.seconds))
        stack.callback(sql.close)
        target = Target("simulator", speaks, running.region, running.project_id)
        yield Field(
            state,
            cloud,
            sql,
            clock,
            target,
            line,
            tuning or Tuning(),
            "" if login == "password" else "aksk",
        )


async def follow(
    driver: Driver,
    clock: VirtualClock,
    *,
    until: str | Callable[[Run], object] = "",
    most: int = 100_000,
) -> Run:
    """Advance until the run has ended, or waits for something that holds the text `until`
    (or until that is true).
    """
    for _ in range(most):
        step = await driver.advance()
        met = until(step.run) if callable(until) else until and until in step.waits_for
        if step.due is None or met:
            return step.run
        await clock.sleep(max(0.001, (step.due - clock.now()).total_seconds()))
    raise AssertionError("the run did not end")


def login_of_keys(ak: str, sk: str) -> Login:
    """An access key, as an environment would give it."""
    return choose_login("aksk", {"HUAWEICLOUD_SDK_AK": ak, "HUAWEICLOUD_SDK_SK": sk})


def login_of(state: State, kind: LoginKind) -> Login:
    """The simulated cloud's one user or key, as an environment would give it."""
    keys = state.credentials
    if kind == "aksk":
        return login_of_keys(keys.ak, keys.sk)
    user = {
        "HW_USER_NAME": keys.user,
        "HW_USER_PASSWORD": keys.password,
        "HW_DOMAIN_NAME": keys.domain,
    }
    return choose_login(kind, user)


def ideal_seconds(run: Run, state: State) -> float:
    """The longest reboot of each wave plus the pauses: less is not possible. Reboots as the
    cloud timed them.
    """
    return ideal_of(
        run,
        {r.server_id: (r.back - r.at).total_seconds() for r in state.accepted_reboots() if r.back},
    )


def ideal_of(run: Run, took: Mapping[str, float]) -> float:
    """The same from the seconds that each server was away, by id."""
    longest = (
        max((took[s.id] for s in w.servers if s.id in took), default=0.0)
        for w in run.schedule.waves
    )
    return sum(longest) + sum(w.pause.seconds for w in run.schedule.waves)
