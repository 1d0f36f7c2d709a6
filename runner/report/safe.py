"""Text that is not ours, made harmless for each channel it can end up in.

Names of servers, messages of the API and everything in a plan are written by other people. One function for each
channel; whoever prints calls the one for its channel, once, at the very end.
"""

from __future__ import annotations

import html
import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@:$-])")
_WWW = re.compile(r"(?i)(www)\.")
_ELLIPSIS = "…"


def plain(text: object, limit: int = 500) -> str:
    """One line of printable text: for terminals and logs.

    Control characters (line breaks, ANSI escapes), directional marks, private and unassigned characters become
    visible as `\\x1b` or `\\u202e`; longer text ends in `…` at `limit` characters.
    """
    raw = str(text)
    cut = raw[: limit + 1]
    shown = "".join(c if c == " " or (c.isprintable() and not _hidden(c)) else _visible(c) for c in cut)
    return shown if len(raw) <= limit and len(shown) <= limit else shown[: max(0, limit - 1)] + _ELLIPSIS


def line_start(text: str) -> str:
    """A whole output line that a CI runner cannot take for a command.

    GitHub's runner reads a line whose first word begins with `::`, and `##[` anywhere in a line: the first is set off
    by `| `, the second is broken by a space.
    """
    text = text.replace("##[", "# #[")
    return "| " + text if text.lstrip().startswith("::") else text


def markdown(text: object, limit: int = 200) -> str:
    """Inline Markdown that shows exactly the text: no links, mentions, tables, HTML or formatting.

    GitHub looks for mentions and references when entities are resolved already, so a space of no width keeps what
    follows `@` and `#` apart from it.
    """
    return _WWW.sub(r"\1&#46;", _MARKDOWN.sub(_entity, plain(text, limit)))


def markup(text: object, limit: int = 500) -> str:
    """Text for HTML, in elements and in quoted attributes."""
    return html.escape(plain(text, limit), quote=True)


def command_data(text: object) -> str:
    """The message of a GitHub workflow command (`%`, CR and LF encoded, as its documentation asks)."""
    return str(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: object) -> str:
    """A property of a GitHub workflow command (`:` and `,` encoded too)."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _visible(char: str) -> str:
    code = ord(char)
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return named.get(char) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _entity(match: re.Match[str]) -> str:
    """A numeric entity: Markdown never interprets what it stands for, and every renderer shows the character."""
    apart = "&#8203;" if match[1] in "@#" else ""
    return f"&#{ord(match[1])};{apart}"
