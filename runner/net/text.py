"""Texts of the cloud, made short and single-lined where they enter. Whoever prints them
still escapes them.
"""

from __future__ import annotations

import re

LONGEST = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def tidy(text: str, limit: int = LONGEST) -> str:
    """One line of at most `limit` characters: runs of control characters become a blank, the
    cut shows as `…`.

    Lone surrogates, which JSON can carry and UTF-8 cannot, become `�`.
    """
    if len(text) <= limit and text.isprintable():
        return text.strip()
    head = _LONE_SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text[: 4 * limit])).strip()
    return head if len(head) <= limit else head[: limit - 1] + "…"
