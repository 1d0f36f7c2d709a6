"""Which servers an alarm of Cloud Eye is on for.

Alarm rules tell their state ("Querying Alarm Rules", `metric_alarms[].alarm_state`), and the server
by the dimension `instance_id` of their metric. A rule over several servers names none: they are in
the records of alarms that are on ("Querying Alarm Records", `alarm_histories[]`). Alarms on events
are left out: a reboot is such an event, and events do not end. Whatever is not as documented means
that nobody can tell, never that there is no alarm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from runner.cloud.huawei.paging import Get, Query, Record, all_records
from runner.errors import CloudError
from runner.inputs.fields import as_list, as_map, as_text
from runner.net.text import tidy

PAGE = 100
"""The most of one answer ("Querying Alarm Rules", `limit`)."""
MOST_RECORDS = 1_000
"""`offset` ends at 999 ("Querying Alarm Records")."""
NAMESPACES = ("SYS.ECS", "AGT.ECS")
"""Metrics and events of servers: of the hypervisor, and of the agent inside."""
STATES = frozenset({"ok", "alarm", "insufficient_data"})
_WRONG = "Cloud Eye answered something else than"


async def alarming(get: Get, project_id: str, ids: Collection[str]) -> dict[str, str]:
    """Server id -> the name of an alarm that is on for it. Rules that are switched off count
    for nothing.

    Raises CloudError where a rule is in alarm and nobody says for which servers, and for
    answers of another shape.
    """
    path, limit = f"/V1.0/{project_id}/alarms", ("limit", str(PAGE))
    listed = await all_records(
        get, path, "metric_alarms", _next_rules, limit, what="alarm rules", wrong=_WRONG
    )
    rules = {str(rule.get("alarm_id")): rule for rule in listed}
    records: list[_AlarmRecord] = []
    for namespace in NAMESPACES:
        records += await _records(get, project_id, ("namespace", namespace))
    on = {
        r.server: r.name
        for r in records
        if as_map(rules.get(r.rule)).get("alarm_enabled") is not False
    }
    for rule in rules.values():
        if rule.get("alarm_enabled") is not False and _is_on(rule):
            number, name, server = (
                str(rule.get("alarm_id") or ""),
                _name(rule),
                _server(rule.get("metric")),
            )
            if server:
                on[server] = name
            elif number not in {r.rule for r in records}:
                own = await _records(get, project_id, ("alarm_id", number)) if number else []
                if not own or any(r.rule != number for r in own):
                    raise CloudError(f"alarm {name} is on, and no record says for which servers")
                on |= {r.server: name for r in own}
    return {i: on[i] for i in ids if i in on}


def _is_on(rule: Record) -> bool:
    """Whether a rule that can be about servers is in alarm. One over a resource group can
    hold metrics of any kind.
    """
    state, kind = rule.get("alarm_state"), rule.get("alarm_type")
    if state not in STATES:
        raise CloudError(f"alarm {_name(rule)} is in a state that is not documented")
    namespace = as_map(rule.get("metric")).get("namespace")
    is_event = as_text(kind).startswith("EVENT")
    return (
        state == "alarm" and not is_event and (namespace in NAMESPACES or kind == "RESOURCE_GROUP")
    )


def _next_rules(body: Mapping[str, Any], page: list[Record], found: list[Record]) -> Query | None:
    if len(page) < PAGE:
        return None
    marker = as_text(as_map(body.get("meta_data")).get("marker"))
    known = {str(rule.get("alarm_id")) for rule in found[: -len(page)]}
    if not marker or known.issuperset(str(rule.get("alarm_id")) for rule in page):
        raise CloudError("the list of alarm rules does not come to an end")
    return (("start", marker),)


@dataclass(frozen=True, slots=True)
class _AlarmRecord:
    """An alarm that is on for a server. `rule` is the id of its rule."""

    rule: str
    name: str
    server: str


async def _records(get: Get, project_id: str, about: tuple[str, str]) -> list[_AlarmRecord]:

    def following(body: Mapping[str, Any], page: list[Record], found: list[Record]) -> Query | None:
        if len(page) < PAGE:
            return None
        if len(found) >= MOST_RECORDS:
            raise CloudError(f"more than {MOST_RECORDS} alarms are on, which cannot all be listed")
        return (("offset", str(len(found))),)

    query = (about, ("status", "alarm"), ("alarm_type", "metric"), ("limit", str(PAGE)))
    path = f"/v2/{project_id}/alarm-histories"
    found = await all_records(
        get, path, "alarm_histories", following, *query, first=(("offset", "0"),), wrong=_WRONG
    )
    return [_record(raw) for raw in found]


def _record(raw: Record) -> _AlarmRecord:
    # `resource_id` is the server alone, or one of several dimensions.
    parts = as_text(as_map(raw.get("additional_info")).get("resource_id")).split(",")
    named = [part.partition(":")[2] for part in parts if part.startswith("instance_id:")]
    alone = parts[0] if len(parts) == 1 and ":" not in parts[0] else ""
    server = _server(raw.get("metric")) or (named[0] if named else alone)
    if raw.get("status") != "alarm" or not server:
        raise CloudError(f"alarm {_name(raw)}: its record does not say for which server it is on")
    return _AlarmRecord(str(raw.get("alarm_id")), _name(raw), server)


def _name(raw: Record) -> str:
    return tidy(
        str(raw.get("alarm_name") or raw.get("name") or raw.get("alarm_id") or "without a name"),
        100,
    )


def _server(metric: Any) -> str:
    for one in map(as_map, as_list(as_map(metric).get("dimensions"))):
        if one.get("name") == "instance_id" and isinstance(one.get("value"), str):
            return str(one["value"])
    return ""
