"""What `diff -o json` prints, as a schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.report.schedule_schema import Count, ScheduleDocument


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


ResultWord = Annotated[
    Literal["changes", "done", "invalid", "error", "denied", "held", "stale"],
    Field(description="`changes`: there are servers to reboot; `done`: there is nothing to do; else what went wrong."),
]


class CountsPart(_Part):
    """How many servers are scheduled, in how many waves, how many are excluded, how many the target shows."""

    servers: Count
    waves: Count
    excluded: Count
    visible: Count


class WaveForecastPart(_Part):
    """Seconds since the run's start: first request sent, last server ready."""

    number: int
    start_s: float
    end_s: float


class ForecastPart(_Part):
    """The expected course; approvals are taken to be given at once."""

    waves: list[WaveForecastPart]
    total_s: float
    approvals: Count
    reboot_s: float = Field(description="How long one reboot is taken to last.")


class ProblemPart(_Part):
    """What is wrong and where; line and column count from 1."""

    code: str
    severity: Literal["error", "warning"]
    message: str
    hint: str | None
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None


class ErrorPart(_Part):
    """An error that is no problem of the plan's."""

    message: str
    hint: str | None


class PlanDiffPart(_Part):
    """One plan."""

    file: str
    result: ResultWord
    summary: str = Field(description="The totals in a sentence.")
    counts: CountsPart | None
    forecast: ForecastPart | None
    schedule: ScheduleDocument | None
    problems: list[ProblemPart]
    error: ErrorPart | None
    next: str | None = Field(description="The command that runs exactly this.")


class DiffDocument(_Part):
    """A dry-run of one or several plans against the live cloud. `result` is the exit code as a word."""

    format_version: Literal[1]
    result: ResultWord
    plans: list[PlanDiffPart]
