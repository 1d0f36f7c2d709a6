"""The services that give out tokens and keys: IAM, STS, and the metadata service of one
simulated server.
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
from runner.simulator.answers import Declined, Response, compact, gateway_error, keystone_error, ok
from runner.simulator.auth import Request, digest, query_pairs, temporary_digest, temporary_secret
from runner.simulator.chance import pick_hex
from runner.simulator.state import WorldTurn
from runner.simulator.switches import Instance, OidcTrust
from runner.simulator.timeline import Millis, iso_micros, iso_millis, length_millis

LEEWAY_S = 60
"""How far the clocks of issuer and service may be apart for `nbf` and `iat`."""
NO_AGENCY = "Please configure Cloud Service Agency first"
_LONGEST_TTL_S = 21_600
_IAM_CODES = {400: "IAM.0011", 401: "IAM.0001", 403: "IAM.0003", 404: "IAM.0004"}
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class AgencyRequest(BaseModel):
    """The body of `assume-with-oidc` with the limits of the SDK's model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    provider_urn: Annotated[str, Field(min_length=1, max_length=1500)]
    agency_urn: Annotated[str, Field(min_length=1, max_length=1500)]
    agency_session_name: Annotated[str, Field(min_length=2, max_length=128)]
    id_token: Annotated[str, Field(min_length=4, max_length=20_000, repr=False)]
    duration_seconds: Annotated[int, Field(ge=900, le=43_200)] = 3600
    policy: str | None = None
    policy_ids: list[str] | None = None


