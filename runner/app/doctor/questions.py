"""What a check of `doctor` is, and the loop that asks them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from runner.errors import CloudDenied, InvalidInput, RunnerError
from runner.report.doctor import Check

S = TypeVar("S")

SLOW = "give more time with --timeout"


@dataclass(frozen=True, slots=True)
class Question(Generic[S]):
    """One row of a table of checks. `ask` gives the checks, which are called `name` if they have no name of their own.

    `needs`: earlier questions without which this one cannot be asked, and what is said then; nothing if that is empty.
    `hint`: how to mend what is no failure with a hint of its own.
    """

    name: str
    ask: Callable[[S], Iterable[Check] | Awaitable[Iterable[Check]]]
    needs: Mapping[str, str] = field(default_factory=dict)
    hint: str | None = None


async def ask_all(questions: Sequence[Question[S]], subject: S) -> tuple[Check, ...]:
    """Return the checks of all questions in their order. A RunnerError is a failed check."""
    checks: list[Check] = []
    lost: set[str] = set()
    for question in questions:
        missing = next((need for need in question.needs if need in lost), None)
        if missing is not None:
            why = question.needs[missing]
            found = [skipped(f"not tried: {why}")] if why else []
            lost.add(question.name)
        else:
            try:
                asked = question.ask(subject)
                found = [*(await asked if isinstance(asked, Awaitable) else asked)]
            except RunnerError as error:
                found = [failed(error)]
            if any(check.status == "failed" for check in found):
                lost.add(question.name)
        for check in found:
            hint = check.hint or (question.hint if check.status in ("warning", "failed") else None)
            checks.append(replace(check, name=check.name or question.name, hint=hint))
    return tuple(checks)


def ok(message: str, details: Iterable[str] = ()) -> Check:
    return Check("", "ok", message, details=tuple(details))


def warning(message: str, hint: str | None = None, details: Iterable[str] = ()) -> Check:
    return Check("", "warning", message, hint, tuple(details))


def skipped(message: str) -> Check:
    return Check("", "skipped", message)


def failed(error: RunnerError, details: Iterable[str] = (), name: str = "") -> Check:
    """Return what an error of ours says, and how it says to mend it."""
    message, hint, more = error.message, error.hint, tuple(details)
    if isinstance(error, InvalidInput) and error.problems:
        first, *others = error.problems
        message, hint = first.message, first.hint
        more += tuple(problem.message for problem in others)
    return Check(name, "failed", message, hint, more, isinstance(error, CloudDenied))
