"""From a login to credentials: proof that ends is fetched from a service, kept, renewed in
time, never twice at once.

Temporary keys come from STS, IAM and the metadata service, tokens from IAM. The answers
with keys differ in their spellings only; the vendor's SDK reads all of them alike
(`auth/internal.py`, `_process_credential`).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.cloud.huawei.auth.credentials import AkSk, Credentials, StaticToken
from runner.cloud.huawei.auth.logins import (
    ID_TOKEN,
    IDP_TOKEN_FILE,
    TOKEN_FILE,
    IdpLogin,
    IdTokenSource,
    KeyLogin,
    Login,
    MetadataLogin,
    OidcLogin,
    PasswordLogin,
    TokenLogin,
    TokenRequest,
)
from runner.cloud.huawei.decode import when
from runner.cloud.huawei.endpoints import Settings
from runner.cloud.huawei.machine import SECURITY_KEY, Metadata
from runner.cloud.huawei.reader import Reader
from runner.errors import CloudDenied, CloudError
from runner.inputs.fields import as_map, as_text, json_object
from runner.inputs.files import describe, read_regular
from runner.net.secret import Secret
from runner.net.text import tidy
from runner.net.wire import Outgoing, Reply, RequestLog, Unreachable

OnSecret = Callable[[Secret], None]
"""Is told each new secret before the first use of it, so that a log can be made to hide it."""

WITHIN_S = 3.0
"""How long the metadata service may take, as in the vendor's SDK."""
WITHIN_S_UNASKED = 0.8
"""The same where nobody has said that this machine is an ECS: most are none, and nobody answers."""

