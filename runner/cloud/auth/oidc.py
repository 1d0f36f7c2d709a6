"""Temporary keys for an ID token: nothing that lasts is stored anywhere.

SDK model `AssumeAgencyWithOIDC`: `POST /v5/agencies/assume-with-oidc`, unsigned; the answer holds an access key, its
secret, a security token and their end. GitHub's page "OpenID Connect reference": a job with `id-token: write` gets an
ID token by `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…`; it lives for minutes, so each exchange asks for a new one.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.cloud.auth.credentials import AkSk
from runner.cloud.auth.oidc_login import ID_TOKEN, TOKEN_FILE, OidcLogin, TokenRequest
from runner.cloud.decode import when
from runner.errors import CloudDenied, CloudError
from runner.net.secret import Secret
from runner.net.text import parse_json, tidy
from runner.net.wire import Outgoing, Reply

_MARGIN = timedelta(minutes=5)
_AGAIN = timedelta(seconds=30)
_LONGEST_ID_TOKEN = 20_000
_REFUSALS = (400, 401, 403, 404)
_KEPT = 8

Send = Callable[[Outgoing, tuple[Secret, ...]], Awaitable[Reply]]
"""Sends a request that needs no signature, with the retries of a read; raises for HTTP errors. The secrets are those
that the request carries."""

OnSecret = Callable[[Secret], None]
"""Is told each new secret before the first use of it, so that a log can be made to hide it."""


class OidcKey:
    """A temporary key of an agency, exchanged for an ID token: kept, and renewed 5 minutes before it ends.

    `wall` is real time. A key's life is the shorter of what was asked for and what the answer says; of a very short
    one a third is the margin. Where a renewal fails, the old key is used as long as it lives.
    """

    def __init__(
        self,
        login: OidcLogin,
        sts_url: str | None,
        send: Send,
        wall: Callable[[], datetime],
        on_secret: OnSecret | None = None,
    ) -> None:
        if sts_url is None:
            raise CloudDenied(
                "no STS endpoint is known for this cloud and region, so an ID token cannot be exchanged",
                hint="set endpoints.sts of the target; or use another login, for example `auth: aksk`",
            )
        self._login = login
        self._sts_url = sts_url
        self._send = send
        self._wall = wall
        self._on_secret = on_secret
        self._lock = asyncio.Lock()
        self._key: AkSk | None = None
        self._renew_at = self._ends = wall()
        self._known: list[Secret] = []

    def __repr__(self) -> str:
        return "OidcKey(***)"

    @property
    def project_id(self) -> str | None:
        return self._login.project_id

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        return await (await self._current(instead_of=None)).authorize(request, at)

    async def renew(self, refused: Outgoing) -> bool:
        used = Secret(token) if (token := refused.headers.get("X-Security-Token")) else None
        return (await self._current(instead_of=used)).security_token != used

    def secrets(self) -> tuple[Secret, ...]:
        source = self._login.id_token
        fixed = source if isinstance(source, Secret) else source.bearer if isinstance(source, TokenRequest) else None
        return (*((fixed,) if fixed else ()), *self._known)

    async def _current(self, instead_of: Secret | None) -> AkSk:
        """The key; a new one if there is none, it has ended, or it is the one that was refused.

        Whoever comes while it is being fetched waits and gets the same one.
        """
        async with self._lock:
            now = self._wall()
            if self._key is None or now >= self._ends or self._key.security_token == instead_of:
                self._key = await self._exchange()
            elif now >= self._renew_at:
                self._key = await self._renewed(self._key)
            return self._key

    async def _renewed(self, old: AkSk) -> AkSk:
        """A new key; the old one, which is still good, where there is none to be had now."""
        try:
            return await self._exchange()
        except CloudError:
            self._renew_at = self._wall() + _AGAIN
            return old

    async def _exchange(self) -> AkSk:
        token = await self._id_token()
        self._tell(token)
        began = self._wall()
        request = Outgoing(
            "POST",
            self._sts_url,
            "/v5/agencies/assume-with-oidc",
            headers={"Content-Type": "application/json;charset=UTF-8"},
            body=json.dumps(self._question(token), separators=(",", ":")).encode(),
        )
        try:
            reply = await self._send(request, (token,))
        except CloudError as error:
            raise _explained(error, token, self._login, began) from None
        key, ends = _key_of(reply)
        for secret in key.secrets():
            self._tell(secret)
        life = timedelta(seconds=self._login.duration_s)
        if ends is not None and ends > began:
            life = min(life, ends - began)
        self._ends = began + life
        self._renew_at = self._ends - min(_MARGIN, life / 3)
        return key

    def _question(self, token: Secret) -> dict[str, Any]:
        login = self._login
        asked: dict[str, Any] = {
            "provider_urn": login.provider_urn,
            "agency_urn": login.agency_urn,
            "agency_session_name": login.session_name,
            "id_token": token.reveal(),
            "duration_seconds": login.duration_s,
        }
        if login.policy:
            asked["policy"] = login.policy
        if login.policy_ids:
            asked["policy_ids"] = list(login.policy_ids)
        return asked

    def _tell(self, secret: Secret) -> None:
        if secret in self._known:
            return
        self._known = [secret, *self._known][:_KEPT]
        if self._on_secret is not None:
            self._on_secret(secret)

    async def _id_token(self) -> Secret:
        source = self._login.id_token
        if isinstance(source, Secret):
            return source
        if isinstance(source, Path):
            return _from_file(source)
        return await self._from_github(source)

    async def _from_github(self, source: TokenRequest) -> Secret:
        headers = {"Authorization": f"bearer {source.bearer.reveal()}"}
        request = Outgoing("GET", source.origin, source.path, source.query, headers)
        try:
            reply = await self._send(request, (source.bearer,))
        except CloudError as error:
            if error.status not in _REFUSALS:
                raise
            raise CloudDenied(
                f"GitHub gave no ID token: HTTP {error.status}",
                hint="the job needs `permissions: id-token: write`; a called workflow and its caller both do",
                status=error.status,
            ) from None
        value = parse_json(reply.body)
        token = value.get("value") if isinstance(value, dict) else None
        if not isinstance(token, str) or not _is_usable(token):
            raise CloudError(f"{request.host} gave no usable ID token", status=reply.status)
        return Secret(token)


def _from_file(path: Path) -> Secret:
    """The token in the file as it is now: who keeps it fresh replaces it. Raises CloudDenied."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_ID_TOKEN + 2).decode("ascii").strip()
    except OSError as error:
        raise CloudDenied(f"{TOKEN_FILE} cannot be read: {error.strerror}", hint=f"check the file {path}") from None
    except ValueError:
        text = ""
    if not _is_usable(text):
        raise CloudDenied(f"{TOKEN_FILE} holds no ID token", hint=f"check the file {path}")
    return Secret(text)


