"""Reading servers and jobs: list, show, job query, action history, limits."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from runner.simulator import events as ev
from runner.simulator.answers import Response, ecs_error, flat_error, invalid, nova_error, ok
from runner.simulator.auth import Request
from runner.simulator.chance import pick_hex, pick_uuid
from runner.simulator.faults import RebootPart
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
"""The status filter works on the stable state, so it returns servers on their way too (same
page, `status`).
"""

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


def show_job(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/jobs/{job_id}`. Unknown, not yet visible or expired: Common.0011."""
    job = turn.world.job(request.params["job"], turn.now)
    if job is None:
        return flat_error("Common.0011", status=int(turn.world.switches.gone_job))
    return ok(job_document(job, turn.world.fleet.options.seed, turn.now))


def list_servers(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/cloudservers/detail`: a page of the servers that match; `count`
    is their total.
    """
    query = Query(request, lambda name: invalid("limit or offset is invalid"))
    wanted = query.values
    world = turn.world
    if world.switches.cloud == "huaweicloud" and "server_id" in wanted:
        # All other filters are ignored; an id that does not exist comes back as a ghost.
        ids = list(
            dict.fromkeys(i for k, v in query.pairs if k == "server_id" for i in v.split(",") if i)
        )
        if not 1 <= len(ids) <= MOST_BY_ID:
            raise invalid("too many values of server_id")
        return _listing(request, turn, ids, len(ids))
    granted = world.switches.only_enterprise_project
    if granted is not None and wanted.get("enterprise_project_id") != granted:
        return ecs_error("Pdp.0001", "Policy does not allow ecs:cloudServers:list to be performed.")
    limit, page = query.number("limit", 25, 1, 1000), query.number("offset", 1, 0, None)
    found = _filtered(turn, wanted)
    start = (max(page, 1) - 1) * limit
    if "marker" in wanted and world.switches.cloud == "huaweicloud":
        start = after(found, wanted["marker"])
    shown = found[: max(0, len(found) - world.switches.unlisted)]
    return _listing(request, turn, shown[start : start + limit], len(found))


def _listing(request: Request, turn: WorldTurn, ids: list[str], total: int) -> Response:
    """A page. An id that does not exist comes back as a ghost: all null but `id` and `fault`."""
    world, now = turn.world, turn.now
    servers = []
    for server_id in ids:
        if world.exists(server_id, now):
            servers.append(server_document(world, server_id, now))
        else:
            fault = {"code": 404, "message": f"Instance[{server_id}] could not be found."}
            example = server_document(world, next(iter(world.servers)), now)
            example.pop("enterprise_project_id", None)
            servers.append({**dict.fromkeys(example), "id": server_id, "fault": fault})
    return ok({"count": total, "request_id": request.request_id, "servers": servers})


def show_server(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/cloudservers/{server_id}`; absent: 404 Ecs.0114."""
    server_id = request.params["server"]
    if not turn.world.exists(server_id, turn.now):
        return ecs_error("Ecs.0114", f"Instance[{server_id}] could not be found.")
    return ok({"server": server_document(turn.world, server_id, turn.now)})


def show_limits(request: Request, turn: WorldTurn) -> Response:
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
            match = re.compile(
                name
            ).search  # fuzzy: the value acts like a regular expression found anywhere
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


def list_actions(request: Request, turn: WorldTurn) -> Response:
    """`GET /v2.1/{project_id}/servers/{server_id}/os-instance-actions`: newest first, its
    creation last.
    """
    world, server_id = turn.world, request.params["server"]
    if not turn.world.exists(server_id, turn.now):
        return nova_error(404, "itemNotFound", f"Instance {server_id} could not be found.")
    fleet = world.fleet
    seen_until = turn.now - length_millis(world.switches.history_lag)
    common = {"instance_uuid": server_id, "project_id": fleet.project_id, "user_id": fleet.user_id}

    def line(action: str, message: str | None, request_id: str, at: Millis) -> dict[str, Any]:
        start = iso_seconds(at)[:-1] + ".000000"
        return {
            "action": action,
            **common,
            "message": message,
            "request_id": request_id,
            "start_time": start,
        }

    lines = []
    for accepted, part in reversed(world.reboots_of(server_id)):
        if part.begins <= seen_until:
            has_failed = (
                part.sub_status == "FAIL" and part.ends is not None and part.ends <= seen_until
            )
            lines.append(
                line("reboot", "Error" if has_failed else None, accepted.request_id, part.begins)
            )
    lines.append(line("create", None, "", world.servers[server_id].created))
    return ok({"instanceActions": lines})


def server_document(world: World, server_id: str, now: Millis) -> dict[str, Any]:
    """The server's object at this moment. It must be one of the world's servers."""
    fleet, server, view = world.fleet, world.servers[server_id], world.view(server_id, now)
    h = pick_hex(fleet.options.seed, "document", server.id, digits=128)
    # As in real answers: a script with a password hash, which nobody should keep.
    script = f"#!/bin/bash\necho 'root:$6${h[:8]}${h[8:40]}' | chpasswd -e\n"
    vm_state, power_state = _VM_STATES.get(view.status, ("active", 0))
    address = {
        "version": "4",
        "addr": server.address,
        "primary": True,
        "OS-EXT-IPS-MAC:mac_addr": f"fa:16:3e:{h[:2]}:{h[2:4]}:{h[4:6]}",
        "OS-EXT-IPS:type": "fixed",
        "OS-EXT-IPS:port_id": f"{h[6:14]}-{h[14:18]}-4{h[18:21]}-8{h[21:24]}-{h[24:36]}",
    }
    flavor = {"disk": "0", "vcpus": str(server.vcpus), "ram": str(server.ram_mb)}
    body: dict[str, Any] = {
        "status": view.status,
        "OS-EXT-STS:task_state": view.task_state,
        "OS-EXT-STS:vm_state": vm_state,
        "OS-EXT-STS:power_state": power_state,
        "updated": iso_seconds(view.updated),
        "locked": view.locked,
        "fault": None
        if view.fault is None
        else view.fault | {"created": iso_seconds(view.fault["created"])},
        "tags": [f"{key}={value}" if value else key for key, value in view.tags],
        "metadata": {
            "charging_mode": "0",
            "metering.resourcetype": "1",
            "metering.imagetype": "gold",
            "image_name": "Simulated_Linux_12_64bit",
            "os_bit": "64",
            "os_type": "Linux",
            "vpc_id": fleet.vpc_id,
            "EcmResStatus": "freeze" if view.frozen else "normal",
        },
        "id": server.id,
        "name": server.name,
        "addresses": {fleet.vpc_id: [address]},
        "flavor": {**flavor, "id": server.flavor, "name": server.flavor},
        "accessIPv4": "",
        "accessIPv6": "",
        "progress": 0,
        "hostId": h[66:122],
        "created": iso_seconds(server.created),
        "description": "",
        "config_drive": "",
        "tenant_id": fleet.project_id,
        "user_id": fleet.user_id,
        "key_name": "KeyPair-simulated",
        "os-extended-volumes:volumes_attached": [
            {
                "id": f"{h[36:44]}-{h[44:48]}-4{h[48:51]}-8{h[51:54]}-{h[54:66]}",
                "delete_on_termination": "false",
                "device": "/dev/vda",
                "bootIndex": "0",
            }
        ],
        "OS-EXT-SRV-ATTR:host": f"pod01.{server.zone}",
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.index:08x}",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": f"nova{int(h[122:124], 16):03d}@1",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": server.zone,
        "os:scheduler_hints": {"group": [server.group]} if server.group else {},
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:user_data": b64encode(script.encode()).decode(),
        "OS-SRV-USG:launched_at": iso_micros(server.created + 37_000),
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:launch_index": 0,
        "host_status": "UP",
        "OS-EXT-SRV-ATTR:reservation_id": f"r-{h[112:120]}",
        "OS-EXT-SRV-ATTR:hostname": server.name,
        "OS-SRV-USG:terminated_at": None,
        "sys_tags": [{"key": "_sys_enterprise_project_id", "value": server.enterprise_project}],
        "security_groups": [
            {"id": pick_uuid(fleet.options.seed, "security group"), "name": "default"}
        ],
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
        body["enterprise_project_id"] = server.enterprise_project
    return body


def job_document(job: ev.AcceptedBatch, seed: int, now: Millis) -> dict[str, Any]:
    """The job at this moment: INIT without sub-jobs, RUNNING while they end one by one,
    SUCCESS or FAIL.

    Page "Querying Job Execution Status"; types as recorded for a reboot, mind the plural of
    the parent.
    """
    is_over, has_begun = job.ends is not None and now >= job.ends, now >= job.runs_from
    status = (job.status if is_over else "RUNNING") if has_begun else "INIT"
    parts = job.parts if has_begun else ()
    sub_jobs = [_sub_job(job.job, part, seed, now) for part in parts if part.is_listed]
    body: dict[str, Any] = {
        "status": status,
        "entities": {"sub_jobs_total": len(parts), "sub_jobs": sub_jobs},
        "job_id": job.job,
        "job_type": "serversAction",
        "begin_time": iso_millis(job.at),
        "end_time": iso_millis(job.ends) if has_begun and is_over and job.ends is not None else "",
    }
    if status == "SUCCESS":
        body |= {"error_code": None, "fail_reason": None}
    elif status == "FAIL":
        body |= {"error_code": "Common.0021", "fail_reason": "Sub job fail!"}
    return body


def _sub_job(job_id: str, part: RebootPart, seed: int, now: Millis) -> dict[str, Any]:
    """A sub-job while it runs (no `error_code`, `end_time` empty), and once it is over."""
    entities = {"server_id": part.server}
    body: dict[str, Any] = {
        "status": "RUNNING",
        "entities": entities,
        "job_id": "ff8080828" + pick_hex(seed, "sub job", job_id, part.server, digits=23),
        "job_type": "serverActions",
        "begin_time": iso_millis(part.begins),
        "end_time": "",
    }
    if part.ends is not None and now >= part.ends:
        failed = part.sub_status == "FAIL"
        body |= {"status": part.sub_status, "end_time": iso_millis(part.ends)}
        body |= {
            "error_code": part.code if failed else None,
            "fail_reason": part.reason if failed else None,
        }
        if part.message is not None:
            entities["errorcode_message"] = part.message
    return body
