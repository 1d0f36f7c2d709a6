"""What `status -o json` prints: the runs of a store, or one run. Times are ISO 8601 with a zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runner.model.events import Outcome
from runner.model.run import ServerWord
from runner.model.shape import Shaped
from runner.report.windows import OpeningRow

RunWord = Literal[
    "running", "waiting", "stopping", "suspended", "held", "done", "stopped", "cancelled"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatusRow(Shaped):
    """A run."""

    id: str
    plan: str
    cycle: str
    word: RunWord
    open: bool
    created: datetime
    held_by: str | None
    """The process that advances it at this moment."""
    plan_digest: str
    schedule_digest: str
    counts: Mapping[ServerWord, int] | None
    """Servers by outcome; without one they are `in_doubt` (it is not known whether the cloud
    accepted the request), `in_flight` (accepted, and followed) or `pending` (no request
    holds them). Null in the list of runs for old runs whose journals were not read.
    """
    waits_for: str | None
    next: str | None
    """The command that a person should give, by its name."""
    clock: str | None
    """`simulated clock, 30 times real time` where the run's times are of such a clock."""


@dataclass(frozen=True, slots=True)
class HaltRow(Shaped):
    """The flag that stops every run of the store."""

    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunsDocument(Shaped):
    """`status`: newest first."""

    format_version: Literal[1]
    halted: HaltRow | None
    runs: tuple[RunStatusRow, ...]
    plans_without_run: tuple[str, ...]
    """With `--plans`."""


@dataclass(frozen=True, slots=True)
class QuestionRow(Shaped):
    """What the run asks."""

    id: str
    why: str
    wave: int


@dataclass(frozen=True, slots=True)
class StopRow(Shaped):
    """Why the run starts nothing more."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class WaveRow(Shaped):
    """A wave's course."""

    number: int
    group: str
    servers: int
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class TroubleRow(Shaped):
    """A server that ended failed or unknown."""

    server: str
    name: str
    outcome: Outcome | None
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDocument(RunStatusRow):
    """`status RUN`."""

    format_version: Literal[1]
    counts: Mapping[ServerWord, int]
    until: datetime | None
    """The deadline of what it waits for."""
    window: OpeningRow | None
    """Null for a closed run and for one without windows and freezes."""
    question: QuestionRow | None
    stop: StopRow | None
    suspended: str | None
    waves: tuple[WaveRow, ...]
    troubles: tuple[TroubleRow, ...]
