"""`doctor`: whether plans could run from here, and what to mend. Reads only; it never asks
for a reboot.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from runner.app.app import App
from runner.cli.options import Length, output_option


@click.command(
    epilog="""\b
Examples:
  reboot-runner doctor                        everything; exit 0, or what kind of thing is wrong
  reboot-runner doctor --target prod-eu -o json
  reboot-runner doctor --policy > policy.json   the IAM policy that runs need, and no more
"""
)
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
@click.option(
    "--plans",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Plans (files, folders) whose gates say what else is needed; else the folder plans.",
)
@click.option(
    "--policy",
    is_flag=True,
    help="Print a custom policy for IAM with the needed actions. Asks nobody.",
)
@click.option(
    "--timeout",
    type=Length(),
    default="10s",
    show_default=True,
    help="Of each question; the whole is a few of them.",
)
@output_option("text", "json")
@click.pass_obj
def command(
    app: App,
    targets: tuple[str, ...],
    plans: tuple[Path, ...],
    policy: bool,
    timeout: timedelta,
    output: str,
) -> int | None:
    """Check from here all that a run needs, and say how to mend what is wrong. Reboots nothing.

    Configuration, policy and sources; for each target the way to its endpoints,
    credentials, the login, clocks, the project, permissions, servers; the store. Exits 0
    (warnings allowed), 3 for an invalid configuration, 77 for credentials or permissions, 1
    for anything else that failed.
    """
    from runner.app.doctor import diagnose

    if policy:
        diagnose.print_policy(app, targets, plans)
        return None
    return diagnose.diagnose(app, targets, plans, timeout.total_seconds(), output)
