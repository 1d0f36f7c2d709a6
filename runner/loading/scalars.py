"""What an unquoted scalar means: the core schema of YAML 1.2 (section 10.3.2), nothing of YAML 1.1.

So `no`, `on`, `22:00` and `2026-11-23` are text, `0o10` is the number 8 and `1e3` is
1000.0. Only `010` is refused: it is 10 in YAML 1.2 and 8 in YAML 1.1.
"""

from __future__ import annotations

import math
import re

from runner.loading.nodes import Plain

MAX_DIGITS = 18

_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile("[-+]?[0-9]+")
_OCTAL = re.compile("0o[0-7]+")
_HEX = re.compile("0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile("[-+]?0[0-9]")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBER_STARTS = frozenset("+-.0123456789")


def resolve(text: str) -> Plain:
    """The value of an unquoted scalar.

    Raises ValueError, with a sentence, for numbers that are infinite, not a number, over 18 digits,
    or that begin with a 0 that does not count.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("infinite numbers and .nan are not allowed")
    if _DECIMAL.fullmatch(text) or _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return _unambiguous(text, _integer(text))
    if _FLOAT.fullmatch(text):
        return _unambiguous(text, _decimal(text))
    return text


def _unambiguous(text: str, value: float) -> int | float:
    if _LEADING_ZERO.match(text):
        raise ValueError(f"{text} begins with 0, and some programs read such numbers as octal")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS + 2:
        raise ValueError("the number has too many digits")
    if text.startswith("0o"):
        return int(text[2:], 8)
    return int(text[2:], 16) if text.startswith("0x") else int(text)


def _decimal(text: str) -> float:
    value = float(text) if len(text) <= 100 else math.inf
    if not math.isfinite(value):
        raise ValueError("the number is too large")
    return value
