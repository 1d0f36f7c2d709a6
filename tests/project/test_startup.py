"""Start-up stays cheap: what must not be imported before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {
    "asyncio",
    "httpx",
    "jinja2",
    "pydantic",
    "rich",
    "sqlite3",
    "starlette",
    "uvicorn",
    "yaml",
}

UNUSED = {"concurrent", "http", "logging", "ssl", "subprocess", "traceback"}
"""What `validate` needs as little as the big libraries, where no plan has templates."""

RUN = """
import sys
from runner.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
"""

PLAN = """\
version: 1
name: web
groups: [{name: web, servers: {tags: {role: web}}, waves: [1, 10%], pause: 10m}]
"""


def modules_after(code: str, *arguments: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after `code`, over those that it
    starts with.

    Of libraries only the top.
    """
    tell = "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTEST"))}

    def held(program: str) -> set[str]:
        command = [sys.executable, "-c", program + tell, *arguments]
        out = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        ).stdout
        names = json.loads(out.splitlines()[-1])
        return {name.partition(".")[0] for name in names} | {
            name for name in names if name.startswith("runner.")
        }

    return held(code) - held("")


@pytest.mark.parametrize("module", ["runner", "runner.errors", "runner.cli.main"])
def test_import_is_cheap(module: str) -> None:
    """Importing the package, its errors and its entry point loads none of the big libraries."""
    loaded = modules_after(f"import {module}")
    assert "runner" in loaded
    assert not loaded & HEAVY


def test_help_is_cheap() -> None:
    """`--help` lists the commands without importing what they need."""
    loaded = modules_after(RUN, "--help")
    assert "click" in loaded
    assert not loaded & HEAVY
    ours = {name for name in loaded if name.startswith("runner.")}
    assert ours == {
        "runner.cli",
        "runner.cli.main",
        "runner.errors",
        "runner.model",
        "runner.model.problem",
    }


def test_validate_is_cheap(tmp_path: Path) -> None:
    """`validate` of a plain plan imports what reads and checks plans, and nothing that
    runs them.
    """
    plan = tmp_path / "web.yaml"
    plan.write_text(PLAN)
    loaded = modules_after(RUN, "validate", str(plan))
    assert not loaded & ((HEAVY | UNUSED) - {"pydantic", "yaml"})
    assert not loaded & {"runner.model.schedule", "runner.model.run"}
    parts = {name.split(".")[1] for name in loaded if name.startswith("runner.")}
    assert parts == {
        "app",
        "cli",
        "errors",
        "inputs",
        "loading",
        "model",
        "net",
        "planning",
        "report",
    }


def test_heavy_libraries_would_be_seen() -> None:
    """The way of looking works: a module that needs one of the big libraries shows it."""
    assert "pydantic" in modules_after("import runner.model.plan")
