"""Logins as plain data, and those that the environment or the credentials file of the vendor's SDK
hold.

For OpenID Connect two services exchange ID tokens: STS for an agency (`HUAWEICLOUD_OIDC_…`), and
IAM for a user that an identity provider is mapped to (`HUAWEICLOUD_SDK_IDP_ID`; the only way of
Open Telekom Cloud). The names are those of the vendor's SDK, and GitHub's own;
`HUAWEICLOUD_OIDC_AUDIENCE` is ours: the SDK cannot ask GitHub.

The file is `~/.huaweicloud/credentials`, section `[basic]` (SDK `auth/provider.py`,
`ProfileCredentialProvider`): `ak`, `sk`, `security_token`, `project_id`, or instead of a key
`idp_id` and `id_token_file`, which win. `iam_endpoint` is not obeyed: where credentials are sent is
said by the target.
"""

from __future__ import annotations

import configparser
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from runner.errors import CloudDenied
from runner.inputs.files import describe, read_regular
from runner.net.origin import safe_parts
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


FILE = "HUAWEICLOUD_SDK_CREDENTIALS_FILE"
SECTION = "basic"

_LONGEST_URN = 1500
_MOST_FILE_BYTES = 64 * 1024
_IN_GITHUB = "in GitHub Actions give the job `permissions: id-token: write`"


@dataclass(frozen=True, slots=True)
class Variables:
    """Where credentials are read from. With a `prefix` nothing is read under a name without it.

    Values are stripped, for CI stores like to append a line break; an empty one is none.
    `repr` shows no value.
    """

    environ: Mapping[str, str] = field(repr=False)
    prefix: str = ""

    def name(self, name: str) -> str:
        """The name as people set it, for messages."""
        return self.prefix + name

    def names(self, *names: str) -> str:
        """Several names in a sentence: `A and B`."""
        return " and ".join(map(self.name, names))

    def value(self, *names: str) -> str | None:
        """The first of several spellings that is set."""
        values = (self.environ.get(self.prefix + name, "").strip() for name in names)
        return next(filter(None, values), None)

    def header_value(self, *names: str) -> str | None:
        """The same for a value that becomes part of a header. Raises CloudDenied where
        it cannot.
        """
        for name in names:
            value = self.value(name)
            if value and not (value.isascii() and value.isprintable()):
                shown = self.name(name)
                raise CloudDenied(
                    f"{shown} holds characters that no header can carry", hint=f"set {shown} again"
                )
            if value:
                return value
        return None

    def half(self, have: str, lack: str, hint: str | None = None) -> CloudDenied:
        """The error for half of a login."""
        empty = " (it is empty)" if self.name(lack) in self.environ else ""
        message = f"{self.name(have)} is set but {self.name(lack)} is not{empty}"
        return CloudDenied(
            message, hint=hint or f"set {self.name(lack)} as well, or unset {self.name(have)}"
        )


@dataclass(frozen=True, slots=True)
class KeyLogin:
    """An access key and its secret, with a security token where it is a temporary one."""

    access: Secret
    secret: Secret
    security_token: Secret | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """A token that is used as it is."""

    token: Secret
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """An IAM user. Either the user's id, or the name with the name or id of its domain (the
    account).
    """

    password: Secret
    user: str | None = None
    user_id: str | None = None
    domain: str | None = None
    domain_id: str | None = None
    project_id: str | None = None
    project_name: str | None = None


@dataclass(frozen=True, slots=True)
class MetadataLogin:
    """The agency of the server that this machine is. `origin`: where its metadata service answers.

    `instead_of`: set where the service is only the last resort; then it says what could be
    set instead.
    """

    origin: str
    project_id: str | None = None
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """GitHub's service that issues ID tokens to the running job: where it is, and the job's
    proof to it.
    """

    origin: str
    path: str
    query: tuple[tuple[str, str], ...]
    bearer: Secret


IdTokenSource = Secret | Path | TokenRequest
"""A token that is given, a file that is read anew each time, or GitHub's service."""


