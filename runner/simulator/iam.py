"""The IAM calls: a token for a password, and the project of a region."""

from __future__ import annotations

import json
import secrets
from typing import Any

from runner.simulator import events as ev
from runner.simulator.answers import Reply, keystone_error, ok
from runner.simulator.auth import Request, digest, query_pairs
from runner.simulator.chance import pick_hex
from runner.simulator.state import Turn
from runner.simulator.switches import Credentials
from runner.simulator.timeline import Millis, iso_micros, length_millis

_WRONG = "The username or password is wrong."


def issue_token(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`POST /v3/auth/tokens`: 201 with the token in `X-Subject-Token`, for the right user, password and domain.

    Source: "Obtaining a User Token Through Password Authentication". Errors in shape (f). The token is valid for
    24 hours of real time (`Credentials.token_valid`). Without a scope, or for the domain, it opens IAM alone.
    """
    try:
        auth = json.loads(request.body)["auth"]
        identity = auth["identity"]
        user = identity["password"]["user"]
        methods = identity["methods"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return keystone_error(400, "Bad Request", "The request body is invalid.")
    if methods != ["password"] or not isinstance(user, dict):
        return keystone_error(400, "Bad Request", "Only the method password is known here.")
    if not _is_our_user(user, turn, credentials):
        return keystone_error(401, "Unauthorized", _WRONG)
    is_scoped = is_for_project(auth.get("scope"), turn, credentials)
    if is_scoped is None:
        return keystone_error(401, "Unauthorized", "The project does not exist or you have no rights in it.")
    expires = turn.wall + length_millis(credentials.token_valid)
    body = _token_body(turn, credentials, expires, is_scoped)
    return ok({"token": body}, status=201, x_subject_token=new_token(turn, expires, is_scoped))


def new_token(turn: Turn, expires: Millis, is_scoped: bool) -> str:
    """A token; the log keeps its digest and its end only."""
    token = "MII" + secrets.token_urlsafe(1100)
    turn.append(ev.TokenIssued(turn.now, digest(token), expires, is_scoped))
    return token


def _is_our_user(user: dict[str, Any], turn: Turn, credentials: Credentials) -> bool:
    """Whether name (with its domain) or id, and the password, are those of the one user there is."""
    fleet = turn.world.fleet
    domain = user.get("domain")
    domain = domain if isinstance(domain, dict) else {}
    is_named = user.get("name") == credentials.user and (
        domain.get("name") == credentials.domain or domain.get("id") == fleet.domain_id
    )
    password = user.get("password")
    is_right = isinstance(password, str) and secrets.compare_digest(password.encode(), credentials.password.encode())
    return is_right and (is_named or user.get("id") == fleet.user_id)


def is_for_project(scope: Any, turn: Turn, credentials: Credentials) -> bool | None:
    """Whether a scope is the one project there is, by id or by name (its name is the region's).

    False for none and for our domain: such a token is for global services. None for what does not exist here.
    """
    fleet = turn.world.fleet
    if scope in (None, {}):
        return False
    project = scope.get("project") if isinstance(scope, dict) else None
    domain = scope.get("domain") if isinstance(scope, dict) else None
    if isinstance(project, dict):
        is_ours = project.get("id") == fleet.project_id or project.get("name") == fleet.options.region
        return True if is_ours else None
    if isinstance(domain, dict) and (domain.get("id") == fleet.domain_id or domain.get("name") == credentials.domain):
        return False
    return None


def _token_body(turn: Turn, credentials: Credentials, expires: Millis, is_scoped: bool) -> dict[str, Any]:
    fleet = turn.world.fleet
    domain = {"id": fleet.domain_id, "name": credentials.domain}
    scope = {"project": {"domain": domain, "id": fleet.project_id, "name": fleet.options.region}}
    return {
        "catalog": [],
        "expires_at": f"{iso_micros(expires)}Z",
        "issued_at": f"{iso_micros(turn.wall)}Z",
        "methods": ["password"],
        **(scope if is_scoped else {"domain": domain}),
        "roles": [{"id": "0", "name": "te_admin"}],
        "user": {
            "domain": domain,
            "id": fleet.user_id,
            "name": credentials.user,
            "password_expires_at": None if turn.world.switches.cloud == "otc" else "",
        },
    }


def list_projects(request: Request, turn: Turn) -> Reply:
    """`GET /v3/projects?name=`: the region's own project, and those of `other_projects`.

    Source: "Querying Project Information". Only the region's own has servers.
    """
    fleet = turn.world.fleet
    host = request.headers.get("host", "")
    base = f"http://{host}/v3/projects"
    wanted = dict(query_pairs(request.query))
    ids = {fleet.options.region: fleet.project_id}
    ids |= {
        name: pick_hex(fleet.options.seed, "project", name, digits=32) for name in turn.world.switches.other_projects
    }
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
    links = {"self": base + (f"?{request.query}" if request.query else ""), "previous": None, "next": None}
    return ok({"links": links, "projects": [p for p in projects if all(str(p[k]) == wanted[k] for k in keys)]})
