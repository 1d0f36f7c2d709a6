"""`reconcile`: advance the open runs of the store that are due."""

from __future__ import annotations

from datetime import timedelta

import click

from runner.app.app import App
from runner.cli.options import Length


@click.command(
    epilog="""\b
Examples:
  reboot-runner reconcile                       from cron, every five minutes, from several places
  reboot-runner reconcile --wait 30m            from a CI schedule: stay with runs that are due soon
  REBOOT_RUNNER_STORE=postgresql://… reboot-runner reconcile
"""
)
@click.option(
    "--wait",
    type=Length(),
    default="0s",
    show_default=True,
    help="Stay while a run is due within this time.",
)
@click.option("--deadline", type=Length(), help="Leave the runs (they stay open) after this time.")
@click.pass_obj
def command(app: App, wait: timedelta, deadline: timedelta | None) -> int:
    """Advance every open run that is due by all that can be done now, then exit; the rest is
    left alone.

    With --wait it stays for as long as one of the runs is due within that time, and
    advances each when it is due. It never starts a run: work is begun by `run`. A run that
    fails is set back with a growing delay and does not stop the others. Exits 0, or with
    the code of the first failure.
    """
    from runner.app.reconcile import reconcile

    return reconcile(app, wait.total_seconds(), deadline.total_seconds() if deadline else None)
