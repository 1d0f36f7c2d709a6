"""What a check of `doctor` is, and the loop that asks them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias, TypeVar

from runner.errors import CloudDenied, InvalidInput, RunnerError
from runner.report.doctor import CheckResult

S = TypeVar("S")

Answer: TypeAlias = CheckResult | Iterable[CheckResult] | None
SLOW = "give more time with --timeout"


@dataclass(frozen=True, slots=True)
class CheckRow(Generic[S]):
    """One row of a table of checks. `ask` gives the checks, which are called `name` if they
    have no name of their own.

    `needs`: checks; if one has failed or was left out, this question is left out too, and
    the text says why, if any. `hint`: how to mend what has no hint of its own.
    """

    name: str
    ask: Callable[[S], Answer | Awaitable[Answer]]
    needs: Mapping[str, str] = field(default_factory=dict)
    hint: str | None = None


async def ask_all(questions: Sequence[CheckRow[S]], subject: S) -> tuple[CheckResult, ...]:
    """Return the checks of all questions in their order. A RunnerError is a failed check."""
    checks: list[CheckResult] = []
    lost: set[str] = set()
    for question in questions:
        missing = next((need for need in question.needs if need in lost), None)
        answer: Answer = None
        if missing is not None:
            lost.add(question.name)
            answer = skipped(f"not tried: {why}") if (why := question.needs[missing]) else None
        else:
            try:
                asked = question.ask(subject)
                answer = await asked if isinstance(asked, Awaitable) else asked
            except RunnerError as error:
                answer = failed(error)
        for check in [answer] if isinstance(answer, CheckResult) else answer or ():
            hint = check.hint or (question.hint if check.status in ("warning", "failed") else None)
            checks.append(replace(check, name=check.name or question.name, hint=hint))
            lost |= {question.name, checks[-1].name} if check.status == "failed" else set()
    return tuple(checks)


def ok(message: str, details: Iterable[str] = ()) -> CheckResult:
    return CheckResult("", "ok", message, details=tuple(details))


def warning(message: str, hint: str | None = None, details: Iterable[str] = ()) -> CheckResult:
    return CheckResult("", "warning", message, hint, tuple(details))


def skipped(message: str) -> CheckResult:
    return CheckResult("", "skipped", message)


def failed(error: RunnerError, details: Iterable[str] = (), name: str = "") -> CheckResult:
    """Return what an error of ours says, and how it says to mend it."""
    message, hint, more = error.message, error.hint, tuple(details)
    if isinstance(error, InvalidInput) and error.problems:
        first, *others = error.problems
        message, hint = first.message, first.hint
        more += tuple(problem.message for problem in others)
    return CheckResult(name, "failed", message, hint, more, isinstance(error, CloudDenied))
