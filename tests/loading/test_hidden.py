"""Characters that people cannot see: refused in whatever a plan is made of, at their place."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from runner.loading.config import load_config_text
from runner.loading.plan import Loaded, LoadOptions, load_text
from runner.loading.policy import load_policy_text
from runner.model.hidden import as_seen, hidden_in
from runner.model.problem import Problem

PLAN = (
    "version: 1\nname: p\ngroups:\n- name: a\n  servers: {all: true}\n  exclude: "
    "{EXCLUDE}\n  waves: 1\n"
)
IGNORABLE = [
    (0x34F, 0x34F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
]
IGNORABLE += [
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0xE0000, 0xE0FFF),
]
"""Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, where the category
does not tell.
"""


def load(exclude: str, options: LoadOptions | None = None) -> Loaded:
    return load_text(PLAN.replace("EXCLUDE", exclude), "plan.yaml", options or LoadOptions())


def told(problems: tuple[Problem, ...]) -> list[tuple[str, int, int]]:
    return [(p.code, p.location.line, p.location.column) for p in problems if p.location]


def test_every_hidden_character_of_unicode_is_known() -> None:
    """Categories Cc, Cf, Cs, separators but the space, and default-ignorable code points;
    no letter among them.
    """
    chars = [chr(code) for code in range(0x110000)]
    hidden = [
        c
        for c in chars
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs") and c not in " \t\n"
    ]
    hidden += [chr(code) for first, last in IGNORABLE for code in range(first, last + 1)]
    assert [c for c in hidden if not hidden_in(f"a{c}b")] == []
    visible = [
        c
        for c in chars
        if unicodedata.category(c) in ("Lu", "Ll", "Nd", "Sc", "Pd", "Po", "Sm", "Mc")
    ]
    assert [c for c in visible if hidden_in(c)] == []


@pytest.mark.parametrize(
    "char",
    ["\u200b", "\u00ad", "\u2060", "\ufe0f", "\u3164", "\u00a0", "\u2009", "\u3000", "\U000e0041"],
)
@pytest.mark.parametrize(
    "where", ["names: ['{}prod-*']", "tags: {{'ca{}nary': x}}", "zones: [a, 'b{}']", "na{}mes: [x]"]
)
def test_a_hidden_character_is_refused_where_it_stands(where: str, char: str) -> None:
    """An exclusion that a reader sees and the cloud does not is no plan, and the place is
    that of the character.
    """
    text = where.format(char)
    loaded = load(text)
    assert loaded.plan is None
    assert told(loaded.problems) == [("ControlCharacter", 6, 13 + text.index(char))]
    assert f"U+{ord(char):04X} ({unicodedata.name(char)})" in loaded.problems[0].message


@pytest.mark.parametrize(
    "written", ['"\\u200bprod-*"', '"\\xa0prod"', '"prod\\U000E0041"', '"a\\u2028b"']
)
def test_a_hidden_character_behind_an_escape_is_refused(written: str) -> None:
    """What counts is the value after YAML's escapes."""
    assert told(load(f"names: [{written}]").problems) == [("ControlCharacter", 6, 21)]


@pytest.mark.parametrize("written", ['"a\\tb"', '"a\\n"', '"\\ta"', "{'x\\ty': z}"])
def test_words_of_selectors_hold_no_tab_and_no_line_break(written: str) -> None:
    """A description may have several lines, a name cannot."""
    key = "tags" if written.startswith("{") else "names"
    written = written.replace("'", '"') if key == "tags" else f"[{written}]"
    assert [p.code for p in load(f"{key}: {written}").problems] == ["ControlCharacter"]


@pytest.mark.parametrize(
    "written", ["names: ['prod-* ']", "tags: {' a': x}", "tags: {a: [x, ' y']}", "zones: 'a '"]
)
def test_a_blank_at_the_end_of_a_word_is_a_warning(written: str) -> None:
    """It counts in comparisons, and a reader does not see it."""
    loaded = load(written)
    assert loaded.plan is not None
    assert [(p.code, p.severity) for p in loaded.problems] == [("BlankAtEnd", "warning")]


def test_hidden_characters_from_variables_are_refused() -> None:
    """From --var, a file of variables, the environment, and what a template makes of
    harmless parts.
    """
    named = "names: ['{{ vars.x }}']"
    given = load(named, LoadOptions(vars={"x": "prod\u200b-*"}))
    assert {p.code for p in given.problems} == {"ControlCharacter"}
    assert any("--var x: character U+200B" in p.message for p in given.problems)
    compared = "names: [\"{{ 'a' if vars.x == 'prod' else 'b' }}\"]"
    assert load(compared, LoadOptions(vars={"x": "prod\u200b"})).plan is None
    from_env = "names: ['{{ env.X }}']"
    found = load(from_env, LoadOptions(env={"X": "a\u00a0b", "UNREAD": "\u200b"})).problems
    assert {p.code for p in found} == {"ControlCharacter"}
    assert not any("UNREAD" in p.message for p in found)
    in_template = load("names: [\"{{ 'a\\u200b' }}\"]")
    assert told(in_template.problems) == [("ControlCharacter", 6, 21)]
    key_made = load("tags: '{{ vars.t }}'", LoadOptions(vars_files=()))
    assert key_made.plan is None


def test_a_file_of_variables_holds_none(tmp_path: Path) -> None:
    """A problem in the file of variables is told there."""
    (tmp_path / "v.yaml").write_text("a: b\nx: 'prod\u2060'\n", encoding="utf-8")
    found = load("names: ['{{ vars.x }}']", LoadOptions(vars_files=(tmp_path / "v.yaml",))).problems
    assert [p.code for p in found if p.location and p.location.file.endswith("v.yaml")] == [
        "ControlCharacter"
    ]


def test_policy_and_configuration_hold_none() -> None:
    """A rule that forbids nothing because of a character that nobody sees is no rule."""
    policy = load_policy_text("version: 1\nforbidden: {names: ['db-*\u200b']}\n", "policy.yaml")
    assert told(policy.problems) == [("ControlCharacter", 2, 26)]
    blank = load_policy_text("version: 1\nforbidden: {names: ['db-* ']}\n", "policy.yaml")
    assert [(p.code, p.severity) for p in blank.problems] == [("BlankAtEnd", "warning")]
    config = load_config_text(
        "version: 1\ntargets: {a: {cloud: 'simulator\u00a0'}}\n", "reboot-runner.yaml", {}
    )
    assert [p.code for p in config.problems] == ["ControlCharacter"]


def test_comments_and_texts_of_several_lines_may_have_what_they_need() -> None:
    """A comment changes nothing, and a description has lines."""
    text = PLAN.replace("EXCLUDE", "names: x").replace(
        "name: p\n", "name: p # ⚠\ufe0f\ndescription: |\n  a\n  b\n"
    )
    assert load_text(text, "plan.yaml").problems == ()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("prod-1", "prod-1"),
        (" prod\u200b-1 ", "prod-1"),
        ("a\u00a0b", "a b"),
        ("e\u0301", "é"),
        ("a\u2011b", "a\u2011b"),
    ],
)
def test_text_as_a_reader_sees_it(text: str, seen: str) -> None:
    """Hidden characters are gone, odd blanks are spaces; another dash stays another dash."""
    assert as_seen(text) == seen
    assert re.search(r"\s$|^\s", as_seen(text)) is None
