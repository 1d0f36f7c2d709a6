"""A simulated fleet that is a copy of another one: of an inventory in memory, or of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from runner.model.inventory import Inventory, PowerState, Server, Task
from runner.simulator.chance import pick_uuid
from runner.simulator.fleet import (
    FleetGroup,
    FleetOptions,
    FleetServer,
    SimulatedFleet,
    address,
    other_flavor,
)
from runner.simulator.scenario import ScenarioInvalid, read_document
from runner.simulator.timeline import Millis

_CREATED: Millis = 1_704_067_200_000  # 2024-01-01


class InventoryServer(BaseModel):
    """One server of an inventory file. Only `name` is needed; an id is made from the seed
    where none is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    id: str | None = Field(None, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    zone: str = ""
    flavor: str = ""
    tags: dict[str, str] = {}
    enterprise_project: str = "0"
    group: str | None = Field(None, description="Name of its anti-affinity group.")
    status: str = "ACTIVE"
    task_state: str | None = None
    locked: bool = False
    frozen: bool = False
    address: str | None = None


class InventoryFile(BaseModel):
    """`servers`, and the project they are in where it matters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    servers: Annotated[list[InventoryServer], FailFast()] = Field(min_length=1, max_length=200_000)
    project_id: str = Field("", pattern="^([0-9a-f]{32})?$")


def load_fleet(path: Path, options: FleetOptions) -> SimulatedFleet:
    """The fleet of an inventory file (YAML or JSON). `options` give seed, region and reboot times.

    Raises ScenarioInvalid with every finding at once.
    """
    document = read_document(path)
    try:
        inventory = InventoryFile.model_validate(
            {"servers": document} if isinstance(document, list) else document
        )
    except ValidationError as error:
        findings = [
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:50]
        ]
        raise ScenarioInvalid(path.name, findings) from error
    groups: dict[str, list[str]] = {}
    servers = []
    for index, server in enumerate(inventory.servers):
        server_id = server.id or pick_uuid(options.seed, "server", index)
        group = pick_uuid(options.seed, "group", server.group) if server.group else None
        if server.group:
            groups.setdefault(server.group, []).append(server_id)
        made = _server(
            server,
            index,
            server.status,
            server.task_state,
            id=server_id,
            zone=server.zone or f"{options.region}a",
            enterprise_project=server.enterprise_project,
            group=group,
            address=server.address or address(index),
        )
        servers.append(made)
    if len({s.id for s in servers}) < len(servers):
        raise ScenarioInvalid(path.name, ["two servers have the same id"])
    named = (
        FleetGroup(pick_uuid(options.seed, "group", name), name, tuple(ids))
        for name, ids in groups.items()
    )
    return _fleet(options, servers, named, inventory.project_id)


def _server(
    server: InventoryServer | Server, index: int, status: str, task: str | None, **own: Any
) -> FleetServer:
    flavor, vcpus, ram_mb = other_flavor(server.flavor)
    return FleetServer(
        index=index,
        name=server.name,
        flavor=flavor,
        vcpus=vcpus,
        ram_mb=ram_mb,
        tags=tuple(server.tags.items()),
        created=_CREATED,
        status=status,
        task_state=task,
        locked=server.locked,
        frozen=server.frozen,
        **own,
    )


_STATUS = {
    PowerState.RUNNING: "ACTIVE",
    PowerState.REBOOTING: "REBOOT",
    PowerState.ERROR: "ERROR",
    PowerState.UNKNOWN: "UNKNOWN",
}
_TASK = {None: None, Task.REBOOT: "rebooting", Task.STOP: "powering-off", Task.OTHER: "resizing"}


def fleet_of(inventory: Inventory, options: FleetOptions, project_id: str = "") -> SimulatedFleet:
    """A copy of what a target has now: same ids, names, zones, tags, groups and states."""
    servers = [
        _server(
            server,
            index,
            _STATUS.get(server.state, "SHUTOFF"),
            _TASK[server.task],
            id=server.id,
            zone=server.zone,
            enterprise_project=server.enterprise_project or "0",
            group=server.server_group,
            address=server.addresses[0] if server.addresses else address(index),
        )
        for index, server in enumerate(inventory.servers)
    ]
    groups = (FleetGroup(g.id, g.name, g.members, g.policies) for g in inventory.groups)
    return _fleet(options, servers, groups, project_id)


def _fleet(
    options: FleetOptions, servers: list[FleetServer], groups: Iterable[FleetGroup], project_id: str
) -> SimulatedFleet:
    """The fleet, named for its content: a state file must not go on with another one."""
    source = hashlib.sha256(repr(servers).encode()).hexdigest()
    return SimulatedFleet(
        replace(options, servers=len(servers)), tuple(servers), tuple(groups), source, project_id
    )
