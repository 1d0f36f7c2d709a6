"""The job that starts a workflow for what is due soon, against the stand-in for GitHub's API."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runner.starter.files import RUN_WORKFLOW, starter_files
from runner.starter.request import ActionSource, StarterRequest
from tests.github.standin import TOKEN, StandIn, serving
from tests.workflows.files import reusable, step

NAME = "Dispatch the workflow that goes on with suspended runs"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[StandIn]:
    with serving(tmp_path / "github") as server:
        yield server


def script_of(workflow: str) -> str:
    """The step's script: of a reusable workflow, or of the form that `init --hardened` writes."""
    if workflow != "hardened":
        return str(step(reusable(workflow), NAME)["run"])
    request = StarterRequest(source=ActionSource(revision="c0ffee42" * 5), hardened=True)
    text = next(file.text for file in starter_files(request, {}) if file.path == RUN_WORKFLOW)
    return str(yaml.safe_load(text)["jobs"]["follow-up"]["steps"][0]["run"])


def dispatch(github: StandIn, workflow: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the step as GitHub does."""
    script = script_of(workflow)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    given = {"WORKFLOW": "reboot-run.yml", "REF": '"main"', "PATH": os.environ["PATH"]}
    env = given | github.environ() | environ
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workflow", ["reboot-run.yml", "reboot-reconcile.yml", "hardened"])
def test_follow_up_starts_the_workflow(github: StandIn, workflow: str) -> None:
    """The named workflow is started once, on the default branch."""
    done = dispatch(github, workflow)
    assert done.returncode == 0, done.stdout + done.stderr
    assert github.state.lines("dispatches.jsonl") == [
        {"workflow": "reboot-run.yml", "ref": "main", "inputs": {}}
    ]


def test_refusal_is_told_without_the_token(github: StandIn) -> None:
    """A refusal ends the job red with GitHub's own words, and the token is in no output."""
    done = dispatch(github, "reboot-run.yml", GITHUB_TOKEN="wrong-token-0123456789")
    assert done.returncode != 0
    assert "Bad credentials" in done.stdout
    assert github.state.lines("dispatches.jsonl") == []
    done_well = dispatch(github, "reboot-run.yml")
    for text in (done.stdout, done.stderr, done_well.stdout, done_well.stderr):
        assert TOKEN not in text
        assert "wrong-token" not in text
