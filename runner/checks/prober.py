"""Asks a server's own address whether it works. Every way it can go wrong is an answer in
words, never an exception.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

from runner.model.check import DEFAULT_PORTS, Check
from runner.net.hosts import is_loopback
from runner.net.text import tidy
from runner.net.transport import ExchangeLimits, Transport
from runner.net.trust import unverified
from runner.net.wire import Outgoing, Unreachable

LONGEST_S = 5.0
"""For one check, from the first try to connect to the last byte: real seconds."""
MOST_BYTES = 64 * 1024
"""Of an answer to an HTTP check."""
BANNER_BYTES = 8 * 1024
"""Of what comes before and with an SSH server's version (RFC 4253, 4.2: other lines may
come first).
"""
_WORDS = 300


class NetProber:
    """The network behind the port `Prober`. `loopback_only`: addresses beyond this machine are
    never connected to.

    An address is connected to as it is: no name is looked up, no proxy is used, no redirect
    is followed.
    """

    def __init__(self, *, loopback_only: bool = False, longest_s: float = LONGEST_S) -> None:
        self._loopback_only = loopback_only
        self._longest_s = longest_s
        self._transports: dict[bool, Transport] = {}

    async def ask(self, address: str, check: Check) -> str | None:
        """None when the check passes, else what came instead, in words. Takes
        `longest_s` at most.
        """
        try:
            ip_address(address)
        except ValueError:
            why: str | None = "the cloud shows no fixed address of it"
        else:
            if self._loopback_only and not is_loopback(address):
                why = (
                    f"a simulated server has nothing at {address}; only addresses of this "
                    f"machine are asked"
                )
            else:
                why = await (
                    self._http(address, check)
                    if check.kind == "http"
                    else self._connect(address, check)
                )
        return None if why is None else tidy(f"{check.kind} {check.port}: {why}", _WORDS)

    async def _connect(self, address: str, check: Check) -> str | None:
        """`tcp`: a connection is enough; `ssh`: until a version was said."""
        said, wanted = b"", "took no connection" if check.kind == "tcp" else "said no SSH version"
        try:
            async with asyncio.timeout(self._longest_s), _connected(address, check.port) as reader:
                while check.kind != "tcp" and len(said) < BANNER_BYTES:
                    piece = await reader.read(BANNER_BYTES - len(said))
                    said += piece
                    if any(
                        line.startswith((b"SSH-2.0-", b"SSH-1.99-")) for line in said.split(b"\n")
                    ):
                        return None
                    if not piece:
                        break
        except TimeoutError:
            return f"{address} {wanted} within {self._longest_s:g} s"
        except OSError as error:  # asyncio's own text repeats the address and says less
            return (
                f"{address}: "
                f"{os.strerror(error.errno) if error.errno else str(error) or type(error).__name__}"
            )
        return (
            None
            if check.kind == "tcp"
            else f"{address} {wanted}, but {said[:80].decode('latin-1')!r}"
        )

    async def _http(self, address: str, check: Check) -> str | None:
        where = f"[{address}]" if ":" in address else address
        port = "" if check.port == DEFAULT_PORTS.get(check.scheme) else f":{check.port}"
        origin = f"{check.scheme}://{where}{port}"
        request = Outgoing(
            "GET", origin, check.path, headers={"Accept": "*/*"}, known_as=check.host
        )
        if (transport := self._transports.get(check.verify)) is None:
            total = self._longest_s
            limits = ExchangeLimits(
                connect_s=total, read_s=total, total_s=total, max_bytes=MOST_BYTES
            )
            transport = Transport(limits, ssl_context=None if check.verify else unverified())
            self._transports[check.verify] = transport
        try:
            reply = await transport.send_direct(request)
        except Unreachable as error:
            return f"{address}: {error}" if check.host else str(error)
        wanted = " or ".join(map(str, check.status))
        if reply.status not in check.status:
            more = "; redirects are not followed" if 300 <= reply.status < 400 else ""
            return f"{address} answered {reply.status}, {wanted} is wanted{more}"
        if check.body and check.body not in reply.body.decode("utf-8", "replace"):
            return f"{address} answered {reply.status} without the text {check.body[:100]!r}"
        return None


@asynccontextmanager
async def _connected(address: str, port: int) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        yield reader
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
