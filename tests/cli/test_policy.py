"""`validate` with a policy, with `--changed`, and within what GitHub shows: output and
exit codes.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from runner.cli.main import invoke
from runner.loading.schemas import policy_schema
from runner.model.problem import Location, Problem, Severity
from runner.report.problems import problems_github

POLICY = """\
version: 1
max_wave: {servers: 50}
hard: {paths: ["plans/lab/**"]}
targets:
  - {paths: ["plans/prod/**"], allow: [prod]}
  - {paths: ["plans/**"], allow: [simulator]}
"""

PLAN = """\
version: 1
name: NAME
groups:
  - name: web
    servers: {tags: {role: web}}
    waves: [1, 60]
reboot: {type: HARD}
target: prod
"""

GOOD = PLAN.replace("60", "50").replace("HARD", "SOFT")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a policy and one good plan, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "REBOOT_RUNNER_CONFIG",
        "REBOOT_RUNNER_STORE",
        "GITHUB_EVENT_PATH",
        "GITHUB_ACTIONS",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    git("init", "-q", "-b", "main")
    (tmp_path / "plans" / "prod").mkdir(parents=True)
    (tmp_path / "plans" / "lab").mkdir()
    (tmp_path / "reboot-runner.yaml").write_text(
        "version: 1\npolicy: policy.yaml\n"
        "targets: {prod: {cloud: otc, region: eu-de}, lab: {cloud: otc, region: eu-de}}\n"
    )
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "plans" / "prod" / "good.yaml").write_text(GOOD.replace("NAME", "good"))
    return tmp_path


def git(*arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


def heads(text: str) -> list[str]:
    return [line.split(": policy")[0] for line in text.splitlines() if "PolicyViolated" in line]


def test_violations_are_problems_with_places(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that a plan breaks is shown together, each at its line, and ends 3; a plan that
    keeps the rules is fine.
    """
    (folder / "plans" / "prod" / "web.yaml").write_text(PLAN.replace("NAME", "web"))
    (folder / "plans" / "lab" / "web.yaml").write_text(PLAN.replace("NAME", "lab"))
    assert invoke(["validate", "plans/prod/good.yaml"]) == 0
    assert capsys.readouterr() == ("", "1 plan checked: no problems\n")
    assert invoke(["validate", "plans"]) == 3
    out = capsys.readouterr().out
    assert heads(out) == [
        *(
            "plans/lab/web.yaml:6:16: error[PolicyViolated]",
            "plans/lab/web.yaml:8:9: error[PolicyViolated]",
        ),
        *(
            "plans/prod/web.yaml:6:16: error[PolicyViolated]",
            "plans/prod/web.yaml:7:16: error[PolicyViolated]",
        ),
    ]
    assert "policy max_wave.servers allows 50, group web has a wave of 60" in out
    assert (
        "policy hard.paths allows HARD reboots in plans/lab/**, not in plans/prod/web.yaml" in out
    )
    assert "policy targets allows plans of plans/** to use simulator, not prod" in out


