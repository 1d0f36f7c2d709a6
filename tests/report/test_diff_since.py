"""What a dry-run says of earlier, and the comment in a pull request: first things first,
nothing taken for markup.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.model.problem import Problem
from runner.model.schedule import Schedule, ServerRef
from runner.planning.compare import compare
from runner.planning.forecast import forecast
from runner.planning.lifted import Lift
from runner.report.diff import PlanDiff, Selected, diff_json, summary
from runner.report.diff_markdown import diff_markdown
from runner.report.diff_sections import LIFTED, diff_text
from runner.report.diff_since import SinceBase, SinceRun, base_words, sizes_words
from runner.report.schemas import schema_of
from tests.planning.build import NOW, group, inventory, plan, schedule, server
from tests.report.cases import HOSTILE
from tests.report.comment_example import INTRODUCTION, comment
from tests.report.readers import Page, demand_harmless_lines, with_text

ROOT = Path(__file__).resolve().parents[2]
TAGS = {
    *("h3", "p", "strong", "br", "hr", "code", "ul", "li", "blockquote", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
READER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text("#[:<>&|`@*_\\\n\r '\"=-+/!", max_size=12),
)


@cache
def made(size: int = 4) -> tuple[Schedule, Schedule]:
    """A schedule and a later one: servers come and go, the canary is another, the second
    wave is larger.
    """
    old = schedule(plan(group(waves=(1, size))), inventory(server(n) for n in range(30)))
    new = schedule(plan(group(waves=(1, 2 * size))), inventory(server(n) for n in range(5, 40)))
    return old, new


@cache
def example(lifts: int = 2, size: int = 4) -> PlanDiff:
    """A dry-run with everything that can be said of earlier."""
    old, new = made(size)
    belts = tuple(
        Lift(f"group g{n}: waves raised", "1, 10%", "1, 20%", ("groups", n, "waves"))
        for n in range(lifts)
    )
    base = SinceBase(
        "main", "ab" * 20, "plans/old.yaml", True, ("a note",), belts, compare(old, new)
    )
    there = ServerRef("id-1", "web-x", "z")
    run = SinceRun(
        "20261103-210000-abcdef",
        NOW,
        "stopped",
        "stopped, 3 ready, 1 failed",
        (there,),
        (there, there),
    )
    return PlanDiff(
        "plans/web.yaml",
        new,
        forecast(new),
        command="reboot-runner run x",
        since_base=base,
        since_run=run,
    )


def hostile(text: str) -> PlanDiff:
    """The same with a text of somebody's in every place that can hold one."""
    diff = example()
    problem = Problem("FirstWaveNotCanary", text, severity="warning")
    run = with_text(diff.since_run, lambda s: text + s)
    return replace(
        diff,
        file=text + ".yaml",
        problems=(problem,),
        since_base=with_text(diff.since_base, lambda s: text + s),
        since_run=run,
    )


def test_first_things_first_in_text() -> None:
    """Totals, then a line for each lifted belt, then what changed."""
    lines = diff_text(example()).splitlines()
    assert lines[0] == summary(example())
    assert lines[1:3] == [f"{LIFTED}  group g{n}: waves raised: 1, 10% → 1, 20%" for n in (0, 1)]
    at = lines.index(
        "against main (abababababab) (there plans/old.yaml): 10 added, 5 removed; servers 30 → 35; "
        "waves 9 → 6; largest wave 4 → 8"
    )
    assert lines[at + 1 : at + 4] == [
        "  a note",
        "  added, 10 servers: web-[030-039]",
        "  removed, 5 servers: web-[000-004]",
    ]
    assert "  waves of group web: 1, 4 ×7, 1 → 1, 8 ×4, 2" in lines
    assert any(
        line.startswith("last run 20261103-210000-abcdef: stopped, 3 ready, 1 failed; 1 server")
        for line in lines
    )


def test_a_comment_in_a_pull_request() -> None:
    """The totals are the first line, the lifted belts come right below, the three actions
    are the last lines.
    """
    text = diff_markdown([example()], in_pull_request=True)
    lines = text.splitlines()
    assert lines[0].startswith("**kernel: 35 servers in 6 waves, none excluded; largest wave 8;")
    assert lines[2:4] == ["> [!CAUTION]", "> **2 belts lifted against main (abababababab)**"]
    assert [line.split("**")[1] for line in lines[-3:]] == [
        "To apply:",
        "To discard:",
        "To plan again:",
    ]
    assert "reboot-runner run" not in text  # in a pull request the merge runs it
    assert text.index("[!CAUTION]") < text.index("digest <code>sha256:") < text.index("| wave |")
    assert text.index("<summary>against main (abababababab)") < text.index("| wave |")
    assert "To apply" not in diff_markdown([example()])


@pytest.mark.parametrize(
    ("diff", "words"),
    [
        (example(), "merge this pull request."),
        (
            PlanDiff("p.yaml", schedule(plan(group(allow_empty=True)), inventory([]))),
            "merging restarts nothing.",
        ),
        (
            PlanDiff("p.yaml", failure="down"),
            "mend what is wrong first; merged as it is, it is refused.",
        ),
        (replace(example(), problems=(Problem("X", "wrong"),)), "mend what is wrong first"),
    ],
)
def test_what_applies_a_plan(diff: PlanDiff, words: str) -> None:
    """The line says what a merge does: runs the plan, restarts nothing, or is refused."""
    assert f"- **To apply:** {words}" in diff_markdown([diff], in_pull_request=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 30), st.integers(1, 5), st.integers(2_000, 9_000), st.booleans())
