"""SQLite: the default store, a file. Write-ahead log, every commit flushed to the disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.errors import StoreError

BUSY_S = 30.0


class Sqlite:
    """The dialect of a file (or of `:memory:`). `clock`: seconds since the epoch, the wall clock by default."""

    def __init__(self, path: Path | str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        try:
            if str(path) != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = full")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot open the store {path}: {error}", hint="check the path and its permissions, or give --store"
            ) from error

    def execute(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, args)
        except sqlite3.Error as error:
            raise StoreError(f"the store refused: {error}") from error

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise StoreError(f"the store refused: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.execute("rollback")
            raise
        self.execute("commit")

    def lock(self, name: str) -> None:
        """`begin immediate` has locked the whole file already."""

    def has_table(self, name: str) -> bool:
        row = self.execute("select 1 from sqlite_master where type = 'table' and name = ?", (name,)).fetchone()
        return row is not None

    def now(self) -> float:
        return self._clock()

    def close(self) -> None:
        self._connection.close()
