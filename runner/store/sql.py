"""The store in plain SQL: one text for SQLite and PostgreSQL; the dialects differ in a few lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Protocol

from runner.errors import LeaseLost, StoreError
from runner.model.owner import Owner
from runner.model.run import Event
from runner.ports.store import (
    Halt,
    Halted,
    Intent,
    JournalMoved,
    Lease,
    LeaseHeld,
    NewEvent,
    NewRun,
    RateFull,
    RunExists,
    RunNotFound,
    RunRow,
    Taken,
)
from runner.store.owner import is_provably_dead

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """create table run(
            id text primary key, plan text not null, plan_digest text not null, schedule_digest text not null,
            cycle text not null, word text not null, is_open integer not null, created text not null,
            fence bigint not null, owner text, lease_until double precision not null,
            due double precision not null, seq bigint not null)""",
        "create unique index run_open on run(plan) where is_open = 1",
        """create table event(
            run text not null, seq bigint not null, at text not null, type text not null, fence bigint not null,
            data text not null, primary key(run, seq))""",
        """create table claim(
            project text not null, server text not null, cycle text not null, run text not null,
            batch integer not null, at double precision not null, released double precision,
            primary key(project, server, cycle))""",
        "create unique index claim_held on claim(project, server) where released is null",
        "create index claim_run on claim(run)",
        "create table rate(project text not null, at double precision not null, n integer not null, run text not null)",
        "create index rate_at on rate(project, at)",
        "create table flag(name text primary key, data text not null)",
    ),
)
"""Numbered steps: a store at version n has had the first n. Never edit one that was released; add another."""

CHUNK = 500
_ROW = "id, plan, plan_digest, schedule_digest, cycle, word, is_open, created, fence, owner, lease_until, due, seq"


class Cursor(Protocol):
    """What both drivers' cursors share."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Dialect(Protocol):
    """The few lines in which the two databases differ."""

    def execute(self, sql: str, args: Sequence[Any] = ()) -> Cursor: ...
    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None: ...
    def transaction(self) -> AbstractContextManager[None]:
        """A write transaction; commits durably or rolls back. Foreign errors become StoreError."""
        ...

    def lock(self, name: str) -> None:
        """Inside a transaction: one at a time for this name."""
        ...

    def has_table(self, name: str) -> bool: ...
    def now(self) -> float: ...
    def close(self) -> None: ...


