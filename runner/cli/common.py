"""What every command shares: the global options, and how to talk. Imports nothing slow."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.errors import InvalidInput, RunnerError

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig


@dataclass(frozen=True, slots=True)
class App:
    """The global options. Data goes to stdout by `echo`, talk to stderr by `talk`."""

    config: Path | None = None
    store: str | None = None
    color: str = "auto"
    verbose: int = 0
    log_format: str = "text"

    @classmethod
    def from_options(cls, *, config: str | None, store: str | None, color: str, verbose: int, log_format: str) -> App:
        """Options first, then the environment."""
        path = config or os.environ.get("REBOOT_RUNNER_CONFIG") or None
        return cls(Path(path) if path else None, store, color, verbose, log_format)

    @property
    def click_color(self) -> bool | None:
        """True, False, or None for "as each stream allows" (click then strips colour where nobody sees it)."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return True if os.environ.get("FORCE_COLOR") else None

    def load_config(self) -> LoadedConfig:
        """The configuration, or its problems as InvalidInput."""
        from runner.loading.config import load_config

        loaded = load_config(self.config, Path.cwd(), os.environ)
        if any(p.severity == "error" for p in loaded.problems):
            raise InvalidInput(loaded.problems)
        return loaded

    def talk(self, text: str, **fields: Any) -> None:
        """One line on stderr. With `--log-format json` it becomes an object with `fields`."""
        if self.log_format == "json":
            import json
            from datetime import UTC, datetime

            line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "message": text, **fields}
            click.echo(json.dumps(line, ensure_ascii=False), err=True)
        else:
            click.echo(text, err=True)

    @staticmethod
    def echo(text: str, *, newline: bool = True) -> None:
        """Data on stdout."""
        click.echo(text, nl=newline)


def in_ci() -> bool:
    """Whether a CI system runs us (`CI` is set and not `false`)."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def show_error(error: RunnerError) -> None:
    """An expected error: the sentence, every problem where there are several, and how to mend it."""
    from runner.report.safe import plain

    if isinstance(error, InvalidInput):
        from runner.report.problems import problems_text

        click.echo(problems_text(error.problems), err=True)
    else:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {plain(error.message, 2000)}", err=True)
    if error.hint:
        click.echo(f"  hint: {plain(error.hint, 1000)}", err=True)


def is_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stderr.isatty()
