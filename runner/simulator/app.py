"""The HTTP face: routes, and the way of a request through faults, authentication and the world.

A request is read, meets the fault rules (one turn of the state), is perhaps delayed or refused, is carried out and
written to the log (another turn), and is answered, perhaps badly. No turn is held while anybody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runner.simulator import call_alarms, call_groups, call_metadata, call_scaling, call_tags, iam, idp, sts
from runner.simulator import events as ev
from runner.simulator.answers import Reply, gateway_error
from runner.simulator.auth import Request, check, check_project
from runner.simulator.call_reboot import reboot, throttled
from runner.simulator.call_servers import Reader, actions
from runner.simulator.chance import pick_hex
from runner.simulator.outcome import Plan, plan_for
from runner.simulator.sockets import reset, send_truncated
from runner.simulator.state import State, Turn
from runner.simulator.timeline import length_millis

MOST_BODY = 12 * 1024 * 1024
"""Bytes of a signed request's body (APIGW.0201 over that)."""

Act = Callable[["Gateway", Request, Turn, Mapping[str, str]], Reply]


@dataclass(frozen=True, slots=True)
class Call:
    """What a route does. `on` is its name in fault rules; `project_code` the answer to a wrong project.

    `only`: the one cloud that has this call; the other says that there is no such API.
    """

    on: str
    act: Act
    needs_login: bool = True
    project_code: str | None = "Ecs.0023"
    only: str | None = None


_REBOOT = Call("reboot", lambda g, r, t, p: reboot(r, t))
_JOB = Call("job", lambda g, r, t, p: g.reader(t).job(t, p["job"]), project_code="Common.0018")
_LIST = Call("list", lambda g, r, t, p: g.reader(t).list_servers(r, t))
_SHOW = Call("show", lambda g, r, t, p: g.reader(t).show(t, p["server"]))
_LIMITS = Call("limits", lambda g, r, t, p: g.reader(t).limits(t))
_ACTIONS = Call("actions", lambda g, r, t, p: actions(t, p["server"]))
_SERVER_TAGS = Call("tags", lambda g, r, t, p: call_tags.server_tags(t, p["server"]))
_PROJECT_TAGS = Call("tags", lambda g, r, t, p: call_tags.project_tags(t))
_TAG_QUERY = Call("tags", lambda g, r, t, p: call_tags.query_tags(r, t), only="huaweicloud")
_TAG_QUERY_OTC = replace(_TAG_QUERY, only="otc")
_GROUPS = Call("groups", lambda g, r, t, p: call_groups.list_groups(r, t))
_GROUP = Call("groups", lambda g, r, t, p: call_groups.show_group(t, p["group"]))
_ALARMS = Call("alarms", lambda g, r, t, p: call_alarms.list_alarms(r, t), project_code="ces.0014")
_RECORDS = Call("alarms", lambda g, r, t, p: call_alarms.list_records(r, t), project_code="ces.0014")
_SCALING = Call("scaling", lambda g, r, t, p: call_scaling.list_groups(r, t))
_MEMBERS = Call("scaling", lambda g, r, t, p: call_scaling.list_members(r, t, p["group"]))
_EVENTS = Call("events", lambda g, r, t, p: call_scaling.list_events(r, t), only="huaweicloud")
_TOKEN = Call("token", lambda g, r, t, p: iam.issue_token(r, t, g.state.credentials), False, None)
_ID_TOKEN = Call("token", lambda g, r, t, p: idp.issue_token(r, t, g.state.credentials), False, None)
_TEMPORARY = Call("token", lambda g, r, t, p: idp.temporary_key(r, t, g.state.credentials), False, None)
_ASSUME = Call("token", lambda g, r, t, p: sts.assume_with_oidc(r, t, g.state.credentials), False, None, "huaweicloud")
_METADATA_TOKEN = Call("metadata", lambda g, r, t, p: call_metadata.issue_token(r, t, g.state.credentials), False, None)
_METADATA = Call("metadata", lambda g, r, t, p: call_metadata.meta_data(r, t, g.state.credentials), False, None)
_SECURITY_KEY = Call("metadata", lambda g, r, t, p: call_metadata.security_key(r, t, g.state.credentials), False, None)
_PROJECTS = Call("projects", lambda g, r, t, p: iam.list_projects(r, t), project_code=None)
_UNKNOWN = Call("unknown", lambda g, r, t, p: _no_route(r), False, None)