@dataclass(frozen=True, slots=True)
class OidcLogin:
    """An agency that trusts an identity provider. `id_token`: one that is given, a file that
    is read anew, or GitHub.

    `policy` (JSON) and `policy_ids` can only narrow what the agency may do. `duration_s` is
    asked for; the agency's own limit may make it shorter.
    """

    provider_urn: str
    agency_urn: str
    id_token: IdTokenSource
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


Login = KeyLogin | TokenLogin | PasswordLogin | OidcLogin | IdpLogin | MetadataLogin


def given_secrets(login: Login) -> tuple[Secret, ...]:
    """What is secret about a login that somebody has written down; those that are fetched
    are told when they come.
    """
    match login:
        case KeyLogin():
            return (login.secret, login.security_token) if login.security_token else (login.secret,)
        case TokenLogin():
            return (login.token,)
        case PasswordLogin():
            return (login.password,)
    return ()


@dataclass(frozen=True, slots=True)
class Family:
    """The names one tool uses; several spellings of the same thing in order. Sources: each
    tool's own pages.
    """

    access: tuple[str, ...]
    secret: tuple[str, ...]
    security_token: tuple[str, ...]
    project_id: tuple[str, ...]
    token: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    user_id: tuple[str, ...] = ()
    password: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    domain_id: tuple[str, ...] = ()
    project_name: tuple[str, ...] = ()


FAMILIES = (
    Family(
        access=("HUAWEICLOUD_SDK_AK",),
        secret=("HUAWEICLOUD_SDK_SK",),
        security_token=("HUAWEICLOUD_SDK_SECURITY_TOKEN",),
        project_id=("HUAWEICLOUD_SDK_PROJECT_ID",),
    ),
    Family(
        access=("HW_ACCESS_KEY",),
        secret=("HW_SECRET_KEY",),
        security_token=("HW_SECURITY_TOKEN",),
        project_id=("HW_PROJECT_ID",),
        token=("HW_AUTH_TOKEN",),
        user=("HW_USER_NAME",),
        user_id=("HW_USER_ID",),
        password=("HW_USER_PASSWORD",),
        domain=("HW_DOMAIN_NAME",),
        domain_id=("HW_DOMAIN_ID",),
        project_name=("HW_PROJECT_NAME",),
    ),
    Family(
        access=("OS_ACCESS_KEY", "OS_ACCESS_KEY_ID", "OS_AK"),
        secret=("OS_SECRET_KEY", "OS_ACCESS_KEY_SECRET", "OS_SK"),
        security_token=("OS_SECURITY_TOKEN",),
        project_id=("OS_PROJECT_ID", "OS_TENANT_ID"),
        token=("OS_TOKEN", "OS_AUTH_TOKEN"),
        user=("OS_USERNAME",),
        user_id=("OS_USER_ID",),
        password=("OS_PASSWORD",),
        domain=("OS_USER_DOMAIN_NAME", "OS_DOMAIN_NAME"),
        domain_id=("OS_USER_DOMAIN_ID", "OS_DOMAIN_ID"),
        project_name=("OS_PROJECT_NAME", "OS_TENANT_NAME"),
    ),
)


def read_key(variables: Variables, family: Family) -> KeyLogin | None:
    """None where neither key nor security token is set. Raises CloudDenied for a part
    without the others.
    """
    access, secret = variables.header_value(*family.access), variables.value(*family.secret)
    token = variables.header_value(*family.security_token)
    if not access and not secret:
        if token:
            raise _half_of(variables, family.security_token, family.access)
        return None
    if not access or not secret:
        have, lack = (family.access, family.secret) if access else (family.secret, family.access)
        raise _half_of(variables, have, lack)
    project = variables.header_value(*family.project_id)
    return KeyLogin(Secret(access), Secret(secret), Secret(token) if token else None, project)


def read_token(variables: Variables, family: Family) -> TokenLogin | None:
    found = variables.header_value(*family.token)
    return TokenLogin(Secret(found), variables.header_value(*family.project_id)) if found else None


