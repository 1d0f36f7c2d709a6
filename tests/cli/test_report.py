"""The command `report`: whole command lines on a real store."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as Xml
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from runner.cli.main import invoke
from runner.errors import Exit
from runner.report.schemas import report_schema
from tests.cli.lab import Lab
from tests.execution.setup import Bench, schedule_of


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A store in a file, with a working folder of its own; closed runs of `web`, an open
    one of `api`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REBOOT_RUNNER_STORE", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    bench = Bench.of(5, str(tmp_path / "runs.db"))
    bench.cloud.fails = {"s-003": "boot ::error::failed"}
    bench.follow(bench.start(schedule_of([1, 4], max_failures=1)))
    bench.clock.jump(hours=1)
    bench.start(schedule_of([2], plan="api", cycle="c2"))
    return bench


@pytest.fixture
def report(store: Bench, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> Ran:
        code = invoke(["report", *arguments])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return call


def run_id_of(store: Bench, plan: str) -> str:
    return store.store.find(plan).id


@pytest.mark.parametrize("how", ["plan", "id", "prefix"])
def test_a_run_is_found_by_plan_id_or_prefix(report: Command, store: Bench, how: str) -> None:
    """All three name the same run; the report goes to stdout, and nothing to stderr."""
    run = run_id_of(store, "web")
    ran = report({"plan": "web", "id": run, "prefix": run[:-2]}[how])
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"run {run} is done: 4 of 5 servers ready, 1 failed; ")
    (failed,) = [
        line for line in ran.out.splitlines() if line.startswith("  web-3 (s-003), wave 2: ")
    ]
    assert "JobFailed: Ecs.0227: boot ::error::failed" in failed
    assert "job job-2" in failed


def test_an_open_run_is_reported_too(report: Command) -> None:
    """A run that goes on, or was left, is told as far as its journal goes."""
    ran = report("api", "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["state"] == "running"


def test_each_form(report: Command) -> None:
    """JSON validates, Markdown has its heading, HTML is a document, JUnit parses, CSV has a
    row a server.
    """
    told = json.loads(report("web", "-o", "json").out)
    jsonschema.Draft7Validator(report_schema()).validate(told)
    assert (told["result"], told["exit_code"]) == ("incomplete", Exit.INCOMPLETE)
    assert report("web", "-o", "markdown").out.startswith("### Run ")
    html = report("web", "-o", "html").out
    assert html.startswith("<!DOCTYPE html>")
    assert html.endswith("</html>\n")
    root = Xml.fromstring(report("web", "-o", "junit").out.encode())  # noqa: S314 - our own document
    assert root.get("failures") == "1"
    assert len(list(csv.reader(io.StringIO(report("web", "-o", "csv").out)))) == 6


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html", "junit", "csv"])
def test_a_file_holds_what_stdout_would(report: Command, tmp_path: Path, form: str) -> None:
    """`--out` writes the same bytes whole, leaves nothing else behind, and says so on
    stderr only.
    """
    file = tmp_path / "out" / f"report.{form}"
    file.parent.mkdir()
    file.write_text("an older report")
    shown = report("web", "-o", form)
    written = report("web", "-o", form, "--out", str(file))
    assert file.read_bytes().decode() == shown.out
    assert written.out == ""
    assert str(file) in written.err
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_a_report_does_not_change_the_store(report: Command, store: Bench) -> None:
    """It reads: the journal is the same after any number of reports."""
    run = run_id_of(store, "web")
    before = store.store.events(run)
    assert report("web").out == report("web").out
    assert store.store.events(run) == before


def test_markdown_keeps_the_limit(report: Command) -> None:
    """`--limit` is obeyed, too small a one is a usage error, and so is one for another form."""
    assert len(report("web", "-o", "markdown", "--limit", "20000").out.encode()) <= 20_000
    assert report("web", "-o", "markdown", "--limit", "10").code == Exit.USAGE
    refused = report("web", "-o", "csv", "--limit", "60000")
    assert refused.code == Exit.USAGE
    assert "--limit is for -o markdown" in refused.err


def test_an_unknown_run_is_an_error(report: Command) -> None:
    """Nothing is written to stdout, and the sentence says what could not be found."""
    ran = report("nothing")
    assert (ran.code, ran.out) == (Exit.ERROR, "")
    assert "nothing" in ran.err


def test_a_file_that_cannot_be_written_is_an_error(report: Command, tmp_path: Path) -> None:
    """A folder that is not there is told in a sentence, without a traceback."""
    ran = report("web", "--out", str(tmp_path / "missing" / "report.txt"))
    assert ran.code == Exit.ERROR
    assert "cannot write" in ran.err
    assert "Traceback" not in ran.err


def test_without_a_run_the_command_explains_itself(report: Command) -> None:
    """No argument is a usage error; the help names every form and teaches by example."""
    assert report().code == Exit.USAGE
    text = report("--help").out
    assert all(form in text for form in ("text", "json", "markdown", "html", "junit", "csv"))
    assert "reboot-runner report web" in text


@pytest.mark.parametrize(
    "command", [("status",), ("approve", "--reason", "x"), ("cancel", "--reason", "x")]
)
def test_a_run_that_is_not_there_is_reported_with_the_store(
    lab: Lab, command: tuple[str, ...]
) -> None:
    """A wrong store is the usual cause: its address is said, without a password."""
    done = lab.run(command[0], "web", *command[1:])
    assert done.code == 1
    assert "error: no run 'web'" in done.err
    assert "this is the store sqlite:" in done.err
