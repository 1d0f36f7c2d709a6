"""Before a run is created: servers that others rebooted since its schedule was made are
left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from runner.app.app import App
from runner.app.sessions import Sessions
from runner.errors import Stale
from runner.execution.journal import read_run
from runner.execution.reading import HISTORIES_AT_ONCE, histories_of
from runner.execution.since_review import (
    changed_since_review,
    may_be_older,
    reason_of,
    rebooted_since_review,
)
from runner.model.events import Outcome, Why
from runner.model.inventory import Inventory
from runner.model.schedule import Schedule
from runner.ports.store import Store
from runner.report.safe import plain

MANY = 10 * HISTORIES_AT_ONCE
"""Reading more histories than these is announced, and its progress is told after as many."""
NAMED = 5
NEWEST = 50
"""So many runs, the newest first, are asked whether they sent a reboot shortly before a
schedule was made.
"""


async def leave_rebooted_alone(
    app: App,
    store: Store | None,
    sessions: Sessions,
    schedule: Schedule,
    inventory: Inventory,
    skipped: Collection[str],
    *,
    is_reviewed: bool,
) -> tuple[Mapping[str, Why], tuple[str, ...]]:
    """Return the servers that were rebooted since their schedule was made, and sentences
    about them.

    `is_reviewed`: the schedule was saved by an earlier call. Servers that earlier runs
    of the cycle asked for are exempt: those runs, `retry` and `resolve` decide about
    them. So are those of the embedded simulated cloud, where each run has a cycle of its
    own. A history that cannot be read is named. Raises Stale for it if the store is new,
    or is not there yet (None): then no earlier run is known.
    """
    if sessions.is_embedded:
        return {}, ()
    is_new = store is None or store.begun
    changed = changed_since_review(schedule, inventory, skipped, is_old=is_reviewed or is_new)
    if not changed:
        return {}, ()
    notes: list[str] = []
    exempt = _asked_in_cycle(store, schedule) if store else set()
    changed = {name: [i for i in ids if i not in exempt] for name, ids in changed.items()}
    histories = await _read(app, sessions, changed)
    unreadable = [i for i, actions in histories.items() if actions is None]
    if unreadable:
        names = _names(schedule, unreadable)
        what = (
            f"{len(unreadable)} servers changed since the schedule was made, and their action "
            f"history cannot be read"
        )
        if is_new:
            hint = (
                "this store is new, so earlier reboots are not known; use the store of "
                "earlier runs, or allow"
            )
            hint += " reading histories (see `reboot-runner doctor`). Nothing was sent"
            raise Stale(
                f"{what}: they may have been rebooted already", hint=hint, differences=(names,)
            )
        notes.append(f"{what}; they stay in the schedule: {names}")
    found = rebooted_since_review(schedule, histories, {})
    if store and (doubtful := may_be_older(schedule, found)):
        found = rebooted_since_review(schedule, histories, _asked_lately(store, doubtful))
    rebooted = {i: reason_of(schedule, reboot) for i, reboot in found.items()}
    if rebooted:
        words = (
            f"{len(rebooted)} servers were rebooted since the schedule was made, and are left alone"
        )
        notes.append(f"{words}: {_names(schedule, rebooted)}")
    return rebooted, tuple(notes)


async def _read(
    app: App, sessions: Sessions, changed: dict[str, list[str]]
) -> dict[str, tuple[datetime, ...] | None]:
    number = sum(map(len, changed.values()))
    if number > MANY:
        app.talk(
            f"reading the action history of {number:,} servers that changed since the schedule "
            f"was made"
        )
    found: dict[str, tuple[datetime, ...] | None] = {}
    for name, ids in changed.items():
        for begin in range(0, len(ids), MANY):
            found |= await histories_of(ids[begin : begin + MANY], sessions.by_name[name].cloud)
            if number > MANY:
                app.talk(f"{len(found):,} of {number:,} action histories read")
    return found


def _asked_lately(store: Store, servers: Collection[str]) -> dict[str, list[datetime]]:
    """Return when the newest runs of this store had these servers rebooted, by server id."""
    asked: dict[str, list[datetime]] = {}
    for row in store.runs(limit=NEWEST):
        states = read_run(store, row.id).servers
        for state in (states[i] for i in servers if i in states):
            at = state.accepted or (state.intended if state.outcome is Outcome.READY else None)
            if at is not None:
                asked.setdefault(state.ref.id, []).append(at)
    return asked


def _asked_in_cycle(store: Store, schedule: Schedule) -> set[str]:
    """Return the servers that earlier runs of the schedule's cycle asked for, whatever
    became of them.
    """
    rows = [row for row in store.runs(limit=1_000_000) if row.cycle == schedule.cycle]
    runs = (read_run(store, row.id) for row in rows)
    return {
        i for run in runs for i, state in run.servers.items() if state.attempts or state.resolution
    }


def _names(schedule: Schedule, ids: Collection[str]) -> str:
    named = {s.id: s.name for w in schedule.waves for s in w.servers}
    words = [f"{named[i]} ({i})" for i in ids]
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return plain(", ".join(words[:NAMED]) + more, 1500)
