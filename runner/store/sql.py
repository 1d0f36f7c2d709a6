"""The store in plain SQL: one text for SQLite and PostgreSQL; the dialects differ in a few lines.

In each transaction the run's row is changed first: it serialises all writes to one run, and
its locks are always taken in the same order (run, halt, project), so that no two
transactions can wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from runner.errors import LeaseLost, StoreError
from runner.model.events import Event, EventData, RunCreated
from runner.model.owner import Owner
from runner.ports import BootClock
from runner.ports.store import (
    Halt,
    Intent,
    JournalMoved,
    Lease,
    LeaseHeld,
    NewRun,
    RunExists,
    RunNotFound,
    RunRow,
)
from runner.store import rows
from runner.store.dialect import Dialect
from runner.store.memory import LastWrite
from runner.store.owner import is_held
from runner.store.reserve import free, halted, hold, reserve, set_halt
from runner.store.schema import prepare

RECORDED = 0.0
"""A run's `due` after `record`: at once, and whoever holds the lease now may not put it off
(`give_back`).
"""
TAKEN = 1.0
"""What `take` makes of it: still at once, but all that was recorded before is the holder's to read.
"""


class SqlStore:
    """`ports.store.Store` on a dialect. One connection, used by one thread."""

    def __init__(
        self, db: Dialect, memory: LastWrite | None = None, boot: BootClock | None = None
    ) -> None:
        """`memory`: what a store that holds runs must contain, and where its newest intents
        are kept in mind.

        `boot`: the boot-time clock beside the dialect's own, if that is this process's wall clock.
        """
        self.db = db
        self._boot = boot
        self._memory = memory
        try:
            prepare(db)
            self.begun = not db.execute("select 1 from run limit 1")
            if memory is not None and not self.begun:
                memory.demand(db)
        except BaseException:
            db.close()
            raise

    def now(self) -> float:
        return self.db.now()

    def close(self) -> None:
        self.db.close()

    # --- runs -----------------------------------------------------------------

    def create(self, run: NewRun, created: RunCreated) -> None:
        new, head = rows.written_events(run.id, (created,), run.created, first=1, fence=0, head="")
        with self.db.transaction():
            first = (run.id, run.plan, run.plan_digest, run.schedule_digest, run.cycle, "running")
            inserted = self.db.execute(
                f"insert into run({rows.RUN_COLUMNS}, head) values(?,?,?,?,?,?,1,?,0,null,0,0,1,?)"
                " on conflict do nothing returning id",
                (*first, rows.written_time(run.created), head),
            )
            if not inserted:
                raise self._in_the_way(run)
            self._insert(run.id, new)
        if self._memory is not None:
            self._memory.write(run.id, 1, rows.written_time(run.created))

    def _in_the_way(self, run: NewRun) -> Exception:
        other = self.db.execute("select id from run where plan = ? and is_open = 1", (run.plan,))
        if other:
            return RunExists(other[0][0])
        return StoreError(f"run {run.id} cannot be begun: its id is taken", hint="begin it again")

    def find(self, text: str) -> RunRow:
        if (
            not text or not text.isprintable()
        ):  # no run has such a name, and not every driver can even be asked
            raise _no_run(text)
        exact = self._rows("id = ?", (text,), 1) or self._rows("plan = ?", (text,), 1)
        if exact:
            return exact[0]
        # Not `like`: it has wildcards, and its case rules differ between the databases.
        found = self._rows("substr(id, 1, ?) = ?", (len(text), text), 6)
        if len(found) == 1:
            return found[0]
        if found:
            raise RunNotFound(f"{text!r} fits several runs: {', '.join(r.id for r in found[:5])}")
        raise _no_run(text)

    def runs(
        self, *, plan: str | None = None, open_only: bool = False, limit: int = 100
    ) -> list[RunRow]:
        where = ["1 = 1"] + (["plan = ?"] if plan else []) + (["is_open = 1"] if open_only else [])
        return self._rows(" and ".join(where), (plan,) if plan else (), limit)

    def due(self) -> list[RunRow]:
        now = self.now()
        found = self._rows("is_open = 1 and due <= ?", (now,), 10_000, "due, created, id")
        return [r for r in found if not is_held(r, now, self._boot)]

    def is_held(self, run: RunRow) -> bool:
        return is_held(run, self.now(), self._boot)

    def watched_s(self) -> float | None:
        return None

    def _rows(
        self, where: str, args: Sequence[Any], limit: int, order: str = "created desc, id desc"
    ) -> list[RunRow]:
        sql = f"select {rows.RUN_COLUMNS} from run where {where} order by {order} limit {limit:d}"  # noqa: S608
        return [rows.run_row(r) for r in self.db.execute(sql, args)]

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        columns = rows.EVENT_COLUMNS.replace("data", self.db.bounded("data"))
        sql = f"select {columns} from event where run = ? and seq > ? order by seq"  # noqa: S608
        return [rows.event(r, run_id) for r in self.db.execute(sql, (run_id, after))]

    # --- leases ---------------------------------------------------------------

    def take(self, run_id: str, owner: Owner, ttl_s: float) -> Lease:
        with self.db.transaction():
            now = self.now()
            # An update that changes nothing: from here to the commit nobody else can write
            # to the run.
            found = self.db.execute(
                f"update run set fence = fence where id = ? and is_open = 1 returning {rows.RUN_COLUMNS}",  # noqa: E501, S608
                (run_id,),
            )
            if not found:
                raise RunNotFound(f"run {run_id} is not open")
            run = rows.run_row(found[0])
            if is_held(run, now, self._boot):
                raise LeaseHeld(run.owner, run.lease_until)
            self.db.execute(
                "update run set owner = ?, fence = ?, lease_until = ?, due = ? where id = ?",
                (
                    rows.written_owner(owner, self._clock(now)),
                    run.fence + 1,
                    now + ttl_s,
                    max(run.due, TAKEN),
                    run_id,
                ),
            )
        return Lease(run_id, run.fence + 1, owner, ttl_s)

    def _clock(self, now: float) -> dict[str, str | float]:
        if self._boot is None or not self._boot.id:
            return {}
        return {"clock": self._boot.id, "booted": now - self._boot.seconds()}

    def touch(self, lease: Lease) -> None:
        with self.db.transaction():
            self._renew(lease, 0, strict=False)

    def give_back(self, lease: Lease, due: float | None) -> None:
        with self.db.transaction():
            self.db.execute(
                "update run set lease_until = 0, owner = null,"
                " due = case when due = ? then due else coalesce(?, due) end where id = ? and "
                "fence = ?",
                (RECORDED, due, lease.run_id, lease.fence),
            )

    def _renew(self, lease: Lease, count: int, *, strict: bool) -> tuple[int, str]:
        """Renew and count up the sequence; returns the sequence before, and the hash of the
        event that it numbers.

        `strict`: not after its expiry either.
        """
        now = self.now()
        found = self.db.execute(
            "update run set seq = seq + ?, lease_until = ? where id = ? and fence = ? and "
            "lease_until > ?"
            " and is_open = 1 returning seq, head",
            (count, now + lease.ttl_s, lease.run_id, lease.fence, now if strict else 0.0),
        )
        if not found:
            raise LeaseLost(
                f"the lease on run {lease.run_id} is gone",
                hint="another process goes on with the run",
            )
        return int(found[0][0]) - count, found[0][1]

    # --- journal --------------------------------------------------------------

    def append(
        self,
        lease: Lease,
        at: datetime,
        events: Sequence[EventData],
        *,
        expect: int | None = None,
        intent: Intent | None = None,
        release: Sequence[str] = (),
        forget: Sequence[str] = (),
        word: str | None = None,
        close: bool = False,
    ) -> list[Event]:
        with self.db.transaction():
            before, head = self._renew(lease, len(events), strict=intent is not None)
            _expect(lease.run_id, before, expect)
            if intent is not None:
                reserve(self.db, lease.run_id, intent)
            free(self.db, lease.run_id, release, forget)
            new, head = rows.written_events(
                lease.run_id, events, at, first=before + 1, fence=lease.fence, head=head
            )
            self.db.execute(
                "update run set word = coalesce(?, word), is_open = ?, head = ? where id = ?",
                (word, 0 if close else 1, head, lease.run_id),
            )
            self._insert(lease.run_id, new)
        if intent is not None and new and self._memory is not None:  # before the request leaves
            self._memory.write(lease.run_id, before + len(new), rows.written_time(at))
        return [rows.event(r, lease.run_id) for r in new]

    def record(
        self,
        run_id: str,
        at: datetime,
        events: Sequence[EventData],
        *,
        expect: int | None = None,
        release: Sequence[str] = (),
        forget: Sequence[str] = (),
        open_only: bool = True,
        word: str | None = None,
    ) -> list[Event]:
        with self.db.transaction():
            found = self.db.execute(
                "update run set seq = seq + ?, due = ?, word = coalesce(?, word)"
                " where id = ? and is_open >= ? returning seq, head",
                (len(events), RECORDED, word, run_id, 1 if open_only else 0),
            )
            if not found:
                raise RunNotFound(f"run {run_id} is not open") if open_only else _no_run(run_id)
            before, head = int(found[0][0]) - len(events), found[0][1]
            _expect(run_id, before, expect)
            free(self.db, run_id, release, forget)
            new, head = rows.written_events(
                run_id, events, at, first=before + 1, fence=0, head=head
            )
            self.db.execute("update run set head = ? where id = ?", (head, run_id))
            self._insert(run_id, new)
        return [rows.event(r, run_id) for r in new]

    def _insert(self, run_id: str, new: Sequence[rows.EventRow]) -> None:
        sql = f"insert into event(run, {rows.EVENT_COLUMNS}) values(?,?,?,?,?,?,?,?)"
        self.db.executemany(sql, [(run_id, *row) for row in new])

    # --- cycles, halt ---------------------------------------------------------

    def spent(self, cycle: str, project: str) -> dict[str, str]:
        return dict(
            self.db.execute(
                "select server, run from claim where cycle = ? and project = ?", (cycle, project)
            )
        )

    def hold(self, project: str, run_id: str, wait_s: float, window_s: float) -> None:
        with self.db.transaction():
            hold(self.db, project, run_id, wait_s, window_s)

    def set_halt(self, halt: Halt | None) -> None:
        with self.db.transaction():
            set_halt(self.db, halt)

    def halted(self) -> Halt | None:
        return halted(self.db)


def _no_run(text: str) -> RunNotFound:
    return RunNotFound(
        f"no run {text!r}", hint="`reboot-runner status` lists the runs of the store"
    )


def _expect(run_id: str, before: int, expect: int | None) -> None:
    if expect is not None and before != expect:
        raise JournalMoved(f"the journal of {run_id} is at {before}, not at {expect}")
