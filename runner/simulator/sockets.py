"""Faults that need the socket: connections that are reset, and bodies that end too early.

`Protocol` is uvicorn's HTTP protocol that hands its transport to the application, in the scope's state.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from runner.simulator.answers import Response

_KEY = "simulator.transport"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Protocol(H11Protocol):
    """HTTP/1.1 whose requests can reach their transport."""

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
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    await _gone(receive)


async def send_truncated(
    response: Response, headers: list[tuple[bytes, bytes]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Announce the whole body, send half of it and close the connection."""
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body[: len(response.body) // 2], "more_body": True})
    _transport(scope).close()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Until the server knows that the connection is closed: it must not answer on it any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
