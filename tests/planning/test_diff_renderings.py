"""What people and programs read of a dry-run."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model.inventory import Server
from runner.model.plan import Plan
from runner.model.problem import Location, Problem
from runner.model.schedule import Schedule
from runner.planning.forecast import forecast
from runner.report.diff import PlanDiff, diff_json, exit_code, headline, summary
from runner.report.diff_markdown import diff_markdown
from runner.report.diff_sections import diff_text
from runner.report.schemas import schema_of
from tests.planning.build import group, inventory, plan, schedule, server, sid
from tests.planning.test_folding import unfolded
from tests.planning.test_laws import fleets, plans

FLEET = [server(n, zone=f"eu-de-0{n % 2 + 1}") for n in range(38)]


def diff(made: Schedule, **fields: Any) -> PlanDiff:
    return PlanDiff(
        "plans/web.yaml", made, forecast(made), **{"command": "reboot-runner run it", **fields}
    )


def example() -> PlanDiff:
    """37 of 38 servers in a canary and more waves, one stopped, two groups' worth of rules."""
    fleet = [server(0, zone="eu-de-01", state="stopped"), *FLEET[1:]]
    wanted = plan(
        group(waves=(1, "10%", "25%"), pause=("10m", "approval"), bake="30m"), max_failures="10%"
    )
    return diff(schedule(wanted, inventory(fleet)))


BAKES = group("bakes", {"ids": tuple(sid(n) for n in range(5))}, waves=(2,), bake="10m")
COUNTS = group(
    "counts",
    {"ids": tuple(sid(n) for n in range(5, 9))},
    waves=(2,),
    ready={"baseline": "count", "checks": ({"tcp": {"port": 443}},)},
)


def broken(**fields: Any) -> PlanDiff:
    problem = Problem(
        "EmptyMatch", "nothing <b>here</b>", Location("plans/bad.yaml", 3, 5), "mend it"
    )
    return PlanDiff("plans/bad.yaml", problems=(problem,), **fields)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            example(),
            "37 servers in 6 waves, 1 excluded; largest wave 9; worst case 12 failures before it "
            "stops, "
            "all 37 if only a bake shows them; about 46m, plus 4 approvals",
        ),
        (
            diff(schedule(plan(), inventory([server(1)]))),
            "1 server in 1 wave, none excluded; largest wave 1; about 1m",
        ),
        (
            diff(schedule(plan(BAKES, COUNTS), inventory(FLEET[:9]))),
            "9 servers in 5 waves, none excluded; largest wave 2; worst case 2 failures before "
            "it stops, 5 if only a "
            "bake shows them, servers that do not pass their checks before not counted; about 15m",
        ),
        (
            diff(schedule(plan(group(waves=(2,))), inventory([server(1), server(2)]))),
            (
                "2 servers in 1 wave, none excluded; largest wave 2; worst case all 2 fail "
                "before it "
                "stops; about 1m"
            ),
        ),
        (
            diff(
                schedule(
                    plan(cycle="november"), inventory([server(1), server(2)]), {sid(1), sid(2)}
                )
            ),
            "nothing to reboot: all 2 servers rebooted already in cycle november; "
            "write a new cycle into the plan to reboot again",
        ),
        (
            diff(schedule(plan(), inventory([server(1), server(2, locked=True)]), {sid(1)})),
            (
                "nothing to reboot: 2 servers matched, all excluded (1 rebooted already in cycle "
                "kernel)"
            ),
        ),
        (
            diff(
                schedule(
                    plan(group(servers={"names": ("x",)}, allow_empty=True)), inventory([server(1)])
                )
            ),
            "nothing to reboot: the plan matches no server",
        ),
        (
            diff(schedule(plan(), inventory([server(1), server(2), server(3)]), {sid(3)})),
            "2 servers in 2 waves, 1 excluded (1 of them rebooted already in this cycle); "
            "largest wave 1; "
            "worst case 1 failure before it stops; about 2m",
        ),
        (broken(), "not planned: 1 problem"),
        (broken(failure="down"), "not planned: the cloud or the store could not be asked"),
    ],
)
def test_the_first_line(made: PlanDiff, expected: str) -> None:
    """The totals in a sentence, or what is the matter, first of all in text and Markdown."""
    assert summary(made) == expected
    assert diff_text(made).splitlines()[0] == expected
    if made.schedule:
        assert headline(made.schedule) == expected


