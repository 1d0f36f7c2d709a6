"""The STS call: temporary keys for an ID token, after every check that the real service makes.

Request and answer are those of the SDK's models `AssumeAgencyWithOIDCRequestBody` and `…Response`. What an error looks
like is a guess: the gateway's shape, with codes of our own under `STS5`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.simulator import events as ev
from runner.simulator.answers import Reply, gateway_error, ok
from runner.simulator.auth import Request, temporary_digest, temporary_secret
from runner.simulator.state import Turn
from runner.simulator.switches import Credentials, OidcTrust
from runner.simulator.timeline import Millis, iso_millis, length_millis

LEEWAY_S = 60
"""How far the clocks of issuer and service may be apart for `nbf` and `iat`."""


class Asked(BaseModel):
    """The request's body with the limits of the SDK's model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    provider_urn: Annotated[str, Field(min_length=1, max_length=1500)]
    agency_urn: Annotated[str, Field(min_length=1, max_length=1500)]
    agency_session_name: Annotated[str, Field(min_length=2, max_length=128)]
    id_token: Annotated[str, Field(min_length=4, max_length=20_000, repr=False)]
    duration_seconds: Annotated[int, Field(ge=900, le=43_200)] = 3600
    policy: str | None = None
    policy_ids: list[str] | None = None


class Refused(Exception):
    """An ID token or a request that is not taken: status, code and text of the answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def assume_with_oidc(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`POST /v5/agencies/assume-with-oidc`, unsigned: a key that ends, with the security token it needs.

    Checked are provider and agency, the token's signature (HS256), `iss`, `aud`, `sub`, `exp`, `nbf` and `iat`, by
    real time. 400 for a request or a token that cannot be read, 401 for one that is not good, 403 for one that is
    not trusted, 404 for a provider or an agency that is not there.
    """
    try:
        asked = _asked(request)
        trust = _trust(asked, credentials)
        claims = verified(asked.id_token, trust, turn.wall)
    except Refused as refused:
        return gateway_error(refused.status, refused.code, refused.message, request.request_id)
    return _key(asked, claims, trust, turn, credentials)


def _asked(request: Request) -> Asked:
    try:
        return Asked.model_validate_json(request.body)
    except ValidationError as error:
        fields = ", ".join(sorted({str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"]}))
        raise Refused(400, "STS5.0400", f"The request body is invalid: {fields or 'no JSON object'}.") from None


def _trust(asked: Asked, credentials: Credentials) -> OidcTrust:
    trust = credentials.oidc
    if trust is None or asked.provider_urn != trust.provider_urn:
        raise Refused(404, "STS5.0404", "The identity provider does not exist.")
    if asked.agency_urn != trust.agency_urn:
        raise Refused(404, "STS5.0404", "The agency does not exist.")
    return trust


def verified(token: str, trust: OidcTrust, wall: Millis) -> dict[str, Any]:
    """The claims of a token that was signed by the issuer, is valid now, and may have the agency."""
    head, body, signature = _parts(token)
    if _object(head).get("alg") != "HS256":
        raise Refused(401, "STS5.0401", "The ID token is not signed with HS256.")
    right = hmac.new(trust.secret.encode(), token.rpartition(".")[0].encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(right, signature):
        raise Refused(401, "STS5.0401", "The signature of the ID token is wrong.")
    claims = _object(body)
    _check_times(claims, wall // 1000)
    audiences = claims.get("aud")
    if claims.get("iss") != trust.issuer:
        raise Refused(403, "STS5.0403", "The issuer of the ID token is not the provider's.")
    if trust.audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise Refused(403, "STS5.0403", "The audience of the ID token is not one of the provider's client ids.")
    if not fnmatchcase(str(claims.get("sub", "")), trust.subject):
        raise Refused(403, "STS5.0403", "The trust policy of the agency does not allow the subject.")
    return claims


def _parts(token: str) -> tuple[bytes, bytes, bytes]:
    try:
        head, body, signature = (
            base64.b64decode(p + "=" * (-len(p) % 4), b"-_", validate=True) for p in token.split(".")
        )
    except (ValueError, binascii.Error):
        raise Refused(400, "STS5.0400", "The ID token is no JWT.") from None
    return head, body, signature


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "STS5.0400", "The ID token is no JWT.")
    return value


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    ends = claims.get("exp")
    if not isinstance(ends, int) or now_s >= ends:
        raise Refused(401, "STS5.0401", "The ID token has expired.")
    for name in ("nbf", "iat"):
        if isinstance(since := claims.get(name), int) and since > now_s + LEEWAY_S:
            raise Refused(401, "STS5.0401", "The ID token is not valid yet.")


def _key(asked: Asked, claims: dict[str, Any], trust: OidcTrust, turn: Turn, credentials: Credentials) -> Reply:
    """A new key; the log keeps a digest and its end only."""
    access, token = "STS" + secrets.token_hex(9).upper()[:17], secrets.token_urlsafe(300)
    life = timedelta(seconds=asked.duration_seconds)
    ends = turn.wall + length_millis(life if trust.key_valid is None else min(life, trust.key_valid))
    turn.append(ev.TokenIssued(turn.now, temporary_digest(access, token), ends))
    agency = asked.agency_urn.rpartition(":")[2]
    domain = turn.world.fleet.domain_id
    return ok(
        {
            "credentials": {
                "access_key_id": access,
                "secret_access_key": temporary_secret(credentials, access),
                "security_token": token,
                "expiration": iso_millis(ends),
            },
            "assumed_agency": {
                "urn": f"sts::{domain}:assumed-agency:{agency}/{asked.agency_session_name}",
                "id": f"{domain}:{asked.agency_session_name}",
            },
            "source_identity": "",
            "audience": trust.audience,
            "provider": asked.provider_urn,
            "subject_from_id_token": str(claims.get("sub", "")),
        }
    )
