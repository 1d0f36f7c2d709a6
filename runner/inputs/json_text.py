"""JSON from outside, measured before anything of it is built.

A text of 8 MiB can take gigabytes once it is read: `[],` is three bytes and becomes eighty.
So the size of the result is estimated from counts of its punctuation, which costs a
fraction of the reading. Every reader of JSON has a bound.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

MAX_DEPTH = 64
MAX_KEYS = 200
"""Of one object, where `strict` is set. Validators hold an error for each unknown key."""
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """`size`: most bytes of the text. `memory`: most bytes that its values may take, by the
    estimate of this module.
    """

    size: int
    memory: int


ANSWER = Bounds(20 * MEGABYTE, 90 * MEGABYTE)
"""An API's answer. A page of 1,000 servers has 3 MB and is estimated at 25 MB."""
SCHEDULE = Bounds(32 * MEGABYTE, 135 * MEGABYTE)
"""A saved schedule. 100,000 servers are 9 MB, estimated at 92 MB; at 124 MB if most are
excluded by their names.
"""
JOURNAL = Bounds(16 * MEGABYTE, 160 * MEGABYTE)
"""An entry of a store. The largest holds a plan and its schedule: 11 MB for 100,000
servers. Larger: refused.
"""
WIDE_TEXT = 4 * MEGABYTE
"""Most bytes of a store's text that is not ASCII, which takes up to four times as much once
it is decoded.
"""
EVENT = Bounds(26 * MEGABYTE, 90 * MEGABYTE)
"""The file in which GitHub describes what happened; GitHub's page "Webhook events and
payloads" caps it at 25 MB.
"""

_NOT_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_STRING = re.compile(rb'"[^"]*"')
_ASTRAL = re.compile(rb"\\u[dD][89abAB]")
_BELOW_ASTRAL = bytes(range(0xF0))


class NotJson(ValueError):
    """The text is not JSON. `line` and `column` count from 1; 0 where no place is known.
    Quotes nothing of the text.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class TooMuchJson(ValueError):
    """The text is over a bound: too long, too deep, or too many values. The message is the
    end of "it is JSON …".
    """


def why_no_json(error: ValueError) -> str:
    """Return the end of `HOST answered …` for what `parse_json` raised."""
    return f"JSON {error}" if isinstance(error, TooMuchJson) else "something that is not JSON"


def parse_json(text: bytes | str, bounds: Bounds = ANSWER, *, strict: bool = False) -> Any:
    """Return the JSON value of a text in UTF-8. `strict` also refuses NaN, infinity, duplicate keys
    and objects of more than `MAX_KEYS`.

    Raises TooMuchJson before anything is built, and NotJson. Neither quotes the text: a
    list can hold password hashes (`user_data`).
    """
    check_json(text, bounds)
    options: dict[str, Any] = (
        {"object_pairs_hook": _unique, "parse_constant": _no_constant} if strict else {}
    )
    try:
        decoded = text.decode("utf-8-sig", "surrogatepass") if isinstance(text, bytes) else text
        return json.loads(decoded, **options)
    except json.JSONDecodeError as error:
        failure = NotJson(error.msg, error.lineno, error.colno)
    except NotJson as error:
        failure = error
    except (ValueError, RecursionError):
        failure = NotJson("wrong encoding, or a number with too many digits")
    raise failure  # outside the handler: the library's error holds the text


def check_json(text: bytes | str, bounds: Bounds) -> None:
    """Raise TooMuchJson for a text that is over the bounds. Linear in its length."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > bounds.size:
        raise TooMuchJson(f"larger than {bounds.size // MEGABYTE} MB")
    needed = estimate(data)
    if needed > bounds.memory:
        numbers = f"about {needed // MEGABYTE:,} MB in memory, at most {bounds.memory // MEGABYTE}"
        raise TooMuchJson(f"with too many values ({numbers})")
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and depth(data) > MAX_DEPTH:
        raise TooMuchJson(f"nested deeper than {MAX_DEPTH} levels")


def estimate(data: bytes) -> int:
    """Return about how many bytes a JSON text and its values take in memory; punctuation
    within strings counts too.

    The weights are those of CPython on 64 bits, rounded up: an object with a key 200, a
    list 100, a key or a value 75. Commas that no key explains are members of lists, which
    can be as short as two bytes, and count twice.
    """
    commas, colons = data.count(b","), data.count(b":")
    values = (
        200 * data.count(b"{")
        + 100 * data.count(b"[")
        + 75 * (colons + commas + max(0, commas - colons))
    )
    text, strings = _widths(data)
    return values + len(data) * (1 + text + strings)


def depth(data: bytes) -> int:
    """Return how deep brackets are nested outside of strings, whether or not they are
    ever closed.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A pair of neighboring quotes is an empty string, or the end of one and the beginning
    # of the next.
    marks = data.translate(None, _NOT_BRACKETS).replace(b'""', b"")
    if b'"' in marks:
        marks = _STRING.sub(b"", marks)
    return max(accumulate(memoryview(marks.translate(_STEPS)).cast("b")), default=0)


def _widths(data: bytes) -> tuple[int, int]:
    """Return the bytes per character of the decoded text, and of its widest string: 1, 2 or
    4 in CPython.
    """
    text = 1
    if not data.isascii():
        text = 4 if data.translate(None, _BELOW_ASTRAL) else 2
    if b"\\u" not in data:
        return text, text
    return text, max(text, 4 if _ASTRAL.search(data) else 2)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise NotJson(f"an object has more than {MAX_KEYS} keys")
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotJson("a key stands twice in one object")
    return made


def _no_constant(_: str) -> None:
    raise NotJson("NaN and infinity are not JSON")
