"""Gates before a wave: are they open, when are they asked again, and when does the run
stop? Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from runner.execution.effects import AskGates, Pace, Step
from runner.model.events import RunStopping
from runner.model.gate import GateAnswer, GateState, verdict
from runner.model.quantity import format_duration
from runner.model.run import Run
from runner.model.schedule import Wave

HOLDS_S = 60.0
"""How long an open answer is good for: a wave whose first request comes later is preceded
by another question.
"""
AGAIN_S = 30.0
"""How often gates that are not open are asked, at first: the gap grows to a tenth of the wait."""
AGAIN_MOST_S = 300.0
_WORDS = 150

REASONS = {GateState.CLOSED: "GateClosed", GateState.CANNOT_TELL: "GateCannotTell"}


def held(run: Run, wave: Wave, pace: Pace, now: datetime) -> Step | None:
    """What a wave does whose gates are not known to be open now: ask, wait, or stop; None when
    it may begin.

    The wait counts from the first answer that was not open, and ends in a stop when one at
    `wait_at_most` or later is not open either: so a run that is resumed after days asks
    once more before it gives up.
    """
    gates = run.schedule.gates
    if not gates:
        return None
    since, look = run.gates_since, pace.gates
    ask = Step(
        effects=(AskGates(wave.number, run.group(wave.group).target),),
        wake=wait_deadline(run, since) if since else None,
        waits_for=f"gates: {shut_words(run, run.gate_answers)}" if since else "",
        can_suspend=True,
    )
    if look is None or look.wave != wave.number:
        return ask
    state = verdict(gates, look.answers)
    if state is GateState.OPEN:
        # slow gates, and clocks that run fast, get twice the time that asking took on top:
        # or nothing would ever begin
        is_fresh = (now - look.at).total_seconds() <= HOLDS_S + 2 * look.took_s
        return None if run.gates_since is None and is_fresh else ask
    if since is None:  # the journal has moved on without this process
        return ask
    deadline = wait_deadline(run, since)
    if look.at >= deadline:
        wait = format_duration(run.schedule.wait_at_most_s)
        detail = (
            f"before wave {wave.number}: {shut_words(run, look.answers)}; not open within {wait}"
        )
        return Step(events=(RunStopping(REASONS[state], detail),))
    due = min(look.at + timedelta(seconds=again_s((look.at - since).total_seconds())), deadline)
    if now >= due:
        return ask
    return Step(wake=due, waits_for=f"gates: {shut_words(run, look.answers)}", can_suspend=True)


def again_s(waited_s: float) -> float:
    """Seconds to the next question: 30 at first, a tenth of the wait so far, at most 300.

    0 -> 30; 10 min -> 60; 2 h -> 300.
    """
    return max(AGAIN_S, min(waited_s / 10, AGAIN_MOST_S))


def wait_deadline(run: Run, since: datetime) -> datetime:
    """Until when gates, or a window, are waited for (`wait_at_most`)."""
    return since + timedelta(seconds=run.schedule.wait_at_most_s)


def shut_words(run: Run, answers: tuple[GateAnswer, ...]) -> str:
    """The first gate that decides and is not open, with its reason, and how many more there are."""
    pairs = zip(run.schedule.gates, answers, strict=True)
    shut = [(g, a) for g, a in pairs if not g.dry_run and a.state is not GateState.OPEN]
    if not shut:
        return "to be asked"
    gate, answer = shut[0]
    why = f" ({answer.reason[:_WORDS]})" if answer.reason else ""
    more = f", and {len(shut) - 1} more" if len(shut) > 1 else ""
    return f"{gate.title} {_IS[answer.state]}{why}{more}"


_IS = {
    GateState.OPEN: "is open",
    GateState.CLOSED: "is closed",
    GateState.CANNOT_TELL: "cannot tell",
}
