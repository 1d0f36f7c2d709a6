"""What the reusable workflows and the action promise, read from their files and from
running their scripts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner import __version__
from tests.workflows.files import (
    ACTION,
    INSTALL,
    REUSABLE,
    WORKFLOWS,
    called,
    load,
    reusable,
    step,
    steps,
)

SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
GOOD = "reboot-runner==0.1.0 --hash=sha256:" + "0" * 64


def jobs(name: str) -> dict[str, Any]:
    """The jobs of a reusable workflow."""
    found = reusable(name)["jobs"]
    assert isinstance(found, dict)
    return found


def bash(script: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a step's script as GitHub does."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    env = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_three_workflows_install_alike() -> None:
    """The one way of installing a release is the same text in all three."""
    installs = [step(reusable(name), INSTALL) for name in REUSABLE]
    assert installs[0] == installs[1] == installs[2]


@pytest.mark.parametrize("name", REUSABLE)
def test_no_expression_stands_in_a_script(name: str) -> None:
    """Inputs, events and secrets reach scripts by the environment only."""
    scripts = [it["run"] for it in steps(reusable(name)) if "run" in it]
    assert len(scripts) >= 2
    assert not [it for it in scripts if "${{" in it]


def test_no_expression_stands_in_the_action_s_scripts() -> None:
    """Inputs reach the action's scripts by the environment only, and its last line becomes
    the program.
    """
    scripts = [it["run"] for it in load(ACTION)["runs"]["steps"] if "run" in it]
    assert len(scripts) == 2
    assert not [it for it in scripts if "${{" in it]
    assert all(re.search(r"^(\w+=\S+ )?exec ", it.splitlines()[-1]) for it in scripts)
    assert all(it["shell"] == "bash" for it in load(ACTION)["runs"]["steps"] if "run" in it)


@pytest.mark.parametrize("name", REUSABLE)
def test_program_replaces_the_shell(name: str) -> None:
    """A signal to the step reaches the program: its script is one `exec`."""
    command = name.removeprefix("reboot-").removesuffix(".yml")
    last = [it["run"] for it in steps(reusable(name)) if it.get("id") == command]
    assert last == [f'exec "$RUNNER_TEMP/reboot-runner/bin/reboot-runner" github {command}']


@pytest.mark.parametrize("name", REUSABLE)
def test_every_input_and_secret_is_read(name: str) -> None:
    """No input or secret is declared that nothing reads, and none is read that is not declared."""
    text = (WORKFLOWS / name).read_text()
    for kind in ("inputs", "secrets"):
        assert set(called(name)[kind]) == set(re.findall(rf"\b{kind}\.([\w-]+)", text))


def test_every_input_of_the_action_is_read() -> None:
    """No input of the action is declared that nothing reads, and none is read that is
    not declared.
    """
    assert set(load(ACTION)["inputs"]) == set(re.findall(r"\binputs\.([\w-]+)", ACTION.read_text()))


@pytest.mark.parametrize("name", REUSABLE)
def test_secrets_are_named_one_by_one(name: str) -> None:
    """Secrets are declared and optional: an environment's own take their place."""
    assert all(it["required"] is False for it in called(name)["secrets"].values())
    assert not [secret for secret in called(name)["secrets"] if secret.endswith("_READ")]
    assert "inherit" not in (WORKFLOWS / name).read_text()


def test_forks_get_nothing() -> None:
    """Only a pull request of the repository's own branches has an environment and secrets;
    all else stays offline.
    """
    job = jobs("reboot-plan.yml")["plan"]
    assert job["env"] == {"TRUSTED": f"${{{{ {SAME_REPOSITORY} }}}}"}
    assert job["environment"] == f"${{{{ {SAME_REPOSITORY} && inputs.environment || '' }}}}"
    environ = step(reusable("reboot-plan.yml"), "Validate and diff")["env"]
    assert environ["REBOOT_RUNNER_GITHUB_OFFLINE"] == "${{ env.TRUSTED != 'true' }}"
    secrets = called("reboot-plan.yml")["secrets"]
    store = "(secrets.REBOOT_RUNNER_STORE || inputs.store)"
    for name in secrets:
        value = store if name == "REBOOT_RUNNER_STORE" else f"secrets.{name}"
        assert environ[name] == f"${{{{ env.TRUSTED == 'true' && {value} || '' }}}}"
    assert (WORKFLOWS / "reboot-plan.yml").read_text().count("secrets.") == len(secrets)


