"""Which servers an alarm of Cloud Eye is on for.

Alarm rules tell their state ("Querying Alarm Rules", `metric_alarms[].alarm_state`), and the server by the dimension
`instance_id` of their metric. A rule over several or all servers names none: which of them are meant is in the records
of alarms that are on ("Querying Alarm Records", `alarm_histories[]`, filters `namespace`, `alarm_id`, `status` and
`alarm_type`). Both are read. Alarms on events are left out: a reboot is such an event, and events do not end. Whatever
is not as documented means that nobody can tell, never that there is no alarm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import CloudError
from runner.net.text import tidy

PAGE = 100
"""The most of one answer ("Querying Alarm Rules", `limit`)."""
MOST_PAGES = 100
MOST_RECORDS = 1_000
"""`offset` ends at 999 ("Querying Alarm Records")."""
NAMESPACES = ("SYS.ECS", "AGT.ECS")
"""Metrics and events of servers: of the hypervisor, and of the agent inside."""
STATES = frozenset({"ok", "alarm", "insufficient_data"})
_NAME = 100

Get = Callable[..., Awaitable[Any]]
"""(path, *query) -> the JSON of a good answer. Raises CloudError, CloudDenied."""


async def alarming(get: Get, project_id: str, ids: Collection[str]) -> dict[str, str]:
    """Server id -> the name of an alarm that is on for it. Rules that are switched off count for nothing.

    Raises CloudError where a rule is in alarm and nobody says for which servers, and for answers of another shape.
    """
    rules = await _rules(get, project_id)
    off = {str(r.get("alarm_id")) for r in rules if r.get("alarm_enabled") is False}
    records: list[_Record] = []
    for namespace in NAMESPACES:
        records += await _records(get, project_id, ("namespace", namespace))
    on = {r.server: r.name for r in records if r.rule not in off}
    for rule in rules:
        if rule.get("alarm_enabled") is not False and _is_on(rule):
            number, server = str(rule.get("alarm_id") or ""), _server(rule.get("metric"))
            if server:
                on[server] = _name(rule)
            elif number not in {r.rule for r in records}:
                on |= await _of_rule(get, project_id, number, _name(rule))
    return {i: on[i] for i in ids if i in on}


def _is_on(rule: Mapping[str, Any]) -> bool:
    """Whether a rule that can be about servers is in alarm. One over a resource group can hold metrics of any kind."""
    state, kind, metric = rule.get("alarm_state"), rule.get("alarm_type"), rule.get("metric")
    if state not in STATES:
        raise CloudError(f"alarm {_name(rule)} is in a state that is not documented")
    namespace = metric.get("namespace") if isinstance(metric, Mapping) else None
    is_event = isinstance(kind, str) and kind.startswith("EVENT")
    return state == "alarm" and not is_event and (namespace in NAMESPACES or kind == "RESOURCE_GROUP")


async def _rules(get: Get, project_id: str) -> list[Mapping[str, Any]]:
    rules: dict[str, Mapping[str, Any]] = {}
    start: tuple[tuple[str, str], ...] = ()
    for _ in range(MOST_PAGES):
        body = await get(f"/V1.0/{project_id}/alarms", ("limit", str(PAGE)), *start)
        page = _entries(body, "metric_alarms")
        known = len(rules)
        rules.update((str(rule.get("alarm_id")), rule) for rule in page)
        if len(page) < PAGE:
            return list(rules.values())
        following = body.get("meta_data", {}).get("marker") if isinstance(body.get("meta_data"), Mapping) else None
        if not isinstance(following, str) or not following or len(rules) == known:
            break
        start = (("start", following),)
    raise CloudError("the list of alarm rules does not come to an end")


@dataclass(frozen=True, slots=True)
class _Record:
    """An alarm that is on for a server. `rule` is the id of its rule."""

    rule: str
    name: str
    server: str


async def _records(get: Get, project_id: str, about: tuple[str, str]) -> list[_Record]:
    """The alarms that are on, of a namespace or of a rule."""
    found: list[_Record] = []
    kept = (about, ("status", "alarm"), ("alarm_type", "metric"), ("limit", str(PAGE)))
    while len(found) < MOST_RECORDS:
        body = await get(f"/v2/{project_id}/alarm-histories", *kept, ("offset", str(len(found))))
        page = _entries(body, "alarm_histories")
        found += map(_record, page)
        if len(page) < PAGE:
            return found
    raise CloudError(f"more than {MOST_RECORDS} alarms are on, which cannot all be listed")


async def _of_rule(get: Get, project_id: str, number: str, name: str) -> dict[str, str]:
    """The servers of a rule that is in alarm and names none."""
    records = await _records(get, project_id, ("alarm_id", number)) if number else []
    if not records or any(r.rule != number for r in records):
        raise CloudError(f"alarm {name} is on, and no record says for which servers")
    return {r.server: name for r in records}


def _record(raw: Mapping[str, Any]) -> _Record:
    more = raw.get("additional_info")
    resource = more.get("resource_id") if isinstance(more, Mapping) else None
    server = _server(raw.get("metric")) or _of_resource(resource)
    if raw.get("status") != "alarm" or not server:
        raise CloudError(f"alarm {_name(raw)}: its record does not say for which server it is on")
    return _Record(str(raw.get("alarm_id")), _name(raw), server)


def _entries(body: Any, key: str) -> list[Mapping[str, Any]]:
    listed = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise CloudError(f"Cloud Eye answered something else than {key}")
    return listed


def _name(raw: Mapping[str, Any]) -> str:
    """Of a rule, or of the rule of a record."""
    return tidy(str(raw.get("alarm_name") or raw.get("name") or raw.get("alarm_id") or "without a name"), _NAME)


def _server(metric: Any) -> str:
    """The server that a metric is of, empty where it is of several."""
    dimensions = metric.get("dimensions") if isinstance(metric, Mapping) else None
    for one in dimensions if isinstance(dimensions, list) else ():
        if isinstance(one, Mapping) and one.get("name") == "instance_id" and isinstance(one.get("value"), str):
            return str(one["value"])
    return ""


def _of_resource(resource: Any) -> str:
    """The server of a record's `additional_info.resource_id`: alone, or as one of several dimensions."""
    parts = resource.split(",") if isinstance(resource, str) else []
    named = [p.partition(":")[2] for p in parts if p.startswith("instance_id:")]
    return named[0] if named else parts[0] if len(parts) == 1 and ":" not in parts[0] else ""
