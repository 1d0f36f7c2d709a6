"""Run the workflows end to end on this machine, in their long form, and show how each scene ended.

    python -m tests.workflows.act            # a few minutes; needs a package index, as pip is configured
    python -m tests.workflows.act -k cancel  # arguments go to pytest

Real Git, a simulated cloud as a process, a stand-in for GitHub's API, act in self-hosted
mode: no Docker, no GitHub.
"""  # noqa: E501

from __future__ import annotations

import subprocess
import sys

from tests.workflows.files import ROOT

FILES = ("tests/workflows/test_act.py", "tests/workflows/test_hook.py")


def main(arguments: list[str]) -> int:
    """All tests of the end-to-end files, then the end of each job's log; pytest's own exit code."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-vv",
        "-rP",
        "-m",
        "full or not full",
        "--durations=9",
        *FILES,
        *arguments,
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
