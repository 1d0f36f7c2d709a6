"""Requests and answers as plain data, and how an exchange can fail. Knows no HTTP library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote, urlsplit

from runner.errors import CloudError
from runner.net.secret import HIDDEN, Secret, shapes_of
from runner.net.text import tidy

_SHORTEST = 8
_CREDENTIAL_HEADERS = frozenset(
    {"authorization", "x-auth-token", "x-security-token", "x-metadata-token"}
)
_PARTS = re.compile(r"(?:Access=|Signature=|^[Bb]earer )([^\s,]+)")


def encode(text: str) -> str:
    """Percent-encode as the gateway's canonical form wants it: only `A-Z a-z 0-9 - _ . ~` stay."""
    return quote(text, safe="~")


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """Names and values sorted before encoding, `name=value` joined by `&`; exactly this is
    also sent.
    """
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(query))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request. `origin` is scheme, host and port; `path` is percent-encoded; `headers` are
    those to be signed.

    `body` is the bytes that are sent and hashed. `known_as`: the name for the `Host` header
    and for TLS where `origin` is a bare address and the server goes by a name. `repr` shows
    neither headers nor body: they hold credentials.
    """

    method: Literal["GET", "POST", "PATCH", "PUT"]
    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    known_as: str = ""

    @property
    def host(self) -> str:
        """The `Host` header: `known_as`, else the origin's with the port where it is not
        the scheme's own.
        """
        return self.known_as or urlsplit(self.origin).netloc

    @property
    def url(self) -> str:
        return self.origin + self.target

    @property
    def target(self) -> str:
        """Path and query, as on the request line."""
        return f"{self.path}?{canonical_query(self.query)}" if self.query else self.path

    def secrets(self) -> tuple[Secret, ...]:
        """What its headers hold that nobody else may read: tokens, access key, signature (good
        for 15 minutes).

        Very short ones are left out: they are words like any other.
        """
        found = [v for name, v in self.headers.items() if name.lower() in _CREDENTIAL_HEADERS]
        parts = [part for value in found for part in _PARTS.findall(value)]
        return tuple(Secret(text) for text in (*found, *parts) if len(text) >= _SHORTEST)

    def with_headers(self, headers: Mapping[str, str]) -> Outgoing:
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are in lower case. `repr` shows no header (a token is one)
    and no body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def request_id(self) -> str | None:
        """`X-Request-Id`, at IAM `X-IAM-Trace-Id`; cut to 64 characters."""
        found = self.headers.get("x-request-id") or self.headers.get("x-iam-trace-id")
        return tidy(found, 64) if found else None

    def without_echo(self, request: Outgoing) -> Reply:
        """The same without the secrets of the request.

        Nobody but the other side can put them there, in a name or an id as well as in an
        error, and from there they would go into a journal.
        """
        shapes = {shape for secret in request.secrets() for shape in shapes_of(secret)}
        headers, body = dict(self.headers), self.body
        for shape in sorted(shapes, key=len, reverse=True):
            body = body.replace(shape.encode(), HIDDEN.encode())
            headers = {name: value.replace(shape, HIDDEN) for name, value in headers.items()}
        return replace(self, headers=headers, body=body) if shapes else self


@dataclass(frozen=True, slots=True)
class RequestLog:
    """One line for a log: no headers, no bodies. `outcome` is the HTTP status or a word for
    what went wrong.
    """

    method: str
    host: str
    target: str
    outcome: str
    ms: int
    request_id: str | None = None


class Unreachable(CloudError):
    """No usable answer came.

    `sent` is False only if it is certain that no byte of the request has left. `partial` is
    what had arrived of an answer that broke off. `lasting`: another try will not help.
    """

    def __init__(
        self,
        message: str,
        *,
        sent: bool,
        partial: Reply | None = None,
        hint: str | None = None,
        lasting: bool = False,
    ) -> None:
        super().__init__(
            message,
            hint=hint or "check the endpoint, the network and the proxy; `-v` shows each try",
            status=partial.status if partial else None,
            request_id=partial.request_id if partial else None,
        )
        self.sent = sent
        self.lasting = lasting
        self.partial = partial
