"""What can be told of a host by its name alone: no look-up is made."""

from __future__ import annotations

from ipaddress import ip_address


def is_address(host: str) -> bool:
    """An IPv4 or IPv6 address in its plain spelling: no octal, hexadecimal or shortened
    numbers, no zone.
    """
    try:
        return str(ip_address(host)) == host
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """`localhost`, 127.0.0.0/8 or ::1."""
    return host.lower() == "localhost" or bool(_property(host, "is_loopback"))


def is_link_local(host: str) -> bool:
    return bool(_property(host, "is_link_local"))


def is_private(host: str) -> bool:
    return bool(_property(host, "is_private"))


def _property(host: str, name: str) -> object:
    try:
        return getattr(ip_address(host), name)
    except ValueError:
        return None


def in_url(host: str) -> str:
    """The host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