_AGAIN = timedelta(seconds=30)
_SECRETS_KEPT = 16
_LONGEST_ID_TOKEN = 20_000
_REFUSALS = (400, 401, 403, 404)
_SPELLINGS = (
    ("access", "accessKeyId", "access_key_id"),
    ("secret", "secretAccessKey", "secret_access_key"),
    ("securitytoken", "securityToken", "security_token"),
)
_JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Fresh:
    """Proof, fetched at `since` (our clock), how long it lives from then, and how long
    before its end it is old.
    """

    value: AkSk | StaticToken
    since: datetime
    life: timedelta
    margin: timedelta


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an exchange of proof needs: where services are, what reads them, real time, and
    who is told of secrets.
    """

    settings: Settings
    reader: Reader
    wall: Callable[[], datetime]
    on_secret: OnSecret | None = None
    log: Callable[[RequestLog], None] | None = None

    async def send(self, request: Outgoing, *hide: Secret) -> Reply:
        """Send a request that needs no signature, with the retries of a read. `hide`: secrets
        that it carries.

        Raises CloudDenied, Unreachable, CloudError; none is repeated by the read that
        needed the login.
        """
        try:
            return (await self.reader.read(request, None, hide)).reply
        except CloudDenied:
            raise
        except Unreachable as error:
            error.lasting = True
            raise
        except CloudError as error:
            failure = replaced(CloudError, error, error.message, error.hint)
        raise failure

    async def post(
        self,
        url: str,
        path: str,
        question: Mapping[str, Any],
        *hide: Secret,
        more: Mapping[str, str] | None = None,
    ) -> Reply:
        body = json.dumps(question, separators=(",", ":")).encode()
        return await self.send(
            Outgoing("POST", url, path, (), {"Content-Type": _JSON, **(more or {})}, body), *hide
        )


class Renewable:
    """Credentials that end: kept, renewed in time and once after a 401.

    Where a renewal fails, the old ones are used as long as they live, and asked about again
    half a minute later. `given`: the secrets of the login itself.
    """

    proof_header = "X-Security-Token"

    def __init__(
        self, exchange: Exchange, project_id: str | None, given: tuple[Secret, ...] = ()
    ) -> None:
        self.project_id = project_id
        self._exchange = exchange
        self._given = given
        self._obtained: tuple[Secret, ...] = ()
        self._lock = asyncio.Lock()
        self._value: AkSk | StaticToken | None = None
        self._renew_at = self._ends = exchange.wall()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    async def fetch(self) -> Fresh:
        """New proof, or the same where it is not time yet. Raises CloudError, CloudDenied."""
        raise NotImplementedError

    def secrets(self) -> tuple[Secret, ...]:
        return (*self._given, *self._obtained)

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        return await (await self._current()).authorize(request, at)

    async def renew(self, refused: Outgoing) -> bool:
        used = refused.headers.get(self.proof_header)
        proof = Secret(used) if used else None
        return (await self._current(instead_of=proof)).proof != proof

    def hide(self, *secrets: Secret) -> None:
        """Hide secrets in messages from now on, and tell of each that is new."""
        for secret in secrets:
            if secret and secret not in self._obtained:
                self._obtained = (secret, *self._obtained)[:_SECRETS_KEPT]
                if self._exchange.on_secret is not None:
                    self._exchange.on_secret(secret)

    async def _current(self, instead_of: Secret | None = None) -> AkSk | StaticToken:
        """Return what is kept; something new if there is none, it has ended, or it is what was
        refused.

        Whoever comes while it is being fetched waits and gets the same. Raises what `fetch` raises.
        """
        async with self._lock:
            now, old = self._exchange.wall(), self._value
            is_over = (
                old is None
                or now >= self._ends
                or (instead_of is not None and old.proof == instead_of)
            )
            if old is not None and not is_over and now < self._renew_at:
                return old
            try:
                fresh = await self.fetch()
            except CloudError:
                if old is None or is_over:
                    raise
                self._renew_at = self._exchange.wall() + _AGAIN
                return old
            self._value = fresh.value
            self._ends = fresh.since + fresh.life
            self._renew_at = self._ends - fresh.margin
            return fresh.value

    def _fresh_key(
        self,
        reply: Reply,
        since: datetime,
        longest: timedelta,
        whose: str,
        *,
        unknown: timedelta | None = None,
    ) -> Fresh:
        """The key of an answer. Its life is the shorter of `longest` and what the answer says.

        `unknown`: its life where the answer's end cannot be read or is over by our clock;
        without it `longest`. Of a very short life a third is the margin. Raises CloudError
        for an answer without a whole key that headers can carry.
        """
        value = json_object(reply.body)
        parts = as_map(value.get("credential") or value.get("credentials"))
        texts = [next((parts[n] for n in names if parts.get(n)), None) for names in _SPELLINGS]
        usable = [
            Secret(t) for t in texts if isinstance(t, str) and t.isascii() and t.isprintable()
        ]
        if len(usable) != len(texts):
            raise CloudError(
                f"{whose} gave no usable key", status=reply.status, request_id=reply.request_id
            )
        ends = when(parts.get("expires_at") or parts.get("expiration"))
        life = (
            min(longest, ends - since) if ends is not None and ends > since else unknown or longest
        )
        self.hide(*usable)
        access, secret, token = usable
        return Fresh(AkSk(access, secret, token), since, life, min(timedelta(minutes=5), life / 3))

    def _subject_token(self, reply: Reply) -> Secret:
        token = reply.headers.get("x-subject-token", "")
        if not token or not (token.isascii() and token.isprintable()):
            raise CloudError(
                "IAM gave no usable token", status=reply.status, request_id=reply.request_id
            )
        self.hide(Secret(token))
        return Secret(token)

    async def _id_token(self, source: IdTokenSource, file_name: str) -> Secret:
        """An ID token of this moment. `file_name`: the variable that names the file. Raises
        CloudDenied, CloudError.
        """
        if isinstance(source, Secret):
            token = source.reveal()
        elif isinstance(source, Path):  # who keeps the file fresh replaces it
            try:
                token = read_regular(source, _LONGEST_ID_TOKEN + 2).decode("ascii").strip()
            except OSError as error:
                raise CloudDenied(
                    f"{file_name} {describe(error)}", hint=f"check the file {source}"
                ) from None
            except ValueError:
                token = ""
            if not _is_id_token(token):
                raise CloudDenied(f"{file_name} holds no ID token", hint=f"check the file {source}")
        else:
            # GitHub's page "OpenID Connect reference": a job with `id-token: write` gets an
            # ID token by `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…`; it lives for
            # minutes, so each exchange asks for a new one.
            headers = {"Authorization": f"bearer {source.bearer.reveal()}"}
            request = Outgoing("GET", source.origin, source.path, source.query, headers)
            try:
                reply = await self._exchange.send(request, source.bearer)
            except CloudError as error:
                if error.status not in _REFUSALS:
                    raise
                raise CloudDenied(
                    f"GitHub gave no ID token: HTTP {error.status}",
                    hint=(
                        "the job needs `permissions: id-token: write`; a called workflow and "
                        "its caller both do"
                    ),
                    status=error.status,
                ) from None
            token = as_text(json_object(reply.body).get("value"))
            if not _is_id_token(token):
                raise CloudError(f"{request.host} gave no usable ID token", status=reply.status)
        self.hide(Secret(token))
        return Secret(token)


class StsKey(Renewable):
    """A key of an agency, for an ID token.

    SDK model `AssumeAgencyWithOIDC`: `POST /v5/agencies/assume-with-oidc`, unsigned; the
    answer holds an access key, its secret, a security token and their end.
    """

    def __init__(self, login: OidcLogin, exchange: Exchange) -> None:
        super().__init__(exchange, login.project_id, _secrets_of(login.id_token))
        if exchange.settings.sts_url is None:
            raise CloudDenied(
                "no STS endpoint is known for this cloud and region, so an ID token cannot be "
                "exchanged",
                hint="name an identity provider of IAM in HUAWEICLOUD_SDK_IDP_ID instead of the "
                "two URNs, as on Open"
                " Telekom Cloud, which has no STS; where the cloud has one, set endpoints.sts of "
                "the target; or use"
                " another login, for example `auth: aksk`",
            )
        self._login = login
        self._sts_url = exchange.settings.sts_url

    async def fetch(self) -> Fresh:
        login = self._login
        token = await self._id_token(login.id_token, TOKEN_FILE)
        began = self._exchange.wall()
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
        try:
            reply = await self._exchange.post(
                self._sts_url, "/v5/agencies/assume-with-oidc", asked, token
            )
        except CloudError as error:
            trust = (
                "the agency's trust policy must allow this sub and aud, and the provider must "
                "know the issuer and the"
                " aud"
            )
            is_given = isinstance(login.id_token, Secret)
            raise _explained(
                error, token, began, who="STS", trust=trust, is_given=is_given
            ) from None
        return self._fresh_key(reply, began, timedelta(seconds=login.duration_s), "STS")


class IdpKey(Renewable):
    """A key of a user of IAM that an identity provider is mapped to.

    Page "Obtaining a Token with an OpenID Connect ID Token": `POST
    /v3.0/OS-AUTH/id-token/tokens` with `X-Idp-Id` gives a token; page "Obtaining a
    Temporary Access Key and Security Token": `POST /v3.0/OS-CREDENTIAL/securitytokens`
    gives a key for that. The vendor's SDK does just this (`FederalAccessor`): an unscoped
    token, a key for six hours.
    """

    def __init__(self, login: IdpLogin, exchange: Exchange) -> None:
        super().__init__(exchange, login.project_id, _secrets_of(login.id_token))
        self._login = login

    async def fetch(self) -> Fresh:
        token = await self._token()
        began, life = self._exchange.wall(), timedelta(hours=6)
        asked = {"id": token.reveal(), "duration_seconds": int(life.total_seconds())}
        question = {"auth": {"identity": {"methods": ["token"], "token": asked}}}
        iam = self._exchange.settings.iam_url
        reply = await self._exchange.post(
            iam, "/v3.0/OS-CREDENTIAL/securitytokens", question, token
        )
        return self._fresh_key(reply, began, life, "IAM")

    async def _token(self) -> Secret:
        """IAM's own token for an ID token; it opens nothing but IAM."""
        id_token = await self._id_token(self._login.id_token, IDP_TOKEN_FILE)
        began, iam = self._exchange.wall(), self._exchange.settings.iam_url
        question = {"auth": {"id_token": {"id": id_token.reveal()}}}
        idp = {"X-Idp-Id": self._login.idp_id}
        try:
            reply = await self._exchange.post(
                iam, "/v3.0/OS-AUTH/id-token/tokens", question, id_token, more=idp
            )
        except CloudError as error:
            trust = (
                "the identity provider must know this issuer, its key and the aud, and map "
                "the sub to a group of users"
            )
            raise _explained(error, id_token, began, who="IAM", trust=trust) from None
        return self._subject_token(reply)