def read_password(variables: Variables, family: Family) -> PasswordLogin | None:
    """None where neither user nor password is set. An account alone is no login: other tools'
    files set it.

    Raises CloudDenied for a user without a password (a secret that is empty in CI), and for
    the reverse.
    """
    password, user, user_id = (
        variables.value(*n) for n in (family.password, family.user, family.user_id)
    )
    if not password:
        if user or user_id:
            raise _half_of(variables, family.user if user else family.user_id, family.password)
        return None
    domain, domain_id = variables.value(*family.domain), variables.value(*family.domain_id)
    if not user_id and not user:
        raise _half_of(variables, family.password, family.user)
    if not user_id and not domain and not domain_id:
        hint = f"set {variables.name(family.domain[0])} to the name of the account"
        raise variables.half(family.user[0], family.domain[0], hint)
    project, name = (
        variables.header_value(*family.project_id),
        variables.value(*family.project_name),
    )
    return PasswordLogin(Secret(password), user, user_id, domain, domain_id, project, name)


def _half_of(variables: Variables, have: tuple[str, ...], lack: tuple[str, ...]) -> CloudDenied:
    return variables.half(next(name for name in have if variables.value(name)), lack[0])


def read_oidc(variables: Variables) -> OidcLogin | None:
    """The login by OIDC that the environment describes; None where neither provider nor agency
    is named.

    Raises CloudDenied for half of one (also an ID token, but nobody to become), for values
    out of the service's limits, and where no ID token can come from.
    """
    provider, agency = variables.value(PROVIDER), variables.value(AGENCY)
    if not provider and not agency:
        token = next((name for name in (ID_TOKEN, TOKEN_FILE) if variables.value(name)), None)
        if token is not None and not variables.value(IDP):
            raise variables.half(
                token,
                PROVIDER,
                f"set {variables.names(PROVIDER, AGENCY)}, or unset {variables.name(token)}",
            )
        return None
    if not provider or not agency:
        raise variables.half(PROVIDER, AGENCY) if provider else variables.half(AGENCY, PROVIDER)
    for name, urn in ((PROVIDER, provider), (AGENCY, agency)):
        if len(urn) > _LONGEST_URN:
            shown = variables.name(name)
            raise CloudDenied(
                f"{shown} is longer than {_LONGEST_URN} characters", hint=f"set {shown} again"
            )
    ids = (part.strip() for part in (variables.value(POLICY_IDS) or "").split(","))
    source = _id_token_source(variables, variables.header_value(ID_TOKEN), TOKEN_FILE)
    if source is None:
        hint = f"set {variables.name(ID_TOKEN)} or {variables.name(TOKEN_FILE)}; {_IN_GITHUB}"
        raise CloudDenied(f"{variables.name(PROVIDER)} is set, but there is no ID token", hint=hint)
    session = variables.value(SESSION_NAME) or "oidc-sts-session"
    if not 2 <= len(session) <= 128:
        raise CloudDenied(
            f"{variables.name(SESSION_NAME)} has {len(session)} characters", hint="give it 2 to 128"
        )
    text = variables.value(DURATION) or "3600"
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
    if not 900 <= seconds <= 43200:
        message = f"{variables.name(DURATION)} is no number of seconds from 900 to 43200"
        raise CloudDenied(message, hint="leave it out for 3600")
    return OidcLogin(
        provider,
        agency,
        source,
        session,
        seconds,
        variables.value(POLICY),
        tuple(part for part in ids if part),
        variables.header_value(PROJECT),
    )


def read_idp(variables: Variables) -> IdpLogin | None:
    """The login by IAM's identity provider that the environment describes; None where none
    is named.

    Raises CloudDenied for half of one.
    """
    idp, file = variables.header_value(IDP), variables.value(IDP_TOKEN_FILE)
    if not idp:
        if file:
            raise variables.half(IDP_TOKEN_FILE, IDP)
        return None
    source = _id_token_source(variables, None, IDP_TOKEN_FILE)
    if source is None or isinstance(source, Secret):
        hint = f"set {variables.name(IDP_TOKEN_FILE)}; {_IN_GITHUB}"
        raise CloudDenied(f"{variables.name(IDP)} is set, but there is no ID token", hint=hint)
    return IdpLogin(idp, source, variables.header_value(PROJECT))


