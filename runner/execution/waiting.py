"""What an open run waits for, from its journal. Pure."""

from __future__ import annotations

from datetime import datetime

from runner.execution.effects import Pace, ReadFreezes
from runner.execution.machine import DEFAULT_TUNING, decide
from runner.model.run import Run
from runner.model.window import CurrentFreezes
from runner.ports.store import Halt


def waiting_for(run: Run, halt: Halt | None) -> tuple[str, datetime | None]:
    """What an open run waits for, and until when, as its journal tells."""

    now, reason = run.last_event_at or run.created, halt.reason if halt else None
    step = decide(run, Pace(), now, lambda target: DEFAULT_TUNING, reason)
    if run.wave and not step.waits_for and any(isinstance(e, ReadFreezes) for e in step.effects):
        pace = Pace(
            calendars=(run.wave.number, CurrentFreezes())
        )  # what follows, if they close nothing more
        step = decide(run, pace, now, lambda target: DEFAULT_TUNING, reason)
    return step.waits_for, (step.until or step.wake) if step.waits_for else None
