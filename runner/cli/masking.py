"""Temporary credentials made invisible in the log of a CI job."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.cloud.secret import Secret


def mask(secret: Secret) -> None:
    """Have GitHub's runner hide this text in the job's log from now on; elsewhere nothing is written.

    It goes to stderr, which the runner reads for commands like stdout: stdout is data, and a redirected report would
    hold the key. Nor is it written where stderr is a file, which nobody reads for commands.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true" or _is_file():
        return
    from runner.report.safe import command_data

    with suppress(OSError):  # nobody reads: then there is nothing to hide it from
        click.echo(f"::add-mask::{command_data(secret.reveal())}", err=True)


def _is_file() -> bool:
    try:
        return stat.S_ISREG(os.fstat(sys.stderr.fileno()).st_mode)
    except (OSError, ValueError):
        return True
