"""Lists besides that of servers: server groups, tags, Cloud Eye, Auto Scaling and the
provider's scheduled events.

What is on, scaled or planned is what a scenario says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta, timezone
from typing import Any

from runner.simulator.answers import Declined, Response, compact, ecs_error, invalid, ok
from runner.simulator.auth import Request, query_pairs
from runner.simulator.chance import pick_hex, pick_uuid
from runner.simulator.events import Changed
from runner.simulator.fleet import FleetGroup
from runner.simulator.state import WorldTurn
from runner.simulator.timeline import Millis, from_millis, iso_seconds

NAMESPACE = "SYS.ECS"
_CONDITION = {
    "period": 300,
    "filter": "average",
    "comparison_operator": ">=",
    "value": 90,
    "unit": "%",
    "count": 3,
}
_ZONE = timezone(timedelta(hours=8))
_STATUSES = frozenset({"ok", "alarm", "invalid", "insufficient_data", "ok_manual"})


def whole(text: str, least: int, most: int | None) -> int | None:
    """Return a number within bounds; None for a text that is none."""
    if not text.isdecimal() or len(text) > 9:
        return None
    number = int(text)
    return number if number >= least and (most is None or number <= most) else None


def after(ids: list[str], marker: str | None) -> int:
    """The position after the marker. A marker that is no longer listed gives the first page
    (a guess).
    """
    return ids.index(marker) + 1 if marker in ids else 0


class Query:
    """The parameters of a list. `refuse` words the answer to a wrong one."""

    def __init__(
        self,
        request: Request,
        refuse: Callable[[str], Declined] = lambda name: invalid(f"{name} is invalid"),
    ) -> None:
        self.pairs = query_pairs(request.query)
        self.values = dict(self.pairs)
        self.refuse = refuse

    def get(self, name: str, usual: str = "") -> str:
        return self.values.get(name, usual)

    def number(self, name: str, usual: int, least: int, most: int | None) -> int:
        """Raises Declined for what is no number within the bounds."""
        found = whole(self.get(name, str(usual)), least, most)
        if found is None:
            raise self.refuse(name)
        return found

    def all(self, name: str) -> set[str]:
        return {value for key, value in self.pairs if key == name}


def _seed(turn: WorldTurn) -> int:
    return turn.world.fleet.options.seed


def list_server_groups(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/cloudservers/os-server-groups`: pages by `limit` and `marker`."""
    query = Query(request)
    limit = query.number("limit", 1000, 1, 1000)
    groups = turn.world.fleet.groups
    start = after([g.id for g in groups], query.get("marker"))
    page = groups[start : start + limit]
    body: dict[str, Any] = {"server_groups": [_server_group(g, turn) for g in page]}
    if turn.world.switches.cloud == "huaweicloud":
        is_last = start + limit >= len(groups)
        body["page_info"] = {"next_marker": None if is_last or not page else page[-1].id}
    return ok(body)


