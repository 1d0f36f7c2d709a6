"""`run`: one plan or saved schedule, or the plans that commits changed, one after the other."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from runner.app.app import App, PlanChoice
from runner.app.changed_plans import select, tell_selection
from runner.app.follow_run import Manner
from runner.app.orders import PLANS, Loader, read_order
from runner.app.plan_files import options_of
from runner.app.policy import Police
from runner.app.run_plan import Runner, tell_open_runs
from runner.app.start_run import Wish
from runner.errors import Exit, RunnerError, UsageProblem
from runner.loading.config import LoadedConfig
from runner.loading.plan import Loaded, load_plan
from runner.loading.search import find_plans
from runner.loading.together import same_names
from runner.report.diff import exit_code
from runner.report.safe import plain


def run_plans(
    app: App,
    chosen: PlanChoice,
    target: str | None,
    plan_file: Path | None,
    wish: Wish,
    manner: Manner,
    store_is_persistent: bool,
) -> int:
    """Run what is chosen and return the exit code; what is wrong with one plan does not keep
    the others from running.

    `plan_file`: the plan of a saved schedule, if its file was renamed. Raises RunnerError
    if one thing is chosen.
    """
    config = app.load_config()
    options = options_of(chosen, config)

    def load(path: Path) -> Loaded:
        return load_plan(path, options)

    runner = Runner(app, config, wish, manner, store_is_persistent)
    if chosen.changed is None:
        if len(chosen.paths) != 1:
            raise UsageProblem("name one plan or schedule, or give --changed BASE..HEAD")
        if chosen.paths[0].is_dir():
            raise _is_folder(chosen.paths[0])
        files = list(chosen.paths)
    else:
        files = _changed(app, config, chosen, load)
    if len(files) > 1 and wish.schedule_digest:
        raise UsageProblem("--schedule-digest names one schedule, these are several plans")
    if len(files) == 1:
        return asyncio.run(runner.run(read_order(files[0], target, load, plan_file), target)).code
    codes = []
    for file in files:
        app.talk(f"{file}:")
        try:
            codes.append(asyncio.run(runner.run(read_order(file, target, load), target)).code)
        except RunnerError as error:
            app.show_error(error)
            codes.append(error.exit_code)
        if codes[-1] in (Exit.INTERRUPTED, Exit.TERMINATED):
            return codes[-1]
    return exit_code(codes)


def _changed(app: App, config: LoadedConfig, chosen: PlanChoice, load: Loader) -> list[Path]:
    """Return the plans that a range of commits changed. Warn of runs of deleted plans, and of
    plans of one name: what one has rebooted counts as rebooted by both.
    """
    if any(path.suffix.lower() not in PLANS and not path.is_dir() for path in chosen.paths):
        raise UsageProblem(
            "--changed is for plans and folders with plans; a saved schedule is run by itself"
        )
    selection = select(
        chosen.paths, chosen.changed or "", os.environ, Path.cwd(), shared=chosen.vars_files
    )
    if selection.dirty:
        listed = ", ".join(map(plain, selection.dirty[:5]))
        raise UsageProblem(
            f"not as it is committed: {listed}",
            hint="commit it or put it aside: a range is of commits",
        )
    tell_selection(app, selection)
    tell_open_runs(app, config, selection)
    if selection.files:
        plans_among = Police.of(config).plans_among
        beside = map(load, plans_among(selection.unchanged))
        for problem in same_names(map(load, plans_among(selection.files)), beside):
            where = f"{problem.location.file}: " if problem.location else ""
            app.talk(f"warning: {plain(f'{where}{problem.message}: {problem.hint}', 1000)}")
    return selection.files


def _is_folder(path: Path) -> UsageProblem:
    """Return the error for `run plans/`, with the plans that are there."""
    found = [plain(one) for one in find_plans([path])[0]]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    there = (
        f"name one of {', '.join(found[:5])}{more}"
        if found
        else "name a plan; this folder holds none"
    )
    hint = f"{there}, or run those that commits changed: --changed BASE..HEAD {plain(path)}"
    return UsageProblem(f"{plain(path)} is a folder, and run takes one plan", hint=hint)
