"""The targets of a plan, opened together: one clock, one fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from runner.app.app import App, hint_of
from runner.app.open_target import Session, open_target
from runner.app.spent_servers import SpentServers
from runner.errors import CloudDenied, CloudError
from runner.loading.config import LoadedConfig
from runner.model.inventory import Inventory
from runner.model.plan import Plan
from runner.model.problem import Problem
from runner.model.surroundings import Surroundings
from runner.planning.belts import unread_groups
from runner.planning.fleet import Fleet, TargetFleet
from runner.ports import Clock
from runner.report.safe import plain

SpentFor = Callable[[str], "SpentServers"]
"""Project id -> the servers that the plan's cycle is spent for."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Open targets by name, in the order of the plan. They share the first one's clock.

    `failed`: those that could not be opened, with the reason.
    """

    by_name: Mapping[str, Session]
    default: str
    failed: Mapping[str, CloudError] = field(default_factory=dict)

    @property
    def first(self) -> Session:
        return next(iter(self.by_name.values()))

    @property
    def clock(self) -> Clock:
        return self.first.clock

    @property
    def clock_words(self) -> str:
        """What every time of the run is to be read with: `simulated clock, 30 times real
        time`; empty for real time.
        """
        if not self.is_embedded:
            return ""
        scale = self.first.time_scale
        return "simulated clock" + (f", {scale:g} times real time" if scale != 1 else "")

    @property
    def is_embedded(self) -> bool:
        return self.first.is_embedded

    @property
    def is_real(self) -> bool:
        return any(s.is_real for s in self.by_name.values())

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.by_name)

    async def inventories(self) -> dict[str, Inventory]:
        """What each target has now, read at once. Raises CloudError, CloudDenied of the
        first that cannot be read.
        """
        found = await asyncio.gather(*(s.inventory() for s in self.by_name.values()))
        return dict(zip(self.by_name, found, strict=True))

    async def surroundings(self) -> Surroundings:
        """What else the targets know of their servers. Never raises for what they answer."""
        found = await asyncio.gather(*(s.cloud.surroundings() for s in self.by_name.values()))
        return Surroundings.joined(found)

    def fleet_of(self, inventories: Mapping[str, Inventory], spent: SpentFor) -> Fleet:
        places: list[TargetFleet] = []
        for name, session in self.by_name.items():
            asked = spent(session.target.project_id)
            place = TargetFleet(
                session.target,
                inventories[name],
                asked.rebooted,
                session.spared.last,
                asked.unfinished,
            )
            places.append(place)
        return Fleet.of(places, self.default)


def demand_groups(plan: Plan, fleet: Fleet) -> tuple[Problem, ...]:
    """Return the problems of server groups that could not be read.

    Raises CloudDenied where the plan names server groups and the permission to read them is
    missing.
    """
    problems = tuple(unread_groups(plan, fleet))
    unread = [place.inventory.groups_unread for place in fleet.places.values()]
    denied = {one.hint for one in unread if one is not None and one.is_denied}
    for problem in problems:
        if problem.severity == "error" and problem.hint in denied:
            raise CloudDenied(problem.message, hint=problem.hint)
    return problems


async def open_sessions(
    app: App,
    loaded: LoadedConfig,
    names: Iterable[str],
    default: str,
    stack: AsyncExitStack,
    *,
    patient: bool = False,
) -> Sessions:
    """Open these targets; they close with `stack`.

    Raises CloudError, CloudDenied of the first that cannot be opened; `patient` does so
    only where none can, and else tells once of each that cannot, with what mends it.
    """
    opened: dict[str, Session] = {}
    failed: dict[str, CloudError] = {}
    for name in names:
        clock = next(iter(opened.values())).clock if opened else None
        try:
            opened[name] = await stack.enter_async_context(open_target(app, loaded, name, clock))
        except CloudError as error:
            if not patient:
                raise
            failed[name] = error
    if not opened and failed:
        raise next(iter(failed.values()))
    for name, why in failed.items():
        hint = f"; {said}" if (said := hint_of(why)) else ""
        app.talk(
            plain(f"target {name} could not be opened, the others go on: {why.message}{hint}", 2000)
        )
    return Sessions(opened, default, failed)
