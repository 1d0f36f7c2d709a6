"""`diff` as people and CI call it, against a simulated cloud over HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.cli.main import invoke
from runner.model.shape import json_values
from runner.report import schedule_json
from runner.report.schemas import schema_of
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve
from runner.simulator.state import CloudOptions
from runner.simulator.timeline import utc_now
from tests.runs.harness import Field, simulated

PLAN = """\
version: 1
name: web-kernel
limits: {percent: 100}
groups:
  - name: web
    servers: {tags: {role: "{{ vars.role }}"}}
    waves: [1, 50%]
    pause: 5m
vars: {role: web}
"""
BAD = """\
version: 1
name: bad
groups:
  - name: web
    servers: {names: [nobody-*]}
    wavs: [1]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository with a plan; no configuration, so its only target is the embedded
    simulated cloud.
    """
    for name in ("CI", "REBOOT_RUNNER_CONFIG", "REBOOT_RUNNER_STORE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".git").mkdir()
    (tmp_path / "web.yaml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dry-run goes to stdout, says what to type next, and leaves no store behind."""
    assert invoke(["diff", "web.yaml"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("30 servers in 3 waves, none excluded; largest wave 15;")
    assert "next    reboot-runner run web.yaml --schedule-digest sha256:" in out
    assert "\x1b" not in out
    assert err == ""
    assert not (here / ".reboot-runner" / "runs.db").exists()


def test_detailed_exitcode(here: Path) -> None:
    """With --detailed-exitcode servers to reboot are exit 2, and nothing to do stays 0."""
    (here / "none.yaml").write_text(
        PLAN.replace("tags: {role", "zones: [nowhere], tags: {role")
        .replace("    waves", "    allow_empty: true\n    waves")
        .replace("web-kernel", "none")
    )
    assert invoke(["diff", "web.yaml", "--detailed-exitcode"]) == 2
    assert invoke(["diff", "none.yaml", "--detailed-exitcode"]) == 0
    assert invoke(["diff", "none.yaml", "web.yaml", "--detailed-exitcode"]) == 2


def test_json_and_saved_schedule(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is as published, and the saved file holds the same schedule, byte for byte the
    same the second time.
    """
    assert invoke(["diff", "web.yaml", "-o", "json", "--out", "saved.json"]) == 0
    made = json.loads(capsys.readouterr().out)
    jsonschema.validate(made, schema_of("diff"))
    assert made["result"] == "changes"
    saved = schedule_json.load((here / "saved.json").read_text())
    assert json_values(saved) == made["plans"][0]["schedule"]
    assert (
        made["plans"][0]["next"] == f"reboot-runner run saved.json --schedule-digest {saved.digest}"
    )
    assert invoke(["diff", "web.yaml", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["plans"][0]["schedule"]["digest"] == saved.digest
    assert sorted(p.name for p in here.iterdir()) == [
        ".git",
        ".reboot-runner",
        "saved.json",
        "web.yaml",
    ]


def test_markdown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown begins with the plan and its totals."""
    assert invoke(["diff", "web.yaml", "-o", "markdown"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("**30 servers in 3 waves")


def test_variables_are_repeated_in_the_next_command(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that runs the schedule takes the same variables and target, quoted
    for a shell.
    """
    (here / "more vars.yaml").write_text("role: db\n")
    options = ["--var", "role=api", "--vars-file", "more vars.yaml", "--target", "simulator"]
    assert invoke(["diff", "web.yaml", *options]) == 0
    out = capsys.readouterr().out
    assert "api-0" in out
    assert (
        "run web.yaml --target=simulator --var=role=api '--vars-file=more vars.yaml' "
        "--schedule-digest"
    ) in out


def test_problems_of_the_plan(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that cannot be read is exit 3 with its line on stderr; the others are shown
    all the same.
    """
    (here / "bad.yaml").write_text(BAD)
    assert invoke(["diff", "bad.yaml", "web.yaml"]) == 3
    out, err = capsys.readouterr()
    assert "30 servers in 3 waves" in out
    assert "bad.yaml:6:5: error[UnknownKey]" in err
    assert "wavs: [1]" in err


def test_problems_against_the_cloud(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What only the live cloud can tell is shown at its place in the plan, too."""
    (here / "bad.yaml").write_text(BAD.replace("wavs", "waves"))
    assert invoke(["diff", "bad.yaml", "-o", "json", "--out", "saved.json"]) == 3
    (problem,) = json.loads(capsys.readouterr().out)["plans"][0]["problems"]
    assert (problem["code"], problem["file"], problem["line"], problem["column"]) == (
        "EmptyMatch",
        "bad.yaml",
        5,
        14,
    )
    assert not (here / "saved.json").exists()


def test_limits(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan larger than its belts is refused at the belt's place."""
    (here / "web.yaml").write_text(PLAN.replace("{percent: 100}", "{servers: 5, percent: 100}"))
    assert invoke(["diff", "web.yaml"]) == 3
    assert (
        "web.yaml:3:19: error[LimitExceeded]: 30 servers would be rebooted"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["diff"], 64),
        (["diff", "web.yaml", "web2.yaml", "--out", "x.json"], 64),
        (["diff", "missing.yaml"], 3),
        (["diff", "web.yaml", "--target", "prod"], 3),
        (["diff", "web.yaml", "--out", "no/such/folder.json"], 1),
    ],
)
def test_wrong_calls(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    """Wrong calls have their documented codes and a sentence on stderr."""
    (here / "web2.yaml").write_text(PLAN)
    assert invoke(arguments) == code
    assert capsys.readouterr().err


def remote(field: Field, url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration whose target `lab` is this simulated cloud, spoken to like a real one."""
    keys = field.state.credentials
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", keys.ak)
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", keys.sk)
    target: dict[str, Any] = {
        "cloud": "simulator",
        "region": field.target.region,
        "project_id": field.target.project_id,
        "endpoints": {"ecs": url, "iam": url},
        "auth": "aksk",
    }
    (here / "reboot-runner.yaml").write_text(
        json.dumps({"version": 1, "store": "sqlite:///runs.db", "targets": {"lab": target}})
    )


def test_rebooted_in_the_cycle(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run nothing is left to do in its cycle, and that is said first; another cycle
    begins anew.
    """

    async def scene() -> list[int]:
        options = CloudOptions(fleet=FleetOptions(servers=20))
        async with (
            simulated(options, store=here / "runs.db") as field,
            serve(field.state) as served,
        ):
            remote(field, served.url, here, monkeypatch)
            await field.run(PLAN)
            field.state.wall = utc_now
            first = await asyncio.to_thread(invoke, ["diff", "web.yaml", "--detailed-exitcode"])
            (here / "web.yaml").write_text(PLAN.replace("limits:", "cycle: another\nlimits:"))
            return [
                first,
                await asyncio.to_thread(invoke, ["diff", "web.yaml", "--detailed-exitcode"]),
            ]

    assert asyncio.run(scene()) == [0, 2]
    first, second = capsys.readouterr().out.split("\n10 servers in ")
    assert first.startswith(
        "nothing to reboot: all 10 servers rebooted already in cycle web-kernel; write a new cycle"
    )
    assert "RebootedInCycle: 10 servers" in first
    assert "none excluded" in second


def test_the_target_fails(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused credentials are exit 77 with a sentence for each plan; nothing of the key
    is shown.
    """

    async def scene() -> int:
        async with simulated() as field, serve(field.state) as served:
            remote(field, served.url, here, monkeypatch)
            monkeypatch.setenv("HUAWEICLOUD_SDK_SK", "wrong-secret")
            return await asyncio.to_thread(invoke, ["diff", "web.yaml", "bad.yaml"])

    (here / "bad.yaml").write_text(BAD)
    assert asyncio.run(scene()) == 77
    out, err = capsys.readouterr()
    assert out.count("not planned: the cloud or the store could not be asked") == 1
    assert "error: web.yaml: " in err
    assert "error[UnknownKey]" in err
    assert "wrong-secret" not in out + err
