"""Which stream says what, in which form, and with how much colour."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.cli.forked import Done
from tests.cli.lab import PLAN, Lab, Remote

ESCAPE = "\x1b"
COLOURED = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7])(?:;\d+)*m")
BROKEN = PLAN.replace("waves", "wavs")


def at_a_terminal(lab: Lab, *argv: str, **env: str) -> Done:
    return lab.start(*argv, env=env, terminal=True).wait()


def test_live_display_at_a_terminal(lab: Lab) -> None:
    """At a terminal a run is drawn, and its report stays when the drawing is gone."""
    done = at_a_terminal(lab, "run", "web.yaml")
    assert done.code == 0
    assert f"{ESCAPE}[J" in done.out, "lines are cleared and drawn again"
    assert COLOURED.search(done.out)
    report = done.out[done.out.rindex("is done: 10 of 10") :]
    assert ESCAPE not in report


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}])
def test_no_display_where_it_would_be_noise(lab: Lab, env: dict[str, str]) -> None:
    """In CI and on a dumb terminal there are whole lines."""
    done = at_a_terminal(lab, "run", "web.yaml", **env)
    assert done.code == 0
    assert ESCAPE not in done.out
    assert "batch 1: accepted" in done.out


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_display_without_colour(lab: Lab, how: str) -> None:
    """`--color never` and NO_COLOR take the colour, not the display."""
    option, env = (["--color", "never"], {}) if how == "option" else ([], {"NO_COLOR": "1"})
    done = at_a_terminal(lab, *option, "run", "web.yaml", **env)
    assert done.code == 0
    assert f"{ESCAPE}[J" in done.out
    assert not COLOURED.search(done.out)


@pytest.mark.parametrize(
    ("option", "env", "terminal", "coloured"),
    [
        ([], {}, False, False),
        ([], {}, True, True),
        (["--color", "always"], {}, False, True),
        (["--color", "never"], {}, True, False),
        ([], {"NO_COLOR": "1"}, True, False),
        (["--color", "always"], {"NO_COLOR": "1"}, False, True),
        ([], {"FORCE_COLOR": "1"}, False, True),
    ],
)
@pytest.mark.parametrize(
    "command", [["validate", "web.yaml"], ["run", "web.yaml"], ["status", "nobody"]]
)
def test_colour_of_problems_and_errors(
    lab: Lab,
    command: list[str],
    option: list[str],
    env: dict[str, str],
    terminal: bool,
    coloured: bool,
) -> None:
    """Where a person sees it, or where it is asked for."""
    lab.write("web.yaml", BROKEN)
    done = lab.start(*option, *command, env=env, terminal=terminal).wait()
    assert done.code in (1, 3)
    assert (ESCAPE in done.out + done.err) is coloured


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_talk_as_json(lab: Lab) -> None:
    """With `--log-format json` each line on stderr is an object with time and message;
    stdout is as ever.
    """
    done = lab.run("--log-format", "json", "-vv", "run", "web.yaml")
    assert done.code == 0
    lines = objects(done.err)
    assert all({"at", "message"} <= set(line) for line in lines)
    assert {"wave.started", "batch.accepted"} <= {line.get("event") for line in lines}
    assert any(str(line["message"]).startswith("http: ") for line in lines)
    assert "is done: 10 of 10 servers ready" in done.out


@pytest.mark.parametrize(
    ("argv", "code", "fields"),
    [
        (["run", "web.yaml"], 3, {"code": "UnknownKey", "file": "web.yaml", "line": 7}),
        (["status", "nobody"], 1, {"result": "error"}),
        (["status", "--bogus"], 64, {"result": "usage"}),
        (["approve", "nobody"], 64, {"result": "usage"}),
        (["run"], 64, {"result": "usage"}),
        (["diff", "web.yaml", "missing.yaml"], 3, {"file": "missing.yaml"}),
        (["validate", "web.yaml"], 3, {"errors": 2}),
    ],
)
def test_errors_as_json(lab: Lab, argv: list[str], code: int, fields: dict[str, object]) -> None:
    """Errors, problems of files and wrong usage are objects too."""
    lab.write("web.yaml", BROKEN)
    done = lab.run("--log-format", "json", *argv)
    assert done.code == code
    assert any(fields.items() <= line.items() for line in objects(done.err)), done.err


@pytest.mark.parametrize("form", ["text", "json"])
def test_stdout_is_data_only(cloud: Remote, form: str) -> None:
    """What a script reads is on stdout and nothing else: `-o json` parses, whatever is said
    on stderr.
    """
    lab = cloud.lab
    cloud.fault(do="error", on="list", status=500)
    options = ["-o", form] if form != "text" else []
    shown = lab.run("-v", "diff", "web.yaml", *options)
    assert shown.code == 0
    assert "http: " in shown.err
    assert "http: " not in shown.out
    assert lab.run("run", "web.yaml").code == 0
    for command in (["status"], ["status", "web"], ["report", "web"]):
        done = lab.run("-vv", *command, *options)
        assert (done.code, done.err) == (0, "")
        if form == "json":
            assert json.loads(done.out)["format_version"] == 1


def into_closed_pipe(lab: Lab, *argv: str, **env: str) -> Done:
    """`reboot-runner … | head`, where head has gone already."""
    read, write = os.pipe()
    os.close(read)
    return lab.start(*argv, env=env, stdout=write).wait()


@pytest.mark.parametrize(
    "argv",
    [
        ["status"],
        ["schema", "plan"],
        ["--help"],
        ["--version"],
        ["diff", "web.yaml"],
        ["report", "web"],
    ],
)
def test_head_has_seen_enough(lab: Lab, argv: list[str]) -> None:
    """A reader that goes away is not an error: no traceback, exit 0."""
    if argv[0] == "report":
        assert lab.run("run", "web.yaml").code == 0
    done = into_closed_pipe(lab, *argv)
    assert (done.code, done.err) == (0, "")


def test_the_exit_code_outlives_the_reader(cloud: Remote) -> None:
    """`run | head` still exits as the run ended, so that a script with pipefail sees it."""
    cloud.fault(do="job_fail", on="reboot", servers={"names": ["web-*"]})
    assert into_closed_pipe(cloud.lab, "run", "web.yaml").code == 5
    assert into_closed_pipe(cloud.lab, "run", "web.yaml").code == 5
    assert into_closed_pipe(cloud.lab, "diff", "web.yaml", "--detailed-exitcode").code == 2


def test_what_cannot_be_encoded(lab: Lab) -> None:
    """A terminal that knows only Latin letters gets replacements for others, not a traceback."""
    lab.write("web.yaml", BROKEN.replace("limits", "ключ: 1\nlimits"))
    done = lab.run("validate", "web.yaml", env={"PYTHONIOENCODING": "iso-8859-1"})
    assert done.code == 3, done.err
    assert "\\u043a\\u043b\\u044e\\u0447" in done.out
    assert "Traceback" not in done.err
