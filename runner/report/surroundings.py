"""What other services know of the servers that a schedule reboots, for people and programs.
Pure; names are not ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.model.bounds import Count
from runner.model.schedule import Schedule, ServerRef
from runner.model.shape import Shaped
from runner.model.surroundings import ScalingGroup, ScheduledEvent, Surroundings
from runner.report.folding import fold
from runner.report.run_words import count
from runner.report.sections import Emphasis, Line

Touched = tuple[list[tuple[ScalingGroup, list[ServerRef]]], list[tuple[ScheduledEvent, ServerRef]]]


def touched(schedule: Schedule, around: Surroundings) -> Touched:
    """Return the auto-scaling groups of which servers go down, each with those servers, and
    the events of such ones.
    """
    servers = {s.id: s for w in schedule.waves for s in w.servers}
    members = [
        (group, [servers[i] for i in group.members if i in servers])
        for group in around.scaling_groups
    ]
    events = [(event, servers[event.server]) for event in around.events if event.server in servers]
    return [(group, some) for group, some in members if some], events


def advice(schedule: Schedule, around: Surroundings | None) -> tuple[str, ...]:
    """What speaks against rebooting now, a sentence each; nothing where nothing does. Ours,
    but for numbers.
    """
    if around is None:
        return ()
    groups, events = touched(schedule, around)
    said = []
    if groups:
        members = len({s.id for _, some in groups for s in some})
        said.append(
            f"{count(members, 'server')} in {count(len(groups), 'auto-scaling group')}: a member "
            f"that reboots may be"
            " judged faulty and replaced by a new server"
        )
    if events:
        number = len({s.id for _, s in events})
        said.append(
            f"{count(number, 'server')} with a scheduled event of the provider: better wait until "
            f"it is over"
        )
    return tuple(said)


def surroundings_lines(
    schedule: Schedule, around: Surroundings | None, shared: frozenset[str] = frozenset()
) -> Iterator[Line]:
    """The advice, the groups and events behind it, each with its servers, and what could
    not be read.
    """
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


@dataclass(frozen=True, slots=True)
class ScalingGroupRow(Shaped):
    """An auto-scaling group of which servers are rebooted."""

    id: str
    name: str
    audit_minutes: int | None
    """How often it judges health; null where that is not said."""
    is_scaling: bool
    servers: tuple[ServerRef, ...]


@dataclass(frozen=True, slots=True)
class EventRow(Shaped):
    """What the provider plans to do with a server that is rebooted. Times as the cloud
    writes them.
    """

    id: str
    type: str
    state: str
    begins: str | None
    ends: str | None
    server: ServerRef


@dataclass(frozen=True, slots=True)
class SurroundingsRow(Shaped):
    """What other services of the cloud know of the servers that are rebooted: advice, and
    no part of the schedule.
    """

    servers_in_scaling_groups: Count
    servers_with_events: Count
    scaling_groups: tuple[ScalingGroupRow, ...]
    events: tuple[EventRow, ...]
    unread: tuple[str, ...]
    """What could not be read, a sentence each: nothing is known of it."""

    @classmethod
    def of(cls, schedule: Schedule, around: Surroundings) -> SurroundingsRow:
        groups, events = touched(schedule, around)
        return cls(
            len({s.id for _, some in groups for s in some}),
            len({s.id for _, s in events}),
            tuple(
                ScalingGroupRow(g.id, g.name, g.audit_minutes, g.is_scaling, tuple(some))
                for g, some in groups
            ),
            tuple(
                EventRow(e.id, e.type, e.state, e.begins or None, e.ends or None, s)
                for e, s in events
            ),
            tuple(around.unread),
        )