def test_text() -> None:
    """The whole text of a small dry-run: waves with the integers behind them, exclusions,
    digest, next command.
    """
    fleet = [
        server(n, zone=f"eu-de-0{n % 2 + 1}", state="error" if n in (3, 4) else "running")
        for n in range(10)
    ]
    canary = group("canary", {"names": ("web-000",)}, bake="30m", pause=("approval",))
    rest = group(
        "web",
        exclude={"names": ("web-000",)},
        order="name",
        waves=("40%",),
        pause=("5m",),
        max_failures="20%",
    )
    made = schedule(plan(canary, rest), inventory(fleet), {sid(9)})
    assert diff_text(diff(made)) == (
        "7 servers in 4 waves, 3 excluded (1 of them rebooted already in this cycle); largest "
        "wave 2; "
        "worst case 2 failures before it stops; about 44m, plus 1 approval\n"
        "plan kernel (plans/web.yaml), cycle kernel, target test (simulator, eu-west-101, "
        "project 05041fffa40025702f6dc009cc6f8f33), SOFT reboot\n"
        "the run stops when more than 0 servers failed\n"
        "group web: stop when more than 1 (20% of 6) failed\n"
        "\n"
        "wave  group   servers       zones                   starts        then                "
        "names\n"
        "   1  canary  1 (canary)    eu-de-01                +0s           bake 30m, approval  "
        "web-000\n"
        "   2  web     40% of 6 = 2  eu-de-01 1, eu-de-02 1  +31m at best  pause 5m            "
        "web-[001-002]\n"
        "   3  web     40% of 6 = 2  eu-de-01 1, eu-de-02 1  +37m at best  pause 5m            "
        "web-[005-006]\n"
        "   4  web     40% of 6 = 2  eu-de-01 1, eu-de-02 1  +43m at best                      "
        "web-[007-008]\n"
        "\n"
        "excluded: 3 servers\n"
        "  RebootedInCycle: 1 server rebooted already in this cycle\n"
        "    web (cycle kernel): web-009\n"
        "  NotActive: 2 servers not running\n"
        "    web (state error): web-[003-004]\n"
        "\n"
        "excluded from one group and rebooted in another:\n"
        "  ExcludedByPlan: 1 server left out by `exclude` in the plan\n"
        "    web (names web-000): web-000\n"
        "\n"
        f"digest  {made.digest}\n"
        "next    reboot-runner run it\n"
    )


def test_sizes_beyond_what_is_left() -> None:
    """A size that the fleet does not fill says how many are left."""
    made = schedule(plan(group(waves=(1, 50))), inventory(FLEET[:5]))
    assert "50, only 4 left" in diff_text(diff(made))


def names_in(text: str) -> set[str]:
    """All simple names in a text, unfolded."""
    found = re.findall(r"web-\[[0-9,-]+\]|web-[0-9]+", text)
    return set(unfolded(found))


@given(st.sets(st.integers(0, 999), min_size=1, max_size=200), st.integers(1, 90))
def test_text_names_every_server(numbers: set[int], size: int) -> None:
    """However many servers a wave or an exclusion holds, each can be read in the text."""
    fleet = [server(n, state="running" if n % 3 else "stopped") for n in numbers]
    made = schedule(plan(group(waves=(size,))), inventory(fleet))
    assert names_in(diff_text(diff(made))) == {s.name for s in fleet}


HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "::error::owned",
    "##[set-output name=x]y",
    "a\n::add-mask::b",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "@everyone #1 `code` | cell",
    "\u202eevil",
    "</details></summary>",
    "<!-- -->",
]


def hostile() -> PlanDiff:
    """The worst names and states a cloud could show, scheduled and excluded, twice each so
    that ids stand with them.
    """
    fleet = [server(n, name, zone=HOSTILE[n % 3]) for n, name in enumerate([*HOSTILE, *HOSTILE])]
    fleet += [
        server(50 + n, "x" + name, words=name, state="unknown") for n, name in enumerate(HOSTILE)
    ]
    made = schedule(plan(group(waves=(4,))), inventory(fleet))
    warning = Problem(
        "FirstWaveNotCanary", HOSTILE[0] + HOSTILE[4], severity="warning", path=("groups", 0)
    )
    return diff(made, problems=(warning,), command="reboot-runner run '" + HOSTILE[3] + "'")


def test_hostile_text() -> None:
    """Nothing of a name reaches the terminal or the CI runner as a command."""
    text = diff_text(hostile())
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(line.lstrip().startswith(("::", "##[")) for line in text.splitlines())


