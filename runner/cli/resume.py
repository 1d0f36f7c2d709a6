"""`resume`: go on with a suspended or interrupted run, wherever it was begun."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from runner.cli.common import App
from runner.cli.options import (
    deadline_option,
    max_wait_option,
    no_wait_option,
    override_options,
    persistent_option,
)
from runner.errors import Stale

if TYPE_CHECKING:
    from runner.cli.executing import Manner, Result
    from runner.cli.sessions import Sessions
    from runner.loading.config import LoadedConfig
    from runner.model.run import Run
    from runner.store.sql import SqlStore


@click.command(
    "resume",
    short_help="Go on with a suspended or interrupted run.",
    epilog="""\b
Examples:
  reboot-runner resume web-kernel-2026-11       the latest run of this plan
  reboot-runner resume 20261123-2130            a unique prefix of a run's id
  reboot-runner resume web --no-wait            one step further, then exit 75 if it must wait
""",
)
@click.argument("run")
@deadline_option
@no_wait_option
@max_wait_option
@override_options
@persistent_option
@click.pass_context
def command(
    ctx: click.Context,
    run: str,
    deadline: timedelta | None,
    no_wait: bool,
    max_wait: timedelta | None,
    override_window: bool,
    reason: str | None,
    store_is_persistent: bool,
) -> None:
    """Follow RUN (an id, a unique prefix, or a plan's name) to its end.

    With --override-window the waves that begin in this call do so outside windows and in freezes; each that does is
    recorded with who and why. It does not outlast the call.

    What was asked of the cloud before is taken from the journal and from the servers: nothing is asked twice. A run
    that is closed is only reported.
    """
    from runner.cli.executing import run_now
    from runner.cli.options import manner_of

    manner = manner_of(deadline, no_wait, max_wait, override_window, reason)
    ctx.exit(run_now(_resume(ctx.obj, run, manner, store_is_persistent)).code)


async def _resume(app: App, text: str, manner: Manner, store_is_persistent: bool) -> Result:
    from runner.cli.executing import show_ending
    from runner.cli.following import Ending
    from runner.cli.targets import open_store_of
    from runner.execution.journal import read_run

    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        row = store.find(text)
        run = read_run(store, row.id)
        if not run.is_open:
            return show_ending(app, store, Ending(run, None))
        return await follow_open(app, loaded, store, run, manner, store_is_persistent)


async def follow_open(
    app: App, loaded: LoadedConfig, store: SqlStore, run: Run, manner: Manner, store_is_persistent: bool
) -> Result:
    """Follow an open run to its end on the targets that it was begun on."""
    from runner.cli.executing import execute, setting_for
    from runner.cli.targets import demand_persistent_store
    from runner.execution.driver import Driver

    async with AsyncExitStack() as stack:
        sessions = await open_targets_of(app, loaded, run, stack)
        demand_persistent_store(app, loaded, sessions.is_real, store_is_persistent)
        driver = Driver(setting_for(app, store, sessions), run.id, run=run)
        driver.load()
        now = driver.setting.clock.now()  # this machine's clock may be ahead of the run's
        app.talk(_whereabouts(run, store, now), run=run.id)
        if run.suspended is not None:
            resumed(store, run, now)
        return await execute(app, store, sessions, run.id, manner)


def resumed(store: SqlStore, run: Run, now: datetime) -> None:
    """Write that somebody is at a suspended run again. Raises RunNotFound when it has ended meanwhile."""
    store.record(run.id, now, (("run.resumed", {}),), word=run.working_word)


def _whereabouts(run: Run, store: SqlStore, now: datetime) -> str:
    """Where the run is and what it waits for: whoever goes on with it has not seen how it came there."""
    from runner.cli.status import waiting_for
    from runner.report.run_now import heartbeat
    from runner.report.safe import plain

    waits, _ = waiting_for(run, store.halted())
    clock = f" ({plain(run.facts['clock'])})" if run.facts.get("clock") else ""
    return f"run {run.id}{clock}: {plain(heartbeat(run, waits, now), 2000)}"


async def open_targets_of(app: App, loaded: LoadedConfig, run: Run, stack: AsyncExitStack) -> Sessions:
    """The targets of a run, as configuration has them now; closed with `stack`.

    One of several that cannot be opened stops its own groups only. Raises InvalidInput for a target that is not
    configured any more, Stale for one whose cloud or project is another, CloudError, CloudDenied where none can be
    opened.
    """
    from runner.cli.sessions import open_sessions
    from runner.cli.targets import choose_target

    names = [choose_target(loaded, target.name) for target in run.schedule.targets]
    sessions = await open_sessions(app, loaded, names, names[0], stack, patient=True)
    for target in run.schedule.targets:
        session = sessions.by_name.get(target.name)
        if session is None:
            continue
        is_now = (session.target.cloud, session.target.project_id)
        if is_now != (target.cloud, target.project_id):
            raise Stale(
                f"target {target.name} is cloud {is_now[0]}, project {is_now[1]} now; the run was begun for"
                f" cloud {target.cloud}, project {target.project_id}",
                hint="correct the configuration, or cancel the run",
            )
    return sessions
