"""What every use case is given: the global options, and a port for everything that is said.

A use case knows neither click nor terminals. The command line implements `App`; so can a
test or a service.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runner.errors import Exit, InvalidInput, RunnerError

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig
    from runner.model.events import Event
    from runner.model.problem import Problem
    from runner.model.run import Run


class Display(Protocol):
    """Shows the progress of a run. No call raises."""

    def watch(self, run: Run, event: Event) -> None:
        """Show an event; `run` is the state after it."""

    def tick(self, run: Run, waits_for: str, now: datetime) -> None:
        """Show that time passes. `waits_for` is empty when there is more to do at once."""

    def close(self) -> None:
        """End the display."""


class Picture(Protocol):
    """A terminal on which lines are drawn again and again in one place. Entered, it follows
    the terminal's size.
    """

    def __enter__(self) -> object:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """Take the picture away."""

    def size(self) -> tuple[int, int]:
        """Return columns and lines."""

    def draw(self, lines: Sequence[str]) -> None:
        """Draw lines that are narrower than the terminal."""

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until the terminal has another size."""


@dataclass(frozen=True, slots=True)
class PlanChoice:
    """Which plans a command means: files and folders, or with `changed` what a range of
    commits changed of them (empty: the range of GitHub's event). `variables` and
    `vars_files` are for their templates.
    """

    paths: tuple[Path, ...]
    changed: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    vars_files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class App(ABC):
    """The global options, and where a use case says things: data to `echo` and `show`, the
    rest to `talk`.
    """

    config: Path | None = None
    store: str | None = None
    color: str = "auto"
    verbose: int = 0
    log_format: str = "text"

    def load_config(self) -> LoadedConfig:
        """Return the configuration. Raise InvalidInput with all its problems."""
        from runner.loading.config import load_config

        loaded = load_config(self.config, Path.cwd(), os.environ)
        if any(p.severity == "error" for p in loaded.problems):
            raise InvalidInput(loaded.problems)
        return loaded

    @abstractmethod
    def talk(self, text: str, **fields: Any) -> None:
        """Say one line beside the data; `fields` are for machines."""

    @abstractmethod
    def show_problems(self, problems: Iterable[Problem]) -> None:
        """Say all problems, with their lines."""

    @abstractmethod
    def show_error(self, error: RunnerError) -> None:
        """Say an expected error: the sentence, all its problems, and how to fix it."""

    @abstractmethod
    def echo(self, text: str, *, newline: bool = True) -> None:
        """Write data as it is."""

    @abstractmethod
    def show(self, text: str) -> None:
        """Write text for people, wrapped where a terminal shows it; its colours are left
        out where none are shown.
        """

    @abstractmethod
    def closed_pipe_is_fine(self) -> AbstractContextManager[None]:
        """Return what surrounds the writing of data that may lose its reader without
        changing the exit code.
        """

    @abstractmethod
    def show_result(self, text: str) -> None:
        """Write the report of a run: a reader that is gone does not change how the program ends."""

    @abstractmethod
    def picture(self) -> Picture | None:
        """Return the terminal that shows the data; None where there is none."""

    @abstractmethod
    def ask(self, prompt: str, *lines: str) -> str | None:
        """Say `lines` and return what a person types after `prompt`; None where no
        person is there.
        """

    @abstractmethod
    def progress(self) -> Display:
        """Return the display that suits this run of the program. Nothing is shown before
        its first call.
        """

    @abstractmethod
    def log(self) -> Display:
        """Return a display in whole lines that name their run, for several runs at once."""


def hint_of(error: RunnerError) -> str | None:
    """Return how to fix an error; where credentials or a permission fail, also which
    command shows more.
    """
    if error.exit_code != Exit.DENIED:
        return error.hint
    told = "`reboot-runner doctor` tells which credentials are taken, and what they may do"
    return f"{error.hint}; {told}" if error.hint else told


def in_ci() -> bool:
    """Return whether a CI system runs this process (`CI` is set and not `false`)."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
