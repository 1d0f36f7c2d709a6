"""Which login a target gets, and for each kind why or why not: the order of `auth: auto` is written
here, once.

First OpenID Connect, then what the environment holds (the names of the vendor's SDK, of Terraform,
of OpenStack, in each family an access key before a token before a password), then the SDK's
credentials file, last the metadata service. The first that is there is taken. One that is half
there, or unusable, is an error and no reason to take another quietly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from runner.cloud.huawei.auth import logins
from runner.cloud.huawei.auth.logins import (
    AGENCY,
    FAMILIES,
    IDP,
    PROVIDER,
    IdpLogin,
    KeyLogin,
    Login,
    MetadataLogin,
    Variables,
)
from runner.cloud.huawei.machine import origin_of
from runner.errors import CloudDenied, InvalidInput
from runner.model.config import TargetConfig
from runner.ports.provider import LoginOption

AuthKind = Literal["auto", "token", "password", "aksk", "metadata", "oidc"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The login that is taken. `warnings`: what a person should mend, though it works."""

    login: Login
    kind: str
    why: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _FoundLogin:
    """What is at one place: a login, an error (half of one), or neither. `why` says that
    there is one, or why not.
    """

    kind: str
    why: str
    login: Login | None = None
    error: CloudDenied | None = None
    warning: str | None = None


def choose(auth: str, environ: Mapping[str, str], prefix: str = "") -> Choice:
    """The login of a target with this `auth` and `env_prefix`. Asks nobody on the network.

    Raises CloudDenied, with the names of variables but never their values, when there is
    none, half of one, or a value that no header can carry.
    """
    variables = Variables(environ, prefix)
    names: dict[str, tuple[str, ...]] = {
        "token": (next(f.token[0] for f in FAMILIES if f.token),),
        "password": (next(f.password[0] for f in FAMILIES if f.password),),
        "oidc": (PROVIDER, AGENCY),
    }
    simplest = (
        f"set {variables.names(*names.get(auth, (FAMILIES[0].access[0], FAMILIES[0].secret[0])))}"
    )
    for found in _look(auth, variables):
        if found.error is not None:
            raise found.error
        if found.login is not None:
            login = found.login
            if isinstance(login, MetadataLogin) and auth == "auto":
                login = replace(login, instead_of=simplest)
            return Choice(login, found.kind, found.why, (found.warning,) if found.warning else ())
    raise CloudDenied(f"no credentials: {simplest}")


def choose_login(auth: AuthKind, environ: Mapping[str, str], prefix: str = "") -> Login:
    """`choose`, for who wants the login alone."""
    return choose(auth, environ, prefix).login


def explain_choice(target: TargetConfig, environ: Mapping[str, str]) -> tuple[LoginOption, ...]:
    """Every kind once, in the order of `auto`; at most one is taken. Asks nobody on the network."""
    made: dict[str, list[str]] = {}
    taken: str | None = None
    ended: CloudDenied | None = None
    for found in _look(target.auth, Variables(environ, target.env_prefix or "")):
        words = made.setdefault(found.kind, [])
        if target.auth not in ("auto", found.kind):
            words[:] = [f"auth of the target is {target.auth}"]
        elif found.error is not None:
            said = found.error.message
            # Of a file, both kinds that could be in it have the same error.
            either = "" if ended is None or ended.message == said else " either"
            words.append(
                f"not needed; it could not be used: {said}"
                if taken
                else f"cannot be used{either}: {said}"
            )
            ended = ended or (None if taken else found.error)
        elif found.login is None:
            words.append(found.why)
        elif taken is not None:
            words.append(f"{found.why}, but another came first")
        elif ended is not None:
            words.append(f"{found.why}, but not taken: the search ends at what cannot be used")
        else:
            taken = found.kind
            words[:] = ["; ".join(filter(None, (found.why, found.warning)))]
    return tuple(
        LoginOption(kind, kind == taken, words[0] if kind == taken else "; ".join(words))
        for kind, words in made.items()
    )


def _look(auth: str, variables: Variables) -> Iterator[_FoundLogin]:
    """Look at every place in the order of `auto`. Who has enough stops asking."""

    def look(
        kind: str,
        find: Callable[[], Login | None],
        found: str,
        absent: str,
        file: Path | None = None,
    ) -> _FoundLogin:
        try:
            login = find() if auth in ("auto", kind) else None
        except CloudDenied as error:
            return _FoundLogin(kind, absent, error=error)
        if login is None:
            return _FoundLogin(kind, absent)
        if isinstance(login, KeyLogin) and login.security_token is not None:
            found = f"{found}, with a security token"
        return _FoundLogin(
            kind, found, login, warning=logins.warning_of_file(file) if file else None
        )

    def look_at(kind: str, find: Callable[[], Login | None], *names: str) -> _FoundLogin:
        listed, verb = variables.names(*names), "are" if len(names) > 1 else "is"
        return look(kind, find, f"{listed} {verb} set", f"{listed} {verb} not set")

    yield look_at("oidc", lambda: logins.read_oidc(variables), PROVIDER, AGENCY)
    yield look_at("oidc", lambda: logins.read_idp(variables), IDP)
    for family in FAMILIES:
        yield look_at(
            "aksk", partial(logins.read_key, variables, family), family.access[0], family.secret[0]
        )
        if family.token:
            yield look_at("token", partial(logins.read_token, variables, family), family.token[0])
        if family.password:
            yield look_at(
                "password", partial(logins.read_password, variables, family), family.password[0]
            )
    path = logins.path_of_file(variables)
    held, refused = None, None
    try:
        held = logins.read_file(variables)
    except CloudDenied as error:
        refused = error

    def in_file(kind: type[KeyLogin | IdpLogin]) -> Login | None:
        if refused is not None:
            raise refused
        return held if isinstance(held, kind) else None

    found, absent = f"it is in the file {path}", _not_in_file(variables, path, held)
    yield look("oidc", lambda: in_file(IdpLogin), found, absent, path)
    yield look("aksk", lambda: in_file(KeyLogin), found, absent, path)
    found = (
        "auth of the target is metadata"
        if auth == "metadata"
        else "this machine's metadata service is asked last"
    )
    absent = "with env_prefix the metadata service is asked for `auth: metadata` only"
    yield look("metadata", partial(_find_metadata, auth, variables), found, absent)


def _not_in_file(variables: Variables, path: Path | None, held: KeyLogin | IdpLogin | None) -> str:
    """Why the file has no login of the one kind, where it holds one of the other, or none."""
    if path is None:
        return f"{variables.name(logins.FILE)} is not set"
    shown = path if variables.value(logins.FILE) else "~/.huaweicloud/credentials"
    if held is None:
        return f"{shown} has no [{logins.SECTION}] of this kind"
    if isinstance(held, IdpLogin):
        return f"{shown} names an identity provider, which comes before a key"
    return f"{shown} names a key, and no identity provider with a file of ID tokens"


def _find_metadata(auth: str, variables: Variables) -> Login | None:
    if variables.prefix and auth != "metadata":
        return None
    try:
        origin = origin_of(variables.environ)
    except InvalidInput as error:
        problem = error.problems[0]
        raise CloudDenied(problem.message, hint=problem.hint) from None
    return MetadataLogin(origin, variables.header_value(logins.PROJECT))
