"""`report`: the report of a run, made from its journal alone. No cloud is asked."""

from __future__ import annotations

from pathlib import Path

from runner.app.app import App
from runner.app.files import write_whole
from runner.app.stores import open_store_of
from runner.execution.journal import replay
from runner.report.forms import rendered
from runner.report.run_build import build_report
from runner.report.safe import plain


def write_report(app: App, run: str, form: str, out: Path | None, limit: int | None) -> None:
    """Write the report of a run, closed or still open, to a file or to stdout. `limit`:
    bytes of Markdown.
    """
    with open_store_of(app) as store:
        row = store.find(run)
        events = store.events(row.id)
    text = rendered(build_report(replay(row.id, events), events), form, limit).rstrip("\n") + "\n"
    if out is not None:
        write_whole(out, text)
        app.talk(f"report of run {row.id} written to {plain(out)}", run=row.id, file=str(out))
    elif form == "text":
        app.show(text.rstrip("\n"))
    else:
        app.echo(text, newline=False)
