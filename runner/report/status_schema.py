"""What `status -o json` prints, as a schema: the runs of a store, or one run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, RootModel

from runner.model.run import ServerWord


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Word = Literal["running", "waiting", "stopping", "suspended", "held", "done", "stopped", "cancelled"]


class _Row(_Part):
    """A run. `held_by`: the process that advances it at this moment. Times are ISO 8601 with a zone.

    `counts`: servers by outcome; without one they are `in_doubt` (it is not known whether the cloud accepted the
    request), `in_flight` (accepted, and followed) or `pending` (no request holds them). Null in the list of runs for
    old runs whose journals were not read. `next`: the command that a person should give, by its name.
    `clock`: `simulated clock, 30 times real time` where the run's times are of such a clock.
    """

    id: str
    plan: str
    cycle: str
    word: Word
    open: bool
    created: str
    held_by: str | None
    plan_digest: str
    schedule_digest: str
    counts: dict[ServerWord, int] | None
    waits_for: str | None
    next: str | None
    clock: str | None


class _Halt(_Part):
    by: str
    reason: str
    at: str


class _Runs(_Part):
    """`status`: newest first. `plans_without_run`: with `--plans`."""

    format_version: Literal[1]
    halted: _Halt | None
    runs: list[_Row]
    plans_without_run: list[str]


class _Window(_Part):
    """The open time that is on, or the next one; how many of the waves left fit into it."""

    open: bool
    why: str | None
    begins: str | None
    starts_until: str | None
    ends: str | None
    waves_fit: int
    waves_left: int
    too_long: list[int]
    gives_up: str | None


class _Question(_Part):
    id: str
    why: str
    wave: int


class _Stop(_Part):
    reason: str
    detail: str


class _Wave(_Part):
    number: int
    group: str
    servers: int
    started: str | None
    ended: str | None


class _Trouble(_Part):
    server: str
    name: str
    outcome: Literal["failed", "unknown"]
    reason: str
    detail: str


class _Run(_Row):
    """`status RUN`. `until`: the deadline of what it waits for. `window`: null for a closed run and for one without
    windows and freezes."""

    format_version: Literal[1]
    counts: dict[ServerWord, int]
    until: str | None
    window: _Window | None
    question: _Question | None
    stop: _Stop | None
    suspended: str | None
    waves: list[_Wave]
    troubles: list[_Trouble]


class StatusDocument(RootModel[_Runs | _Run]):
    """Either of the two."""
