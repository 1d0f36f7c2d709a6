"""A step's own channels: commands, outputs and the summary, read as GitHub's runner reads them."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.github.api import GitHubError
from runner.github.comment import CommentKey, composed
from runner.github.step import (
    HEAD,
    MOST_OUTPUTS,
    OUTPUTS,
    StepSummary,
    add_mask,
    group,
    laid_out,
    stop_commands,
    write_outputs,
)
from runner.net.secret import Secret
from runner.report.safe import markdown
from tests.github.runner_files import Log, read_outputs
from tests.report.cases import HOSTILE
from tests.report.readers import Page

ACTIONS = {"GITHUB_ACTIONS": "true"}
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=80),
    st.text("<=\n\r:#[]gh-adelimtroutpsEOF_", max_size=40),
    st.lists(st.sampled_from((*HOSTILE, "::", "\n", "result<<x", "-->", "<!--")), max_size=5).map(
        "".join
    ),
)


def inside(text: str) -> tuple[str, str]:
    """What is printed for the text between stopped commands, and the word that ends it."""
    out = io.StringIO()
    with stop_commands(ACTIONS, out):
        out.write(text)
    out.write("::notice::after\n")
    found = re.match(r"::stop-commands::([0-9a-f]{32})\n", out.getvalue())
    assert found
    return out.getvalue(), found[1]


@settings(max_examples=40, deadline=None)
@given(texts)
def test_no_text_is_a_command(text: str) -> None:
    """Between the words the runner obeys nothing, shows all of it, and obeys again afterwards."""
    printed, word = inside(text)
    log = Log(printed)
    assert log.commands == ["notice"]
    assert not log.is_stopped
    assert re.split("\r\n|\r|\n", text) == log.text[: len(re.split("\r\n|\r|\n", text))]
    assert printed.count(word) == 2


def test_the_word_is_new_each_time() -> None:
    """A word that a log has shown is of no use to the next text."""
    assert len({inside("x")[1] for _ in range(20)}) == 20


def test_an_old_word_ends_nothing() -> None:
    """Text that holds the word of an earlier block does not end the present one."""
    word = inside("x")[1]
    assert Log(inside(f"::{word}::\n::error::boom\n")[0]).commands == ["notice"]


def test_commands_work_again_after_an_exception() -> None:
    """An exception leaves no log whose commands stay stopped."""
    out = io.StringIO()
    with pytest.raises(ZeroDivisionError), stop_commands(ACTIONS, out):
        out.write(f"half a line {1 / 0}")
    assert not Log(out.getvalue()).is_stopped


def test_blocks_in_blocks() -> None:
    """A block within a block changes nothing: the outer word still ends it."""
    out = io.StringIO()
    with stop_commands(ACTIONS, out):
        with stop_commands(ACTIONS, out):
            out.write("::error::a\n")
        out.write("::error::b\n")
    log = Log(out.getvalue())
    assert (log.commands, log.is_stopped) == ([], False)


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}])
def test_elsewhere_nothing_is_printed(environ: dict[str, str]) -> None:
    """Outside GitHub's runner there are no commands, and above all no secret."""
    out = io.StringIO()
    with stop_commands(environ, out), group(environ, "title", out):
        add_mask(environ, Secret("planted"), out)
    assert out.getvalue() == ""


def test_masks(tmp_path: Path) -> None:
    """A secret is told to the runner as it is, line breaks encoded; an empty one is not,
    nor is it put into a file.
    """
    out = io.StringIO()
    for secret in ("a%b\nc", ""):
        add_mask(ACTIONS, Secret(secret), out)
    assert out.getvalue() == "::add-mask::a%25b%0Ac\n"
    with (tmp_path / "log").open("w") as file:
        add_mask(ACTIONS, Secret("planted"), file)
    assert (tmp_path / "log").read_text() == ""


def test_where_commands_go(capsys: pytest.CaptureFixture[str]) -> None:
    """Masks go to stderr, where no report is; what surrounds printed text goes to
    stdout with it.
    """
    add_mask(ACTIONS, Secret("planted"))
    with group(ACTIONS, "a"), stop_commands(ACTIONS):
        sys.stdout.write("text\n")
    out, err = capsys.readouterr()
    assert "add-mask" in err
    assert "add-mask" not in out
    assert Log(out).commands == ["group", "endgroup"]


@settings(max_examples=30, deadline=None)
@given(texts)
def test_titles_of_groups(text: str) -> None:
    """A title is one line, whatever is in it."""
    out = io.StringIO()
    with group(ACTIONS, text, out):
        out.write("x\n")
    assert Log(out.getvalue()).commands == ["group", "endgroup"]
    assert out.getvalue().count("\n") == 3


