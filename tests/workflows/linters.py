"""What three linters say of a repository's workflows and actions: zizmor, check-jsonschema,
actionlint with shellcheck.

    python -m tests.workflows.linters [ROOT]     prints each finding; 1 if there is any

All work offline. None is told to overlook anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
SHELLCHECK = f"-shellcheck={TOOLS / 'shellcheck'}"


class LinterFailed(Exception):
    """A linter could not do its work; nothing is known about the files."""


def lint(root: Path) -> list[str]:
    """Every finding about the workflows, actions and Dependabot's configuration in
    `root/.github`, as sentences.

    Raises LinterFailed where there is nothing to lint, or where a linter itself fails.
    """
    workflows, actions = files_of(root)
    if not workflows and not actions:
        raise LinterFailed(f"{root} has neither workflows nor actions")
    return [
        *zizmor(root),
        *schema(root, "vendor.github-workflows", workflows),
        *schema(root, "custom.github-workflows-require-timeout", workflows),
        *schema(root, "vendor.github-actions", actions),
        *schema(root, "vendor.dependabot", sorted((root / ".github").glob("dependabot.y*ml"))),
        *actionlint(root, workflows),
        *(finding for action in actions for finding in actionlint_of_action(root, action)),
    ]


def files_of(root: Path) -> tuple[list[Path], list[Path]]:
    """The workflow files and the action files under `.github`."""
    workflows = sorted((root / ".github" / "workflows").glob("*.y*ml"))
    return workflows, sorted((root / ".github" / "actions").rglob("action.y*ml"))


def zizmor(root: Path) -> Iterable[str]:
    """Injection, unpinned actions, wide permissions, dangerous triggers; the strictest
    persona that is for reading.
    """
    arguments = (
        "--offline",
        "--quiet",
        "--persona=pedantic",
        "--strict-collection",
        "--format=json",
        ".",
    )
    done = call("zizmor", *arguments, cwd=root)
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        yield f"zizmor: {done.stderr.partition('Stack backtrace:')[0].strip() or done.stdout.strip()}"  # noqa: E501
        return
    for finding in findings:
        place = next(p for p in finding["locations"] if p["symbolic"]["kind"] == "Primary")
        line = place["concrete"]["location"]["start_point"]["row"] + 1
        path = place["symbolic"]["key"]["Local"]["verbatim_path"]
        yield f"zizmor: {path}:{line}: {finding['ident']}: {place['symbolic']['annotation']}"


def schema(root: Path, name: str, files: Iterable[Path]) -> Iterable[str]:
    """Whether the files are what GitHub accepts, by a schema that check-jsonschema
    carries with it.
    """
    paths = [str(file) for file in files]
    if not paths:
        return
    # In this process: starting it anew for each schema would cost seconds.
    done = CliRunner().invoke(
        check_jsonschema, ["--builtin-schema", name, "--output-format", "json", *paths]
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise LinterFailed(f"check-jsonschema: {done.output.strip()}") from error
    for found in [*answer["errors"], *answer.get("parse_errors", [])]:
        yield (
            f"{name}: {Path(found['filename']).relative_to(root)}: {found.get('path', '')} "
            f"{found['message']}"
        )


def actionlint(root: Path, workflows: Iterable[Path]) -> Iterable[str]:
    """Expressions, contexts, needs, inputs of reusable workflows and local actions, and the
    shell of `run`.
    """
    paths = [str(file.relative_to(root)) for file in workflows]
    if paths:
        yield from _lines(call("actionlint", "-no-color", "-oneline", SHELLCHECK, *paths, cwd=root))


def actionlint_of_action(root: Path, action: Path) -> Iterable[str]:
    """The same for a composite action, which actionlint itself does not read: its steps as
    a workflow's job.
    """
    loaded = yaml.safe_load(action.read_text())
    text = json.dumps(as_workflow(loaded))
    done = call("actionlint", "-no-color", "-oneline", SHELLCHECK, "-", cwd=root, text=text)
    return [f"{action.relative_to(root)}: {line}" for line in _lines(done)]


def as_workflow(action: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow with the action's inputs, steps and outputs. Defaults have contexts of
    their own: left out.
    """
    inputs = {
        name: {"type": "string", "required": bool(it.get("required"))}
        for name, it in action.get("inputs", {}).items()
    }
    job = {
        "runs-on": "ubuntu-latest",
        "timeout-minutes": 5,
        "steps": [
            *action["runs"]["steps"],
            {"run": "true", "env": {"NONE": "", **_outputs(action)}},
        ],
    }
    return {"on": {"workflow_call": {"inputs": inputs}}, "permissions": {}, "jobs": {"action": job}}


def _outputs(action: Mapping[str, Any]) -> dict[str, str]:
    """The outputs' expressions, where actionlint reads them with the contexts that steps have."""
    return {
        name.replace("-", "_").upper(): it["value"]
        for name, it in action.get("outputs", {}).items()
    }


def _lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    if done.returncode not in (0, 1):
        raise LinterFailed(f"actionlint: {done.stderr.strip()}")
    return [f"actionlint: {line}" for line in done.stdout.splitlines()]


def call(
    tool: str, *arguments: str, cwd: Path, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment. Its exit code is for the caller to judge."""
    command = [str(TOOLS / tool), *arguments]
    return subprocess.run(command, cwd=cwd, input=text, capture_output=True, text=True, check=False)


def main(arguments: list[str]) -> int:
    """Print the findings; 1 if there is any."""
    root = Path(arguments[0]).resolve() if arguments else ROOT
    findings = lint(root)
    workflows, actions = files_of(root)
    for finding in findings:
        print(finding)
    print(f"{len(workflows)} workflows and {len(actions)} actions read, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
