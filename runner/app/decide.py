"""A person's decisions about a run, recorded with who and when: shared by `approve`, `cancel` and `resolve`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.app.app import App
from runner.app.start_run import actor
from runner.app.targets import open_store_of
from runner.execution.effects import NewEvent
from runner.ports.store import JournalMoved

if TYPE_CHECKING:
    from runner.model.run import Run

ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be recorded, all of it or nothing, and what is said then.

    `release`, `forget`: servers whose claim ends, or for which the cycle is not spent. `word`: of the run's row.
    """

    events: Sequence[NewEvent]
    said: str
    release: Sequence[str] = ()
    forget: Sequence[str] = ()
    open_only: bool = True
    word: str | None = None


def decide(app: App, text: str, judge: Callable[[Run, str], Decision]) -> None:
    """Read the run, let `judge` say what the decision is (or refuse by raising), and record just that.

    If the journal moves meanwhile the decision is judged anew: nobody answers a question that is not open any more.
    """
    from runner.execution.journal import read_run

    with open_store_of(app) as store:
        row = store.find(text)
        for _ in range(ATTEMPTS):
            run = read_run(store, row.id)
            decision = judge(run, actor())
            at = max(datetime.now(UTC), run.last_event_at or run.created)
            try:
                store.record(
                    run.id, at, decision.events, expect=run.seq, release=decision.release,
                    forget=decision.forget, open_only=decision.open_only, word=decision.word,
                )  # fmt: skip
            except JournalMoved:
                continue
            app.talk(decision.said, run=run.id)
            return
        raise JournalMoved(f"the journal of {row.id} moves all the time", hint="try again")
