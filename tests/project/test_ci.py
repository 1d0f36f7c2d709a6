"""The workflows hold to their schemas and to least privilege; the same commands run
here and there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI_SCRIPT = ROOT / ".ci" / "run"


def load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize(
    "schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
)
def test_workflows_hold_to_their_schema(schema: str) -> None:
    """Every workflow is what GitHub accepts, and each of its jobs has a time limit."""
    assert WORKFLOWS
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        schema,
        *map(str, WORKFLOWS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dependency_updates_hold_to_their_schema() -> None:
    """The configuration of Dependabot is what it accepts."""
    file = str(ROOT / ".github" / "dependabot.yml")
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.dependabot",
        file,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_have_least_permissions(path: Path) -> None:
    """No permission is given to a whole workflow, and each job names its own."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_actions_are_pinned(path: Path) -> None:
    """Every action of others is named by a full commit, with its version beside it for people."""
    for line in re.findall(r"uses: (.*)", path.read_text()):
        assert line.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_checkouts_leave_no_credentials(path: Path) -> None:
    """No step after a checkout can find the token that it used."""
    checkouts = [
        step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_workflow_runs_the_ci_script() -> None:
    """What the workflow runs is the one script that can be run anywhere else, and then
    coverage by its own command.
    """
    commands = [
        step["run"] for step in steps(ROOT / ".github" / "workflows" / "ci.yml") if "run" in step
    ]
    assert commands == ["bash .ci/run", "python3 scripts/check.py coverage"]


def test_ci_runs_the_tests_as_the_readme_says() -> None:
    """The README's second command is what CI runs, to the letter."""
    commands = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(commands) >= 2
    second = commands[1].strip()
    assert "\n" not in second
    assert re.search(rf"^{re.escape(second)}(?= |$)", CI_SCRIPT.read_text(), re.MULTILINE)
