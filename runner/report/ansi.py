"""Colours of text for terminals. Where a stream shows none, whoever writes takes them out again."""

from __future__ import annotations

RED, GREEN, YELLOW, CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
BOLD, DIM = "\x1b[1m", "\x1b[2m"


def paint(text: str, codes: str, color: bool = True) -> str:
    """Return the text in these colours, or as it is."""
    return f"{codes}{text}\x1b[0m" if color and text else text
