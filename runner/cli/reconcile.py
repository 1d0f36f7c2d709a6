"""`reconcile`: advance the open runs of the store that are due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.options import Length
from runner.errors import Exit

if TYPE_CHECKING:
    from runner.app.reconcile import Ticked


@click.command(
    "reconcile",
    short_help="Advance every open run that is due, then exit.",
    epilog="""\b
Examples:
  reboot-runner reconcile                       from cron, every five minutes, from several places
  reboot-runner reconcile --wait 30m            from a CI schedule: stay with runs that are due soon
  REBOOT_RUNNER_STORE=postgresql://… reboot-runner reconcile
""",
)
@click.option(
    "--wait", type=Length(), default="0s", show_default=True, help="Stay while a run is due within this time."
)
@click.option("--deadline", type=Length(), help="Leave the runs (they stay open) after this time.")
@click.pass_context
def command(ctx: click.Context, wait: timedelta, deadline: timedelta | None) -> None:
    """Advance every open run that is due by all that can be done now, then exit; the rest is left alone.

    With --wait it stays for as long as one of the runs is due within that time, and advances each when it is due.
    It never starts a run: work is begun by `run`. A run that fails is set back with a growing delay and does not stop
    the others. Exits 0, or with the code of the first failure.
    """
    from runner.app.execute_run import run_now
    from runner.app.reconcile import tick

    app: App = ctx.obj
    ticked: Ticked = run_now(tick(app, wait.total_seconds(), deadline.total_seconds() if deadline else None))
    app.talk(f"{len(ticked.advanced)} due, {ticked.open} open now", advanced=len(ticked.advanced), open=ticked.open)
    ctx.exit(ticked.signal or next((c for c in ticked.codes.values() if c), Exit.DONE))