def test_hostile_markdown() -> None:
    """Nothing of a name is Markdown, HTML, a mention or a link; the only tags are ours."""
    text = diff_markdown([hostile()])
    assert set(re.findall(r"</?[a-z!][^>]*>", text)) == {
        "<br>",
        "<code>",
        "</code>",
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
    }
    assert not re.search(r"(?<!\\)\]\(|@everyone|\x1b|\u202e|<!--", text)
    assert all(line.isprintable() for line in text.splitlines())
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| wave")
    ]
    assert {row.count("|") for row in rows} == {8}


def test_hostile_json() -> None:
    """JSON is ASCII: what is hidden in a name shows in a log."""
    text = diff_json([hostile()])
    assert text.isascii()
    jsonschema.validate(json.loads(text), schema_of("diff"))


def test_markdown() -> None:
    """Totals first, then the table and the folded lists."""
    text = diff_markdown([example()])
    lines = text.splitlines()
    assert lines[0] == "### kernel (plans/web.yaml)"
    assert lines[2].startswith("**37 servers in 6 waves, 1 excluded; largest wave 9;")
    assert "| 2 | web | 10% of 37 = 3 | eu-de-0" in text
    assert text.count("<details>") == text.count("</details>") == 1
    assert "cut here" not in text


@cache
def large(size: int) -> PlanDiff:
    """300 servers whose names do not fold, in waves of `size`."""
    letters = str.maketrans("0123456789", "abcdefghij")
    fleet = inventory([server(n, f"srv-{n}".translate(letters)) for n in range(300)])
    return diff(schedule(plan(group(waves=(size,))), fleet))


def names_of(text: str) -> int:
    """How many servers the text of one plan names."""
    return len(set(re.findall(r"srv-[a-j]+", text)))


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(2_000, 60_000), st.sampled_from([1, 9, 300]))
def test_markdown_fits(how_many: int, limit: int, size: int) -> None:
    """The text is never longer than its limit; what is cut is said, and details are closed."""
    text = diff_markdown([large(size)] * how_many, limit)
    assert len(text) <= limit
    assert text.count("<details>") == text.count("</details>")
    shown = text.count("### kernel")
    assert text.count("**300 servers in ") == shown
    assert shown == how_many or f"… and {how_many - shown} more plan" in text
    for one in text.split("### kernel")[1:]:
        assert names_of(one) == 300 or "cut here" in one


def test_markdown_keeps_every_summary() -> None:
    """Many large plans: each keeps its totals while they fit, only lists are cut."""
    fleet = inventory([server(n, f"srv-{n * 7919 % 99991}x") for n in range(3_000)])
    text = diff_markdown([diff(schedule(plan(group(waves=(100,))), fleet))] * 20)
    assert text.count("**3000 servers in 30 waves") == 20
    assert "cut here" in text
    assert len(text) <= 60_000


def test_markdown_of_problems() -> None:
    """A plan with problems shows them with their places; a target that failed says so
    with a hint.
    """
    text = diff_markdown([broken(), broken(failure="no <answer>", failure_hint="try again")])
    assert "- **error[EmptyMatch]** plans/bad.yaml:3:5: nothing &lt;b>here&lt;/b> – mend it" in text
    assert "no &lt;answer>\n\nHint: try again" in text


@given(st.lists(st.tuples(fleets(), plans()), max_size=3))
@settings(max_examples=25)
def test_json_follows_its_schema(cases: list[tuple[list[Server], Plan]]) -> None:
    """Whatever is planned, the JSON is as published, and its counts are those of the
    schedule in it.
    """
    diffs = [diff(schedule(wanted, inventory(fleet))) for fleet, wanted in cases]
    made = json.loads(diff_json([*diffs, broken(), broken(failure="x", failure_code=77)]))
    jsonschema.validate(made, schema_of("diff"))
    assert made["result"] == "denied"
    for one in made["plans"][: len(diffs)]:
        assert one["result"] == ("changes" if one["schedule"]["waves"] else "done")
        assert one["counts"]["servers"] == sum(len(w["servers"]) for w in one["schedule"]["waves"])


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 2], 2),
        ([2, 3, 0], 3),
        ([3, 77, 2], 77),
        ([77, 1], 1),
        ([75, 4, 5, 6, 7], 7),
    ],
)
def test_exit_code_of_several(codes: list[int], first: int) -> None:
    """Of several plans the gravest code counts, in the documented order."""
    assert exit_code(codes) == first
