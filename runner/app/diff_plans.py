"""Plans against live targets: what `diff` and the jobs of CI systems show of each."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.app.app import App, hint_of
from runner.app.earlier_runs import Revision, is_news, last_run, since_run
from runner.app.files import write_whole
from runner.app.gates import gates_now
from runner.app.open_target import Session, open_target
from runner.app.policy import Police
from runner.app.prepare import Scene, prepare
from runner.app.sessions import Sessions
from runner.app.start_run import OlderOpen, earlier_run
from runner.app.stores import open_store_of, store_url
from runner.app.targets import WantedTargets, all_targets, base_folder, choose_targets
from runner.errors import Exit, InvalidInput, RunnerError, StoreError, UsageProblem
from runner.execution.since_review import REBOOTED_SINCE_REVIEW
from runner.loading.config import LoadedConfig
from runner.loading.plan import NO_OPTIONS, Loaded, LoadOptions
from runner.model.inventory import Inventory
from runner.model.plan import Plan
from runner.model.problem import Location, Problem
from runner.model.schedule import Schedule
from runner.model.surroundings import Surroundings
from runner.planning.compare import compare
from runner.planning.forecast import forecast
from runner.planning.lifted import Lift, lifted_by_moves
from runner.planning.when import outlook
from runner.ports import Clock
from runner.ports.store import Store
from runner.report.diff import PlanDiff
from runner.report.diff_since import SinceBase, SinceRun
from runner.report.schedule_json import dump
from runner.store.open import is_local_file

OLDER_OPEN = "OlderRunOpen"
"""The code of the warning that another version of the plan has an open run."""


@dataclass(frozen=True, slots=True)
class Out:
    """Where schedules are saved: a file for a single plan, or a folder with a file for
    each plan.
    """

    place: Path
    is_folder: bool

    @classmethod
    def of(cls, written: str, plans: Sequence[Loaded]) -> Out:
        """A folder for several plans, and where one is there or `/` ends the path. Raises
        UsageProblem.

        In a folder files are called by the plans' names, so no two plans may have the same.
        """
        place = Path(written)
        if place.suffix.lower() in (".yaml", ".yml") or written == "-":
            raise UsageProblem(
                f"--out {written}: a schedule is a JSON file", hint="for example --out web.json"
            )
        is_folder = len(plans) != 1 or place.is_dir() or written.endswith("/")
        if is_folder and place.exists() and not place.is_dir():
            raise UsageProblem(
                f"--out {written} is a file, and these are {len(plans)} plans", hint="name a folder"
            )
        seen: dict[str, str] = {}
        for one in plans:
            name = one.plan.name if one.plan else ""
            if name and seen.setdefault(name, one.name) != one.name:
                raise UsageProblem(
                    f"{seen[name]} and {one.name} are both plan {name}: their schedules would be "
                    f"the same file",
                    hint="give each plan a name of its own",
                )
        return cls(place, is_folder)

    def path(self, plan: str) -> Path:
        return self.place / f"{plan}.json" if self.is_folder else self.place

    def save(self, diff: PlanDiff) -> None:
        """Save the schedule of a plan that may be run; of any other nothing. Raises RunnerError."""
        if diff.schedule is None or diff.code not in (Exit.CHANGES, Exit.DONE):
            return
        if self.is_folder:
            try:
                self.place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunnerError(
                    f"cannot make the folder {self.place}: {error.strerror}"
                ) from None
        save(self.path(diff.schedule.plan_name), diff)


@dataclass(frozen=True, slots=True)
class DiffWish:
    """What the caller asked for. `out`: where schedules are saved; `repeat`: options that the
    command to run takes.

    `base`: the revision to compare with; `options`: how plans are loaded from it; `rules`:
    which rules of the policy are looser than there.
    """

    target: str | None = None
    out: Out | None = None
    repeat: tuple[str, ...] = ()
    base: str | None = None
    options: LoadOptions = NO_OPTIONS
    rules: tuple[Lift, ...] = ()

    def command(self, file: str, schedule: Schedule) -> str:
        """What to type to run exactly this schedule."""
        what = str(self.out.path(schedule.plan_name)) if self.out else file
        return shlex.join(
            ["reboot-runner", "run", what, *self.repeat, "--schedule-digest", schedule.digest]
        )


def save(path: Path, diff: PlanDiff) -> None:
    """Write the schedule of a dry-run. Raises RunnerError."""
    if diff.schedule is not None:
        write_whole(path, dump(diff.schedule))


async def diff_all(
    app: App,
    config: LoadedConfig,
    loaded: Sequence[Loaded],
    wish: DiffWish,
    police: Police | None = None,
) -> list[PlanDiff]:
    """Each plan by itself: what is wrong with one, or with its target, does not hide the others.

    Raises UnknownRevision, GitError for a base that cannot be read. Where `police` has a
    policy, it is judged too.
    """
    base = Revision.open(wish.base) if wish.base and loaded else None
    with _existing_store(app, config) as store:
        async with AsyncExitStack() as stack:
            planner = _Planner(app, config, store, wish, stack, base, police)
            return [await planner.diff(one) for one in loaded]


def with_problems(diffs: Iterable[PlanDiff], problems: Iterable[Problem]) -> list[PlanDiff]:
    """Return the dry-runs, each with those of the problems that are in its file."""
    by_file: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.location is not None:
            by_file.setdefault(problem.location.file, []).append(problem)
    return [replace(d, problems=(*d.problems, *by_file.get(d.file, ()))) for d in diffs]


@dataclass(slots=True)
class _Planner:
    """Plans against live targets. Each target is opened and read once, however many plans
    there are.
    """

    app: App
    config: LoadedConfig
    store: Store | None
    wish: DiffWish
    stack: AsyncExitStack
    base: Revision | None
    police: Police | None
    _read: dict[str, tuple[Session, Inventory, Surroundings] | RunnerError] = field(
        default_factory=dict
    )

    async def diff(self, loaded: Loaded) -> PlanDiff:
        if loaded.plan is None:
            return PlanDiff(loaded.name, problems=loaded.problems)
        try:
            return await self._plan(loaded, loaded.plan)
        except InvalidInput as error:
            placed = tuple(loaded.place(p) for p in error.problems)
            return PlanDiff(loaded.name, problems=(*loaded.problems, *placed))
        except RunnerError as error:
            return PlanDiff(
                loaded.name,
                problems=loaded.problems,
                failure=error.message,
                failure_hint=hint_of(error),
                failure_code=error.exit_code,
            )

    async def _plan(self, loaded: Loaded, plan: Plan) -> PlanDiff:
        scene = await self._scene(plan)
        sessions, prepared = scene.sessions, await prepare(scene, loaded)
        made = prepared.schedule
        since_base = self._since_base(loaded, plan, scene, made)
        if since_base is not None:
            since_base = replace(since_base, lifts=(*self.wish.rules, *since_base.lifts))
        problems = (*loaded.problems, *prepared.problems)
        if made is None:
            return PlanDiff(loaded.name, problems=problems, since_base=since_base)
        known = all_targets(self.config)
        rate = min(known[name].rate.servers_per_minute for name in sessions.by_name)
        where = Location(loaded.name)
        left_alone = (
            Problem(REBOOTED_SINCE_REVIEW, n, where, severity="warning") for n in prepared.notes
        )
        return PlanDiff(
            loaded.name,
            made,
            forecast(made, servers_per_minute=rate, begins=sessions.clock.now()),
            (*problems, *left_alone, *self._older_open(loaded, made)),
            command=self.wish.command(loaded.name, made),
            since_base=since_base,
            since_run=self._since_run(sessions, made),
            window=outlook(made, sessions.clock.now(), servers_per_minute=rate),
            gates=await gates_now(self.app, self.config, sessions, made),
            around=scene.around,
        )

    def _since_base(
        self, loaded: Loaded, plan: Plan, scene: Scene, made: Schedule | None
    ) -> SinceBase | None:
        """The plan of the other revision, planned against the same cloud by the same rules."""
        if self.base is None:
            return None
        earlier = self.base.plan(loaded, self.wish.options)
        was = earlier.plan
        if was is None or made is None:
            return earlier.since(plan)
        if self._targets_of(was) != tuple(scene.sessions.by_name):
            there = ", ".join(t for t in WantedTargets.of(was).names if t) or "another target"
            note = f"there the plan was for {there}: all servers count as new"
            return earlier.since(plan, compare(None, made), (note,))
        before, _ = scene.planned(was, earlier.file or "")
        if before.schedule is None:
            first = next(p for p in before.problems if p.severity == "error")
            note = (
                f"servers are not compared: against the cloud as it is, the plan of then is "
                f"wrong: {first.message}"
            )
            return earlier.since(plan, notes=(note,))
        moves = lifted_by_moves(was, plan, before.schedule, made)
        return earlier.since(plan, compare(before.schedule, made), moves=moves)

    def _older_open(self, loaded: Loaded, made: Schedule) -> list[Problem]:
        """Warn of an open run of the plan that `run` does not continue with this schedule,
        and that holds it.
        """
        if self.store is None:
            return []
        try:
            earlier_run(
                self.store, made.plan_name, made.plan_digest, {t.name for t in made.targets}
            )
        except OlderOpen as older:
            said = f"{older.message}: `run` refuses this version until that run has ended"
            return [
                loaded.place(
                    Problem(OLDER_OPEN, said, None, older.hint, severity="warning", path=("name",))
                )
            ]
        except (
            StoreError
        ):  # a journal that cannot be read: `run` reports it, and a dry run does without
            pass
        return []

    def _targets_of(self, plan: Plan) -> tuple[str, ...] | None:
        """The targets that another version of a plan means; None where there is no such
        target any more.
        """
        try:
            return choose_targets(self.config, self.wish.target, WantedTargets.of(plan))[0]
        except InvalidInput:
            return None

    def _since_run(self, sessions: Sessions, made: Schedule) -> SinceRun | None:
        """Against the last run. Of the embedded simulated cloud, where people try the same
        again, only what is news.
        """
        run = (
            last_run(self.store, made.plan_name, {t.project_id for t in made.targets})
            if self.store
            else None
        )
        if run is None:
            return None
        since = since_run(run, made)
        return since if is_news(since) or not sessions.is_embedded else None

    async def _scene(self, plan: Plan) -> Scene:
        """A plan's targets as they are now. Raises what opening or reading a target raised,
        for each plan anew.
        """
        names, default = choose_targets(self.config, self.wish.target, WantedTargets.of(plan))
        opened: dict[str, Session] = {}
        read: dict[str, Inventory] = {}
        around: list[Surroundings] = []
        for name in names:
            clock = next(iter(opened.values())).clock if opened else None
            opened[name], read[name], of_target = await self._open_one(name, clock)
            around.append(of_target)
        sessions, joined = Sessions(opened, default), Surroundings.joined(around)
        return Scene(self.app, self.config, self.store, self.police, sessions, read, joined)

    async def _open_one(
        self, name: str, clock: Clock | None
    ) -> tuple[Session, Inventory, Surroundings]:
        if name not in self._read:
            try:
                session = await self.stack.enter_async_context(
                    open_target(self.app, self.config, name, clock)
                )
                inventory = await session.inventory()
                self._read[name] = (session, inventory, await session.cloud.surroundings())
            except RunnerError as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, RunnerError):
            raise found
        return found


@contextmanager
def _existing_store(app: App, config: LoadedConfig) -> Iterator[Store | None]:
    """The store, or None where it is a local file that nobody has written yet: a dry-run
    makes none.
    """
    url = store_url(app, config)
    if is_local_file(url) and not (base_folder(config) / url.removeprefix("sqlite:///")).exists():
        yield None
        return
    with open_store_of(app, config) as store:
        yield store
