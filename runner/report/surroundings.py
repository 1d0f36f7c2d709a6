"""What other services know of the servers that a schedule reboots, for people and programs. Pure; names are not
ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.model.schedule import Schedule, ServerRef
from runner.model.surroundings import ScalingGroup, ScheduledEvent, Surroundings
from runner.report.folding import fold
from runner.report.run_words import count
from runner.report.sections import Emphasis, Line

Touched = tuple[list[tuple[ScalingGroup, list[ServerRef]]], list[tuple[ScheduledEvent, ServerRef]]]


def touched(schedule: Schedule, around: Surroundings) -> Touched:
    """Return the auto-scaling groups of which servers go down, each with those servers, and the events of such ones."""
    servers = {s.id: s for w in schedule.waves for s in w.servers}
    members = [(group, [servers[i] for i in group.members if i in servers]) for group in around.scaling_groups]
    events = [(event, servers[event.server]) for event in around.events if event.server in servers]
    return [(group, some) for group, some in members if some], events


def advice(schedule: Schedule, around: Surroundings | None) -> tuple[str, ...]:
    """What speaks against rebooting now, a sentence each; nothing where nothing does. Ours, but for numbers."""
    if around is None:
        return ()
    groups, events = touched(schedule, around)
    said = []
    if groups:
        members = len({s.id for _, some in groups for s in some})
        said.append(
            f"{count(members, 'server')} in {count(len(groups), 'auto-scaling group')}: a member that reboots may be"
            " judged faulty and replaced by a new server"
        )
    if events:
        number = len({s.id for _, s in events})
        said.append(f"{count(number, 'server')} with a scheduled event of the provider: better wait until it is over")
    return tuple(said)


def surroundings_lines(
    schedule: Schedule, around: Surroundings | None, shared: frozenset[str] = frozenset()
) -> Iterator[Line]:
    """The advice, the groups and events behind it, each with its servers, and what could not be read."""
    if around is None:
        return
    for words in advice(schedule, around):
        yield Line((Emphasis("warning"), f": {words}"))
    groups, events = touched(schedule, around)
    for group, some in groups:
        said = [f"judges health every {group.audit_minutes} min"] if group.audit_minutes else []
        said += ["is scaling now"] if group.is_scaling else []
        how = f" ({', '.join(said)})" if said else ""
        yield Line(f"auto-scaling group {group.name}{how}", fold(some, shared), level=1)
    found: dict[str, list[ServerRef]] = {}
    for event, server in events:
        times = " to ".join(filter(None, (event.begins, event.ends)))
        words = f"event {', '.join(filter(None, (event.type, event.state, times)))}"
        found.setdefault(words, []).append(server)
    for words, some in found.items():
        yield Line(words, fold(some, shared), level=1)
    for words in around.unread:
        yield Line(f"note: {words}")


def surroundings_json(schedule: Schedule | None, around: Surroundings | None) -> dict[str, Any] | None:
    """The same as plain values; None where nobody asked."""
    if schedule is None or around is None:
        return None
    groups, events = touched(schedule, around)
    return {
        "servers_in_scaling_groups": len({s.id for _, some in groups for s in some}),
        "servers_with_events": len({s.id for _, s in events}),
        "scaling_groups": [
            {
                "id": group.id,
                "name": group.name,
                "audit_minutes": group.audit_minutes,
                "is_scaling": group.is_scaling,
                "servers": [_server(s) for s in some],
            }
            for group, some in groups
        ],
        "events": [
            {
                "id": event.id,
                "type": event.type,
                "state": event.state,
                "begins": event.begins or None,
                "ends": event.ends or None,
                "server": _server(server),
            }
            for event, server in events
        ],
        "unread": list(around.unread),
    }


def _server(server: ServerRef) -> dict[str, str]:
    return {"id": server.id, "name": server.name, "zone": server.zone}
