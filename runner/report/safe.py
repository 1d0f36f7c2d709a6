"""Text that is not ours, made harmless for each channel it can end up in.

Names of servers, messages of the API and everything in a plan are written by other people.
One function for each channel; whoever prints calls the one for its channel, once, at the
very end.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from runner.model.hidden import hidden_in

_MARKDOWN = re.compile(
    # a list, where the text stands at the beginning of a line
    r"(?P<number>\A\d{1,9}(?=[.)](?:\s|\Z)))"
    r"|(?P<entity>\$|<|&(?=\#?\w*(?:;|\Z))|:(?=//)|\A:(?=:)|(?<=www)\.)"
    r"|(?P<apart>@(?=\w)|\#(?=\d)|\bGH-(?=\d)|:(?=(?:[\w+-]*[a-z][\w+-]*|100|1234|[+-]1):|[a-z][\w+-]{0,40}\Z))"
    r"|(?P<slash>\A[-+>=\[\#]|[`*|~]|\\(?=[!-/:-@\[-`{-~]|\Z)|(?<=\#)\[|\](?=[(\[])|\#\Z)"
    r"|(?P<underscores>_+)",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"""(?:^|[;,|\t])(?=([\s"']*[=+\-@\u2212]))""")
_ELLIPSIS = "…"


def plain(text: object, limit: int = 500) -> str:
    """One line of printable text: for terminals and logs.

    Control characters (line breaks, ANSI escapes), whatever cannot be seen, private and
    unassigned characters become visible as `\\x1b` or `\\u202e`; longer text ends in `…` at
    `limit` characters.
    """
    raw = str(text)
    cut = raw[: limit + 1]
    shown = "".join(
        c if c == " " or (c.isprintable() and not _hidden(c)) else _visible(c) for c in cut
    )
    return (
        shown
        if len(raw) <= limit and len(shown) <= limit
        else shown[: max(0, limit - 1)] + _ELLIPSIS
    )


def spreadsheet(text: str) -> str:
    """Return a text in which no spreadsheet finds a formula, wherever it begins a cell.

    Programs that separate cells by `;`, tabs or `|` begin a cell in the middle of ours, and
    those for East Asian languages read full-width forms (`＝`) like ASCII. An apostrophe in
    front makes a cell text.
    """
    folded = "".join(unicodedata.normalize("NFKC", char)[:1] or char for char in text)
    places = [found.start(1) for found in _FORMULA.finditer(folded)]
    for place in reversed(places):
        text = f"{text[:place]}'{text[place:]}"
    return text


def line_start(text: str) -> str:
    """A whole output line that a CI runner cannot take for a command.

    GitHub's runner reads a line whose first word begins with `::`, and the older form `##[`
    anywhere in a line (actions/runner, `ActionCommand.TryParse`): the first is set off by
    `| `, the second is broken by a space.
    """
    text = text.replace("##[", "# #[")
    return "| " + text if text.lstrip().startswith("::") else text


def markdown(text: object, limit: int = 200) -> str:
    """Return inline Markdown that shows exactly the text: no links, mentions, tables, HTML or
    formatting.

    Only what can be interpreted where it stands is escaped, so that names, times and ranges
    stay readable in the source: `web-[001-042]`, `a_b`, `done: 49`. Rules: the CommonMark
    specification 0.31 (backslash escapes, flanking of `_`, links), GitHub's extensions
    (tables, `~`, autolinks of `://`, `www.` and addresses, `$` for formulas), and GitHub's
    filters of the rendered text (mentions, references, emoji codes). The filters read
    entities and escapes when they are resolved already, so a space of no width stands in
    what they would take.
    """
    return _MARKDOWN.sub(_escaped, plain(text, limit).strip())


def command_data(text: object) -> str:
    """The message of a GitHub workflow command (`%`, CR and LF encoded, as its
    documentation asks).
    """
    return str(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: object) -> str:
    """A property of a GitHub workflow command (`:` and `,` encoded too)."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def json_text(value: object, **form: Any) -> str:
    """JSON in plain ASCII in which no CI runner finds `##[`. `form`: as of `json.dumps`."""
    return json.dumps(value, ensure_ascii=True, **form).replace("##[", "##\\u005b")


def markup_text(text: str) -> str:
    """Finished HTML or XML in which no CI runner finds `##[`: it is written as an entity,
    which reads the same.
    """
    return text.replace("##[", "&#35;#[")


def _hidden(char: str) -> bool:
    if char.isascii():
        return not char.isprintable()
    return unicodedata.category(char) in ("Co", "Cn") or hidden_in(char) is not None


def _visible(char: str) -> str:
    code = ord(char)
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return named.get(char) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _escaped(found: re.Match[str]) -> str:
    """Return what Markdown shows as the characters that were found."""
    said, kind = found[0], found.lastgroup
    if kind == "entity":
        return {"<": "&lt;", "&": "&amp;"}.get(said, f"&#{ord(said)};")
    if kind == "apart":
        return f"{said}&#8203;"
    if kind == "number":
        return f"{said}\\"
    if kind == "underscores":
        text, start, end = found.string, found.start(), found.end()
        is_inside = start > 0 and text[start - 1].isalnum() and text[end : end + 1].isalnum()
        return said if is_inside else said.replace("_", "\\_")
    return f"\\{said}"
