"""A large list that changes while it is read, over HTTP from a simulated cloud.

    python -m tests.cloud.lists [--servers 100000]

Between any two pages a server is deleted, another created, or both. Prints, for each way:
the pages that were asked for, what went and came, who was missed, and what the reader
needed of memory and time. Exits 1 when a server that was there all the time is missed, or
the reader needs more than 500 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.cloud.huawei.auth.choice import choose_login
from runner.cloud.huawei.ecs import HuaweiCloud
from runner.cloud.huawei.endpoints import settings_for
from runner.simulator.fleet import FleetOptions, SimulatedFleet, generate
from runner.simulator.scenario import Scenario
from runner.simulator.server import Running, serve_in_thread
from runner.simulator.state import CloudOptions, State

MOST_MB = 500
GONE: Mapping[str, Any] = {
    "do": "delete_servers",
    "on": "list",
    "times": "all",
    "servers": {"count": 1},
}
NEW: Mapping[str, Any] = {"do": "create_servers", "on": "list", "times": "all"}
WAYS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "still": (),
    "one goes": (GONE,),
    "one comes": (NEW,),
    "one goes, one comes": (GONE, NEW),
    "many go, one comes": ({**GONE, "servers": {"count": 7}}, NEW),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one reading of a list. `missed`: servers that were there all the time,
    and are not in the result.
    """

    way: str
    pages: int
    gone: int
    come: int
    read: int
    missed: int
    twice: int
    megabytes: float = 0.0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.missed == self.twice == 0 and self.megabytes <= MOST_MB


async def read_ids(url: str, region: str, project_id: str, environ: Mapping[str, str]) -> list[str]:
    """The ids of an inventory, as the commands read it."""
    settings = settings_for(
        cloud="simulator", region=region, project_id=project_id, ecs=url, iam=url, environ={}
    )
    async with HuaweiCloud.open(settings, choose_login("aksk", environ)) as cloud:
        return [s.id for s in (await cloud.inventory()).servers]


def reading(way: str, fleet: SimulatedFleet, read: Any) -> Reading:
    """Read a fleet that changes in this `way` with `read(running)` -> (ids, megabytes)."""
    state = State(
        CloudOptions(fleet, rules=Scenario.model_validate({"rules": list(WAYS[way])}).rules)
    )
    try:
        with serve_in_thread(state) as running:
            began = time.monotonic()
            ids, megabytes = read(running)
            seconds = time.monotonic() - began
        with state.turn() as turn:
            alive = set(turn.world.roster(turn.now))
        was = {s.id for s in fleet.servers}
        pages = sum(c.call == "list" for c in state.requests())
        found = set(ids)
        missed, come = len((was & alive) - found), len(alive - was)
        gone, twice = len(was - alive), len(ids) - len(found)
        return Reading(way, pages, gone, come, len(ids), missed, twice, megabytes, seconds)
    finally:
        state.close()


def read_here(running: Running) -> tuple[list[str], float]:
    """In this process."""
    keys = running.state.credentials
    environ = {"HUAWEICLOUD_SDK_AK": keys.ak, "HUAWEICLOUD_SDK_SK": keys.sk}
    return asyncio.run(read_ids(running.url, running.region, running.project_id, environ)), 0.0


def read_apart(running: Running) -> tuple[list[str], float]:
    """In a process of its own, of which the memory can be told."""
    keys = running.state.credentials
    environ = os.environ | {"HUAWEICLOUD_SDK_AK": keys.ak, "HUAWEICLOUD_SDK_SK": keys.sk}
    place = f"{running.url} {running.region} {running.project_id}".split()
    command = [sys.executable, "-m", "tests.cloud.lists", "--reader", *place]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, env=environ, cwd=root, check=True, capture_output=True, text=True
    )
    answer = json.loads(done.stdout)
    return answer["ids"], answer["megabytes"]


def _reader(place: Sequence[str]) -> None:
    ids = asyncio.run(read_ids(place[0], place[1], place[2], os.environ))
    print(json.dumps({"ids": ids, "megabytes": _peak_mb()}))


def _peak_mb() -> float:
    """The most memory of this program. (`ru_maxrss` also holds that of the process it was
    forked from.)
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 1024
    )


def main() -> int:
    """All ways of changing, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.cloud.lists", description=__doc__)
    parser.add_argument("--servers", type=int, default=100_000)
    parser.add_argument("--reader", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        _reader(options.reader)
        return 0
    fleet = generate(FleetOptions(servers=options.servers))
    print(
        f"{'way':22} {'pages':>6} {'gone':>6} {'come':>6} {'read':>8} {'missed':>7} "
        f"{'twice':>6} {'MB':>6} {'s':>6}"
    )
    good = True
    for way in WAYS:
        one = reading(way, fleet, read_apart)
        good &= one.is_good
        print(
            f"{way:22} {one.pages:6} {one.gone:6} {one.come:6} {one.read:8} {one.missed:7} "
            f"{one.twice:6}"
            f" {one.megabytes:6.0f} {one.seconds:6.1f}",
            flush=True,
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
