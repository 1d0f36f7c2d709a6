"""What planning looks at: the targets of a plan, each with its servers, and which group's
servers are in which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from runner.model.inventory import Inventory, Server
from runner.model.plan import Group, Plan
from runner.model.schedule import Target
from runner.planning.select import Index

Last = Callable[[Server], bool]
"""Whether a server goes down after all others (support of the runner)."""


def NEVER(server: Server) -> bool:  # noqa: N802 - a constant
    return False


@dataclass(frozen=True)
class TargetFleet:
    """One target with its servers as they are now.

    `spent`: ids of servers that were rebooted in the plan's cycle already. `unfinished`: by
    id, which run of the cycle asked for a server that is not ready, and what became of it.
    `is_last`: which ones go down after all others.
    """

    target: Target
    inventory: Inventory
    spent: Collection[str] = frozenset()
    is_last: Last = NEVER
    unfinished: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def index(self) -> Index:
        return Index(self.inventory)


@dataclass(frozen=True)
class Fleet:
    """The targets that a plan uses, in the order of its groups. `default`: for groups that
    name none.
    """

    places: Mapping[str, TargetFleet]
    default: str

    @classmethod
    def of(cls, places: Iterable[TargetFleet], default: str | None = None) -> Fleet:
        """The first place is the default where none is named. Raises ValueError without any."""
        by_name = {p.target.name: p for p in places}
        if not by_name:
            raise ValueError("a plan uses at least one target")
        return cls(by_name, default or next(iter(by_name)))

    def place(self, group: Group) -> TargetFleet:
        """Where a group's servers are. Raises KeyError for a target that was not read."""
        return self.places[group.target or self.default]

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(p.target for p in self.places.values())

    def shares(self, scheduled: Iterable[tuple[str, str]]) -> list[Share]:
        """How much of each target is scheduled, by pairs of a target's name and a server's id."""
        ids: dict[str, set[str]] = {name: set() for name in self.places}
        for name, server in scheduled:
            ids[name].add(server)
        several = len(self.places) > 1
        return [
            Share(len(ids[name]), len(place.inventory.servers), name if several else "")
            for name, place in self.places.items()
        ]

    @cached_property
    def inventory(self) -> Inventory:
        """All servers of all targets; one that two targets show stands in it once."""
        first, *rest = (p.inventory for p in self.places.values())
        if not rest:
            return first
        servers = {s.id: s for i in (first, *rest) for s in i.servers}
        groups = {g.id: g for i in (first, *rest) for g in i.groups}
        read_at = min(i.read_at for i in (first, *rest))
        unread = next((i.groups_unread for i in (first, *rest) if i.groups_unread), None)
        return Inventory(
            tuple(servers[i] for i in sorted(servers)),
            read_at,
            tuple(groups[i] for i in sorted(groups)),
            unread,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """How many servers of a target are scheduled, and how many it shows. `of` names it
    where there are several.
    """

    scheduled: int
    visible: int
    of: str = ""

    def __str__(self) -> str:
        return f"{self.scheduled} of {self.visible} visible servers" + (
            f" of target {self.of}" if self.of else ""
        )


def targets_named(plan: Plan, default: str) -> tuple[str, ...]:
    """The names of the targets that a plan's groups use, each once, in their order."""
    return tuple(dict.fromkeys(group.target or default for group in plan.groups))
