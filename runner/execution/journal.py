"""A run and its journal: how one begins, and how it is read back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runner.errors import StoreError
from runner.execution import fold
from runner.execution.evidence import earlier_requests
from runner.model.events import EarlierRequest, Event, RunCreated, Why
from runner.model.run import Run
from runner.model.schedule import Schedule
from runner.ports.store import NewRun, Store

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"


def new_run_id(at: datetime) -> str:
    """An id that sorts by time and that people can tell: `20261123-213000-k3m9x2`."""
    return f"{at:%Y%m%d-%H%M%S}-" + "".join(secrets.choice(_LETTERS) for _ in range(6))


def create_run(
    store: Store,
    schedule: Schedule,
    at: datetime,
    facts: Mapping[str, Any],
    baseline: Mapping[str, str | None],
    skipped: Mapping[str, Why] | None = None,
    plan: Mapping[str, Any] | None = None,
    earlier: Mapping[str, EarlierRequest] | None = None,
    repeats: Sequence[str] = (),
) -> str:
    """Store a new run of a schedule and return its id.

    `facts`: tool version, actor, commit and the like, plain JSON. `baseline`: `updated` of
    each scheduled server as it was read for the schedule, by which a reboot by somebody
    else is noticed. `skipped`: servers that are out before the run begins, with reason and
    sentence. `earlier`: by server id, what earlier runs of the cycle asked for. `repeats`:
    the runs that it repeats, the last one first. `plan`: the document of the compiled plan,
    from which the run can be repeated when its file has changed. Raises RunExists while a
    run of the same plan is open.
    """
    run_id = new_run_id(at)
    created = RunCreated(
        schedule, facts, baseline, skipped or {}, plan or {}, earlier or {}, tuple(repeats)
    )
    row = NewRun(
        run_id, schedule.plan_name, schedule.plan_digest, schedule.digest, schedule.cycle, at
    )
    store.create(row, created)
    return run_id


def read_run(store: Store, run_id: str) -> Run:
    """The run as its journal tells. Raises StoreError for a journal that cannot be read."""
    events = store.events(run_id)
    if not events:
        raise StoreError(f"the journal of run {run_id} has no beginning")
    return replay(run_id, events)


def replay(run_id: str, events: list[Event]) -> Run:
    """Fold a journal from its first event on. Raises StoreError for one that contradicts itself."""
    created = events[0].data
    if not isinstance(created, RunCreated):
        raise StoreError(f"the journal of run {run_id} has no beginning")
    try:
        run = fold.begin(run_id, created.schedule, events[0])
        return fold.apply_all(run, events[1:])
    except (fold.IllegalEvent, KeyError, TypeError, ValueError) as error:
        raise _unreadable(run_id, error) from error


def earlier_in_cycle(store: Store, schedule: Schedule) -> dict[str, EarlierRequest]:
    """Return what earlier runs of a schedule's cycle asked of its servers and may have
    reached, by server id.
    """
    projects = {t.project_id for t in schedule.targets}
    rows = [row for row in store.runs(limit=1_000_000) if row.cycle == schedule.cycle]
    runs = (read_run(store, row.id) for row in reversed(rows))
    related = (run for run in runs if projects & {t.project_id for t in run.schedule.targets})
    return earlier_requests(related, {s.id for wave in schedule.waves for s in wave.servers})


def repeated_by(store: Store, retry_of: str) -> list[Run]:
    """Return the run of this id, the run that it repeated, and so on. Raises StoreError for
    one that is unknown.
    """
    runs: list[Run] = []
    while retry_of and retry_of not in {run.id for run in runs}:
        runs.append(read_run(store, retry_of))
        retry_of = runs[-1].schedule.retry_of
    return runs


def read_on(store: Store, run: Run) -> list[Event]:
    """Add what others appended since; returns those events. Raises StoreError for what
    cannot follow.
    """
    events = store.events(run.id, after=run.seq)
    for event in events:
        try:
            fold.apply(run, event)
        except fold.IllegalEvent as error:
            raise _unreadable(run.id, error) from error
    return events


def _unreadable(run_id: str, error: Exception) -> StoreError:
    return StoreError(
        f"the journal of run {run_id} cannot be read: {error}",
        hint="it was written by a newer version, or edited; nothing was sent",
    )
