"""Server groups (anti-affinity): list and show."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from runner.simulator.answers import Reply, ecs_error, ok
from runner.simulator.auth import Request, query_pairs
from runner.simulator.call_servers import after, whole
from runner.simulator.fleet import FleetGroup
from runner.simulator.state import Turn


def list_groups(request: Request, turn: Turn) -> Reply:
    """`GET /v1/{project_id}/cloudservers/os-server-groups`: pages by `limit` and `marker`."""
    wanted = dict(query_pairs(request.query))
    limit = whole(wanted.get("limit", "1000"), 1, 1000)
    if limit is None:
        return ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": "limit is invalid"}])
    groups = turn.world.fleet.groups
    start = after([g.id for g in groups], wanted["marker"]) if "marker" in wanted else 0
    page = groups[start : start + limit]
    alive = set(turn.world.roster(turn.now))
    body: dict[str, Any] = {"server_groups": [_group(g, alive) for g in page]}
    if turn.world.switches.cloud == "huaweicloud":
        is_last = start + limit >= len(groups)
        body["page_info"] = {"next_marker": None if is_last or not page else page[-1].id}
    return ok(body)


def show_group(turn: Turn, group_id: str) -> Reply:
    """`GET /v1/{project_id}/cloudservers/os-server-groups/{id}`."""
    for group in turn.world.fleet.groups:
        if group.id == group_id:
            return ok({"server_group": _group(group, set(turn.world.roster(turn.now)))})
    return ecs_error("Ecs.0313", status=404)


def _group(group: FleetGroup, alive: Collection[str]) -> dict[str, Any]:
    return {
        "members": [m for m in group.members if m in alive],
        "metadata": {},
        "id": group.id,
        "policies": list(group.policies),
        "name": group.name,
    }
