"""Which login a target gets, and for each kind why or why not: the order of `auth: auto` is written here, once.

First OpenID Connect (nobody names an agency without meaning it), then what the environment holds: the names of the
vendor's SDK, of Terraform, of OpenStack, in each family an access key before a token, a token before a password. The
first that is there is taken. One that is half there, or unusable, is an error and no reason to take another quietly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from runner.cloud.auth.environment import FAMILIES, Family, FamilyReader, Login
from runner.cloud.auth.oidc_login import AGENCY, PROVIDER, read_oidc
from runner.errors import CloudDenied
from runner.model.config import TargetConfig


@dataclass(frozen=True, slots=True)
class Considered:
    """One kind of login: whether it is the one that is taken, and why, or why not, in a sentence.

    `kind` is the word of `auth`. `why` names variables and files, never a value.
    """

    kind: str
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class _Way:
    """One place to look at: `find` answers with a login, None for none, and raises CloudDenied for half of one."""

    kind: str
    find: Callable[[], Login | None]
    found: str
    absent: str


def _ways(environ: Mapping[str, str]) -> Iterator[_Way]:
    """Every place, in the order of `auto`."""
    yield _Way(
        "oidc", lambda: read_oidc(environ), f"{PROVIDER} and {AGENCY} are set", f"{PROVIDER} and {AGENCY} are not set"
    )
    for family in FAMILIES:
        reader = FamilyReader(environ, family)
        yield from _of_family(reader, family)


def _of_family(reader: FamilyReader, family: Family) -> Iterator[_Way]:
    for kind, find, names in (
        ("aksk", reader.key, family.access[:1] + family.secret[:1]),
        ("token", reader.token, family.token[:1]),
        ("password", reader.password, family.password[:1]),
    ):
        if names:
            listed = " and ".join(names)
            verb = "are" if len(names) > 1 else "is"
            yield _Way(kind, find, f"{listed} {verb} set", f"{listed} {verb} not set")


def choose_login(auth: str, environ: Mapping[str, str]) -> Login:
    """The login of a target with this `auth`.

    Raises CloudDenied, with the names of variables but never their values, when there is none, half of one, or a
    value that no header can carry.
    """
    absent: list[str] = []
    for way in _ways(environ):
        if auth in ("auto", way.kind):
            login = way.find()
            if login is not None:
                return login
            absent.append(way.absent)
    raise CloudDenied(f"no credentials of kind {auth} in the environment", hint="; ".join(absent))


def explain_choice(target: TargetConfig, environ: Mapping[str, str]) -> tuple[Considered, ...]:
    """Every kind once, in the order of `auto`; at most one is taken. Asks nobody on the network."""
    made: dict[str, list[str]] = {}
    taken: str | None = None
    broken = False
    for way in _ways(environ):
        words = made.setdefault(way.kind, [])
        if target.auth not in ("auto", way.kind):
            words[:] = [f"auth of the target is {target.auth}"]
            continue
        try:
            is_there = way.find() is not None
        except CloudDenied as error:
            words.append(f"cannot be used: {error.message}" if taken is None else f"{way.found}, and not needed")
            broken = broken or taken is None
            continue
        if not is_there:
            words.append(way.absent)
        elif taken is None and not broken:
            taken, words[:] = way.kind, [way.found]
        else:
            words.append(f"{way.found}, but another came first")
    return tuple(Considered(kind, kind == taken, _sentence(kind, taken, words)) for kind, words in made.items())


def _sentence(kind: str, taken: str | None, words: list[str]) -> str:
    return words[0] if kind == taken else "; ".join(words)
