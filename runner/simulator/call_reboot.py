"""`POST /v1/{project_id}/cloudservers/action`: what is asked, whether it is refused, and the batch it becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from runner.simulator.answers import ECS_TEXTS, Reply, ecs_error, gateway_error, ok
from runner.simulator.auth import Request
from runner.simulator.reboots import accept
from runner.simulator.state import Turn
from runner.simulator.switches import Switches
from runner.simulator.world import World

MOST_SERVERS = 1000
"""Items of `reboot.servers` (OpenAPI `BatchRebootSeversOption`, maxItems)."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Asked:
    type: str
    servers: tuple[str, ...]


def reboot(request: Request, turn: Turn) -> Reply:
    """200 with a `job_id`, or the error that a wrong, too large or untimely batch gets."""
    asked = _read(request.body, turn.world.switches)
    if isinstance(asked, Reply):
        return asked
    if (refused := _over_quota(request, turn, len(asked.servers))) is not None:
        return refused
    troubles = _troubles(turn, asked)
    if troubles and turn.world.switches.bad_servers == "refuse":
        return _refusal(troubles, turn.world.switches)
    world = turn.world
    fine = [world.servers[s] for s in asked.servers if s not in troubles]
    hits, met = world.rules.on_batch(fine, turn.now)
    reasons = {server: (code, ECS_TEXTS[code][1]) for server, code in troubles.items()}
    accepted = accept(
        world, turn.now, asked.servers, asked.type, request_id=request.request_id, troubles=reasons, hits=hits
    )
    if met is not None:
        turn.append(met)
    turn.append(accepted)
    return ok({"job_id": accepted.job})


def _read(body: bytes, switches: Switches) -> _Asked | Reply:
    """The request, or why it is no request. Order and wording of the checks are guesses, the codes are documented."""
    if not body.strip():
        return ecs_error("Common.0002")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return _invalid("the body is no JSON")
    if not isinstance(asked, dict) or len(asked) != 1:
        return _invalid("the body must be an object with exactly one operation")
    operation, options = next(iter(asked.items()))
    if operation in ("os-start", "os-stop"):
        return _invalid(f"{operation} is not simulated; this cloud only knows reboot")
    if operation != "reboot" or not isinstance(options, dict):
        return _invalid("unknown operation")
    kind = options.get("type")
    if switches.lower_case_type and isinstance(kind, str):
        kind = kind.upper()
    if kind not in ("SOFT", "HARD"):
        return _invalid("type must be SOFT or HARD")
    return _read_servers(options.get("servers"), kind, switches)


def _read_servers(servers: Any, kind: str, switches: Switches) -> _Asked | Reply:
    if not isinstance(servers, list) or not servers:
        return _invalid("servers must hold 1 to 1000 servers")
    if len(servers) > MOST_SERVERS:
        return ecs_error("Ecs.0118")
    ids = [item.get("id") if isinstance(item, dict) else None for item in servers]
    if not all(isinstance(i, str) and _UUID.fullmatch(i) for i in ids):
        return ecs_error("Ecs.0005", "some of the id in request are illegal uuid.")
    unique = tuple(dict.fromkeys(i.lower() for i in ids if i is not None))
    if len(unique) < len(ids) and switches.duplicates == "refuse":
        return _invalid("some of the id in request are repeated")
    return _Asked(kind, unique)


def _invalid(detail: str) -> Reply:
    return ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": detail}])


def _over_quota(request: Request, turn: Turn, wanted: int) -> Reply | None:
    """The flow limit's answer if this batch would be over the servers of the last 60 s; it has no effect then."""
    world = turn.world
    free_at = world.quota_free_at(turn.now, wanted)
    if free_at <= turn.now:
        return None
    headers: tuple[tuple[str, str], ...] = ()
    if world.switches.quota_retry_after:
        headers = (("Retry-After", str(-(-(free_at - turn.now) // 1000))),)
    shape = {"429": (429, "Common.1503"), "202": (202, "Common.0024"), "503": (503, "Common.1503")}
    if world.switches.quota == "429-gateway":
        return throttled(request, 429, "APIGW.0308", headers, limit=world.switches.quota_servers)
    status, code = shape[world.switches.quota]
    return throttled(request, status, code, headers)


def throttled(
    request: Request,
    status: int,
    code: str,
    headers: tuple[tuple[str, str], ...] = (),
    limit: int = 60,
    window: timedelta = timedelta(minutes=1),
) -> Reply:
    """A flow-control answer. APIGW.0308 tells the window in its text, as recorded; the ECS codes do not."""
    if code == "APIGW.0308":
        seconds = round(window.total_seconds())
        time = f"{seconds} second" if seconds % 60 else f"{seconds // 60} minute"
        text = f"The throttling threshold has been reached: policy user over ratelimit,limit:{limit},time:{time}"
        reply = gateway_error(status, code, text, request.request_id)
    else:
        reply = ecs_error(code, status=status)
    return Reply(reply.status, reply.body, code=code, headers=headers)


def _troubles(turn: Turn, asked: _Asked) -> dict[str, str]:
    """Servers that cannot be rebooted now, with the code for each, by what is true of them."""
    world = turn.world
    found = ((server, _trouble(world, server, turn.now, asked.type)) for server in asked.servers)
    return {server: code for server, code in found if code is not None}


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
        # A server stuck in Restarting may be force-restarted at any time ("Managing ECS status", user guide).
        is_taken = kind == "HARD" or switches.rebooting_servers == "queue"
        return None if is_taken else switches.busy_code
    if view.status != "ACTIVE":
        return "Ecs.0100"
    return switches.busy_code if view.task_state else None


def _refusal(troubles: Mapping[str, str], switches: Switches) -> Reply:
    """The refused batch: its one code, or Ecs.0611 over several, with as much detail as switched."""
    codes = list(dict.fromkeys(troubles.values()))
    code = codes[0] if len(codes) == 1 and switches.refusal == "plain" else "Ecs.0611"
    details = None if code != "Ecs.0611" else [_described(c) for c in codes]
    internal = _named(troubles) if switches.refusal == "named" else None
    return ecs_error(code, details=None if internal else details, internal=internal)


def _described(code: str) -> dict[str, str]:
    return {"code": code, "message": ECS_TEXTS[code][1]}


def _named(troubles: Mapping[str, str]) -> list[dict[str, str]]:
    """Shape (i): documented for password reset and resize, seen nowhere for reboot."""
    return [{"id": s, "error_code": c, "error_message": ECS_TEXTS[c][1]} for s, c in troubles.items()]
