"""What `run` is asked to do: a plan, of which the schedule is made now, or a schedule that was saved and reviewed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.protected import demand_spared
from runner.app.sessions import demand_groups
from runner.app.targets import WantedTargets
from runner.errors import InvalidInput, Stale, UsageProblem
from runner.inputs.files import TooLarge, describe, open_regular, read_regular
from runner.inputs.json_text import SCHEDULE
from runner.model.events import Why
from runner.model.problem import Location, Problem
from runner.report.run_words import count
from runner.report.safe import plain

if TYPE_CHECKING:
    from runner.app.sessions import Sessions
    from runner.app.spent_servers import Spent
    from runner.loading.plan import Loaded
    from runner.model.inventory import Inventory
    from runner.model.plan import Plan
    from runner.model.schedule import Schedule
    from runner.planning.review import Standing
    from runner.ports.store import RunRow, Store

PLANS = (".yaml", ".yml")
NAMED = 5
"""So many newcomers are named in a sentence; the rest is counted."""

Loader = Callable[[Path], "Loaded"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A schedule that may run. `warnings`: sentences for people; `notes`: those of them that the journal keeps.

    `problems`: warnings of planning, which a policy can make errors.
    `skipped`: servers of it that are out before it begins, id -> reason and sentence.
    """

    loaded: Loaded
    schedule: Schedule
    inventory: Inventory
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, Why] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A plan, or with `saved` a schedule of it. `wanted`: its targets. `file`: what the caller named.

    `digest` is the plan's; of a saved schedule the one that was reviewed. `open_plan` reads the plan: of a saved
    schedule only when a run is to be created of it, so that a run goes on whatever became of its plan's file.
    """

    file: Path
    plan_name: str
    digest: str
    wanted: WantedTargets
    open_plan: Callable[[], Loaded]
    saved: Schedule | None = None

    def is_done_by(self, row: RunRow, sessions: Sessions) -> bool:
        """Whether a closed run of the plan leaves nothing to do.

        A plan is run again on the embedded simulated cloud, in a new cycle; a saved schedule has its cycle already.
        """
        return not sessions.is_embedded or (self.saved is not None and row.schedule_digest == self.saved.digest)

    async def prepare(self, store: Store, sessions: Sessions, max_age: timedelta) -> Prepared:
        """The schedule and what is to be said of it.

        Raises InvalidInput with every problem of the plan against the cloud as it is, Stale for a saved schedule that
        is not what was reviewed any more, or whose plan is gone.
        """
        if self.saved is None:
            loaded = self.open_plan()
            return await make_schedule_now(store, sessions, loaded, self.digest)
        from runner.loading.plan import plan_digest, require
        from runner.planning.dead_words import dead_exclusions
        from runner.planning.review import outdated, review

        loaded = self.open_plan()
        plan = require(loaded)
        own, now = sessions.is_embedded, sessions.clock.now()
        targets = tuple(s.target for s in sessions.by_name.values())
        self._demand_current(
            outdated(self.saved, plan, plan_digest(plan), targets, now=now, max_age=max_age, own_cycle=own)
        )
        cycle = self.saved.cycle
        fleet = await sessions.fleet(lambda project: _spent_for(store, loaded, cycle, project))
        inventory = fleet.inventory
        unread = tuple(loaded.place(p) for p in demand_groups(plan, fleet))
        if any(p.severity == "error" for p in unread):
            raise InvalidInput(unread)
        standing = review(self.saved, plan, fleet)
        self._demand_current(standing.differences)
        warnings = demand_spared(sessions, loaded, self.saved, inventory, {ref.id for ref, _ in standing.skipped})
        said = tuple(_said(standing))
        # the copy of the freezes is made anew: the digest that was reviewed covers their files, not how far one looked
        current = replace(self.saved, freezes=plan.frozen(now))
        found = (*unread, *(loaded.place(p) for p in dead_exclusions(plan, fleet)))
        warnings = [*_texts(found), *warnings]
        return Prepared(loaded, current, inventory, (*said, *warnings), said, standing.settled, found)

    def _demand_current(self, differences: tuple[str, ...]) -> None:
        if differences:
            raise Stale(
                f"the schedule {plain(self.file)} is not what would run now",
                hint="make and review it again with `reboot-runner diff PLAN --out FILE`; a schedule that was made with"
                " --var needs the same ones here. Nothing was sent",
                differences=differences,
            )


def _said(standing: Standing) -> Iterator[str]:
    if standing.skipped:
        rows = [f"{ref.name} ({ref.id}): {why.reason}" for ref, why in standing.skipped]
        yield f"{count(len(rows), 'server')} of the schedule will be skipped as things are: {_few(rows)}"
    if standing.newcomers:
        names = [f"{ref.name} ({ref.id})" for ref in standing.newcomers]
        yield (
            f"{len(names)} servers match the plan now and are not in the reviewed schedule: {_few(names)};"
            " they are not rebooted"
        )


def _few(words: list[str]) -> str:
    return plain(", ".join(words[:NAMED]) + (f" and {len(words) - NAMED} more" if len(words) > NAMED else ""), 1500)


def read_order(path: Path, target: str | None, load: Loader, plan_file: Path | None = None) -> Order:
    """A saved schedule or a plan; `load` reads a plan. `plan_file`: where the plan of a saved schedule is now.

    Raises InvalidInput with all problems of the file.
    """
    if _is_schedule(path):
        return _of_schedule(path, target, load, plan_file)
    if plan_file is not None:
        raise UsageProblem("--plan says which plan a saved schedule is of; this is no saved schedule")
    return _of_plan(path, load)


def _is_schedule(path: Path) -> bool:
    """Whether a file holds a JSON object and is not named like a plan."""
    if path.suffix.lower() in PLANS:
        return False
    try:
        with open_regular(path) as file:
            return file.read(256).lstrip().startswith(b"{")
    except OSError:
        return False


def _of_plan(path: Path, load: Loader) -> Order:
    from runner.loading.plan import plan_digest, require

    loaded = load(path)
    plan = require(loaded)
    return Order(Path(loaded.name), plan.name, plan_digest(plan), WantedTargets.of(plan), lambda: loaded)


def _of_schedule(path: Path, target: str | None, load: Loader, plan_file: Path | None) -> Order:
    saved = read_schedule(path)
    names = [t.name for t in saved.targets]
    if target is not None and names != [target]:
        raise UsageProblem(
            f"the schedule is for target {', '.join(map(plain, names))}, not {plain(target)}",
            hint="a saved schedule has its target; leave --target out, or make another with `reboot-runner diff`",
        )
    return Order(
        path,
        saved.plan_name,
        saved.plan_digest,
        WantedTargets(tuple(names)),
        lambda: load(plan_file or _find_plan(saved, path)),
        saved,
    )


def read_schedule(path: Path) -> Schedule:
    """A saved schedule. Raises InvalidInput with all problems of the file."""
    from runner.report.schedule_json import load

    try:
        data = read_regular(path, SCHEDULE.size)
    except OSError as error:
        code = "ScheduleTooLarge" if isinstance(error, TooLarge) else "Unreadable"
        problem = Problem(code, f"the file {describe(error)}", Location(path.as_posix()))
        raise InvalidInput([problem]) from None
    return load(data, path.as_posix())


def _find_plan(saved: Schedule, path: Path) -> Path:
    """The plan a schedule was made from, by the name it had then: from here, the Git root, or beside the schedule.

    A plan that is gone stands for nothing any more: Stale.
    """
    from runner.loading.files import git_root

    named = Path(saved.plan_file)
    is_plain = bool(saved.plan_file) and named.suffix.lower() in PLANS and ".." not in named.parts
    root = git_root(Path.cwd()) or Path.cwd()
    for folder in (Path(), root, path.parent) if is_plain else ():
        found = folder / named
        if found.is_file() and found.resolve().is_relative_to(root.resolve()):
            return found
    raise Stale(
        f"the plan of the schedule is gone: there is no file {plain(saved.plan_file) or 'named in it'}",
        hint="if it was renamed, name it: --plan FILE; if it was deleted, the schedule is not to run",
    )


async def make_schedule_now(store: Store, sessions: Sessions, loaded: Loaded, digest: str) -> Prepared:
    """Read the cloud and plan.

    Raises InvalidInput with every problem, at its place in the plan.
    """
    from runner.loading.plan import require
    from runner.planning.schedule import make_schedule

    plan = require(loaded)
    cycle = fresh_cycle_of(store, plan) if sessions.is_embedded else None
    campaign = cycle or plan.campaign
    fleet = await sessions.fleet(lambda project: _spent_for(store, loaded, campaign, project))
    demand_groups(plan, fleet)
    planned = make_schedule(plan, digest, fleet, now=sessions.clock.now(), cycle=cycle, plan_file=loaded.name)
    problems = tuple(loaded.place(p) for p in planned.problems)
    if planned.schedule is None:
        raise InvalidInput(problems)
    warnings = demand_spared(sessions, loaded, planned.schedule, fleet.inventory)
    warnings = [*_texts(problems), *warnings]
    return Prepared(loaded, planned.schedule, fleet.inventory, tuple(warnings), problems=problems)


def _texts(problems: Iterable[Problem]) -> list[str]:
    """Warnings as sentences: where it is, what, and what to do."""
    texts = []
    for p in problems:
        where = f"{p.location.file}:{p.location.line}: " if p.location else ""
        texts.append(plain(where + p.message + (f" ({p.hint})" if p.hint else ""), 1000))
    return texts


def _spent_for(store: Store, loaded: Loaded, cycle: str, project: str) -> Spent:
    """What the cycle is spent for. Raises InvalidInput when the plan repeats a run that cannot be repeated."""
    from runner.app.spent_servers import spent_for
    from runner.loading.plan import require

    try:
        return spent_for(store, require(loaded), cycle, project)
    except InvalidInput as error:
        raise InvalidInput([loaded.place(p) for p in error.problems]) from None


def fresh_cycle_of(store: Store, plan: Plan) -> str:
    """A cycle of its own for each run on the embedded simulated cloud: people try things there again and again.

    A plan that repeats a run stays in that run's cycle.
    """
    from runner.planning.cycle import fresh_cycle

    if plan.retry_of:
        return plan.campaign
    return fresh_cycle(plan.campaign, len(store.runs(plan=plan.name, limit=1_000_000)))
