"""What the environment says of a login by OpenID Connect: whom to become, and where ID tokens come from.

The names are those of the vendor's SDK (`HUAWEICLOUD_OIDC_…`), and GitHub's own for a job that may ask for ID tokens
(`permissions: id-token: write`). `HUAWEICLOUD_OIDC_AUDIENCE` is ours: the SDK cannot ask GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from runner.errors import CloudDenied
from runner.net.hosts import is_loopback
from runner.net.secret import Secret

PROVIDER, AGENCY = "HUAWEICLOUD_OIDC_PROVIDER_URN", "HUAWEICLOUD_OIDC_AGENCY_URN"
ID_TOKEN, TOKEN_FILE = "HUAWEICLOUD_OIDC_ID_TOKEN", "HUAWEICLOUD_OIDC_TOKEN_FILE"
REQUEST_URL, REQUEST_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
SESSION_NAME, DURATION = "HUAWEICLOUD_OIDC_SESSION_NAME", "HUAWEICLOUD_OIDC_DURATION_SECONDS"
POLICY, POLICY_IDS = "HUAWEICLOUD_OIDC_POLICY", "HUAWEICLOUD_OIDC_POLICY_IDS"
AUDIENCE = "HUAWEICLOUD_OIDC_AUDIENCE"
DEFAULT_AUDIENCE = "sts.myhuaweicloud.com"

SECRET_NAMES = frozenset({ID_TOKEN, REQUEST_TOKEN})

_LONGEST_URN = 1500
_SESSION_LENGTH = range(2, 129)
_SECONDS = range(900, 43201)
_SOURCES = f"set {ID_TOKEN} or {TOKEN_FILE}; in GitHub Actions give the job `permissions: id-token: write`"


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


def read_oidc(environ: Mapping[str, str]) -> OidcLogin | None:
    """The login by OIDC that the environment describes; None where neither provider nor agency is named.

    Raises CloudDenied for half of one, for values out of the service's limits, and where no ID token can come from.
    """
    provider, agency = _value(environ, PROVIDER), _value(environ, AGENCY)
    if not provider and not agency:
        return None
    if not provider or not agency:
        have, lack = (PROVIDER, AGENCY) if provider else (AGENCY, PROVIDER)
        raise CloudDenied(f"{have} is set but {lack} is not", hint=f"set {lack} as well")
    for name, urn in ((PROVIDER, provider), (AGENCY, agency)):
        if len(urn) > _LONGEST_URN:
            raise CloudDenied(f"{name} is longer than {_LONGEST_URN} characters", hint=f"set {name} again")
    ids = (part.strip() for part in environ.get(POLICY_IDS, "").split(","))
    return OidcLogin(
        provider,
        agency,
        _source(environ),
        _session_name(environ),
        _duration(environ),
        _value(environ, POLICY),
        tuple(part for part in ids if part),
        _header_value(environ, "HUAWEICLOUD_SDK_PROJECT_ID"),
    )


def _source(environ: Mapping[str, str]) -> Secret | Path | TokenRequest:
    """In the order of the vendor's SDK: the token itself, then a file; then GitHub's service."""
    given = _header_value(environ, ID_TOKEN)
    if given:
        return Secret(given)
    file = _value(environ, TOKEN_FILE)
    if file:
        return Path(file)
    url, bearer = _value(environ, REQUEST_URL), _header_value(environ, REQUEST_TOKEN)
    if not url or not bearer:
        raise CloudDenied(f"{PROVIDER} is set, but there is no ID token", hint=_SOURCES)
    return _token_request(url, bearer, _value(environ, AUDIENCE) or DEFAULT_AUDIENCE)


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


def _session_name(environ: Mapping[str, str]) -> str:
    name = _value(environ, SESSION_NAME) or "oidc-sts-session"
    if len(name) not in _SESSION_LENGTH:
        raise CloudDenied(f"{SESSION_NAME} has {len(name)} characters", hint="give it 2 to 128")
    return name


def _duration(environ: Mapping[str, str]) -> int:
    text = _value(environ, DURATION) or "3600"
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
    if seconds not in _SECONDS:
        raise CloudDenied(f"{DURATION} is no number of seconds from 900 to 43200", hint="leave it out for 3600")
    return seconds


def _value(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _header_value(environ: Mapping[str, str], name: str) -> str | None:
    value = _value(environ, name)
    if value and not (value.isascii() and value.isprintable()):
        raise CloudDenied(f"{name} holds characters that no header can carry", hint=f"set {name} again")
    return value
