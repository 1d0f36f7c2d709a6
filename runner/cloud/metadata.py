"""The metadata service of an ECS, at the link-local address that only the server itself reaches.

Page "Obtaining Metadata", and for the token mode the vendor's SDK (`auth/internal.py`): a PUT gives a token for the
header `X-Metadata-Token`; 404, 405 or 503 on the PUT mean that tokens are not known there. Asked directly: never
through a proxy, no redirect is followed, and everything has one deadline, for most machines are no ECS and nobody
answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from runner.errors import InvalidInput
from runner.model.problem import Location, Problem
from runner.net.origin import safe_parts
from runner.net.secret import Secret
from runner.net.transport import ExchangeLimits, Transport
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable

ADDRESS = "http://169.254.169.254"
OVERRIDE = "REBOOT_RUNNER_METADATA"
"""An environment variable with another address, for tests and rehearsals: on loopback only."""

META_DATA = "/openstack/latest/meta_data.json"
SECURITY_KEY = "/openstack/latest/securitykey"
_SESSION = "/meta-data/latest/api/token"
_TTL_S = 21_600
_MAX_BYTES = 256 * 1024


def origin_of(environ: Mapping[str, str]) -> str:
    """Where the service is. Raises InvalidInput for an address in the environment that is not http on loopback."""
    written = environ.get(OVERRIDE, "").strip().rstrip("/")
    if not written:
        return ADDRESS
    parts = safe_parts(written)
    if parts is None or parts.scheme != "http" or parts.path or parts.query:
        message = f"{OVERRIDE} is no address such as http://127.0.0.1:8080"
        raise InvalidInput([Problem("BadEndpoint", message, Location("environment"), "leave it out on a real server")])
    return f"http://{parts.netloc}"


class Metadata:
    """Questions to the service within `within_s` seconds in all, tokens included. Close it with `aclose`."""

    def __init__(self, origin: str, within_s: float, log: Callable[[RequestLog], None] | None = None) -> None:
        limits = ExchangeLimits(connect_s=within_s / 2, read_s=within_s, total_s=within_s, max_bytes=_MAX_BYTES)
        self._transport = Transport(limits, log=log)
        self._origin = origin
        self._within_s = within_s
        self._token: Secret | None = None

    async def aclose(self) -> None:
        await self._transport.aclose()

    def secrets(self) -> tuple[Secret, ...]:
        return (self._token,) if self._token else ()

    async def get(self, path: str) -> Reply:
        """The answer, whatever its status; a 401 is answered with a token, where the service knows tokens.

        Raises Unreachable when nobody answers in time.
        """
        try:
            async with asyncio.timeout(self._within_s):
                reply = await self._ask(path)
                if reply.status != 401 or b"Agency" in reply.body:
                    return reply
                ttl = {"X-Metadata-Token-Ttl-Seconds": str(_TTL_S)}
                given = await self._transport.send_direct(Outgoing("PUT", self._origin, _SESSION, headers=ttl))
                text = given.body.decode("latin-1").strip()
                if given.status != 200 or not 1 <= len(text) <= 4096 or not (text.isascii() and text.isprintable()):
                    return reply
                self._token = Secret(text)
                return await self._ask(path)
        except TimeoutError:
            raise Unreachable(f"the metadata service did not answer within {self._within_s:g} s", sent=True) from None

    async def _ask(self, path: str) -> Reply:
        headers = {"X-Metadata-Token": self._token.reveal()} if self._token else {}
        return await self._transport.send_direct(Outgoing("GET", self._origin, path, headers=headers))
