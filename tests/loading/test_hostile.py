"""Whatever bytes a plan, a configuration or a variable file holds: a result, in bounded
time, never an exception.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.loading.codes import CODES
from runner.loading.config import load_config_text
from runner.loading.plan import Loaded, LoadOptions, load_text, plan_digest, require
from runner.loading.writing import plan_yaml
from runner.model.problem import Problem
from runner.report.problems import problems_github, problems_json, problems_text

HEAD = "version: 1\nname: web\n"
GROUPS = "groups: [{name: a, servers: {all: true}, waves: 1}]\n"

BOUNDED = settings(
    max_examples=30,
    deadline=timedelta(seconds=10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

PIECES = st.sampled_from(
    [
        *(
            "version: 1",
            "name: web",
            "groups:",
            "- name: a",
            "  servers:",
            "    tags: {role: web}",
            "  waves: [1, 10%]",
        ),
        *(
            "  waves:",
            "- 1",
            "  pause: approval",
            "limits: {servers: 3}",
            "for_each: [a, b]",
            '"{{ vars.x }}"',
        ),
        *(
            "{{ item }}",
            "{{",
            "}}",
            "{%",
            "vars: {x: 1}",
            "&a",
            "*a",
            "!!str",
            "<<: x",
            "---",
            "...",
            "%YAML 1.1",
        ),
        *(
            "[",
            "]",
            "{",
            "}",
            ":",
            "- ",
            "? ",
            "|",
            ">",
            "'",
            '"',
            "#",
            "\t",
            "\n",
            "\n  ",
            "\n    ",
            "\r\n",
            ", ",
        ),
        *(
            "\\",
            "\x00",
            "\u2028",
            "é",
            "日本",
            "\U0001f600",
            "010",
            "true",
            "~",
            ".inf",
            "1e999",
            "9" * 40,
            "null",
        ),
        *(
            "ids_from: /etc/passwd",
            "windows: []",
            "exclude: {all: true}",
            "all: true",
            "ready: {checks: []}",
        ),
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=40).map("".join),
    st.lists(PIECES, max_size=40).map("\n".join),
    st.text(max_size=300),
)

SCALARS = st.one_of(
    st.text(max_size=20),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(
        ["{{ vars.x }}", "{{ item }}", "10%", "5m", "approval", "web-*", "SOFT", "a" * 2000]
    ),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            *(
                "version",
                "name",
                "groups",
                "servers",
                "waves",
                "pause",
                "tags",
                "ids",
                "ids_from",
                "exclude",
                "all",
            ),
            *(
                "for_each",
                "ready",
                "timeout",
                "limits",
                "percent",
                "vars",
                "windows",
                "max_failures",
                "bake",
                "reboot",
            ),
        ]
    ),
    st.text(max_size=8),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


def check(problems: tuple[Problem, ...]) -> None:
    """What holds for all problems: a known code, a place in the file, a sentence, and every
    rendering works.
    """
    for problem in problems:
        assert problem.code in CODES
        assert problem.message
        assert problem.location is not None
        assert problem.location.line >= 1
        assert problem.location.column >= 1
    assert not any(c in problems_text(problems) for c in "\x1b\x00\u202e\r")
    commands = [line for line in problems_github(problems).splitlines() if line.startswith("::")]
    assert len(commands) == sum(
        min(10, sum(p.severity == s for p in problems)) for s in ("error", "warning")
    )
    problems_json(problems, ["plan.yaml"])


def check_plan(loaded: Loaded) -> None:
    """A plan without errors, or errors without a plan; and a plan that loads can be written
    and loaded again.
    """
    check(loaded.problems)
    assert (loaded.plan is None) == any(p.severity == "error" for p in loaded.problems)
    if loaded.plan is not None:
        again = require(load_text(plan_yaml(loaded.plan), "plan.yaml"))
        assert plan_digest(again) == plan_digest(loaded.plan)


@BOUNDED
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    """Random bytes give problems, not exceptions."""
    check_plan(load_text(data, "plan.yaml"))
    check(load_config_text(data, "reboot-runner.yaml", {}).problems)


@BOUNDED
@given(TEXTS)
def test_any_text_that_looks_like_yaml(text: str) -> None:
    """Pieces of plans in any order give a plan or problems."""
    check_plan(load_text(text, "plan.yaml"))
    check(load_config_text(text, "reboot-runner.yaml", {}).problems)


def written(tree: object) -> str:
    """Data as YAML in flow form, with every text quoted."""
    if isinstance(tree, dict):
        return (
            "{" + ", ".join(f"{quoted(key)}: {written(value)}" for key, value in tree.items()) + "}"
        )
    if isinstance(tree, list):
        return "[" + ", ".join(map(written, tree)) + "]"
    return quoted(tree) if isinstance(tree, str) else str(tree).lower().replace("none", "null")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\n", "\n\n") + "'"


@BOUNDED
@given(st.dictionaries(KEYS, TREES, max_size=6), TREES)
def test_any_tree_in_the_place_of_a_plan(fields: dict[str, object], value: object) -> None:
    """Values of any kind under the keys of the format, also through variables, give a plan
    or problems.
    """
    base = {"version": 1, "name": "web", "vars": {"x": value}, **fields}
    check_plan(load_text(written(base), "plan.yaml"))
    group = {"name": "a", "servers": {"all": True}, "waves": [1], **fields}
    check_plan(
        load_text(
            written({"version": 1, "name": "web", "vars": {"x": value}, "groups": [group]}),
            "plan.yaml",
        )
    )
    check(load_config_text(written(fields), "reboot-runner.yaml", {}).problems)


@BOUNDED
@given(st.text(max_size=80), st.dictionaries(st.sampled_from(["x", "y"]), st.text(max_size=20)))
def test_any_template(text: str, variables: dict[str, str]) -> None:
    """Any text between the braces, and any text from --var, is rendered or refused."""
    labels = f"labels: {{a: {quoted('{{ ' + text + ' }}')}, b: '{{{{ vars.x }}}}'}}\n"
    plan = HEAD + labels + GROUPS
    check_plan(load_text(plan, "plan.yaml", LoadOptions(vars=variables)))


@BOUNDED
@given(
    st.lists(
        st.sampled_from(
            [
                *("vars", "item", "env", ".x", ".__class__", "['x']", "[0]", "(", ")", "+", "-", "~", "*", "/", "|"),  # noqa: E501
                *("upper", "lipsum", "default", "join", "replace", "if", "else", "and", "not", "in", "is", "'a'", "1"),  # noqa: E501
                *("[", "]", "{", "}", ",", ":", "range", "defined", "{%", "%}", "}}", "{{", "for", "set", "=", "=="),  # noqa: E501
            ]
        ),
        max_size=12,
    ).map(" ".join)
)  # fmt: skip
def test_any_words_of_jinja(text: str) -> None:
    """Words of Jinja in any order never reach further than the plan's own data."""
    labels = f"vars: {{x: [1, a]}}\nlabels: {{a: {quoted('{{ ' + text + ' }}')}}}\n"
    plan = HEAD + labels + GROUPS
    check_plan(load_text(plan, "plan.yaml"))


@pytest.mark.parametrize(
    "char", ["[", "{", "- ", "? ", "'", '"', "|\n ", "&a ", "!a ", "{{", "a: ", "\t", "%", "\\"]
)
def test_any_character_many_times(char: str) -> None:
    """A long run of any character with a meaning ends quickly."""
    for text in (char * 20_000, "name: " + char * 20_000, 'name: "' + char * 20_000):
        check(load_text(text, "plan.yaml").problems)


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "'" + "a" * 100_000 + "'", ", ".join(["9" * 4000] * 25)]
)
def test_a_long_text_in_many_groups(text: str) -> None:
    """A text that stands once in the file and in a thousand groups is refused before it is
    checked in each.
    """
    items = ", ".join(f"'{n}'" for n in range(1000))
    group = (
        f"{{name: 'g-{{{{ item }}}}', for_each: [{items}], servers: {{names: [{text}]}}, "
        f"waves: [1]}}"
    )
    loaded = load_text(f"version: 1\nname: web\ngroups: [{group}]\n", "plan.yaml")
    assert "the rendered plan has more than 10,000,000 characters" in [
        p.message for p in loaded.problems
    ]
