"""Texts of the cloud, made short and single-lined where they enter. Whoever prints them still escapes them."""

from __future__ import annotations

import json
import re
from typing import Any

LONGEST = 500
MOST_VALUES = 2_000_000
"""A page of 1,000 servers has about 150,000, a job of 1,000 servers 15,000."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def tidy(text: str, limit: int = LONGEST) -> str:
    """One line of at most `limit` characters: runs of control characters become a blank, the cut shows as `…`.

    Lone surrogates, which JSON can carry and UTF-8 cannot, become `�`.
    """
    if len(text) <= limit and text.isprintable():
        return text.strip()
    head = _LONE_SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text[: 4 * limit])).strip()
    return head if len(head) <= limit else head[: limit - 1] + "…"


class TooManyValues(ValueError):
    """JSON, maybe, but with more values than any answer has."""


def why_no_json(error: ValueError) -> str:
    """The end of `HOST answered …`, for what `parse_json` raised."""
    if isinstance(error, TooManyValues):
        return f"JSON with more than {MOST_VALUES:,} values, which is not read"
    return "something that is not JSON"


def parse_json(body: bytes) -> Any:
    """The JSON value of `body`.

    Raises ValueError for everything else: other text, bad encoding, numbers without end, absurd nesting; TooManyValues
    for more values than any answer has, which would take twenty times the memory of their text. The error never quotes
    the body: a list answer can hold password hashes (`user_data`).
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise TooManyValues("JSON with too many values")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    raise ValueError("not JSON")
