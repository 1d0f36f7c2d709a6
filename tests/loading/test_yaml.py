"""YAML as people mean it, and hostile YAML: by the reader's public face."""

from __future__ import annotations

import time
from typing import Any

import pytest

from runner.inputs.yaml_text import MAX_DEPTH, MAX_NODES
from runner.loading.findings import MAX_PROBLEMS, Findings
from runner.loading.nodes import Span, locate, to_data
from runner.loading.source import MAX_BYTES, decode
from runner.loading.yaml_reader import parse
from runner.model.problem import Problem


def read(text: str | bytes) -> tuple[Any, tuple[Problem, ...]]:
    """The data of a document (None when it cannot be used) and the problems."""
    source, problems = decode(text if isinstance(text, bytes) else text.encode(), "x.yaml")
    if source is None:
        return None, problems
    findings = Findings(source)
    root = parse(source, findings)
    return None if root is None else to_data(root), findings.problems()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[
            ("22:00", "22:00"),
            ("22:30:00", "22:30:00"),
            ("2026-11-23", "2026-11-23"),
            ("1_000", "1_000"),
        ],
        *[("no", "no"), ("on", "on"), ("y", "y"), ("Yes", "Yes"), ("=", "="), ("tRue", "tRue")],
        *[
            ("true", True),
            ("False", False),
            ("TRUE", True),
            ("null", None),
            ("~", None),
            ("", None),
        ],
        *[
            ("0", 0),
            ("0.5", 0.5),
            ("-0", 0),
            ("0o10", 8),
            ("0x1F", 31),
            ("-3", -3),
            ("+3", 3),
            ("0b1", "0b1"),
            ("0o8", "0o8"),
        ],
        *[
            ("1e3", 1000.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e", "1e"),
            ("-.5e-1", -0.05),
            (".", "."),
        ],
        *[('"010"', "010"), ("'true'", "true"), ("10%", "10%"), ("1h30m", "1h30m"), ("<<x", "<<x")],
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    """An unquoted scalar is what YAML 1.2 says, never what YAML 1.1 made of it."""
    data, problems = read(f"a:\n- x\n- {written}\n")
    assert problems == ()
    assert data["a"][1] == value
    assert type(data["a"][1]) is type(value)


@pytest.mark.parametrize(
    "written", [".inf", "-.INF", ".nan", "9" * 40, "1" + "0" * 5000, "1e999", "0x" + "f" * 100]
)
def test_numbers_without_end_are_refused(written: str) -> None:
    """Infinite, undefined and over-long numbers are a problem, not a value."""
    _, problems = read(f"a: {written}")
    assert [p.code for p in problems] == ["BadNumber"]


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("010", 'write 10, or "010" if it is text'),
        *((n, "plain number") for n in ("-08", "00", "010.5", "+01e3")),
    ],
)
def test_a_number_with_a_leading_zero_is_ambiguous(written: str, hint: str) -> None:
    """YAML 1.1 reads 010 as 8, YAML 1.2 as 10: neither is taken, wherever it stands."""
    _, problems = read(f"a:\n- {{b: {written}}}\n")
    (problem,) = problems
    assert (problem.code, problem.location and problem.location.line) == ("BadNumber", 2)
    assert hint in (problem.hint or "")


def test_keys_are_text_as_written() -> None:
    """A key is never turned into a number or a truth value."""
    data, problems = read("010: a\ntrue: b\n~: c\n22:00: d\n")
    assert problems == ()
    assert list(data) == ["010", "true", "~", "22:00"]


def test_byte_order_mark_and_crlf_are_accepted() -> None:
    """A file saved on Windows reads like any other, and columns are not shifted."""
    data, _ = read(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - 2\r\n")
    assert data == {"a": 1, "b": [2]}
    _, problems = read(b"\xef\xbb\xbfa: 1\r\na: 2\r\n")
    assert [(p.location.line, p.location.column, p.excerpt) for p in problems if p.location] == [
        (2, 1, "a: 2")
    ]


def test_columns_count_characters() -> None:
    """Columns count characters, not bytes, whatever stands before."""
    source, _ = decode("日本: [é, x]".encode(), "x.yaml")
    assert source is not None
    root = parse(source, Findings(source))
    assert root is not None
    assert locate(root, ("日本", 1)).node.span == (1, 9, 1, 10)


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"a: b\nc: \xff", 2, 4),
        (b"\xff\xfea\x00", 1, 1),
        ("é: é\xe9".encode("latin-1"), 1, 1),
        (b"a: \xed\xa0\x80", 1, 4),
    ],
)
def test_other_encodings_are_refused_at_their_place(data: bytes, line: int, column: int) -> None:
    """What is not UTF-8 is told with line and column."""
    _, problems = read(data)
    assert [p.code for p in problems] == ["NotUtf8"]
    assert problems[0].location is not None
    assert (problems[0].location.line, problems[0].location.column) == (line, column)


