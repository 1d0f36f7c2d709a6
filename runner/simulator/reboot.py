"""The reboot call: what is asked, whether it is refused, and the batch it becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from runner.simulator.answers import (
    ECS_TEXTS,
    Declined,
    Response,
    ecs_error,
    invalid,
    ok,
    throttled,
)
from runner.simulator.auth import Request
from runner.simulator.state import WorldTurn
from runner.simulator.switches import Switches
from runner.simulator.world import World, accept

MOST_SERVERS = 1000
"""Items of `reboot.servers` (OpenAPI `BatchRebootSeversOption`, maxItems)."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def reboot(request: Request, turn: WorldTurn) -> Response:
    """`POST /v1/{project_id}/cloudservers/action`: 200 with a `job_id`.

    Raises Declined for a wrong, too large or untimely batch.
    """
    world, switches = turn.world, turn.world.switches
    kind, servers = _read(request.body, switches)
    free_at = world.quota_free_at(turn.now, len(servers))
    if free_at > turn.now:
        wait_s = -(-(free_at - turn.now) // 1000) if switches.quota_retry_after else None
        status = int(switches.quota[:3])
        code = {"429-gateway": "APIGW.0308", "202": "Common.0024"}.get(
            switches.quota, "Common.1503"
        )
        raise Declined(throttled(request.request_id, status, code, wait_s, switches.quota_servers))
    found = ((server, _trouble(world, server, turn.now, kind)) for server in servers)
    troubles = {server: code for server, code in found if code is not None}
    if troubles and switches.bad_servers == "refuse":
        raise Declined(_refusal(troubles, switches))
    fine = [world.servers[s] for s in servers if s not in troubles]
    hits, met = world.rules.on_batch(fine, turn.now)
    accepted = accept(
        world, turn.now, servers, kind, request_id=request.request_id, troubles=troubles, hits=hits
    )
    if met is not None:
        turn.append(met)
    turn.append(accepted)
    return ok({"job_id": accepted.job})


def _read(body: bytes, switches: Switches) -> tuple[str, tuple[str, ...]]:
    """Return type and ids. Order and wording of the checks are guesses, the codes are
    documented.
    """
    if not body.strip():
        raise Declined(ecs_error("Common.0002"))
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("the body is no JSON") from None
    if not isinstance(asked, dict) or len(asked) != 1:
        raise invalid("the body must be an object with exactly one operation")
    operation, options = next(iter(asked.items()))
    if operation in ("os-start", "os-stop"):
        raise invalid(f"{operation} is not simulated; this cloud only knows reboot")
    if operation != "reboot" or not isinstance(options, dict):
        raise invalid("unknown operation")
    kind, servers = options.get("type"), options.get("servers")
    if switches.lower_case_type and isinstance(kind, str):
        kind = kind.upper()
    if kind not in ("SOFT", "HARD"):
        raise invalid("type must be SOFT or HARD")
    if not isinstance(servers, list) or not servers:
        raise invalid("servers must hold 1 to 1000 servers")
    if len(servers) > MOST_SERVERS:
        raise Declined(ecs_error("Ecs.0118"))
    ids = [item.get("id") if isinstance(item, dict) else None for item in servers]
    if not all(isinstance(i, str) and _UUID.fullmatch(i) for i in ids):
        raise Declined(ecs_error("Ecs.0005", "some of the id in request are illegal uuid."))
    unique = tuple(dict.fromkeys(i.lower() for i in ids if i is not None))
    if len(unique) < len(ids) and switches.duplicates == "refuse":
        raise invalid("some of the id in request are repeated")
    return kind, unique


def _trouble(world: World, server: str, now: int, kind: str) -> str | None:
    switches = world.switches
    if not world.exists(server, now):
        return switches.missing_code
    view = world.truth(server, now)
    if view.locked:
        return "Ecs.0605"
    if view.frozen:
        return "Ecs.0030"
    if view.status in ("REBOOT", "HARD_REBOOT"):
        # A server stuck in Restarting may be force-restarted at any time ("Managing ECS
        # status", user guide).
        is_taken = kind == "HARD" or switches.rebooting_servers == "queue"
        return None if is_taken else switches.busy_code
    if view.status != "ACTIVE":
        return "Ecs.0100"
    return switches.busy_code if view.task_state else None


def _refusal(troubles: Mapping[str, str], switches: Switches) -> Response:
    codes = list(dict.fromkeys(troubles.values()))
    if switches.refusal == "named":
        # Shape (i): documented for password reset and resize, seen nowhere for reboot.
        internal = [
            {"id": s, "error_code": c, "error_message": ECS_TEXTS[c][1]}
            for s, c in troubles.items()
        ]
        return ecs_error("Ecs.0611", internal=internal)
    if len(codes) == 1 and switches.refusal == "plain":
        return ecs_error(codes[0])
    return ecs_error("Ecs.0611", details=[{"code": c, "message": ECS_TEXTS[c][1]} for c in codes])
