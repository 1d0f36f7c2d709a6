"""The report as one HTML file: no network, nothing to install, readable without its few lines
of script.

The page's policy allows its own style and script by their hashes and nothing else, so text
that got in as markup in spite of everything could load and run nothing. The template
escapes everything that is put into it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from runner.report.run_report import RunReport
from runner.report.run_sections import run_document
from runner.report.run_words import length
from runner.report.safe import markup_text, plain
from runner.report.sections import Emphasis, Inline, Table


def report_html(report: RunReport) -> str:
    """A whole document, UTF-8. Light or dark as the reader's system says; tables beside
    every picture.
    """
    document = run_document(report)
    pages = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parent),
        keep_trailing_newline=True,
        auto_reload=False,
    )
    pages.filters |= {"inline": _inline, "names": _names}
    sections = [s for s in document.sections if not isinstance(s.body, Table) or s.body.rows]
    sections = [s for s in sections if s.body]
    tables = {s.body.name: s.body.columns for s in sections if isinstance(s.body, Table)}
    style = pages.get_template("page.css").render(tables=tables)
    script = pages.get_template("page.js").render()
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri "
        f"'none'; form-action 'none'"
    )
    page = pages.get_template("page.html").render(
        page=document, sections=sections, style=style, script=script, policy=policy
    )
    return markup_text(page)


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _inline(piece: Inline) -> Markup:
    match piece:
        case None:
            return Markup()
        case Emphasis(style="br"):
            return Markup("<br>")
        case Emphasis("") | Emphasis(style=""):
            return escape(plain(piece.text, 4000))
        case Emphasis(text, ("b" | "code") as tag, limit):
            return Markup("<{0}>{1}</{0}>").format(tag, plain(text, limit or 4000))
        case Emphasis(text, style, limit):
            return Markup('<span class="{}">{}</span>').format(style, plain(text, limit or 4000))
        case datetime():
            return Markup('<time datetime="{}">{:%H:%M:%S}</time>').format(piece.isoformat(), piece)
        case timedelta():
            return escape(length(piece.total_seconds()))
        case tuple():
            return Markup().join(map(_inline, piece))
        case _:
            return escape(plain(piece, 2500))


def _names(names: Sequence[str]) -> str:
    return plain(", ".join(names), 200_000)
