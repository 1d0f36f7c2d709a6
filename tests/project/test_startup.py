"""Start-up stays cheap: what must not be imported before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {"asyncio", "httpx", "jinja2", "pydantic", "rich", "sqlite3", "starlette", "uvicorn", "yaml"}

HELP = """
import sys
from runner.cli.main import main
sys.argv = ["reboot-runner", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`, over those that it starts with."""
    tell = "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTEST"))}

    def held(program: str) -> set[str]:
        command = [sys.executable, "-c", program + tell]
        out = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
        return set(json.loads(out.splitlines()[-1]))

    return held(code) - held("")


@pytest.mark.parametrize("module", ["runner", "runner.errors", "runner.cli.main"])
def test_import_is_cheap(module: str) -> None:
    """Importing the package, its errors and its entry point loads none of the big libraries."""
    loaded = modules_after(f"import {module}")
    assert "runner" in loaded
    assert not loaded & HEAVY


def test_help_is_cheap() -> None:
    """`--help` lists the commands without importing what they need."""
    loaded = modules_after(HELP)
    assert "click" in loaded
    assert not loaded & HEAVY


def test_heavy_libraries_would_be_seen() -> None:
    """The way of looking works: a module that needs one of the big libraries shows it."""
    assert "pydantic" in modules_after("import runner.model.plan")
