"""Commands to GitHub's runner, which reads them in a step's output. Elsewhere nothing is printed.

All begin at the start of a line: whoever printed before them has ended its line.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from runner.net.secret import Secret
from runner.report.safe import command_data, plain


def in_actions(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of a GitHub job."""
    return environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def stop_commands(environ: Mapping[str, str], stream: TextIO | None = None) -> Iterator[None]:
    """What the block prints on the stream (stdout) is text to the runner, whatever it looks like.

    Commands work again after the block, also when it raises. Nobody can end it from within: the word that does is 128
    random bits. The runner reads stdout and stderr apart, so text on the other stream is not covered for sure.
    """
    if not in_actions(environ):
        yield
        return
    _STOPPED.append(_stop(stream))
    try:
        yield
    finally:
        # On a line of its own even if the block has left one open: glued to it, the word would be text.
        _say(stream, f"\n::{_STOPPED.pop()}::\n")


def _stop(stream: TextIO | None) -> str:
    token = secrets.token_hex(16)
    _say(stream, f"::stop-commands::{token}\n")
    return token


_STOPPED: list[str] = []
"""The words that end the blocks of this process, the innermost last."""


def add_mask(environ: Mapping[str, str], secret: Secret, stream: TextIO | None = None) -> None:
    """The runner shows `***` for the secret in all later output. Call it before anything can print the secret.

    On stderr, as stdout may be redirected to a report. Printed only for GitHub's runner, which takes the line out of
    the log, and never to a file: anywhere else it would be the leak. In a block of `stop_commands` on the same stream
    commands work again for this line.
    """
    out = stream or sys.stderr
    if in_actions(environ) and secret and not _is_file(out):
        _command(out, f"::add-mask::{command_data(secret.reveal())}\n")


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def group(environ: Mapping[str, str], title: str, stream: TextIO | None = None) -> Iterator[None]:
    """The block's output can be folded away in the log under the title. Groups do not nest.

    In a block of `stop_commands` on the same stream commands work again for these lines.
    """
    if not in_actions(environ):
        yield
        return
    _command(stream, f"::group::{command_data(plain(title, 200))}\n")
    try:
        yield
    finally:
        _command(stream, "::endgroup::\n")


def _command(stream: TextIO | None, line: str) -> None:
    """A command of ours: commands that are stopped work again for this line."""
    if _STOPPED:
        _say(stream, f"\n::{_STOPPED[-1]}::\n")
    _say(stream, line)
    if _STOPPED:
        _STOPPED[-1] = _stop(stream)


def _say(stream: TextIO | None, text: str) -> None:
    out = stream or sys.stdout
    out.write(text)
    out.flush()
