"""What else is known of servers that are to be rebooted: auto-scaling groups, and the provider's scheduled events.

Groups: pages "Querying AS Groups" and "Querying Instances in an AS Group" of Auto Scaling, whose `start_number` counts
records. Events: `instance-scheduled-events` of ECS (models of the vendor's SDK, `EventResponse`), which only Huawei
Cloud has. All of this is advice: whatever cannot be read is a sentence, and never an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from runner.cloud.reader import Patience
from runner.errors import CloudError
from runner.model.surroundings import ScalingGroup, ScheduledEvent, Surroundings
from runner.net.text import tidy
from runner.net.wire import encode

PAGE = 100
"""The most of one answer: `limit` of Auto Scaling, and of scheduled events."""
MOST_PAGES = 100
AT_ONCE = 4
BRIEF = Patience(attempts=3, budget_s=10.0)
"""Advice is not worth a long wait."""
OVER = frozenset({"completed", "failed", "canceled", "cancelled"})
"""States of events that are over. The words are a guess: whatever else an event says, it is told."""
_NAME = 100

T = TypeVar("T")
Get = Callable[..., Awaitable[Any]]
"""(path, *query) -> the JSON of a good answer. Raises CloudError, CloudDenied."""


async def surroundings(
    scaling: Get, ecs: Get | None, project_id: str, filters: tuple[tuple[str, str], ...] = ()
) -> Surroundings:
    """Both at once. `ecs` is None where the cloud has no scheduled events. Raises nothing that the cloud does.

    `filters`: a query that goes with the list of groups.
    """
    groups, events = await asyncio.gather(
        _or_why(_groups(scaling, project_id, filters), "auto-scaling groups"),
        _or_why(_events(ecs, project_id), "scheduled events") if ecs else _nothing(),
    )
    unread = tuple(why for why in (groups[1], events[1]) if why)
    return Surroundings(tuple(groups[0]), tuple(events[0]), unread)


async def _nothing() -> tuple[list[ScheduledEvent], str]:
    return [], ""


async def _or_why(reading: Awaitable[list[T]], what: str) -> tuple[list[T], str]:
    try:
        return await reading, ""
    except CloudError as error:
        return [], tidy(f"{what} could not be read: {error.message}", 300)


async def _groups(get: Get, project_id: str, filters: tuple[tuple[str, str], ...]) -> list[ScalingGroup]:
    base = f"/autoscaling-api/v1/{project_id}"
    listed = await _records(get, f"{base}/scaling_group", "scaling_groups", filters)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(raw: Mapping[str, Any], group_id: str) -> ScalingGroup:
        path = f"{base}/scaling_group_instance/{encode(group_id)}/list"
        async with gate:
            rows = await _records(get, path, "scaling_group_instances")
        members = dict.fromkeys(i for row in rows if isinstance(i := row.get("instance_id"), str) and i)
        name = tidy(_str(raw.get("scaling_group_name")), _NAME) or group_id
        audit = raw.get("health_periodic_audit_time")
        return ScalingGroup(group_id, name, tuple(members), _minutes(audit), raw.get("is_scaling") is True)

    wanted = {i: raw for raw in listed if (i := _id(raw)) and raw.get("current_instance_number") != 0}
    try:
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(one(raw, group_id)) for group_id, raw in wanted.items()]
    except* CloudError as errors:
        failure = errors.exceptions[0]
    else:
        return sorted((task.result() for task in made), key=lambda g: (g.name, g.id))
    raise failure


def _id(raw: Mapping[str, Any]) -> str:
    """An id that can stand in a path."""
    found = _str(raw.get("scaling_group_id"))
    return found if found.strip(".") and len(found) <= 64 else ""


def _minutes(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**6 else None


async def _records(get: Get, path: str, key: str, filters: tuple[tuple[str, str], ...] = ()) -> list[Mapping[str, Any]]:
    """All records of a list that is paged by `start_number`."""
    found: list[Mapping[str, Any]] = []
    for _ in range(MOST_PAGES):
        body = await get(path, ("start_number", str(len(found))), ("limit", str(PAGE)), *filters)
        page = _entries(body, key)
        found += page
        total = body.get("total_number")
        if not page or (isinstance(total, int) and len(found) >= total) or (len(page) < PAGE and total is None):
            return found
    raise CloudError(f"the list of {key} does not come to an end")


async def _events(get: Get, project_id: str) -> list[ScheduledEvent]:
    """All events that are not over, by marker."""
    found: dict[str, ScheduledEvent] = {}
    marker: tuple[tuple[str, str], ...] = ()
    for _ in range(MOST_PAGES):
        body = await get(f"/v3/{project_id}/instance-scheduled-events", ("limit", str(PAGE)), *marker)
        found.update((event.id, event) for event in map(_event, _entries(body, "events")) if event)
        info = body.get("page_info")
        following = info.get("next_marker") if isinstance(info, Mapping) else None
        if not isinstance(following, str) or not following:
            return sorted(found.values(), key=lambda e: (e.begins, e.type, e.id))
        if marker == (("marker", following),):
            break
        marker = (("marker", following),)
    raise CloudError("the list of scheduled events does not come to an end")


def _event(raw: Mapping[str, Any]) -> ScheduledEvent | None:
    number, server, state = (tidy(_str(raw.get(k)), _NAME) for k in ("id", "instance_id", "state"))
    if not number or not server or state.lower() in OVER:
        return None
    begins = _str(raw.get("start_time")) or _str(raw.get("not_before"))
    kind = tidy(_str(raw.get("type")), _NAME) or "event"
    return ScheduledEvent(number, server, kind, state, tidy(begins, 40), tidy(_str(raw.get("not_after")), 40))


def _entries(body: Any, key: str) -> list[Mapping[str, Any]]:
    listed = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise CloudError(f"the answer has no {key}")
    return listed


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""
