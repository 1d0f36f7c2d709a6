"""Mistakes that people make, and the message that tells what to write instead, at the line
that is to blame.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.loading.config import load_config_text
from runner.loading.plan import Loaded, LoadOptions, load_text
from runner.loading.policy import load_policy_text
from runner.loading.search import find_plans, is_plan
from runner.loading.together import across
from runner.model.problem import Problem

PLAN = "version: 1\nname: p\ngroups:\n- name: a\n  servers: {all: true}\nHERE\n  pause: 10m\n"
ID = "5b919bd2-e315-41d0-850d-a15cb5a686c0"
WEEKLY = "{days: mon, start: '22:00', length: 1h, timezone: UTC}"


def load(text: str, files: dict[str, bytes] | None = None) -> Loaded:
    return load_text(text, "plan.yaml", LoadOptions(files=(files or {}).__getitem__))


def only(loaded: Loaded) -> Problem:
    (problem,) = loaded.problems
    assert loaded.plan is None
    return problem


def place(problem: Problem) -> tuple[int, int]:
    assert problem.location is not None
    return problem.location.line, problem.location.column


@pytest.mark.parametrize(
    ("line", "column", "said"),
    [
        ("  waves:\u00a01", 9, "U+00A0 (NO-BREAK SPACE)"),
        ("  waves:\u200b 1", 9, "U+200B (ZERO WIDTH SPACE)"),
        ("\u00a0 waves: 1", 1, "U+00A0 (NO-BREAK SPACE)"),
        ("  waves\uff1a1", 8, "U+FF1A (FULLWIDTH COLON)"),
        ("  waves\uff1a 1", 8, "U+FF1A (FULLWIDTH COLON)"),
        ("  waves:1", 9, 'a space is missing after "waves:"'),
        ("  exclude: {names:[x]}", 19, 'a space is missing after "names:"'),
        ("  exclude:{names: [x]}", 11, 'a space is missing after "exclude:"'),
        ("  waves 1", 8, 'a ":" is missing after "waves"'),
        ("  waves = 1", 8, 'a ":" is missing after "waves"'),
        ("\u2013 name: b", 1, 'U+2013 (EN DASH) is not the "-"'),
        ("  waves:\n  -1\n  -10%", 4, 'a space is missing after "-"'),
        ("  waves=1", 8, 'a ":" is missing after "waves"'),
    ],
)
def test_a_mistyped_key_is_told_at_its_own_line(line: str, column: int, said: str) -> None:
    """The parser stumbles a line later; whatever stands around the mistyped line."""
    for text in (PLAN.replace("HERE", line), PLAN.replace("HERE", f"{line} # why\n  # and how")):
        problem = only(load(text))
        assert (place(problem), said in problem.message) == (
            (7 if "\n" in line else 6, column),
            True,
        ), problem


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version:1\nname: p\n", 1),
        ("version: 1\nname: p\ngroups:\n- name:a\n  servers: {all: true}\n  waves: 1\n", 4),
        ("version: 1\nname: p\ngroups:\n- name: a\n  servers: {all: true}\n  waves:1\n", 6),
        ("version: 1\nname: p\ngroups:\n- name: a\n  servers:\n    all:true\n  waves: 1\n", 6),
        (
            "version: 1\nname: p\ngroups:\n- name: a\n  servers:\n    tags:{role: web}\n  waves: 1\n",  # noqa: E501
            6,
        ),
    ],
)
def test_a_missing_space_wherever_it_is(text: str, line: int) -> None:
    """In the first line, the last one, and where the file is valid YAML with another meaning."""
    problems = load(text).problems
    told = [p for p in problems if "a space is missing after" in f"{p.message} {p.hint}"]
    assert [place(p)[0] for p in told] == [line]


@pytest.mark.parametrize(
    ("names", "column", "quoted"),
    [
        ("[*]", 21, '"*"'),
        ("*legacy*", 20, '"*legacy*"'),
        ("*-legacy", 20, '"*-legacy"'),
        ("[web-1, *-old]", 28, '"*-old"'),
        ("[web-[0-9]*]", 30, '"web-[0-9]*"'),
        ("[!x*]", 21, '"!x*"'),
    ],
)
def test_patterns_that_yaml_takes_for_something_else(names: str, column: int, quoted: str) -> None:
    """The hint is the pattern in quotes."""
    problem = only(load(PLAN.replace("HERE", f"  waves: 1\n  exclude: {{names: {names}}}")))
    assert problem.code in ("YamlSyntax", "AliasNotAllowed")
    assert (place(problem), f"quote it: {quoted}" in (problem.hint or "")) == ((7, column), True), (
        problem
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_conflict_markers(ends: str) -> None:
    """What an unfinished merge leaves behind is named, with its line, and nothing else is told."""
    both = "<<<<<<< HEAD\n  waves: 1\n||||||| base\n=======\n  waves: 2\n>>>>>>> other"
    text = PLAN.replace("HERE", both).replace("\n", ends)
    problem = only(load(text))
    assert (problem.code, place(problem)) == ("MergeConflict", (6, 1))
    only_end = load(PLAN.replace("HERE", "  waves: 2\n>>>>>>> other"))
    assert (only(only_end).code, place(only(only_end))) == ("MergeConflict", (7, 1))
    middle = only(load(PLAN.replace("HERE", "  waves: 1\n=======\n  waves: 2")))
    assert (middle.code, place(middle)) == ("MergeConflict", (7, 1))
    described = "description: |\n  <<<<<<< this is text\n"
    assert (
        load(
            PLAN.replace("HERE", "  waves: 1").replace("name: p\n", f"name: p\n{described}")
        ).problems
        == ()
    )


@pytest.mark.parametrize(
    ("template", "known"),
    [
        ("{{ vars.my-role }}", "my-role"),
        ("a-{{ vars.my-role }}", "my-role"),
        ("{{ vars.n-1 }}", "n-1"),
    ],
)
def test_a_dash_in_a_variables_name(template: str, known: str) -> None:
    """A dash is a minus there: the hint is the form that works."""
    text = PLAN.replace("HERE", f'  waves: 1\n  exclude: {{names: ["{template}"]}}')
    for declared in (f"vars: {{{known}: x}}\n", ""):
        problem = only(load(text.replace("groups:", f"{declared}groups:")))
        assert (problem.code, problem.hint) == ("TemplateUndefined", f"write vars['{known}']")
    taken_away = PLAN.replace("HERE", '  waves: "{{ vars.n - 1 }}"').replace(
        "groups:", "vars: {n: 3}\ngroups:"
    )
    assert load(taken_away).problems == ()


@pytest.mark.parametrize(
    ("field", "said"), [("waves", "must be at least 1"), ("max_failures", "must be at least 0")]
)
def test_negative_numbers(field: str, said: str) -> None:
    """The least that is allowed, and 0 is none for sizes."""
    line = f"  {field}: -1" if field == "waves" else f"  waves: 1\n  {field}: -1"
    assert said in only(load(PLAN.replace("HERE", line))).message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"id\n{ID}\n", "line 1 of the file looks like a header"),
        (
            f"server_id,name\n{ID},web-1\n",
            "line 1 of the file looks like a header, line 2 has more than a bare id",
        ),
        (f"{ID}\nweb-01\n", "line 2 of the file looks like a name"),
        ("web-01\nweb-02\nweb-03\nweb-04\nweb-05\n", "and 2 more lines are not server ids"),
        (f"{ID}\n\u200b{ID}\n", "line 2 of the file holds the character U+200B (ZERO WIDTH SPACE)"),
        (f"<<<<<<< HEAD\n{ID}\n", "line 1 of the file is a merge conflict marker"),
        (f'"{ID}"\n', "line 1 of the file has more than a bare id"),
        (f"{ID}\nschöner Server\n", "line 2 of the file is not a server id"),
        (f"{ID}x\n", "line 1 of the file looks like a name"),
    ],
)
def test_lines_of_a_file_of_ids_that_are_none(content: str, said: str) -> None:
    """Offline, with their lines and what they look like; nothing of them is quoted."""
    text = PLAN.replace("{all: true}", "{ids_from: ids.txt}").replace("HERE", "  waves: 1")
    problem = only(load(text, {"ids.txt": content.encode()}))
    assert (problem.code, said in problem.message) == ("BadIdList", True), problem.message
    assert not any(word in f"{problem.message} {problem.hint}" for word in (ID, "web-0", "schöner"))


@pytest.mark.parametrize("char", ["\r", "\u2028", "\x85", "\x0b", "\x0c", "\u202e", "\x00"])
def test_comments_of_a_file_of_ids_hide_no_line(char: str) -> None:
    """What an editor shows as a line of its own, or not at all, is refused in comments as well."""
    text = PLAN.replace("{all: true}", "{ids_from: ids.txt}").replace("HERE", "  waves: 1")
    problem = only(load(text, {"ids.txt": f"{ID}\n# old ones{char}{ID[::-1]}\r\n".encode()}))
    assert (problem.code, "cannot be seen" in problem.message) == ("BadIdList", True), (
        problem.message
    )


def test_a_file_of_ids_in_another_encoding() -> None:
    """A byte order mark is no content; UTF-16 is named."""
    text = PLAN.replace("{all: true}", "{ids_from: ids.txt}").replace("HERE", "  waves: 1")
    assert load(text, {"ids.txt": b"\xef\xbb\xbf" + ID.encode()}).problems == ()
    assert "UTF-16" in only(load(text, {"ids.txt": ID.encode("utf-16")})).message


def test_plans_in_upper_case_are_plans(tmp_path: Path) -> None:
    """A file is not passed over because of the case of its ending."""
    for name in ("a.YAML", "b.Yml", "c.yaml", "d.txt"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in find_plans([tmp_path])[0]] == ["a.YAML", "b.Yml", "c.yaml"]


def test_files_that_look_like_plans_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    """Dot-files, JSON and second endings hold no plan of a folder; what is no plan, or put
    aside, is not named.
    """
    text = "version: 1\nname: web\ngroups: []\n"
    json_text = '{"version": 1, "name": "web", "groups": []}'
    for name in (".web.yaml", "api.yaml.txt", "a.yaml", "b.yaml.bak", ".b.yaml.swp", "notes.md"):
        (tmp_path / name).write_text(text)
    (tmp_path / "c.json").write_text(json_text)
    (tmp_path / "package.json").write_text('{\n "name": "x",\n "version": 1\n}')
    (tmp_path / ".yamllint.yaml").write_text("rules: {}\n")
    found, problems = find_plans([tmp_path])
    assert [path.name for path in found] == ["a.yaml"]
    named = [Path(p.location.file).name for p in problems if p.location]
    assert named == [".web.yaml", "api.yaml.txt", "c.json"]
    assert {(p.code, p.severity) for p in problems} == {("PassedOver", "warning")}
    assert not is_plan("reboot-runner.yaml")


@pytest.mark.parametrize(
    ("zone", "said", "hint"),
    [
        ("CET", "CET is a fixed abbreviation", "Europe/Berlin"),
        ("est", "EST is a fixed abbreviation", "America/New_York"),
        ("UTC+1", "an offset does not follow summer time", "Europe/Berlin"),
        ("'+01:00'", "an offset does not follow summer time", "Europe/Berlin"),
        ("Berlin", "there is no time zone Berlin", "did you mean Europe/Berlin?"),
        ("europe/berlin", "there is no time zone europe/berlin", "did you mean Europe/Berlin?"),
        ("Europe/Berln", "there is no time zone Europe/Berln", "did you mean Europe/Berlin?"),
        ("New York", "there is no time zone New York", "did you mean America/New_York?"),
        ("local", "must be an IANA time zone", None),
    ],
)
def test_time_zones(zone: str, said: str, hint: str | None) -> None:
    """What is wrong with it, and the zone that was meant."""
    text = PLAN.replace("HERE", "  waves: 1").replace("groups:", f"windows: [{WEEKLY}]\ngroups:")
    problem = only(load(text.replace("UTC", zone)))
    assert said in problem.message
    assert (hint or "") in (problem.hint or "")


@pytest.mark.parametrize(
    ("days", "hint"),
    [
        ("mon-fri", "write each day: days: [mon, tue, wed, thu, fri]"),
        ("Fri-Mon", "write each day: days: [fri, sat, sun, mon]"),
        ("monday to wednesday", "write each day: days: [mon, tue, wed]"),
        ("weekdays", "write each day: days: [mon, tue, wed, thu, fri]"),
        ("weekend", "write each day: days: [sat, sun]"),
        ("Tuesdays", "write tue"),
        ("MON", "write mon"),
        ("mno", "did you mean mon?"),
        ("never", None),
    ],
)
def test_days(days: str, hint: str | None) -> None:
    """Spans of days and whole names are written out."""
    text = PLAN.replace("HERE", "  waves: 1").replace("groups:", f"windows: [{WEEKLY}]\ngroups:")
    assert only(load(text.replace("days: mon", f"days: [{days}]"))).hint == hint


@pytest.mark.parametrize(
    ("servers", "hint"),
    [
        ("all", "write servers: {all: true}"),
        ("'*'", "write servers: {all: true}"),
        ("db-*", 'write servers: {names: ["db-*"]}'),
        ("[web-1, web-2]", 'write servers: {names: ["web-1", "web-2"]}'),
        (f"[{ID}]", f'write servers: {{ids: ["{ID}"]}}'),
    ],
)
def test_selectors_that_are_no_mapping(servers: str, hint: str) -> None:
    """The hint is the selector that was meant."""
    problem = only(load(PLAN.replace("HERE", "  waves: 1").replace("{all: true}", servers)))
    assert (problem.code, problem.hint) == ("WrongType", hint)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("  reboot: {type: HARD}", '"reboot" belongs at the top level of the file'),
        ("  windows: []", '"windows" belongs at the top level of the file'),
        ("  tags: {role: web}", '"tags" belongs in servers'),
        ("  checks: []", '"checks" belongs in ready'),
        ("waves: 1", '"waves" belongs in a group'),
        ("  servrs: {all: true}", "did you mean servers?"),
    ],
)
def test_keys_that_belong_elsewhere(line: str, hint: str) -> None:
    """A key that the format has at another level is told where."""
    at_top = not line.startswith(" ")
    text = PLAN.replace("HERE", "  waves: 1" if at_top else f"  waves: 1\n{line}") + (
        f"{line}\n" if at_top else ""
    )
    problem = only(load(text))
    assert (problem.code, hint in (problem.hint or "")) == ("UnknownKey", True), problem.hint


def test_everything_that_is_wrong_with_a_plan_is_told_in_one_round() -> None:
    """Also targets, sources, keys of spread and exclusions, of a plan that is not valid for
    another reason.
    """
    text = (
        "version: 1\nname: P\ntarget: nowhere\nspread: {rack: 1}\n"
        "gates: [{prometheus: {source: nobody, query: x, max: 1}}]\n"
        "groups:\n- name: a\n  target: neither\n  servers: {all: true}\n  waves: 0\n  spread: "
        "{zones: 1}\n"
        "  exclude: {all: true}\n"
    )
    config = load_config_text(
        "version: 1\ntargets: {lab: {cloud: simulator}}\n", "reboot-runner.yaml", {}
    )
    one = load(text)
    found = {
        (p.code, p.location.line) for p in (*one.problems, *across([one], config)) if p.location
    }
    assert found >= {
        ("BadValue", 2),
        ("UnknownTarget", 3),
        ("BadValue", 4),
        ("UnknownSource", 5),
        ("UnknownTarget", 8),
        ("BadValue", 10),
        ("BadValue", 11),
        ("BadSelector", 12),
    }


def test_names_among_ids() -> None:
    """A warning at each, in plans and policies: such a word selects nothing and
    protects nothing.
    """
    text = PLAN.replace("{all: true}", f"{{ids: [web-01, {ID}]}}").replace("HERE", "  waves: 1")
    assert [(p.code, p.severity, place(p)) for p in load(text).problems] == [
        ("NotAnId", "warning", (5, 19))
    ]
    policy = load_policy_text("version: 1\nforbidden: {ids: [db-01]}\n", "policy.yaml")
    assert [(p.code, p.severity, place(p)) for p in policy.problems] == [
        ("NotAnId", "warning", (2, 19))
    ]


@pytest.mark.parametrize(
    "text", ["[" + "a" * 300_000 + "*", "a" + " " * 300_000, "a: *" + "x*" * 90_000]
)
def test_hostile_lines_are_explained_quickly(text: str) -> None:
    """What looks for the mistake reads each character a few times at most: a quadratic
    search would take minutes.
    """
    assert load(text).plan is None
    assert (
        load(
            f"version: 1\nwindows: [{{days: '{' ' * 90_000}', timezone: '{'Z' * 90_000}'}}]\n"
        ).plan
        is None
    )


@pytest.mark.parametrize("value", ["\u201c1\u201d", "\u22121", "10\uff05", "\u0661"])
def test_look_alikes_in_values_are_named(value: str) -> None:
    """A typographic quote, another minus, a full-width or foreign digit."""
    odd = next(char for char in value if not char.isascii())
    assert f"U+{ord(odd):04X} (" in (
        only(load(PLAN.replace("HERE", f"  waves: {value}"))).hint or ""
    )


def test_an_unquoted_pattern_hides_no_other_mistake() -> None:
    """The rest of the plan is checked in the same round."""
    text = PLAN.replace("HERE", "  waves: 0\n  exclude: {names: [*-old]}")
    assert [(p.code, place(p)[0]) for p in load(text).problems] == [
        ("BadValue", 6),
        ("AliasNotAllowed", 7),
    ]


@pytest.mark.parametrize(
    ("rate", "hint"),
    [
        ("{servers: 10}", "per: 1m"),
        ("{per: 1m}", "servers: 10"),
        ("{servers: 10%, per: 1m}", "a percentage cannot be used here"),
        ("100 per minute", "write rate: {servers: …, per: …}"),
    ],
)
def test_mistakes_in_a_rate(rate: str, hint: str) -> None:
    """A rate of a plan is a number of servers and a duration: the hint is never about the
    other `servers`.
    """
    problem = only(load(PLAN.replace("HERE", f"  waves: 1\n  rate: {rate}")))
    assert hint in (problem.hint or "")


def test_a_rate_of_a_target_has_other_keys_than_that_of_a_plan() -> None:
    text = "version: 1\ntargets: {a: {cloud: otc, rate: {servers: 10}}}\n"
    (problem,) = load_config_text(text, "c.yaml", {}).problems
    assert problem.hint == "did you mean servers_per_minute or servers_per_request?"


def test_a_number_with_a_leading_zero_is_refused_in_every_file() -> None:
    """In a plan, a policy, a configuration, and in what a template made of a --var."""
    texts = (PLAN.replace("HERE", "  waves: 010"), "version: 1\nmax_wave: {servers: 010}\n")
    config = "version: 1\ntargets: {a: {cloud: otc, rate: {servers_per_minute: 010}}}\n"
    loaded = (
        load(texts[0]),
        load_policy_text(texts[1], "policy.yaml"),
        load_config_text(config, "c.yaml", {}),
    )
    assert [[p.code for p in one.problems] for one in loaded] == [["BadNumber"]] * 3
    made = load_text(
        PLAN.replace("HERE", "  waves: '{{ vars.n }}'\n  rate: {servers: '{{ vars.n }}', per: 1m}"),
        "plan.yaml",
        LoadOptions(vars={"n": "010"}),
    )
    assert [(p.code, p.location.line) for p in made.problems if p.location] == [
        ("BadValue", 6),
        ("WrongType", 7),
    ]
