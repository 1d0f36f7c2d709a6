"""Secrets that do not print, and texts without them."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn
from urllib.parse import quote, quote_plus

HIDDEN = "***"

Scrub = Callable[[str], str]
"""Takes a text of the cloud and gives it back without our secrets."""


class Secret:
    """A text that only `reveal()` shows: not `repr`, `str`, formatting, logging or pickling."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never stored")


def scrubber(secrets: Iterable[Secret]) -> Scrub:
    """A function that replaces these secrets in a text, also percent-encoded, in base64 and as
    JSON escapes them.

    Needed because the gateway answers a wrong signature with the whole canonical request it
    has seen, the security token included ("verify aksk signature fail,
    canonicalRequest:…").
    """
    shapes = sorted({shape for s in secrets if s for shape in shapes_of(s)}, key=len, reverse=True)

    def scrub(text: str) -> str:
        for value in shapes:
            text = text.replace(value, HIDDEN)
        return text

    return scrub


def shapes_of(secret: Secret) -> Iterator[str]:
    """The texts by which a secret may come back: itself, percent-encoded, in JSON, in
    base64 (without its padding).
    """
    value = secret.reveal()
    yield from (value, quote(value, safe="~"), quote_plus(value))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    raw = value.encode("utf-8", "surrogatepass")
    yield from (packed(raw).decode().rstrip("=") for packed in (b64encode, urlsafe_b64encode))


def no_scrub(text: str) -> str:
    """For texts that cannot hold a secret."""
    return text
