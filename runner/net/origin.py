"""An endpoint as somebody wrote it: its one spelling, or why it is none.

What decides where credentials go is read narrowly: ASCII only, no user, no path, no
escapes, no closing dot, and of addresses in numbers only the plain spelling. Whatever two
programs could read differently is refused, not interpreted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urlsplit

from runner.net.hosts import in_url, is_address, is_loopback
from runner.net.text import tidy

ALLOWED_HOSTS = "REBOOT_RUNNER_ALLOWED_HOSTS"

_ENDPOINT = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::(?P<port>[1-9][0-9]{0,4}))?/?"
)
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OWN_PORT = {"http": 80, "https": 443}


class BadOrigin(ValueError):
    """What is wrong with an endpoint. `code` is stable; the text quotes nothing but a host."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def allowed_hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts that the environment allows, by commas or blanks; one with a leading dot is a
    suffix (`.example.com`).

    Only those that some host could match; `vain_hosts` has the others.
    """
    return tuple(host.lower().rstrip(".") for host in _listed(environ) if _can_match(host))


def vain_hosts(environ: Mapping[str, str]) -> str | None:
    """A sentence about entries that no host can match: URLs, patterns, ports. None where
    there are none.
    """
    vain = [
        "one with @" if "@" in entry else tidy(entry, 100)
        for entry in _listed(environ)
        if not _can_match(entry)
    ]
    if not vain:
        return None
    more = f" and {len(vain) - 5} more" if len(vain) > 5 else ""
    return f"entries of {ALLOWED_HOSTS} match no host: {', '.join(vain[:5])}{more}"


VAIN_HINT = (
    "write a host (ecs.example.com), or a suffix with a leading dot (.example.com): no "
    "scheme, port, path or *"
)


def _listed(environ: Mapping[str, str]) -> list[str]:
    return environ.get(ALLOWED_HOSTS, "").replace(",", " ").split()


def _can_match(entry: str) -> bool:
    host = entry.lower().rstrip(".")
    return bool(_NAME.fullmatch(host.removeprefix("."))) or is_address(host)


def is_listed(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether the environment allows this host."""
    return any(host.endswith(a) if a.startswith(".") else host == a for a in allowed)


def origin(url: str, is_allowed: Callable[[str], bool]) -> str:
    """`https://host` or `https://host:port`, in lower case, without the scheme's own port and
    a closing slash.

    `is_allowed` is asked about hosts that are not this machine. Raises BadOrigin.
    """
    parts = _ENDPOINT.fullmatch(url)
    if parts is None:
        raise BadOrigin("EndpointInvalid", _why_none(url))
    scheme, host, port = (
        parts["scheme"].lower(),
        parts["host"].strip("[]").lower(),
        int(parts["port"] or 0),
    )
    if port > 65535:
        raise BadOrigin("EndpointInvalid", "has a port that is none")
    if is_loopback(host):
        if scheme not in _OWN_PORT:
            raise BadOrigin("EndpointInvalid", "is neither http nor https")
    elif scheme not in _OWN_PORT:
        raise BadOrigin("EndpointInvalid", "is not https")
    elif scheme != "https":
        raise BadOrigin("EndpointInsecure", f'is not https, and "{host[:100]}" is not this machine')
    elif not _NAME.fullmatch(host) and not is_address(host):
        raise _not_allowed(host, "which is no host name")
    elif not is_allowed(host):
        raise _not_allowed(host, "which is no host of this service, region and cloud")
    return f"{scheme}://{in_url(host)}" + (f":{port}" if port not in (0, _OWN_PORT[scheme]) else "")


def safe_parts(url: str) -> SplitResult | None:
    """Take apart an https URL, or one of http on loopback, without a user; None for
    everything else.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return parts if host and is_safe and "@" not in parts.netloc else None


def host_of_origin(found: str) -> str:
    """The name in what `origin` gave (of an address with colons, a part that is no name)."""
    return found.partition("://")[2].partition(":")[0]


def _not_allowed(host: str, why: str) -> BadOrigin:
    return BadOrigin("EndpointNotAllowed", f'is on "{host[:100]}", {why}')


def _why_none(url: str) -> str:
    """A sentence that helps, without the text itself: it may hold a password."""
    if "@" in url:
        return "holds a user name or a password"
    if not url.isascii() or "%" in url:
        return "has characters that host names do not have; write the name in ASCII"
    if re.fullmatch(r"[A-Za-z]+://[^/?#\\]+[/?#\\].+", url, re.DOTALL):
        return "has a path, a query or a fragment"
    return "is not a URL such as https://ecs.region.example.com"