def _is_usable(token: str) -> bool:
    """Whether it can be an ID token: visible ASCII, of a length that STS takes (4 to 20,000)."""
    return 4 <= len(token) <= _LONGEST_ID_TOKEN and token.isascii() and token.isprintable()


def _key_of(reply: Reply) -> tuple[AkSk, datetime | None]:
    """The key of an answer, and its end where that can be read. Raises CloudError for an answer without a key."""
    value = parse_json(reply.body)
    found = value.get("credentials") if isinstance(value, dict) else None
    parts = found if isinstance(found, dict) else {}
    texts = [parts.get(name) for name in ("access_key_id", "secret_access_key", "security_token")]
    usable = [Secret(t) for t in texts if isinstance(t, str) and t and t.isascii() and t.isprintable()]
    if len(usable) != len(texts):
        raise CloudError("STS gave no usable key", status=reply.status, request_id=reply.request_id)
    access, secret, token = usable
    return AkSk(access, secret, token), when(parts.get("expiration"))


def claims_of(token: Secret) -> Mapping[str, Any]:
    """What an ID token says of itself; nothing is verified. Empty for what is no JWT."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return {}
    try:
        value = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _explained(error: CloudError, token: Secret, login: OidcLogin, now: datetime) -> CloudError:
    """A refusal with the claims that the agency's trust policy judges; other errors as they are."""
    is_of_gateway = (error.code or "").startswith(("APIGW.", "APIG."))
    if error.status not in _REFUSALS or is_of_gateway:
        return error
    claims = claims_of(token)
    told = [f"{name} {_shown(claims[name])}" for name in ("sub", "aud", "iss") if name in claims]
    shown = f"; the ID token says {', '.join(told)}" if told else "; the ID token is no JWT"
    return CloudDenied(
        f"STS refused the ID token: {error.message}{shown}",
        hint=_how_to_mend(claims, login, now),
        code=error.code,
        status=error.status,
        request_id=error.request_id,
    )


def _shown(claim: object) -> str:
    """A claim in one line. A list (of audiences) shows its items."""
    return tidy(", ".join(map(str, claim)) if isinstance(claim, list) else str(claim), 200)


def _how_to_mend(claims: Mapping[str, Any], login: OidcLogin, now: datetime) -> str:
    ends = claims.get("exp")
    if isinstance(ends, int | float) and ends <= now.timestamp():
        if isinstance(login.id_token, Secret):
            return f"it has expired, and {ID_TOKEN} cannot be renewed: use {TOKEN_FILE}, or GitHub's own service"
        return "it has expired: see that a new one is issued, and check this machine's clock"
    return "the agency's trust policy must allow this sub and aud, and the provider must know the issuer and the aud"
