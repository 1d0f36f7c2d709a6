"""Servers, plans and schedules for tests, as short as they can be said."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from runner.model.inventory import Inventory, PowerState, Server, ServerGroup, Task
from runner.model.plan import Plan
from runner.model.problem import Problem
from runner.model.schedule import Schedule, Target
from runner.planning.fleet import NEVER, Fleet, Last, TargetFleet
from runner.planning.schedule import Planned, make_schedule

NOW = datetime(2026, 11, 3, 21, 0, tzinfo=UTC)
TARGET = Target("test", "simulator", "eu-west-101", "05041fffa40025702f6dc009cc6f8f33")
PLAN_DIGEST = "sha256:" + "ab" * 32


def sid(n: int) -> str:
    """A server id in the cloud's form; they sort by `n`."""
    return str(uuid.UUID(int=n))


def server(n: int, name: str = "", **fields: Any) -> Server:
    """Server `n`: running, idle, named web-00n where nothing else is said."""
    state, task = PowerState(fields.pop("state", "running")), fields.pop("task", None)
    words = f"state {state}, task {task}" if task else f"state {state}"
    known = {"id": sid(n), "name": name or f"web-{n:03d}", "state": state, "words": words}
    return Server(**{**known, "task": Task(task) if task else None, **fields})


def inventory(servers: Iterable[Server], groups: Collection[ServerGroup] = ()) -> Inventory:
    return Inventory(tuple(sorted(servers, key=lambda s: s.id)), NOW, tuple(groups))


def group(
    name: str = "web", servers: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A group of all servers, one at a time, where nothing else is said."""
    return {"name": name, "servers": servers or {"all": True}, "waves": (1,), **fields}


def plan(*groups: dict[str, Any], **fields: Any) -> Plan:
    """A plan without belts (they have tests of their own)."""
    made = {
        "version": 1,
        "name": "kernel",
        "limits": {"servers": 200_000, "percent": 100.0},
        "groups": groups or (group(),),
        **fields,
    }
    return Plan.model_validate(made)


def one_target(
    has: Inventory, spent: Collection[str] = (), is_last: Last = NEVER, target: Target = TARGET
) -> Fleet:
    """One target with these servers."""
    return Fleet.of([TargetFleet(target, has, spent, is_last)])


def planned(
    wanted: Plan, has: Inventory, spent: Collection[str] = (), is_last: Last = NEVER, **options: Any
) -> Planned:
    return make_schedule(
        wanted, PLAN_DIGEST, one_target(has, spent, is_last), **{"now": NOW, **options}
    )


def schedule(wanted: Plan, has: Inventory, spent: Collection[str] = (), **options: Any) -> Schedule:
    """The schedule of a plan that is in order."""
    made = planned(wanted, has, spent, **options)
    assert made.schedule is not None, made.problems
    return made.schedule


def ids(made: Schedule) -> list[list[str]]:
    """The server ids of each wave."""
    return [[s.id for s in wave.servers] for wave in made.waves]


def sizes(made: Schedule) -> list[int]:
    return [len(wave.servers) for wave in made.waves]


def codes(problems: Iterable[Problem]) -> list[str]:
    return [p.code for p in problems]
