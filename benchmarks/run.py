"""Calls and time of whole runs, on the simulated cloud over HTTP in virtual time, beside what
is possible at best.

    python benchmarks/run.py [--servers 1000] [--waves 10]

Prints, for each set-up: API calls per 1,000 servers by kind, wall time over the ideal
(longest reboot of each wave plus pauses), and the share of it that the durable journal
costs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from runner.simulator.fleet import FleetOptions
from runner.simulator.state import CloudOptions
from tests.runs.harness import ideal_seconds, simulated

PLAN = """
version: 1
name: benchmark
limits: {{servers: 200000, percent: 100}}
max_failures: 100%
groups:
  - name: all
    servers: {{all: true}}
    waves: [{size}]
    pause: {pause}
"""


async def measure(servers: int, size: int, pause: str, reboot_s: float | None = None) -> None:
    """One run; prints one row."""
    async with simulated(
        CloudOptions(fleet=FleetOptions(servers=servers, reboot_seconds=reboot_s))
    ) as field:
        before = len(field.calls())
        run_id = await field.begin(PLAN.format(size=size, pause=pause))
        planned = len(field.calls())
        cpu = time.process_time()
        run = await field.follow(run_id)
        cpu = time.process_time() - cpu
        assert run.ended
        times = field.state.reboot_counts()
        assert set(times.values()) == {1}
        assert len(times) == run.counts()["ready"]
        calls = Counter(c.call for c in field.calls()[planned:])
        wall = (run.ended - run.created).total_seconds()
        ideal = ideal_seconds(run, field.state)
        per = 1000 / servers
        took = "15-120 s" if reboot_s is None else f"{reboot_s:.0f} s"
        kinds = ", ".join(f"{n * per:.1f} {k}" for k, n in sorted(calls.items()))
        print(
            f"{servers:>7} servers, waves of {size:>5}, pause {pause:>4}, reboots of {took}:"
            f" {sum(calls.values()) * per:6.1f} calls per 1,000"
            f" ({kinds}); wall/ideal {wall / ideal:.3f} ({wall:.0f} s / {ideal:.0f} s);"
            f" {cpu:.2f} s CPU, cloud included; {planned - before} calls to plan"
        )


def main() -> None:
    """The set-ups side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--waves", type=int, default=10)
    options = parser.parse_args()
    size = max(1, options.servers // options.waves)
    asyncio.run(measure(options.servers, size, "0s", 40))
    asyncio.run(measure(options.servers, options.servers, "0s", 40))
    asyncio.run(measure(options.servers, size, "0s"))
    asyncio.run(measure(options.servers, size, "5m"))
    asyncio.run(measure(options.servers, options.servers, "0s"))


if __name__ == "__main__":
    main()
