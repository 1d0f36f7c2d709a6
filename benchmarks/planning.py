"""100,000 servers from memory: planned and shown as text, in CPU seconds and peak megabytes.

Run: `python benchmarks/planning.py [--servers N] [--groups N]`. The servers are made before
the clock starts; what is measured is planning, forecast, text and the saved schedule.
Targets: 10 s of CPU and 500 MB for 100,000 servers. Then planning alone with rules of
spread over 1,000 domains, beside the same plan without.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Literal

from runner.model.inventory import Inventory, PowerState, Server
from runner.model.plan import Group, Limits, Plan, Selector
from runner.model.quantity import Amount
from runner.model.schedule import Target
from runner.planning.fleet import Fleet, TargetFleet
from runner.planning.forecast import forecast
from runner.planning.schedule import make_schedule
from runner.report.diff import PlanDiff, summary
from runner.report.diff_sections import diff_text
from runner.report.schedule_json import dump, load

DOMAINS = 1000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fleet(count: int, groups: int) -> Inventory:
    """`count` servers in three zones, each tagged for one of `groups` groups; one in fifty
    is not running.
    """
    chance = random.Random(1)
    servers = [
        Server(
            id=str(uuid.UUID(int=chance.getrandbits(128))),
            name=f"web-{n % groups}-{n:06d}",
            state=PowerState.STOPPED if n % 50 == 0 else PowerState.RUNNING,
            zone=f"eu-de-0{chance.randrange(3) + 1}",
            tags={"group": str(n % groups), "env": "prod", "rack": str(chance.randrange(DOMAINS))},
            server_group=f"group-{chance.randrange(DOMAINS)}",
        )
        for n in range(count)
    ]
    return Inventory(tuple(sorted(servers, key=lambda s: s.id)), NOW)


def spread_of(**rules: object) -> dict[str, Amount]:
    return {key.replace("__", ":"): Amount.parse(value) for key, value in rules.items()}


SPREADS: dict[str, dict[str, Amount] | None] = {
    "none written": None,
    "whole server groups allowed": spread_of(server_group="100%"),
    "server_group: 1": spread_of(server_group=1),
    "zone: 10%, server_group: 1, tag:rack: 1": spread_of(zone="10%", server_group=1, tag__rack=1),
    "zone: 1, server_group: 1": spread_of(zone=1, server_group=1),
}
"""From no rule to a wave for every three servers."""


def plan(count: int, groups: int, order: Literal["shuffle", "zone"] = "shuffle") -> Plan:
    """One group for each tag, chosen by tag and name, with an exclusion that must be asked
    of every server.
    """
    return Plan(
        version=1,
        name="benchmark",
        limits=Limits(servers=count, percent=100),
        max_failures=Amount(percent=2),
        groups=tuple(
            Group(
                name=f"group-{n}",
                servers=Selector(tags={"group": (str(n),)}, names=(f"web-{n}-*",)),
                exclude=Selector(names=("*-legacy-*",), tags={"reboot": ("disabled",)}),
                waves=(Amount(number=1), Amount(percent=10), Amount(percent=25)),
                pause=(timedelta(minutes=10),),
                order=order,
            )
            for n in range(groups)
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=20)
    options = parser.parse_args()
    inventory, wanted = (
        fleet(options.servers, options.groups),
        plan(options.servers, options.groups),
    )
    before = _peak_mb()
    clock = [time.process_time()]

    target = Target("benchmark", "simulator", "eu-west-101", "0" * 32)
    planned = make_schedule(
        wanted,
        "sha256:" + "0" * 64,
        Fleet.of([TargetFleet(target, inventory)]),
        now=NOW,
        plan_file="plans/benchmark.yaml",
    )
    assert planned.schedule is not None, planned.problems
    clock.append(time.process_time())

    diff = PlanDiff(
        "plans/benchmark.yaml", planned.schedule, forecast(planned.schedule), planned.problems
    )
    text = diff_text(diff)
    clock.append(time.process_time())
    mb_without_saving = _peak_mb()

    saved = dump(planned.schedule)
    clock.append(time.process_time())
    assert load(saved) == planned.schedule
    clock.append(time.process_time())

    print(summary(diff))
    print(f"plan                {clock[1] - clock[0]:6.2f} s CPU")
    print(f"text                {clock[2] - clock[1]:6.2f} s CPU, {len(text) / 1e6:.1f} MB")
    print(
        f"plan and diff       {clock[2] - clock[0]:6.2f} s CPU, peak {mb_without_saving:.0f} MB "
        f"({before:.0f} before)"
    )
    print(f"save                {clock[3] - clock[2]:6.2f} s CPU, {len(saved) / 1e6:.1f} MB")
    print(f"load with all checks{clock[4] - clock[3]:6.2f} s CPU, peak {_peak_mb():.0f} MB")
    for words, rules in SPREADS.items():
        _with_spread(words, rules, options.servers, inventory, target)


def _with_spread(
    words: str, rules: dict[str, Amount] | None, servers: int, inventory: Inventory, target: Target
) -> None:
    """Plan all servers as one group, which is where rules of spread cost most."""
    orders: tuple[Literal["shuffle", "zone"], ...] = ("shuffle", "zone")
    for order in orders:
        wanted = plan(servers, 1, order)
        everything = wanted.groups[0].model_copy(update={"servers": Selector(all=True)})
        wanted = wanted.model_copy(update={"groups": (everything,), "spread": rules})
        began = time.process_time()
        made = make_schedule(
            wanted, "sha256:" + "0" * 64, Fleet.of([TargetFleet(target, inventory)]), now=NOW
        )
        took = time.process_time() - began
        assert made.schedule is not None, made.problems
        print(
            f"plan, one group, order {order:8}{took:6.2f} s CPU, {len(made.schedule.waves):6} "
            f"waves, spread {words}"
        )


def _peak_mb() -> float:
    """The most memory the process held so far. Linux counts in KiB, macOS in bytes
    (getrusage(2), ru_maxrss).
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e3
    )


if __name__ == "__main__":
    main()
