"""Starting a workflow, so that a suspended run is gone on with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner.github.api import GitHub, GitHubError, repo_path
from runner.net.text import tidy

_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\.ya?ml")
MOST_INPUTS = 25


async def dispatch(
    api: GitHub, repo: str, workflow_file: str, ref: str, inputs: Mapping[str, str] | None = None
) -> None:
    """Ask GitHub to start the workflow (`reboot-reconcile.yml`) on a branch or tag. It must have `workflow_dispatch`.

    Raises GitHubError; callers turn it into a warning. Sent once: a second start would find nothing to do, but wait.
    """
    if not _FILE.fullmatch(workflow_file):
        raise GitHubError(
            f"{tidy(workflow_file, 100)} is not the name of a workflow's file",
            hint="name the file in .github/workflows without folders, for example reboot-reconcile.yml",
        )
    if inputs and len(inputs) > MOST_INPUTS:
        raise GitHubError(f"a workflow takes at most {MOST_INPUTS} inputs")
    path = repo_path(repo, "actions", "workflows", workflow_file, "dispatches")
    await api.write("POST", path, {"ref": ref, "inputs": dict(inputs or {})}, needs="actions: write")
