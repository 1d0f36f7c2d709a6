"""A person's decisions, recorded with who and when: about one run, or about all runs of a
store (`halt`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.app.app import App
from runner.app.start_run import actor
from runner.app.stores import open_store_of
from runner.errors import Held
from runner.execution.journal import read_run
from runner.model.events import ApprovalGiven, CancelRequested, EventData
from runner.model.run import Run
from runner.ports.store import Halt, JournalMoved
from runner.report.safe import plain

ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be recorded, all of it or nothing, and what is said then.

    `release`, `forget`: servers whose claim ends, or for which the cycle is not spent.
    `word`: of the run's row.
    """

    events: Sequence[EventData]
    said: str
    release: Sequence[str] = ()
    forget: Sequence[str] = ()
    open_only: bool = True
    word: str | None = None


def decide(app: App, text: str, judge: Callable[[Run, str], Decision]) -> None:
    """Read the run, let `judge` say what the decision is (or refuse by raising), and record
    just that.

    If the journal moves meanwhile the decision is judged anew: nobody answers a question
    that is not open any more.
    """
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


def approve(app: App, text: str, reason: str) -> None:
    """Answer the question that a run asks. Raises Held if it asks none."""

    def judge(run: Run, by: str) -> Decision:
        question = run.question
        if not run.is_open or question is None or run.stop is not None:
            hint = "`reboot-runner status` shows what it waits for"
            raise Held(f"run {run.id} asks nothing now ({run.word})", hint=hint)
        return Decision(
            (ApprovalGiven(question.id, by, reason, question.wave, run.schedule.digest),),
            f"approved: {question.why}; the run goes on (wave {question.wave} is next)",
            word="suspended" if run.suspended else None,
        )

    decide(app, text, judge)


def cancel(app: App, text: str, reason: str) -> None:
    """Have a run start nothing more. Raises Held if it stops already or is closed."""

    def judge(run: Run, by: str) -> Decision:
        if not run.is_open:
            raise Held(f"run {run.id} is closed already ({run.word})")
        if run.stop is not None:
            raise Held(f"run {run.id} stops already: {run.stop.reason}")
        said = (
            f"run {run.id} starts nothing more; `reboot-runner resume {run.id}` follows what is "
            f"in flight,"
            " if nobody does"
        )
        return Decision((CancelRequested(by, reason),), said, word="stopping")

    decide(app, text, judge)


def halt(app: App, reason: str) -> None:
    """Have no run of the store start a batch until `unhalt`."""
    with open_store_of(app) as store:
        store.set_halt(Halt(reason, actor(), datetime.now(UTC)))
        runs = len(store.runs(open_only=True, limit=10_000))
    said = "1 open run starts" if runs == 1 else f"{runs} open runs start"
    app.talk(f"halted: {said} no further batch")


def unhalt(app: App) -> None:
    """Lift the halt of the store."""
    with open_store_of(app) as store:
        halted = store.halted()
        store.set_halt(None)
    said = (
        f"lifted the halt of {plain(halted.by)}: {plain(halted.reason)}"
        if halted
        else "nothing was halted"
    )
    app.talk(said)
