"""The pre-commit hook finds what is wrong with plans, called as pre-commit calls it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflows.files import ROOT
from tests.workflows.place import AUTHOR, TOOLS

PLAN = (
    "version: 1\nname: {name}\ngroups:\n  - {{name: web, servers: {{names: [web-1]}}, "
    "waves: [{wave}]}}\n"
)


def hook() -> dict[str, Any]:
    """The hook as users get it."""
    (found,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a good plan, a list beside it, and other YAML."""
    folder = tmp_path / "repo"
    (folder / "plans" / "lists").mkdir(parents=True)
    (folder / "plans" / "web.yaml").write_text(PLAN.format(name="web", wave=1))
    (folder / "plans" / "lists" / "databases.txt").write_text("db-1\n")
    (folder / "other.yaml").write_text("no: plan\n")
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "Plans"],
    ):
        subprocess.run(["git", *command], cwd=folder, env=environment(tmp_path), check=True)
    return folder


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "LANG"))}
    path = f"{TOOLS}:{os.environ['PATH']}"
    return kept | {"PATH": path, "HOME": str(home), "PRE_COMMIT_HOME": str(home / "pc")} | AUTHOR


def as_pre_commit_calls(repo: Path) -> subprocess.CompletedProcess[str]:
    """The entry with the files that the pattern takes, in the root of the repository."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=repo, capture_output=True, text=True, check=True
    ).stdout.split()
    files = [file for file in listed if re.search(hook()["files"], file)]
    program, *words = shlex.split(hook()["entry"])
    assert program == "reboot-runner"
    command = [sys.executable, "-m", "runner", *words, *files]
    env = environment(repo.parent) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, check=False)


def test_hook_is_one_that_pre_commit_takes() -> None:
    """pre-commit accepts the file, and the hook is installed as Python from this project."""
    command = [
        sys.executable,
        "-m",
        "pre_commit",
        "validate-manifest",
        str(ROOT / ".pre-commit-hooks.yaml"),
    ]
    assert subprocess.run(command, check=False).returncode == 0
    assert (hook()["id"], hook()["language"]) == ("validate-plans", "python")


def test_good_plans_pass(repo: Path) -> None:
    """Plans without a problem pass, and files that are no plans are not looked at."""
    done = as_pre_commit_calls(repo)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bad_plans_are_named_with_their_place(repo: Path) -> None:
    """A plan with a problem stops the commit, and the place of the problem is said."""
    (repo / "plans" / "web.yaml").write_text(PLAN.format(name="web", wave=0))
    done = as_pre_commit_calls(repo)
    assert done.returncode == 3
    assert re.search(r"^plans/web\.yaml:4:\d+: error", done.stdout + done.stderr, re.MULTILINE)


@pytest.mark.full
def test_hook_as_pre_commit_runs_it(repo: Path, tmp_path: Path) -> None:
    """pre-commit builds the hook's environment from this repository, passes good plans and
    stops bad ones.
    """
    ours = tmp_path / "ours"
    env = environment(tmp_path)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(ours)], env=env, check=True)
    command = [
        sys.executable,
        "-m",
        "pre_commit",
        "try-repo",
        str(ours),
        "validate-plans",
        "--all-files",
    ]
    good = subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout
    (repo / "plans" / "web.yaml").write_text(PLAN.format(name="web", wave=0))
    bad = subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "plans/web.yaml:4:" in bad.stdout
