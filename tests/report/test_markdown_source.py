"""Text in Markdown: readable in its source, and still nothing but text for a renderer and
for GitHub's filters.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.report.run_sections import report_markdown
from runner.report.safe import markdown, plain
from tests.report.cases import HOSTILE, plain_run
from tests.report.readers import Page, demand_harmless_lines

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
PLACES = (
    "{}\n",
    "- {}\n",
    "  - group: {}: {}\n",
    "> {}\n",
    "> - **{}**: {}\n",
    "### Run {}\n",
    "**{}**: {} (dry run)\n",
    "To run this: <code>{}</code>\n",
    "a paragraph\n{}\n",
    "| a | b |\n|---|---|\n| {} | {} |\n",
)
"""How our texts are put together: at the beginning of lines and inside them, alone and
beside another one.
"""

READABLE = (
    "web-kernel-2026-11",
    "web-[001-042,007], db-1",
    "done: 49 of 49 servers ready; 12m3s",
    "a_b_c (eu-de-01)",
    "2026-12-01T10:10:10+00:00",
    "10.0.0.1:8080 and fe80:0:0:1",
    "x + y = 3 > 2, 5% & more!",
    "job 8a-9b; request f00 {x}",
    "name (00000000-0000-0000-0000-000000000004)",
    "sha256:" + "0123456789abcdef" * 4,
)
FILTERED = (
    *(
        "@everyone",
        "ask @org/team",
        "me@host.example",
        "#12",
        "owner/repo#7",
        "GH-3",
        ":smile: :+1: x:100:5",
    ),
    *(
        "https://evil.example/x",
        "ftp://e",
        "www.evil.example",
        "WWW.EVIL.example",
        "mailto:a@b.example",
    ),
)
"""What GitHub makes links, mentions, references or pictures of in plain text."""
MEANT = (
    *(
        "[a](http://e)",
        "![a](e)",
        "[a][b]",
        "[a]: http://e",
        "[x] done",
        "# h",
        "###### h",
        "h\n===",
        "---",
        "- x",
    ),
    *(
        "+ x",
        "* x",
        "> x",
        "1. x",
        "1) x",
        "~~~",
        "```",
        "`c`",
        "**b**",
        "*b*",
        "_b_",
        "a _b_ c",
        "__b__",
        "~~s~~",
    ),
    *(
        "<b>",
        "</td>",
        "<!-- x",
        "<http://e>",
        "&lt; &#60; &copy",
        "\\",
        "\\\\",
        "a\\|b",
        "a|b",
        "$x$",
        "$$x$$",
    ),
    *(
        "::error",
        "x ##[error]",
        "x #",
        "# ",
        "    code",
        "*",
        "a*",
        "_",
        "a_",
        "]",
        "](",
        "[",
        "&",
        "`",
        "|",
        "~",
        "<",
        ":",
    ),
)
"""What Markdown itself would interpret."""

texts = st.one_of(
    st.sampled_from((*HOSTILE, *READABLE, *FILTERED, *MEANT)),
    st.text("#[]()<>&|`@*_\\ '\"=-+/!~$:;.1aG", max_size=12),
    st.lists(st.sampled_from((*MEANT, *FILTERED, " ", "a", "(x)")), max_size=4).map("".join),
)


@pytest.mark.parametrize("text", READABLE)
def test_ordinary_text_stands_in_the_source_as_it_is(text: str) -> None:
    """Names, ranges, times, counts and digests need no escape."""
    assert markdown(text) == text


def tags_and_text(source: str) -> tuple[dict[str, int], str]:
    page = Page(RENDERER.render(source))
    return dict(page.tags), page.text


def demand_text_only(place: str, first: str, second: str) -> None:
    """The place renders to the elements that it has with tame text, and shows both texts."""
    source = place.format(markdown(first), markdown(second))
    tags, shown = tags_and_text(source)
    tame, _ = tags_and_text(place.format("tame", "tame"))
    empty, _ = tags_and_text(place.format("", ""))
    assert tags in (tame, empty), (source, tags)
    demand_harmless_lines(source)
    bare = " ".join(shown.replace("\u200b", "").split())
    for text in (first, second)[: place.count("{}")]:
        assert " ".join(plain(text, 200).split()) in bare, source
    assert not re.search(r"(?i)@\w|#\d|\bGH-\d|:(100|[+-]1|smile):", shown), shown
    assert not re.search(r"(?i)://|www\.", source), source


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES), texts, texts)
def test_text_is_never_more_than_text(place: str, first: str, second: str) -> None:
    """Wherever it stands and whatever stands beside it, a renderer with HTML and tables
    makes nothing of it.
    """
    demand_text_only(place, first, second)


@pytest.mark.parametrize("place", PLACES)
def test_every_known_trick_is_text(place: str) -> None:
    """Each construct of Markdown and of GitHub, alone in each place."""
    for text in (*MEANT, *FILTERED):
        demand_text_only(place, text, "ordinary")


def test_the_budget_is_spent_on_what_is_said() -> None:
    """A report of ordinary names is as long as what it shows: no byte of a comment's 60,000
    goes into escapes.
    """
    made = report_markdown(plain_run((1, 100)).report, 60_000)
    assert "&#" not in made
    assert "\\" not in made
    assert "| web-42 | s-042 | 2 | ready |" in made
