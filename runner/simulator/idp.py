"""IAM's older exchange of ID tokens: a token for an ID token, and a temporary key for a token.

Pages "Obtaining a Token with an OpenID Connect ID Token" and "Obtaining a Temporary Access Key and Security Token
Through a Token". The errors of the first are IAM's own (shape `error_code`), of the second Keystone's.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from runner.simulator.answers import Reply, compact, keystone_error, ok
from runner.simulator.auth import Request, digest
from runner.simulator.call_metadata import temporary_key as new_key
from runner.simulator.iam import is_for_project, new_token
from runner.simulator.state import Turn
from runner.simulator.sts import Refused, verified
from runner.simulator.switches import Credentials
from runner.simulator.timeline import iso_micros, length_millis

_CODES = {400: "IAM.0011", 401: "IAM.0001", 403: "IAM.0003", 404: "IAM.0004"}
_USUAL_S = 900
_SECONDS = range(900, 86_401)


def issue_token(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`POST /v3.0/OS-AUTH/id-token/tokens`, unsigned: 201 with the token in `X-Subject-Token`.

    Checked are `X-Idp-Id`, the ID token as STS checks it, and the scope: a project, a domain or none.
    """
    try:
        auth = json.loads(request.body)["auth"]
        id_token, scope = auth["id_token"]["id"], auth.get("scope")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _refuse(400, "The request body is invalid.")
    trust = credentials.oidc
    if trust is None or request.headers.get("x-idp-id") != trust.idp_id:
        return _refuse(404, "The identity provider does not exist.")
    try:
        claims = verified(str(id_token), trust, turn.wall)
    except Refused as refused:
        return _refuse(refused.status, refused.message)
    is_scoped = is_for_project(scope, turn, credentials)
    if is_scoped is None:
        return _refuse(403, "The project does not exist or the user has no rights in it.")
    life = credentials.token_valid if trust.key_valid is None else min(credentials.token_valid, trust.key_valid)
    expires = turn.wall + length_millis(life)
    body = _token_body(turn, credentials, trust.idp_id, str(claims.get("sub", "")), expires)
    return ok({"token": body}, status=201, x_subject_token=new_token(turn, expires, is_scoped))


def temporary_key(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`POST /v3.0/OS-CREDENTIAL/securitytokens`: 201 with a key, for a token that is good; the header's wins."""
    try:
        identity = json.loads(request.body)["auth"]["identity"]
        asked = identity.get("token") or {}
        methods, inner, seconds = identity["methods"], asked.get("id"), asked.get("duration_seconds", _USUAL_S)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return keystone_error(400, "Bad Request", "The request body is invalid.")
    token = request.headers.get("x-auth-token", inner)
    if methods != ["token"] or not isinstance(token, str):
        return keystone_error(400, "Bad Request", "Only the method token is known here.")
    if type(seconds) is not int or seconds not in _SECONDS:
        return keystone_error(400, "Bad Request", "duration_seconds is not from 900 to 86400.")
    if turn.wall >= turn.world.tokens.get(digest(token), 0):
        return keystone_error(401, "Unauthorized", "The token is invalid or has expired.")
    life = timedelta(seconds=seconds)
    if credentials.oidc is not None and credentials.oidc.key_valid is not None:
        life = min(life, credentials.oidc.key_valid)
    return new_key(turn, credentials, turn.wall + length_millis(life), "TMP", status=201)


def _token_body(turn: Turn, credentials: Credentials, idp: str, name: str, expires: int) -> dict[str, Any]:
    federation = {"identity_provider": {"id": idp}, "protocol": {"id": "oidc"}, "groups": []}
    domain = {"id": turn.world.fleet.domain_id, "name": credentials.domain}
    return {
        "expires_at": f"{iso_micros(expires)}Z",
        "issued_at": f"{iso_micros(turn.wall)}Z",
        "methods": ["mapped"],
        "user": {"OS-FEDERATION": federation, "domain": domain, "name": name, "id": turn.world.fleet.user_id},
    }


def _refuse(status: int, message: str) -> Reply:
    return Reply(status, compact({"error_msg": message, "error_code": _CODES[status]}), code=_CODES[status])
