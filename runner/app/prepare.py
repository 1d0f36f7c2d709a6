"""From a plan to a schedule: the one way for dry runs, runs, saved schedules and the jobs of
CI systems.

What a dry run shows is what a run begins, since both ask `prepare`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from runner.app.app import App
from runner.app.policy import Police
from runner.app.rules import policy_problems
from runner.app.sessions import Sessions, demand_groups
from runner.app.since_review import leave_rebooted_alone
from runner.app.spent_servers import SpentServers, spent_for
from runner.errors import InvalidInput, Stale
from runner.loading.config import LoadedConfig
from runner.loading.plan import Loaded, plan_digest, require
from runner.loading.together import unknown_sources
from runner.model.events import Why
from runner.model.inventory import Inventory
from runner.model.plan import Plan
from runner.model.problem import Problem
from runner.model.schedule import Schedule
from runner.model.surroundings import Surroundings
from runner.planning.cycle import fresh_cycle
from runner.planning.dead_words import dead_exclusions
from runner.planning.fleet import Fleet
from runner.planning.policy import held_to
from runner.planning.review import Standing, outdated, review
from runner.planning.schedule import Planned, make_schedule
from runner.planning.spared import judge_spared
from runner.ports.store import Store
from runner.report.run_words import count
from runner.report.safe import plain

NAMED = 5
"""So many newcomers are named in a sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A schedule that was reviewed, the file that holds it, and how old it may be."""

    schedule: Schedule
    file: Path
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run of a plan would be: nothing may run while an error is among the problems.

    `problems`: all that was found beside the loading of the plan, each at its place.
    `skipped`: servers that are out before the run begins. `notes`: sentences that the
    journal keeps.
    """

    loaded: Loaded
    schedule: Schedule | None
    inventory: Inventory
    problems: tuple[Problem, ...] = ()
    skipped: Mapping[str, Why] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def demand(self) -> Schedule:
        """Return the schedule. Raises InvalidInput with every problem where it may not run."""
        if self.schedule is None or _has_errors(self.problems):
            raise InvalidInput(self.problems)
        return self.schedule

    def warnings(self) -> Iterator[str]:
        """Yield what is to be said before the run begins: where it is, what, and what to do."""
        yield from self.notes
        for p in self.problems:
            where = f"{p.location.file}:{p.location.line}: " if p.location else ""
            yield plain(where + p.message + (f" ({p.hint})" if p.hint else ""), 1000)


@dataclass(frozen=True, slots=True)
class Scene:
    """What plans meet: the configuration with its policy, the store, and targets as they are now.

    `store`: None where nobody has written one yet. `police`: None where policies are judged
    elsewhere.
    """

    app: App
    config: LoadedConfig
    store: Store | None
    police: Police | None
    sessions: Sessions
    inventories: Mapping[str, Inventory]
    around: Surroundings

    def planned(self, plan: Plan, file: str) -> tuple[Planned, Fleet]:
        """Plan against the targets as they are, and return what was planned with. Its
        problems have no places yet.
        """
        cycle = plan.campaign
        if (
            self.sessions.is_embedded and not plan.retry_of
        ):  # people try things there again and again
            runs = self.store.runs(plan=plan.name, limit=1_000_000) if self.store else []
            cycle = fresh_cycle(plan.campaign, len(runs))
        try:
            fleet = self._fleet(plan, cycle)
        except InvalidInput as error:
            return Planned(None, tuple(error.problems)), self.sessions.fleet_of(
                self.inventories, lambda _: SpentServers()
            )
        now, digest = self.sessions.clock.now(), plan_digest(plan)
        return make_schedule(plan, digest, fleet, now=now, cycle=cycle, plan_file=file), fleet

    def _fleet(self, plan: Plan, cycle: str) -> Fleet:
        return self.sessions.fleet_of(
            self.inventories, lambda project: spent_for(self.store, plan, cycle, project)
        )

    def reviewed(self, plan: Plan, saved: Saved) -> tuple[Standing, Fleet]:
        """Hold a saved schedule against its plan and the targets as they are. Raises Stale
        where it does not hold.
        """
        now, targets = (
            self.sessions.clock.now(),
            tuple(s.target for s in self.sessions.by_name.values()),
        )
        own = self.sessions.is_embedded
        differences = outdated(
            saved.schedule,
            plan,
            plan_digest(plan),
            targets,
            now=now,
            max_age=saved.max_age,
            own_cycle=own,
        )
        if not differences:
            fleet = self._fleet(plan, saved.schedule.cycle)
            standing = review(saved.schedule, plan, fleet)
            if not standing.differences:
                return standing, fleet
            differences = standing.differences
        raise Stale(
            f"the schedule {plain(saved.file)} is not what would run now",
            hint="make and review it again with `reboot-runner diff PLAN --out FILE`; a schedule "
            "that was made with"
            " --var needs the same ones here. Nothing was sent",
            differences=differences,
        )


