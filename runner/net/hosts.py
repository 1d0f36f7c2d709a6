"""What can be told of a host by its name alone: no look-up is made."""

from __future__ import annotations

from ipaddress import ip_address


def is_address(host: str) -> bool:
    """An IPv4 or IPv6 address in its plain spelling: no octal, hexadecimal or shortened numbers, no zone."""
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """`localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
