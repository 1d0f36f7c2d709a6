"""The workflows and the action, read: what the tests of this folder look at."""

from __future__ import annotations

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
    """A workflow or action. The key `on` is read as YAML 1.1 reads it, so it is given back as text."""
    loaded = yaml.safe_load(path.read_text())
    return {"on" if key is True else key: value for key, value in loaded.items()}


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