def test_dangerous_events_run_nothing() -> None:
    """The plan workflow works on `pull_request` and `merge_group` only, never on
    `pull_request_target`.
    """
    guard = jobs("reboot-plan.yml")["plan"]["if"]
    assert guard == "github.event_name == 'pull_request' || github.event_name == 'merge_group'"


@pytest.mark.parametrize("name", ["reboot-run.yml", "reboot-reconcile.yml"])
def test_servers_are_rebooted_from_the_default_branch_only(name: str) -> None:
    """A branch nobody has merged starts and continues nothing."""
    first = next(iter(jobs(name).values()))
    assert (
        "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)"
        in first["if"]
    )


def test_runs_of_one_environment_queue() -> None:
    """Runs of one environment come one after the other, and none is cancelled or dropped by
    the next.
    """
    run = jobs("reboot-run.yml")["run"]
    assert run["concurrency"] == {
        "group": "reboot-${{ inputs.environment }}",
        "cancel-in-progress": False,
        "queue": "max",
    }


@pytest.mark.parametrize("name", ["reboot-run.yml", "reboot-reconcile.yml"])
def test_program_suspends_before_its_job_ends(name: str) -> None:
    """The default deadline leaves time to write state and reports before the job's limit."""
    limit = next(iter(jobs(name).values()))["timeout-minutes"]
    deadline = called(name)["inputs"]["deadline"]["default"]
    assert limit < 360
    assert int(deadline.removesuffix("m")) <= limit - 15


@pytest.mark.parametrize("name", ["reboot-run.yml", "reboot-reconcile.yml"])
def test_only_the_follow_up_may_dispatch(name: str) -> None:
    """A job that does nothing else may dispatch a workflow; the others write journals
    and comments.
    """
    for job, it in jobs(name).items():
        writes = {key for key, value in it["permissions"].items() if value == "write"}
        told = {"pull-requests"} if job == "run" else set()
        assert writes == ({"actions"} if job == "follow-up" else {"id-token", "contents"} | told)


@pytest.mark.parametrize("name", REUSABLE)
def test_release_is_the_version_of_the_workflow(name: str) -> None:
    """Without the input `release`, a called workflow installs the version that it belongs to."""
    assert called(name)["inputs"]["release"]["default"] == f"reboot-runner=={__version__}"


@pytest.mark.parametrize(
    "release",
    [
        "",
        "reboot-runner",
        "reboot-runner==0.1.0 ",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n--index-url=http://192.0.2.1/",
        "--index-url=http://192.0.2.1/ " + GOOD,
        GOOD.replace("reboot-runner", "other"),
        GOOD.replace("0.1.0", "$(touch harm)"),
        GOOD.replace("0.1.0", "0.1.*"),
        GOOD.replace("sha256", "md5"),
    ],
)
def test_release_must_be_one_version(tmp_path: Path, release: str) -> None:
    """Anything but one version, with at most one SHA-256, ends the job before anything is
    installed or run.
    """
    done = bash(step(reusable("reboot-plan.yml"), INSTALL)["run"], tmp_path, RELEASE=release)
    assert done.returncode == 64
    assert "must read: reboot-runner==VERSION" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../../../x.yml", "a/b.yml", "x.yml?a=b", "x", "-x.yml", "x.yml\n"]
)
def test_follow_up_must_be_a_file_name(tmp_path: Path, name: str) -> None:
    """The name of the workflow to dispatch cannot lead elsewhere in the API."""
    script = step(
        reusable("reboot-run.yml"), "Dispatch the workflow that goes on with suspended runs"
    )["run"]
    done = bash(
        script,
        tmp_path,
        WORKFLOW=name,
        REF='"main"',
        GITHUB_TOKEN="t",
        GITHUB_API_URL="http://127.0.0.1:9",
    )
    assert done.returncode == 64, done.stderr


def test_defaults_of_action_and_workflows_agree() -> None:
    """What an input means without a value is the same in the action and in the workflows."""
    ours = {name: it.get("default") for name, it in load(ACTION)["inputs"].items()}
    for workflow in REUSABLE:
        for name, it in called(workflow)["inputs"].items():
            assert name not in ours or name == "base" or it["default"] == ours[name], json.dumps(
                [workflow, name]
            )
