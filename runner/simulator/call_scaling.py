"""Auto Scaling groups and the provider's scheduled events. Which there are is what a scenario says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.simulator.answers import Reply, ecs_error, gateway_error, ok
from runner.simulator.auth import Request, query_pairs
from runner.simulator.call_servers import after, whole
from runner.simulator.chance import pick_uuid
from runner.simulator.events import Changed
from runner.simulator.state import Turn
from runner.simulator.timeline import iso_seconds


def list_groups(request: Request, turn: Turn) -> Reply:
    """`GET /autoscaling-api/v1/{project_id}/scaling_group`: pages by `start_number`, which counts records, and `limit`
    (page "Querying AS Groups")."""
    page = _window(request)
    if isinstance(page, Reply):
        return page
    start, limit = page
    groups = [_group(turn, name, changes) for name, changes in _groups(turn).items()]
    named = dict(query_pairs(request.query)).get("scaling_group_name", "")
    groups = [g for g in groups if named in g["scaling_group_name"]]
    cut = groups[start : start + limit]
    return ok({"limit": limit, "scaling_groups": cut, "total_number": len(groups), "start_number": start})


def list_members(request: Request, turn: Turn, group_id: str) -> Reply:
    """`GET …/scaling_group_instance/{scaling_group_id}/list`, paged likewise (page "Querying Instances in an AS
    Group").

    The code for a group that is none is a guess.
    """
    page = _window(request)
    if isinstance(page, Reply):
        return page
    start, limit = page
    for name, changes in _groups(turn).items():
        if _group_id(turn, name) == group_id:
            rows = [_member(turn, name, changes[0], server) for server in _members(turn, changes)]
            body = {"limit": limit, "total_number": len(rows), "start_number": start}
            return ok({**body, "scaling_group_instances": rows[start : start + limit]})
    return ecs_error("AS.2007", "The AS group does not exist.", status=404)


def list_events(request: Request, turn: Turn) -> Reply:
    """`GET /v3/{project_id}/instance-scheduled-events`: pages by `marker`, 1 to 100 each. One of the clouds has it.

    Fields as in the vendor's SDK (`EventResponse`); the words for types and states are a guess.
    """
    if turn.world.switches.cloud != "huaweicloud":
        text = "The API does not exist or has not been published in the environment."
        return gateway_error(404, "APIGW.0101", text, request.request_id)
    wanted = dict(query_pairs(request.query))
    limit = whole(wanted.get("limit", "20"), 1, 100)
    if limit is None:
        return _invalid("limit")
    events = [event for event in _events(turn) if _asked_for(event, wanted)]
    start = after([e["id"] for e in events], wanted["marker"]) if "marker" in wanted else 0
    page = events[start : start + limit]
    following = page[-1]["id"] if page and start + limit < len(events) else None
    return ok({"events": page, "page_info": {"next_marker": following}})


def _asked_for(event: dict[str, Any], wanted: dict[str, str]) -> bool:
    """By the filters `instance_id`, `type` and `state`, each a list with commas."""
    return all(event[key] in wanted[key].split(",") for key in ("instance_id", "type", "state") if key in wanted)


def _window(request: Request) -> tuple[int, int] | Reply:
    wanted = dict(query_pairs(request.query))
    start, limit = whole(wanted.get("start_number", "0"), 0, None), whole(wanted.get("limit", "20"), 0, 100)
    if start is None or limit is None:
        return _invalid("start_number" if start is None else "limit")
    return start, limit or 20


def _invalid(name: str) -> Reply:
    return ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": f"{name} is invalid"}])


def _groups(turn: Turn) -> dict[str, list[Changed]]:
    """The groups that are there now, by name, each with what made it."""
    found: dict[str, list[Changed]] = {}
    for change in turn.world.beside["scaling_group"]:
        if turn.world.is_on(change, turn.now):
            found.setdefault(change.values["scaling_group"], []).append(change)
    return found


def _members(turn: Turn, changes: list[Changed]) -> list[str]:
    found = dict.fromkeys(server for change in changes for server in change.servers)
    return [server for server in found if turn.world.exists(server, turn.now)]


def _group_id(turn: Turn, name: str) -> str:
    return pick_uuid(turn.world.fleet.options.seed, "scaling group", name)


def _group(turn: Turn, name: str, changes: list[Changed]) -> dict[str, Any]:
    number, newest = len(_members(turn, changes)), changes[-1]
    return {
        "networks": [{"id": turn.world.fleet.vpc_id, "ipv6_enable": False}],
        "available_zones": sorted({turn.world.servers[s].zone for c in changes for s in c.servers}),
        "detail": None,
        "scaling_group_name": name,
        "scaling_group_id": _group_id(turn, name),
        "scaling_group_status": "INSERVICE",
        "scaling_configuration_id": pick_uuid(turn.world.fleet.options.seed, "scaling configuration", name),
        "scaling_configuration_name": name,
        "current_instance_number": number,
        "desire_instance_number": number,
        "min_instance_number": 0,
        "max_instance_number": max(300, number),
        "cool_down_time": 300,
        "lb_listener_id": None,
        "security_groups": [],
        "create_time": iso_seconds(changes[0].at),
        "vpc_id": turn.world.fleet.vpc_id,
        "health_periodic_audit_method": "NOVA_AUDIT",
        "health_periodic_audit_time": newest.values["audit_minutes"],
        "health_periodic_audit_grace_period": 600,
        "instance_terminate_policy": "OLD_CONFIG_OLD_INSTANCE",
        "is_scaling": newest.values["is_scaling"],
        "delete_publicip": False,
        "notifications": [],
        "enterprise_project_id": "0",
        "multi_az_priority_policy": "EQUILIBRIUM_DISTRIBUTE",
    }


def _member(turn: Turn, name: str, first: Changed, server: str) -> dict[str, Any]:
    return {
        "instance_id": server,
        "scaling_group_id": _group_id(turn, name),
        "scaling_group_name": name,
        "life_cycle_state": "INSERVICE",
        "health_status": "NORMAL",
        "scaling_configuration_name": name,
        "scaling_configuration_id": pick_uuid(turn.world.fleet.options.seed, "scaling configuration", name),
        "create_time": iso_seconds(first.at),
        "instance_name": turn.world.servers[server].name,
        "protect_from_scaling_down": False,
    }


def _events(turn: Turn) -> Iterator[dict[str, Any]]:
    for change in turn.world.beside["scheduled_event"]:
        if not turn.world.is_on(change, turn.now):
            continue
        begins = change.at + change.values["begins"]
        for server in change.servers:
            if turn.world.exists(server, turn.now):
                yield {
                    "id": pick_uuid(turn.world.fleet.options.seed, "event", change.at, server),
                    "type": change.values["scheduled_event"],
                    "state": change.values["state"],
                    "publish_time": iso_seconds(change.at),
                    "start_time": None,
                    "finish_time": None,
                    "not_before": iso_seconds(begins),
                    "not_after": iso_seconds(begins + change.values["lasts"]),
                    "not_before_deadline": None,
                    "description": "",
                    "instance_id": server,
                    "execute_options": {},
                    "source": {"type": "platform", "host_scheduled_event_id": None},
                }
