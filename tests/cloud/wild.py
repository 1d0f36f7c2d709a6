"""A server that answers as told, byte by byte: for everything a well-behaved one never does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "api"
T = TypeVar("T")


def fixture(name: str) -> bytes:
    """The bytes of an example of the API pages."""
    return (FIXTURES / name).read_bytes()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine; one that hangs fails."""

    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await main

    return asyncio.run(bounded())


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass
class Connection:
    """What a script can do with the connection on which a request came."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


def reply(
    status: int = 200,
    body: bytes | str | dict[str, Any] = b"{}",
    headers: Mapping[str, str] | None = None,
) -> Script:
    """A plain answer with its length."""
    data = (
        json.dumps(body).encode()
        if isinstance(body, dict)
        else body.encode()
        if isinstance(body, str)
        else body
    )
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        **(headers or {}),
    }
    head = (
        f"HTTP/1.1 {status} Told\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
    )

    async def script(connection: Connection) -> None:
        await connection.send(head.encode("latin-1") + data)

    return script


def raw(*parts: bytes, then: str = "close") -> Script:
    """Exactly these bytes; then `close`, `reset`, or `hang` until the client goes."""

    async def script(connection: Connection) -> None:
        await connection.send(*parts)
        if then == "reset":
            connection.reset()
        elif then == "hang":
            await connection.reader.read()
        else:
            connection.writer.close()

    return script


def reset() -> Script:
    """No answer: the connection is reset after the whole request was read."""
    return raw(then="reset")


def hang() -> Script:
    """No answer, ever."""
    return raw(then="hang")


@dataclass
class Wild:
    """A running server: what it saw, and the scripts it still has. The last script is used
    for all that follows.
    """

    url: str
    scripts: list[Script]
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def next_script(self) -> Script:
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]


@asynccontextmanager
async def wild(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wild]:
    """Serve these scripts, one for each request, on a loopback port."""
    server_tasks: set[asyncio.Task[None]] = set()
    here = Wild("", list(scripts) or [reply()])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        server_tasks.add(task)
        here.connections += 1
        number = here.connections
        try:
            while (seen := await _read(reader, number)) is not None:
                here.seen.append(seen)
                await here.next_script()(Connection(reader, writer))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()
            server_tasks.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    here.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield here
    finally:
        server.close()
        for task in list(server_tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*server_tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader, connection: int) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body, connection)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
