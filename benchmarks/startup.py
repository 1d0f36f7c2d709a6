"""Start-up cost of commands, as ratios to what they cannot do without. Prints, asserts nothing.

    python benchmarks/startup.py [--times 21]

Measured is CPU time (user and system), interpreter start included, with compiled modules as
an installation has them. Each command and what it is held against are run in turns, so that
whatever else the machine does falls on both; the ratio is that of the medians. Targets:
`--help` at most 1.3 x `import click`; `validate` of a small plan at most 1.3 x importing
click, yaml and pydantic. The first model of a process makes pydantic import another part of
itself: the last line counts that to what cannot be done without.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNNER = "from runner.cli.main import main; main()"
"""What the installed script does."""
PLAN = """\
version: 1
name: web
groups:
  - name: web
    servers: {tags: {role: web}}
    waves: [1, 10%]
    pause: 10m
"""


@dataclass(frozen=True)
class Pair:
    """A command, what it is held against, and the ratio aimed at."""

    name: str
    command: tuple[str, ...]
    against_name: str
    against: tuple[str, ...]
    target: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a line for each pair."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=21, help="runs of each command (default: 21)")
    times = parser.parse_args(arguments).times
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.yaml")
        plan.write_text(PLAN)
        compiled = {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "PYTHONDONTWRITEBYTECODE": ""}
        environment = os.environ | compiled | {"PYTHONPATH": str(ROOT)}
        for pair in pairs(plan):
            print(line(pair, *medians(pair, times, environment)))
    return 0


def pairs(plan: Path) -> tuple[Pair, ...]:
    """Return what is compared."""
    needs = "import click, yaml; from pydantic import BaseModel, Field, TypeAdapter"
    model = f"{needs}\nclass Model(BaseModel):\n    number: int"
    validate = (sys.executable, "-c", RUNNER, "validate", str(plan))
    return (
        Pair(
            "--help",
            (sys.executable, "-c", RUNNER, "--help"),
            "import click",
            (sys.executable, "-c", "import click"),
            1.3,
        ),
        Pair(
            "validate", validate, "import click, yaml, pydantic", (sys.executable, "-c", needs), 1.3
        ),
        Pair("validate", validate, "the same and one model", (sys.executable, "-c", model), 1.3),
    )


def medians(pair: Pair, times: int, environment: dict[str, str]) -> tuple[float, float]:
    """Return median CPU seconds of the command and of what it is held against, after one
    unmeasured run of each.
    """
    spent(pair.command, environment), spent(pair.against, environment)
    measured = [
        (spent(pair.command, environment), spent(pair.against, environment)) for _ in range(times)
    ]
    return statistics.median(a for a, _ in measured), statistics.median(b for _, b in measured)


def spent(command: Sequence[str], environment: dict[str, str]) -> float:
    """Return the CPU seconds of a command. Raises CalledProcessError if it fails: a failure
    is no measurement.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def line(pair: Pair, seconds: float, against: float) -> str:
    """One line for people: both medians, their ratio, and the target."""
    return (
        f"{pair.name:9} {seconds * 1000:6.0f} ms   {pair.against_name} {against * 1000:.0f} ms   "
        f"ratio {seconds / against:.2f} (target {pair.target})"
    )


if __name__ == "__main__":
    sys.exit(main())
