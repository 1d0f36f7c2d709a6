"""What `run` is asked to do: a plan, of which the schedule is made now, or a schedule that
was saved and reviewed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.app.sessions import Sessions
from runner.app.targets import WantedTargets
from runner.errors import InvalidInput, Stale, UsageProblem
from runner.inputs.files import TooLarge, describe, open_regular, read_regular
from runner.inputs.json_text import SCHEDULE
from runner.loading.files import git_root
from runner.loading.plan import Loaded, plan_digest, require
from runner.model.problem import Location, Problem
from runner.model.schedule import Schedule
from runner.ports.store import RunRow
from runner.report.safe import plain
from runner.report.schedule_json import load as load_schedule

PLANS = (".yaml", ".yml")

Loader = Callable[[Path], Loaded]


@dataclass(frozen=True, slots=True)
class Order:
    """A plan, or with `saved` a schedule of it. `wanted`: its targets. `file`: what the
    caller named.

    `digest` is the plan's; of a saved schedule the one that was reviewed. `open_plan`
    reads the plan: of a saved schedule only when a run is to be created of it, so that a
    run goes on whatever became of its plan's file.
    """

    file: Path
    plan_name: str
    digest: str
    wanted: WantedTargets
    open_plan: Callable[[], Loaded]
    saved: Schedule | None = None

    def is_done_by(self, row: RunRow, sessions: Sessions) -> bool:
        """Whether a closed run of the plan leaves nothing to do.

        A plan is run again on the embedded simulated cloud, in a new cycle; a saved
        schedule has its cycle already.
        """
        return not sessions.is_embedded or (
            self.saved is not None and row.schedule_digest == self.saved.digest
        )


def read_order(
    path: Path, target: str | None, load: Loader, plan_file: Path | None = None
) -> Order:
    """A saved schedule or a plan; `load` reads a plan. `plan_file`: where the plan of a saved
    schedule is now.

    Raises InvalidInput with all problems of the file.
    """
    if _is_schedule(path):
        return _of_schedule(path, target, load, plan_file)
    if plan_file is not None:
        raise UsageProblem(
            "--plan says which plan a saved schedule is of; this is no saved schedule"
        )
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
    loaded = load(path)
    plan = require(loaded)
    return Order(
        Path(loaded.name), plan.name, plan_digest(plan), WantedTargets.of(plan), lambda: loaded
    )


def _of_schedule(path: Path, target: str | None, load: Loader, plan_file: Path | None) -> Order:
    saved = read_schedule(path)
    names = [t.name for t in saved.targets]
    if target is not None and names != [target]:
        raise UsageProblem(
            f"the schedule is for target {', '.join(map(plain, names))}, not {plain(target)}",
            hint=(
                "a saved schedule has its target; leave --target out, or make another with "
                "`reboot-runner diff`"
            ),
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
    try:
        data = read_regular(path, SCHEDULE.size)
    except OSError as error:
        code = "ScheduleTooLarge" if isinstance(error, TooLarge) else "Unreadable"
        problem = Problem(code, f"the file {describe(error)}", Location(path.as_posix()))
        raise InvalidInput([problem]) from None
    return load_schedule(data, path.as_posix())


def _find_plan(saved: Schedule, path: Path) -> Path:
    """The plan a schedule was made from, by the name it had then: from here, the Git root, or
    beside the schedule.

    A plan that is gone stands for nothing any more: Stale.
    """
    named = Path(saved.plan_file)
    is_plain = bool(saved.plan_file) and named.suffix.lower() in PLANS and ".." not in named.parts
    root = git_root(Path.cwd()) or Path.cwd()
    for folder in (Path(), root, path.parent) if is_plain else ():
        found = folder / named
        if found.is_file() and found.resolve().is_relative_to(root.resolve()):
            return found
    raise Stale(
        f"the plan of the schedule is gone: there is no file "
        f"{plain(saved.plan_file) or 'named in it'}",
        hint="if it was renamed, name it: --plan FILE; if it was deleted, the schedule is not to run",  # noqa: E501
    )
