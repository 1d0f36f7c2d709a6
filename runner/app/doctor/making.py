"""How answers and errors become checks."""

from __future__ import annotations

from runner.errors import CloudDenied, InvalidInput, RunnerError
from runner.report.doctor import Check


def ok(name: str, message: str, *, details: tuple[str, ...] = (), action: str | None = None) -> Check:
    return Check(name, "ok", message, details=details, action=action)


def warning(name: str, message: str, hint: str, *, details: tuple[str, ...] = ()) -> Check:
    return Check(name, "warning", message, hint, details)


def skipped(name: str, message: str, *, details: tuple[str, ...] = (), action: str | None = None) -> Check:
    return Check(name, "skipped", message, details=details, action=action)


def failed(name: str, error: RunnerError, *, details: tuple[str, ...] = (), action: str | None = None) -> Check:
    """What an error of ours says, and how it says to mend it."""
    denied = isinstance(error, CloudDenied)
    if isinstance(error, InvalidInput) and error.problems:
        first = error.problems[0]
        more = tuple(problem.message for problem in error.problems[1:])
        return Check(name, "failed", first.message, first.hint, (*details, *more), denied, action)
    return Check(name, "failed", error.message, error.hint, details, denied, action)


def counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
