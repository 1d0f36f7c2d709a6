"""Text that fits a terminal: measured in cells, shortened in the middle, wrapped at
spaces. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_COMMANDS = ("reboot-runner ", "$ ")


def cells(text: str) -> int:
    """Return how many columns of a terminal the text takes. Colors take none, wide
    characters take two.
    """
    bare = _COLOR.sub("", text)
    return len(bare) if bare.isascii() else sum(map(_cells_of, bare))


def middle(text: str, width: int) -> str:
    """Return the text in at most `width` columns, with `…` in its middle where it is longer.

    Names of one fleet differ at their ends: `web-eu-de-01-…-kernel-0042`.
    """
    if cells(text) <= width:
        return text
    if width < 2:
        return "…"[:width]
    half = (width - 1) // 2
    return _start(text, half) + "…" + _start(text[::-1], width - 1 - half)[::-1]


def end(text: str, width: int) -> str:
    """Return the text in at most `width` columns, with `…` at its end where it is longer."""
    return text if cells(text) <= width else _start(text, max(0, width - 1)) + "…"


def wrap(text: str, width: int, hang: int = 2) -> list[str]:
    """Return the lines of one line of text, broken at spaces only. Further lines are indented
    by `hang` more.

    A word that is wider than the terminal stays whole, and so does a command: it must
    survive being copied.
    """
    words = text.lstrip(" ")
    if words.startswith(_COMMANDS) or cells(text) <= width:
        return [text]
    return list(_wrapped(text, width, " " * (len(text) - len(words) + hang)))


def wrap_all(text: str, width: int) -> str:
    """Return a text of several lines with each of them wrapped."""
    return "\n".join(piece for line in text.split("\n") for piece in wrap(line, width))


def _wrapped(text: str, width: int, indent: str) -> Iterator[str]:
    while cells(text) > width:
        begin = len(text) - len(text.lstrip(" "))
        fitting = len(_start(text, width + 1))
        cut = text.rfind(" ", begin, fitting)
        cut = cut if cut > begin else text.find(" ", max(begin, fitting))
        if cut < 0:
            break
        yield text[:cut].rstrip()
        text = indent + text[cut:].lstrip(" ")
    if text.strip():
        yield text


def _start(text: str, width: int) -> str:
    """Return the longest beginning that takes at most `width` columns."""
    taken, at = 0, 0
    while at < len(text):
        color = _COLOR.match(text, at)
        if color:
            at = color.end()
            continue
        taken += _cells_of(text[at])
        if taken > width:
            break
        at += 1
    return text[:at]


def _cells_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
