"""Temporary keys for an ID token: nothing that lasts is stored anywhere. Two services exchange them.

STS, SDK model `AssumeAgencyWithOIDC`: `POST /v5/agencies/assume-with-oidc`, unsigned; the answer holds an access key,
its secret, a security token and their end.

IAM, page "Obtaining a Token with an OpenID Connect ID Token": `POST /v3.0/OS-AUTH/id-token/tokens` with `X-Idp-Id`
gives a token; page "Obtaining a Temporary Access Key and Security Token": `POST /v3.0/OS-CREDENTIAL/securitytokens`
gives a key for that. The vendor's SDK does just this (`FederalAccessor`): an unscoped token, a key for six hours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from runner.cloud.auth.credentials import AkSk
from runner.cloud.auth.id_token import explained, fetch_id_token, fixed_secrets
from runner.cloud.auth.oidc_login import IDP_TOKEN_FILE, IdpLogin, OidcLogin
from runner.cloud.auth.temporary import Fresh, Known, OnSecret, Send, fresh_key
from runner.errors import CloudDenied, CloudError
from runner.net.secret import Secret
from runner.net.wire import Outgoing

_SIX_HOURS = timedelta(hours=6)
_JSON = "application/json;charset=UTF-8"
_STS_TRUST = "the agency's trust policy must allow this sub and aud, and the provider must know the issuer and the aud"
_IAM_TRUST = "the identity provider must know this issuer, its key and the aud, and map the sub to a group of users"
_NO_STS = (
    "name an identity provider of IAM in HUAWEICLOUD_SDK_IDP_ID instead of the two URNs, as on Open Telekom Cloud,"
    " which has no STS; where the cloud has one, set endpoints.sts of the target; or use another login, for example"
    " `auth: aksk`"
)


class StsExchange:
    """A key of an agency, for an ID token. `wall` is real time."""

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
                hint=_NO_STS,
            )
        self._login = login
        self._sts_url = sts_url
        self._send = send
        self._wall = wall
        self._known = Known(on_secret)

    @property
    def project_id(self) -> str | None:
        return self._login.project_id

    def secrets(self) -> tuple[Secret, ...]:
        return (*fixed_secrets(self._login.id_token), *self._known.all())

    async def fetch(self) -> Fresh[AkSk]:
        source = self._login.id_token
        token = await fetch_id_token(source, self._send)
        self._known.add(token)
        began = self._wall()
        request = _post(self._sts_url, "/v5/agencies/assume-with-oidc", self._question(token))
        try:
            reply = await self._send(request, (token,))
        except CloudError as error:
            is_given = isinstance(source, Secret)
            raise explained(error, token, began, who="STS", trust=_STS_TRUST, is_given=is_given) from None
        fresh = fresh_key(reply, began, timedelta(seconds=self._login.duration_s), "STS")
        self._known.add(*fresh.value.secrets())
        return fresh

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


class IamExchange:
    """A key of a user of IAM that an identity provider is mapped to. `wall` is real time."""

    def __init__(
        self,
        login: IdpLogin,
        iam_url: str,
        send: Send,
        wall: Callable[[], datetime],
        on_secret: OnSecret | None = None,
    ) -> None:
        self._login = login
        self._iam_url = iam_url
        self._send = send
        self._wall = wall
        self._known = Known(on_secret)

    @property
    def project_id(self) -> str | None:
        return self._login.project_id

    def secrets(self) -> tuple[Secret, ...]:
        return (*fixed_secrets(self._login.id_token), *self._known.all())

    async def fetch(self) -> Fresh[AkSk]:
        token = await self._token()
        began = self._wall()
        asked = {"id": token.reveal(), "duration_seconds": int(_SIX_HOURS.total_seconds())}
        question = {"auth": {"identity": {"methods": ["token"], "token": asked}}}
        reply = await self._send(_post(self._iam_url, "/v3.0/OS-CREDENTIAL/securitytokens", question), (token,))
        fresh = fresh_key(reply, began, _SIX_HOURS, "IAM")
        self._known.add(*fresh.value.secrets())
        return fresh

    async def _token(self) -> Secret:
        """IAM's own token for an ID token; it opens nothing but IAM."""
        id_token = await fetch_id_token(self._login.id_token, self._send, IDP_TOKEN_FILE)
        self._known.add(id_token)
        began = self._wall()
        question = {"auth": {"id_token": {"id": id_token.reveal()}}}
        request = _post(self._iam_url, "/v3.0/OS-AUTH/id-token/tokens", question, {"X-Idp-Id": self._login.idp_id})
        try:
            reply = await self._send(request, (id_token,))
        except CloudError as error:
            raise explained(error, id_token, began, who="IAM", trust=_IAM_TRUST) from None
        token = Secret(subject_token(reply.headers))
        if not token:
            raise CloudError("IAM gave no usable token", status=reply.status, request_id=reply.request_id)
        self._known.add(token)
        return token


def subject_token(headers: Mapping[str, str]) -> str:
    """The token in IAM's answer; empty where there is none that another header could carry."""
    token = headers.get("x-subject-token", "")
    return token if token.isascii() and token.isprintable() else ""


def _post(url: str, path: str, question: Mapping[str, Any], more: Mapping[str, str] | None = None) -> Outgoing:
    body = json.dumps(question, separators=(",", ":")).encode()
    return Outgoing("POST", url, path, headers={"Content-Type": _JSON, **(more or {})}, body=body)
