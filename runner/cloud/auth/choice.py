"""Which login a target gets, and for each kind why or why not: the order of `auth: auto` is written here, once.

First OpenID Connect (nobody names an agency or an identity provider without meaning it), then what the environment
holds: the names of the vendor's SDK, of Terraform, of OpenStack, in each family an access key before a token, a token
before a password; then the credentials file of the vendor's SDK; last the metadata service of an ECS. The first that
is there is taken. One that is half there, or unusable, is an error and no reason to take another quietly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from runner.cloud.auth import logins
from runner.cloud.auth.logins import (
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
from runner.cloud.metadata import origin_of
from runner.errors import CloudDenied, InvalidInput
from runner.model.config import TargetConfig

AuthKind = Literal["auto", "token", "password", "aksk", "metadata", "oidc"]


@dataclass(frozen=True, slots=True)
class Considered:
    """One kind of login: whether it is the one that is taken, and why, or why not, in a sentence.

    `kind` is the word of `auth`. `why` names variables and files, never a value.
    """

    kind: str
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The login that is taken. `warnings`: what a person should mend, though it works."""

    login: Login
    kind: str
    why: str
    warnings: tuple[str, ...] = ()

    @property
    def is_signed(self) -> bool:
        """Whether requests carry a signature, which ends 15 minutes after its date; tokens have no date."""
        return self.kind not in ("token", "password")


