"""Templates: what they can say, what they cannot, and that no text of theirs can cost much."""

from __future__ import annotations

import time
from typing import Any

import pytest

from runner.loading.plan import Loaded, LoadOptions, load_text
from runner.loading.templates import TemplateProblem, Templates, size_of

CONTEXT: dict[str, Any] = {
    "vars": {
        "n": 3,
        "env": "prod",
        "yes": True,
        "zones": ["z2", "z1", "z2"],
        "items": "a key, not a method",
        "deep": {"k": {"x-y": [1, {"z": "found"}]}},
        "braces": "{{ vars.n }}",
        "nothing": None,
    },
    "env": {"CI_ENVIRONMENT": "ci"},
    "item": {"name": "a"},
}
SIZES = {name: size_of(value) for name, value in CONTEXT.items()}


def render(text: str) -> Any:
    return Templates().render(text, CONTEXT, SIZES)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ vars.n }}", 3),
        ("{{ vars.yes }}", True),
        ("{{ vars.zones }}", ["z2", "z1", "z2"]),
        ("{{- vars.n -}}", 3),
        ("{# note #}{{ vars.n }}", 3),
        (" {{ vars.n }}", " 3"),
        ("a-{{ vars.env }}-{{ vars.n }}-{{ vars.yes }}", "a-prod-3-true"),
        ("{{ vars.items }}", "a key, not a method"),
        ('{{ vars.deep.k["x-y"][1].z }}', "found"),
        ("{{ vars.deep.k['x-y'][-1].z }}", "found"),
        ("{{ env.CI_ENVIRONMENT }}/{{ item.name }}", "ci/a"),
        ("{{ vars.n + 2 - 1 }}", 4),
        ("{{ vars.env ~ '-' ~ vars.n ~ vars.yes }}", "prod-3true"),
        ("{{ vars.zones + ['z3'] }}", ["z2", "z1", "z2", "z3"]),
        ("{{ 'big' if vars.n > 2 and not vars.n >= 9 else 'small' }}", "big"),
        ("{{ 'z1' in vars.zones }}", True),
        ("{{ vars.missing | default('x') }}", "x"),
        ("{{ vars.missing is defined }}", False),
        ("{{ vars.zones | unique | sort | join('+') }}", "z1+z2"),
        ("{{ vars.zones | length }}", 3),
        ("{{ vars.zones | first }}{{ vars.zones | last }}", "z2z2"),
        ("{{ 'a, b,,c' | split(',') }}", ["a", "b", "c"]),
        ("{{ ' Ab ' | trim | lower }}{{ 'x' | upper }}", "abX"),
        ("{{ 'eu-de-01' | replace('eu-', '') }}", "de-01"),
        ("{{ '12' | int + 1 }}", 13),
        ("{{ {'a': [1, 2]} }}", {"a": [1, 2]}),
        ('{{ "{{" }} x', "{{ x"),
        ("{{ vars.braces }}", "{{ vars.n }}"),
        ("{{ vars.deep.k | keys }}", ["x-y"]),
    ],
)
def test_what_templates_can_say(template: str, value: object) -> None:
    """One `{{ }}` keeps the type of its value; anything more is text; what comes out is not
    rendered again.
    """
    result = render(template)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ ''.__class__ }}", "TemplateNotAllowed"),
        ("{{ vars['__class__'] }}", "TemplateUndefined"),
        ("{{ vars.zones.append }}", "TemplateUndefined"),
        ("{{ vars.zones.append('x') }}", "TemplateNotAllowed"),
        ("{{ vars.keys() }}", "TemplateNotAllowed"),
        ("{{ range(3) }}", "TemplateNotAllowed"),
        ("{{ cycler }}{{ lipsum }}", "TemplateUndefined"),
        ("{{ self }}", "TemplateUndefined"),
        ("{{ 'x' * 9 }}", "TemplateNotAllowed"),
        ("{{ '%9d' % 1 }}", "TemplateNotAllowed"),
        ("{{ 2 ** 9 }}", "TemplateNotAllowed"),
        ("{{ 9 / 3 }}", "TemplateNotAllowed"),
        ("{{ vars.zones[0:2] }}", "TemplateNotAllowed"),
        ("{{ vars.env | attr('upper') }}", "TemplateNotAllowed"),
        ("{{ vars.env | center(99999999) }}", "TemplateNotAllowed"),
        ("{{ vars.env | format }}", "TemplateNotAllowed"),
        ("{{ vars.zones | random }}", "TemplateNotAllowed"),
        ("{{ vars.zones | map('upper') }}", "TemplateNotAllowed"),
        ("{{ vars.n is divisibleby 3 }}", "TemplateNotAllowed"),
        ("{{ vars.env | join(*vars.zones) }}", "TemplateNotAllowed"),
        ("{% for z in vars.zones %}{{ z }}{% endfor %}", "TemplateNotAllowed"),
        ("{% set x = 1 %}{{ x }}", "TemplateNotAllowed"),
        ("{% include 'x' %}{{ x }}", "TemplateNotAllowed"),
        ("{% import 'x' as y %}{{ y }}", "TemplateNotAllowed"),
        ("{% macro m() %}{% endmacro %}{{ m() }}", "TemplateNotAllowed"),
        ("{{ 'a' if vars.yes }}", "TemplateNotAllowed"),
        ("{{ vars.missing }}", "TemplateUndefined"),
        ("{{ vars.missing.more }}", "TemplateUndefined"),
        ("{{ [vars.missing] }}", "TemplateUndefined"),
        ("x{{ vars.missing ~ 'y' }}", "TemplateUndefined"),
        ("{{ vars.missing | upper }}", "TemplateUndefined"),
        ("{{ vars.zones[9] }}", "TemplateUndefined"),
        ("{{ env.HOME }}", "TemplateUndefined"),
        ("{{ env_ }}", "TemplateUndefined"),
        ("{{ vars.env | int }}", "TemplateFailed"),
        ("{{ vars.n + vars.env }}", "TemplateFailed"),
        ("{{ vars.n > vars.env }}", "TemplateFailed"),
        ("{{ vars.env | replace('', 'x') }}", "TemplateFailed"),
        ("{{ [] | first }}", "TemplateFailed"),
        ("x{{ vars.zones }}", "TemplateFailed"),
        ("x{{ vars.nothing }}", "TemplateFailed"),
        ("{{ 1e999 }}", "BadNumber"),
        ("{{ 99999999999999999999 }}", "BadNumber"),
        ("{{ vars.n", "TemplateSyntax"),
        ("{{ }}", "TemplateSyntax"),
        ("{{ vars. }}", "TemplateSyntax"),
        ("{{ " + "(" * 1900 + "1" + ")" * 1900 + " }}", "TemplateTooLarge"),
        ("{{ " + "-" * 3000 + "1 }}", "TemplateTooLarge"),
        ("{{ " + "not " * 900 + "1 }}", "TemplateTooLarge"),
        ("{{ 1" + "+1" * 1900 + " }}", "TemplateTooLarge"),
        ("{{ vars" + ".a" * 1900 + " }}", "TemplateTooLarge"),
        ("{{ " + "[" * 100 + "]" * 100 + " }}", "TemplateTooLarge"),
        ("{{ 'x' }}" + "y" * 5000, "TemplateTooLarge"),
        ("{{ 'a'" + "|replace('a', 'aaaaaaaaaa')" * 12 + " }}", "TemplateFailed"),
    ],
)
def test_what_templates_cannot_say(template: str, code: str) -> None:
    """Everything outside the list is refused by its kind, with a sentence that shows
    nothing of Python.
    """
    with pytest.raises(TemplateProblem) as caught:
        render(template)
    assert caught.value.code == code
    assert "object" not in caught.value.message
    assert "<class" not in caught.value.message


