"""What must stay up while plans run, in commands: this machine, and what the configuration names as support."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from runner.errors import InvalidInput
from runner.report.safe import plain

if TYPE_CHECKING:
    from runner.app.sessions import Sessions
    from runner.loading.plan import Loaded
    from runner.model.inventory import Inventory
    from runner.model.problem import Problem
    from runner.model.schedule import Schedule


def judge_made(
    sessions: Sessions, loaded: Loaded, schedule: Schedule, inventory: Inventory, skipped: Collection[str] = ()
) -> list[Problem]:
    """What in a schedule may not go down, each problem at its place in the plan. `skipped`: ids that are out anyway."""
    from runner.planning.spared import judge_spared

    found = (
        problem
        for session in sessions.by_name.values()
        for problem in judge_spared(session.spared, schedule, inventory, skipped, target=session.target.name)
    )
    return [loaded.place(p) for p in found]


def demand_spared(
    sessions: Sessions, loaded: Loaded, schedule: Schedule, inventory: Inventory, skipped: Collection[str] = ()
) -> list[str]:
    """The warnings, for people. Raises InvalidInput where a schedule would take down what must stay up."""
    problems = judge_made(sessions, loaded, schedule, inventory, skipped)
    if any(p.severity == "error" for p in problems):
        raise InvalidInput(problems)
    return [plain(p.message, 1000) for p in problems]