def outputs(path: Path) -> dict[str, str]:
    return read_outputs(path.read_bytes().decode())


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(OUTPUTS)), texts, min_size=1),
    st.sampled_from([b"", b"a=b", b"a=b\n"]),
)
def test_outputs_come_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str], before: bytes
) -> None:
    """The runner reads exactly the values that were written, whatever is in them, and what
    was there before.
    """
    path = tmp_path_factory.getbasetemp() / "outputs"
    path.write_bytes(before)
    write_outputs({"GITHUB_OUTPUT": str(path)}, values)
    expected = {name: value.encode(errors="replace").decode() for name, value in values.items()}
    assert outputs(path) == ({"a": "b"} if before else {}) | expected


def test_shapes_of_outputs(tmp_path: Path) -> None:
    """Truth, numbers, lists and nothing are written as workflows compare them; a second
    call adds to the first.
    """
    path = tmp_path / "outputs"
    environ = {"GITHUB_OUTPUT": str(path)}
    write_outputs(environ, {"result": "suspended", "exit-code": 75, "follow-up": True, "due": None})
    write_outputs(
        environ, {"run-ids": ["a", "b"], "comment-ids": [1], "schedule-digests": {"p": "sha256:1"}}
    )
    assert outputs(path) == {
        **{"result": "suspended", "exit-code": "75", "follow-up": "true", "due": ""},
        **{"run-ids": '["a","b"]', "comment-ids": "[1]", "schedule-digests": '{"p":"sha256:1"}'},
    }


def test_names_of_outputs(tmp_path: Path) -> None:
    """Only outputs that the action has are written, and their names are in kebab-case."""
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in OUTPUTS)
    for name in ("resutl", "a<<b", "a\nb"):
        with pytest.raises(KeyError):
            write_outputs({"GITHUB_OUTPUT": str(tmp_path / "x")}, {"result": "done", name: "x"})
    assert not (tmp_path / "x").exists()


def test_outputs_are_bounded(tmp_path: Path) -> None:
    """More than a job can pass on is refused whole; without the variable nothing happens."""
    with pytest.raises(GitHubError, match="larger than"):
        write_outputs(
            {"GITHUB_OUTPUT": str(tmp_path / "x")},
            {"result": "done", "plans": ["x" * MOST_OUTPUTS]},
        )
    assert not (tmp_path / "x").exists()
    write_outputs({}, {"result": "done"})
    with pytest.raises(GitHubError, match="cannot be written"):
        write_outputs({"GITHUB_OUTPUT": str(tmp_path / "no" / "x")}, {"result": "done"})


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "summary.md"
    path.write_text("")
    return path


def test_sections_are_rewritten(page: Path) -> None:
    """Each section has one place, in the order of their first appearance, below what other
    tools have written.
    """
    page.write_text("# Tests\nall green")
    summary = StepSummary({"GITHUB_STEP_SUMMARY": str(page)})
    summary.set("web", "### web\nwave 1\n")
    summary.set("db", "### db")
    summary.set("web", "### web\nwave 2")
    assert page.read_text() == "# Tests\nall green\n\n### web\nwave 2\n\n### db\n\n"


def test_the_file_keeps_its_path(page: Path) -> None:
    """The same path holds the whole text at any time, with its mode; a link stays a link."""
    page.chmod(0o644)
    link = page.with_name("link.md")
    link.symlink_to(page)
    StepSummary({"GITHUB_STEP_SUMMARY": str(link)}).set("web", "### web")
    assert link.is_symlink()
    assert page.read_text() == "### web\n\n"
    assert page.stat().st_mode & 0o777 == 0o644
    assert sorted(p.name for p in page.parent.iterdir()) == ["link.md", "summary.md"]


