"""One plan over many simulated clouds: what serves them, what drives the run in virtual time,
and what they tell of it.

The small form runs in one process; `benchmarks/scale.py` puts clouds and runner into
processes of their own, which share a clock by a file.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import settings_for
from runner.cloud.huawei.reader import Patience
from runner.cloud.huawei.throttle import RequestPace
from runner.execution.driver import Driver
from runner.execution.effects import Tuning
from runner.execution.journal import create_run
from runner.execution.site import Setting, Site
from runner.loading.plan import load_text, plan_digest, require
from runner.model.run import Run
from runner.model.schedule import Target
from runner.planning.fleet import Fleet, TargetFleet
from runner.planning.schedule import make_schedule
from runner.simulator.fleet import FleetOptions
from runner.simulator.scenario import Scenario
from runner.simulator.server import serve
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import KnownLogins
from runner.store.owner import is_provably_dead, this_process
from runner.store.sql import SqlStore
from tests.execution.memory_cloud import VirtualClock
from tests.runs.harness import follow, login_of_keys

AT_ONCE = Patience(attempts=8, first_wait_s=0.001, longest_wait_s=0.001, jitter_s=0.0)
"""Reads that were throttled are repeated; what makes them wait is the pace, in virtual time."""

TROUBLES = (
    {"do": "job_fail", "servers": {"share": 0.008}, "times": "all"},
    {"do": "server_error", "sub_job": "SUCCESS", "servers": {"share": 0.002}, "times": "all"},
    {"do": "throttle", "on": "reboot", "probability": 0.05, "times": "all"},
    {"do": "throttle", "on": "list", "probability": 0.02, "times": "all"},
    {"do": "throttle", "on": "job", "probability": 0.02, "times": "all", "retry_after": "3s"},
)
"""1 % of the servers fail (in their jobs, or with the state ERROR), and calls of all kinds
are throttled.
"""

EPOCH = VirtualClock().now()
_MICROSECOND = timedelta(microseconds=1)


class SharedClock(VirtualClock):
    """Virtual time in a file that several processes map: one of them lets it jump, all see
    the same instant.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, 8)
            self._map = mmap.mmap(descriptor, 8)
        finally:
            os.close(descriptor)
        self.slept = 0.0

    @property
    def _now(self) -> datetime:
        (micros,) = struct.unpack("<q", self._map[:])
        return EPOCH + timedelta(microseconds=micros)

    @_now.setter
    def _now(self, now: datetime) -> None:
        self._map[:] = struct.pack("<q", (now - EPOCH) // _MICROSECOND)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one cloud is served, and for whom. Plain texts: it is handed from process to
    process as JSON.
    """

    name: str
    url: str
    region: str
    project_id: str
    ak: str
    sk: str

    @property
    def target(self) -> Target:
        return Target(self.name, "simulator", self.region, self.project_id)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the clouds' own logs tell: calls by kind before and from the beginning of the run,
    answers that were throttled, seconds that each server was away, and how often each was
    sent down.
    """

    planning: Counter[str]
    calls: Counter[str]
    throttled: int
    took: Mapping[str, float]
    times: Mapping[str, int]

    @classmethod
    def of(cls, states: Sequence[State], begun: datetime) -> Tally:
        since = begun.timestamp() * 1000
        calls = [c for s in states for c in s.requests()]
        took: dict[str, float] = {}
        times: dict[str, int] = {}
        for state in states:
            took |= {
                r.server_id: (r.back - r.at).total_seconds()
                for r in state.accepted_reboots()
                if r.back
            }
            times |= state.reboot_counts()
        return cls(
            Counter(c.call for c in calls if c.at < since),
            Counter(c.call for c in calls if c.at >= since),
            sum(c.at >= since and c.status == 429 for c in calls),
            took,
            times,
        )


def plan_text(names: Sequence[str], wave: int, pause: str = "30s") -> str:
    """A plan with one group on each target, in waves of so many servers."""
    groups = "".join(
        (
            f"  - {{name: g-{name}, target: {name}, servers: {{all: true}}, waves: [{wave}], "
            f"pause: "
            f"{pause}}}\n"
        )
        for name in names
    )
    return (
        "version: 1\nname: scale\nlimits: {servers: 200000, percent: 100}\nmax_failures: 5%\n"
        f"spread: {{server_group: 100%}}\ngroups:\n{groups}"
    )


@asynccontextmanager
async def served(
    targets: int,
    servers: int,
    clock: VirtualClock | None = None,
    *,
    reboot_s: float | None = None,
    switches: Mapping[str, object] | None = None,
) -> AsyncIterator[tuple[list[State], list[Spot]]]:
    """So many clouds with `servers` in all, and TROUBLES; each is a fleet of its own.
    Without a clock: in real time.
    """
    scenario = Scenario.model_validate({"rules": TROUBLES, "switches": dict(switches or {})})
    keys = KnownLogins.generated()
    states: list[State] = []
    spots: list[Spot] = []
    async with AsyncExitStack() as stack:
        for number in range(1, targets + 1):
            share = servers // targets + (number <= servers % targets)
            fleet = FleetOptions(servers=share, seed=number, reboot_seconds=reboot_s)
            options = CloudOptions(fleet, keys, scenario.switches, scenario.rules)
            state = State(options, clock=clock, wall=clock.now) if clock else State(options)
            stack.callback(state.close)
            running = await stack.enter_async_context(serve(state))
            states.append(state)
            spots.append(
                Spot(
                    f"t{number:02}",
                    running.url,
                    running.region,
                    running.project_id,
                    keys.ak,
                    keys.sk,
                )
            )
        yield states, spots


@dataclass(frozen=True, slots=True)
class Many:
    """Open targets in virtual time, with a store."""

    clouds: Mapping[str, HuaweiCloud]
    spots: Sequence[Spot]
    store: SqlStore
    clock: VirtualClock

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, spots: Sequence[Spot], store: SqlStore, clock: VirtualClock
    ) -> AsyncIterator[Many]:
        async with AsyncExitStack() as stack:
            clouds = {s.name: await stack.enter_async_context(_client(s, clock)) for s in spots}
            yield cls(clouds, spots, store, clock)

    async def begin(self, text: str) -> str:
        """Read all targets, plan, and store the run; it begins a second later, so that logs
        can tell it apart.
        """
        loaded = load_text(text, "plans/scale.yaml")
        plan = require(loaded)
        places = [TargetFleet(s.target, await self.clouds[s.name].inventory()) for s in self.spots]
        planned = make_schedule(plan, plan_digest(plan), Fleet.of(places), now=self.clock.now())
        assert planned.schedule is not None, planned.problems
        baseline = {s.id: s.updated for p in places for s in p.inventory.servers}
        await self.clock.sleep(1)
        return create_run(
            self.store, planned.schedule, self.clock.now(), {"tool_version": "test"}, baseline
        )

    async def follow(self, run_id: str) -> Run:
        """To its end."""
        sites = {
            s.name: Site(
                self.clouds[s.name],
                s.project_id,
                Tuning(),
            )
            for s in self.spots
        }
        setting = Setting(
            self.store, sites, self.clock, this_process(), is_provably_dead, wall=self.clock.now
        )
        return await follow(Driver(setting, run_id), self.clock)


def _client(spot: Spot, clock: VirtualClock):  # type: ignore[no-untyped-def]  # the client's own context manager
    settings = settings_for(
        cloud="simulator",
        region=spot.region,
        project_id=spot.project_id,
        **dict.fromkeys(("ecs", "iam", "sts", "ces", "autoscaling"), spot.url),
        environ={},
    )
    return HuaweiCloud.open(
        settings,
        login_of_keys(spot.ak, spot.sk),
        wall=clock.now,
        now=clock.now,
        patience=AT_ONCE,
        pace=RequestPace(clock.sleep, clock.seconds),
    )
