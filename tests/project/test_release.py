"""What a release says about itself is the same everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import runner

ROOT = Path(__file__).resolve().parents[2]


def test_version_is_the_same_everywhere() -> None:
    """The package, the project file and the newest entry of the change log name one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert runner.__version__ == project["version"] == newest[1]


def test_supported_pythons_are_those_that_are_tested() -> None:
    """Each Python version that the project file claims is in the matrix of the CI workflow,
    and no other.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = {c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)}
    matrix = re.search(r"python: \[(.*)\]", (ROOT / ".github/workflows/ci.yml").read_text())
    assert matrix is not None
    assert claimed == set(re.findall(r'"([^"]+)"', matrix[1]))
    assert project["requires-python"] == ">=" + min(claimed, key=lambda v: int(v.split(".")[1]))