_ECS = "/v1/{project}/cloudservers"
ROUTES: tuple[tuple[str, str, Call], ...] = (
    ("POST", f"{_ECS}/action", _REBOOT),
    ("GET", "/v1/{project}/jobs/{job}", _JOB),
    ("GET", f"{_ECS}/detail", _LIST),
    ("GET", f"{_ECS}/limits", _LIMITS),
    ("GET", f"{_ECS}/tags", _PROJECT_TAGS),
    ("GET", f"{_ECS}/os-server-groups", _GROUPS),
    ("GET", f"{_ECS}/os-server-groups/{{group}}", _GROUP),
    ("POST", f"{_ECS}/resource_instances/action", _TAG_QUERY),
    ("POST", "/v1/{project}/servers/resource_instances/action", _TAG_QUERY_OTC),
    ("GET", f"{_ECS}/{{server}}", _SHOW),
    ("GET", f"{_ECS}/{{server}}/tags", _SERVER_TAGS),
    ("GET", "/v2.1/{project}/servers/{server}/os-instance-actions", _ACTIONS),
    ("GET", "/V1.0/{project}/alarms", _ALARMS),
    ("GET", "/v2/{project}/alarm-histories", _RECORDS),
    ("GET", "/autoscaling-api/v1/{project}/scaling_group", _SCALING),
    ("GET", "/autoscaling-api/v1/{project}/scaling_group_instance/{group}/list", _MEMBERS),
    ("GET", "/v3/{project}/instance-scheduled-events", _EVENTS),
    ("POST", "/v3/auth/tokens", _TOKEN),
    ("POST", "/v3.0/OS-AUTH/id-token/tokens", _ID_TOKEN),
    ("POST", "/v3.0/OS-CREDENTIAL/securitytokens", _TEMPORARY),
    ("POST", "/v5/agencies/assume-with-oidc", _ASSUME),
    ("GET", "/v3/projects", _PROJECTS),
    ("PUT", "/meta-data/latest/api/token", _METADATA_TOKEN),
    ("GET", "/openstack/latest/meta_data.json", _METADATA),
    ("GET", "/openstack/latest/securitykey", _SECURITY_KEY),
)
"""What the simulated cloud answers. Everything else, a wrong method included, is APIGW.0101."""


def _no_route(request: Request) -> Reply:
    text = "The API does not exist or has not been published in the environment."
    return gateway_error(404, "APIGW.0101", text, request.request_id)


def make_app(state: State) -> Starlette:
    """The ASGI application over a state; `/_simulator` only if the options ask for it."""
    gateway = Gateway(state)
    routes = [Route(path, _Endpoint(gateway, method, call)) for method, path, call in ROUTES]
    if state.options.control:
        from runner.simulator.control import control_routes

        routes = [*control_routes(state), *routes]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    app.router.default = _Endpoint(gateway, "", _UNKNOWN)
    return app


class _Endpoint:
    """A route as an ASGI application. A class, so that Starlette leaves requests and methods to it."""

    def __init__(self, gateway: Gateway, method: str, call: Call) -> None:
        self._gateway, self._method, self._call = gateway, method, call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = self._call if scope["method"] == self._method else _UNKNOWN
        await self._gateway.serve(call, scope, receive, send)


