"""`retry`: a run's failed and not-started servers as a plan of its own."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App


@click.command(
    epilog="""\b
Examples:
  reboot-runner retry web                                    print it: plan web's latest run
  reboot-runner retry web --out plans/web-retry.yaml         write it, then review it as any plan:
  reboot-runner diff plans/web-retry.yaml
"""
)
@click.argument("run")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PLAN",
    help="Write to PLAN instead of stdout.",
)
@click.pass_obj
def command(app: App, run: str, out: Path | None) -> None:
    """Write a plan that repeats RUN, a closed run, with only the servers that are still to be
    rebooted: those that failed, were not started, were busy, locked or stopped, or were not
    scheduled for such a reason.

    It has the same groups, rules and cycle. `retry_of` in it lets the servers that failed
    in RUN go down once more in that cycle: once, for a server that another run has asked
    for since is left alone again. Servers whose outcome is unknown, that show a reboot, or
    that are gone stand in it as comments only. Nothing is sent anywhere.
    """
    from runner.app.retry import write_retry

    write_retry(app, run, out)
