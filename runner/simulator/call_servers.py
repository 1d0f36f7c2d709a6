"""Reading servers and jobs: list, show, job query, action history, limits.

A list of 1,000 servers is about two megabytes, a job of as many 350 KB. So their documents are put together from text
templates and kept until the server or the job changes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from runner.simulator import events as ev
from runner.simulator.answers import Response, compact, ecs_error, flat_error, invalid, nova_error, ok
from runner.simulator.auth import Request
from runner.simulator.chance import pick_hex, pick_uuid
from runner.simulator.faults import RebootPart
from runner.simulator.fleet import FleetServer
from runner.simulator.lists import Query, after
from runner.simulator.state import WorldTurn
from runner.simulator.timeline import Millis, iso_micros, iso_millis, iso_seconds, length_millis
from runner.simulator.world import View, World

MOST_BY_ID = 100
"""About as many ids fit into a request line (page "Querying Details About ECSs", `server_id`)."""

_WIDER = {
    "ACTIVE": {"ACTIVE", "REBOOT", "HARD_REBOOT", "REBUILD", "MIGRATING", "RESIZE"},
    "SHUTOFF": {"SHUTOFF", "RESIZE", "REBUILD"},
    "ERROR": {"ERROR", "REBUILD"},
    "VERIFY_RESIZE": {"VERIFY_RESIZE", "REVERT_RESIZE"},
}
"""The status filter works on the stable state, so it returns servers on their way too (same page, `status`)."""


class ServerCalls:
    """The read calls. Keeps serialised servers and jobs between calls; `fits` tells when they are outdated."""

    def __init__(self, world: World) -> None:
        self.documents = Documents(world)
        self.jobs = JobDocuments(world.fleet.options.seed)

    def fits(self, world: World) -> bool:
        return self.documents.fits(world)

    def job(self, turn: WorldTurn, job_id: str) -> Response:
        """`GET /v1/{project_id}/jobs/{job_id}`. Unknown, not yet visible or expired: Common.0011."""
        job = turn.world.job(job_id, turn.now)
        if job is None:
            return flat_error("Common.0011", status=int(turn.world.switches.gone_job))
        return Response(200, self.jobs.get(job, turn.now))

    def list_servers(self, request: Request, turn: WorldTurn) -> Response:
        """`GET /v1/{project_id}/cloudservers/detail`: a page of the servers that match; `count` is their total."""
        query = Query(request, lambda name: invalid("limit or offset is invalid"))
        wanted = query.values
        world = turn.world
        if world.switches.cloud == "huaweicloud" and "server_id" in wanted:
            # All other filters are ignored; an id that does not exist comes back as a ghost.
            ids = list(dict.fromkeys(i for k, v in query.pairs if k == "server_id" for i in v.split(",") if i))
            if not 1 <= len(ids) <= MOST_BY_ID:
                raise invalid("too many values of server_id")
            return self._listing(request, turn, ids, len(ids))
        granted = world.switches.only_enterprise_project
        if granted is not None and wanted.get("enterprise_project_id") != granted:
            return ecs_error("Pdp.0001", "Policy does not allow ecs:cloudServers:list to be performed.")
        limit, page = query.number("limit", 25, 1, 1000), query.number("offset", 1, 0, None)
        found = _filtered(turn, wanted)
        start = (max(page, 1) - 1) * limit
        if "marker" in wanted and world.switches.cloud == "huaweicloud":
            start = after(found, wanted["marker"])
        shown = found[: max(0, len(found) - world.switches.unlisted)]
        return self._listing(request, turn, shown[start : start + limit], len(found))

    def _listing(self, request: Request, turn: WorldTurn, ids: list[str], total: int) -> Response:
        world, now = turn.world, turn.now
        bodies = b",".join(self.documents.get(i, now) if world.exists(i, now) else self.documents.ghost(i) for i in ids)
        number = request.request_id.encode()
        return Response(200, b'{"count":%d,"request_id":"%b","servers":[%b]}' % (total, number, bodies))

    def show(self, turn: WorldTurn, server_id: str) -> Response:
        """`GET /v1/{project_id}/cloudservers/{server_id}`; absent: 404 Ecs.0114."""
        if not turn.world.exists(server_id, turn.now):
            return ecs_error("Ecs.0114", f"Instance[{server_id}] could not be found.")
        return Response(200, b'{"server":' + self.documents.get(server_id, turn.now) + b"}")

    def limits(self, turn: WorldTurn) -> Response:
        """`GET /v1/{project_id}/cloudservers/limits`: quotas; only the group's are meant."""
        used = len(turn.world.roster(turn.now))
        return ok(
            {
                "absolute": {
                    "maxTotalInstances": max(1000, used),
                    "totalInstancesUsed": used,
                    "maxServerGroups": max(10, len(turn.world.fleet.groups)),
                    "totalServerGroupsUsed": len(turn.world.fleet.groups),
                    "maxServerGroupMembers": 16,
                }
            }
        )


