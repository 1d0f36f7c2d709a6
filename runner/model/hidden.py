"""Characters that people cannot see, or take for an ordinary blank: what two readers would
read differently.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680"
    "\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]|\r(?!\n)"
)
"""Unicode's categories Cc, Cf, Cs, Zl, Zp, and Zs without the space;
Default_Ignorable_Code_Point; blank symbols.

Tabs and line ends are not among them: text of several lines may have them.
"""

_BLANKS = re.compile("[\t\n\r\xa0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]")


def hidden_in(text: str) -> str | None:
    """Return the first character of `text` that cannot be seen, or None. Tabs and line ends
    are allowed.
    """
    if text.isascii() and text.isprintable():
        return None
    found = _HIDDEN.search(text)
    return found[0] if found else None


def is_blank(char: str) -> bool:
    """Return True for a character that looks like a space and is none."""
    return _BLANKS.fullmatch(char) is not None


def described(char: str) -> str:
    """Return `U+200B (ZERO WIDTH SPACE)`; control characters have no name."""
    name = {"\t": "a tab", "\n": "a line break", "\r": "a carriage return"}.get(
        char
    ) or unicodedata.name(char, "")
    return f"U+{ord(char):04X}" + (f" ({name})" if name else "")


def as_seen(text: str) -> str:
    """Return what a reader takes `text` for: without hidden characters and blanks at its
    ends, accents composed.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    return unicodedata.normalize("NFC", _HIDDEN.sub("", _BLANKS.sub(" ", text))).strip()
