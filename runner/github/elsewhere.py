"""Where GitHub sends a download to, and whether we go there."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from runner.net.hosts import is_loopback

LONGEST = 8_000


async def address_of(location: str, api_host: str) -> tuple[str, str]:
    """Origin and target (path and query, unchanged) of a redirect's address.

    Raises ValueError, with the reason, unless it is https and none of the host's addresses is private. The API's own
    host may be private, as an enterprise's is. An API on this machine may also send to http on this machine. A host
    that only a proxy can look up has no address here to judge; then the proxy decides.
    """
    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("its target is no address") from None
    if not host or len(location) > LONGEST or not location.isascii() or not location.isprintable() or " " in location:
        raise ValueError("its target is no address")
    if "@" in parts.netloc:
        raise ValueError("its target names a user")
    is_local = is_loopback(api_host) and is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ValueError("its target is not https")
    if not is_local and host != api_host and await _is_private(host, port or 443):
        raise ValueError("its target is a private address")
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path


async def _is_private(host: str, port: int) -> bool:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return is_loopback(host)
    return any(not _is_public(ip_address(str(where[0]).partition("%")[0])) for *_, where in found)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = inner or address
    return address.is_global and not address.is_multicast
