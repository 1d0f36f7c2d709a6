"""`report`: the report of a run, made from its journal alone. No cloud is asked."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App
from runner.cli.options import output_option


@click.command(
    epilog="""\b
Examples:
  reboot-runner report web                                what happened in the latest run of plan web
  reboot-runner report web -o html --out report.html      one file, to keep or to send
  reboot-runner report web -o markdown --limit 60000      for a pull-request comment
  reboot-runner report 20261123-2130 -o json              any unique beginning of a run's id
"""  # noqa: E501
)
@click.argument("run")
@output_option("text", "json", "markdown", "html", "junit", "csv", of="The form.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE instead of stdout.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=20_000),
    metavar="BYTES",
    help=(
        "Of Markdown: 60000 fits a comment, 900000 (the default) a job's summary. What is cut "
        "is said."
    ),
)
@click.pass_obj
def command(app: App, run: str, output: str, out: Path | None, limit: int | None) -> None:
    """Write the report of RUN (an id, a unique prefix, or a plan's name: its latest run),
    closed or still open.
    """
    from runner.app.write_report import write_report

    if limit is not None and output != "markdown":
        raise click.UsageError("--limit is for -o markdown")
    write_report(app, run, output, out, limit)