def _filtered(turn: WorldTurn, wanted: Mapping[str, str]) -> list[str]:
    world, now = turn.world, turn.now
    found = world.roster(now)
    if flavor := wanted.get("flavor"):
        found = [i for i in found if world.servers[i].flavor == flavor]
    if name := wanted.get("name"):
        try:
            match = re.compile(name).search  # fuzzy: the value acts like a regular expression found anywhere
        except re.error:
            match = re.compile(re.escape(name)).search
        found = [i for i in found if match(world.servers[i].name)]
    if ip := wanted.get("ip"):
        found = [i for i in found if ip in world.servers[i].address]
    if world.switches.cloud == "huaweicloud":
        if ip := wanted.get("ip_eq"):
            found = [i for i in found if ip == world.servers[i].address]
        project = wanted.get("enterprise_project_id", "all_granted_eps")
        if project != "all_granted_eps":
            found = [i for i in found if world.servers[i].enterprise_project == project]
    if status := wanted.get("status"):
        statuses = _WIDER.get(status, {status})
        found = [i for i in found if world.view(i, now).status in statuses]
    if tag := wanted.get("tags"):
        found = [i for i in found if _has_tag(world.view(i, now), tag)]
    if tag := wanted.get("not-tags"):
        found = [i for i in found if not _has_tag(world.view(i, now), tag)]
    return found


def _has_tag(view: View, wanted: str) -> bool:
    """`key=value`, or `key` with any value."""
    key, equals, value = wanted.partition("=")
    return any(k == key and (not equals or v == value) for k, v in view.tags)


def actions(turn: WorldTurn, server_id: str) -> Response:
    """`GET /v2.1/{project_id}/servers/{server_id}/os-instance-actions`: newest first, its creation last."""
    world = turn.world
    if not turn.world.exists(server_id, turn.now):
        return nova_error(404, "itemNotFound", f"Instance {server_id} could not be found.")
    fleet = world.fleet
    seen_until = turn.now - length_millis(world.switches.history_lag)
    common = {"instance_uuid": server_id, "project_id": fleet.project_id, "user_id": fleet.user_id}

    def line(action: str, message: str | None, request_id: str, at: Millis) -> dict[str, Any]:
        start = iso_seconds(at)[:-1] + ".000000"
        return {"action": action, **common, "message": message, "request_id": request_id, "start_time": start}

    lines = []
    for accepted, part in reversed(world.reboots_of(server_id)):
        if part.begins <= seen_until:
            has_failed = part.sub_status == "FAIL" and part.ends is not None and part.ends <= seen_until
            lines.append(line("reboot", "Error" if has_failed else None, accepted.request_id, part.begins))
    lines.append(line("create", None, "", world.servers[server_id].created))
    return ok({"instanceActions": lines})


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