def test_belts_are_cut_last(lifts: int, plans: int, limit: int, in_pull_request: bool) -> None:
    """Within any limit: totals and the number of lifted belts stay; no table is shown while
    a belt is not.
    """
    text = diff_markdown([example(lifts, 1)] * plans, limit, in_pull_request=in_pull_request)
    assert len(text) <= limit
    shown = text.count("35 servers in 18 waves")
    assert text.count("[!CAUTION]") == (shown if lifts else 0)
    assert shown == plans or f"… and {plans - shown} more plan" in text
    assert not in_pull_request or text.endswith("or run this job again.\n")
    for one in text.split("35 servers in 18 waves")[1:]:
        if "| wave |" in one:
            assert one.count("waves raised:") == lifts
        elif lifts and one.count("waves raised:") < lifts:
            assert "> - … " in one


@settings(max_examples=25, deadline=None)
@given(texts, st.booleans())
def test_markdown_shows_hostile_text_and_obeys_none(text: str, in_pull_request: bool) -> None:
    """Whatever stands in names, belts, notes and runs: no markup but ours, no line that a
    CI system obeys.
    """
    selected = Selected("a" * 40, text or "b", (text, text), {text: text})
    written = diff_markdown([hostile(text)], in_pull_request=in_pull_request, selected=selected)
    demand_harmless_lines(written)
    page = Page(READER.render(written))
    assert set(page.tags) <= TAGS
    assert page.attributes <= {("td", "style"), ("th", "style")}
    assert written.count("\n> ") == 4  # the alert keeps its lines: nothing of a text begins one
    assert not re.search(r"@\w", written)
    tame = Page(
        READER.render(
            diff_markdown([hostile("tame")], in_pull_request=in_pull_request, selected=selected)
        )
    )
    kinds = ("tr", "td", "details", "blockquote")
    assert {kind: page.tags[kind] for kind in kinds} == {kind: tame.tags[kind] for kind in kinds}


@settings(max_examples=40, deadline=None)
@given(texts)
def test_text_obeys_no_hostile_text(text: str) -> None:
    """The same for a terminal and a log; and no text makes a line of its own that tells of
    a lifted belt.
    """
    written = diff_text(hostile(text + LIFTED))
    demand_harmless_lines(written)
    assert sum(line.startswith(LIFTED) for line in written.splitlines()) == 2


@settings(max_examples=25, deadline=None)
@given(texts)
def test_json_follows_its_schema(text: str) -> None:
    """JSON keeps every text as it is, in ASCII, as the schema says."""
    selected = Selected("a", "b", (text,), {"new": text}, 3)
    written = diff_json([hostile(text)], selected)
    read = json.loads(written)
    assert written.isascii()
    assert read["selected"]["deleted"] == [text]
    assert read["plans"][0]["since_base"]["lifts"][0]["what"].startswith(text)
    if all(s["id"] == "id-1" for s in read["plans"][0]["since_run"]["added"]):
        jsonschema.validate(read, schema_of("diff"))


def test_json_of_an_example_follows_its_schema() -> None:
    """With everything that can be said of earlier, and with nothing of it, the JSON is as
    published.
    """
    for diffs in ([example()], [replace(example(), since_base=None, since_run=None)], []):
        jsonschema.validate(json.loads(diff_json(diffs, Selected("a", "b"))), schema_of("diff"))


def test_nothing_changed() -> None:
    """Without a changed plan the Markdown says so, and what was deleted; without a range it
    is empty.
    """
    text = diff_markdown(
        [], selected=Selected("a" * 40, "b" * 40, ("plans/old.yaml",), {}, 2), in_pull_request=True
    )
    assert "No plan changed between aaaaaaaaaaaa and bbbbbbbbbbbb, so nothing will run." in text
    assert "- plans/old.yaml was deleted: nothing of it will run." in text
    assert "To apply" not in text
    assert diff_markdown([]) == ""
    many = Selected("a", "b", tuple(f"plans/{n:0200d}.yaml" for n in range(200)))
    assert len(diff_markdown([example()], 4_000, selected=many, in_pull_request=True)) <= 4_000


@pytest.mark.parametrize(
    ("base", "words"),
    [
        (
            SinceBase("main", "ab" * 20, None),
            "new plan: main (abababababab) has none of this file or name",
        ),
        (SinceBase("abab", "ab" * 20, "x"), "against abababababab: servers not compared"),
        (
            SinceBase("main", "ab" * 20, "x", changes=compare(made()[0], made()[0])),
            "against main (abababababab): the same servers in the same waves",
        ),
    ],
)
def test_comparisons_in_a_sentence(base: SinceBase, words: str) -> None:
    """New plans, plans that could not be compared, and plans that do the same."""
    assert base_words(base) == words


def test_sizes_in_words() -> None:
    """Equal neighbours are said once."""
    assert sizes_words([1, 10, 10, 10, 4, 10]) == "1, 10 ×3, 4, 10"
    assert sizes_words([]) == "none"


def test_the_comment_in_the_documents_is_fresh() -> None:
    """docs/comment.md is what a plan of 640 servers gets now, within a comment's limit,
    with two lifted belts.
    """
    made = comment()
    assert (ROOT / "docs" / "comment.md").read_text(encoding="utf-8") == INTRODUCTION + made, (
        "python -m tests.report.comment_example > docs/comment.md"
    )
    assert len(made) < 60_000
    assert "cut here" not in made
    assert made.count("\n> - ") == 3
