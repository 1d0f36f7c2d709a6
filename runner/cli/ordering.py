"""What `run` is asked to do: a plan, of which the schedule is made now, or a schedule that was saved and reviewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import InvalidInput, Stale, UsageProblem
from runner.model.problem import Location, Problem
from runner.report.safe import plain

if TYPE_CHECKING:
    from runner.cli.targets import Session
    from runner.loading.plan import Loaded
    from runner.model.inventory import Inventory
    from runner.model.schedule import Schedule
    from runner.ports.store import RunRow
    from runner.store.sql import SqlStore

PLANS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Order:
    """A plan (`loaded`) or a saved schedule (`saved`): exactly one of the two. `target`: the name that it says."""

    file: Path
    plan_name: str
    plan_digest: str
    target: str | None
    loaded: Loaded | None = None
    saved: Schedule | None = None

    def is_done_by(self, row: RunRow, session: Session) -> bool:
        """Whether a closed run of the plan leaves nothing to do.

        A plan is run again on the embedded simulated cloud, in a new cycle; a saved schedule has its cycle already.
        """
        return not session.is_embedded or (self.saved is not None and row.schedule_digest == self.saved.digest)

    async def schedule(self, store: SqlStore, session: Session) -> tuple[Schedule, Inventory, list[str]]:
        """The schedule, the inventory, and warnings as text.

        Raises InvalidInput with every problem of the plan against the cloud as it is, Stale for a saved schedule of
        another project.
        """
        if self.loaded is not None:
            from runner.cli.starting import make_schedule_now

            return await make_schedule_now(store, session, self.loaded, self.plan_digest)
        assert self.saved is not None  # noqa: S101 - one of the two is there
        reviewed = {t.project_id for t in self.saved.targets}
        if reviewed != {session.target.project_id}:
            raise Stale(
                f"target {session.target.name} is project {session.target.project_id}, the schedule was made for"
                f" {', '.join(sorted(map(plain, reviewed)))}",
                hint="mend the configuration, or make the schedule again with `reboot-runner diff`",
            )
        return self.saved, await session.cloud.inventory(), []


def read_order(path: Path, target: str | None, load: Callable[[Path], Loaded]) -> Order:
    """A saved schedule or a plan; `load` reads a plan. Raises InvalidInput with all problems of the file."""
    return _of_schedule(path, target) if _is_schedule(path) else _of_plan(path, load)


def _is_schedule(path: Path) -> bool:
    """Whether a file holds a JSON object and is not named like a plan."""
    if path.suffix in PLANS:
        return False
    try:
        with path.open("rb") as file:
            return file.read(256).lstrip().startswith(b"{")
    except OSError:
        return False


def _of_plan(path: Path, load: Callable[[Path], Loaded]) -> Order:
    from runner.loading.plan import plan_digest

    loaded = load(path)
    if loaded.plan is None:
        raise InvalidInput(loaded.problems)
    plan = loaded.plan
    return Order(Path(loaded.name), plan.name, plan_digest(plan), plan.target, loaded=loaded)


def _of_schedule(path: Path, target: str | None) -> Order:
    from runner.report.schedule_json import MAX_BYTES, load

    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except UnicodeDecodeError:
        raise InvalidInput([Problem("NotJson", "not UTF-8 text", Location(path.as_posix()))]) from None
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise InvalidInput([Problem("Unreadable", message, Location(path.as_posix()))]) from None
    saved = load(text, path.as_posix())
    names = [t.name for t in saved.targets]
    if target is not None and names != [target]:
        raise UsageProblem(
            f"the schedule is for target {', '.join(map(plain, names))}, not {plain(target)}",
            hint="a saved schedule has its target; leave --target out, or make another with `reboot-runner diff`",
        )
    return Order(path, saved.plan_name, saved.plan_digest, next(iter(names), None), saved=saved)
