"""Asks a run's gates through the port, and hands what they said to the pure part."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from runner.execution import gating
from runner.execution.effects import AskGates, GateLook, Pace
from runner.execution.site import Setting
from runner.execution.writer import Writer
from runner.model.gate import GateAnswer
from runner.model.schedule import Schedule
from runner.ports import Gatekeeper


async def ask_gates(effect: AskGates, setting: Setting, writer: Writer, pace: Pace) -> None:
    """Ask all gates at once. The journal gets what has changed; this process remembers all, and when it was."""
    began = setting.clock.now()
    answers = await ask_all(writer.run.schedule, setting.rules)
    now = setting.clock.now()
    events = gating.news(writer.run, effect.wave, answers)
    if not events or writer.decide(events):
        pace.gates = GateLook(effect.wave, now, (now - began).total_seconds(), answers)


async def ask_all(schedule: Schedule, gatekeeper: Gatekeeper) -> tuple[GateAnswer, ...]:
    """The answers of a schedule's gates now, in their order."""
    servers = servers_of(schedule)
    return tuple(await asyncio.gather(*(gatekeeper.ask(gate, servers) for gate in schedule.gates)))


def servers_of(schedule: Schedule) -> Mapping[str, Collection[str]]:
    """The ids of a schedule's servers by their targets."""
    targets = {g.name: g.target for g in schedule.groups}
    found: dict[str, list[str]] = {}
    for wave in schedule.waves:
        found.setdefault(targets[wave.group], []).extend(s.id for s in wave.servers)
    return found
