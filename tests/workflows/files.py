"""The workflows and the action, read: what the tests of this folder look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
ACTION = ROOT / ".github" / "actions" / "reboot-runner" / "action.yml"
REUSABLE = ("reboot-plan.yml", "reboot-run.yml", "reboot-reconcile.yml")
INSTALL = "Install the release"


def load(path: Path) -> dict[str, Any]:
    """A workflow or action. The key `on` is read as YAML 1.1 reads it, so it is given
    back as text.
    """
    loaded = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in loaded.items()}


def documented_callers() -> dict[str, str]:
    """The callers of the reusable workflows that docs/github.md shows, by the path that
    their first line names.
    """
    text = (ROOT / "docs" / "github.md").read_text()
    blocks = re.findall(
        r"^```yaml\n(# (\.github/workflows/[\w-]+\.yml)\b.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    return {
        path: block
        for block, path in blocks
        if "/.github/workflows/reboot-" in block.partition("\n")[2]
    }


def documented_quick() -> dict[str, str]:
    """The two workflows of the quick path that docs/github.md shows, by the path that their
    first line names.
    """
    text = (ROOT / "docs" / "github.md").read_text()
    blocks = re.findall(
        r"^```yaml\n# (\.github/workflows/[\w-]+\.yml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    return {path: block for path, block in blocks if "/.github/actions/reboot-runner@" in block}


def called_workflows() -> dict[str, dict[str, Any]]:
    """The reusable workflows, by their file names."""
    return {name: reusable(name) for name in REUSABLE}


def reusable(name: str) -> dict[str, Any]:
    """One of the reusable workflows."""
    return load(WORKFLOWS / name)


def called(name: str) -> dict[str, Any]:
    """What a reusable workflow takes and gives: `inputs`, `secrets`, `outputs`."""
    interface = reusable(name)["on"]["workflow_call"]
    assert isinstance(interface, dict)
    return interface


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All steps of all jobs."""
    for job in workflow["jobs"].values():
        yield from job["steps"]


def step(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """The step of that name."""
    return next(it for it in steps(workflow) if it.get("name") == name)
