"""A repository in a folder of its own, a simulated cloud beside it, and command lines
between them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from runner.simulator.faults import Rule
from runner.simulator.fleet import FleetOptions, SimulatedFleet
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import KnownLogins, Switches
from runner.simulator.timeline import Wall, utc_now
from tests.cli.forked import Child, Done, Forker

KEYS = KnownLogins(
    ak="EXAMPLEACCESSKEY0002", sk="ExampleSecretNotReal-cli-0123456789abcdef", password="Example-2"
)
RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])

PLAN = """\
version: 1
name: web
limits: {percent: 100}
groups:
  - name: web
    servers: {tags: {role: web}}
    waves: [1, 50%]
"""
"""Of 20 servers: 10 in waves of 1, 5, 4."""


NO_METADATA = {"REBOOT_RUNNER_METADATA": "http://127.0.0.1:9"}
"""For targets whose `cloud` is a real one: they ask which machine this is, and nobody
answers there.
"""


class StoppedClock:
    """Simulated time that stands still at the present moment until the test lets it go on
    in real time.
    """

    def __init__(self) -> None:
        self.stopped: datetime | None = datetime.now(UTC)

    def now(self) -> datetime:
        return self.stopped or datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps by this clock")

    def go_on(self) -> None:
        self.stopped = None


@dataclass
class Lab:
    """`env` is the whole environment of every command line."""

    folder: Path
    forker: Forker
    env: dict[str, str]
    children: list[Child] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def configure(self, **settings: Any) -> None:
        self.write("reboot-runner.yaml", json.dumps({"version": 1, **settings}))

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        terminal: bool = False,
        stdout: int | None = None,
    ) -> Child:
        child = self.forker.start(
            argv, self.folder, self.env | dict(env or {}), terminal=terminal, stdout=stdout
        )
        self.children.append(child)
        return child

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> Done:
        return self.start(*argv, env=env).wait()

    def status(self, run: str) -> dict[str, Any]:
        done = self.run("status", run, "-o", "json")
        assert done.code == 0, done.err
        return dict(json.loads(done.out))

    def runs(self) -> list[dict[str, Any]]:
        return list(json.loads(self.run("status", "-o", "json").out)["runs"])

    def dump(self) -> str:
        """All of the store as text."""
        with sqlite3.connect(self.folder / ".reboot-runner" / "runs.db") as db:
            return "\n".join(db.iterdump())


@dataclass
class Remote:
    """A simulated cloud that the configuration names by its endpoint, like a real one:
    target `lab`.
    """

    lab: Lab
    state: State
    url: str
    clock: StoppedClock | None

    def go_on(self) -> None:
        """What is down comes back now."""
        assert self.clock is not None
        self.clock.go_on()

    def fault(self, **rule: Any) -> None:
        self.state.add_rules(RULES.validate_python([{k.rstrip("_"): v for k, v in rule.items()}]))

    def id_of(self, name: str) -> str:
        return next(s.id for s in self.state.fleet.servers if s.name == name)

    @property
    def reboots(self) -> dict[str, int]:
        """Server name -> how often the cloud was made to send it down."""
        names = {s.id: s.name for s in self.state.fleet.servers}
        return {names[i]: n for i, n in self.state.reboot_counts().items()}

    @property
    def posts(self) -> int:
        return sum(c.call == "reboot" for c in self.state.requests())


def target(state: State, url: str, **more: Any) -> dict[str, Any]:
    """A target of a configuration that is this cloud, polled quickly."""
    return {
        "cloud": "otc" if state.options.switches.cloud == "otc" else "simulator",
        "region": state.fleet.options.region,
        "project_id": state.fleet.project_id,
        "endpoints": dict.fromkeys(("ecs", "iam", "ces", "autoscaling"), url),
        "rate": {"poll_every": "50ms", "settle": "500ms"},
    } | more


@contextmanager
def remote(
    lab: Lab,
    *,
    still: bool = False,
    fleet: SimulatedFleet | FleetOptions | None = None,
    wall: Wall = utc_now,
    **switches: Any,
) -> Iterator[Remote]:
    """Serve a cloud of 20 servers and configure it as target `lab`. `still`: its time stands
    still. `wall`: what it takes for real time.
    """
    quick = Switches(parent_lag=timedelta(milliseconds=50), init=timedelta(0), **switches)
    options = CloudOptions(fleet or FleetOptions(servers=20, reboot_seconds=0.1), KEYS, quick)
    clock = StoppedClock() if still else None
    state = State(options, clock=clock, wall=wall)
    try:
        with serve_in_thread(state) as running:
            lab.env |= {"HUAWEICLOUD_SDK_AK": KEYS.ak, "HUAWEICLOUD_SDK_SK": KEYS.sk}
            if switches.get("cloud") == "otc":
                lab.env |= NO_METADATA
            lab.configure(targets={"lab": target(state, running.url)})
            yield Remote(lab, state, running.url, clock)
            for child in lab.children:
                child.dispose()  # before the cloud goes
    finally:
        state.close()


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of the machine's: no CI, no credentials, no colour."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "GIT_CEILING_DIRECTORIES": str(home.parent),
    }
