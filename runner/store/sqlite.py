"""SQLite: the default store, a file. Write-ahead log, every commit flushed to the disk.

The file and its `-wal` belong together: a copy of one without the other lacks the newest commits. Write-ahead logs
need shared memory, so the file must be on a disk of this machine, not on a network share (SQLite's page
"Write-Ahead Logging"). The log is folded into the file at every 1,000 pages and when the last process closes it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from runner.errors import StoreError

PATIENCE_S = 30.0
"""How long a write waits for another process's write. A process that is stopped in the middle of one blocks it."""

OLDEST = (3, 35, 0)
"""`returning` came with it (page "RETURNING")."""

_HINTS = {
    sqlite3.SQLITE_BUSY: "another process has been writing for long; is one stopped?",
    sqlite3.SQLITE_READONLY: "the file and its folder must be writable",
    sqlite3.SQLITE_CANTOPEN: "check the path and its permissions, or give --store",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_NOTADB: "the file is no store: give another one with --store",
    sqlite3.SQLITE_CORRUPT: "keep a copy of the file and its -wal, then restore a backup",
}


class Sqlite:
    """The dialect of a file (or of `:memory:`). `clock`: seconds since the epoch, the wall clock by default.

    A new file can be read by its owner only. Raises StoreError for what is no file, no database or not writable.
    """

    elements: ClassVar = "json_each(?)"
    is_one_of: ClassVar = "in (select value from json_each(?))"

    def __init__(
        self, path: Path | str, clock: Callable[[], float] = time.time, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._clock = clock
        self._patience_s = patience_s
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreError(
                f"this Python has SQLite {sqlite3.sqlite_version}, the store needs {'.'.join(map(str, OLDEST))}",
                hint="use a newer Python or system, or a PostgreSQL store",
            )
        if str(path) != ":memory:":
            _make_file(Path(path))
        with _ours(f"cannot open the store {path}"):
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=patience_s)
            try:
                self._use_log()
                self._connection.execute("pragma synchronous = full")
            except BaseException:
                self._connection.close()
                raise

    def _use_log(self) -> None:
        """Switch the file to a write-ahead log. SQLite does not wait here when another process is doing the same."""
        until = time.monotonic() + self._patience_s
        while True:
            try:
                self._connection.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)
            else:
                return

    def listed(self, texts: Sequence[str]) -> str:
        return json.dumps(texts)

    def execute(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        with _ours("the store refused"):
            return self._connection.execute(sql, args).fetchall()

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with _ours("the store refused"):
            self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("begin immediate")
        try:
            yield
            self.execute("commit")
        finally:
            if self._connection.in_transaction:  # after some errors (a full disk) SQLite has rolled back by itself
                self.execute("rollback")

    def lock(self, name: str, *, shared: bool = False) -> None:
        """`begin immediate` has locked the whole file already."""

    def ask_to_write(self) -> None:
        """A transaction asks at its beginning."""

    def has_table(self, name: str) -> bool:
        return bool(self.execute("select 1 from sqlite_master where type = 'table' and name = ?", (name,)))

    def now(self) -> float:
        return self._clock()

    def close(self) -> None:
        with _ours("the store cannot be closed"):
            self._connection.close()


def _make_file(path: Path) -> None:
    """Make an empty file, readable by its owner only, where there is none: SQLite gives its mode to the log too."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise StoreError(f"the store {path} is a directory", hint="give the path of a file in it") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot open the store {path}: {error}", hint=_HINTS[sqlite3.SQLITE_CANTOPEN]) from error


@contextmanager
def _ours(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{what}: {error}", hint=_HINTS.get(_code(error))) from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code: extended codes have it in their lowest byte (page "Result and Error Codes")."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
