"""`report`: the report of a run, made from its journal alone. No cloud is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.common import App, write_whole

if TYPE_CHECKING:
    from runner.report.run_report import RunReport

FORMS = ("text", "json", "markdown", "html", "junit", "csv")


@click.command(
    "report",
    short_help="Write the report of a run from its journal.",
    epilog="""\b
Examples:
  reboot-runner report web                                what happened in the latest run of plan web
  reboot-runner report web -o html --out report.html      one file, to keep or to send
  reboot-runner report web -o markdown --limit 60000      for a pull-request comment
  reboot-runner report 20261123-2130 -o json              any unique beginning of a run's id
""",
)
@click.argument("run")
@click.option("-o", "--output", type=click.Choice(FORMS), default="text", show_default=True, help="The form.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@click.option(
    "--limit",
    type=click.IntRange(min=20_000),
    metavar="BYTES",
    help="Of Markdown: 60000 fits a comment, 900000 (the default) a job's summary. What is cut is said.",
)
@click.pass_obj
def command(app: App, run: str, output: str, out: Path | None, limit: int | None) -> None:
    """Write the report of RUN (an id, a unique prefix, or a plan's name: its latest run), closed or still open."""
    from runner.cli.targets import open_store_of
    from runner.execution.journal import replay
    from runner.report.run_build import build_report
    from runner.report.safe import plain

    if limit is not None and output != "markdown":
        raise click.UsageError("--limit is for -o markdown")
    with open_store_of(app) as store:
        row = store.find(run)
        events = store.events(row.id)
        text = rendered(build_report(replay(row.id, events), events), output, limit).rstrip("\n") + "\n"
    if out is None and output == "text":
        app.show(text.rstrip("\n"))
    elif out is None:
        app.echo(text, newline=False)
    else:
        write_whole(out, text)
        app.talk(f"report of run {row.id} written to {plain(out)}", run=row.id, file=str(out))


def rendered(report: RunReport, form: str, limit: int | None = None) -> str:
    """The report in one of FORMS. Only the module of that form is imported."""
    if form == "json":
        from runner.report.run_json import report_json

        return report_json(report)
    if form == "markdown":
        from runner.report.run_markdown import SUMMARY_LIMIT, report_markdown

        return report_markdown(report, limit or SUMMARY_LIMIT)
    if form == "html":
        from runner.report.run_html import report_html

        return report_html(report)
    if form == "junit":
        from runner.report.run_junit import report_junit

        return report_junit(report)
    if form == "csv":
        from runner.report.run_csv import report_csv

        return report_csv(report)
    from runner.report.run_text import report_text

    return report_text(report)
