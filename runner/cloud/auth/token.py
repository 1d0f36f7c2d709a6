"""IAM tokens by password: fetched once, kept, renewed before they expire and once after a 401.

Page "Obtaining a User Token Through Password Authentication": `POST /v3/auth/tokens`, 201, the token in the header
`X-Subject-Token`, its times in the body; valid 24 hours; a new token does not end the old one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from runner.cloud.auth.environment import PasswordLogin
from runner.cloud.auth.oidc import subject_token
from runner.cloud.auth.temporary import Fresh, Kept, Known, OnSecret
from runner.cloud.decode import when
from runner.errors import CloudDenied, CloudError
from runner.inputs.json_text import parse_json
from runner.net.secret import Secret
from runner.net.wire import Outgoing, Reply

_DAY = timedelta(hours=24)
_LONGEST_MARGIN = timedelta(minutes=30)

Send = Callable[[Outgoing], Awaitable[Reply]]
"""Sends a request that needs no credentials, with the retries of a read; raises for HTTP errors."""


class PasswordToken:
    """A token for one project, by name (the region's own project is named like the region) or by id.

    `wall` is real time. A token is renewed a tenth of its life, at most 30 minutes, before it ends; its life is
    measured from its arrival on our clock, so that a clock that is wrong does no harm.
    """

    def __init__(
        self,
        login: PasswordLogin,
        iam_url: str,
        project: str,
        send: Send,
        wall: Callable[[], datetime],
        on_secret: OnSecret | None = None,
    ) -> None:
        self._login = login
        self._iam_url = iam_url
        self._project = project
        self._send = send
        self._wall = wall
        self._kept = Kept(self._fetch, lambda token: token, wall)
        self._known = Known(on_secret)
        self._project_id = login.project_id

    def __repr__(self) -> str:
        return "PasswordToken(***)"

    @property
    def project_id(self) -> str | None:
        """Known from the start if it was configured, else once the first token has come."""
        return self._project_id

    @property
    def names_project(self) -> bool:
        """Whether the login says which project, by id or by name; otherwise it is the region's own."""
        return bool(self._login.project_id or self._login.project_name)

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        token = await self._kept.current()
        return request.with_headers({"X-Auth-Token": token.reveal()})

    async def renew(self, refused: Outgoing) -> bool:
        return await self._kept.is_renewed(refused.headers.get("X-Auth-Token"))

    def secrets(self) -> tuple[Secret, ...]:
        return (self._login.password, *self._known.all())

    async def _fetch(self) -> Fresh[Secret]:
        body = json.dumps(self._question(), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json;charset=utf8"}
        reply = await self._send(
            Outgoing("POST", self._iam_url, "/v3/auth/tokens", (("nocatalog", "true"),), headers, body)
        )
        token = Secret(subject_token(reply.headers))
        if not token:
            raise CloudError("IAM gave no usable token", status=reply.status, request_id=reply.request_id)
        self._known.add(token)
        self._project_id = self._project_id or _project_of(reply.body)
        life = _life(reply.body)
        return Fresh(token, self._wall(), life, min(life / 10, _LONGEST_MARGIN))

    def _question(self) -> dict[str, Any]:
        login = self._login
        user: dict[str, Any] = {"password": login.password.reveal()}
        if login.user_id:
            user["id"] = login.user_id
        else:
            user["name"] = login.user
            user["domain"] = {"id": login.domain_id} if login.domain_id else {"name": login.domain}
        project = {"id": self._project_id} if self._project_id else {"name": login.project_name or self._project}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }
        }


def _life(body: bytes) -> timedelta:
    """The documented life of a token. Unreadable times: as if 24 hours."""
    token = _token_of(body)
    issued, expires = when(token.get("issued_at")), when(token.get("expires_at"))
    return expires - issued if issued and expires and expires > issued else _DAY


def _project_of(body: bytes) -> str | None:
    project = _token_of(body).get("project")
    found = project.get("id") if isinstance(project, dict) else None
    return found if isinstance(found, str) else None


def _token_of(body: bytes) -> dict[str, Any]:
    try:
        value = parse_json(body)
    except ValueError:
        return {}
    token = value.get("token") if isinstance(value, dict) else None
    return token if isinstance(token, dict) else {}


def denied_login(error: CloudDenied) -> CloudDenied:
    """The same refusal, said so that a person knows it was the login."""
    return CloudDenied(
        f"IAM refused the login: {error.message}",
        hint="check user, password and account (domain), and that the user may use the API",
        code=error.code,
        status=error.status,
        request_id=error.request_id,
    )