def plan(body: str, **options: Any) -> Loaded:
    return load_text(f"version: 1\nname: p\n{body}", "p.yaml", LoadOptions(**options))


GROUP = "groups: [{name: a, servers: {all: true}, waves: 1}]\n"


@pytest.mark.parametrize(
    "body",
    {
        "much text of little": "description: \"{{ vars.a ~ " + "vars.a ~ " * 100 + "'' }}\"\n"
        "vars: {a: '" + "x" * 500_000 + "'}\n",
        "joined": "description: \"{{ vars.l | join(vars.s) }}\"\n"
        "vars: {s: '" + "x" * 300_000 + "', l: [" + "1," * 90_000 + "]}\n",
        "lists of lists": "labels: \"{{ [" + "vars.l, " * 100 + "] }}\"\nvars: {l: [" + "1," * 90_000 + "]}\n",  # noqa: E501
        "compared often": "vars: {a: [" + "1," * 30_000 + "], b: [" + "1," * 30_000 + "]}\nlabels:\n"  # noqa: E501
        + "".join(f"  k{i}: \"{{{{ vars.a == vars.b }}}}{i}\"\n" for i in range(20_000)),
    }.values(),
    ids=lambda body: body[:24],
)  # fmt: skip
def test_no_plan_costs_much(body: str) -> None:
    """Templates that would make gigabytes, or compute for minutes, are refused in seconds."""
    began = time.process_time()
    plan(body + GROUP)
    assert time.process_time() - began < 15