_MOVING = (
    *("status", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state"),
    *("updated", "locked", "tags"),
)


def _template(world: World) -> dict[str, Any]:
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
    return body


class Documents:
    """Server objects as bytes, kept as long as they are true."""

    def __init__(self, world: World) -> None:
        self._world = world
        body = _template(world)
        self._template = compact(body).decode().replace('"<name>"', "%(name)s").replace('"<hints>"', "%(hints)s")
        self._fields = body.keys() - {"id", "enterprise_project_id"}
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

    def ghost(self, server_id: str) -> bytes:
        """What the `server_id` filter answers for an id that does not exist: all null but `id` and `fault`."""
        fault = {"code": 404, "message": f"Instance[{server_id}] could not be found."}
        fields = dict.fromkeys(sorted([*_MOVING, *self._fields, "metadata"]))
        return compact({"id": server_id, **fields, "fault": fault})

    def _head(self, view: View) -> bytes:
        vm_state, power_state = _VM_STATES.get(view.status, ("active", 0))
        fault = None if view.fault is None else view.fault | {"created": iso_seconds(view.fault["created"])}
        tags = [f"{key}={value}" if value else key for key, value in view.tags]
        values = (view.status, view.task_state, vm_state, power_state, iso_seconds(view.updated), view.locked, tags)
        moving = dict(zip(_MOVING, values, strict=True))
        return compact({**moving, "fault": fault})[:-1] + (self._frozen if view.frozen else self._normal)

    def _tail(self, server_id: str) -> bytes:
        tail = self._tails.get(server_id)
        if tail is None:
            tail = (self._template % self._places(self._world.servers[server_id])).encode()[1:]
            if len(self._tails) < KEEP_AT_MOST:
                self._tails[server_id] = tail
        return tail

    def _places(self, server: FleetServer) -> dict[str, object]:
        seed = self._world.fleet.options.seed
        h = pick_hex(seed, "document", server.id, digits=128)
        # As in real answers: a script with a password hash, which nobody should keep.
        script = f"#!/bin/bash\necho 'root:$6${h[:8]}${h[8:40]}' | chpasswd -e\n"
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
            "user_data": b64encode(script.encode()).decode(),
        }


def _inside(text: str) -> str:
    """A text as it stands between the quotes of a JSON string. An inventory's words may hold anything."""
    return compact(text)[1:-1].decode()


# Types as recorded for a reboot; mind the plural of the parent.
PARENT_TYPE, SUB_TYPE = "serversAction", "serverActions"


class JobDocuments:
    """Jobs as bytes. A job of 1,000 servers is 350 KB, so each sub-job's text is made once for each state."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._jobs: dict[str, list[tuple[RebootPart, bytes, bytes]]] = {}

    def get(self, job: ev.AcceptedBatch, now: Millis) -> bytes:
        """The job at this moment: INIT without sub-jobs, RUNNING while they end one by one, SUCCESS or FAIL."""
        is_over = job.ends is not None and now >= job.ends
        if now < job.runs_from:
            return self._parent(job, "INIT", 0, b"", ended="")
        texts = self._jobs.get(job.job)
        if texts is None:
            texts = self._jobs[job.job] = [(part, *self._sub_job(job, part)) for part in job.parts]
        sub_jobs = b",".join(
            over if part.ends is not None and now >= part.ends else running
            for part, running, over in texts
            if part.is_listed
        )
        ended = iso_millis(job.ends) if is_over and job.ends is not None else ""
        return self._parent(job, job.status if is_over else "RUNNING", len(job.parts), sub_jobs, ended=ended)

    def _sub_job(self, job: ev.AcceptedBatch, part: RebootPart) -> tuple[bytes, bytes]:
        """A sub-job while it runs (no `error_code`, `end_time` empty), and once it is over."""
        entities: dict[str, str] = {"server_id": part.server}
        running: dict[str, object] = {
            "status": "RUNNING",
            "entities": entities,
            "job_id": "ff8080828" + pick_hex(self._seed, "sub job", job.job, part.server, digits=23),
            "job_type": SUB_TYPE,
            "begin_time": iso_millis(part.begins),
            "end_time": "",
        }
        if part.ends is None:
            text = compact(running)
            return text, text
        over = running | {"status": part.sub_status, "end_time": iso_millis(part.ends)}
        failed = part.sub_status == "FAIL"
        over |= {"error_code": part.code if failed else None, "fail_reason": part.reason if failed else None}
        if part.message is not None:
            over["entities"] = entities | {"errorcode_message": part.message}
        return compact(running), compact(over)

    def _parent(self, job: ev.AcceptedBatch, status: str, total: int, sub_jobs: bytes, *, ended: str) -> bytes:
        rest: dict[str, str | None] = {
            "job_id": job.job,
            "job_type": PARENT_TYPE,
            "begin_time": iso_millis(job.at),
            "end_time": ended,
        }
        if status == "SUCCESS":
            rest |= {"error_code": None, "fail_reason": None}
        elif status == "FAIL":
            rest |= {"error_code": "Common.0021", "fail_reason": "Sub job fail!"}
        head = b'{"status":"%b","entities":{"sub_jobs_total":%d,"sub_jobs":[%b]},' % (status.encode(), total, sub_jobs)
        return head + compact(rest)[1:]
