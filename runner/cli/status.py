"""`status`: the runs of a store, or one run."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App
from runner.cli.options import output_option


@click.command(
    epilog="""\b
Examples:
  reboot-runner status                      the runs of the store, newest first
  reboot-runner status web --watch          one run, until it is closed
  reboot-runner status --plans plans/       … and plans that have no run
"""
)
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Look again every 2 s until the run is closed.")
@click.option(
    "--plans",
    type=click.Path(path_type=Path),
    help="Also list the plans of this folder that have no run.",
)
@click.option("--open", "open_only", is_flag=True, help="Only runs that are open.")
@output_option("text", "json")
@click.pass_obj
def command(
    app: App, run: str | None, watch: bool, plans: Path | None, open_only: bool, output: str
) -> None:
    """Show the runs of the store, or RUN (an id, a unique prefix, or a plan's name: its
    latest run).
    """
    from runner.app.show_status import show_status

    show_status(app, run, plans, output, watch=watch, open_only=open_only)
