"""A simulated cloud on a real port, in virtual time, and a client that is logged in to it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from runner.simulator.faults import Rule
from runner.simulator.fleet import FleetOptions, SimulatedFleet
from runner.simulator.server import Running, serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import KnownLogins, Switches

START = datetime(2026, 11, 3, 22, 0, tzinfo=UTC)
KEYS = KnownLogins(
    ak="EXAMPLEACCESSKEY0001", sk="ExampleSecretKeyNotReal0123456789abcdef0", password="Example-1"
)
RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])


class VirtualClock:
    """Time that stands still until somebody moves it. Sleeping moves it at once, and is
    remembered.
    """

    def __init__(self, start: datetime = START) -> None:
        self.moment = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


@functools.cache
def http() -> httpx.Client:
    """One client for all tests: making one costs more than most tests."""
    return httpx.Client(trust_env=False, timeout=10, verify=False)  # noqa: S501 - plain http on loopback


@dataclass
class Bench:
    running: Running
    clock: VirtualClock
    headers: dict[str, str] = field(repr=False)

    @property
    def state(self) -> State:
        return self.running.state

    @property
    def ids(self) -> list[str]:
        return [s.id for s in self.state.fleet.servers]

    def id_of(self, name: str) -> str:
        return next(s.id for s in self.state.fleet.servers if s.name == name)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """`{p}` in the path is the project."""
        headers = self.headers | options.pop("headers", {})
        url = self.running.url + path.replace("{p}", self.running.project_id)
        return http().request(method, url, headers=headers, **options)

    def get(self, path: str, **params: str | int) -> httpx.Response:
        return self.request("GET", path, params=params)

    def reboot(self, servers: Iterable[str], kind: str = "SOFT") -> httpx.Response:
        body = {"reboot": {"type": kind, "servers": [{"id": s} for s in servers]}}
        return self.request("POST", "/v1/{p}/cloudservers/action", json=body)

    def rebooted(self, servers: Iterable[str], kind: str = "SOFT") -> str:
        """The job of a batch that must be accepted."""
        answer = self.reboot(servers, kind)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/{{p}}/jobs/{job_id}").json())

    def sub_jobs(self, job_id: str) -> dict[str, dict[str, Any]]:
        return {s["entities"]["server_id"]: s for s in self.job(job_id)["entities"]["sub_jobs"]}

    def listed(self, **params: str | int) -> dict[str, Any]:
        return dict(self.get("/v1/{p}/cloudservers/detail", **params).json())

    def show(self, server: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/{{p}}/cloudservers/{server}").json()["server"])

    def status(self, server: str) -> tuple[str, str | None]:
        shown = self.show(server)
        return shown["status"], shown["OS-EXT-STS:task_state"]

    def history(self, server: str) -> list[dict[str, Any]]:
        lines = self.get(f"/v2.1/{{p}}/servers/{server}/os-instance-actions").json()[
            "instanceActions"
        ]
        return [line for line in lines if line["action"] == "reboot"]

    def fault(self, **rule: Any) -> None:
        """Make one fault rule active; `for_` stands for `for`."""
        fields = {("for" if key == "for_" else key): value for key, value in rule.items()}
        self.state.add_rules(RULES.validate_python([fields]))

    def switch(self, **switches: Any) -> None:
        self.state.set_switches(Switches(**switches))

    def login(self) -> httpx.Response:
        answer = http().post(
            self.running.url + "/v3/auth/tokens", json=token_request(self.running.region)
        )
        self.headers["X-Auth-Token"] = answer.headers.get("X-Subject-Token", "")
        return answer


def token_request(region: str, **user: Any) -> dict[str, Any]:
    who = {"name": KEYS.user, "password": KEYS.password, "domain": {"name": KEYS.domain}} | user
    identity = {"methods": ["password"], "password": {"user": who}}
    return {"auth": {"identity": identity, "scope": {"project": {"name": region}}}}


@contextmanager
def simulated(
    servers: int = 20,
    *,
    switches: Mapping[str, Any] | None = None,
    fleet: SimulatedFleet | None = None,
    state_path: Path | None = None,
    control: bool = False,
    wall: Any = None,
    **fleet_options: Any,
) -> Iterator[Bench]:
    """A cloud in virtual time. `wall` (a function) replaces the real time that logins are
    judged by.
    """
    options = CloudOptions(
        fleet=fleet or FleetOptions(servers=servers, **fleet_options),
        credentials=KEYS,
        switches=Switches(**(switches or {})),
        control=control,
    )
    clock = VirtualClock()
    state = State(options, state_path=state_path, clock=clock, **({"wall": wall} if wall else {}))
    try:
        with serve_in_thread(state) as running:
            bench = Bench(running, clock, {})
            bench.login()
            yield bench
    finally:
        state.close()
