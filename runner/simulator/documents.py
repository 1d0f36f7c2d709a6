"""Servers as JSON: the object of the list and of the show call, quickly.

A list of 1,000 servers is about two megabytes. So a document is put together from a text template and kept until
the server changes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from runner.simulator.answers import compact
from runner.simulator.chance import pick_hex, pick_uuid
from runner.simulator.fleet import FleetServer
from runner.simulator.timeline import Millis, iso_micros, iso_seconds
from runner.simulator.world import View, World

KEEP_AT_MOST = 20_000
"""Servers whose documents are kept in memory (about 5 KB each)."""

_VM_STATES = {
    "ACTIVE": ("active", 1),
    "REBOOT": ("active", 1),
    "HARD_REBOOT": ("active", 1),
    "REBUILD": ("active", 1),
    "MIGRATING": ("active", 1),
    "BUILD": ("building", 0),
    "SHUTOFF": ("stopped", 4),
    "RESIZE": ("stopped", 4),
    "ERROR": ("error", 0),
    "DELETED": ("deleted", 0),
    "SHELVED": ("shelved", 4),
}
"""vm_state and power_state by status (table of server states; power states of the ECS page)."""


def _template(world: World) -> str:
    """The fields of a server that never change, as a format text with `%(name)s` places."""
    fleet = world.fleet
    body: dict[str, Any] = {
        "id": "%(id)s",
        "name": "<name>",
        "addresses": {
            fleet.vpc_id: [
                {
                    "version": "4",
                    "addr": "%(addr)s",
                    "primary": True,
                    "OS-EXT-IPS-MAC:mac_addr": "%(mac)s",
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS:port_id": "%(port)s",
                }
            ]
        },
        "flavor": {
            "disk": "0",
            "vcpus": "%(vcpus)s",
            "ram": "%(ram)s",
            "id": "%(flavor)s",
            "name": "%(flavor)s",
        },
        "accessIPv4": "",
        "accessIPv6": "",
        "progress": 0,
        "hostId": "%(host)s",
        "created": "%(created)s",
        "description": "",
        "config_drive": "",
        "tenant_id": fleet.project_id,
        "user_id": fleet.user_id,
        "key_name": "KeyPair-simulated",
        "os-extended-volumes:volumes_attached": [
            {"id": "%(volume)s", "delete_on_termination": "false", "device": "/dev/vda", "bootIndex": "0"}
        ],
        "OS-EXT-SRV-ATTR:host": "pod01.%(zone)s",
        "OS-EXT-SRV-ATTR:instance_name": "instance-%(instance)s",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": "nova%(number)s@1",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": "%(zone)s",
        "os:scheduler_hints": "<hints>",
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:user_data": "%(user_data)s",
        "OS-SRV-USG:launched_at": "%(launched)s",
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:launch_index": 0,
        "host_status": "UP",
        "OS-EXT-SRV-ATTR:reservation_id": "r-%(reservation)s",
        "OS-EXT-SRV-ATTR:hostname": "<name>",
        "OS-SRV-USG:terminated_at": None,
        "sys_tags": [{"key": "_sys_enterprise_project_id", "value": "%(project)s"}],
        "security_groups": [{"id": pick_uuid(fleet.options.seed, "security group"), "name": "default"}],
        "image": {"id": pick_uuid(fleet.options.seed, "image")},
        "hypervisor": None,
        "auto_terminate_time": "",
        "cpu_options": {"hw:cpu_threads": None},
        "enclave_options": {"enabled": False},
        "capacity_reservation_id": None,
        "capacity_reservation_specification": {"id": None, "preference": None},
        "security_options": {"tpm_enabled": None},
        "spod_id": None,
    }
    if world.switches.cloud == "huaweicloud":
        body["enterprise_project_id"] = "%(project)s"
    text = json.dumps(body, separators=(",", ":"))
    return text.replace('"<name>"', "%(name)s").replace('"<hints>"', "%(hints)s")


class Documents:
    """Server objects as bytes, kept as long as they are true."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._template = _template(world)
        self._cloud = world.switches.cloud
        metadata = {
            "charging_mode": "0",
            "metering.resourcetype": "1",
            "metering.imagetype": "gold",
            "image_name": "Simulated_Linux_12_64bit",
            "os_bit": "64",
            "os_type": "Linux",
            "vpc_id": world.fleet.vpc_id,
            "EcmResStatus": "normal",
        }
        self._normal = b',"metadata":' + compact(metadata) + b","
        self._frozen = b',"metadata":' + compact(metadata | {"EcmResStatus": "freeze"}) + b","
        self._kept: dict[str, tuple[View, bytes]] = {}
        self._tails: dict[str, bytes] = {}

    def fits(self, world: World) -> bool:
        """Whether these documents are of this world as it is switched now."""
        return self._world is world and self._cloud == world.switches.cloud

    def get(self, server_id: str, now: Millis) -> bytes:
        """The server's object at this moment. It must be one of the world's servers."""
        view = self._world.view(server_id, now)
        kept = self._kept.get(server_id)
        if kept is not None and kept[0] is view:
            return kept[1]
        document = self._head(view) + self._tail(server_id)
        if len(self._kept) < KEEP_AT_MOST or server_id in self._kept:
            self._kept[server_id] = (view, document)
        return document

    def _head(self, view: View) -> bytes:
        """The fields that move, without the closing brace."""
        vm_state, power_state = _VM_STATES.get(view.status, ("active", 0))
        fault = None if view.fault is None else view.fault | {"created": iso_seconds(view.fault["created"])}
        moving = {
            "status": view.status,
            "OS-EXT-STS:task_state": view.task_state,
            "OS-EXT-STS:vm_state": vm_state,
            "OS-EXT-STS:power_state": power_state,
            "updated": iso_seconds(view.updated),
            "locked": view.locked,
            "fault": fault,
            "tags": [f"{key}={value}" if value else key for key, value in view.tags],
        }
        return compact(moving)[:-1] + (self._frozen if view.frozen else self._normal)

    def _tail(self, server_id: str) -> bytes:
        """The fields that stay as they were created, and the closing brace."""
        tail = self._tails.get(server_id)
        if tail is None:
            tail = (self._template % self._places(self._world.servers[server_id])).encode()[1:]
            if len(self._tails) < KEEP_AT_MOST:
                self._tails[server_id] = tail
        return tail

    def _places(self, server: FleetServer) -> dict[str, object]:
        seed = self._world.fleet.options.seed
        h = pick_hex(seed, "document", server.id, digits=128)
        return {
            "id": server.id,
            "name": compact(server.name).decode(),
            "addr": _inside(server.address),
            "mac": f"fa:16:3e:{h[:2]}:{h[2:4]}:{h[4:6]}",
            "port": f"{h[6:14]}-{h[14:18]}-4{h[18:21]}-8{h[21:24]}-{h[24:36]}",
            "volume": f"{h[36:44]}-{h[44:48]}-4{h[48:51]}-8{h[51:54]}-{h[54:66]}",
            "host": h[66:122],
            "vcpus": server.vcpus,
            "ram": server.ram_mb,
            "flavor": _inside(server.flavor),
            "created": iso_seconds(server.created),
            "launched": iso_micros(server.created + 37_000),
            "instance": f"{server.index:08x}",
            "number": f"{int(h[122:124], 16):03d}",
            "zone": _inside(server.zone),
            "hints": compact({"group": [server.group]} if server.group else {}).decode(),
            "reservation": h[112:120],
            "project": _inside(server.enterprise_project),
            "user_data": _user_data(h),
        }