@dataclass(frozen=True, slots=True)
class _Way:
    """One place to look at: `find` answers with a login, None for none, and raises CloudDenied for half of one."""

    kind: str
    find: Callable[[], Login | None]
    found: str
    absent: str
    warn: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a way came to. Neither login nor error: there is nothing, or `auth` asks for another kind."""

    way: _Way
    is_asked: bool
    login: Login | None = None
    error: CloudDenied | None = None


def choose(auth: str, environ: Mapping[str, str], prefix: str = "") -> Choice:
    """The login of a target with this `auth` and `env_prefix`. Asks nobody on the network.

    Raises CloudDenied, with the names of variables but never their values, when there is none, half of one, or a
    value that no header can carry.
    """
    variables = Variables(environ, prefix)
    names: dict[str, tuple[str, ...]] = {
        "token": (next(f.token[0] for f in FAMILIES if f.token),),
        "password": (next(f.password[0] for f in FAMILIES if f.password),),
        "oidc": (PROVIDER, AGENCY),
    }
    simplest = f"set {variables.names(*names.get(auth, (FAMILIES[0].access[0], FAMILIES[0].secret[0])))}"
    for looked in _look(auth, variables):
        if looked.error is not None:
            raise looked.error
        if looked.login is not None:
            login, way = looked.login, looked.way
            if isinstance(login, MetadataLogin) and auth == "auto":
                login = replace(login, instead_of=simplest)
            warning = way.warn()
            return Choice(login, way.kind, _found(way, login), (warning,) if warning else ())
    raise CloudDenied(f"no credentials: {simplest}")


def choose_login(auth: AuthKind, environ: Mapping[str, str], prefix: str = "") -> Login:
    """`choose`, for who wants the login alone."""
    return choose(auth, environ, prefix).login


def explain_choice(target: TargetConfig, environ: Mapping[str, str]) -> tuple[Considered, ...]:
    """Every kind once, in the order of `auto`; at most one is taken. Asks nobody on the network."""
    made: dict[str, list[str]] = {}
    taken: str | None = None
    ended: CloudDenied | None = None
    for looked in _look(target.auth, Variables(environ, target.env_prefix or "")):
        way, words = looked.way, made.setdefault(looked.way.kind, [])
        if not looked.is_asked:
            words[:] = [f"auth of the target is {target.auth}"]
        elif looked.error is not None:
            words.append(_wrong(looked.error, ended, taken))
            ended = ended or (None if taken else looked.error)
        elif looked.login is None:
            words.append(way.absent)
        elif taken is not None:
            words.append(f"{_found(way, looked.login)}, but another came first")
        elif ended is not None:
            words.append(f"{_found(way, looked.login)}, but not taken: the search ends at what cannot be used")
        else:
            taken = way.kind
            warning = way.warn()
            words[:] = ["; ".join(filter(None, (_found(way, looked.login), warning)))]
    return tuple(
        Considered(kind, kind == taken, words[0] if kind == taken else "; ".join(words)) for kind, words in made.items()
    )


def _wrong(error: CloudDenied, ended: CloudDenied | None, taken: str | None) -> str:
    """About half of a login, or one that is unusable. Of a file, both kinds that could be in it have the same error."""
    if taken is not None:
        return f"not needed; it could not be used: {error.message}"
    is_first = ended is None or ended.message == error.message
    return f"cannot be used: {error.message}" if is_first else f"cannot be used either: {error.message}"


def _found(way: _Way, login: Login) -> str:
    is_temporary = isinstance(login, KeyLogin) and login.security_token is not None
    return f"{way.found}, with a security token" if is_temporary else way.found


def _look(auth: str, variables: Variables) -> Iterator[_Looked]:
    for way in _ways(auth, variables):
        if auth not in ("auto", way.kind):
            yield _Looked(way, is_asked=False)
            continue
        try:
            looked = _Looked(way, is_asked=True, login=way.find())
        except CloudDenied as error:
            looked = _Looked(way, is_asked=True, error=error)
        yield looked


def _ways(auth: str, variables: Variables) -> Iterator[_Way]:
    yield _set_or_not("oidc", lambda: logins.read_oidc(variables), variables, PROVIDER, AGENCY)
    yield _set_or_not("oidc", lambda: logins.read_idp(variables), variables, IDP)
    for family in FAMILIES:
        for kind, read, names in (
            ("aksk", logins.read_key, (*family.access[:1], *family.secret[:1])),
            ("token", logins.read_token, family.token[:1]),
            ("password", logins.read_password, family.password[:1]),
        ):
            if names:
                yield _set_or_not(kind, partial(read, variables, family), variables, *names)
    yield from _of_file(variables)
    yield _of_metadata(auth, variables)


def _set_or_not(kind: str, find: Callable[[], Login | None], variables: Variables, *names: str) -> _Way:
    listed, verb = variables.names(*names), "are" if len(names) > 1 else "is"
    return _Way(kind, find, f"{listed} {verb} set", f"{listed} {verb} not set")


def _of_file(variables: Variables) -> Iterator[_Way]:
    """The file holds a key, or names an identity provider: of each kind a way, and one at most finds something."""
    path = logins.path_of_file(variables)
    held: KeyLogin | IdpLogin | None = None
    error: CloudDenied | None = None
    try:
        held = logins.read_file(variables)
    except CloudDenied as refused:
        error = refused

    def find(is_idp: bool) -> Login | None:
        if error is not None:
            raise error
        return held if isinstance(held, IdpLogin) == is_idp else None

    def warn() -> str | None:
        return logins.warning_of_file(path) if path else None

    for kind, is_idp in (("oidc", True), ("aksk", False)):
        absent, found = _not_in_file(variables, path, held), f"it is in the file {path}"
        yield _Way(kind, lambda is_idp=is_idp: find(is_idp), found, absent, warn)  # type: ignore[misc]


def _not_in_file(variables: Variables, path: Path | None, held: KeyLogin | IdpLogin | None) -> str:
    if path is None:
        return f"{variables.name(logins.FILE)} is not set"
    shown = path if variables.value(logins.FILE) else "~/.huaweicloud/credentials"
    if held is None:
        return f"{shown} has no [{logins.SECTION}] of this kind"
    return f"{shown} names " + (
        "an identity provider, which comes before a key"
        if isinstance(held, IdpLogin)
        else "a key, and no identity provider with a file of ID tokens"
    )


def _of_metadata(auth: str, variables: Variables) -> _Way:
    def find() -> Login | None:
        if variables.prefix and auth != "metadata":
            return None
        try:
            origin = origin_of(variables.environ)
        except InvalidInput as error:
            problem = error.problems[0]
            raise CloudDenied(problem.message, hint=problem.hint) from None
        return MetadataLogin(origin, variables.header_value(logins.PROJECT))

    found = "auth of the target is metadata" if auth == "metadata" else "this machine's metadata service is asked last"
    return _Way("metadata", find, found, "with env_prefix the metadata service is asked for `auth: metadata` only")