class Gateway:
    """Takes requests through the state. One for each application."""

    state: State

    def __init__(self, state: State) -> None:
        self.state = state
        self._reader: Reader | None = None

    def reader(self, turn: Turn) -> Reader:
        if self._reader is None or not self._reader.fits(turn.world):
            self._reader = Reader(turn.world)
        return self._reader

    async def serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        """One request from its first byte to its answer (or to what a fault makes of it)."""
        request = await _read(scope, receive)
        if request is None:
            return
        plan = self._meet(call)
        await self._wait(plan, "before")
        if plan.resets == "before":
            self._note(call, request, plan)
            await reset(scope, receive)
            return
        reply, request_id = self._carry_out(call, request, scope.get("path_params", {}), plan)
        await self._wait(plan, "after")
        if plan.resets == "after":
            await reset(scope, receive)
        elif plan.truncates:
            await send_truncated(reply, header_list(reply, request_id, self.state.wall()), scope, receive, send)
        else:
            await _send(reply, header_list(reply, request_id, self.state.wall()), send)

    def _meet(self, call: Call) -> Plan:
        """What the fault rules want of this call. They count it, whatever becomes of it."""
        with self.state.turn() as turn:
            if not turn.world.rules:
                return Plan()
            fired, met = turn.world.rules.on_call(call.on, turn.now)
            if met is not None:
                turn.append(met)
            for active in fired:
                turn.apply(active.rule)
            plan = plan_for(active.rule for active in fired)
            if plan.expires_tokens:
                turn.append(ev.TokensExpired(turn.now))
            return plan

    async def _wait(self, plan: Plan, when: str) -> None:
        for delay in plan.delays:
            if delay.when == when:
                await _sleep(self.state, delay.seconds.total_seconds(), delay.clock)

    def _carry_out(self, call: Call, request: Request, params: Mapping[str, str], plan: Plan) -> tuple[Reply, str]:
        """The answer, and its request id. The log has the call, and what it did, when this returns."""
        with self.state.turn() as turn:
            request = self._numbered(request, turn)
            reply = plan.refusal(request) if plan.refusal else None
            if reply is None:
                reply = self._answer(call, request, turn, params)
                if plan.spoils is not None:
                    reply = plan.spoils(request)
            turn.append(_called(call, request, turn, reply.status, reply.code, plan))
            return reply, request.request_id

    def _answer(self, call: Call, request: Request, turn: Turn, params: Mapping[str, str]) -> Reply:
        if len(request.body) > MOST_BODY:
            return gateway_error(413, "APIGW.0201", "Request entity too large.", request.request_id)
        if call.only not in (None, turn.world.switches.cloud):
            return _no_route(request)
        if call.needs_login:
            is_of_project = call.project_code is not None
            refused = _too_many_calls(request, turn) or check(
                request, turn, self.state.credentials, for_project=is_of_project
            )
            if refused is None and call.project_code is not None:
                refused = check_project(turn, request.headers, params["project"], code=call.project_code)
            if refused is not None:
                return refused
        return call.act(self, request, turn, params)

    def _note(self, call: Call, request: Request, plan: Plan) -> None:
        """Log a request that was cut off before the cloud took it."""
        with self.state.turn() as turn:
            turn.append(_called(call, self._numbered(request, turn), turn, 0, None, plan))

    def _numbered(self, request: Request, turn: Turn) -> Request:
        number = len(turn.world.calls)
        return replace(request, request_id=pick_hex(self.state.fleet.options.seed, "request", number))


def _too_many_calls(request: Request, turn: Turn) -> Reply | None:
    """The gateway's answer to one call too many; calls that it did not take do not count (a guess)."""
    switches = turn.world.switches
    if switches.calls is None:
        return None
    since, taken = turn.now - length_millis(switches.calls_within), 0
    for call in reversed(turn.world.calls):
        if call.at <= since:
            break
        taken += call.status not in (0, 429)
    if taken < switches.calls:
        return None
    return throttled(request, 429, "APIGW.0308", limit=switches.calls, window=switches.calls_within)


def _called(call: Call, request: Request, turn: Turn, status: int, code: str | None, plan: Plan) -> ev.Called:
    path = request.path if not request.query else f"{request.path}?{request.query}"
    return ev.Called(turn.now, call.on, request.method, path[:2000], status, code, request.request_id, plan.names)


async def _sleep(state: State, seconds: float, clock: str) -> None:
    if clock == "sim":
        await state.clock.sleep(seconds)
        return
    await asyncio.sleep(seconds)


async def _read(scope: Scope, receive: Receive) -> Request | None:
    """The whole request; None if the client went away, and what is over the limit is not kept."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= MOST_BODY:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    raw_path = scope["raw_path"].decode("latin-1")
    return Request(
        method=scope["method"],
        path=unquote(raw_path),
        raw_path=raw_path,
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
        request_id="",
    )


async def _send(reply: Reply, headers: list[tuple[bytes, bytes]], send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def header_list(reply: Reply, request_id: str, wall: datetime) -> list[tuple[bytes, bytes]]:
    """The headers that live answers carry: date, type, length, request id, and the gateway's name.

    The date is that of the clock which signatures are judged by.
    """
    named = (
        ("date", format_datetime(wall, usegmt=True)),
        ("content-type", reply.content_type),
        ("content-length", str(len(reply.body))),
        ("x-request-id", request_id),
        ("server", "api-gateway"),
        *((name.lower(), value) for name, value in reply.headers),
    )
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named]
