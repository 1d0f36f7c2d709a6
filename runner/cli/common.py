"""The command line as the port of the use cases: data on stdout, everything else on stderr."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from runner.app.app import App, Display, Picture, hint_of, in_ci
from runner.cli.screen import TerminalPicture, size_of
from runner.errors import EXIT_WORDS, Exit, InvalidInput, RunnerError, Stale
from runner.model.problem import Problem
from runner.model.shape import json_values
from runner.report.fitting import wrap_all
from runner.report.problems import problem_rows, problems_text
from runner.report.safe import json_text, line_start, plain


@dataclass(frozen=True, slots=True)
class Terminal(App):
    """The command line: data on stdout, everything else on stderr."""

    @classmethod
    def from_options(
        cls, *, config: str | None, store: str | None, color: str, verbose: int, log_format: str
    ) -> Terminal:
        """Options first, then the environment."""
        path = config or os.environ.get("REBOOT_RUNNER_CONFIG") or None
        return cls(Path(path) if path else None, store, color, verbose, log_format)

    @property
    def click_color(self) -> bool | None:
        """True, False, or None for "as each stream allows" (click then strips colour where
        nobody sees it).
        """
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return True if os.environ.get("FORCE_COLOR") else None

    def talk(self, text: str, **fields: Any) -> None:
        """One line on stderr, never a command of a CI system. With `--log-format json` an
        object with `fields`.
        """
        if self.log_format == "json":
            line = {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "message": text,
                **fields,
            }
            click.echo(json_text(line), err=True)
        else:
            click.echo(_fitted(line_start(text), sys.stderr), err=True)

    def show_problems(self, problems: Iterable[Problem]) -> None:
        """Problems on stderr: with their lines for people, or an object each."""
        if self.log_format != "json":
            click.echo(
                _fitted(problems_text(problems, color=True), sys.stderr),
                err=True,
                color=self.click_color,
            )
            return
        for row in problem_rows(problems):
            found = json_values(row)
            self.talk(**{"text": found.pop("message"), **found})

    def show_error(self, error: RunnerError) -> None:
        """An expected error on stderr: the sentence, every problem where there are several,
        and how to mend it.
        """
        hint = plain(said, 1000) if (said := hint_of(error)) else None
        if isinstance(error, InvalidInput):
            self.show_problems(error.problems)
        elif self.log_format == "json":
            more = {"differences": list(error.differences)} if isinstance(error, Stale) else {}
            self.talk(
                plain(error.message, 2000), result=EXIT_WORDS[error.exit_code], hint=hint, **more
            )
            return
        else:
            head = click.style("error:", fg="red", bold=True)
            text = _fitted(line_start(f"{head} {plain(error.message, 2000)}"), sys.stderr)
            click.echo(text, err=True, color=self.click_color)
        for difference in error.differences if isinstance(error, Stale) else ():
            self.talk(f"  - {plain(difference, 1000)}")
        if hint:
            self.talk(f"  hint: {hint}")

    def echo(self, text: str, *, newline: bool = True) -> None:
        """Data on stdout."""
        click.echo(text, nl=newline)

    def show(self, text: str) -> None:
        """Text for people on stdout: on a terminal its lines are wrapped at spaces."""
        click.echo(_fitted(text, sys.stdout), color=self.click_color)

    @contextmanager
    def closed_pipe_is_fine(self) -> Iterator[None]:
        """For data on stdout that `| head` may not want to the end, where the exit code
        says more than "done".
        """
        try:
            yield
        except BrokenPipeError:
            silence_stdout()

    def show_result(self, text: str) -> None:
        """The report of a run on stdout."""
        with self.closed_pipe_is_fine():
            self.show(text)

    def picture(self) -> Picture | None:
        """The terminal that stdout is."""
        return TerminalPicture(sys.stdout) if sys.stdout.isatty() else None

    def ask(self, prompt: str, *lines: str) -> str | None:
        """Ask the person at the terminal; None where stdin or stderr is none. Ctrl-C ends
        the question.
        """
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        for line in lines:
            self.talk(line)
        before = signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # an event loop's would wait for the answer
        try:
            return str(click.prompt(prompt, err=True))
        finally:
            signal.signal(signal.SIGINT, before)

    def progress(self) -> Display:
        """A live display where stderr is a terminal, else lines."""
        is_plain = in_ci() or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
        if self.log_format != "text" or is_plain:
            from runner.cli.progress import LineProgress

            return LineProgress(self)
        from runner.cli.progress_live import LiveProgress, console_of

        return LiveProgress(self, console_of(is_colorless=self.click_color is False))

    def log(self) -> Display:
        """Lines that name their run."""
        from runner.cli.progress import LineProgress

        return LineProgress(self, named=True)


def _fitted(text: str, stream: TextIO) -> str:
    """Return the text wrapped for the terminal that a stream is; unchanged where it is none."""
    if not stream.isatty() or in_ci():
        return text
    return wrap_all(text, size_of(stream)[0])


def silence_stdout() -> None:
    """Nobody reads our stdout any more: nothing may be written there, not even what is buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(error: BaseException, app: App | None = None) -> int:
    """Say on stderr what ended a command, one of `main.EXPECTED`, and return its exit code."""
    app = app or Terminal()
    if isinstance(error, RunnerError):
        app.show_error(error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        silence_stdout()
        return Exit.DONE
    if isinstance(error, OSError):  # a full disk, a file that may not be written
        silence_stdout()
        app.show_error(
            RunnerError(
                f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
            )
        )
        return Exit.ERROR
    if isinstance(error, click.ClickException):
        code = Exit.USAGE if isinstance(error, click.UsageError) else Exit.ERROR
        if app.log_format == "json":
            app.talk(error.format_message(), result=EXIT_WORDS[code])
        else:
            error.show(sys.stderr)
        return code
    app.talk("interrupted", result=EXIT_WORDS[Exit.INTERRUPTED])
    return Exit.INTERRUPTED
