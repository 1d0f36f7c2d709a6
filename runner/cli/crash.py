"""The last handler: an error nobody expected. Imported only then."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

import click

from runner import __version__
from runner.errors import Exit
from runner.report.safe import plain


def report_crash(error: BaseException) -> int:
    """Say what happened in one line and keep the traceback in a file. Locals are never
    written: they hold secrets.
    """
    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="reboot-runner-crash-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"reboot-runner {__version__}\n{text}")
    click.echo(f"unexpected error: {type(error).__name__}: {plain(error)}", err=True)
    click.echo(
        f"  The traceback is in {Path(file.name)}; a run that was going on is safe in its store.",
        err=True,
    )
    return Exit.ERROR
