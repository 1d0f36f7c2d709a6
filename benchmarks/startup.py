"""Start-up time of commands, as ratios to what they cannot do without. Prints, asserts nothing.

    python benchmarks/startup.py [--times 21]

Each pair is run alternately, so that whatever else the machine does falls on both; the ratio is that of the medians
of wall time, interpreter start included. Targets: `--help` at most 1.5 x `import click`, `validate` of a small plan
at most 2 x importing what it needs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
        for pair in pairs(plan):
            print(line(pair, *medians(pair, times)))
    return 0


def pairs(plan: Path) -> tuple[Pair, ...]:
    """What is compared. The commands run as modules: the same work as the installed script, in the same Python."""
    runner = (sys.executable, "-m", "runner")
    needs = "import click, jinja2.sandbox, pydantic, yaml"
    return (
        Pair("--help", (*runner, "--help"), "import click", (sys.executable, "-c", "import click"), 1.5),
        Pair("validate", (*runner, "validate", str(plan)), needs, (sys.executable, "-c", needs), 2.0),
    )


def medians(pair: Pair, times: int) -> tuple[float, float]:
    """Median seconds of the command and of what it is held against, run in turns after one of each unmeasured."""
    timed(pair.command), timed(pair.against)
    measured = [(timed(pair.command), timed(pair.against)) for _ in range(times)]
    return statistics.median(a for a, _ in measured), statistics.median(b for _, b in measured)


def timed(command: Sequence[str]) -> float:
    """Seconds that the command took. Raises CalledProcessError where it failed: a failure is no measurement."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def line(pair: Pair, seconds: float, against: float) -> str:
    """One line for people: both medians, their ratio, and the target."""
    return (
        f"{pair.name:9} {seconds * 1000:6.0f} ms   {pair.against_name} {against * 1000:.0f} ms   "
        f"ratio {seconds / against:.2f} (target {pair.target})"
    )


if __name__ == "__main__":
    sys.exit(main())