def test_a_file_that_is_missing_is_made(tmp_path: Path) -> None:
    """The runner makes the file; where a test bench has not, it is made."""
    StepSummary({"GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}).set("web", "### web")
    assert (tmp_path / "s.md").read_text() == "### web\n\n"


def test_a_file_that_cannot_be_exchanged(tmp_path: Path) -> None:
    """What is no plain file (a pipe, a device) is written over instead."""
    reader = os.open(_pipe(tmp_path), os.O_RDONLY | os.O_NONBLOCK)
    try:
        summary = StepSummary({"GITHUB_STEP_SUMMARY": str(tmp_path / "pipe")})
        summary._front = b""  # reading a pipe would wait for its writer
        summary.set("web", "### web")
        assert os.read(reader, 100) == b"### web\n\n"
    finally:
        os.close(reader)


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def test_an_unwritable_file_is_a_clear_error(tmp_path: Path) -> None:
    """What cannot be written raises GitHubError, and the section is there when it can; no
    variable is no error.
    """
    summary = StepSummary({"GITHUB_STEP_SUMMARY": str(tmp_path / "later" / "s.md")})
    with pytest.raises(GitHubError, match="the step summary cannot be written"):
        summary.set("web", "### web")
    (tmp_path / "later").mkdir()
    summary.set("db", "### db")
    assert (tmp_path / "later" / "s.md").read_text() == "### web\n\n### db\n\n"
    StepSummary({}).set("web", "### web")


def test_a_file_that_is_full(page: Path) -> None:
    """Where other tools have used the room up, theirs stays as it is."""
    page.write_text("x" * 899_900)
    with pytest.raises(GitHubError, match="no room"):
        StepSummary({"GITHUB_STEP_SUMMARY": str(page)}).set("web", "### web")
    assert page.stat().st_size == 899_900


def section(name: str, lines: int) -> str:
    table = "".join(f"| {n} | server-{n} |\n" for n in range(lines))
    return (
        f"### {name}\n\n**{lines} "
        f"servers**\n\n<details><summary>all</summary>\n\n{table}\n</details>\n"
    )


def test_large_sections_are_cut(page: Path) -> None:
    """Below 900 kB, every heading there, small sections whole, cuts at whole lines that say
    so, no fold left open.
    """
    summary = StepSummary({"GITHUB_STEP_SUMMARY": str(page)})
    page.write_text("front\n")
    for n in range(12):
        summary.set(f"{n}", section(f"plan {n}", 10_000 if n % 2 else 10))
    text = page.read_text()
    assert 800_000 < len(text.encode()) <= 900_000
    assert text.startswith("front\n\n### plan 0\n")
    for n in range(12):
        assert f"### plan {n}\n\n**" in text
        assert (section(f"plan {n}", 10) in text) == (n % 2 == 0)
    assert text.count("… cut here") == 6
    assert text.count("<details>") == text.count("</details>") == 12
    tables = re.findall(r"^\| .*$", text, re.MULTILINE)
    assert all(re.fullmatch(r"\| (\d+) \| server-\1 \|", row) for row in tables)


def test_too_many_sections(page: Path) -> None:
    """Where not even the heads fit, the last sections are left out and counted."""
    text = laid_out([section(f"plan {n}", 200) for n in range(100)], 50_000)
    shown = len(re.findall("^### plan", text, re.MULTILINE))
    assert shown >= 10
    assert f"… and {100 - shown} more" in text
    assert len(text.encode()) <= 50_000


def test_code_is_closed() -> None:
    """A code block that is cut is closed, so that the next section is no code."""
    text = laid_out(
        ["### a\n```\n" + "x" * 100 + "\n" + "y\n" * 9_000 + "```\n", "### b"],
        2 * (HEAD + 500) + 500,
    )
    assert text.count("```") == 2
    assert text.index("```\n", 20) < text.index("… cut here") < text.index("### b")


@settings(max_examples=40, deadline=None)
@given(st.lists(texts, max_size=8), st.integers(0, 30_000), st.integers(1, 3_000))
def test_never_over_the_limit(parts: list[str], limit: int, repeat: int) -> None:
    """Whatever the sections are, the page is within its limit and can be written."""
    text = laid_out(
        [f"### {n}\n\n" + f"{part}\n" * (repeat % 400) for n, part in enumerate(parts)], limit
    )
    assert len(text.encode(errors="replace")) <= max(limit, 0)


@settings(max_examples=40, deadline=None)
@given(texts)
def test_hostile_names_in_pages(text: str) -> None:
    """Summary and comment show an escaped name as text: only our own markup, and only our
    own lines in front.
    """
    shown = f"### {markdown(text)}\n\n- {markdown(text)}\n"
    summary = Page(
        MarkdownIt("commonmark", {"html": True}).render(laid_out([shown, "### next"], 50_000))
    )
    assert set(summary.tags) <= {"h3", "ul", "li", "p"}
    assert summary.tags["h3"] == 2
    lines = composed(CommentKey("label", text), shown).split("\n")
    assert [line for line in lines if "<!--" in line] == lines[:2]
    assert re.fullmatch(r"<!-- reboot-runner:comment:v1 key=[0-9a-f]{64} -->", lines[0])
