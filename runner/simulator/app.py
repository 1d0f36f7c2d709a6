"""The HTTP face: routes, and the way of a request through faults, authentication and the world.

A request is read, meets the fault rules (one turn of the state), is perhaps delayed or
refused, is carried out and written to the log (another turn), and is answered, perhaps
badly. No turn is held while anybody waits.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from runner.simulator import events as ev
from runner.simulator import identity, lists, servers
from runner.simulator.answers import Declined, Response, gateway_error, throttled
from runner.simulator.auth import Request, check, check_project
from runner.simulator.chance import pick_hex
from runner.simulator.control import control_routes
from runner.simulator.faults import Delay, Error, ExpireToken, Reset, Rule, Throttle, Truncate
from runner.simulator.reboot import reboot
from runner.simulator.state import State, WorldTurn
from runner.simulator.timeline import length_millis

MOST_BODY = 12 * 1024 * 1024
"""Bytes of a signed request's body (APIGW.0201 over that)."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a route does. `on` is its name in fault rules; `project_code` the answer to a wrong
    project.

    `only`: the one cloud that has this call; the other says that there is no such API.
    """

    on: str
    act: Callable[[Request, WorldTurn], Response]
    needs_login: bool = True
    project_code: str | None = "Ecs.0023"
    only: str | None = None


def _no_route(request: Request, turn: WorldTurn) -> Response:
    text = "The API does not exist or has not been published in the environment."
    return gateway_error(404, "APIGW.0101", text, request.request_id)


_UNKNOWN = Call("unknown", _no_route, needs_login=False)

_ECS = "/v1/{project}/cloudservers"
_AS = "/autoscaling-api/v1/{project}"
_HUAWEI = "huaweicloud"
ROUTES: tuple[tuple[str, str, Call], ...] = (
    ("POST", f"{_ECS}/action", Call("reboot", reboot)),
    ("GET", "/v1/{project}/jobs/{job}", Call("job", servers.show_job, project_code="Common.0018")),
    ("GET", f"{_ECS}/detail", Call("list", servers.list_servers)),
    ("GET", f"{_ECS}/limits", Call("limits", servers.show_limits)),
    ("GET", f"{_ECS}/tags", Call("tags", lists.project_tags)),
    ("GET", f"{_ECS}/os-server-groups", Call("groups", lists.list_server_groups)),
    ("GET", f"{_ECS}/os-server-groups/{{group}}", Call("groups", lists.show_server_group)),
    ("POST", f"{_ECS}/resource_instances/action", Call("tags", lists.query_tags, only=_HUAWEI)),
    (
        "POST",
        "/v1/{project}/servers/resource_instances/action",
        Call("tags", lists.query_tags, only="otc"),
    ),
    ("GET", f"{_ECS}/{{server}}", Call("show", servers.show_server)),
    ("GET", f"{_ECS}/{{server}}/tags", Call("tags", lists.server_tags)),
    (
        "GET",
        "/v2.1/{project}/servers/{server}/os-instance-actions",
        Call("actions", servers.list_actions),
    ),
    ("GET", "/V1.0/{project}/alarms", Call("alarms", lists.list_alarms, project_code="ces.0014")),
    (
        "GET",
        "/v2/{project}/alarm-histories",
        Call("alarms", lists.list_records, project_code="ces.0014"),
    ),
    ("GET", f"{_AS}/scaling_group", Call("scaling", lists.list_scaling_groups)),
    (
        "GET",
        f"{_AS}/scaling_group_instance/{{group}}/list",
        Call("scaling", lists.list_scaling_members),
    ),
    (
        "GET",
        "/v3/{project}/instance-scheduled-events",
        Call("events", lists.list_events, only=_HUAWEI),
    ),
    ("POST", "/v3/auth/tokens", Call("token", identity.issue_token, False)),
    (
        "POST",
        "/v3.0/OS-AUTH/id-token/tokens",
        Call("token", identity.issue_token_for_id_token, False),
    ),
    ("POST", "/v3.0/OS-CREDENTIAL/securitytokens", Call("token", identity.temporary_key, False)),
    (
        "POST",
        "/v5/agencies/assume-with-oidc",
        Call("token", identity.assume_with_oidc, False, only=_HUAWEI),
    ),
    ("GET", "/v3/projects", Call("projects", identity.list_projects, project_code=None)),
    ("PUT", "/meta-data/latest/api/token", Call("metadata", identity.metadata_token, False)),
    ("GET", "/openstack/latest/meta_data.json", Call("metadata", identity.meta_data, False)),
    ("GET", "/openstack/latest/securitykey", Call("metadata", identity.security_key, False)),
)
"""What the simulated cloud answers. Everything else, a wrong method included, is APIGW.0101."""


def make_app(state: State) -> Starlette:
    """The ASGI application over a state; `/_simulator` only if the options ask for it."""
    routes = [Route(path, _Endpoint(state, method, call)) for method, path, call in ROUTES]
    if state.options.control:
        routes = [*control_routes(state), *routes]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    app.router.default = _Endpoint(state, "", _UNKNOWN)
    return app


class _Endpoint:
    """A route as an ASGI application. A class, so that Starlette leaves requests and
    methods to it.
    """

    def __init__(self, state: State, method: str, call: Call) -> None:
        self.state, self._method, self._call = state, method, call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request from its first byte to its answer (or to what a fault makes of it)."""
        if scope["type"] != "http":
            return
        call = self._call if scope["method"] == self._method else _UNKNOWN
        request = await _read(scope, receive)
        if request is None:
            return
        faults = self._meet(call)
        await self._wait(faults, "before")
        resets = next((rule.when for rule in faults if isinstance(rule, Reset)), None)
        response, request_id = self._carry_out(call, request, faults, resets)
        if response is not None:
            await self._wait(faults, "after")
        if resets or response is None:
            await reset(scope, receive)
            return
        headers = header_list(response, request_id, self.state.wall())
        if any(isinstance(rule, Truncate) for rule in faults):
            await send_truncated(response, headers, scope, receive, send)
            return
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    def _meet(self, call: Call) -> list[Rule]:
        with self.state.turn() as turn:
            if not turn.world.rules:
                return []
            fired, met = turn.world.rules.on_call(call.on, turn.now)
            if met is not None:
                turn.append(met)
            rules = [active.rule for active in fired]
            for rule in rules:
                turn.apply(rule)
            if any(isinstance(rule, ExpireToken) for rule in rules):
                turn.append(ev.TokensExpired(turn.now))
            return rules

    async def _wait(self, faults: list[Rule], when: str) -> None:
        for rule in faults:
            if isinstance(rule, Delay) and rule.when == when:
                sleep = self.state.clock.sleep if rule.clock == "sim" else asyncio.sleep
                await sleep(rule.seconds.total_seconds())

    def _carry_out(
        self, call: Call, request: Request, faults: list[Rule], resets: str | None
    ) -> tuple[Response | None, str]:
        """The answer, and its request id. The log has the call, and what it did, when this returns.

        No answer: the request is cut off before the cloud takes it. Of several faults that
        answer the first counts.
        """
        with self.state.turn() as turn:
            number = len(turn.world.calls)
            request_id = pick_hex(self.state.fleet.options.seed, "request", number)
            request = replace(request, request_id=request_id)
            response = None
            if resets != "before":
                answering = [rule for rule in faults if isinstance(rule, Throttle | Error)]
                refusal = next((rule for rule in answering if not rule.effect), None)
                spoiler = next((rule for rule in answering if rule.effect), None)
                response = refusal.answer(request_id) if refusal else _answer(call, request, turn)
                if spoiler and not refusal:
                    response = spoiler.answer(request_id)
            path = request.path if not request.query else f"{request.path}?{request.query}"
            status, code = (response.status, response.code) if response else (0, None)
            names = tuple(rule.do for rule in faults)
            turn.append(
                ev.Called(
                    turn.now, call.on, request.method, path[:2000], status, code, request_id, names
                )
            )
            return response, request_id