def _inside(text: str) -> str:
    """A text as it stands between the quotes of a JSON string. An inventory's words may hold anything."""
    return compact(text)[1:-1].decode()


def _user_data(h: str) -> str:
    """What such a field looks like in real answers: a script with a password hash, which nobody should keep."""
    script = f"#!/bin/bash\necho 'root:$6${h[:8]}${h[8:40]}' | chpasswd -e\n"
    return b64encode(script.encode()).decode()


_GHOST_FIELDS = (
    "name", "addresses", "flavor", "accessIPv4", "accessIPv6", "status", "progress", "hostId", "updated", "created",
    "metadata", "tags", "description", "locked", "config_drive", "tenant_id", "user_id", "key_name",
    "os-extended-volumes:volumes_attached", "OS-EXT-STS:task_state", "OS-EXT-STS:power_state",
    "OS-EXT-STS:vm_state", "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name",
    "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "os:scheduler_hints",
    "OS-EXT-SRV-ATTR:root_device_name", "OS-EXT-SRV-ATTR:ramdisk_id", "OS-EXT-SRV-ATTR:user_data",
    "OS-SRV-USG:launched_at", "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index", "host_status",
    "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:hostname", "OS-SRV-USG:terminated_at", "sys_tags",
    "security_groups", "image", "hypervisor", "auto_terminate_time", "cpu_options", "enclave_options",
    "capacity_reservation_id", "capacity_reservation_specification", "security_options", "spod_id",
)  # fmt: skip


def ghost(server_id: str) -> dict[str, Any]:
    """What the `server_id` filter answers for an id that does not exist: all null but `id` and `fault`."""
    fault = {"code": 404, "message": f"Instance[{server_id}] could not be found."}
    return {"id": server_id, **dict.fromkeys(_GHOST_FIELDS), "fault": fault}
