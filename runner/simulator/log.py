"""Where the log's lines are kept: in memory, or in an SQLite file that several processes share.

A file's log survives its writers: a line is in it before the answer that it describes
leaves. (The operating system going down is another matter: commits are not flushed to the
disk one by one.)
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

from runner.simulator import events as ev
from runner.simulator.timeline import Anchor

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""
FORMAT = "1"


class WorldMismatch(Exception):
    """The state file cannot be used: it belongs to another fleet or version, is no such
    file, or cannot be opened.
    """


class MemoryLog:
    """Lines of this process only. One writer at a time: `begin`, then any number of `append`,
    then `commit` or `rollback`.
    """

    def __init__(self) -> None:
        self._lines: list[ev.Event] = []
        self._seen = 0
        self._pending: list[ev.Event] = []

    def begin(self) -> list[ev.Event]:
        """Shut out other writers; the lines that were not seen by this reader yet."""
        fresh = self._lines[self._seen :]
        self._seen = len(self._lines)
        return fresh

    def append(self, event: ev.Event) -> None:
        if not isinstance(event, ev.Called):  # the world keeps these; nobody else reads this log
            self._pending.append(event)

    def commit(self) -> None:
        self._lines += self._pending
        self._pending.clear()
        self._seen = len(self._lines)

    def rollback(self) -> None:
        self._pending.clear()

    def rewind(self) -> None:
        """The next `begin` gives all lines again."""
        self._seen = 0

    def close(self) -> None:
        self._lines.clear()


_WAL_TRIES, _WAL_AGAIN_S = 100, 0.05


class SqliteLog:
    """Lines in a file. `BEGIN IMMEDIATE` lets one process at a time read what is new,
    decide and append.
    """

    def __init__(self, path: Path, world: str, anchor: Anchor) -> None:
        """`world` names the fleet. Raises WorldMismatch if the file holds another one's log.

        `anchor` is used if the file is new; otherwise simulated time goes on as the file
        says, at the new scale.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise WorldMismatch(f"{path.name} cannot be opened: {error}") from error
        self._seen = 0
        try:
            self._switch_to_wal()
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self.anchor = self._agree(world, anchor)
        except sqlite3.Error as error:
            self._db.close()
            raise WorldMismatch(
                f"{path.name} is not a state file of the simulated cloud: {error}"
            ) from error
        except BaseException:
            self._db.close()
            raise

    def _switch_to_wal(self) -> None:
        """Use the write-ahead log. While another process opens the file, SQLite refuses
        this without a wait.
        """
        for _ in range(_WAL_TRIES):
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                time.sleep(_WAL_AGAIN_S)
            else:
                return
        self._db.execute("PRAGMA journal_mode=WAL")

    def _agree(self, world: str, fresh: Anchor) -> Anchor:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            known = dict(self._db.execute("SELECT key, value FROM meta"))
            _check_same(known, world)
            anchor = fresh
            if "anchor" in known:
                sim, wall, scale = json.loads(known["anchor"])
                old = Anchor(sim, wall, scale)
                anchor = (
                    old
                    if old.scale == fresh.scale
                    else Anchor(old.at(fresh.wall), fresh.wall, fresh.scale)
                )
            rows = {"format": FORMAT, "world": world}
            rows["anchor"] = json.dumps([anchor.sim, anchor.wall, anchor.scale])
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows.items())
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return anchor

    def begin(self) -> list[ev.Event]:
        self._db.execute("BEGIN IMMEDIATE")
        fresh = []
        for seq, line in self._db.execute(
            "SELECT seq, line FROM log WHERE seq > ? ORDER BY seq", (self._seen,)
        ):
            self._seen = seq
            try:
                fresh.append(ev.from_line(line))
            except ValueError as error:
                raise WorldMismatch(f"line {seq} of the state file cannot be read") from error
        return fresh

    def append(self, event: ev.Event) -> None:
        cursor = self._db.execute("INSERT INTO log (line) VALUES (?)", (ev.to_line(event),))
        self._seen = cursor.lastrowid or self._seen

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def rewind(self) -> None:
        self._seen = 0

    def close(self) -> None:
        self._db.close()


def _check_same(known: dict[str, str], world: str) -> None:
    if known and (known.get("format"), known.get("world")) != (FORMAT, world):
        raise WorldMismatch(
            "the state file belongs to another simulated fleet; use another file or delete it"
        )


Log = MemoryLog | SqliteLog
