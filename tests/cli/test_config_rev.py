"""Targets are a matter of the base revision: what a branch makes of them is shown, and
never used.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.cli.lab import Remote
from tests.cloud.wild import free_port
from tests.planning.test_targets_lifted import ELSEWHERE

GIT = ("git", "-c", "user.name=T", "-c", "user.email=t@example.com")


@pytest.fixture
def based(cloud: Remote) -> Remote:
    """The lab as a repository whose branch main holds its configuration and plan."""
    (cloud.lab.folder / ".git").rmdir()
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*GIT, *command], cwd=cloud.lab.folder, env=cloud.lab.env, check=True)
    return cloud


def change(cloud: Remote, **more: Any) -> None:
    """What a branch writes into its target."""
    made = json.loads((cloud.lab.folder / "reboot-runner.yaml").read_text())
    made["targets"]["lab"] |= more
    cloud.lab.configure(**made)


def test_endpoints_login_and_project_come_from_the_base(based: Remote) -> None:
    """A branch that points its target elsewhere is planned on the base's cloud; the
    difference is in its dry-run.
    """
    nowhere = f"http://127.0.0.1:{free_port()}"
    change(
        based,
        endpoints={"ecs": nowhere, "iam": nowhere},
        auth="password",
        project_id="0" * 32,
        rate={},
    )
    done = based.lab.run("diff", "web.yaml")
    assert (
        done.code == 77
    )  # the branch's own login has no password here: it is what would be used without --config-rev
    done = based.lab.run("diff", "web.yaml", "--config-rev", "main", "--base", "main")
    assert done.code == 0, done.err
    lifted = [line.strip() for line in done.out.splitlines() if "BELT LIFTED  target lab" in line]
    assert [line.partition(": ")[2].partition(" changed")[0] for line in lifted] == [
        *(
            "project_id",
            "endpoints.ecs",
            "endpoints.iam",
            "endpoints.ces",
            "endpoints.autoscaling",
            "auth",
        ),
    ], done.out
    assert f"endpoints.ecs changed: {based.url} → {nowhere}" in done.out.replace("->", "→")


def test_hosts_that_only_the_branch_could_allow(based: Remote) -> None:
    """A branch's bad endpoint is a problem of the branch's file, and none of what the base says."""
    change(based, endpoints=dict(ELSEWHERE))
    assert "BadEndpoint" in based.lab.run("validate", "web.yaml").out
    assert based.lab.run("diff", "web.yaml", "--config-rev", "main").code == 0
    assert based.posts == 0
