"""The targets of a plan, opened together: one clock, one fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.app.app import App, hint_of
from runner.app.open_target import Session, open_target
from runner.app.targets import all_targets, choose_target, is_embedded
from runner.errors import CloudDenied, CloudError, InvalidInput
from runner.model.problem import Problem

if TYPE_CHECKING:
    from runner.app.spent_servers import Spent
    from runner.loading.config import LoadedConfig
    from runner.model.inventory import Inventory
    from runner.model.plan import Plan
    from runner.model.surroundings import Surroundings
    from runner.planning.fleet import Fleet
    from runner.ports import Clock

SpentFor = Callable[[str], "Spent"]
"""Project id -> the servers that the plan's cycle is spent for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which targets a plan uses: what its groups name, in their order, None where neither group nor plan names one.

    `default`: of groups that name none, as the plan writes it. `groups_name`: some group names its own.
    """

    names: tuple[str | None, ...]
    default: str | None = None
    groups_name: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Wanted:
        names = tuple(dict.fromkeys(g.target or plan.target for g in plan.groups))
        return cls(names, plan.target, any(g.target for g in plan.groups))


def choose_targets(loaded: LoadedConfig, override: str | None, wanted: Wanted) -> tuple[tuple[str, ...], str]:
    """The names of a plan's targets, each once, and the default among them. `override`: what `--target` says.

    Raises InvalidInput for a name that is not configured, where there are several to choose from, for `--target`
    with a plan whose groups name their own, and where simulated and other targets would share one clock.
    """
    if override is not None and wanted.groups_name:
        message = "groups of the plan name targets of their own, and --target would send all of them to one"
        raise InvalidInput([Problem("TargetOverride", message, hint="leave --target out, or change the plan")])
    names = tuple(dict.fromkeys(choose_target(loaded, override, name) for name in wanted.names))
    default = override or wanted.default
    chosen = choose_target(loaded, default) if default or None in wanted.names else names[0]
    known = all_targets(loaded)
    embedded = [n for n in names if is_embedded(known[n])]
    if embedded and len(embedded) < len(names):
        message = f"target {embedded[0]} is simulated in a time of its own, the others of the plan are not"
        hint = "serve it with `reboot-runner simulator` and give the target its endpoints"
        raise InvalidInput([Problem("TargetsApart", message, hint=hint)])
    return names, chosen


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
        """What every time of the run is to be read with: `simulated clock, 30 times real time`; empty for real time."""
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

    async def fleet(self, spent: SpentFor) -> Fleet:
        """All targets read at once. Raises CloudError, CloudDenied of the first that cannot be read."""
        return self.fleet_of(await self.inventories(), spent)

    async def inventories(self) -> dict[str, Inventory]:
        """What each target has now."""
        import asyncio

        found = await asyncio.gather(*(s.inventory() for s in self.by_name.values()))
        return dict(zip(self.by_name, found, strict=True))

    async def surroundings(self) -> Surroundings:
        """What else the targets know of their servers. Never raises for what they answer."""
        import asyncio

        from runner.model.surroundings import Surroundings

        found = await asyncio.gather(*(s.surveyor.surroundings() for s in self.by_name.values()))
        return Surroundings.joined(found)

    def fleet_of(self, inventories: Mapping[str, Inventory], spent: SpentFor) -> Fleet:
        from runner.planning.fleet import Fleet, Place

        places: list[Place] = []
        for name, session in self.by_name.items():
            asked = spent(session.target.project_id)
            place = Place(session.target, inventories[name], asked.rebooted, session.spared.last, asked.unfinished)
            places.append(place)
        return Fleet.of(places, self.default)


def demand_groups(plan: Plan, fleet: Fleet) -> tuple[Problem, ...]:
    """Return the problems of server groups that could not be read.

    Raises CloudDenied where the plan names server groups and the permission to read them is missing.
    """
    from runner.planning.belts import unread_groups

    problems = tuple(unread_groups(plan, fleet))
    unread = [place.inventory.groups_unread for place in fleet.places.values()]
    denied = {one.hint for one in unread if one is not None and one.is_denied}
    for problem in problems:
        if problem.severity == "error" and problem.hint in denied:
            raise CloudDenied(problem.message, hint=problem.hint)
    return problems


async def open_sessions(
    app: App, loaded: LoadedConfig, names: Iterable[str], default: str, stack: AsyncExitStack, *, patient: bool = False
) -> Sessions:
    """Open these targets; they close with `stack`.

    Raises CloudError, CloudDenied of the first that cannot be opened; `patient` does so only where none can, and else
    tells once of each that cannot, with what mends it.
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
        _tell_closed(app, name, why)
    return Sessions(opened, default, failed)


def _tell_closed(app: App, name: str, error: CloudError) -> None:
    from runner.report.safe import plain

    hint = hint_of(error)
    said = f"target {name} could not be opened, the others go on: {error.message}" + (f"; {hint}" if hint else "")
    app.talk(plain(said, 2000))
