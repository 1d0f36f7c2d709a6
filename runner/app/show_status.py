"""`status`: the runs of a store, or one run: waves, servers, and what it waits for. Reads
nothing but the store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from runner.app.app import App
from runner.app.stores import open_store_of
from runner.errors import StoreError
from runner.execution.journal import read_on, read_run
from runner.execution.waiting import waiting_for
from runner.loading.plan import load_plan, plan_digest
from runner.loading.search import find_plans
from runner.model.events import Outcome
from runner.model.run import Run, ServerWord
from runner.model.shape import json_values
from runner.planning.forecast import REBOOT_S
from runner.planning.when import Outlook, outlook
from runner.ports.store import Halt, RunRow, Store
from runner.report.as_text import printed
from runner.report.run_build import state_words
from runner.report.run_report import NextStep
from runner.report.run_steps import next_steps
from runner.report.run_words import count, counts_words
from runner.report.safe import json_text
from runner.report.status_document import (
    HaltRow,
    QuestionRow,
    RunDocument,
    RunsDocument,
    RunStatusRow,
    RunWord,
    StopRow,
    TroubleRow,
    WaveRow,
)
from runner.report.status_text import Listed, fitted, full, runs_table
from runner.report.windows import OpeningRow, when_lines
from runner.store.owner import boot_clock, is_held

R = TypeVar("R", bound=RunStatusRow)
FORMAT_VERSION: Literal[1] = 1
WATCH_S = 2.0
MOST_EVENTS = 20_000
"""How many events of journals the list of runs reads for closed ones; open ones are always read."""


def show_status(
    app: App, run: str | None, plans: Path | None, output: str, *, watch: bool, open_only: bool
) -> None:
    """Show the runs of the store and the plans of a folder that have none, or one run, with
    `watch` until its end.
    """
    with open_store_of(app) as store:
        if run is None:
            _list(app, store, plans, open_only, output)
        else:
            _one(app, store, run, watch, output)


# --- all runs -----------------------------------------------------------------


def _list(app: App, store: Store, plans: Path | None, open_only: bool, output: str) -> None:
    rows = store.runs(open_only=open_only)
    without = _plans_without_run(store, plans) if plans else []
    halt = store.halted()
    states = list(_states(store, rows, halt))
    if output == "json":
        told = tuple(
            _row(RunStatusRow, row, state) for row, state in zip(rows, states, strict=True)
        )
        halted = HaltRow(halt.by, halt.reason, halt.at) if halt else None
        app.echo(
            json_text(
                json_values(RunsDocument(FORMAT_VERSION, halted, told, tuple(without))), indent=2
            )
        )
        return
    if halt is not None:
        app.show(printed([f"HALTED by {halt.by} at {halt.at:%Y-%m-%d %H:%M}: {halt.reason}"]))
    picture = app.picture()
    if rows:
        app.echo(printed(runs_table(states, picture.size()[0] if picture else None)))
    if unread := sum(state.counts is None for state in states):
        app.show(
            f"the counts of {count(unread, 'older run')} are not read; `reboot-runner status RUN` "
            f"shows them"
        )
    for clock, number in Counter(state.clock for state in states if state.clock).items():
        app.show(printed([f"times of {count(number, 'run')}: {clock}"]))
    for name in without:
        app.show(printed([f"no run: {name}"]))
    if not rows and not without:
        app.echo("no runs")


def _states(store: Store, rows: Sequence[RunRow], halt: Halt | None) -> Iterator[Listed]:
    """Yield what the journals say of the runs. Closed runs are read as long as all journals
    together are short.
    """
    read = 0
    for row in rows:
        listed = Listed(row.id, row.plan, row.word, "", None, row.created, "")
        read += row.seq
        if row.is_open or read <= MOST_EVENTS:
            try:
                run = read_run(store, row.id)
            except StoreError as error:
                yield replace(listed, waits_for=f"nothing: {error.message}")
                continue
            waits = waiting_for(run, halt)[0] if run.is_open else ""
            counts = run.counts(is_sending=_is_held(row))
            listed = replace(
                listed, waits_for=waits, counts=counts, next=_next(run, row), clock=_clock(run)
            )
        yield listed


def _next(run: Run, row: RunRow) -> str:
    """Return the name of the command that a person should give next; empty where a process
    works on the run.
    """
    return next((step.command.split()[1] for step in _steps(run, row) if step.command), "")


def _clock(run: Run) -> str:
    return str(run.facts.get("clock", ""))


def _steps(run: Run, row: RunRow) -> Sequence[NextStep]:
    steps = next_steps(run)
    return (
        [s for s in steps if not s.command.startswith("reboot-runner resume")]
        if _is_held(row)
        else steps
    )


def _row(kind: type[R], row: RunRow, state: Listed, **more: Any) -> R:
    return kind(
        id=row.id,
        plan=row.plan,
        cycle=row.cycle,
        word=cast(RunWord, row.word),
        open=row.is_open,
        created=row.created,
        held_by=str(row.owner) if row.owner else None,
        plan_digest=row.plan_digest,
        schedule_digest=row.schedule_digest,
        counts=cast("Mapping[ServerWord, int] | None", state.counts),
        waits_for=state.waits_for or None,
        next=state.next or None,
        clock=state.clock or None,
        **more,
    )


def _plans_without_run(store: Store, folder: Path) -> list[str]:
    """Names of plans in a folder whose present content has no run: merged, and perhaps
    dropped by a CI system.
    """
    files, _ = find_plans((folder,))
    without = []
    for path in files:
        plan = load_plan(path).plan
        if plan is None:
            without.append(
                f"{path.as_posix()} (cannot be loaded: `reboot-runner validate` says why)"
            )
        elif not any(r.plan_digest == plan_digest(plan) for r in store.runs(plan=plan.name)):
            without.append(f"{path.as_posix()} (plan {plan.name})")
    return without


# --- one run ------------------------------------------------------------------


def _one(app: App, store: Store, text: str, watch: bool, output: str) -> None:
    row = store.find(text)
    run = read_run(store, row.id)
    if watch and run.is_open and output == "text" and (picture := app.picture()) is not None:
        with picture:
            while run.is_open:
                width, height = picture.size()
                head = list(_head(run, store.find(run.id), store.halted()))
                picture.draw(fitted(run, head, width - 3, height - 1))
                picture.wait(WATCH_S)
                read_on(store, run)
    shown = -1
    while True:
        if run.seq != shown:
            shown = run.seq
            row = store.find(row.id)
            if output == "json":
                app.echo(_json(run, row, store.halted()))
            else:
                app.show(printed(full(run, _head(run, row, store.halted()))))
        if not watch or not run.is_open:
            return
        time.sleep(WATCH_S)
        read_on(store, run)


def _json(run: Run, row: RunRow, halt: Halt | None) -> str:
    waits, until = waiting_for(run, halt) if run.is_open else ("", None)
    counts = run.counts(is_sending=_is_held(row))
    state = Listed(
        row.id, row.plan, row.word, waits, counts, row.created, _next(run, row), _clock(run)
    )
    bad = (s for s in run.servers.values() if s.outcome in (Outcome.FAILED, Outcome.UNKNOWN))
    made = _row(
        RunDocument,
        row,
        state,
        format_version=FORMAT_VERSION,
        until=until,
        window=OpeningRow.of(_outlook(run)),
        question=QuestionRow(run.question.id, run.question.why, run.question.wave)
        if run.question
        else None,
        stop=StopRow(run.stop.reason, run.stop.detail) if run.stop else None,
        suspended=run.suspended.why if run.suspended else None,
        waves=tuple(
            WaveRow(w.number, w.group, len(w.servers), s.started, s.ended)
            for w, s in zip(run.schedule.waves, run.waves, strict=True)
        ),
        troubles=tuple(
            TroubleRow(s.ref.id, s.ref.name, s.outcome, s.reason, s.detail) for s in bad
        ),
    )
    return json_text(json_values(made), indent=2)


def _outlook(run: Run) -> Outlook | None:
    """What windows and freezes mean for the waves that have not begun; by this machine's
    clock or the run's.
    """
    begun = sum(1 for state in run.waves if state.started)
    if not run.is_open or begun == len(run.waves):
        return None
    now = max(datetime.now(UTC), run.last_event_at or run.created)
    return outlook(run.schedule, now, done=begun, reboot_s=run.longest_s or REBOOT_S)


def _head(run: Run, row: RunRow, halt: Halt | None) -> Iterator[str]:
    """Yield what the run is, its state and counts, what it waits for, and what to do next."""
    clock = f"; {_clock(run)}" if _clock(run) else ""
    yield f"run {run.id} of plan {run.schedule.plan_name}, cycle {run.schedule.cycle}{clock}"
    held = f", held by {row.owner}" if _is_held(row) else ""
    yield f"  {state_words(run)}: {counts_words(run.counts(is_sending=_is_held(row)))}{held}"
    if run.is_open:
        yield from _open_lines(run, row, halt)
    if run.stop is not None and run.stop.detail:
        yield f"  {run.stop.reason}: {run.stop.detail}"


def _open_lines(run: Run, row: RunRow, halt: Halt | None) -> Iterator[str]:
    waits, until = waiting_for(run, halt)
    if waits and run.word != "held":
        left = f" (until {until:%Y-%m-%d %H:%M:%S} UTC)" if until and "until" not in waits else ""
        yield f"  waits for {waits}{left}"
    outlook = (
        None if run.window_current else _outlook(run)
    )  # by the run's own copy, which says less
    yield from (f"  {line}" for line in when_lines(run.schedule, outlook))
    for step in _steps(run, row):
        yield f"  next: {step.what}" + (f": {step.command}" if step.command else "")


def _is_held(row: RunRow) -> bool:
    """Return whether a process that may be alive works on the run at this moment."""
    return is_held(row, datetime.now(UTC).timestamp(), boot_clock())
