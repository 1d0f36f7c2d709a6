"""Gates and processes that die: what a wave does before its first request, from every state
of the machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.execution.effects import AskGates, GateLook, Pace, Step
from runner.execution.gating import HOLDS_S, again_s, held
from runner.execution.site import LiveRules
from runner.model.gate import Gate, GateAnswer, GateState
from runner.model.run import Run
from runner.model.schedule import Pause, Schedule
from tests.execution.memory_cloud import VirtualClock
from tests.execution.setup import Bench, Keeper, schedule_of
from tests.execution.test_deaths import carry_on
from tests.journal import fields_of

OPEN, CLOSED, UNTOLD = GateState.OPEN, GateState.CLOSED, GateState.CANNOT_TELL
NOW = datetime(2026, 11, 3, 22, 0, tzinfo=UTC)


def gated(schedule: Schedule, *gates: Gate) -> Schedule:
    return replace(schedule, gates=gates or (Gate("alarms"),))


@dataclass
class Flapping(LiveRules):
    """Open in the first minute of every three; `open_at` tells it."""

    clock: VirtualClock
    began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock.now()

    def open_at(self, at: datetime) -> bool:
        return (at - self.began).total_seconds() % 180 < 60

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        return GateAnswer(OPEN if self.open_at(self.clock.now()) else CLOSED, "", "flaps")


def test_a_death_at_any_call_sends_nothing_while_a_gate_is_shut() -> None:
    """Whatever call was a process's last one: the next one ends the run, each server goes down
    once, and no wave's first request leaves later than the time for which an open answer
    holds.
    """
    deaths = 0
    for at in range(1, 2_000, 3):
        bench = Bench.of(3)
        keeper = Flapping(bench.clock)
        bench.rules = keeper
        run_id = bench.start(gated(schedule_of([1, 2], pause=Pause("timed", 100))))
        if not carry_on(bench, run_id, at):
            break
        deaths += 1
        run = bench.read(run_id)
        assert not run.is_open
        assert max(bench.cloud.times_rebooted().values(), default=0) <= 1, f"death at call {at}"
        for wave in run.schedule.waves:
            first = min(
                (b.intended for b in run.batches.values() if b.wave == wave.number), default=None
            )
            if first is not None:
                spans = (first - timedelta(seconds=s) for s in range(int(HOLDS_S) + 1))
                assert any(map(keeper.open_at, spans)), (
                    f"death at call {at}: wave {wave.number} at {first}"
                )
    assert deaths > 10


def step_of(run: Run, pace: Pace, now: datetime) -> Step | None:
    assert run.wave
    return held(run, run.wave, pace, now)


@pytest.mark.parametrize(
    ("journal", "look", "age_s", "waited_s", "expected"),
    [
        (None, None, 0, 0, "ask"),
        (OPEN, None, 0, 0, "ask"),
        (CLOSED, None, 0, 0, "ask"),
        (OPEN, OPEN, 0, 0, "go"),
        (OPEN, OPEN, 60, 0, "go"),
        (OPEN, OPEN, 61, 0, "ask"),
        (CLOSED, OPEN, 0, 10, "ask"),
        (OPEN, CLOSED, 0, 0, "ask"),
        (CLOSED, CLOSED, 0, 10, "wait 30"),
        (CLOSED, CLOSED, 29, 10, "wait 1"),
        (CLOSED, CLOSED, 30, 10, "ask"),
        (CLOSED, CLOSED, 0, 600, "wait 60"),
        (CLOSED, CLOSED, 0, 7200, "wait 300"),
        (CLOSED, CLOSED, 0, 86_390, "wait 10"),
        (CLOSED, CLOSED, 0, 86_400, "stop GateClosed"),
        (UNTOLD, UNTOLD, 0, 86_400, "stop GateCannotTell"),
        (CLOSED, CLOSED, 90_000, 10, "ask"),
    ],
)
def test_what_a_wave_does(
    journal: GateState | None, look: GateState | None, age_s: float, waited_s: float, expected: str
) -> None:
    """By what the journal and this process know, how old that is, and how long the wave had
    waited then: begin, ask, wait so many seconds, or stop.
    """
    bench = Bench.of(1)
    run = bench.read(bench.start(replace(gated(schedule_of([1])), wait_at_most_s=86_400.0)))
    asked = NOW - timedelta(seconds=age_s)
    run.gates_since = asked - timedelta(seconds=waited_s) if journal in (CLOSED, UNTOLD) else None
    run.gate_answers = (GateAnswer(journal),) if journal else ()
    pace = Pace(gates=GateLook(1, asked, 0.0, (GateAnswer(look),)) if look else None)
    step = step_of(run, pace, NOW)
    if expected == "go":
        assert step is None
        return
    assert step is not None
    if expected == "ask":
        assert step.effects == (AskGates(1, "t"),)
    elif expected.startswith("stop"):
        (event,) = step.events
        assert (event.type, fields_of(event)["reason"]) == ("run.stopping", expected.split()[1])
    else:
        assert step.can_suspend
        assert step.wake == NOW + timedelta(seconds=float(expected.split()[1]))


@pytest.mark.parametrize(
    ("waited_s", "gap_s"), [(0, 30), (299, 30), (600, 60), (7200, 300), (86_400, 300)]
)
def test_the_gap_between_questions(waited_s: float, gap_s: float) -> None:
    """30 s at first, then a tenth of the wait, 5 minutes at most."""
    assert again_s(waited_s) == gap_s


def test_slow_answers_and_fast_clocks_still_begin() -> None:
    """An answer that took long to come holds for longer: a run in fast time is not kept
    asking for ever.
    """
    run = Bench.of(1)
    state = run.read(run.start(gated(schedule_of([1]))))
    state.gate_answers = (GateAnswer(OPEN),)
    for took, age, goes in ((0.0, 61, False), (600.0, 1200, True), (600.0, 1300, False)):
        pace = Pace(gates=GateLook(1, NOW - timedelta(seconds=age), took, (GateAnswer(OPEN),)))
        assert (step_of(state, pace, NOW) is None) is goes


def test_the_journal_has_first_answers_and_changes_only() -> None:
    """A gate that is asked a hundred times and answers the same is told once."""
    bench = Bench.of(2)
    bench.rules = Keeper([CLOSED] * 50 + [UNTOLD] * 50 + [OPEN])
    run = bench.follow(bench.start(gated(schedule_of([1, 1]))))
    assert run.word == "done"
    told = [
        fields_of(e)["answers"][0]["state"]
        for e in bench.store.events(run.id)
        if e.type == "gates.asked"
    ]
    assert told == ["closed", "cannot_tell", "open", "open"]


def test_without_gates_nobody_is_asked() -> None:
    """A schedule without gates has no such events, whoever would answer."""
    bench = Bench.of(1)
    bench.rules = Keeper([CLOSED])
    run = bench.follow(bench.start(schedule_of([1])))
    assert run.word == "done"
    assert "gates.asked" not in bench.log