class SqlStore:
    """`store.base.Store` on a dialect. One connection, used by one thread."""

    def __init__(self, db: Dialect) -> None:
        self.db = db
        with db.transaction():
            db.lock("schema")
            _migrate(db)

    def now(self) -> float:
        return self.db.now()

    def close(self) -> None:
        self.db.close()

    # --- runs ------------------------------------------------------------------------------------------------

    def create(self, run: NewRun, created: Event) -> None:
        with self._write():
            self.db.lock(f"plan:{run.plan}")
            other = self.db.execute("select id from run where plan = ? and is_open = 1", (run.plan,)).fetchone()
            if other:
                raise RunExists(other[0])
            self.db.execute(
                f"insert into run({_ROW}) values(?,?,?,?,?,?,1,?,0,null,0,0,1)",
                (run.id, run.plan, run.plan_digest, run.schedule_digest, run.cycle, "running", run.created.isoformat()),
            )
            self._insert(run.id, 1, created.at, 0, [(created.type, created.data)])

    def find(self, text: str) -> RunRow:
        exact = self._rows("id = ?", (text,), 1)
        if exact:
            return exact[0]
        plan = self._rows("plan = ?", (text,), 1)
        if plan:
            return plan[0]
        pattern = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = self._rows("id like ? escape '\\'", (pattern,), 6) if text else []
        if len(found) == 1:
            return found[0]
        if found:
            raise RunNotFound(f"{text!r} fits several runs: {', '.join(r.id for r in found[:5])}")
        raise RunNotFound(f"no run {text!r}", hint="`reboot-runner status` lists the runs of the store")

    def runs(self, *, plan: str | None = None, open_only: bool = False, limit: int = 100) -> list[RunRow]:
        where = ["1 = 1"] + (["plan = ?"] if plan else []) + (["is_open = 1"] if open_only else [])
        return self._rows(" and ".join(where), (plan,) if plan else (), limit)

    def due(self) -> list[RunRow]:
        now = self.now()
        rows = self._rows("is_open = 1 and due <= ?", (now,), 10_000, "due, created, id")
        return [r for r in rows if r.lease_until <= now or (r.owner and is_provably_dead(r.owner))]

    def _rows(self, where: str, args: Sequence[Any], limit: int, order: str = "created desc, id desc") -> list[RunRow]:
        sql = f"select {_ROW} from run where {where} order by {order} limit {limit:d}"  # noqa: S608 - our own text
        return [_row(r) for r in self.db.execute(sql, args).fetchall()]

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        rows = self.db.execute(
            "select seq, at, type, fence, data from event where run = ? and seq > ? order by seq", (run_id, after)
        ).fetchall()
        return [Event(t, json.loads(data), datetime.fromisoformat(at), seq, fence) for seq, at, t, fence, data in rows]

    # --- leases ----------------------------------------------------------------------------------------------

    def take(self, run_id: str, owner: Owner, ttl_s: float) -> Lease:
        with self._write():
            now = self.now()
            row = self.db.execute(
                "update run set fence = fence where id = ? and is_open = 1 returning owner, lease_until", (run_id,)
            ).fetchone()
            if row is None:
                raise RunNotFound(f"run {run_id} is not open")
            holder = Owner.from_json(json.loads(row[0])) if row[0] else None
            if row[1] > now and not (holder and is_provably_dead(holder)):
                raise LeaseHeld(holder, row[1])
            fence = self.db.execute(
                "update run set owner = ?, fence = fence + 1, lease_until = ? where id = ? returning fence",
                (json.dumps(owner.as_json()), now + ttl_s, run_id),
            ).fetchone()[0]
        return Lease(run_id, fence, owner, ttl_s)

    def touch(self, lease: Lease) -> None:
        with self._write():
            self._renew(lease, 0, strict=False)

    def give_back(self, lease: Lease, due: float | None) -> None:
        with self._write():
            self.db.execute(
                "update run set lease_until = 0, owner = null, due = coalesce(?, due) where id = ? and fence = ?",
                (due, lease.run_id, lease.fence),
            )

    def _renew(self, lease: Lease, count: int, *, strict: bool) -> int:
        """Renew and count up the sequence; returns the sequence before. `strict`: not after its expiry either."""
        now = self.now()
        row = self.db.execute(
            "update run set seq = seq + ?, lease_until = ? where id = ? and fence = ? and lease_until > ?"
            " and is_open = 1 returning seq",
            (count, now + lease.ttl_s, lease.run_id, lease.fence, now if strict else 0.0),
        ).fetchone()
        if row is None:
            raise LeaseLost(f"the lease on run {lease.run_id} is gone", hint="another process goes on with the run")
        return int(row[0]) - count

    # --- journal ---------------------------------------------------------------------------------------------

    def append(
        self,
        lease: Lease,
        at: datetime,
        events: Sequence[NewEvent],
        *,
        expect: int | None = None,
        intent: Intent | None = None,
        release: Sequence[str] = (),
        forget: Sequence[str] = (),
        word: str | None = None,
        close: bool = False,
    ) -> list[Event]:
        with self._write():
            before = self._renew(lease, len(events), strict=intent is not None)
            _expect(lease.run_id, before, expect)
            if intent is not None:
                self._reserve(lease.run_id, intent)
            self._free(lease.run_id, release, forget)
            if word is not None or close:
                self.db.execute(
                    "update run set word = coalesce(?, word), is_open = ? where id = ?",
                    (word, 0 if close else 1, lease.run_id),
                )
            return self._insert(lease.run_id, before + 1, at, lease.fence, events)

    def record(
        self,
        run_id: str,
        at: datetime,
        events: Sequence[NewEvent],
        *,
        expect: int | None = None,
        release: Sequence[str] = (),
        forget: Sequence[str] = (),
        open_only: bool = True,
    ) -> list[Event]:
        with self._write():
            row = self.db.execute(
                "update run set seq = seq + ?, due = 0 where id = ? and is_open >= ? returning seq",
                (len(events), run_id, 1 if open_only else 0),
            ).fetchone()
            if row is None:
                raise RunNotFound(f"run {run_id} is not open" if open_only else f"no run {run_id}")
            before = int(row[0]) - len(events)
            _expect(run_id, before, expect)
            self._free(run_id, release, forget)
            return self._insert(run_id, before + 1, at, 0, events)

    def _insert(self, run_id: str, first: int, at: datetime, fence: int, events: Sequence[NewEvent]) -> list[Event]:
        stored = [Event(t, data, at, first + i, fence) for i, (t, data) in enumerate(events)]
        self.db.executemany(
            "insert into event(run, seq, at, type, fence, data) values(?,?,?,?,?,?)",
            [(run_id, e.seq, at.isoformat(), e.type, fence, _json(e.data)) for e in stored],
        )
        return [Event(e.type, json.loads(_json(e.data)), at, e.seq, fence) for e in stored]

    # --- claims, cycles, rate, halt --------------------------------------------------------------------------

    def _reserve(self, run_id: str, intent: Intent) -> None:
        halt = self.halted()
        if halt is not None:
            raise Halted(halt.reason)
        self.db.lock(f"project:{intent.project}")
        now = self.now()
        self._claim(run_id, intent, now)
        self._room(run_id, intent, now)

    def _claim(self, run_id: str, intent: Intent, now: float) -> None:
        claimed: dict[str, str] = {}
        spent: dict[str, str] = {}
        for chunk in _chunks(intent.servers):
            marks = ",".join("?" * len(chunk))
            rows = self.db.execute(
                f"select server, cycle, run, released from claim where project = ? and server in ({marks})",  # noqa: S608
                (intent.project, *chunk),
            ).fetchall()
            for server, cycle, holder, released in rows:
                if released is None:
                    claimed[server] = holder
                elif cycle == intent.cycle:
                    spent[server] = holder
        if claimed or spent:
            raise Taken(claimed, spent)
        self.db.executemany(
            "insert into claim(project, server, cycle, run, batch, at) values(?,?,?,?,?,?)",
            [(intent.project, s, intent.cycle, run_id, intent.batch, now) for s in intent.servers],
        )

    def _room(self, run_id: str, intent: Intent, now: float) -> None:
        """Servers asked for in any window must not exceed the budget; a reservation is never given back."""
        self.db.execute("delete from rate where project = ? and at <= ?", (intent.project, now - 2 * intent.window_s))
        rows = self.db.execute(
            "select at, n from rate where project = ? and at > ? order by at", (intent.project, now - intent.window_s)
        ).fetchall()
        used, wanted = sum(n for _, n in rows), len(intent.servers)
        if used + wanted > intent.per_window:
            for at, n in rows:
                used -= n
                if used + wanted <= intent.per_window:
                    raise RateFull(at + intent.window_s - now)
            raise StoreError(f"a batch of {wanted} servers can never fit into {intent.per_window} a minute")
        self.db.execute("insert into rate(project, at, n, run) values(?,?,?,?)", (intent.project, now, wanted, run_id))

    def _free(self, run_id: str, release: Sequence[str], forget: Sequence[str]) -> None:
        now = self.now()
        for chunk in _chunks(release):
            marks = ",".join("?" * len(chunk))
            self.db.execute(
                f"update claim set released = ? where run = ? and released is null and server in ({marks})",  # noqa: S608
                (now, run_id, *chunk),
            )
        for chunk in _chunks(forget):
            marks = ",".join("?" * len(chunk))
            self.db.execute(f"delete from claim where run = ? and server in ({marks})", (run_id, *chunk))  # noqa: S608

    def spent(self, cycle: str, project: str) -> dict[str, str]:
        rows = self.db.execute("select server, run from claim where cycle = ? and project = ?", (cycle, project))
        return dict(rows.fetchall())

    def set_halt(self, halt: Halt | None) -> None:
        with self._write():
            self.db.execute("delete from flag where name = 'halt'")
            if halt is not None:
                data = _json({"reason": halt.reason, "by": halt.by, "at": halt.at.isoformat()})
                self.db.execute("insert into flag(name, data) values('halt', ?)", (data,))

    def halted(self) -> Halt | None:
        row = self.db.execute("select data from flag where name = 'halt'").fetchone()
        if row is None:
            return None
        data = json.loads(row[0])
        return Halt(data["reason"], data["by"], datetime.fromisoformat(data["at"]))

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self.db.transaction():
            yield


def _migrate(db: Dialect) -> None:
    if not db.has_table("schema_version"):
        db.execute("create table schema_version(version integer not null)")
        db.execute("insert into schema_version(version) values(0)")
    version = int(db.execute("select version from schema_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the store has schema version {version}, this program knows {len(MIGRATIONS)}",
            hint="use the newer reboot-runner that wrote it",
        )
    for step in MIGRATIONS[version:]:
        for statement in step:
            db.execute(statement)
    if version < len(MIGRATIONS):
        db.execute("update schema_version set version = ?", (len(MIGRATIONS),))


def _expect(run_id: str, before: int, expect: int | None) -> None:
    if expect is not None and before != expect:
        raise JournalMoved(f"the journal of {run_id} is at {before}, not at {expect}")


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for i in range(0, len(ids), CHUNK):
        yield ids[i : i + CHUNK]


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)


def _row(r: Sequence[Any]) -> RunRow:
    owner = Owner.from_json(json.loads(r[9])) if r[9] else None
    return RunRow(
        r[0], r[1], r[2], r[3], r[4], r[5], bool(r[6]), datetime.fromisoformat(r[7]), r[8], owner, r[10], r[11], r[12]
    )