class UntrustedToken(Exception):
    """An ID token or an exchange of one that is not taken: status and text of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def issue_token(request: Request, turn: WorldTurn) -> Response:
    """`POST /v3/auth/tokens`: 201 with the token in `X-Subject-Token`, for the right user,
    password and domain.

    Source: "Obtaining a User Token Through Password Authentication". Errors in shape (f).
    The token is valid for 24 hours of real time (`KnownLogins.token_valid`). Without a
    scope, or for the domain, it opens IAM alone.
    """
    try:
        auth = json.loads(request.body)["auth"]
        user, methods = auth["identity"]["password"]["user"], auth["identity"]["methods"]
    except _UNREADABLE:
        return keystone_error(400, "Bad Request", "The request body is invalid.")
    if methods != ["password"] or not isinstance(user, dict):
        return keystone_error(400, "Bad Request", "Only the method password is known here.")
    fleet = turn.world.fleet
    domain, password = user.get("domain"), user.get("password")
    is_of_domain = isinstance(domain, dict) and (
        domain.get("name") == turn.credentials.domain or domain.get("id") == fleet.domain_id
    )
    is_known = (user.get("name") == turn.credentials.user and is_of_domain) or user.get(
        "id"
    ) == fleet.user_id
    is_right = isinstance(password, str) and secrets.compare_digest(
        password.encode(), turn.credentials.password.encode()
    )
    if not is_right or not is_known:
        return keystone_error(401, "Unauthorized", "The username or password is wrong.")
    is_scoped = _is_for_project(auth.get("scope"), turn)
    if is_scoped is None:
        return keystone_error(
            401, "Unauthorized", "The project does not exist or you have no rights in it."
        )
    own = {"id": fleet.domain_id, "name": turn.credentials.domain}
    scope = {"project": {"domain": own, "id": fleet.project_id, "name": fleet.options.region}}
    return _new_token(
        turn,
        turn.credentials.token_valid,
        is_scoped,
        {
            "catalog": [],
            "methods": ["password"],
            **(scope if is_scoped else {"domain": own}),
            "roles": [{"id": "0", "name": "te_admin"}],
            "user": {
                "domain": own,
                "id": fleet.user_id,
                "name": turn.credentials.user,
                "password_expires_at": None if turn.world.switches.cloud == "otc" else "",
            },
        },
    )


def _new_token(
    turn: WorldTurn, valid: timedelta, is_scoped: bool, body: Mapping[str, Any]
) -> Response:
    """Give out a token; the log keeps its digest and its end only."""
    expires = turn.wall + length_millis(valid)
    token = "MII" + secrets.token_urlsafe(1100)
    turn.append(ev.TokenIssued(turn.now, digest(token), expires, is_scoped))
    times = {"expires_at": f"{iso_micros(expires)}Z", "issued_at": f"{iso_micros(turn.wall)}Z"}
    return ok({"token": {**times, **body}}, status=201, x_subject_token=token)


def _is_for_project(scope: Any, turn: WorldTurn) -> bool | None:
    """Whether a scope is the one project there is, by id or by name (its name is the region's).

    False for none and for our domain: such a token is for global services. None for what
    does not exist here.
    """
    fleet = turn.world.fleet
    if scope in (None, {}):
        return False
    project, domain = (
        (scope.get("project"), scope.get("domain")) if isinstance(scope, dict) else (None, None)
    )
    if isinstance(project, dict):
        is_ours = (
            project.get("id") == fleet.project_id or project.get("name") == fleet.options.region
        )
        return True if is_ours else None
    if isinstance(domain, dict) and (
        domain.get("id") == fleet.domain_id or domain.get("name") == turn.credentials.domain
    ):
        return False
    return None


def list_projects(request: Request, turn: WorldTurn) -> Response:
    """`GET /v3/projects?name=`: the region's own project, and those of `other_projects`.

    Source: "Querying Project Information". Only the region's own has servers.
    """
    fleet = turn.world.fleet
    base = f"http://{request.headers.get('host', '')}/v3/projects"
    wanted = dict(query_pairs(request.query))
    others = turn.world.switches.other_projects
    ids = {fleet.options.region: fleet.project_id}
    ids |= {name: pick_hex(fleet.options.seed, "project", name, digits=32) for name in others}
    projects = [
        {
            "is_domain": False,
            "description": "",
            "links": {"self": f"{base}/{project_id}"},
            "enabled": True,
            "id": project_id,
            "parent_id": fleet.domain_id,
            "domain_id": fleet.domain_id,
            "name": name,
        }
        for name, project_id in ids.items()
    ]
    keys = [key for key in ("name", "domain_id", "parent_id") if key in wanted]
    links = {
        "self": base + (f"?{request.query}" if request.query else ""),
        "previous": None,
        "next": None,
    }
    return ok(
        {
            "links": links,
            "projects": [p for p in projects if all(str(p[k]) == wanted[k] for k in keys)],
        }
    )


def issue_token_for_id_token(request: Request, turn: WorldTurn) -> Response:
    """`POST /v3.0/OS-AUTH/id-token/tokens`, unsigned: 201 with the token in `X-Subject-Token`.

    Page "Obtaining a Token with an OpenID Connect ID Token". Checked are `X-Idp-Id`, the ID
    token as STS checks it, and the scope: a project, a domain or none. Errors are IAM's own
    (shape `error_code`).
    """
    try:
        auth = json.loads(request.body)["auth"]
        id_token, scope = auth["id_token"]["id"], auth.get("scope")
    except _UNREADABLE:
        return _iam_error(400, "The request body is invalid.")
    trust = turn.credentials.oidc
    if trust is None or request.headers.get("x-idp-id") != trust.idp_id:
        return _iam_error(404, "The identity provider does not exist.")
    try:
        claims = _verified(str(id_token), trust, turn.wall)
    except UntrustedToken as error:
        return _iam_error(error.status, error.message)
    is_scoped = _is_for_project(scope, turn)
    if is_scoped is None:
        return _iam_error(403, "The project does not exist or the user has no rights in it.")
    fleet = turn.world.fleet
    user = {
        "OS-FEDERATION": {
            "identity_provider": {"id": trust.idp_id},
            "protocol": {"id": "oidc"},
            "groups": [],
        },
        "domain": {"id": fleet.domain_id, "name": turn.credentials.domain},
        "name": str(claims.get("sub", "")),
        "id": fleet.user_id,
    }
    valid = min(turn.credentials.token_valid, trust.key_valid or turn.credentials.token_valid)
    return _new_token(turn, valid, is_scoped, {"methods": ["mapped"], "user": user})


def _iam_error(status: int, message: str) -> Response:
    code = _IAM_CODES[status]
    return Response(status, compact({"error_msg": message, "error_code": code}), code=code)


def temporary_key(request: Request, turn: WorldTurn) -> Response:
    """`POST /v3.0/OS-CREDENTIAL/securitytokens`: 201 with a key, for a token that is good; the
    header's wins.

    Page "Obtaining a Temporary Access Key and Security Token Through a Token". Errors are
    Keystone's.
    """
    try:
        identity = json.loads(request.body)["auth"]["identity"]
        asked = identity.get("token") or {}
        methods, inner, seconds = (
            identity["methods"],
            asked.get("id"),
            asked.get("duration_seconds", 900),
        )
    except _UNREADABLE:
        return keystone_error(400, "Bad Request", "The request body is invalid.")
    token = request.headers.get("x-auth-token", inner)
    if methods != ["token"] or not isinstance(token, str):
        return keystone_error(400, "Bad Request", "Only the method token is known here.")
    if type(seconds) is not int or not 900 <= seconds <= 86_400:
        return keystone_error(400, "Bad Request", "duration_seconds is not from 900 to 86400.")
    if turn.wall >= turn.world.tokens.get(digest(token), 0):
        return keystone_error(401, "Unauthorized", "The token is invalid or has expired.")
    access, secret, token, ends = _new_key(turn, "TMP", _key_life(seconds, turn.credentials.oidc))
    return _credential(access, secret, token, ends, 201)


def _key_life(seconds: int, trust: OidcTrust | None) -> timedelta:
    life = timedelta(seconds=seconds)
    return min(life, trust.key_valid or life) if trust is not None else life


def _new_key(turn: WorldTurn, prefix: str, life: timedelta) -> tuple[str, str, str, Millis]:
    """Return access key, secret, security token and end of a new key. The log keeps its
    digest and its end.
    """
    access, token = prefix + secrets.token_hex(9).upper()[:17], secrets.token_urlsafe(300)
    ends = turn.wall + length_millis(life)
    turn.append(ev.TokenIssued(turn.now, temporary_digest(access, token), ends))
    return access, temporary_secret(turn.credentials, access), token, ends


def _credential(access: str, secret: str, token: str, ends: Millis, status: int) -> Response:
    made = {
        "access": access,
        "secret": secret,
        "securitytoken": token,
        "expires_at": f"{iso_micros(ends)}Z",
    }
    return ok({"credential": made}, status=status)


def assume_with_oidc(request: Request, turn: WorldTurn) -> Response:
    """`POST /v5/agencies/assume-with-oidc`, unsigned: a key that ends, with the security token it
    needs.

    Request and answer are those of the SDK's models `AssumeAgencyWithOIDCRequestBody` and
    `…Response`; errors are a guess: the gateway's shape, with codes of our own under `STS5`.
    Checked are provider and agency (404), the token's form (400), signature (HS256), `exp`, `nbf`
    and `iat` by real time (401), and `iss`, `aud` and `sub` (403).
    """
    try:
        asked, trust = _agency_request(request.body, turn.credentials.oidc)
        claims = _verified(asked.id_token, trust, turn.wall)
    except UntrustedToken as error:
        return gateway_error(
            error.status, f"STS5.0{error.status}", error.message, request.request_id
        )
    access, secret, token, ends = _new_key(turn, "STS", _key_life(asked.duration_seconds, trust))
    agency, domain = asked.agency_urn.rpartition(":")[2], turn.world.fleet.domain_id
    return ok(
        {
            "credentials": {
                "access_key_id": access,
                "secret_access_key": secret,
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


def _agency_request(body: bytes, trust: OidcTrust | None) -> tuple[AgencyRequest, OidcTrust]:
    try:
        asked = AgencyRequest.model_validate_json(body)
    except ValidationError as error:
        fields = ", ".join(
            sorted({str(e["loc"][0]) for e in error.errors(include_input=False) if e["loc"]})
        )
        raise UntrustedToken(
            400, f"The request body is invalid: {fields or 'no JSON object'}."
        ) from None
    if trust is None or asked.provider_urn != trust.provider_urn:
        raise UntrustedToken(404, "The identity provider does not exist.")
    if asked.agency_urn != trust.agency_urn:
        raise UntrustedToken(404, "The agency does not exist.")
    return asked, trust


def _verified(token: str, trust: OidcTrust, wall: Millis) -> dict[str, Any]:
    """The claims of a token that was signed by the issuer, is valid now, and may have
    the agency.
    """
    try:
        head, body, signature = (
            base64.b64decode(p + "=" * (-len(p) % 4), b"-_", validate=True)
            for p in token.split(".")
        )
    except (ValueError, binascii.Error):
        raise UntrustedToken(400, "The ID token is no JWT.") from None
    if _json_object(head).get("alg") != "HS256":
        raise UntrustedToken(401, "The ID token is not signed with HS256.")
    right = hmac.new(
        trust.secret.encode(), token.rpartition(".")[0].encode(), hashlib.sha256
    ).digest()
    if not hmac.compare_digest(right, signature):
        raise UntrustedToken(401, "The signature of the ID token is wrong.")
    claims = _json_object(body)
    ends, now_s = claims.get("exp"), wall // 1000
    if not isinstance(ends, int) or now_s >= ends:
        raise UntrustedToken(401, "The ID token has expired.")
    for name in ("nbf", "iat"):
        if isinstance(since := claims.get(name), int) and since > now_s + LEEWAY_S:
            raise UntrustedToken(401, "The ID token is not valid yet.")
    audiences = claims.get("aud")
    if claims.get("iss") != trust.issuer:
        raise UntrustedToken(403, "The issuer of the ID token is not the provider's.")
    if trust.audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise UntrustedToken(
            403, "The audience of the ID token is not one of the provider's client ids."
        )
    if not fnmatchcase(str(claims.get("sub", "")), trust.subject):
        raise UntrustedToken(403, "The trust policy of the agency does not allow the subject.")
    return claims


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UntrustedToken(400, "The ID token is no JWT.")
    return value


# The metadata service: page "Obtaining Metadata" (`/openstack/latest/meta_data.json`,
# `/openstack/latest/securitykey`), and for the token mode the vendor's SDK
# (`auth/internal.py`): PUT for a token, which then goes with each question. On a real
# server it stands at a link-local address; here at the cloud's own, so that faults, delays
# and the log of calls hold for it as well.


def metadata_token(request: Request, turn: WorldTurn) -> Response:
    """`PUT /meta-data/latest/api/token`: 200 with the token as plain text; 404 where tokens
    are not known.
    """
    if turn.credentials.instance is None or turn.credentials.instance.tokens == "unknown":
        raise Declined(_no_metadata())
    ttl = request.headers.get("x-metadata-token-ttl-seconds", "")
    if not ttl.isdecimal() or not 1 <= int(ttl[:6]) <= _LONGEST_TTL_S:
        return Response(400, b"Bad Request", "text/plain")
    token = secrets.token_urlsafe(32)
    turn.append(ev.TokenIssued(turn.now, _metadata_digest(token), turn.wall + 1000 * int(ttl)))
    return Response(200, token.encode(), "text/plain")


def meta_data(request: Request, turn: WorldTurn) -> Response:
    """`GET /openstack/latest/meta_data.json`: who the server is (`uuid`, `name`,
    `availability_zone`, `project_id`).
    """
    instance = _instance(request, turn)
    server = turn.world.servers.get(instance.server)
    return ok(
        {
            "uuid": instance.server,
            "availability_zone": server.zone if server else "",
            "name": server.name if server else "elsewhere",
            "project_id": turn.world.fleet.project_id,
            "region_id": turn.world.fleet.options.region,
            "meta": {},
            "random_seed": "ZXhhbXBsZQ==",
        }
    )


def security_key(request: Request, turn: WorldTurn) -> Response:
    """`GET /openstack/latest/securitykey`: a temporary key of the server's agency; 401
    without an agency.
    """
    instance = _instance(request, turn)
    if not instance.agency:
        return Response(401, NO_AGENCY.encode(), "text/plain")
    return _credential(*_new_key(turn, "AGN", instance.key_valid), 200)


def _instance(request: Request, turn: WorldTurn) -> Instance:
    """Return the server that the caller runs on. Raises Declined where there is none, or
    the request may not ask.
    """
    instance, token = turn.credentials.instance, request.headers.get("x-metadata-token")
    if instance is None:
        raise Declined(_no_metadata())
    if token is None and instance.tokens != "required":
        return instance
    if token is None or turn.wall >= turn.world.tokens.get(_metadata_digest(token), 0):
        raise Declined(Response(401, b"Unauthorized", "text/plain"))
    return instance


def _no_metadata() -> Response:
    return Response(404, json.dumps({"error": "not found"}).encode())


def _metadata_digest(token: str) -> str:
    """A token of this service opens nothing else: what is kept of it is the digest of
    another text.
    """
    return digest(f"metadata\n{token}")
