"""The metadata service of one simulated server: what a program on an ECS is told of that server.

Page "Obtaining Metadata" (`/openstack/latest/meta_data.json`, `/openstack/latest/securitykey`), and for the token mode
the vendor's SDK (`auth/internal.py`): PUT for a token, which then goes with each question. On a real server it stands
at a link-local address; here at the cloud's own, so that faults, delays and the log of calls hold for it as well.
"""

from __future__ import annotations

import json
import secrets

from runner.simulator import events as ev
from runner.simulator.answers import Reply, ok
from runner.simulator.auth import Request, digest, temporary_digest, temporary_secret
from runner.simulator.state import Turn
from runner.simulator.switches import Credentials, Instance
from runner.simulator.timeline import iso_micros, length_millis

NO_AGENCY = "Please configure Cloud Service Agency first"
_TTL = "x-metadata-token-ttl-seconds"
_LONGEST_TTL_S = 21_600


def issue_token(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`PUT /meta-data/latest/api/token`: 200 with the token as plain text; 404 where tokens are not known."""
    instance = credentials.instance
    if instance is None or instance.tokens == "unknown":
        return _missing()
    ttl = request.headers.get(_TTL, "")
    if not ttl.isdecimal() or not 1 <= int(ttl[:6]) <= _LONGEST_TTL_S:
        return Reply(400, b"Bad Request", "text/plain")
    token = secrets.token_urlsafe(32)
    turn.append(ev.TokenIssued(turn.now, _kept(token), turn.wall + 1000 * int(ttl)))
    return Reply(200, token.encode(), "text/plain")


def meta_data(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`GET /openstack/latest/meta_data.json`: who the server is (`uuid`, `name`, `availability_zone`, `project_id`)."""
    instance = credentials.instance
    if instance is None:
        return _missing()
    if not _may_ask(request, turn, instance):
        return _unauthorized()
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


def security_key(request: Request, turn: Turn, credentials: Credentials) -> Reply:
    """`GET /openstack/latest/securitykey`: a temporary key of the server's agency; 401 without an agency."""
    instance = credentials.instance
    if instance is None:
        return _missing()
    if not _may_ask(request, turn, instance):
        return _unauthorized()
    if not instance.agency:
        return Reply(401, NO_AGENCY.encode(), "text/plain")
    return temporary_key(turn, credentials, turn.wall + length_millis(instance.key_valid), "AGN", status=200)


def temporary_key(turn: Turn, credentials: Credentials, ends: int, prefix: str, *, status: int) -> Reply:
    """A new temporary key in the shape of IAM and of the metadata service: `credential`. The log keeps its digest."""
    access, token = prefix + secrets.token_hex(9).upper()[:17], secrets.token_urlsafe(300)
    turn.append(ev.TokenIssued(turn.now, temporary_digest(access, token), ends))
    made = {
        "access": access,
        "secret": temporary_secret(credentials, access),
        "securitytoken": token,
        "expires_at": f"{iso_micros(ends)}Z",
    }
    return ok({"credential": made}, status=status)


def _may_ask(request: Request, turn: Turn, instance: Instance) -> bool:
    token = request.headers.get("x-metadata-token")
    if token is None:
        return instance.tokens != "required"
    ends = turn.world.tokens.get(_kept(token))
    return ends is not None and turn.wall < ends


def _kept(token: str) -> str:
    """A token of this service opens nothing else: what is kept of it is the digest of another text."""
    return digest(f"metadata\n{token}")


def _missing() -> Reply:
    return Reply(404, json.dumps({"error": "not found"}).encode())


def _unauthorized() -> Reply:
    return Reply(401, b"Unauthorized", "text/plain")
