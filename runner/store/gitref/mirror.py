"""The ref's content as tables: an SQLite database in memory, on which the store's SQL runs as
on every other.

Triggers note which rows were touched since the last commit; `changes` makes files of those,
`load` rows of files. What is noted lies in tables too, so that it is undone together with
the rows.

No clock of another machine is believed for a lease. The file has how long it is, and a mark
that each renewal changes: whoever reads a mark that it has not seen before counts the
lease's whole length from then on, on its own clock.

A reservation of the rate budget was as old as the file says when it was first seen, too,
but is not taken for more than a minute younger than its writer's clock says: processes that
live shorter than the budget's window would otherwise never see it empty.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runner.errors import StoreError
from runner.inputs.json_text import JOURNAL, WIDE_TEXT, parse_json
from runner.store import rows
from runner.store.gitref import tree
from runner.store.gitref.address import REF
from runner.store.gitref.errors import StoreRefused
from runner.store.schema import prepare
from runner.store.sqlite import Sqlite

KEPT_CLOSED = 3
"""So many of the newest runs that have ended keep their events in the tree; those of older
ones are in the history.
"""
ARCHIVED_AT_ONCE = 5
_EDITED = (
    "it was edited, damaged or written by another program, and nothing was sent: restore "
    "the ref from a backup, or give"
    " the store a repository whose ref nobody else writes"
)
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What taking a file apart raises that is not one of ours."""
_MOST_BYTES = {
    "store": 64 << 10,
    "flag": 64 << 10,
    "run": 1 << 20,
    "rate": 4 << 20,
    "claims": 4 << 20,
}
"""Of a file of each kind; others may be as large as an entry of the journal."""
SKEW_S = 60.0
"""So far apart may clocks be that share a rate budget; nothing else depends on it."""

_TABLES = (
    "create table git_touched(kind text, key text, n integer, primary key(kind, key, n))",
    (
        "create table git_chunk(run text, first integer, last integer, size integer, primary "
        "key(run, first))"
    ),
    "create table git_lease(run text primary key, mark text, until double precision, owner text)",
    "create table git_archive(run text primary key, at text, upto integer, recalled integer)",
    "create table git_rate(row integer primary key, id text)",
    "create table git_store(id text)",
)
_NOTES = (
    ("run", "'run', {row}.id, 0"),
    ("event", "'event', {row}.run, {row}.seq"),
    ("claim", "'claim', {row}.run, {row}.batch"),
    ("rate", "'rate', {row}.project, 0"),
    ("flag", "'flag', {row}.name, 0"),
    ("schema_version", "'store', '', 0"),
)
_EVENTS = ("insert", "new"), ("update", "old"), ("update", "new"), ("delete", "old")