def _id_token_source(
    variables: Variables, given: str | None, file_name: str
) -> IdTokenSource | None:
    """In the order of the vendor's SDK: the token itself, then a file; then GitHub's service.

    The two names of that are GitHub's own, so they have no prefix.
    """
    file, job = variables.value(file_name), Variables(variables.environ)
    if given or file:
        return Secret(given) if given else Path(file or "")
    url, bearer = job.value(REQUEST_URL), job.header_value(REQUEST_TOKEN)
    if not url or not bearer:
        return None
    parts = safe_parts(url)
    if parts is None or not (url.isascii() and url.isprintable()) or " " in url:
        raise CloudDenied(
            f"{REQUEST_URL} is no https URL", hint="GitHub Actions sets it; leave it as it is"
        )
    query = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "audience"
    ]
    query.append(("audience", variables.value(AUDIENCE) or DEFAULT_AUDIENCE))
    return TokenRequest(
        f"{parts.scheme}://{parts.netloc}", parts.path or "/", tuple(query), Secret(bearer)
    )


def path_of_file(variables: Variables) -> Path | None:
    """The file: the one that a variable names, else that of the home folder. With a prefix
    only the former.
    """
    named = variables.value(FILE)
    if named:
        return Path(named)
    home = variables.environ.get("USERPROFILE" if os.name == "nt" else "HOME")
    return Path(home, ".huaweicloud", "credentials") if home and not variables.prefix else None


def read_file(variables: Variables) -> KeyLogin | IdpLogin | None:
    """The login in the file. None where there is no file in the home folder, or no `[basic]` in it.

    Raises CloudDenied for a file that is named and is not there, one that cannot be read or
    is no such file, and for half of a login. No message quotes what is in the file.
    """
    path = path_of_file(variables)
    if path is None:
        return None
    is_named = variables.value(FILE) is not None
    failed = "is no text in UTF-8"
    try:
        values = _section(read_regular(path, _MOST_FILE_BYTES).decode("utf-8-sig"), path)
        failed = ""
    except (FileNotFoundError, NotADirectoryError):
        if not is_named:
            return None
        failed = "is not there"
    except OSError as error:
        failed = describe(error)
    except UnicodeDecodeError:
        pass
    if failed:
        raise _unusable(path, failed, "see docs/credentials.md for what it holds")
    if values is not None:
        return _login(values, path)
    if is_named:
        raise _unusable(path, f"has no section [{SECTION}]", f"add [{SECTION}] with ak and sk")
    return None


def warning_of_file(path: Path) -> str | None:
    """A sentence where others on this machine can read the file; None where they cannot,
    and on Windows.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if os.name == "nt" or not stat.S_IMODE(mode) & 0o077:
        return None
    return f"{path} can be read by others on this machine: chmod 600 {path}"


def _section(text: str, path: Path) -> dict[str, str] | None:
    """The values of the section, as the SDK reads them. The parser's own errors quote
    lines, so none is passed on.
    """
    # Without interpolation: ten lines of `%(name)s` grow to gigabytes, and no credential needs it.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        values = dict(parser.items(SECTION)) if parser.has_section(SECTION) else {}
        if not any("%" in value.replace("%%", "") for value in values.values()):
            return {name: value.replace("%%", "%") for name, value in values.items()} or None
    except configparser.Error:
        pass
    raise _unusable(
        path,
        "is no INI file",
        f"it begins with [{SECTION}], then lines such as `ak = …`; write %% for %",
    )


def _login(values: dict[str, str], path: Path) -> KeyLogin | IdpLogin:
    def header(name: str) -> str | None:
        value = values.get(name, "").strip()
        if not (value.isascii() and value.isprintable()):
            raise _unusable(
                path,
                f"holds a {name} with characters that no header can carry",
                f"write {name} again",
            )
        return value or None

    idp, token_file, project = (
        header("idp_id"),
        values.get("id_token_file", "").strip(),
        header("project_id"),
    )
    access, secret, token = header("ak"), values.get("sk", "").strip(), header("security_token")
    if idp and token_file:
        return IdpLogin(idp, Path(token_file), project)
    if access and secret:
        return KeyLogin(Secret(access), Secret(secret), Secret(token) if token else None, project)
    raise _unusable(
        path,
        f"has neither ak and sk nor idp_id and id_token_file in [{SECTION}]",
        "set both of one pair",
    )


def _unusable(path: Path, what: str, hint: str) -> CloudDenied:
    return CloudDenied(f"the credentials file {path} {what}", hint=hint)
