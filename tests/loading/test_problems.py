"""Problems for people, programs, GitHub and code scanning: readable, exact, and harmless."""

from __future__ import annotations

import json

import pytest

from runner.loading.codes import CODES
from runner.model.problem import Location, Problem
from runner.report.problems import problems_github, problems_json, problems_sarif, problems_text

SIMPLE = Problem(
    "QuoteIt",
    "ids: text is needed",
    Location("plans/web.yaml", 14, 9, 14, 12),
    'quote it: "010"',
    "    - 010  # é",
)
EVIL_NAME = "::error::x\n::set-env name=A::b\x1b[2J\u202e%0A"
EVIL = Problem(EVIL_NAME, EVIL_NAME, Location(EVIL_NAME, 1, 1), EVIL_NAME, EVIL_NAME)


def test_text_shows_place_line_caret_and_remedy() -> None:
    """The text form is file:line:column, code and sentence, then the line with a caret and
    how to mend it.
    """
    assert problems_text([SIMPLE]) == (
        "plans/web.yaml:14:9: error[QuoteIt]: ids: text is needed\n"
        "    14 |     - 010  # é\n"
        '       |         ^^^ quote it: "010"'
    ).replace("        ^^^", "        ^^^")


def test_caret_stands_under_wide_characters() -> None:
    """A caret stands under its place also after characters that take two columns, or a tab."""
    wide = Problem("BadValue", "m", Location("f", 1, 5, 1, 7), None, "日本: xy")
    assert problems_text([wide]).splitlines()[2] == "      |       ^^"
    tab = Problem("BadValue", "m", Location("f", 1, 2), None, "\tx")
    assert problems_text([tab]).splitlines()[1:] == ["    1 | \\tx", "      |   ^"]


def test_long_lines_are_cut_around_the_place() -> None:
    """Of a very long line only the part around the place is shown, and the caret is still right."""
    line = "a" * 5000 + "HERE" + "b" * 5000
    text = problems_text([Problem("BadValue", "m", Location("f", 1, 5001, 1, 5005), "h", line)])
    shown, caret = text.splitlines()[1:]
    assert len(shown) < 140
    assert shown[caret.index("^") : caret.index("^") + 4] == "HERE"
    assert "^^^^ h" in caret


def test_problems_are_in_the_order_people_read() -> None:
    """By file, line and column, whatever order they were found in."""
    places = [("b", 1, 1), ("a", 10, 1), ("a", 2, 5), ("a", 2, 1)]
    problems = [Problem("BadValue", "m", Location(*place)) for place in places]
    heads = [line.partition(": error")[0] for line in problems_text(problems).splitlines()]
    assert heads == ["a:2:1", "a:2:5", "a:10:1", "b:1:1"]


def test_a_problem_without_a_place_is_still_told() -> None:
    """Problems of no file have a sentence and a hint."""
    assert (
        problems_text([Problem("BadStore", "no store", hint="set it")])
        == "error[BadStore]: no store\n    hint: set it"
    )


def test_colour_only_when_asked() -> None:
    """Escape sequences appear only where colour is asked for."""
    assert "\x1b" not in problems_text([SIMPLE])
    assert "\x1b[31m" in problems_text([SIMPLE], color=True)


def test_text_is_harmless() -> None:
    """Names and values cannot move the cursor, reverse the text, break a line or start a
    workflow command.
    """
    text = problems_text([EVIL])
    assert not any(c in text for c in "\x1b\u202e\r")
    assert not any(line.lstrip().startswith(("::", "##[")) for line in text.splitlines())
    assert len(text.splitlines()) == 3


def test_github_annotations() -> None:
    """One workflow command a problem, with file, line, columns and the remedy on its
    second line.
    """
    assert problems_github([SIMPLE]) == (
        "::error file=plans/web.yaml,line=14,col=9,endColumn=12,title=QuoteIt::ids: text is "
        'needed%0Aquote it: "010"'
    )


def test_github_annotations_cannot_be_forged() -> None:
    """A file name, code or message cannot add a property or a second command."""
    out = problems_github([EVIL])
    assert len(out.splitlines()) == 1
    properties, _, data = out.removeprefix("::error ").partition("::")
    assert properties.count(",") == 3
    assert "\x1b" not in out
    assert "%250A" in data


def test_json_is_complete() -> None:
    """The JSON form says everything a program needs, and how it ends as a word."""
    warning = Problem("UnusedVariable", "w", Location("b"), severity="warning")
    document = json.loads(problems_json([warning, SIMPLE], ["b", "plans/web.yaml"]))
    assert {
        key: document[key] for key in ("format_version", "result", "errors", "warnings", "files")
    } == {
        "format_version": 1,
        "result": "invalid",
        "errors": 1,
        "warnings": 1,
        "files": ["b", "plans/web.yaml"],
    }
    assert document["problems"][1] == {
        "severity": "error",
        "code": "QuoteIt",
        "message": "ids: text is needed",
        "hint": 'quote it: "010"',
        "file": "plans/web.yaml",
        "line": 14,
        "column": 9,
        "end_line": 14,
        "end_column": 12,
    }
    assert json.loads(problems_json([warning], []))["result"] == "done"


def test_sarif_names_rules_and_places() -> None:
    """SARIF 2.1.0: each result refers to its rule, and to a region in a relative URI."""
    odd = Problem("BadValue", "m", Location("a b/é#1.yaml", 3, 2, 2, 1))
    log = json.loads(problems_sarif([SIMPLE, odd], CODES, "1.2.3"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["BadValue", "QuoteIt"]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    where = {r["ruleId"]: r["locations"][0]["physicalLocation"] for r in run["results"]}
    assert where["BadValue"]["artifactLocation"]["uri"] == "a%20b/%C3%A9%231.yaml"
    assert where["BadValue"]["region"] == {"startLine": 3, "startColumn": 2}
    assert where["QuoteIt"]["region"] == {
        "startLine": 14,
        "startColumn": 9,
        "endLine": 14,
        "endColumn": 12,
    }


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_no_problem_is_no_output_or_an_empty_document(form: str) -> None:
    """Without problems, text forms are empty and documents are valid."""
    if form == "text":
        assert problems_text([]) == ""
    elif form == "github":
        assert problems_github([]) == ""
    elif form == "json":
        assert json.loads(problems_json([], ["a"]))["problems"] == []
    else:
        assert json.loads(problems_sarif([], CODES, "1"))["runs"][0]["results"] == []