async def prepare(scene: Scene, loaded: Loaded, saved: Saved | None = None) -> Prepared:
    """Return what a run of a plan, or of a saved schedule of it, would be now, with all that
    speaks against it.

    Raises InvalidInput for a plan that could not be loaded, Stale for a saved schedule that
    is not what was reviewed any more, CloudDenied where the plan needs to read what it may
    not.
    """
    plan, sessions = require(loaded), scene.sessions
    out: set[str] = set()
    skipped: Mapping[str, Why] = {}
    notes: tuple[str, ...] = ()
    if saved is None:
        demand_groups(plan, sessions.fleet_of(scene.inventories, lambda _: SpentServers()))
        planned, fleet = scene.planned(plan, loaded.name)
        schedule, found = planned.schedule, planned.problems
    else:
        unread = demand_groups(plan, sessions.fleet_of(scene.inventories, lambda _: SpentServers()))
        if _has_errors(unread):
            raise InvalidInput([loaded.place(p) for p in unread])
        standing, fleet = scene.reviewed(plan, saved)
        # the copy of the freezes is made anew: the digest that was reviewed covers their
        # files, not how far one looked
        schedule = replace(saved.schedule, freezes=plan.frozen(sessions.clock.now()))
        found = (*unread, *dead_exclusions(plan, fleet))
        out, skipped, notes = (
            {ref.id for ref, _ in standing.skipped},
            standing.settled,
            tuple(_said(standing)),
        )
    policy = scene.police.loaded.policy if scene.police else None
    problems = [*map(loaded.place, held_to(policy, found)), *unknown_sources(loaded, scene.config)]
    inventory = fleet.inventory
    if schedule is not None:
        if scene.police is not None:
            problems += policy_problems(scene.police, loaded, schedule, inventory)
        for session in sessions.by_name.values():
            spared = judge_spared(
                session.spared, schedule, inventory, out, target=session.target.name
            )
            problems += [loaded.place(p) for p in spared]
    prepared = Prepared(loaded, schedule, inventory, tuple(problems), skipped, notes)
    if schedule is None or _has_errors(problems):
        return prepared
    rebooted, more = await leave_rebooted_alone(
        scene.app,
        scene.store,
        sessions,
        schedule,
        inventory,
        skipped,
        is_reviewed=saved is not None,
    )
    return replace(prepared, skipped={**skipped, **rebooted}, notes=(*notes, *more))


def _has_errors(problems: Iterable[Problem]) -> bool:
    return any(p.severity == "error" for p in problems)


def _said(standing: Standing) -> Iterator[str]:
    """What differs from a saved schedule, and is no reason to refuse it."""
    if standing.skipped:
        rows = [f"{ref.name} ({ref.id}): {why.reason}" for ref, why in standing.skipped]
        yield (
            f"{count(len(rows), 'server')} of the schedule will be skipped as things are: "
            f"{_few(rows)}"
        )
    if standing.newcomers:
        names = [f"{ref.name} ({ref.id})" for ref in standing.newcomers]
        yield (
            f"{len(names)} servers match the plan now and are not in the reviewed schedule: "
            f"{_few(names)};"
            " they are not rebooted"
        )


def _few(words: list[str]) -> str:
    return plain(
        ", ".join(words[:NAMED])
        + (f" and {len(words) - NAMED} more" if len(words) > NAMED else ""),
        1500,
    )
