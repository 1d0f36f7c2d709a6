"""`resume`: go on with a suspended or interrupted run, wherever it was begun."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.options import (
    deadline_option,
    max_wait_option,
    no_wait_option,
    override_options,
    persistent_option,
)

if TYPE_CHECKING:
    from runner.app.execute_run import Manner, Result


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
    from runner.app.execute_run import run_now
    from runner.cli.options import manner_of

    manner = manner_of(deadline, no_wait, max_wait, override_window, reason)
    ctx.exit(run_now(_resume(ctx.obj, run, manner, store_is_persistent)).code)


async def _resume(app: App, text: str, manner: Manner, store_is_persistent: bool) -> Result:
    from runner.app.execute_run import show_ending
    from runner.app.follow_run import Ending
    from runner.app.resume_run import follow_open
    from runner.app.targets import open_store_of
    from runner.execution.journal import read_run

    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        row = store.find(text)
        run = read_run(store, row.id)
        if not run.is_open:
            return show_ending(app, store, Ending(run, None))
        return await follow_open(app, loaded, store, run, manner, store_is_persistent)
