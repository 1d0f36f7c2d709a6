"""A fleet of servers from a seed: what the simulated project holds before anybody touches it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from runner.simulator.chance import pick_hex, pick_log_normal, pick_share, pick_uuid
from runner.simulator.timeline import Millis

GROUP_SIZE = 16
"""Most members of an anti-affinity group (documented default quota `maxServerGroupMembers`)."""

SHORTEST_REBOOT_S, LONGEST_REBOOT_S, USUAL_REBOOT_S = 15.0, 120.0, 36.0
"""One SOFT reboot was recorded (32.8 s); clients speak of 15 to 35 s for a power action.
The spread is a guess.
"""

_ROLES = (
    *("web", "api", "web", "db", "web", "batch", "web", "api", "web", "api"),
    *("web", "batch", "web", "api", "web", "db", "web", "batch", "web", "api"),
)
_FLAVORS = {
    "web": ("s6.large.2", 2, 4096),
    "api": ("c6.xlarge.2", 4, 8192),
    "db": ("m6.2xlarge.8", 8, 65536),
    "batch": ("s6.xlarge.4", 4, 16384),
}
_OTHER_FLAVOR = ("s6.large.2", 2, 4096)
_FIRST_CREATED: Millis = 1_704_067_200_000  # 2024-01-01
_YEAR: Millis = 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What a generated fleet looks like. Equal options give equal fleets, ids included.

    `servers`: up to 200,000. `zones`: 1 to 8. `reboot_seconds`: every reboot takes exactly
    this long (for benchmarks); None draws it for each server.
    """

    servers: int = 60
    seed: int = 1
    region: str = "eu-west-101"
    zones: int = 3
    reboot_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.servers <= 200_000:
            raise ValueError("a simulated fleet has 1 to 200,000 servers")
        if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", self.region):
            raise ValueError("a region is named in small letters, digits and hyphens")
        if not 1 <= self.zones <= 8:
            raise ValueError("a simulated region has 1 to 8 zones")
        if self.reboot_seconds is not None and not 0 < self.reboot_seconds <= 86_400:
            raise ValueError("a simulated reboot takes up to a day")


@dataclass(frozen=True, slots=True)
class FleetServer:
    """A server as it was created. What happens to it later is in the log."""

    index: int
    id: str
    name: str
    zone: str
    flavor: str
    vcpus: int
    ram_mb: int
    tags: tuple[tuple[str, str], ...]
    enterprise_project: str
    group: str | None
    address: str
    created: Millis
    status: str = "ACTIVE"
    task_state: str | None = None
    locked: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """An anti-affinity group with the ids of its members."""

    id: str
    name: str
    members: tuple[str, ...]
    policies: tuple[str, ...] = ("anti-affinity",)


@dataclass(frozen=True)
class SimulatedFleet:
    """The project, its servers in the order of their creation, and its groups."""

    options: FleetOptions
    servers: tuple[FleetServer, ...]
    groups: tuple[FleetGroup, ...]
    source: str = "seed"
    project_id: str = field(default="")

    def __post_init__(self) -> None:
        if not self.project_id:
            object.__setattr__(self, "project_id", pick_hex(self.options.seed, "project"))

    @cached_property
    def domain_id(self) -> str:
        return pick_hex(self.options.seed, "domain")

    @cached_property
    def user_id(self) -> str:
        return pick_hex(self.options.seed, "user")

    @cached_property
    def vpc_id(self) -> str:
        return pick_uuid(self.options.seed, "vpc")

    def newcomer(self, number: int) -> FleetServer:
        """The `number`-th server (from 0) that appears later, when somebody creates one."""
        return _server(self.options, len(self.servers) + number, 100_000 + number, "web")

    def reboot_millis(self, server_id: str, nth: int, kind: str) -> Millis:
        """How long the `nth` reboot of a server takes, from going down to being back.

        Each server has its own usual time (log-normal around 36 s, within 15 to 120 s) and
        varies by 8 % around it. HARD takes 70 % of it: nothing waits for the guest (a
        guess).
        """
        options = self.options
        if options.reboot_seconds is not None:
            return round(options.reboot_seconds * 1000)
        usual = pick_log_normal(USUAL_REBOOT_S, 0.22, options.seed, "reboot", server_id)
        seconds = usual * (0.92 + 0.16 * pick_share(options.seed, "reboot", server_id, nth))
        if kind == "HARD":
            seconds *= 0.7
        return round(1000 * min(LONGEST_REBOOT_S, max(SHORTEST_REBOOT_S, seconds)))


def generate(options: FleetOptions) -> SimulatedFleet:
    """The fleet of these options: web, api, db and batch servers, numbered, in prod and staging."""
    servers = []
    numbers: dict[str, int] = {}
    for index in range(options.servers):
        role = _ROLES[index % len(_ROLES)]
        numbers[role] = numbers.get(role, 0) + 1
        servers.append(_server(options, index, numbers[role], role))
    return SimulatedFleet(options, tuple(servers), tuple(_groups(options, servers)))


def _server(options: FleetOptions, index: int, number: int, role: str) -> FleetServer:
    seed = options.seed
    env = "staging" if number % 5 == 0 else "prod"
    tags = [("role", role), ("env", env), ("pool", f"{role}-{'ab'[(number // 2) % 2]}")]
    if number % 20 == 1:
        tags.append(("canary", "true"))
    flavor, vcpus, ram_mb = _FLAVORS[role]
    return FleetServer(
        index=index,
        id=pick_uuid(seed, "server", index),
        name=f"{role}-{number:03d}",
        zone=f"{options.region}{'abcdefgh'[number % options.zones]}",
        flavor=flavor,
        vcpus=vcpus,
        ram_mb=ram_mb,
        tags=tuple(tags),
        enterprise_project="0" if env == "prod" else pick_uuid(seed, "enterprise", env),
        group=pick_uuid(seed, "group", role, env, (number - 1) // GROUP_SIZE)
        if role in ("api", "db")
        else None,
        address=address(index),
        created=_FIRST_CREATED + int(_YEAR * pick_share(seed, "created", index)),
    )


def address(index: int) -> str:
    """A private IPv4 address for each index: 192.168.0.10 onwards, then 10.x for the many."""
    if index < 60_000:
        return f"192.168.{(index + 10) // 250}.{(index + 10) % 250 + 1}"
    return f"10.{index // 62_500}.{index // 250 % 250}.{index % 250 + 1}"


def other_flavor(name: str) -> tuple[str, int, int]:
    """Flavor, processors and memory in MB; a flavor that is not ours gets a plain shape."""
    for known in _FLAVORS.values():
        if known[0] == name:
            return known
    return (name or _OTHER_FLAVOR[0], *_OTHER_FLAVOR[1:])


def _groups(options: FleetOptions, servers: Iterable[FleetServer]) -> Iterator[FleetGroup]:
    members: dict[str, list[FleetServer]] = {}
    for server in servers:
        if server.group:
            members.setdefault(server.group, []).append(server)
    for number, (group_id, some) in enumerate(members.items(), start=1):
        tags = dict(some[0].tags)
        name = f"{tags['role']}-{tags['env']}-{number:02d}"
        yield FleetGroup(group_id, name, tuple(s.id for s in some))