def test_a_path_cannot_be_dressed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dots and links on the way to a plan do not put it under another rule."""
    (folder / "plans" / "prod" / "web.yaml").write_text(PLAN.replace("NAME", "web"))
    (folder / "plans" / "lab" / "link.yaml").symlink_to("../prod/web.yaml")
    for written in ("plans/lab/../prod/web.yaml", "plans/lab/link.yaml"):
        assert invoke(["validate", written]) == 3
        assert "not in plans/prod/web.yaml" in capsys.readouterr().out


def test_a_plan_of_another_place_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan outside the policy's repository cannot be judged by its path, so it is refused."""
    path = tmp_path_factory.mktemp("elsewhere") / "web.yaml"
    path.write_text(GOOD.replace("NAME", "web"))
    assert invoke(["validate", str(path)]) == 3
    assert "error[OutsideRepository]: the policy cannot judge the plan" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_every_form_holds_violations(
    folder: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The form changes how violations look, not that they are there, nor the exit code."""
    (folder / "plans" / "prod" / "web.yaml").write_text(PLAN.replace("NAME", "web"))
    assert invoke(["validate", "-o", form, "plans"]) == 3
    out = capsys.readouterr().out
    assert "PolicyViolated" in out
    if form in ("json", "sarif"):
        json.loads(out)


def test_the_policy_is_checked_and_is_no_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy's own problems are among those of the plans; met in a folder, it is not
    taken for a plan.
    """
    assert invoke(["validate", "."]) == 0
    assert capsys.readouterr().err == "1 plan checked: no problems\n"
    (folder / "policy.yaml").write_text("version: 1\nmaxwave: {servers: 50}\n")
    assert invoke(["validate", "plans"]) == 3
    assert "policy.yaml:2:1: error[UnknownKey]" in capsys.readouterr().out
    (folder / "policy.yaml").unlink()
    assert invoke(["validate", "plans"]) == 3
    assert "policy.yaml:1:1: error[Unreadable]" in capsys.readouterr().out


def test_without_the_key_there_is_no_policy(folder: Path) -> None:
    """A policy.yaml that no configuration names binds nobody."""
    (folder / "reboot-runner.yaml").write_text(
        "version: 1\ntargets: {prod: {cloud: otc, region: eu-de}}\n"
    )
    (folder / "plans" / "prod" / "web.yaml").write_text(PLAN.replace("NAME", "web"))
    assert invoke(["validate", "plans"]) == 0


def test_only_what_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--changed checks the plans of a range alone; PLANS may be left out then; nothing
    changed is said and ends 0.
    """
    (folder / "plans" / "prod" / "old.yaml").write_text(PLAN.replace("NAME", "old"))
    git("add", "-A")
    git("commit", "-qm", "1")
    git("commit", "-qm", "2", "--allow-empty")
    assert invoke(["validate", "--changed", "HEAD~1..HEAD"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("no plan changed between ")
    assert invoke(["validate", "-o", "json", "--changed", "HEAD~1..HEAD"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == []
    (folder / "plans" / "prod" / "new.yaml").write_text(PLAN.replace("NAME", "new"))
    (folder / "policy.yaml").write_text(POLICY + "canary: {above: 3}\n")
    git("add", "-A")
    git("commit", "-qm", "3")
    for paths in ([], ["."]):
        assert invoke(["validate", *paths, "--changed", "HEAD~1..HEAD"]) == 3
        out, err = capsys.readouterr()
        assert {head.split(":")[0] for head in heads(out)} == {"plans/prod/new.yaml"}
        assert err == "1 plan checked: 2 errors\n"
    assert invoke(["validate"]) == 64
    assert invoke(["validate", "--changed", "nowhere..HEAD"]) == 64


def test_the_schema_is_that_of_the_loader() -> None:
    """Editors take a policy that the loader takes, and mark one that says nothing."""
    valid = jsonschema.Draft7Validator(policy_schema()).is_valid
    assert valid(
        {
            "version": 1,
            "max_wave": {"servers": 5},
            "targets": [{"paths": "plans/**", "allow": ["a"]}],
        }
    )
    assert not valid({"version": 1})
    assert not valid({"version": 1, "max_wave": {}})
    assert valid({"version": 1, "windows": "required"})
    assert not valid({"version": 1, "windows": "optional"})


def problem(file: str, line: int, severity: Severity = "error") -> Problem:
    return Problem("BadValue", f"{file} {line}", Location(file, line), severity=severity)


def test_no_more_annotations_than_github_shows() -> None:
    """At most ten of each kind: errors first, each file's first before any second; the last
    says how many are left.
    """
    many = [problem("a", n) for n in range(1, 21)] + [
        problem("b", 1),
        problem("c", 7),
        problem("w", 1, "warning"),
    ]
    out = problems_github(many)
    commands = [line for line in out.splitlines() if line.startswith("::")]
    assert [c.partition(" ")[0] for c in commands] == ["::error"] * 10 + ["::warning"]
    files = [c.split("file=")[1].split(",")[0] for c in commands]
    assert files == ["a", "b", "c", *"aaaaaaa", "w"]
    assert "%0Aand 12 more errors" in commands[9]
    assert "more" not in "".join(commands[:9] + commands[10:])


def test_what_github_would_drop_is_in_the_log() -> None:
    """The problems that get no annotation of their own follow as text: none is lost, and
    none becomes a command.
    """
    evil = [
        Problem("BadValue", "::error::forged\n::set-env name=A::b", Location(f"f{n:02}", n + 1))
        for n in range(15)
    ]
    out = problems_github(evil)
    commands = [line for line in out.splitlines() if line.lstrip().startswith("::")]
    assert len(commands) == 10
    assert all(f"f{n:02}" in out for n in range(15))
    assert problems_github(evil[:10]).count("\n") == 9