class Mirror(Sqlite):
    """The tables, at the newest schema. `clock`: what this process counts leases and
    reservations by.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(":memory:", clock)
        prepare(self)
        self._columns = {table: self._columns_of(table) for table in ("run", "claim", "flag")}
        self._rooms: dict[tuple[str, str], float] = {}
        for statement in _TABLES:
            self.execute(statement)
        for table, note in _NOTES:
            if not self.has_table(table):  # an older schema, in tests of migrations
                continue
            for number, (event, row) in enumerate(_EVENTS):
                self.execute(
                    f"create trigger git_{table}_{number} after {event} on {table} begin"
                    f" insert or ignore into git_touched values({note.format(row=row)}); end"
                )
        if self.has_table("rate"):
            self.execute(
                "create trigger git_rate_gone after delete on rate begin"
                " delete from git_rate where row = old.rowid; end"
            )

    def schema(self) -> int:
        return int(self.execute("select version from schema_version")[0][0])

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def is_touched(self) -> bool:
        return bool(self.execute("select 1 from git_touched limit 1"))

    def lease_left(self, run: str, owner: str) -> float:
        """Seconds that the lease which is in the ref has left, where it is this owner's; else 0."""
        found = self.execute(
            "select until from git_lease where run = ? and owner = ?", (run, owner)
        )
        return float(found[0][0]) - self.now() if found else 0.0

    # --- rows to files --------------------------------------------------------

    def changes(self, base: str | None) -> dict[str, bytes | None]:
        """The files that the touched rows make; None: gone. Afterwards nothing is touched."""
        if base is not None:
            self._archive(base)
        touched = self.execute(
            "select kind, key, min(n) from git_touched where kind = 'event' group by key"
        )
        touched += self.execute("select kind, key, n from git_touched where kind <> 'event'")
        files: dict[str, bytes | None] = {}
        archived: set[str] = set()
        for kind, key, n in touched:
            if kind in ("run", "event", "claim") and self._archived(key):
                archived.add(key)
            else:
                files |= getattr(self, f"_{kind}_files")(key, n)
        for run in archived:
            files |= self._archive_files(run)
        if files and base is None:
            files |= self._store_files("", 0)
        self.execute("delete from git_touched")
        return files

    def _columns_of(self, table: str) -> list[str]:
        return [row[1] for row in self.execute(f"pragma table_info({table})")]

    def _dicts(self, table: str, where: str, *args: Any) -> list[dict[str, Any]]:
        columns = self._columns[table]
        sql = f"select {', '.join(columns)} from {table} where {where}"  # noqa: S608 - names of our own schema
        return [dict(zip(columns, row, strict=True)) for row in self.execute(sql, args)]

    def _store_files(self, _key: str, _n: int) -> dict[str, bytes | None]:
        found = self.execute("select id from git_store")
        if not found:
            found = [(secrets.token_hex(16),)]
            self.execute("insert into git_store values(?)", found[0])
        facts = {
            "store": "reboot-runner",
            "format": tree.FORMAT,
            "schema": self.schema(),
            "id": found[0][0],
        }
        return {tree.STORE: tree.document(facts)}

    def _flag_files(self, flag: str, _n: int) -> dict[str, bytes | None]:
        found = self.execute("select data from flag where name = ?", (flag,))
        return {tree.flag_path(flag): found[0][0].encode() if found else None}

    def _rate_files(self, project: str, _n: int) -> dict[str, bytes | None]:
        self.execute(
            "insert into git_rate select rowid, lower(hex(randomblob(8))) from rate"
            " where rowid not in (select row from git_rate)"
        )
        found = self.execute(
            "select id, at, n, run from rate join git_rate on row = rate.rowid where project = ? "
            "order by at, id",
            (project,),
        )
        now = self.now()
        rooms = [
            {"id": key, "at": at, "age": now - at, "n": n, "run": run} for key, at, n, run in found
        ]
        return {tree.rate_path(project): tree.document(rooms) if rooms else None}

    def _run_files(self, run: str, _n: int) -> dict[str, bytes | None]:
        found = self._run_document(run)
        return {tree.run_path(run): tree.document(found) if found else None}

    def _run_document(self, run: str) -> dict[str, Any] | None:
        found = self._dicts("run", "id = ?", run)
        if not found:
            return None
        row = found[0]
        until, owner = row.pop("lease_until"), row["owner"]
        row["owner"] = tree.nested(owner)
        if owner is None:
            self.execute("delete from git_lease where run = ?", (run,))
            return row
        known = self.execute("select mark, until from git_lease where run = ?", (run,))
        mark = known[0][0] if known and known[0][1] == until else secrets.token_hex(8)
        self.execute("insert or replace into git_lease values(?,?,?,?)", (run, mark, until, owner))
        return row | {"lease": {"seconds": max(until - self.now(), 0.0), "mark": mark}}

    def _event_files(self, run: str, first: int) -> dict[str, bytes | None]:
        """Events from `first` on, with those of the file that they belong to, in files of
        about 64 KiB.
        """
        begin = first
        found = self.execute(
            "select first, last, size from git_chunk where run = ? and first <= ? order by first "
            "desc limit 1",
            (run, first),
        )
        if found and (first <= found[0][1] or found[0][2] < tree.CHUNK):
            begin = found[0][0]
        gone = self.execute(
            "select first from git_chunk where run = ? and first >= ?", (run, begin)
        )
        self.execute("delete from git_chunk where run = ? and first >= ?", (run, begin))
        files: dict[str, bytes | None] = {tree.events_path(run, n): None for (n,) in gone}
        lines: list[bytes] = []
        size = 0
        events = self.execute(
            f"select {rows.EVENT_COLUMNS} from event where run = ? and seq >= ? order by seq",  # noqa: S608
            (run, begin),
        )
        for number, event in enumerate(events):
            lines.append(rows.event_line(event) + b"\n")
            size += len(lines[-1])
            if size >= tree.CHUNK or number == len(events) - 1:
                at = event[1] - len(lines) + 1
                files[tree.events_path(run, at)] = b"".join(lines)
                self.execute("insert into git_chunk values(?,?,?,?)", (run, at, event[1], size))
                lines, size = [], 0
        return files

    def _claim_files(self, run: str, batch: int) -> dict[str, bytes | None]:
        found = self._dicts("claim", "run = ? and batch = ? order by server", run, batch)
        return {
            tree.claims_path(run, batch): tree.compact(tree.claim_groups(found)) if found else None
        }

    # --- runs that have ended -------------------------------------------------

    def _archived(self, run: str) -> tuple[str, int] | None:
        found = self.execute("select at, upto from git_archive where run = ?", (run,))
        return (found[0][0], found[0][1]) if found else None

    def _archive(self, base: str) -> None:
        """Leave events of older runs that have ended to the history: `base`, whose tree has
        them, stays in it.
        """
        old = self.execute(
            "select id, seq from run where is_open = 0 and id not in (select run from git_archive)"
            " and id not in (select key from git_touched where kind in ('run', 'event', 'claim'))"
            " order by created desc, id desc limit ? offset ?",
            (ARCHIVED_AT_ONCE, KEPT_CLOSED),
        )
        for run, seq in old:
            self.execute("insert into git_archive values(?,?,?,1)", (run, base, seq))
            self.execute("delete from git_chunk where run = ?", (run,))
            self.execute("insert into git_touched values('run', ?, 0)", (run,))

    def _archive_files(self, run: str) -> dict[str, bytes | None]:
        at, upto = self._archived(run) or ("", 0)
        claims = self._dicts("claim", "run = ? order by batch, server", run)
        by_batch = {
            batch: [c for c in claims if c["batch"] == batch]
            for batch in {c["batch"] for c in claims}
        }
        events = self.execute(
            f"select {rows.EVENT_COLUMNS} from event where run = ? and seq > ? order by seq",  # noqa: S608
            (run, upto),
        )
        data = {
            "run": self._run_document(run),
            "events_in": {"commit": at, "upto": upto},
            "claims": {
                str(batch): tree.claim_groups(found) for batch, found in sorted(by_batch.items())
            },
            "later": [rows.event_line(e).decode() for e in events],
        }
        return {tree.archive_path(run): tree.document(data), tree.run_folder(run): None}

    def missing(self, run: str) -> str | None:
        """The commit that has the events of a run which are not here."""
        found = self.execute("select at from git_archive where run = ? and recalled = 0", (run,))
        return found[0][0] if found else None

    def recalled(self, run: str, files: Iterable[bytes]) -> None:
        """Take the events of an archived run in. They are in the ref as they are."""
        _, upto = self._archived(run) or ("", 0)
        try:
            found = [row for data in files for row in tree.event_rows(data) if row[1] <= upto]
        except _UNREADABLE as error:
            what = f"the store's history holds something unreadable: events of run {run[:200]!r}"
            raise StoreRefused(what, hint=_EDITED) from error
        self._insert_events(run, found)
        self.execute(
            "delete from git_touched where kind = 'event' and key = ? and n <= ?", (run, upto)
        )
        self.execute("update git_archive set recalled = 1 where run = ?", (run,))

    def _insert_events(self, run: str, found: list[rows.EventRow]) -> None:
        self.executemany(
            f"insert or replace into event(run, {rows.EVENT_COLUMNS}) values(?,?,?,?,?,?,?,?)",
            [(run, *row) for row in found],
        )

    # --- files to rows --------------------------------------------------------

    def load(self, paths: Sequence[str], files: Iterable[tuple[str, bytes]]) -> None:
        """Take in what differs, in a transaction of the caller: the paths, and what those that
        are there hold now.

        What was there goes first: a claim that has moved from one file to another must not
        be there twice. Raises StoreRefused for what is not ours.
        """
        seen_at = self.now()
        self._rooms.clear()
        places = {path: tree.place(path) for path in paths}
        is_named = tree.STORE not in places
        for place in places.values():
            self._take(f"_clear_{place.kind}", place)
        for path, data in files:
            is_wide = len(data) > WIDE_TEXT and not data.isascii()
            if is_wide or len(data) > _MOST_BYTES.get(places[path].kind, JOURNAL.size):
                what = (
                    f"the store's ref holds a file that is too large: {path[:200]!r}, "
                    f"{len(data):,} bytes"
                )
                raise StoreRefused(what, hint=_EDITED)
            self._take(f"_load_{places[path].kind}", places[path], data, seen_at)
            is_named = is_named or path == tree.STORE
        if not is_named or not self.execute("select 1 from git_store"):
            what = f"the store's ref {REF} holds no {tree.STORE}: it is no store of reboot-runner"
            raise StoreRefused(what, hint=_EDITED)
        self._demand_whole(
            {p.key for p in places.values() if p.kind in ("run", "events", "claims")}
        )
        self.execute("delete from git_rate where row not in (select rowid from rate)")
        self.execute("delete from git_touched")

    def _take(self, method: str, place: tree.TreePlace, *more: Any) -> None:
        try:
            getattr(self, method)(place.key, place.number, *more)
        except StoreRefused:
            raise
        except (*_UNREADABLE, StoreError) as error:
            what = f"the store's ref holds something unreadable: {place.kind} {place.key[:200]!r}"
            raise StoreRefused(what, hint=_EDITED) from error

    def _demand_whole(self, runs: set[str]) -> None:
        """Raises StoreRefused where files of these runs are missing: the row, or some events."""
        for run in sorted(runs):
            if self._archived(run):
                continue
            (expected,) = self.execute("select coalesce(max(seq), 0) from run where id = ?", (run,))
            (found,) = self.execute("select count(*) from event where run = ?", (run,))
            claims = self.execute("select 1 from claim where run = ? limit 1", (run,))
            if expected != found or (claims and not expected[0]):
                raise StoreRefused(
                    f"the store's ref lacks files of run {run[:200]!r}", hint=_EDITED
                )

    def _insert(self, table: str, found: Sequence[Mapping[str, Any]]) -> None:
        """Rows that have all the same columns."""
        if not found:
            return
        columns = list(found[0])
        newer = set(columns) - set(self._columns[table])
        if newer:
            raise StoreRefused(
                f"the store was written by a newer program: its {table} has "
                f"{', '.join(sorted(newer))[:200]}",
                hint="use the newer reboot-runner that wrote it",
            )
        marks = ", ".join("?" * len(columns))
        sql = f"insert or replace into {table}({', '.join(columns)}) values({marks})"
        self.executemany(sql, [tuple(row[column] for column in columns) for row in found])

    def _clear_store(self, _key: str, _n: int) -> None:
        """Its facts never change; `_demand_whole` refuses a ref without it."""

    def _load_store(self, _key: str, _n: int, data: bytes, _seen_at: float) -> None:
        facts = parse_json(data, JOURNAL)
        if facts["store"] != "reboot-runner" or facts["format"] != tree.FORMAT:
            raise StoreRefused(
                f"the store's ref has format {facts['format']!r}, this program knows {tree.FORMAT}",
                hint="use the newer reboot-runner that wrote it",
            )
        known = self.execute("select id from git_store")
        if known and known[0][0] != facts["id"]:
            raise StoreRefused(
                "the store's ref is another store than a moment ago",
                hint="find out who replaced it",
            )
        if not known:
            self.execute("insert into git_store values(?)", (tree.store_id(facts["id"]),))
        self.execute("update schema_version set version = max(version, ?)", (int(facts["schema"]),))

    def _clear_flag(self, flag: str, _n: int) -> None:
        self.execute("delete from flag where name = ?", (flag,))

    def _load_flag(self, flag: str, _n: int, data: bytes, _seen_at: float) -> None:
        self._insert("flag", [{"name": flag, "data": data.decode()}])

    def _clear_rate(self, project: str, _n: int) -> None:
        found = self.execute(
            "select id, at from rate join git_rate on row = rate.rowid where project = ?",
            (project,),
        )
        self._rooms |= {(project, key): at for key, at in found}
        self.execute("delete from rate where project = ?", (project,))

    def _load_rate(self, project: str, _n: int, data: bytes, seen_at: float) -> None:
        for room in parse_json(data, JOURNAL):
            first_seen = min(seen_at - float(room["age"]), float(room["at"]) + SKEW_S)
            at = self._rooms.get((project, room["id"]), first_seen)
            row = self.execute(
                "insert into rate(project, at, n, run) values(?,?,?,?) returning rowid",
                (project, at, int(room["n"]), str(room["run"])),
            )
            self.execute("insert into git_rate values(?,?)", (row[0][0], str(room["id"])))

    def _clear_run(self, run: str, _n: int) -> None:
        self.execute("delete from run where id = ?", (run,))

    def _load_run(self, run: str, _n: int, data: bytes, seen_at: float) -> None:
        self._insert_run(parse_json(data, JOURNAL), seen_at)

    def _insert_run(self, row: dict[str, Any], seen_at: float) -> None:
        lease, until = row.pop("lease", None), 0.0
        owner = rows.written(row["owner"]) if row["owner"] is not None else None
        if lease is None:
            self.execute("delete from git_lease where run = ?", (row["id"],))
        else:
            known = self.execute("select mark, until from git_lease where run = ?", (row["id"],))
            is_known = bool(known) and known[0][0] == lease["mark"]
            until = known[0][1] if is_known else seen_at + float(lease["seconds"])
            self.execute(
                "insert or replace into git_lease values(?,?,?,?)",
                (row["id"], lease["mark"], until, owner),
            )
        self._insert("run", [row | {"owner": owner, "lease_until": until}])

    def _clear_events(self, run: str, first: int) -> None:
        found = self.execute("select last from git_chunk where run = ? and first = ?", (run, first))
        if found:
            self.execute(
                "delete from event where run = ? and seq between ? and ?", (run, first, found[0][0])
            )
            self.execute("delete from git_chunk where run = ? and first = ?", (run, first))

    def _load_events(self, run: str, first: int, data: bytes, _seen_at: float) -> None:
        found = tree.event_rows(data)
        self._insert_events(run, found)
        self.execute(
            "insert or replace into git_chunk values(?,?,?,?)",
            (run, first, found[-1][1], len(data)),
        )

    def _clear_claims(self, run: str, batch: int) -> None:
        self.execute("delete from claim where run = ? and batch = ?", (run, batch))

    def _load_claims(self, run: str, batch: int, data: bytes, _seen_at: float) -> None:
        for group in parse_json(data, JOURNAL):
            self._insert("claim", tree.claim_rows(group, run, batch))

    def _clear_archive(self, run: str, _n: int) -> None:
        for table, column in (
            ("run", "id"),
            ("claim", "run"),
            ("event", "run"),
            ("git_chunk", "run"),
        ):
            self.execute(f"delete from {table} where {column} = ?", (run,))  # noqa: S608 - names of our own

    def _load_archive(self, run: str, _n: int, data: bytes, seen_at: float) -> None:
        facts = parse_json(data, JOURNAL)
        self._insert_run(facts["run"], seen_at)
        for batch, groups in facts["claims"].items():
            for group in groups:
                self._insert("claim", tree.claim_rows(group, run, int(batch)))
        self._insert_events(
            run, [row for line in facts["later"] for row in tree.event_rows(line.encode())]
        )
        said = facts["events_in"]
        commit = tree.commit_id(said["commit"])
        self.execute(
            "insert or replace into git_archive values(?,?,?,0)", (run, commit, int(said["upto"]))
        )
