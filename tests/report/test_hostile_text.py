"""Other people's text in every place of a report: each form shows it, none obeys it."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as Xml
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.model.shape import json_values
from runner.report.run_csv import report_csv
from runner.report.run_html import report_html
from runner.report.run_json import report_json
from runner.report.run_junit import report_junit
from runner.report.run_report import RunReport
from runner.report.run_sections import report_markdown
from runner.report.run_text import report_text
from runner.report.safe import plain
from tests.report.cases import HOSTILE, troubled_run
from tests.report.readers import Page, demand_harmless_lines, with_text

MARK = "Zmark"
PAGE_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "script",
        "h1",
        "h2",
        "p",
        "ul",
        "li",
        "dl",
    ),
    *(
        "dt",
        "dd",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "time",
        "span",
        "label",
        "input",
    ),
    *("code", "br", "b", "svg", "rect", "text", "line", "polygon"),
}
PAGE_ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "open",
        "scope",
        "id",
        "datetime",
        "hidden",
        "type",
    ),
    *(
        "data-table",
        "viewbox",
        "width",
        "height",
        "role",
        "aria-label",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
    ),
    *("text-anchor", "points"),
}
MARKDOWN_TAGS = {
    *("h3", "p", "strong", "em", "br", "code", "ul", "li", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=60),
    st.lists(
        st.one_of(st.sampled_from(HOSTILE), st.text("#[:<>&|`@*_\\\n\r '\"=-+/!", max_size=8)),
        max_size=4,
    ).map("".join),
)


@cache
def marked() -> RunReport:
    """A report of a real run with MARK wherever other people's text can be."""
    return troubled_run(MARK, "extra").report


def shown(text: str) -> str:
    """The beginning of the text as a reader sees it; Markdown and HTML keep no blanks at
    the ends of a cell.
    """
    return plain(text, 10_000)[:80].strip()


def hostile(text: str) -> RunReport:
    return with_text(marked(), lambda said: said.replace(MARK, text))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_goes_through_a_real_run(text: str) -> None:
    """A run whose servers, messages and people bear such text is run, stored, read back and
    reported in every form.
    """
    made = troubled_run(text, "x").report
    for form in (report_text, report_markdown, report_html, report_junit, report_csv, report_json):
        demand_harmless_lines(form(made))


@settings(max_examples=20, deadline=None)
@given(texts)
def test_no_line_is_a_command_and_no_character_is_hidden(text: str) -> None:
    """No form holds a line that a CI system obeys, an escape sequence, or a mark that turns
    the text around.
    """
    made = hostile(text)
    for form in (report_text, report_markdown, report_html, report_junit, report_csv, report_json):
        demand_harmless_lines(form(made))


@settings(max_examples=20, deadline=None)
@given(texts)
def test_html_has_only_our_tags(text: str) -> None:
    """A parser sees our tags and attributes, well nested, our style and our script, and the
    text as text.
    """
    page = Page(report_html(hostile(text)))
    assert set(page.tags) <= PAGE_TAGS
    assert {name for _, name in page.attributes} <= PAGE_ATTRIBUTES
    assert page.raw == Page(report_html(marked())).raw
    assert shown(text) in page.text


@settings(max_examples=20, deadline=None)
@given(texts)
def test_markdown_has_only_our_markup(text: str) -> None:
    """A Markdown renderer with HTML and tables makes only our elements: no link, no
    mention, no row too many.
    """
    made = report_markdown(hostile(text), 200_000)
    tame = report_markdown(hostile("tame"), 200_000)
    page, tame_page = (
        Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(m))
        for m in (made, tame)
    )
    assert set(page.tags) <= MARKDOWN_TAGS
    assert page.attributes <= {("td", "style"), ("th", "style")}
    assert shown(text) in page.text.replace("\u200b", "")  # what keeps GitHub from seeing mentions
    assert not re.search(r"@\w|#\d", page.text)
    assert {k: page.tags[k] for k in ("tr", "td", "details", "h3")} == {
        k: tame_page.tags[k] for k in ("tr", "td", "details", "h3")
    }
    assert not re.search(r"@\w", made)
    assert not re.search(r"www\.", made, re.IGNORECASE)
    assert "://" not in made


@settings(max_examples=20, deadline=None)
@given(texts)
def test_junit_is_xml_with_every_server(text: str) -> None:
    """The document parses, and has a case for each server with what became of it, those not
    scheduled included.
    """
    root = Xml.fromstring(report_junit(hostile(text)))  # noqa: S314 - our own document
    assert {e.tag for e in root.iter()} <= {
        *(
            "testsuites",
            "testsuite",
            "properties",
            "property",
            "testcase",
            "failure",
            "error",
            "skipped",
        )
    }
    assert len(root.findall("testsuite/testcase")) == 13
    assert [root.get(k) for k in ("tests", "failures", "errors", "skipped")] == [
        "13",
        "3",
        "3",
        "5",
    ]


@settings(max_examples=20, deadline=None)
@given(texts)
def test_csv_has_a_row_a_server_and_no_formula(text: str) -> None:
    """A reader gets the same number of cells in every row, and a spreadsheet finds nothing
    to compute.
    """
    heading, *rows = csv.reader(io.StringIO(report_csv(hostile(text)), newline=""))
    assert len(rows) == 13
    for row in rows:
        assert len(row) == len(heading)
        assert row[0].isdigit() or row[0] == ""
        assert not any(
            part.lstrip().startswith(("=", "+", "-", "@"))
            for cell in row
            for part in cell.split(";")
        )


@settings(max_examples=20, deadline=None)
@given(texts)
def test_json_holds_the_text_as_it_was(text: str) -> None:
    """JSON is for programs: what it says is the document, character for character, in ASCII."""
    made = hostile(text)
    told = report_json(made)
    assert told.isascii()
    assert json.loads(told) == json_values(made)
    assert json.loads(told)["actor"] == text


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4000))
def test_markdown_never_exceeds_its_limit(text: str) -> None:
    """However long and wide the texts are, the comment fits, and its totals are in it."""
    made = report_markdown(hostile(text), 20_000)
    assert len(made.encode()) <= 20_000
    assert "2 of 13 servers ready" in made
    assert "3 unknown servers" in made


@pytest.mark.parametrize(
    "char", "\u200b\u00ad\ufe0f\u3164\u115f\u00a0\u3000\u2800\U000e0041\u202e\x1b\n"
)
def test_what_cannot_be_seen_is_shown(char: str) -> None:
    """Two names that look alike are told apart wherever they are printed."""
    assert plain(f"a{char}b") not in ("ab", "a b", f"a{char}b")
    assert plain("é 日本 b") == "é 日本 b"
