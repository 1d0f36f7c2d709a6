"""Tags: of a server, of the project, and the query by tag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.simulator.answers import Reply, ecs_error, ok
from runner.simulator.auth import Request
from runner.simulator.call_servers import whole
from runner.simulator.state import Turn
from runner.simulator.world import World


def server_tags(turn: Turn, server_id: str) -> Reply:
    """`GET /v1/{project_id}/cloudservers/{server_id}/tags`."""
    if not turn.world.exists(server_id, turn.now):
        return ecs_error("Ecs.0114", f"Instance[{server_id}] could not be found.")
    tags = turn.world.view(server_id, turn.now).tags
    return ok({"tags": [{"key": k, "value": v} for k, v in tags]})


def project_tags(turn: Turn) -> Reply:
    """`GET /v1/{project_id}/cloudservers/tags`: every key with its values."""
    values: dict[str, dict[str, None]] = {}
    for server in turn.world.roster(turn.now):
        for key, value in turn.world.view(server, turn.now).tags:
            values.setdefault(key, {})[value] = None
    return ok({"tags": [{"key": k, "values": list(v)} for k, v in values.items()]})


def query_tags(request: Request, turn: Turn) -> Reply:
    """`POST …/resource_instances/action`: AND between keys, OR between values of a key; `offset` counts records."""
    asked = _read_tag_query(request.body)
    if isinstance(asked, str):
        return ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": asked}])
    world, now = turn.world, turn.now
    found = [s for s in world.roster(now) if _is_asked_for(world, s, asked, now)]
    if asked["action"] == "count":
        return ok({"total_count": len(found)})
    start, limit = int(asked.get("offset", "0")), int(asked.get("limit", "1000"))
    resources = [
        {
            "resource_detail": None,
            "resource_id": server,
            "resource_name": world.servers[server].name,
            "tags": [{"key": k, "value": v} for k, v in world.view(server, now).tags],
        }
        for server in found[start : start + limit]
    ]
    return ok({"resources": resources, "total_count": len(found)})


def _read_tag_query(body: bytes) -> dict[str, Any] | str:
    """The query, or what is wrong with it (page "Querying ECSs by Tag")."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is no JSON"
    if not isinstance(asked, dict) or asked.get("action") not in ("filter", "count"):
        return "action must be filter or count"
    for key, most in (("limit", 1000), ("offset", None)):
        if key in asked and (not isinstance(asked[key], str) or whole(asked[key], 0, most) is None):
            return f"{key} must be a number written as a string"
    for key in ("tags", "not_tags"):
        if (problem := _tag_problem(asked.get(key, []))) is not None:
            return f"{key}: {problem}"
    matches = asked.get("matches", [])
    if not isinstance(matches, list) or not all(_is_name_match(m) for m in matches):
        return "matches knows resource_name only"
    return asked


def _is_name_match(match: Any) -> bool:
    return isinstance(match, dict) and match.get("key") == "resource_name" and isinstance(match.get("value"), str)


def _tag_problem(tags: Any) -> str | None:
    if not isinstance(tags, list) or len(tags) > 10:
        return "at most 10 keys"
    keys = [t.get("key") if isinstance(t, dict) else None for t in tags]
    if not all(isinstance(k, str) and k for k in keys) or len(set(keys)) < len(keys):
        return "keys must be given, each once"
    for tag in tags:
        values = tag.get("values")
        if not isinstance(values, list) or len(values) > 10 or len({str(v) for v in values}) < len(values):
            return "at most 10 values, each once"
    return None


def _is_asked_for(world: World, server: str, asked: Mapping[str, Any], now: int) -> bool:
    tags = dict(world.view(server, now).tags)
    if any(m["value"] not in world.servers[server].name for m in asked.get("matches", [])):
        return False
    if not all(_has_values(tags, t) for t in asked.get("tags", [])):
        return False
    unwanted = asked.get("not_tags", [])
    return not (unwanted and all(_has_values(tags, t) for t in unwanted))


def _has_values(tags: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    value = tags.get(wanted["key"])
    return value is not None and (not wanted["values"] or value in wanted["values"])