@pytest.mark.parametrize(
    "char", ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ufeff", "\r"]
)
def test_characters_that_people_cannot_see_are_refused(char: str) -> None:
    """What a reviewer cannot see cannot change what a plan says."""
    _, problems = read(f"a: b\nname: we{char}b")
    assert [p.code for p in problems] == ["ControlCharacter"]
    assert problems[0].location is not None
    assert (problems[0].location.line, problems[0].location.column) == (2, 9)


HOSTILE = {
    "brackets": "[" * 200_000,
    "braces": "{" * 200_000,
    "dashes": "- " * 400_000,
    "questions": "? " * 400_000,
    "mappings": "[a: " * 100_000,
    "closed": "[" * 100_000 + "]" * 100_000,
    "indents": "\n".join(" " * i + "a:" for i in range(1400)),
    "values": "- a\n" * MAX_NODES,
    "aliases": "a: &a [1]\n" + "b: *a\n" * 150_000,
    "laughs": "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
    "itself": "&a [*a]",
    "duplicates": "a: b\n" * 90_000,
    "tags": "- !x y\n" * 90_000,
    "exclamations": "!" * 1_000_000,
    "quote": '"' + "x" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "block": "a: |\n" + "  x\n" * 250_000,
    "folded": "a: >\n" + "  x\n\n" * 190_000,
    "breaks in a quote": "a: '" + "\n" * 1_000_000,
    "python": "!!python/object/apply:os.system [id]",
    "merge": "<<: {a: 1}",
    "documents": "--- a\n" * 150_000,
    "directives": "%YAML 1.2\n" * 90_000,
    "comments": "#\n" * 500_000,
    "colons": "a:" * 500_000,
    "percent": "%" * 1_000_000,
    "binary": "!!binary " + "A" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_a_clear_error_quickly(name: str) -> None:
    """A bomb is refused with few, located problems within seconds, and nothing recursive
    runs on it.
    """
    began = time.process_time()
    data, problems = read(HOSTILE[name])
    assert time.process_time() - began < 20
    assert problems or isinstance(data, str | dict), "either an error, or harmless text"
    assert len(problems) <= MAX_PROBLEMS + 1
    assert all(p.location for p in problems)


def test_limits_are_just_where_they_are_promised() -> None:
    """64 levels are read and one more is refused; so it is with many values (with too many:
    the hostile files).
    """
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH)[1] == ()
    assert [p.code for p in read("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))[1]] == ["TooLarge"]
    assert read("- a\n" * (MAX_NODES // 10))[1] == ()
    assert MAX_BYTES == 1024 * 1024


def test_a_flood_of_problems_is_counted_not_shown() -> None:
    """The first hundred problems are shown, and that there are more."""
    _, problems = read("a: b\n" * 500)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].code == "MoreProblems"
    assert problems[-1].severity == "error"


def test_a_flood_of_warnings_neither_fails_a_file_nor_hides_its_errors() -> None:
    """Warnings that are left out are told by a warning; an error after any number of
    them is shown.
    """
    source, _ = decode(b"a: b\n", "plan.yaml")
    assert source is not None
    findings = Findings(source)
    for line in range(1, 500):
        findings.add("FirstWaveNotCanary", "no canary", Span(line, 1), severity="warning")
    assert findings.is_clean
    assert not findings.is_full, "the search for errors goes on"
    more = findings.problems()[-1]
    assert (len(findings.problems()), more.code, more.severity) == (
        MAX_PROBLEMS + 1,
        "MoreProblems",
        "warning",
    )
    findings.add("UnknownKey", "unknown", Span(600, 1))
    assert [p.code for p in findings.problems() if p.severity == "error"] == ["UnknownKey"]
