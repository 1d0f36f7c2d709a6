"""Which machine this is: what the metadata service of an ECS says of it, and its own addresses.

The service is at a link-local address that only the server itself reaches. Page "Obtaining
Metadata", and for the token mode the vendor's SDK (`auth/internal.py`): a PUT gives a token for the
header `X-Metadata-Token`; 404, 405 or 503 on the PUT mean that tokens are not known there. Asked
directly: never through a proxy, no redirect is followed, and everything has one deadline, for most
machines are no ECS and nobody answers.
"""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from runner.errors import InvalidInput
from runner.inputs.fields import as_text, json_object
from runner.model.machine import NO_SERVER, Machine
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

ITSELF = "REBOOT_RUNNER_ITSELF"
"""An environment variable: the id of the server that this machine is, or `none`."""

WITHIN_S = 0.8
"""What a machine loses that is no ECS, at most."""

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?)([0-9A-Fa-f]{4}\1){3}[0-9A-Fa-f]{12}")
_MOST_LINES = 100_000
_found: dict[str, str | None] = {}
"""What each metadata service answered: it is asked once in a process, which does not move
to another machine.
"""


async def this_machine(environ: Mapping[str, str]) -> Machine:
    """What can be told of this machine from inside. Raises InvalidInput for a variable that
    says nothing usable.

    A machine that is no ECS, or whose metadata service is switched off, has no `server_id`;
    that is no error.
    """
    stated = environ.get(ITSELF, "").strip().lower()
    if stated not in ("", NO_SERVER) and not _UUID.fullmatch(stated):
        message = f"{ITSELF} is neither the id of a server nor {NO_SERVER}"
        raise InvalidInput(
            [Problem("BadValue", message, Location("environment"), "an id is a UUID")]
        )
    origin = origin_of(environ)
    if origin not in _found:
        _found[origin] = await _ask(origin)
    return Machine(_found[origin], stated or None, own_addresses(), own_macs())


def forget() -> None:
    """Ask again, as a new process would."""
    _found.clear()


async def _ask(origin: str) -> str | None:
    """The `uuid` of `meta_data.json` (page "Obtaining Metadata"); None where nobody says one."""
    metadata = Metadata(origin, WITHIN_S)
    try:
        reply = await metadata.get(META_DATA)
    except Unreachable:
        return None
    finally:
        await metadata.aclose()
    found = as_text(json_object(reply.body).get("uuid")) if reply.status == 200 else ""
    return found if _UUID.fullmatch(found) else None


def own_addresses(proc: Path = Path("/proc/net")) -> frozenset[str]:
    """The addresses of all interfaces, without those that other machines have as well
    (loopback, link-local).

    Linux lists them in `/proc/net` (`fib_trie`, `if_inet6`); elsewhere what the host's name
    and the routes tell.
    """
    found = set(_by_proc(proc)) or set(_by_socket())
    usable = (ip_address(text) for text in found)
    return frozenset(
        str(a)
        for a in usable
        if not (a.is_loopback or a.is_link_local or a.is_unspecified or a.is_multicast)
    )


def own_macs(net: Path = Path("/sys/class/net")) -> frozenset[str]:
    """The addresses of the network cards, in lower case; elsewhere than on Linux the one
    that Python finds.
    """
    found = set()
    with suppress(OSError):
        for card in net.iterdir():
            with suppress(OSError, ValueError):
                found.add((card / "address").read_text("ascii").strip().lower())
    known = frozenset(
        mac
        for mac in found
        if re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", mac) and mac.strip("0:")
    )
    if known or net.is_dir():
        return known
    number = uuid.getnode()
    is_made_up = bool(
        number >> 40 & 1
    )  # the page of `uuid.getnode` says so: it then sets the multicast bit
    return (
        frozenset()
        if is_made_up
        else frozenset({":".join(f"{number:012x}"[n : n + 2] for n in range(0, 12, 2))})
    )


def _by_proc(proc: Path) -> Iterator[str]:
    last = ""
    for line in _lines(
        proc / "fib_trie"
    ):  # `|-- 10.0.0.5`, then `/32 host LOCAL`: an address of this machine
        words = line.split()
        if "|--" in words:
            last = words[-1]
        elif words == ["/32", "host", "LOCAL"] and last:
            yield last
    for line in _lines(proc / "if_inet6"):  # 32 hex digits begin each line
        if re.match("[0-9a-f]{32}", line):
            yield str(ip_address(int(line[:32], 16).to_bytes(16, "big")))


def _lines(path: Path) -> Iterator[str]:
    with suppress(OSError), path.open(encoding="ascii", errors="replace") as file:
        for n, line in enumerate(file):
            if n >= _MOST_LINES:
                return
            yield line


def _by_socket() -> Iterator[str]:
    """What the host's own name stands for, and the address of the default route (no packet
    leaves for it).
    """
    with suppress(OSError):
        for _, _, _, _, address in socket.getaddrinfo(socket.gethostname(), None):
            yield str(address[0]).partition("%")[0]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("192.0.2.1", 9))
        yield str(out.getsockname()[0])


def origin_of(environ: Mapping[str, str]) -> str:
    """Where the service is. Raises InvalidInput for an address in the environment that is
    not http on loopback.
    """
    written = environ.get(OVERRIDE, "").strip().rstrip("/")
    if not written:
        return ADDRESS
    parts = safe_parts(written)
    if parts is None or parts.scheme != "http" or parts.path or parts.query:
        message = f"{OVERRIDE} is no address such as http://127.0.0.1:8080"
        raise InvalidInput(
            [
                Problem(
                    "BadEndpoint", message, Location("environment"), "leave it out on a real server"
                )
            ]
        )
    return f"http://{parts.netloc}"


class Metadata:
    """Questions to the service within `within_s` seconds in all, tokens included. Close it
    with `aclose`.
    """

    def __init__(
        self, origin: str, within_s: float, log: Callable[[RequestLog], None] | None = None
    ) -> None:
        limits = ExchangeLimits(
            connect_s=within_s / 2, read_s=within_s, total_s=within_s, max_bytes=_MAX_BYTES
        )
        self._transport = Transport(limits, log=log)
        self._origin = origin
        self._within_s = within_s
        self._token: Secret | None = None

    async def aclose(self) -> None:
        await self._transport.aclose()

    def secrets(self) -> tuple[Secret, ...]:
        return (self._token,) if self._token else ()

    async def get(self, path: str) -> Reply:
        """The answer, whatever its status; a 401 is answered with a token, where the service
        knows tokens.

        Raises Unreachable when nobody answers in time.
        """
        try:
            async with asyncio.timeout(self._within_s):
                reply = await self._ask(path)
                if reply.status != 401 or b"Agency" in reply.body:
                    return reply
                ttl = {"X-Metadata-Token-Ttl-Seconds": str(_TTL_S)}
                given = await self._transport.send_direct(
                    Outgoing("PUT", self._origin, _SESSION, headers=ttl)
                )
                text = given.body.decode("latin-1").strip()
                if (
                    given.status != 200
                    or not 1 <= len(text) <= 4096
                    or not (text.isascii() and text.isprintable())
                ):
                    return reply
                self._token = Secret(text)
                return await self._ask(path)
        except TimeoutError:
            raise Unreachable(
                f"the metadata service did not answer within {self._within_s:g} s", sent=True
            ) from None

    async def _ask(self, path: str) -> Reply:
        headers = {"X-Metadata-Token": self._token.reveal()} if self._token else {}
        return await self._transport.send_direct(
            Outgoing("GET", self._origin, path, headers=headers)
        )
