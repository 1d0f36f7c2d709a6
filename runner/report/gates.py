"""Gates and their answers as people and programs read them. Pure; the text is not ours:
queries, labels, answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.model.gate import GateAnswer, GateState, verdict
from runner.model.schedule import Schedule
from runner.model.shape import Shaped
from runner.report.sections import Line


@dataclass(frozen=True, slots=True)
class GatesNow:
    """What the gates of a schedule answered at a moment, in their order. No promise for any
    later one.
    """

    at: datetime
    answers: tuple[GateAnswer, ...]


def answer_words(answer: GateAnswer) -> str:
    """`open (3.2)`, `closed: up is 0, at least 1 is wanted`, `cannot tell: no answer in time`."""
    if answer.state is GateState.OPEN:
        return f"open ({answer.value})" if answer.value else "open"
    return f"{answer.word}: {answer.reason}" if answer.reason else answer.word


def gate_lines(schedule: Schedule, now: GatesNow | None) -> Iterator[Line]:
    """Each gate with its answer now, a line each; nothing for a schedule without gates."""
    gates = schedule.gates
    if not gates:
        return
    would = ""
    if now is not None:
        may = "a" if verdict(gates, now.answers) is GateState.OPEN else "no"
        would = f" (now, at {now.at:%H:%M:%S} UTC: {may} wave could begin)"
    yield Line(f"gates, asked before every wave{would}")
    answers: Sequence[GateAnswer | None] = now.answers if now else [None] * len(gates)
    for gate, answer in zip(gates, answers, strict=True):
        name = f"{gate.name}: " if gate.name else ""
        yield Line(f"{name}{gate}" + (f" – now {answer_words(answer)}" if answer else ""), level=1)


@dataclass(frozen=True, slots=True)
class GateRow(Shaped):
    """A gate, and what it answers now: no promise for the moment at which a wave begins."""

    gate: str
    """Its name, else what and whom it asks."""
    asks: str
    """The condition, in words."""
    dry_run: bool
    """It decides nothing."""
    at: datetime | None
    """When it was asked; null where it was not."""
    state: GateState | None
    value: str | None
    reason: str | None


def gate_rows(schedule: Schedule, now: GatesNow | None) -> Iterator[GateRow]:
    """Yield each gate of a schedule."""
    answers: Sequence[GateAnswer | None] = now.answers if now else [None] * len(schedule.gates)
    at = now.at.replace(microsecond=0) if now else None
    for gate, answer in zip(schedule.gates, answers, strict=True):
        said = (answer.state, answer.value, answer.reason) if answer else (None, None, None)
        yield GateRow(gate.title, str(gate), gate.dry_run, at, *said)
