"""What else is known of servers that are to be rebooted: auto-scaling groups, and the
provider's scheduled events.

Groups: pages "Querying AS Groups" and "Querying Instances in an AS Group" of Auto Scaling,
whose `start_number` counts records. Events: `instance-scheduled-events` of ECS (models of
the vendor's SDK, `EventResponse`), which only Huawei Cloud has. All of this is advice:
whatever cannot be read is a sentence, and never an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from runner.cloud.huawei.paging import Get, Query, Record, all_records, together
from runner.cloud.huawei.reader import Patience
from runner.errors import CloudError
from runner.inputs.fields import as_map, as_number, as_text
from runner.model.surroundings import ScalingGroup, ScheduledEvent, Surroundings
from runner.net.text import tidy
from runner.net.wire import encode

PAGE = 100
"""The most of one answer: `limit` of Auto Scaling, and of scheduled events."""
AT_ONCE = 4
BRIEF = Patience(attempts=3, budget_s=10.0)
"""Advice is not worth a long wait."""
OVER = frozenset({"completed", "failed", "canceled", "cancelled"})
"""States of events that are over. The words are a guess: whatever else an event says, it is told.
"""
_NAME = 100

T = TypeVar("T")


async def surroundings(
    scaling: Get, ecs: Get | None, project_id: str, filters: Query = ()
) -> Surroundings:
    """Both at once. `ecs` is None where the cloud has no scheduled events. Raises nothing that
    the cloud does.

    `filters`: a query that goes with the list of groups.
    """
    unread: list[str] = []

    async def or_why(reading: Coroutine[Any, Any, tuple[T, ...]], what: str) -> tuple[T, ...]:
        try:
            return await reading
        except CloudError as error:
            unread.append(tidy(f"{what} could not be read: {error.message}", 300))
            return ()

    groups, events = await asyncio.gather(
        or_why(_groups(scaling, project_id, filters), "auto-scaling groups"),
        or_why(_events(ecs, project_id), "scheduled events"),
    )
    return Surroundings(groups, events, tuple(sorted(unread)))


async def _groups(get: Get, project_id: str, filters: Query) -> tuple[ScalingGroup, ...]:
    base = f"/autoscaling-api/v1/{project_id}"
    gate = asyncio.Semaphore(AT_ONCE)

    async def records(path: str, key: str, *query: tuple[str, str]) -> list[Record]:
        start = (("start_number", "0"),)
        return await all_records(
            get, base + path, key, _next_start, ("limit", str(PAGE)), *query, first=start
        )

    async def one(raw: Record, group_id: str) -> ScalingGroup:
        async with gate:
            rows = await records(
                f"/scaling_group_instance/{encode(group_id)}/list", "scaling_group_instances"
            )
        members = dict.fromkeys(filter(None, (as_text(row.get("instance_id")) for row in rows)))
        name = tidy(as_text(raw.get("scaling_group_name")), _NAME) or group_id
        minutes = as_number(raw.get("health_periodic_audit_time"))
        audit = minutes if minutes is not None and minutes < 10**6 else None
        return ScalingGroup(group_id, name, tuple(members), audit, raw.get("is_scaling") is True)

    wanted: dict[str, Record] = {}
    for raw in await records("/scaling_group", "scaling_groups", *filters):
        group_id = as_text(raw.get("scaling_group_id"))
        can_be_in_path = group_id.strip(".") and len(group_id) <= 64
        if can_be_in_path and raw.get("current_instance_number") != 0:
            wanted[group_id] = raw
    groups: list[ScalingGroup] = await together(
        *(one(raw, group_id) for group_id, raw in wanted.items())
    )
    return tuple(sorted(groups, key=lambda g: (g.name, g.id)))


def _next_start(body: Mapping[str, Any], page: list[Record], found: list[Record]) -> Query | None:
    total = body.get("total_number")
    if (
        not page
        or (isinstance(total, int) and len(found) >= total)
        or (len(page) < PAGE and total is None)
    ):
        return None
    return (("start_number", str(len(found))),)


async def _events(get: Get | None, project_id: str) -> tuple[ScheduledEvent, ...]:
    if get is None:
        return ()
    markers: list[str] = []

    def following(body: Mapping[str, Any], page: list[Record], found: list[Record]) -> Query | None:
        marker = as_text(as_map(body.get("page_info")).get("next_marker"))
        if not marker:
            return None
        if markers[-1:] == [marker]:
            raise CloudError("the list of scheduled events does not come to an end")
        markers.append(marker)
        return (("marker", marker),)

    path = f"/v3/{project_id}/instance-scheduled-events"
    limit = ("limit", str(PAGE))
    listed = await all_records(get, path, "events", following, limit, what="scheduled events")
    found = {event.id: event for event in map(_event, listed) if event}
    return tuple(sorted(found.values(), key=lambda e: (e.begins, e.type, e.id)))


def _event(raw: Record) -> ScheduledEvent | None:
    number, server, state = (
        tidy(as_text(raw.get(k)), _NAME) for k in ("id", "instance_id", "state")
    )
    if not number or not server or state.lower() in OVER:
        return None
    begins = as_text(raw.get("start_time")) or as_text(raw.get("not_before"))
    kind = tidy(as_text(raw.get("type")), _NAME) or "event"
    return ScheduledEvent(
        number, server, kind, state, tidy(begins, 40), tidy(as_text(raw.get("not_after")), 40)
    )
