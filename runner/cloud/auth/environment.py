"""Logins as plain data, and those that families of variables hold: the vendor SDK's names, Terraform's, OpenStack's.

Which of them is taken is decided in `choice`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.cloud.auth.oidc_login import SECRET_NAMES, IdpLogin, OidcLogin
from runner.cloud.auth.variables import Variables
from runner.errors import CloudDenied
from runner.net.secret import Secret


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


@dataclass(frozen=True, slots=True)
class MetadataLogin:
    """The agency of the server that this machine is. `origin`: where its metadata service answers.

    `instead_of`: set where the service is only the last resort; then it says what could be set instead.
    """

    origin: str
    project_id: str | None = None
    instead_of: str | None = None


Login = KeyLogin | TokenLogin | PasswordLogin | OidcLogin | IdpLogin | MetadataLogin


def given_secrets(login: Login) -> tuple[Secret, ...]:
    """What is secret about a login that somebody has written down; those that are fetched are told when they come."""
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
"""Environment variables that hold credentials, without the prefix of a target: never to be readable by templates."""


class FamilyReader:
    """What one family of variables holds."""

    def __init__(self, variables: Variables, family: Family) -> None:
        self._variables = variables
        self._family = family

    def key(self) -> KeyLogin | None:
        """None where neither key nor security token is set. Raises CloudDenied for a part without the others."""
        f = self._family
        access, secret = self._in_header(f.access), self._value(f.secret)
        token = self._in_header(f.security_token)
        if not access and not secret:
            if token:
                raise self._half(f.security_token, f.access)
            return None
        if not access or not secret:
            raise self._half(f.access, f.secret) if access else self._half(f.secret, f.access)
        return KeyLogin(Secret(access), Secret(secret), Secret(token) if token else None, self._project())

    def token(self) -> TokenLogin | None:
        found = self._in_header(self._family.token)
        return TokenLogin(Secret(found), self._project()) if found else None

    def password(self) -> PasswordLogin | None:
        """None where neither user nor password is set. An account alone is no login: other tools' files set it.

        Raises CloudDenied for a user without a password (a secret that is empty in CI), and for the reverse.
        """
        f = self._family
        password, user, user_id = self._value(f.password), self._value(f.user), self._value(f.user_id)
        if not password:
            if user or user_id:
                raise self._half(f.user if user else f.user_id, f.password)
            return None
        domain, domain_id = self._value(f.domain), self._value(f.domain_id)
        if not user_id and not user:
            raise self._half(f.password, f.user)
        if not user_id and not domain and not domain_id:
            hint = f"set {self._variables.name(f.domain[0])} to the name of the account"
            raise self._variables.half(f.user[0], f.domain[0], hint)
        return PasswordLogin(
            Secret(password), user, user_id, domain, domain_id, self._project(), self._value(f.project_name)
        )

    def _half(self, have: tuple[str, ...], lack: tuple[str, ...]) -> CloudDenied:
        """The error for half of a login, with the spelling that is set."""
        return self._variables.half(next(name for name in have if self._variables.value(name)), lack[0])

    def _project(self) -> str | None:
        return self._in_header(self._family.project_id)

    def _value(self, names: tuple[str, ...]) -> str | None:
        return _first(self._variables.value, names)

    def _in_header(self, names: tuple[str, ...]) -> str | None:
        return _first(self._variables.header_value, names)


def _first(read: Callable[[str], str | None], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := read(name))), None)
