"""Whom TLS trusts, and which proxy leads out: by the environment of the process, never by a
file of the repository.
"""

from __future__ import annotations

import os
import re
import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from runner.inputs.files import describe, read_regular
from runner.net.hosts import is_link_local, is_loopback
from runner.net.text import tidy
from runner.net.wire import Unreachable

MOST_BYTES = 8 << 20
"""Of a file of certificates. The list of Mozilla's authorities has a quarter of a megabyte."""
CA_FILE = "REBOOT_RUNNER_CA_FILE"
"""Names a file with certificates (PEM) of authorities that are trusted besides those of the system.
"""
TRUST_HINT = (
    "if your organisation has an authority of its own, or a proxy that opens connections, "
    "name the file of its"
    f" certificate in {CA_FILE} (it is trusted besides the system's), or in SSL_CERT_FILE"
)
"""How to mend a certificate that is not trusted."""
PROXY_HINT = (
    "check the address, user and password of the proxy (http://USER:PASSWORD@HOST:PORT);"
    " list hosts that need no proxy in NO_PROXY"
)
_PLACE = re.compile(
    r"([a-z0-9]+)://(?:[^@/\s]*@)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?/?"
)
"""Scheme, host and port of a URL whose `@` and `/` stand where they belong."""


def trust() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR; certifi's where
    there are none. Besides them those of `REBOOT_RUNNER_CA_FILE`. Certificates and names
    are always verified.

    Raises Unreachable for a file that has no certificate: to go on without it would only
    fail later, and less clearly.
    """
    _demand_file("SSL_CERT_FILE")
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath or context.cert_store_stats()["x509_ca"]):
        import certifi

        context.load_verify_locations(certifi.where())
    own = _demand_file(CA_FILE)
    if own:
        try:
            context.load_verify_locations(own)
        except OSError as error:  # ssl.SSLError is one
            why = (
                "holds no certificate (PEM)" if isinstance(error, ssl.SSLError) else error.strerror
            )
            raise _unusable(CA_FILE, own, str(why)) from None
    return context


def _demand_file(variable: str) -> str:
    """Return the path in a variable, empty where it is not set: OpenSSL would wait for a pipe,
    and read a device for ever. Raises Unreachable.
    """
    path = os.environ.get(variable, "")
    try:
        if path:
            read_regular(Path(path), MOST_BYTES)
    except FileNotFoundError:
        pass  # OpenSSL says so, or takes the folder instead
    except OSError as error:
        raise _unusable(variable, path, describe(error)) from None
    return path


def _unusable(variable: str, path: str, why: str) -> Unreachable:
    message = f"the file of {variable} cannot be used: {tidy(path, 200)}: {why}"
    return Unreachable(
        message, sent=False, hint="name a file with certificates in PEM form", lasting=True
    )


@cache
def trusts_nobody() -> ssl.SSLContext:
    """For plain HTTP on loopback: should TLS ever be tried with it, it fails."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def unverified() -> ssl.SSLContext:
    """Encrypts, and takes any certificate: for questions whose answer decides nothing secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def proxy_for(origin: str) -> str | None:
    """The tunnel of the environment (HTTPS_PROXY) for an https origin, unless NO_PROXY says
    otherwise.

    Never for loopback, nor for link-local addresses, where the metadata service is. What
    is returned may hold a password.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if parts.scheme != "https" or is_loopback(host) or is_link_local(host):
        return None
    proxy = getproxies().get("https")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def place_of(url: str) -> str:
    """Host and port of a proxy's URL, without user and password; nothing of one that cannot
    be taken apart for sure.
    """
    found = place_parts(url)
    if found is None:
        return "(an address that cannot be read)"
    return f"{found[2]}:{found[3]}" if found[3] else found[2]


def place_parts(url: str) -> re.Match[str] | None:
    """Scheme, host and port of a proxy's URL as groups 1 to 3; None where they are not certain."""
    return _PLACE.fullmatch(url)


def proxy_variable() -> str:
    """Return the environment variable that names the proxy: lower case wins, as in `urllib`."""
    return "https_proxy" if os.environ.get("https_proxy") else "HTTPS_PROXY"
