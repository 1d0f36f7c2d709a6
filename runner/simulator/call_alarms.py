"""Cloud Eye: alarm rules and the records of alarms. What is on is what a scenario put on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any

from runner.simulator.answers import Reply, compact, ok
from runner.simulator.auth import Request, query_pairs
from runner.simulator.call_servers import whole
from runner.simulator.chance import pick_hex
from runner.simulator.events import Changed
from runner.simulator.state import Turn
from runner.simulator.timeline import Millis, from_millis

NAMESPACE = "SYS.ECS"
_METRIC = "cpu_util"
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


def list_alarms(request: Request, turn: Turn) -> Reply:
    """`GET /V1.0/{project_id}/alarms`: pages by `limit` and `start` (page "Querying Alarm Rules")."""
    wanted = dict(query_pairs(request.query))
    limit = whole(wanted.get("limit", "100"), 1, 100)
    if limit is None or wanted.get("order", "desc") not in ("asc", "desc"):
        return _wrong("limit" if limit is None else "order")
    rules = list(_rules(turn))
    numbers = [rule["alarm_id"] for rule in rules]
    start = numbers.index(wanted["start"]) + 1 if wanted.get("start") in numbers else 0
    page = rules[start : start + limit]
    marker = page[-1]["alarm_id"] if page else ""
    return ok({"metric_alarms": page, "meta_data": {"count": len(page), "marker": marker, "total": len(rules)}})


def list_records(request: Request, turn: Turn) -> Reply:
    """`GET /v2/{project_id}/alarm-histories`: the newest first (page "Querying Alarm Records")."""
    pairs = query_pairs(request.query)
    wanted = dict(pairs)
    limit, offset = whole(wanted.get("limit", "100"), 1, 100), whole(wanted.get("offset", "0"), 0, 999)
    statuses = {value for key, value in pairs if key == "status"}
    if limit is None or offset is None or not statuses <= _STATUSES:
        return _wrong("limit" if limit is None else "offset" if offset is None else "status")
    rules = {value for key, value in pairs if key == "alarm_id"}
    found = [
        record
        for record in _records(turn)
        if (not statuses or record["status"] in statuses)
        and (not rules or record["alarm_id"] in rules)
        and wanted.get("namespace", NAMESPACE) == NAMESPACE
        and wanted.get("alarm_type", "metric") == "metric"
        and wanted.get("resource_id", record["additional_info"]["resource_id"])
        == record["additional_info"]["resource_id"]
    ]
    return ok({"alarm_histories": found[offset : offset + limit], "count": len(found)})


def _wrong(name: str) -> Reply:
    """Shape (h) of errors: Cloud Eye's own."""
    details = {"details": f"The parameter {name} is invalid.", "code": "ces.0013"}
    body = {"code": 400, "element": name, "message": "The parameter is invalid.", "details": details}
    return Reply(400, compact(body), code="ces.0013")


def _rules(turn: Turn) -> Iterator[dict[str, Any]]:
    """A rule for each server that ever had an alarm, and one for each alarm that is shared."""
    rules: dict[str, dict[str, Any]] = {}
    for change in turn.world.beside["alarm"]:
        is_on = turn.world.is_on(change, turn.now)
        for server in change.servers[:1] if change.values["shared"] else change.servers:
            number = _rule_id(turn, change, server)
            rule = rules.setdefault(number, _rule(number, change, "" if change.values["shared"] else server))
            if is_on:
                rule["alarm_state"] = "alarm"
            if change.at <= turn.now:
                rule["update_time"] = change.at
    yield from rules.values()


def _rule(number: str, change: Changed, server: str) -> dict[str, Any]:
    return {
        "alarm_name": change.values["alarm"],
        "alarm_description": "",
        "metric": {
            "namespace": NAMESPACE,
            "dimensions": [{"name": "instance_id", "value": server}] if server else [],
            "metric_name": _METRIC,
        },
        "condition": _CONDITION,
        "alarm_enabled": True,
        "alarm_level": 2,
        "alarm_type": "MULTI_INSTANCE" if server else "ALL_INSTANCE",
        "alarm_action_enabled": False,
        "alarm_id": number,
        "update_time": change.at,
        "alarm_state": "ok",
    }


def _records(turn: Turn) -> Iterator[dict[str, Any]]:
    for change in reversed(turn.world.beside["alarm"]):
        if change.at > turn.now:
            continue
        is_on = turn.world.is_on(change, turn.now)
        for server in change.servers:
            yield {
                "record_id": "ah" + pick_hex(turn.world.fleet.options.seed, "record", change.at, server, digits=22),
                "alarm_id": _rule_id(turn, change, server),
                "name": change.values["alarm"],
                "status": "alarm" if is_on else "ok",
                "level": 2,
                "type": "ALL_INSTANCE" if change.values["shared"] else "MULTI_INSTANCE",
                "action_enabled": False,
                "begin_time": _local(change.at),
                "end_time": _local(change.until) if change.until is not None and not is_on else "",
                "metric": {
                    "namespace": NAMESPACE,
                    "metric_name": _METRIC,
                    "dimensions": [{"name": "instance_id", "value": server}],
                },
                "condition": {**_CONDITION, "suppress_duration": 3600},
                "additional_info": {"resource_id": server, "resource_name": "", "event_id": ""},
                "alarm_actions": [],
                "ok_actions": [],
                "data_points": [{"time": _local(change.at), "value": 97.5}],
            }


def _rule_id(turn: Turn, change: Changed, server: str) -> str:
    whose = "" if change.values["shared"] else server
    return "al" + pick_hex(turn.world.fleet.options.seed, "alarm", change.values["alarm"], whose, digits=22)


def _local(at: Millis) -> str:
    """`2024-02-11T05:48:08+08:00`: version 2 writes times of its own zone."""
    return from_millis(at).astimezone(_ZONE).isoformat(timespec="seconds")
