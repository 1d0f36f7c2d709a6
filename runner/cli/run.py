"""`run`: execute a plan and follow it to its end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.common import App, closed_pipe_is_fine
from runner.cli.options import load_options, template_options
from runner.errors import Exit, UsageProblem

if TYPE_CHECKING:
    from runner.cli.ordering import Order
    from runner.cli.starting import Wish
    from runner.loading.config import LoadedConfig
    from runner.ports.store import RunRow
    from runner.store.sql import SqlStore


class Length(click.ParamType[timedelta]):
    """A duration such as `5h30m`."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from runner.model.quantity import parse_duration

        try:
            return value if isinstance(value, timedelta) else parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


deadline_option = click.option(
    "--deadline", type=Length(), help="Suspend (exit 75) after this time: a little below the limit of a CI job."
)
no_wait_option = click.option(
    "--no-wait", is_flag=True, help="Suspend (exit 75) instead of waiting for a pause or an approval."
)
persistent_option = click.option(
    "--store-is-persistent", is_flag=True, help="In CI: this machine's disk outlives the job, a local store is fine."
)


@click.command(
    "run",
    short_help="Execute a plan and follow it to its end.",
    epilog="""\b
Examples:
  reboot-runner run plans/quickstart.yaml             on the embedded simulated cloud
  reboot-runner run plans/web.yaml                    asks for the plan's name first
  reboot-runner run plans/web.yaml --schedule-digest sha256:…   exactly what was reviewed
  reboot-runner run web.json --schedule-digest sha256:…         what `diff --out web.json` saved
  reboot-runner run plans/web.yaml --deadline 5h30m   in a CI job of six hours
\b
Exit codes: 0 done · 3 plan invalid · 4 not every server ready · 5 stopped ·
6 schedule differs · 7 held or halted · 75 suspended, go on with `resume` ·
77 credentials · 130/143 interrupted (state saved)
""",
)
@click.argument("plan", metavar="PLAN|SCHEDULE", type=click.Path(path_type=Path))
@template_options
@click.option("--target", metavar="NAME", help="A target of the configuration; overrides the plan's.")
@click.option("--yes", is_flag=True, help="Do not ask, although the servers are real.")
@click.option("--schedule-digest", metavar="DIGEST", help="Refuse (exit 6) any schedule but the reviewed one.")
@deadline_option
@no_wait_option
@persistent_option
@click.pass_context
def command(
    ctx: click.Context,
    plan: Path,
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    target: str | None,
    yes: bool,
    schedule_digest: str | None,
    deadline: timedelta | None,
    no_wait: bool,
    store_is_persistent: bool,
) -> None:
    """Restart the servers of PLAN wave by wave and report what happened to each.

    SCHEDULE is what `diff --out` saved: exactly that is executed, whatever the plan says by now.

    An open run of the same plan is gone on with; a plan whose run has ended sends nothing and says so. Ctrl-C stops
    new work, saves everything and says what is in flight; a second one ends at once.
    """
    from runner.cli.executing import Manner, run_now
    from runner.cli.starting import Wish

    app: App = ctx.obj
    config, order = _read(app, plan, target, var, vars_file)
    manner = Manner(no_wait, deadline.total_seconds() if deadline else None)
    wish = Wish(yes, schedule_digest)
    ctx.exit(run_now(_run(app, config, order, target, wish, manner, store_is_persistent)))


def _read(
    app: App, path: Path, target: str | None, var: tuple[tuple[str, str], ...], vars_file: tuple[Path, ...]
) -> tuple[LoadedConfig, Order]:
    """Configuration and what is to be run; raises InvalidInput with the problems of both."""
    import os

    from runner.cli.ordering import read_order
    from runner.loading.config import template_env
    from runner.loading.plan import load_plan

    config = app.load_config()
    options = load_options(var, vars_file, template_env(config.config, os.environ))
    order = read_order(path, target, lambda plan: load_plan(plan, options))
    if order.saved is not None and (var or vars_file):
        raise UsageProblem("--var and --vars-file are for plans; a saved schedule has its values")
    return config, order


async def _run(
    app: App, config: LoadedConfig, order: Order, target: str | None, wish: Wish, manner: Any, store_is_persistent: bool
) -> int:
    from runner.cli import starting
    from runner.cli.executing import execute
    from runner.cli.targets import choose_target, demand_persistent_store, open_store_of, open_target
    from runner.ports.store import RunExists
    from runner.report.diff import headline

    name = choose_target(config, target, order.target)
    with open_store_of(app, config) as store:
        earlier = starting.earlier_run(store, order.plan_name, order.plan_digest, name)
        if earlier is not None and earlier.is_open:
            return await _join(app, config, store, earlier, wish, manner, store_is_persistent)
        async with open_target(app, config, name) as session:
            demand_persistent_store(app, config, session.is_real, store_is_persistent)
            if earlier is not None and order.is_done_by(earlier, session):
                return _done_already(app, store, earlier.id)
            schedule, inventory, warnings = await order.schedule(store, session)
            for warning in warnings:
                app.talk(f"warning: {warning}")
            if not schedule.servers:
                app.echo(headline(schedule))
                return Exit.DONE
            app.talk(headline(schedule))
            starting.demand_consent(app, schedule, session, wish)
            try:
                run_id = starting.begin_run(store, session, schedule, inventory, order.file)
            except RunExists:  # another process began it while this one was planning
                other = starting.earlier_run(store, order.plan_name, order.plan_digest, name)
                if other is None:
                    raise
                return await _join(app, config, store, other, wish, manner, store_is_persistent)
            app.talk(f"run {run_id} begins", run=run_id)
            return await execute(app, store, {name: session}, run_id, manner)


async def _join(
    app: App, config: LoadedConfig, store: SqlStore, row: RunRow, wish: Wish, manner: Any, store_is_persistent: bool
) -> int:
    """Follow the run of the same plan that is there already. Raises Stale when another schedule was reviewed."""
    from runner.cli.resume import follow_open
    from runner.cli.starting import demand_reviewed
    from runner.execution.journal import read_run

    demand_reviewed(row.schedule_digest, wish)
    if not row.is_open:
        return _done_already(app, store, row.id)
    app.talk(f"run {row.id} of this plan is open: going on with it", run=row.id)
    return await follow_open(app, config, store, read_run(store, row.id), manner, store_is_persistent)


def _done_already(app: App, store: Any, run_id: str) -> int:
    """The same plan has run to its end: nothing is sent, and its own exit code is returned."""
    from runner.execution.journal import read_run
    from runner.model.run_exit import exit_code
    from runner.report.run_text import run_text

    run = read_run(store, run_id)
    with closed_pipe_is_fine():
        app.echo(run_text(run, store.events(run_id)))
    app.talk(
        f"nothing was sent: this plan has run already, as run {run_id} ({run.word})."
        " To restart its servers again, give the plan a new `cycle`."
    )
    code: int = exit_code(run)
    return code
