"""What the environment says of a login by OpenID Connect: whom to become, and where ID tokens come from.

Two services exchange ID tokens: STS for an agency (`HUAWEICLOUD_OIDC_…`), and IAM for a user that an identity provider
is mapped to (`HUAWEICLOUD_SDK_IDP_ID`; the older way, and the only one of Open Telekom Cloud).
The names are those of the vendor's SDK (`HUAWEICLOUD_OIDC_…`), and GitHub's own for a job that may ask for ID tokens
(`permissions: id-token: write`). `HUAWEICLOUD_OIDC_AUDIENCE` is ours: the SDK cannot ask GitHub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from runner.cloud.auth.variables import Variables
from runner.errors import CloudDenied
from runner.net.hosts import is_loopback
from runner.net.secret import Secret

PROVIDER, AGENCY = "HUAWEICLOUD_OIDC_PROVIDER_URN", "HUAWEICLOUD_OIDC_AGENCY_URN"
ID_TOKEN, TOKEN_FILE = "HUAWEICLOUD_OIDC_ID_TOKEN", "HUAWEICLOUD_OIDC_TOKEN_FILE"
REQUEST_URL, REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
SESSION_NAME, DURATION = "HUAWEICLOUD_OIDC_SESSION_NAME", "HUAWEICLOUD_OIDC_DURATION_SECONDS"
POLICY, POLICY_IDS = "HUAWEICLOUD_OIDC_POLICY", "HUAWEICLOUD_OIDC_POLICY_IDS"
IDP, IDP_TOKEN_FILE = "HUAWEICLOUD_SDK_IDP_ID", "HUAWEICLOUD_SDK_ID_TOKEN_FILE"
PROJECT = "HUAWEICLOUD_SDK_PROJECT_ID"
AUDIENCE = "HUAWEICLOUD_OIDC_AUDIENCE"
DEFAULT_AUDIENCE = "sts.myhuaweicloud.com"

SECRET_NAMES = frozenset({ID_TOKEN, REQUEST_TOKEN})

_LONGEST_URN = 1500
_SESSION_LENGTH = range(2, 129)
_SECONDS = range(900, 43201)
_IN_GITHUB = "in GitHub Actions give the job `permissions: id-token: write`"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """GitHub's service that issues ID tokens to the running job: where it is, and the job's proof to it."""

    origin: str
    path: str
    query: tuple[tuple[str, str], ...]
    bearer: Secret


@dataclass(frozen=True, slots=True)
class OidcLogin:
    """An agency that trusts an identity provider. `id_token`: one that is given, a file that is read anew, or GitHub.

    `policy` (JSON) and `policy_ids` can only narrow what the agency may do. `duration_s` is asked for; the agency's
    own limit may make it shorter.
    """

    provider_urn: str
    agency_urn: str
    id_token: Secret | Path | TokenRequest
    session_name: str = "oidc-sts-session"
    duration_s: int = 3600
    policy: str | None = None
    policy_ids: tuple[str, ...] = ()
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class IdpLogin:
    """An identity provider of IAM, by its id. `id_token`: a file that is read anew, or GitHub."""

    idp_id: str
    id_token: Path | TokenRequest
    project_id: str | None = None


def read_oidc(variables: Variables) -> OidcLogin | None:
    """The login by OIDC that the environment describes; None where neither provider nor agency is named.

    Raises CloudDenied for half of one (also an ID token, but nobody to become), for values out of the service's limits,
    and where no ID token can come from.
    """
    provider, agency = variables.value(PROVIDER), variables.value(AGENCY)
    if not provider and not agency:
        token = next((name for name in (ID_TOKEN, TOKEN_FILE) if variables.value(name)), None)
        if token is not None and not variables.value(IDP):
            raise variables.half(
                token, PROVIDER, f"set {variables.names(PROVIDER, AGENCY)}, or unset {variables.name(token)}"
            )
        return None
    if not provider or not agency:
        raise variables.half(PROVIDER, AGENCY) if provider else variables.half(AGENCY, PROVIDER)
    for name, urn in ((PROVIDER, provider), (AGENCY, agency)):
        if len(urn) > _LONGEST_URN:
            shown = variables.name(name)
            raise CloudDenied(f"{shown} is longer than {_LONGEST_URN} characters", hint=f"set {shown} again")
    ids = (part.strip() for part in (variables.value(POLICY_IDS) or "").split(","))
    return OidcLogin(
        provider,
        agency,
        _source(variables),
        _session_name(variables),
        _duration(variables),
        variables.value(POLICY),
        tuple(part for part in ids if part),
        variables.header_value(PROJECT),
    )


def read_idp(variables: Variables) -> IdpLogin | None:
    """The login by IAM's identity provider that the environment describes; None where none is named.

    Raises CloudDenied for half of one.
    """
    idp, file = variables.header_value(IDP), variables.value(IDP_TOKEN_FILE)
    if not idp:
        if file:
            raise variables.half(IDP_TOKEN_FILE, IDP)
        return None
    source = Path(file) if file else _from_github(variables)
    if source is None:
        hint = f"set {variables.name(IDP_TOKEN_FILE)}; {_IN_GITHUB}"
        raise CloudDenied(f"{variables.name(IDP)} is set, but there is no ID token", hint=hint)
    return IdpLogin(idp, source, variables.header_value(PROJECT))


def _source(variables: Variables) -> Secret | Path | TokenRequest:
    """In the order of the vendor's SDK: the token itself, then a file; then GitHub's service."""
    given = variables.header_value(ID_TOKEN)
    if given:
        return Secret(given)
    file = variables.value(TOKEN_FILE)
    if file:
        return Path(file)
    request = _from_github(variables)
    if request is None:
        hint = f"set {variables.name(ID_TOKEN)} or {variables.name(TOKEN_FILE)}; {_IN_GITHUB}"
        raise CloudDenied(f"{variables.name(PROVIDER)} is set, but there is no ID token", hint=hint)
    return request


def _from_github(variables: Variables) -> TokenRequest | None:
    """The service of the job: its two names are GitHub's own, so they have no prefix."""
    job = variables.of_the_job()
    url, bearer = job.value(REQUEST_URL), job.header_value(REQUEST_TOKEN)
    return _token_request(url, bearer, variables.value(AUDIENCE) or DEFAULT_AUDIENCE) if url and bearer else None


def _token_request(url: str, bearer: str, audience: str) -> TokenRequest:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not is_safe or "@" in parts.netloc or not (url.isascii() and url.isprintable()) or " " in url:
        raise CloudDenied(f"{REQUEST_URL} is no https URL", hint="GitHub Actions sets it; leave it as it is")
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "audience"]
    return TokenRequest(
        f"{parts.scheme}://{parts.netloc}", parts.path or "/", (*query, ("audience", audience)), Secret(bearer)
    )


def _session_name(variables: Variables) -> str:
    name = variables.value(SESSION_NAME) or "oidc-sts-session"
    if len(name) not in _SESSION_LENGTH:
        raise CloudDenied(f"{variables.name(SESSION_NAME)} has {len(name)} characters", hint="give it 2 to 128")
    return name


def _duration(variables: Variables) -> int:
    text = variables.value(DURATION) or "3600"
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
    if seconds not in _SECONDS:
        message = f"{variables.name(DURATION)} is no number of seconds from 900 to 43200"
        raise CloudDenied(message, hint="leave it out for 3600")
    return seconds
