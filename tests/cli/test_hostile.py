"""Text of the cloud and of people is shown, and nothing reads anything else into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.simulator.fleet import FleetOptions
from runner.simulator.inventory import load_fleet
from tests.cli.lab import Lab, Remote, remote

NAMES = [
    "::error file=a.yaml,line=1::owned",
    "##[error]owned",
    "plain ##[add-mask]owned",
    "\x1b[31mred\x1b[0m\x1b]0;owned\x07",
    "two\nlines\r\n::warning::owned",
    "\u202eright to left",
    "\x9b31mC1",
    "<script>owned()</script> [owned](http://example.com) @everyone `x` | y",
]
REASON = "\x1b]0;owned\x07\n::error::owned ##[error]owned"
PLAN = """\
version: 1
name: all
limits: {percent: 100}
max_failures: 100%
groups:
  - name: all
    servers: {all: true}
    exclude: {names: ["*@everyone*"]}
    order: listed
    waves: [2, 100%]
    pause: approval
"""


@pytest.fixture
def hostile(lab: Lab, tmp_path: Path) -> Iterator[Remote]:
    """A cloud whose servers are named by somebody who means ill, and whose messages are
    no better.
    """
    servers = [{"name": name, "tags": {"role": name.strip()[:30]}} for name in NAMES]
    (tmp_path / "inventory.json").write_text(json.dumps({"servers": servers}))
    fleet = load_fleet(tmp_path / "inventory.json", FleetOptions(reboot_seconds=0.1))
    with remote(lab, fleet=fleet) as one:
        lab.write("all.yaml", PLAN)
        failing = fleet.servers[1].id
        one.fault(
            do="job_fail",
            on="reboot",
            servers={"names": [failing]},
            reason=REASON,
            message=REASON,
            code="Ecs.0000",
        )
        yield one
        for child in lab.children:
            child.dispose()


def demand_harmless(text: str) -> None:
    """No control character but line breaks, no line that a CI runner takes for a command."""
    assert not [
        c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e"
    ]
    for line in text.splitlines():
        assert not line.lstrip().startswith("::"), line
        assert "##[" not in line, line


def test_nothing_is_interpreted(hostile: Remote) -> None:
    """Names, messages, reasons: through every command and form they stay text."""
    lab = hostile.lab
    begun = lab.run("-vv", "run", "all.yaml", "--no-wait")
    assert begun.code == 75, begun.err
    said = [begun, lab.run("halt", "--reason", REASON)]
    said += [lab.run("diff", "all.yaml", "-o", form) for form in ("text", "json", "markdown")]
    said += [lab.run("status"), lab.run("status", "-o", "json"), lab.run("unhalt")]
    said += [lab.run("status", "all"), lab.run("status", "all", "-o", "json")]
    said.append(lab.run("approve", "all", "--reason", REASON))
    said.append(lab.run("--log-format", "json", "resume", "all"))
    said += [
        lab.run("report", "all", "-o", form)
        for form in ("text", "json", "markdown", "html", "junit", "csv")
    ]
    said.append(lab.run("run", "all.yaml", "--target", REASON))
    said.append(lab.run("status", REASON))
    assert [d.code for d in said[-2:]] == [3, 1]
    for done in said:
        demand_harmless(done.out)
        demand_harmless(done.err)
    assert "owned" in begun.out, "the text is there, only harmless"
    assert max(hostile.reboots.values()) == 1


def test_a_terminal_obeys_nothing(hostile: Remote) -> None:
    """The live display sends the terminal its own sequences, and none of the cloud's."""
    done = hostile.lab.start("run", "all.yaml", "--no-wait", terminal=True).wait()
    assert done.code == 75
    assert "\x1b]0;" not in done.out
    assert "\x1b[31mred" not in done.out
    assert "\x07" not in done.out
    assert "\u202e" not in done.out
    assert "\x9b" not in done.out
    assert "owned" in done.out


def test_hostile_plan(lab: Lab) -> None:
    """What a plan holds is no better: problems of it are shown harmlessly in every form."""
    key = json.dumps(REASON)
    lab.write("bad.yaml", f"version: 1\nname: {key}\n{key}: 1\ndescription: {key}\n")
    for form in ("text", "json", "sarif"):
        done = lab.run("validate", "bad.yaml", "-o", form)
        assert done.code == 3
        demand_harmless(done.out + done.err)
    assert lab.run("run", "bad.yaml").code == 3
    for argv in (
        ["run", "bad.yaml"],
        ["diff", "bad.yaml"],
        ["--log-format", "json", "run", "bad.yaml"],
    ):
        done = lab.run(*argv)
        demand_harmless(done.out + done.err)
    annotations = lab.run("validate", "bad.yaml", "-o", "github").out.splitlines()
    assert all(
        line.startswith(("::error file=bad.yaml,", "::notice", "::warning")) for line in annotations
    )