class AgencyKey(Renewable):
    """The key of the agency that is bound to this server, from its metadata service.

    Page "Obtaining Metadata", and the vendor's SDK (`MetadataAccessor`): `GET
    /openstack/latest/securitykey`. A key is valid for an hour; the service has a new one 10
    minutes before the end, and both work in between. Until then it gives the same one
    again.
    """

    def __init__(self, login: MetadataLogin, exchange: Exchange) -> None:
        super().__init__(exchange, login.project_id)
        self._login = login
        self._has_answered = False

    async def fetch(self) -> Fresh:
        """The key that the service has now.

        Raises CloudDenied where there is no agency, and at first where nobody answers: then
        this is no ECS. Later that passes, and is an Unreachable or CloudError.
        """
        reply = await self._ask()
        if reply.status == 401 and b"Agency" in reply.body:
            raise self._failed(
                "this server has no agency", "bind one to it that may use ECS; docs/credentials.md"
            )
        began = self._exchange.wall()
        if reply.status != 200:
            raise self._failed(f"the metadata service answered HTTP {reply.status}")
        # A key whose end cannot be read is good for 10 minutes: the service has a new one
        # in hand by then.
        hour, unknown = timedelta(hours=1), timedelta(minutes=10)
        try:
            fresh = self._fresh_key(reply, began, hour, "the metadata service", unknown=unknown)
        except CloudError as error:
            raise self._failed(error.message) from None
        self._has_answered = True
        return fresh

    async def _ask(self) -> Reply:
        is_unasked = self._login.instead_of is not None and not self._has_answered
        within_s = WITHIN_S_UNASKED if is_unasked else WITHIN_S
        metadata = Metadata(self._login.origin, within_s, self._exchange.log)
        try:
            return await metadata.get(SECURITY_KEY)
        except Unreachable as error:
            if self._has_answered:
                raise
            message = error.message
        finally:
            self.hide(*metadata.secrets())
            await metadata.aclose()
        raise self._failed(message)

    def _failed(self, what: str, hint: str | None = None) -> CloudError:
        if self._has_answered and hint is None:
            return CloudError(what, hint="`-v` shows each try")
        if self._login.instead_of is not None:
            other = hint or "only an ECS with an agency needs none"
            return CloudDenied(
                f"no credentials: {self._login.instead_of}", hint=f"{other} ({what})"
            )
        return CloudDenied(
            what,
            hint=hint
            or "`auth: metadata` is for an ECS with an agency; elsewhere set another login",
        )


