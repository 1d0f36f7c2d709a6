"""The workflows and the action have no finding of the linters, and the linters do find what
is wrong.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.workflows.linters import ROOT, LinterFailed, lint


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of our workflows and actions."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_nothing_is_found() -> None:
    """zizmor at its strictest, GitHub's schemas and actionlint with shellcheck have nothing
    to say about our files.
    """
    assert lint(ROOT) == []


def test_each_linter_finds_what_is_wrong(copied: Path) -> None:
    """Injection, a floating action, a misspelt key, a job without limit, an unknown input,
    bad shell: each is found.
    """
    workflow = copied / ".github" / "workflows" / "reboot-run.yml"
    change(
        workflow,
        "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
        "actions/checkout@v7",
    )
    change(workflow, "    timeout-minutes: 350\n", "")
    change(workflow, "${{ inputs.deadline }}", "${{ inputs.dead-line }}")
    change(
        copied / ".github" / "workflows" / "reboot-plan.yml",
        "cancel-in-progress",
        "cancel-in-progres",
    )
    action = copied / ".github" / "actions" / "reboot-runner" / "action.yml"
    change(action, 'github "$COMMAND"', "github ${{ inputs.command }} $COMMAND")
    change(action, "${{ inputs.plans }}", "${{ inputs.plan }}")
    found = "\n".join(lint(copied))
    for part in (
        "unpinned-uses",
        "template-injection",
        "cancel-in-progres",
        "custom.github-workflows-require-timeout: .github/workflows/reboot-run.yml",
        '"dead-line" is not defined',
        'property "plan" is not defined',
        "SC2086",
    ):
        assert part in found, found


def test_unreadable_files_are_findings(copied: Path) -> None:
    """A file that no linter can read is a finding, not a file without findings."""
    change(copied / ".github" / "workflows" / "ci.yml", "name: ci", "name: [ci: [")
    assert len([finding for finding in lint(copied) if "ci.yml" in finding]) >= 2


def test_nothing_to_lint_is_an_error(tmp_path: Path) -> None:
    """A folder without workflows is a mistake of the caller, not a clean repository."""
    with pytest.raises(LinterFailed):
        lint(tmp_path)
