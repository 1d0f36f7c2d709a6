"""Which credentials the environment holds: the vendor SDK's names, then Terraform's, then OpenStack's.

A login by OIDC comes first, as in the vendor's SDK: nobody names an agency without meaning it.
Within each family an access key comes before a token, a token before a password. The first complete one is taken; one
that is half there is an error and not a reason to take another one quietly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runner.cloud.auth.oidc_login import AGENCY, PROVIDER, SECRET_NAMES, OidcLogin, read_oidc
from runner.errors import CloudDenied
from runner.net.secret import Secret

AuthKind = Literal["auto", "token", "password", "aksk", "oidc"]


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
    """An IAM user. Either the user's id, or the name with the name or id of its domain (the account)."""

    password: Secret
    user: str | None = None
    user_id: str | None = None
    domain: str | None = None
    domain_id: str | None = None
    project_id: str | None = None
    project_name: str | None = None


Login = KeyLogin | TokenLogin | PasswordLogin | OidcLogin


@dataclass(frozen=True, slots=True)
class Family:
    """The names one tool uses; several spellings of the same thing in order. Sources: each tool's own pages."""

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

CREDENTIAL_NAMES = SECRET_NAMES.union(
    name
    for family in FAMILIES
    for names in (family.access, family.secret, family.security_token, family.token, family.password)
    for name in names
)
"""Environment variables that hold credentials: never to be readable by templates."""


def find_login(environ: Mapping[str, str], kind: AuthKind = "auto") -> Login:
    """The login of this environment. Values are stripped: CI stores like to append a line break.

    Raises CloudDenied, with the names of variables but never their values, when there is none, half of one, or
    a value that no header can carry.
    """
    if kind in ("auto", "oidc") and (oidc := read_oidc(environ)) is not None:
        return oidc
    for family in FAMILIES:
        reader = FamilyReader(environ, family)
        for one, read in (("aksk", reader.key), ("token", reader.token), ("password", reader.password)):
            if kind in ("auto", one):
                login = read()
                if login is not None:
                    return login
    raise CloudDenied(f"no credentials of kind {kind} in the environment", hint=_how(kind))


def _how(kind: AuthKind) -> str:
    ways = {
        "aksk": "HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK",
        "token": "HW_AUTH_TOKEN or OS_TOKEN",
        "password": "HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME (or OS_USERNAME, OS_PASSWORD, OS_DOMAIN_NAME)",
        "oidc": f"{PROVIDER} and {AGENCY}",
    }
    return "set " + ("; or ".join(ways.values()) if kind == "auto" else ways[kind])


class FamilyReader:
    """What one family of variables holds; values are stripped, for CI stores like to append a line break."""

    def __init__(self, environ: Mapping[str, str], family: Family) -> None:
        self._environ = environ
        self._family = family
        self._in_headers = {*family.access, *family.security_token, *family.token, *family.project_id}

    def key(self) -> KeyLogin | None:
        f = self._family
        access, secret = self._value(f.access), self._value(f.secret)
        if not access and not secret:
            return None
        if not access or not secret:
            have, lack = (f.access, f.secret) if access else (f.secret, f.access)
            raise CloudDenied(f"{have[0]} is set but {lack[0]} is not", hint=f"set {lack[0]} as well")
        token = self._value(f.security_token)
        return KeyLogin(Secret(access), Secret(secret), Secret(token) if token else None, self._value(f.project_id))

    def token(self) -> TokenLogin | None:
        found = self._value(self._family.token)
        return TokenLogin(Secret(found), self._value(self._family.project_id)) if found else None

    def password(self) -> PasswordLogin | None:
        f = self._family
        password, user, user_id = self._value(f.password), self._value(f.user), self._value(f.user_id)
        if not password:
            return None
        domain, domain_id = self._value(f.domain), self._value(f.domain_id)
        if not user_id and not user:
            raise CloudDenied(f"{f.password[0]} is set but {f.user[0]} is not", hint=f"set {f.user[0]} as well")
        if not user_id and not domain and not domain_id:
            raise CloudDenied(
                f"{f.user[0]} is set but {f.domain[0]} is not",
                hint=f"set {f.domain[0]} to the name of the account",
            )
        return PasswordLogin(
            Secret(password),
            user,
            user_id,
            domain,
            domain_id,
            self._value(f.project_id),
            self._value(f.project_name),
        )

    def _value(self, names: tuple[str, ...]) -> str | None:
        for name in names:
            value = self._environ.get(name, "").strip()
            if name in self._in_headers and not (value.isascii() and value.isprintable()):
                raise CloudDenied(f"{name} holds characters that no header can carry", hint=f"set {name} again")
            if value:
                return value
        return None
