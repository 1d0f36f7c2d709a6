"""Asks a server's own address whether it works. Every way it can go wrong is an answer in words, never an exception."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from ipaddress import ip_address

from runner.model.check import DEFAULT_PORTS, Check
from runner.net.hosts import is_loopback
from runner.net.text import tidy
from runner.net.transport import Limits, Transport
from runner.net.trust import unverified
from runner.net.wire import Outgoing, Unreachable

LONGEST_S = 5.0
"""For one check, from the first try to connect to the last byte: real seconds."""
MOST_BYTES = 64 * 1024
"""Of an answer to an HTTP check."""
BANNER_BYTES = 8 * 1024
"""Of what comes before and with an SSH server's version (RFC 4253, 4.2: other lines may come first)."""
_WORDS = 300


class NetProber:
    """The network behind the port `Prober`. `loopback_only`: addresses beyond this machine are never connected to.

    An address is connected to as it is: no name is looked up, no proxy is used, no redirect is followed.
    """

    def __init__(self, *, loopback_only: bool = False, longest_s: float = LONGEST_S) -> None:
        self._loopback_only = loopback_only
        self._longest_s = longest_s

    async def ask(self, address: str, check: Check) -> str | None:
        """None when the check passes, else what came instead, in words. Takes `longest_s` at most."""
        why = self._unusable(address)
        if why is None:
            if check.kind == "http":
                why = await self._http(address, check)
            elif check.kind == "tcp":
                why = await self._tcp(address, check.port)
            else:
                why = await self._ssh_banner(address, check.port)
        return None if why is None else tidy(f"{check.kind} {check.port}: {why}", _WORDS)

    def _unusable(self, address: str) -> str | None:
        try:
            ip_address(address)
        except ValueError:
            return "the cloud shows no fixed address of it"
        if self._loopback_only and not is_loopback(address):
            return f"a simulated server has nothing at {address}; only addresses of this machine are asked"
        return None

    async def _tcp(self, address: str, port: int) -> str | None:
        try:
            async with asyncio.timeout(self._longest_s), _connected(address, port):
                return None
        except TimeoutError:
            return f"{address} took no connection within {self._longest_s:g} s"
        except OSError as error:
            return f"{address}: {_os_words(error)}"

    async def _ssh_banner(self, address: str, port: int) -> str | None:
        said = b""
        try:
            async with asyncio.timeout(self._longest_s), _connected(address, port) as reader:
                while len(said) < BANNER_BYTES:
                    piece = await reader.read(BANNER_BYTES - len(said))
                    said += piece
                    if _has_version(said):
                        return None
                    if not piece:
                        break
        except TimeoutError:
            return f"{address} said no SSH version within {self._longest_s:g} s"
        except OSError as error:
            return f"{address}: {_os_words(error)}"
        return f"{address} said no SSH version, but {said[:80].decode('latin-1')!r}"

    async def _http(self, address: str, check: Check) -> str | None:
        where = f"[{address}]" if ":" in address else address
        port = "" if check.port == DEFAULT_PORTS.get(check.scheme) else f":{check.port}"
        origin = f"{check.scheme}://{where}{port}"
        request = Outgoing("GET", origin, check.path, headers={"Accept": "*/*"}, known_as=check.host)
        transport = self._verifying if check.verify else self._trusting
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

    @cached_property
    def _verifying(self) -> Transport:
        return self._transport(verify=True)

    @cached_property
    def _trusting(self) -> Transport:
        return self._transport(verify=False)

    def _transport(self, *, verify: bool) -> Transport:
        total = self._longest_s
        limits = Limits(connect_s=total, read_s=total, total_s=total, max_bytes=MOST_BYTES)
        return Transport(limits, ssl_context=None if verify else unverified())


@asynccontextmanager
async def _connected(address: str, port: int) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        yield reader
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _has_version(said: bytes) -> bool:
    return any(line.startswith((b"SSH-2.0-", b"SSH-1.99-")) for line in said.split(b"\n"))


def _os_words(error: OSError) -> str:
    """The system's word for it: asyncio's own text repeats the address and says less."""
    return os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
