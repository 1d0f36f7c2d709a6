"""What an unquoted scalar means: the core schema of YAML 1.2 (section 10.3.2), nothing of YAML 1.1.

So `no`, `on`, `22:00` and `2026-11-23` are text, `010` is the number 10, `0o10` is 8 and `1e3` is 1000.0.
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
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NUMBER_STARTS = frozenset("+-.0123456789")


def resolve(text: str) -> Plain:
    """The value of an unquoted scalar.

    Raises ValueError, with a sentence, for numbers that are infinite, not a number, or over 18 digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("infinite numbers and .nan are not allowed")
    if _DECIMAL.fullmatch(text) or _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _decimal(text)
    return text


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