def test_groups_are_capped() -> None:
    """A thousand groups are the most, in all, however they come about."""
    each = "groups:\n" + "".join(
        (
            f"- {{name: '{name}{{{{ item }}}}', for_each: '{{{{ vars.l }}}}', servers: {{all: "
            f"true}}, waves: 1}}\n"
        )
        for name in "ab"
    )
    assert plan(each + "vars: {l: " + str(list(range(500))) + "}").problems == ()
    over = plan(each + "vars: {l: " + str(list(range(501))) + "}")
    assert [(p.code, p.location.line) for p in over.problems if p.location] == [
        ("TemplateTooLarge", 5)
    ]


def test_large_groups_are_not_multiplied_without_end() -> None:
    """A huge group cannot be made a thousand times."""
    ids = ", ".join(f"i{n}" for n in range(20_000))
    body = (
        f"groups:\n- {{name: 'a{{{{ item }}}}', for_each: {list(range(999))}, servers: {{ids: "
        f"[{ids}]}}, waves: 1}}"
    )
    began = time.process_time()
    assert [p.code for p in plan(body).problems] == ["TemplateTooLarge"]
    assert time.process_time() - began < 8


def test_variables_win_in_order_and_are_text_from_the_command_line(tmp_path: Any) -> None:
    """--var over --vars-file over vars; a text from --var fits a number, and is never rendered."""
    (tmp_path / "one.yaml").write_text("a: file\nb: file\nn: 1\n")
    (tmp_path / "two.yaml").write_text("b: second\n")
    body = 'vars: {a: plan, b: plan, c: plan}\nlimits: {servers: "{{ vars.n }}"}\n'
    body += 'labels: {x: "{{ vars.a }} {{ vars.b }} {{ vars.c }}"}\n'
    loaded = plan(
        body + GROUP,
        vars={"n": "7", "a": "{{ vars.c }}"},
        vars_files=(tmp_path / "one.yaml", tmp_path / "two.yaml"),
    )
    assert loaded.problems == ()
    assert loaded.plan is not None
    assert loaded.plan.labels == {"x": "{{ vars.c }} second plan"}
    assert loaded.plan.limits.servers == 7
    assert loaded.plan.vars == {"a": "{{ vars.c }}", "b": "second", "c": "plan", "n": "7"}


def test_a_written_text_is_no_number() -> None:
    """Only what a template made is converted: a quoted number in the file is still text."""
    assert [p.code for p in plan('limits: {servers: "7"}\n' + GROUP).problems] == ["WrongType"]
    loaded = plan("limits: {servers: '{{ vars.n }}'}\n" + GROUP, vars={"n": "seven"})
    assert [p.code for p in loaded.problems] == ["WrongType"]


def test_tags_stay_text() -> None:
    """A number from vars is no tag value, but the text of --var is, whatever it looks like."""
    body = "groups: [{name: a, servers: {tags: {n: '{{ vars.n }}'}}, waves: 1}]\n"
    assert [p.code for p in plan("vars: {n: 10}\n" + body).problems] == ["QuoteIt"]
    loaded = plan(body, vars={"n": "010"})
    assert loaded.plan is not None
    assert loaded.plan.groups[0].servers.tags == {"n": ("010",)}


