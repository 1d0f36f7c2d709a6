"""`resume`: go on with a suspended or interrupted run, wherever it was begun."""

from __future__ import annotations

from typing import Any

import click

from runner.app.app import App
from runner.cli.options import manner_options


@click.command(
    epilog="""\b
Examples:
  reboot-runner resume web-kernel-2026-11       the latest run of this plan
  reboot-runner resume 20261123-2130            a unique prefix of a run's id
  reboot-runner resume web --no-wait            one step further, then exit 75 if it must wait
"""
)
@click.argument("run")
@manner_options
@click.pass_obj
def command(app: App, run: str, manner: Any, store_is_persistent: bool) -> int:
    """Follow RUN (an id, a unique prefix, or a plan's name) to its end.

    With --override-window the waves that begin in this call do so outside windows and in
    freezes; each that does is recorded with who and why. It does not outlast the call.

    What was asked of the cloud before is taken from the journal and from the servers:
    nothing is asked twice. A run that is closed is only reported.
    """
    from runner.app.resume_run import resume

    return resume(app, run, manner, store_is_persistent)