def _answer(call: Call, request: Request, turn: WorldTurn) -> Response:
    if len(request.body) > MOST_BODY:
        return gateway_error(413, "APIGW.0201", "Request entity too large.", request.request_id)
    if call.only not in (None, turn.world.switches.cloud):
        return _no_route(request, turn)
    try:
        if call.needs_login:
            _count_calls(request, turn)
            check(request, turn, for_project=call.project_code is not None)
            if call.project_code is not None:
                check_project(request, turn, code=call.project_code)
        return call.act(request, turn)
    except Declined as declined:
        return declined.response


def _count_calls(request: Request, turn: WorldTurn) -> None:
    """Raise Declined for one call too many; calls that the gateway did not take do not
    count (a guess).
    """
    switches = turn.world.switches
    if switches.calls is None:
        return
    since, taken = turn.now - length_millis(switches.calls_within), 0
    for call in reversed(turn.world.calls):
        if call.at <= since:
            break
        taken += call.status not in (0, 429)
    if taken >= switches.calls:
        limit, window = switches.calls, switches.calls_within
        raise Declined(throttled(request.request_id, 429, "APIGW.0308", limit=limit, window=window))


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
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
        body=bytes(body),
        request_id="",
        params=scope.get("path_params", {}),
    )


def header_list(response: Response, request_id: str, wall: datetime) -> list[tuple[bytes, bytes]]:
    """The headers that live answers carry: date, type, length, request id, and the gateway's name.

    The date is that of the clock which signatures are judged by.
    """
    named = (
        ("date", format_datetime(wall, usegmt=True)),
        ("content-type", response.content_type),
        ("content-length", str(len(response.body))),
        ("x-request-id", request_id),
        ("server", "api-gateway"),
        *((name.lower(), value) for name, value in response.headers),
    )
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named]


_KEY = "simulator.transport"


class Protocol(H11Protocol):
    """HTTP/1.1 of uvicorn whose requests can reach their transport, by the scope's state:
    for faults of the socket.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self.app_state = {**self.app_state, _KEY: transport}


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport = scope["state"][_KEY]
    return transport


async def reset(scope: Scope, receive: Receive) -> None:
    """Close the connection with a TCP RST, without any answer."""
    transport = _transport(scope)
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def send_truncated(
    response: Response,
    headers: list[tuple[bytes, bytes]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Announce the whole body, send half of it and close the connection."""
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send(
        {
            "type": "http.response.body",
            "body": response.body[: len(response.body) // 2],
            "more_body": True,
        }
    )
    _transport(scope).close()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Until the server knows that the connection is closed: it must not answer on it any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
