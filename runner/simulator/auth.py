"""Who calls: tokens and SDK-HMAC-SHA256 signatures, checked as the API gateway does.

This is written from the description of the algorithm, apart from the client's signer, so
that each checks the other. Times here are real time, never simulated time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from runner.simulator.answers import Declined, ecs_error, gateway_error
from runner.simulator.state import WorldTurn
from runner.simulator.switches import KnownLogins
from runner.simulator.timeline import Millis, to_millis

ALGORITHM = "SDK-HMAC-SHA256"
SKEW: Millis = 15 * 60_000
"""Signature time and server time may be so far apart (API Signing Guide)."""

_AUTHORIZATION = re.compile(
    r"SDK-HMAC-SHA256 Access=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it came. `headers` in lower case; `query` the raw text after the
    question mark.

    `params`: the places of its route's path, by name.
    """

    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    params: Mapping[str, str] = field(default_factory=dict)


def check(request: Request, turn: WorldTurn, *, for_project: bool = True) -> None:
    """Raise Declined (401, shape b) unless the caller is who he says.

    `for_project`: a token must be for the project, as with every service but IAM.
    """
    token = request.headers.get("x-auth-token")
    if token is None:
        if "authorization" not in request.headers:
            raise _refused(request, "x-auth-token not found")
        _check_signature(request, turn)
        return
    kept = digest(token)
    expires = turn.world.tokens.get(kept)
    if expires is None:
        raise _refused(request, "decrypt token fail")
    if turn.wall >= expires:
        raise Declined(
            gateway_error(401, "APIGW.0307", "The token must be updated.", request.request_id)
        )
    if for_project and kept in turn.world.unscoped:
        code = turn.world.switches.unscoped_token
        raise Declined(gateway_error(401, code, "The token is for no project.", request.request_id))


def check_project(request: Request, turn: WorldTurn, *, code: str) -> None:
    """Raise Declined unless URL and credentials speak of the project that exists here."""
    known = turn.world.fleet.project_id
    if request.params["project"] != known or request.headers.get("x-project-id", known) != known:
        raise Declined(ecs_error(code))


def _refused(request: Request, tail: str) -> Declined:
    message = f"Incorrect IAM authentication information: {tail}"
    return Declined(gateway_error(401, "APIGW.0301", message, request.request_id))


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def temporary_secret(credentials: KnownLogins, ak: str) -> str:
    """The secret key of a temporary access key. It follows from the permanent one, so that
    no log holds it.
    """
    return hmac.new(
        credentials.sk.encode(), f"temporary {ak}".encode(), hashlib.sha256
    ).hexdigest()[:40]


def temporary_digest(ak: str, security_token: str) -> str:
    """What is kept of a temporary key beside its end. No token in a header can be this
    text: it has a line break.
    """
    return digest(f"{ak}\n{security_token}")


def _check_signature(request: Request, turn: WorldTurn) -> None:
    credentials = turn.credentials
    given = _AUTHORIZATION.fullmatch(request.headers["authorization"])
    if given is None:
        raise _refused(request, "Get secretKey failed")
    ak, names, signature = given.groups()
    signed = names.split(";")
    shown = request.headers.get("x-security-token")
    is_permanent = ak == credentials.ak
    sk = credentials.sk
    if not is_permanent:
        is_signed = shown is not None and "x-security-token" in signed
        ends = turn.world.tokens.get(temporary_digest(ak, shown or "" if is_signed else ""))
        if ends is None:
            raise _refused(request, f"ak {ak} not exist")
        if turn.wall >= ends:
            raise _refused(request, "Get secretKey failed, the security token has expired")
        sk = temporary_secret(credentials, ak)
    if (
        "host" not in signed
        or "x-sdk-date" not in signed
        or not all(n in request.headers for n in signed)
    ):
        raise _refused(request, "verify aksk signature fail, signed headers are missing")
    _check_date(request, turn.wall)
    # The key comes with its security token, signed; a permanent key comes with none.
    token = credentials.security_token
    is_its_own = token == shown
    if token is not None and shown is not None:
        is_its_own = "x-security-token" in signed and hmac.compare_digest(
            shown.encode(), token.encode()
        )
    if is_permanent and not is_its_own:
        raise _refused(
            request, "Get secretKey failed,error code: security token is wrong or not signed"
        )
    canonical = canonical_request(request, signed)
    if not hmac.compare_digest(sign(canonical, request.headers["x-sdk-date"], sk), signature):
        seen = canonical.replace("\n", "|")
        raise _refused(request, f"verify aksk signature fail, canonicalRequest:{seen}")


def _check_date(request: Request, wall: Millis) -> None:
    date = request.headers["x-sdk-date"]
    try:
        signed_at = to_millis(datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    except ValueError:
        raise _refused(request, "verify aksk signature fail, X-Sdk-Date is no date") from None
    if abs(wall - signed_at) > SKEW:
        server_time = f"{datetime.fromtimestamp(wall / 1000, UTC):%Y%m%dT%H%M%SZ}"
        tail = (
            f"calc aksk signature fail:signature expired, signature time:{date},server "
            f"time:{server_time}"
        )
        raise _refused(request, tail)


def sign(canonical: str, date: str, sk: str) -> str:
    """The signature (64 hex digits) of a canonical request: no key derivation, the secret
    key is the key.
    """
    text = f"{ALGORITHM}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(sk.encode(), text.encode(), hashlib.sha256).hexdigest()


def canonical_request(request: Request, signed: list[str]) -> str:
    """The six parts that are signed: method, path, query, headers, their names, hash of the body.

    The path is decoded, encoded again part by part and closed with `/`; queries are sorted
    before they are encoded. `X-Sdk-Content-Sha256`, if there is a body, stands for its
    hash.
    """
    path = "/".join(_encode(part) for part in unquote(request.raw_path).split("/"))
    path += "" if path.endswith("/") else "/"
    names = sorted(signed)
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    stated = request.headers.get("x-sdk-content-sha256") if request.body else None
    body = stated or hashlib.sha256(request.body).hexdigest()
    query = "&".join(f"{_encode(k)}={_encode(v)}" for k, v in sorted(query_pairs(request.query)))
    return "\n".join([request.method, path, query, headers, ";".join(names), body])


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Decoded (name, value) pairs in their order. `+` is a plus sign here, not a blank."""
    pairs = (piece.partition("=") for piece in query.split("&") if piece)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _encode(text: str) -> str:
    return quote(text, safe="~")
