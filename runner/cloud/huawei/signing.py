"""The signature SDK-HMAC-SHA256 of the vendor's gateway ("API Signing Guide", and signer.py of
the vendor's SDK).

A pure function of the request and the instant: nothing here reads a clock.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import unquote

from runner.net.wire import canonical_query, encode

ALGORITHM = "SDK-HMAC-SHA256"


def sdk_date(at: datetime) -> str:
    """The header `X-Sdk-Date`: `20260102T030405Z`, UTC. `at` must be aware."""
    if at.tzinfo is None:
        raise ValueError("a signature needs an aware time")
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_request(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[str, str]:
    """The text whose hash is signed, and the names of the signed headers joined by `;`.

    Headers with `_` in their name are not signed. The path gets a closing `/` here, though
    the request is sent without it. A header `X-Sdk-Content-Sha256` stands in for the hash
    of a body that is not empty.
    """
    uri = "/".join(encode(part) for part in unquote(path).split("/"))
    if not uri.endswith("/"):
        uri += "/"
    signed = {name.lower(): value.strip() for name, value in headers.items() if "_" not in name}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    digest = (signed.get("x-sdk-content-sha256") if body else None) or hashlib.sha256(
        body
    ).hexdigest()
    return "\n".join([method.upper(), uri, canonical_query(query), lines, names, digest]), names


def authorization(
    access: str,
    secret: str,
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes = b"",
) -> str:
    """The header `Authorization`. `headers` are those that are signed and must hold Host and
    X-Sdk-Date.

    Raises KeyError where X-Sdk-Date is missing.
    """
    canonical, names = canonical_request(method, path, query, headers, body)
    date = {name.lower(): value.strip() for name, value in headers.items()}["x-sdk-date"]
    text = "\n".join([ALGORITHM, date, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Access={access}, SignedHeaders={names}, Signature={signature}"
