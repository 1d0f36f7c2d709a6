"""World rules made real: the lines of the log that a rule about the fleet comes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.simulator import events as ev
from runner.simulator import faults
from runner.simulator.reboots import accept_from_somebody
from runner.simulator.timeline import Millis, length_millis
from runner.simulator.world import World


def change_events(rule: faults.Rule, world: World, now: Millis) -> Iterator[ev.Event]:
    """What a world rule does. Other rules change nothing by themselves.

    A rule without `on` happens at its `at`, counted from `now`; one with `on` happens now.
    """
    if not isinstance(rule, faults.WorldRule):
        return
    at = now if rule.on or rule.at is None else now + length_millis(rule.at)
    if isinstance(rule, faults.CreateServers):
        yield ev.Created(at, rule.count)
        return
    chosen = rule.servers.choose((world.servers[s] for s in world.roster(now)), world.fleet.options.seed, 0)
    if not chosen:
        return
    if isinstance(rule, faults.RebootBySomebody):
        yield accept_from_somebody(world, now, at, chosen, rule.type)
        return
    until = None if rule.lasts is None else at + length_millis(rule.lasts)
    yield ev.Changed(at, tuple(chosen), _values(rule), until)


def _values(rule: faults.WorldRule) -> dict[str, Any]:
    match rule:
        case faults.Locked():
            return {"locked": True}
        case faults.Frozen():
            return {"frozen": True}
        case faults.Busy():
            return {"task_state": rule.task_state}
        case faults.Missing():
            return {"deleted": True}
        case faults.NotActive():
            return {"status": rule.status, "task_state": None}
        case faults.Alarm():
            return {"alarm": rule.name, "shared": rule.rule == "shared"}
        case faults.ScalingGroup():
            return {
                "scaling_group": rule.name,
                "audit_minutes": round(rule.audit.total_seconds() / 60),
                "is_scaling": rule.is_scaling,
            }
        case faults.ScheduledEvent():
            window = {"begins": length_millis(rule.begins), "lasts": length_millis(rule.lasts_for)}
            return {"scheduled_event": rule.type, "state": rule.state, **window}
        case faults.SetTags():
            return {"tags": dict(rule.tags)}
        case _:
            raise AssertionError(f"no change for {type(rule).__name__}")
