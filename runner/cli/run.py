"""`run`: execute a plan and follow it to its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.app.prepare import Loader, read_order
from runner.cli.options import (
    Length,
    changed_option,
    deadline_option,
    load_options,
    manner_of,
    max_wait_option,
    no_wait_option,
    override_options,
    persistent_option,
    template_options,
)
from runner.errors import Exit, RunnerError, UsageProblem
from runner.report.safe import plain

if TYPE_CHECKING:
    from runner.app.run_plan import Runner
    from runner.loading.config import LoadedConfig


@click.command(
    "run",
    short_help="Execute a plan and follow it to its end.",
    epilog="""\b
Examples:
  reboot-runner run plans/quickstart.yaml             on the embedded simulated cloud
  reboot-runner run plans/web.yaml                    asks for the plan's name first
  reboot-runner run plans/web.yaml --schedule-digest sha256:…   exactly what was reviewed
  reboot-runner run web.json --schedule-digest sha256:…         what `diff --out web.json` saved
  reboot-runner run --changed origin/main~1..HEAD plans/        the plans that a merge changed
  reboot-runner run plans/web.yaml --deadline 5h30m   in a CI job of six hours

\b
Exit codes: 0 done · 3 plan invalid · 4 not every server ready · 5 stopped ·
6 schedule differs · 7 held or halted · 75 suspended, go on with `resume` ·
77 credentials · 130/143 interrupted (state saved)
""",
)
@click.argument("plans", nargs=-1, metavar="PLAN|SCHEDULE", type=click.Path(path_type=Path))
@template_options
@changed_option
@click.option("--target", metavar="NAME", help="A target of the configuration; overrides the plan's.")
@click.option("--yes", is_flag=True, help="Do not ask, although the servers are real.")
@click.option("--schedule-digest", metavar="DIGEST", help="Refuse (exit 6) any schedule but the reviewed one.")
@click.option(
    "--plan", "plan_file", type=click.Path(path_type=Path), help="The plan of SCHEDULE, if its file was renamed."
)
@click.option(
    "--max-age",
    type=Length(),
    default="7d",
    show_default=True,
    help="Refuse (exit 6) an older SCHEDULE; judged once, when its run is created.",
)
@click.option("--supersede", is_flag=True, help="Cancel an open run of another version of the plan and end it first.")
@deadline_option
@no_wait_option
@max_wait_option
@override_options
@persistent_option
@click.pass_context
def command(
    ctx: click.Context,
    plans: tuple[Path, ...],
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    changed: str | None,
    target: str | None,
    yes: bool,
    schedule_digest: str | None,
    plan_file: Path | None,
    max_age: timedelta,
    supersede: bool,
    deadline: timedelta | None,
    no_wait: bool,
    max_wait: timedelta | None,
    override_window: bool,
    reason: str | None,
    store_is_persistent: bool,
) -> None:
    """Restart the servers of PLAN wave by wave and report what happened to each.

    SCHEDULE is what `diff --out` saved: exactly its servers and waves are executed. It is refused (exit 6) when its
    plan has changed since, when its target's project is another, when it is too old, or when more than 10 % of its
    servers would be skipped before the first wave, those that are merely busy not counted. Servers that match only
    now are listed and never added.

    An open run of the same plan is gone on with; a plan whose run has ended sends nothing and says so. Ctrl-C stops
    new work, saves everything and says what is in flight; a second one ends at once.

    Outside the plan's windows, and in freezes, a wave waits until the next one that it fits into. --override-window
    lets the waves of this call begin all the same; each that does is recorded with who and why.

    With --changed the plans that a range of commits changed are run, one after the other; the exit code is the first
    of 1, 77, 3, 7, 6, 5, 4, 75, 0 that occurs.
    """
    from runner.app.execute_run import run_now
    from runner.app.run_plan import Runner
    from runner.app.start_run import Wish

    app: App = ctx.obj
    config = app.load_config()
    files, others = _files(app, config, plans, changed, vars_file)
    if len(files) > 1 and schedule_digest:
        raise UsageProblem("--schedule-digest names one schedule, these are several plans")
    wish = Wish(yes, schedule_digest, supersede, max_age)
    runner = Runner(
        app, config, wish, manner_of(deadline, no_wait, max_wait, override_window, reason), store_is_persistent
    )
    load = _loader(config, var, vars_file)
    if changed is not None and files:
        _tell_same_names(app, config, load, files, others)
    if len(files) == 1:
        ctx.exit(run_now(runner.run(read_order(files[0], target, load, plan_file), target)).code)
    ctx.exit(_run_each(app, runner, files, target, load))


def _files(
    app: App, config: LoadedConfig, plans: tuple[Path, ...], changed: str | None, vars_file: tuple[Path, ...]
) -> tuple[list[Path], list[Path]]:
    """Return what is to be run: one file that was named, or the plans that a range changed.

    Second, the plans beside them that did not change.
    """
    import os

    from runner.app.changed_plans import select, tell_selection
    from runner.app.prepare import PLANS
    from runner.app.run_plan import tell_open_runs

    if changed is None:
        if len(plans) != 1:
            raise UsageProblem("name one plan or schedule, or give --changed BASE..HEAD")
        if plans[0].is_dir():
            raise _is_folder(plans[0])
        return [plans[0]], []
    if any(path.suffix.lower() not in PLANS and not path.is_dir() for path in plans):
        raise UsageProblem("--changed is for plans and folders with plans; a saved schedule is run by itself")
    selection = select(plans, changed, os.environ, Path.cwd(), shared=vars_file)
    if selection.dirty:
        listed = ", ".join(map(plain, selection.dirty[:5]))
        raise UsageProblem(f"not as it is committed: {listed}", hint="commit it or put it aside: a range is of commits")
    tell_selection(app, selection)
    tell_open_runs(app, config, selection)
    return selection.files, selection.unchanged


def _tell_same_names(
    app: App, config: LoadedConfig, load: Loader, files: Sequence[Path], others: Sequence[Path]
) -> None:
    """Warn of plans that have the name of another: what one has rebooted counts as rebooted by both."""
    from runner.app.policy import Police
    from runner.loading.together import same_names

    plans_among = Police.of(config).plans_among
    for problem in same_names(map(load, plans_among(files)), map(load, plans_among(others))):
        where = f"{problem.location.file}: " if problem.location else ""
        app.talk(f"warning: {plain(f'{where}{problem.message}: {problem.hint}', 1000)}")


def _is_folder(path: Path) -> UsageProblem:
    """The error for `run plans/`, with the plans that are there."""
    from runner.loading.search import find_plans

    found = [plain(one) for one in find_plans([path])[0]]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    there = f"name one of {', '.join(found[:5])}{more}" if found else "name a plan; this folder holds none"
    hint = f"{there}, or run those that commits changed: --changed BASE..HEAD {plain(path)}"
    return UsageProblem(f"{plain(path)} is a folder, and run takes one plan", hint=hint)


def _run_each(app: App, runner: Runner, files: list[Path], target: str | None, load: Loader) -> int:
    """Plan after plan; what is wrong with one does not keep the others from running."""
    from runner.app.execute_run import run_now
    from runner.report.diff import exit_code

    codes = []
    for file in files:
        app.talk(f"{file}:")
        try:
            codes.append(run_now(runner.run(read_order(file, target, load), target)).code)
        except RunnerError as error:
            app.show_error(error)
            codes.append(error.exit_code)
        if codes[-1] in (Exit.INTERRUPTED, Exit.TERMINATED):
            return codes[-1]
    return exit_code(codes)


def _loader(config: LoadedConfig, var: tuple[tuple[str, str], ...], vars_file: tuple[Path, ...]) -> Loader:
    import os

    from runner.loading.config import template_env
    from runner.loading.plan import load_plan

    options = load_options(var, vars_file, template_env(config.config, os.environ))
    return lambda path: load_plan(path, options)