class PasswordToken(Renewable):
    """An IAM token for one project, by name (the region's own project is named like the region) or
    by id.

    Page "Obtaining a User Token Through Password Authentication": `POST /v3/auth/tokens`, 201, the
    token in the header `X-Subject-Token`, its times in the body; valid 24 hours. It is renewed a
    tenth of its life, at most 30 minutes, before it ends; its life is measured from its arrival on
    our clock. `project_id` is that of the configuration, or known once the first token has come.
    """

    proof_header = "X-Auth-Token"

    def __init__(self, login: PasswordLogin, exchange: Exchange) -> None:
        super().__init__(
            exchange, exchange.settings.project_id or login.project_id, (login.password,)
        )
        self._login = login
        self.names_project = bool(self.project_id or login.project_name)
        """Whether the login says which project, by id or by name; otherwise it is the region's own.
        """

    async def scope(self) -> str | None:
        """Return the project of the token, which is fetched for it."""
        await self._current()
        return self.project_id

    async def fetch(self) -> Fresh:
        login, settings = self._login, self._exchange.settings
        user: dict[str, Any] = {"password": login.password.reveal()}
        if login.user_id:
            user["id"] = login.user_id
        else:
            user["name"] = login.user
            user["domain"] = {"id": login.domain_id} if login.domain_id else {"name": login.domain}
        project = (
            {"id": self.project_id}
            if self.project_id
            else {"name": login.project_name or settings.region}
        )
        identity = {"methods": ["password"], "password": {"user": user}}
        question = {"auth": {"identity": identity, "scope": {"project": project}}}
        body = json.dumps(question, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json;charset=utf8"}
        request = Outgoing(
            "POST", settings.iam_url, "/v3/auth/tokens", (("nocatalog", "true"),), headers, body
        )
        try:
            reply = await self._exchange.send(request, login.password)
        except CloudDenied as error:
            hint = "check user, password and account (domain), and that the user may use the API"
            raise replaced(
                CloudDenied, error, f"IAM refused the login: {error.message}", hint
            ) from None
        token = self._subject_token(reply)
        life, project_id = token_facts(reply.body)
        self.project_id = self.project_id or project_id
        return Fresh(
            StaticToken(token), self._exchange.wall(), life, min(life / 10, timedelta(minutes=30))
        )


def credentials_for(login: Login, exchange: Exchange) -> Credentials:
    """What puts proof on requests for this login. Nothing is asked yet.

    Raises CloudDenied for an exchange whose service is not known.
    """
    match login:
        case KeyLogin():
            return AkSk(login.access, login.secret, login.security_token, login.project_id)
        case TokenLogin():
            return StaticToken(login.token, login.project_id)
        case OidcLogin():
            return StsKey(login, exchange)
        case IdpLogin():
            return IdpKey(login, exchange)
        case MetadataLogin():
            return AgencyKey(login, exchange)
        case PasswordLogin():
            return PasswordToken(login, exchange)


def token_facts(body: bytes) -> tuple[timedelta, str | None]:
    """Return the documented life of a token (unreadable times: as if 24 hours), and its project."""
    token = as_map(json_object(body).get("token"))
    issued, expires = when(token.get("issued_at")), when(token.get("expires_at"))
    life = expires - issued if issued and expires and expires > issued else timedelta(hours=24)
    project_id = as_map(token.get("project")).get("id")
    return life, project_id if isinstance(project_id, str) else None


def replaced(
    kind: type[CloudError], error: CloudError, message: str, hint: str | None
) -> CloudError:
    """The same failure in other words."""
    return kind(
        message, hint=hint, code=error.code, status=error.status, request_id=error.request_id
    )


def _secrets_of(source: IdTokenSource) -> tuple[Secret, ...]:
    if isinstance(source, Secret):
        return (source,)
    return (source.bearer,) if isinstance(source, TokenRequest) else ()


def _is_id_token(token: str) -> bool:
    """Whether it can be one: visible ASCII, of a length that STS takes (4 to 20,000)."""
    return 4 <= len(token) <= _LONGEST_ID_TOKEN and token.isascii() and token.isprintable()


def claims_of(token: Secret) -> Mapping[str, Any]:
    """What an ID token says of itself; nothing is verified. Empty for what is no JWT."""
    parts = token.reveal().split(".")
    try:
        packed = (
            base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
            if len(parts) == 3
            else b""
        )
    except ValueError:
        return {}
    return json_object(packed)


def _explained(
    error: CloudError, token: Secret, now: datetime, *, who: str, trust: str, is_given: bool = False
) -> CloudError:
    """A refusal with the claims that were judged; other errors as they are.

    `who` refused it, `trust` says what must allow it, `is_given`: the token is a fixed one,
    which nobody renews.
    """
    is_of_gateway = (error.code or "").startswith(("APIGW.", "APIG."))
    if error.status not in _REFUSALS or is_of_gateway:
        return error
    claims = claims_of(token)
    told = []
    for name in ("sub", "aud", "iss"):
        if name in claims:
            claim = claims[name]
            told.append(
                f"{name} {tidy(', '.join(map(str, claim)) if isinstance(claim, list) else str(claim), 200)}"  # noqa: E501
            )
    shown = f"; the ID token says {', '.join(told)}" if told else "; the ID token is no JWT"
    ends, hint = claims.get("exp"), trust
    if isinstance(ends, int | float) and ends <= now.timestamp():
        hint = "it has expired: see that a new one is issued, and check this machine's clock"
        if is_given:
            hint = (
                f"it has expired, and {ID_TOKEN} cannot be renewed: use {TOKEN_FILE}, or "
                f"GitHub's own service"
            )
    return replaced(CloudDenied, error, f"{who} refused the ID token: {error.message}{shown}", hint)