def test_problems_of_variable_files_are_theirs(tmp_path: Any) -> None:
    """A bad file of variables is reported at its own line, beside the plan's problems."""
    (tmp_path / "bad.yaml").write_text('a: 1\na: 2\nb: "{{ x }}"\n')
    loaded = plan("nope: 1\n" + GROUP, vars_files=(tmp_path / "bad.yaml", tmp_path / "none.yaml"))
    where = [
        (p.location.file.rsplit("/")[-1], p.location.line, p.code)
        for p in loaded.problems
        if p.location
    ]
    assert sorted(where) == [
        ("bad.yaml", 2, "DuplicateKey"),
        ("bad.yaml", 3, "TemplateInVars"),
        ("none.yaml", 1, "Unreadable"),
        ("p.yaml", 3, "UnknownKey"),
    ]
    assert loaded.plan is None


def test_mistyped_variables_are_noticed() -> None:
    """A --var that nothing reads is a warning with the name that was meant; the plan
    still loads.
    """
    loaded = plan("vars: {env: prod}\n" + GROUP, vars={"evn": "x", "env": "y"})
    assert [(p.code, p.severity, p.hint) for p in loaded.problems] == [
        ("UnusedVariable", "warning", "did you mean env?")
    ]
    assert loaded.plan is not None


def test_the_environment_is_only_what_is_allowed() -> None:
    """Templates see the variables they are given, and none in the plan's identity."""
    body = 'labels: {a: "{{ env.CI_ENVIRONMENT }}"}\n' + GROUP
    loaded = plan(body, env={"CI_ENVIRONMENT": "prod"})
    assert loaded.plan is not None
    assert loaded.plan.labels == {"a": "prod"}
    assert [p.code for p in plan(body).problems] == ["TemplateUndefined"]
    for key in ("cycle", "target"):
        refused = plan(
            f'{key}: "{{{{ env.CI_ENVIRONMENT }}}}"\n' + GROUP, env={"CI_ENVIRONMENT": "x"}
        )
        assert [p.code for p in refused.problems] == ["TemplateUndefined"]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The templates that are parsed from now on."""
    parsed: list[str] = []
    compile_new = Templates._compile_new

    def counting(self: Templates, text: str) -> Any:
        parsed.append(text)
        return compile_new(self, text)

    monkeypatch.setattr(Templates, "_compile_new", counting)
    return parsed


def test_failing_templates_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand items of a `for_each` meet the same wrong template, which is parsed for
    the first of them only.
    """
    parsed = counted(monkeypatch)
    wrong = "<".join(["1"] * 1900)
    items = ", ".join(map(str, range(1000)))
    text = (
        f"version: 1\nname: web\nvars: {{items: [{items}]}}\ngroups:\n  - name: 'w-{{{{ item "
        f"}}}}'\n"
        f"    for_each: '{{{{ vars.items }}}}'\n    servers: {{ids: '{{{{ {wrong} }}}}'}}\n    "
        f"waves: [1]\n"
    )
    problems = load_text(text, "plan.yaml").problems
    assert [p.code for p in problems] == ["TemplateTooLarge"]
    assert "and 999 more" in problems[0].message
    assert len([t for t in parsed if wrong in t]) == 1


def test_parsing_of_templates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Different wrong templates end with the characters that may be parsed, or with the
    problems that are shown.
    """
    parsed = counted(monkeypatch)
    for count, length in ((60, 3_500), (900, 5)):
        parsed.clear()
        ids = ", ".join(f"'{{{{ {'-' * length} {n} {n} }}}}'" for n in range(count))
        text = (
            f"version: 1\nname: web\ngroups: [{{name: web, servers: {{ids: [{ids}]}}, waves: "
            f"[1]}}]\n"
        )
        load_text(text, "plan.yaml")
        assert sum(map(len, parsed)) <= 100_000
        assert len(parsed) <= 101


def test_the_search_for_a_similar_name_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is slow, and a hole in a template is met with every item."""
    searched: list[str] = []
    monkeypatch.setattr(
        "runner.loading.templates.did_you_mean", lambda word, _known: searched.append(word)
    )
    text = (
        f"version: 1\nname: web\nvars: {{items: [{', '.join(map(str, range(500)))}]}}\ngroups:\n"
        "  - {name: 'w-{{ item }}', for_each: '{{ vars.items }}', servers: {ids: '{{ "
        "vars.itemz }}'}, waves: [1]}\n"
    )
    load_text(text, "plan.yaml")
    assert len(searched) == 1