def show_server_group(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/cloudservers/os-server-groups/{id}`."""
    for group in turn.world.fleet.groups:
        if group.id == request.params["group"]:
            return ok({"server_group": _server_group(group, turn)})
    return ecs_error("Ecs.0313", status=404)


def _server_group(group: FleetGroup, turn: WorldTurn) -> dict[str, Any]:
    return {
        "members": [m for m in group.members if turn.world.exists(m, turn.now)],
        "metadata": {},
        "id": group.id,
        "policies": list(group.policies),
        "name": group.name,
    }


def server_tags(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/cloudservers/{server_id}/tags`."""
    server_id = request.params["server"]
    if not turn.world.exists(server_id, turn.now):
        return ecs_error("Ecs.0114", f"Instance[{server_id}] could not be found.")
    return ok({"tags": _tags(turn, server_id)})


def _tags(turn: WorldTurn, server_id: str) -> list[dict[str, str]]:
    return [{"key": k, "value": v} for k, v in turn.world.view(server_id, turn.now).tags]


def project_tags(request: Request, turn: WorldTurn) -> Response:
    """`GET /v1/{project_id}/cloudservers/tags`: every key with its values."""
    values: dict[str, dict[str, None]] = {}
    for server in turn.world.roster(turn.now):
        for key, value in turn.world.view(server, turn.now).tags:
            values.setdefault(key, {})[value] = None
    return ok({"tags": [{"key": k, "values": list(v)} for k, v in values.items()]})


def query_tags(request: Request, turn: WorldTurn) -> Response:
    """`POST …/resource_instances/action`: AND between keys, OR between values of a key;
    `offset` counts records.

    Raises Declined for a query that is not as the page "Querying ECSs by Tag" has it.
    """
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError):
        raise invalid("the body is no JSON") from None
    if not isinstance(asked, dict) or asked.get("action") not in ("filter", "count"):
        raise invalid("action must be filter or count")
    for key, most in (("limit", 1000), ("offset", None)):
        if key in asked and (not isinstance(asked[key], str) or whole(asked[key], 0, most) is None):
            raise invalid(f"{key} must be a number written as a string")
    tags, unwanted = (_checked_tags(asked, key) for key in ("tags", "not_tags"))
    matches = asked.get("matches", [])
    if not isinstance(matches, list):
        raise invalid("matches knows resource_name only")
    asked_names = [
        m.get("value") for m in matches if isinstance(m, dict) and m.get("key") == "resource_name"
    ]
    names = [name for name in asked_names if isinstance(name, str)]
    if len(names) < len(matches):
        raise invalid("matches knows resource_name only")
    world = turn.world

    def is_wanted(server: str) -> bool:
        own = dict(world.view(server, turn.now).tags)
        return (
            all(name in world.servers[server].name for name in names)
            and all(_has_values(own, t) for t in tags)
            and not (unwanted and all(_has_values(own, t) for t in unwanted))
        )

    found = [server for server in world.roster(turn.now) if is_wanted(server)]
    if asked["action"] == "count":
        return ok({"total_count": len(found)})
    start, limit = int(asked.get("offset", "0")), int(asked.get("limit", "1000"))
    resources = [
        {
            "resource_detail": None,
            "resource_id": server,
            "resource_name": world.servers[server].name,
            "tags": _tags(turn, server),
        }
        for server in found[start : start + limit]
    ]
    return ok({"resources": resources, "total_count": len(found)})


def _checked_tags(asked: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tags = asked.get(name, [])
    if not isinstance(tags, list) or len(tags) > 10:
        raise invalid(f"{name}: at most 10 keys")
    keys = [t.get("key") if isinstance(t, dict) else None for t in tags]
    if not all(isinstance(k, str) and k for k in keys) or len(set(keys)) < len(keys):
        raise invalid(f"{name}: keys must be given, each once")
    for tag in tags:
        values = tag.get("values")
        if (
            not isinstance(values, list)
            or len(values) > 10
            or len({str(v) for v in values}) < len(values)
        ):
            raise invalid(f"{name}: at most 10 values, each once")
    return tags


def _has_values(tags: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    value = tags.get(wanted["key"])
    return value is not None and (not wanted["values"] or value in wanted["values"])


def list_alarms(request: Request, turn: WorldTurn) -> Response:
    """`GET /V1.0/{project_id}/alarms`: pages by `limit` and `start` (page "Querying Alarm Rules").

    A rule for each server that ever had an alarm, and one for each alarm that is shared.
    """
    query = Query(request, _wrong_for_cloud_eye)
    limit = query.number("limit", 100, 1, 100)
    if query.get("order", "desc") not in ("asc", "desc"):
        raise query.refuse("order")
    rules: dict[str, dict[str, Any]] = {}
    for change in turn.world.beside["alarm"]:
        shared = change.values["shared"]
        for server in change.servers[:1] if shared else change.servers:
            number = _rule_id(turn, change, server)
            rule = rules.setdefault(number, _rule(number, change, "" if shared else server))
            if change.is_on(turn.now):
                rule["alarm_state"] = "alarm"
            if change.at <= turn.now:
                rule["update_time"] = change.at
    start = after(list(rules), query.get("start"))
    page = list(rules.values())[start : start + limit]
    marker = page[-1]["alarm_id"] if page else ""
    return ok(
        {
            "metric_alarms": page,
            "meta_data": {"count": len(page), "marker": marker, "total": len(rules)},
        }
    )


def list_records(request: Request, turn: WorldTurn) -> Response:
    """`GET /v2/{project_id}/alarm-histories`: the newest first (page "Querying Alarm Records")."""
    query = Query(request, _wrong_for_cloud_eye)
    limit, offset = query.number("limit", 100, 1, 100), query.number("offset", 0, 0, 999)
    statuses, rules = query.all("status"), query.all("alarm_id")
    if not statuses <= _STATUSES:
        raise query.refuse("status")
    is_metric = (
        query.get("alarm_type", "metric") == "metric"
        and query.get("namespace", NAMESPACE) == NAMESPACE
    )
    found = [
        record
        for record in (_records(turn) if is_metric else ())
        if (not statuses or record["status"] in statuses)
        and (not rules or record["alarm_id"] in rules)
        and query.values.get("resource_id") in (None, record["additional_info"]["resource_id"])
    ]
    return ok({"alarm_histories": found[offset : offset + limit], "count": len(found)})


def _wrong_for_cloud_eye(name: str) -> Declined:
    """Shape (h) of errors: Cloud Eye's own."""
    details = {"details": f"The parameter {name} is invalid.", "code": "ces.0013"}
    body = {
        "code": 400,
        "element": name,
        "message": "The parameter is invalid.",
        "details": details,
    }
    return Declined(Response(400, compact(body), code="ces.0013"))


def _metric(server: str) -> dict[str, Any]:
    dimensions = [{"name": "instance_id", "value": server}] if server else []
    return {"namespace": NAMESPACE, "dimensions": dimensions, "metric_name": "cpu_util"}


def _rule(number: str, change: Changed, server: str) -> dict[str, Any]:
    return {
        "alarm_name": change.values["alarm"],
        "alarm_description": "",
        "metric": _metric(server),
        "condition": _CONDITION,
        "alarm_enabled": True,
        "alarm_level": 2,
        "alarm_type": "MULTI_INSTANCE" if server else "ALL_INSTANCE",
        "alarm_action_enabled": False,
        "alarm_id": number,
        "update_time": change.at,
        "alarm_state": "ok",
    }


def _records(turn: WorldTurn) -> Iterator[dict[str, Any]]:
    for change in reversed(turn.world.beside["alarm"]):
        if change.at > turn.now:
            continue
        is_on = change.is_on(turn.now)
        for server in change.servers:
            yield {
                "record_id": "ah" + pick_hex(_seed(turn), "record", change.at, server, digits=22),
                "alarm_id": _rule_id(turn, change, server),
                "name": change.values["alarm"],
                "status": "alarm" if is_on else "ok",
                "level": 2,
                "type": "ALL_INSTANCE" if change.values["shared"] else "MULTI_INSTANCE",
                "action_enabled": False,
                "begin_time": _local(change.at),
                "end_time": _local(change.until) if change.until is not None and not is_on else "",
                "metric": _metric(server),
                "condition": {**_CONDITION, "suppress_duration": 3600},
                "additional_info": {"resource_id": server, "resource_name": "", "event_id": ""},
                "alarm_actions": [],
                "ok_actions": [],
                "data_points": [{"time": _local(change.at), "value": 97.5}],
            }


def _rule_id(turn: WorldTurn, change: Changed, server: str) -> str:
    whose = "" if change.values["shared"] else server
    return "al" + pick_hex(_seed(turn), "alarm", change.values["alarm"], whose, digits=22)


def _local(at: Millis) -> str:
    """`2024-02-11T05:48:08+08:00`: version 2 writes times of its own zone."""
    return from_millis(at).astimezone(_ZONE).isoformat(timespec="seconds")


def list_scaling_groups(request: Request, turn: WorldTurn) -> Response:
    """`GET /autoscaling-api/v1/{project_id}/scaling_group`: pages by `start_number`, which
    counts records, and `limit` (page "Querying AS Groups").
    """
    query = Query(request)
    window = _window(query)
    named = {
        n: changes
        for n, changes in _scaling_groups(turn).items()
        if query.get("scaling_group_name") in n
    }
    return _scaling_page(
        window, "scaling_groups", [_scaling_group(turn, n, changes) for n, changes in named.items()]
    )


def list_scaling_members(request: Request, turn: WorldTurn) -> Response:
    """`GET …/scaling_group_instance/{scaling_group_id}/list`, paged likewise (page "Querying
    Instances in an AS Group").

    The code for a group that is none is a guess.
    """
    window = _window(Query(request))
    for name, changes in _scaling_groups(turn).items():
        group = _scaling_identity(turn, name)
        if group["scaling_group_id"] == request.params["group"]:
            rows = [
                {
                    "instance_id": server,
                    **group,
                    "life_cycle_state": "INSERVICE",
                    "health_status": "NORMAL",
                    "create_time": iso_seconds(changes[0].at),
                    "instance_name": turn.world.servers[server].name,
                    "protect_from_scaling_down": False,
                }
                for server in _scaling_members(turn, changes)
            ]
            return _scaling_page(window, "scaling_group_instances", rows)
    return ecs_error("AS.2007", "The AS group does not exist.", status=404)


def _window(query: Query) -> tuple[int, int]:
    return query.number("start_number", 0, 0, None), query.number("limit", 20, 0, 100) or 20


def _scaling_page(window: tuple[int, int], name: str, rows: Sequence[dict[str, Any]]) -> Response:
    start, limit = window
    return ok(
        {
            "limit": limit,
            name: rows[start : start + limit],
            "total_number": len(rows),
            "start_number": start,
        }
    )


def _scaling_groups(turn: WorldTurn) -> dict[str, list[Changed]]:
    found: dict[str, list[Changed]] = {}
    for change in turn.world.beside["scaling_group"]:
        if change.is_on(turn.now):
            found.setdefault(change.values["scaling_group"], []).append(change)
    return found


def _scaling_members(turn: WorldTurn, changes: list[Changed]) -> list[str]:
    found = dict.fromkeys(server for change in changes for server in change.servers)
    return [server for server in found if turn.world.exists(server, turn.now)]


def _scaling_identity(turn: WorldTurn, name: str) -> dict[str, Any]:
    return {
        "scaling_group_name": name,
        "scaling_group_id": pick_uuid(_seed(turn), "scaling group", name),
        "scaling_configuration_id": pick_uuid(_seed(turn), "scaling configuration", name),
        "scaling_configuration_name": name,
    }


def _scaling_group(turn: WorldTurn, name: str, changes: list[Changed]) -> dict[str, Any]:
    number, newest = len(_scaling_members(turn, changes)), changes[-1]
    return {
        **_scaling_identity(turn, name),
        "networks": [{"id": turn.world.fleet.vpc_id, "ipv6_enable": False}],
        "available_zones": sorted({turn.world.servers[s].zone for c in changes for s in c.servers}),
        "detail": None,
        "scaling_group_status": "INSERVICE",
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


def list_events(request: Request, turn: WorldTurn) -> Response:
    """`GET /v3/{project_id}/instance-scheduled-events`: pages by `marker`, 1 to 100 each. One
    of the clouds has it.

    Fields as in the vendor's SDK (`EventResponse`); the words for types and states are a
    guess. Filters are `instance_id`, `type` and `state`, each a list with commas.
    """
    query = Query(request)
    limit = query.number("limit", 20, 1, 100)
    filters = [
        (key, query.get(key).split(","))
        for key in ("instance_id", "type", "state")
        if key in query.values
    ]
    events = [
        event for event in _events(turn) if all(event[key] in values for key, values in filters)
    ]
    start = after([e["id"] for e in events], query.get("marker"))
    page = events[start : start + limit]
    following = page[-1]["id"] if page and start + limit < len(events) else None
    return ok({"events": page, "page_info": {"next_marker": following}})


def _events(turn: WorldTurn) -> Iterator[dict[str, Any]]:
    for change in turn.world.beside["scheduled_event"]:
        if not change.is_on(turn.now):
            continue
        begins = change.at + change.values["begins"]
        for server in change.servers:
            if turn.world.exists(server, turn.now):
                yield {
                    "id": pick_uuid(_seed(turn), "event", change.at, server),
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
