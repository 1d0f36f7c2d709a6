"""The control endpoint `/_simulator`: add faults, set switches, read the log. Off unless the
options enable it.

It needs no credentials, so it answers only a loopback client that also asked for a loopback host by
name: no page in a browser on this machine may get through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runner.simulator.faults import Rule
from runner.simulator.state import State
from runner.simulator.switches import Switches
from runner.simulator.timeline import from_millis

_RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

ControlCall = Callable[[Request, State], Awaitable[Response]]


def control_routes(state: State) -> list[Route]:
    """Routes of the control endpoint over a state."""
    table: tuple[tuple[str, str, ControlCall], ...] = (
        ("POST", "faults", _add_faults),
        ("DELETE", "faults", _clear_faults),
        ("PUT", "switches", _set_switches),
        ("GET", "log", _read_log),
        ("GET", "state", _read_state),
    )
    return [
        Route(f"/_simulator/{path}", _guarded(call, state), methods=[method])
        for method, path, call in table
    ]


def _guarded(call: ControlCall, state: State) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if (
            client not in _LOOPBACK
            or request.url.hostname not in _LOOPBACK
            or "origin" in request.headers
        ):
            return JSONResponse(
                {"error": "the control endpoint answers loopback clients only"}, 403
            )
        try:
            return await call(request, state)
        except ValueError as error:  # pydantic's and json's are such
            return JSONResponse({"error": str(error)}, 400)

    return serve


async def _add_faults(request: Request, state: State) -> Response:
    """Body: `{"rules": [...], "replace": false}`, rules as in a scenario file."""
    body = await _object(request)
    rules = _RULES.validate_python(body.get("rules", []))
    state.add_rules(rules, replace=bool(body.get("replace", False)))
    return JSONResponse({"added": len(rules)})


async def _clear_faults(request: Request, state: State) -> Response:
    state.add_rules((), replace=True)
    return JSONResponse({"added": 0})


async def _set_switches(request: Request, state: State) -> Response:
    """Body: the switches that differ from their defaults."""
    switches = Switches.model_validate(await _object(request))
    state.set_switches(switches)
    return JSONResponse(switches.model_dump(mode="json"))


async def _object(request: Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise ValueError("the body must be an object")  # noqa: TRY004 - the guard answers ValueErrors with 400
    return body


async def _read_log(request: Request, state: State) -> Response:
    called = ("call", "method", "path", "status", "code", "request_id", "faults")
    requests = [
        {"at": from_millis(c.at).isoformat(), **{name: getattr(c, name) for name in called}}
        for c in state.requests()
    ]
    reboots = [
        {
            "server_id": r.server_id,
            "job_id": r.job_id,
            "type": r.type,
            "at": r.at.isoformat(),
            "back": r.back.isoformat() if r.back else None,
            "status": r.status,
            "by": r.by,
        }
        for r in state.accepted_reboots(by=None)
    ]
    counts = dict(state.reboot_counts())
    now = state.now().isoformat()
    return JSONResponse(
        {"now": now, "requests": requests, "accepted_reboots": reboots, "reboot_counts": counts}
    )


async def _read_state(request: Request, state: State) -> Response:
    with state.turn() as turn:
        rules = [
            {
                "rule": a.rule.model_dump(mode="json", exclude_defaults=True, by_alias=True),
                "met": a.met,
                "fired": a.fired,
            }
            for a in turn.world.rules
        ]
        switches = turn.world.switches.model_dump(mode="json")
    return JSONResponse(
        {
            "project_id": state.fleet.project_id,
            "region": state.fleet.options.region,
            "servers": len(state.fleet.servers),
            "now": state.now().isoformat(),
            "switches": switches,
            "rules": rules,
        }
    )
