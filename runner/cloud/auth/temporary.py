"""Credentials that end: kept, renewed in time, and never fetched twice at once.

The answers with temporary keys of STS, of IAM and of the metadata service differ in their spellings only; the vendor's
SDK reads all of them alike (`auth/internal.py`, `_process_credential`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from runner.cloud.auth.credentials import AkSk
from runner.cloud.decode import when
from runner.errors import CloudError
from runner.inputs.json_text import parse_json
from runner.net.secret import Secret
from runner.net.wire import Outgoing, Reply

T = TypeVar("T")

_MARGIN = timedelta(minutes=5)
_AGAIN = timedelta(seconds=30)
_KEPT = 16
_SPELLINGS = (
    ("access", "accessKeyId", "access_key_id"),
    ("secret", "secretAccessKey", "secret_access_key"),
    ("securitytoken", "securityToken", "security_token"),
)

Send = Callable[[Outgoing, tuple[Secret, ...]], Awaitable[Reply]]
"""Sends a request that needs no signature, with the retries of a read; raises for HTTP errors. The secrets are those
that the request carries."""

OnSecret = Callable[[Secret], None]
"""Is told each new secret before the first use of it, so that a log can be made to hide it."""


class Known:
    """Secrets that were obtained: hidden in messages, and told once each to whoever hides them elsewhere."""

    def __init__(self, on_secret: OnSecret | None = None) -> None:
        self._on_secret = on_secret
        self._kept: tuple[Secret, ...] = ()

    def __repr__(self) -> str:
        return "Known(***)"

    def add(self, *secrets: Secret) -> None:
        for secret in secrets:
            if secret and secret not in self._kept:
                self._kept = (secret, *self._kept)[:_KEPT]
                if self._on_secret is not None:
                    self._on_secret(secret)

    def all(self) -> tuple[Secret, ...]:
        return self._kept


@dataclass(frozen=True, slots=True)
class Fresh(Generic[T]):
    """What was fetched at `since` (our clock), how long it lives from then, and how long before its end it is old."""

    value: T
    since: datetime
    life: timedelta
    margin: timedelta


class Kept(Generic[T]):
    """A thing that ends. `wall` is real time; `proof` is the text by which a refused request is told to have used it.

    Where a renewal fails, the old thing is used as long as it lives, and asked about again half a minute later.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Fresh[T]]],
        proof: Callable[[T], Secret | None],
        wall: Callable[[], datetime],
    ) -> None:
        self._fetch = fetch
        self._proof = proof
        self._wall = wall
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._renew_at = self._ends = wall()

    async def current(self, instead_of: Secret | None = None) -> T:
        """The thing; a new one if there is none, it has ended, or it is the one that was refused.

        Whoever comes while it is being fetched waits and gets the same one. Raises what `fetch` raises.
        """
        async with self._lock:
            now, old = self._wall(), self._value
            if old is None or now >= self._ends or (instead_of is not None and self._proof(old) == instead_of):
                return await self._renewed()
            if now < self._renew_at:
                return old
            try:
                return await self._renewed()
            except CloudError:
                self._renew_at = self._wall() + _AGAIN
                return old

    async def _renewed(self) -> T:
        fresh = await self._fetch()
        self._value = fresh.value
        self._ends = fresh.since + fresh.life
        self._renew_at = self._ends - fresh.margin
        return fresh.value

    async def is_renewed(self, used: str | None) -> bool:
        """After a 401 to a request that carried `used`: whether there is another one now."""
        refused = Secret(used) if used else None
        return self._proof(await self.current(instead_of=refused)) != refused


class KeySource(Protocol):
    """Where a temporary key comes from."""

    @property
    def project_id(self) -> str | None: ...

    def secrets(self) -> tuple[Secret, ...]:
        """All that it was given and has obtained, keys included."""
        ...

    async def fetch(self) -> Fresh[AkSk]:
        """A new key, or the same one where it is not time yet. Raises CloudError, CloudDenied."""
        ...


class TemporaryKey:
    """Credentials that sign with a temporary key of a source, renewed 5 minutes before it ends and once after a 401."""

    def __init__(self, source: KeySource, wall: Callable[[], datetime]) -> None:
        self._source = source
        self._kept = Kept(source.fetch, lambda key: key.security_token, wall)

    def __repr__(self) -> str:
        return "TemporaryKey(***)"

    @property
    def project_id(self) -> str | None:
        return self._source.project_id

    async def authorize(self, request: Outgoing, at: datetime) -> Outgoing:
        return await (await self._kept.current()).authorize(request, at)

    async def renew(self, refused: Outgoing) -> bool:
        return await self._kept.is_renewed(refused.headers.get("X-Security-Token"))

    def secrets(self) -> tuple[Secret, ...]:
        return self._source.secrets()


def fresh_key(
    reply: Reply, since: datetime, longest: timedelta, whose: str, *, unknown: timedelta | None = None
) -> Fresh[AkSk]:
    """The key of an answer. Its life is the shorter of `longest` and what the answer says.

    `unknown`: its life where the answer's end cannot be read or is over by our clock; without it `longest`. Of a very
    short life a third is the margin. Raises CloudError for an answer without a whole key that headers can carry.
    """
    parts = _parts(reply)
    texts = [next((parts[n] for n in names if parts.get(n)), None) for names in _SPELLINGS]
    usable = [Secret(t) for t in texts if isinstance(t, str) and t.isascii() and t.isprintable()]
    if len(usable) != len(texts):
        raise CloudError(f"{whose} gave no usable key", status=reply.status, request_id=reply.request_id)
    access, secret, token = usable
    ends = when(parts.get("expires_at") or parts.get("expiration"))
    life = min(longest, ends - since) if ends is not None and ends > since else unknown or longest
    return Fresh(AkSk(access, secret, token), since, life, min(_MARGIN, life / 3))


def _parts(reply: Reply) -> dict[str, object]:
    try:
        value = parse_json(reply.body)
    except ValueError:
        return {}
    found = (value.get("credential") or value.get("credentials")) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
