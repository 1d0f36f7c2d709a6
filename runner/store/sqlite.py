"""SQLite: the default store, a file. Write-ahead log, every commit flushed to the disk.

A new file appears whole, with its tables; so a file that is empty, or has none, is never a
new store: something happened to it. The file and its `-wal` belong together: a copy of one
without the other lacks the newest commits. Logs need shared memory, so the file must be on
a disk of this machine, not on a network share (SQLite's page "Write-Ahead Logging"). The
log is folded into the file at every 1,000 pages and when the last process closes it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from runner.errors import StoreError
from runner.inputs.json_text import JOURNAL, MEGABYTE, WIDE_TEXT
from runner.store.schema import prepare

PATIENCE_S = 30.0
"""How long a write waits for another process's write. A process that is stopped in the
middle of one blocks it.
"""

OLDEST = (3, 35, 0)
"""`returning` came with it (page "RETURNING")."""

_HINTS = {
    sqlite3.SQLITE_BUSY: "another process has been writing for long; is one stopped?",
    sqlite3.SQLITE_READONLY: "the file and its folder must be writable",
    sqlite3.SQLITE_CANTOPEN: "check the path and its permissions, or give --store",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_NOTADB: (
        "give another file with --store; if a store was there, restore it from a backup"
    ),
    sqlite3.SQLITE_CORRUPT: "keep a copy of the file and its -wal, then restore a backup",
    sqlite3.SQLITE_ERROR: "if tables are missing, the file was edited: restore a backup",
}
_LOST = (
    "restore it from a backup; or, to begin a new store on purpose, delete {path} and the "
    "files beside it that end in"
    " -wal and -shm: earlier reboots are not known then"
)


class Sqlite:
    """The dialect of a file (or of `:memory:`). `clock`: seconds since the epoch, the wall
    clock by default.

    A new file can be read by its owner only. Raises StoreError for what is no store or not
    writable: an empty or truncated file, another program's database, a log without its
    file.
    """

    elements: ClassVar = "json_each(?)"
    is_one_of: ClassVar = "in (select value from json_each(?))"

    def __init__(
        self,
        path: Path | str,
        clock: Callable[[], float] = time.time,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._clock = clock
        self._patience_s = patience_s
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreError(
                f"this Python has SQLite {sqlite3.sqlite_version}, the store needs "
                f"{'.'.join(map(str, OLDEST))}",
                hint="use a newer Python or system, or a PostgreSQL store",
            )
        is_file = str(path) != ":memory:"
        if is_file and not is_there(Path(path)):
            _make_file(Path(path))
        with _ours(f"cannot open the store {path}"):
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=patience_s)
            try:
                self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, JOURNAL.size + MEGABYTE)
                self._connection.text_factory = text_of
                self._use_log()
                self._connection.execute("pragma synchronous = full")
                if is_file:
                    self._demand_tables(Path(path))
            except BaseException:
                self._connection.close()
                raise

    def _demand_tables(self, path: Path) -> None:
        if not self.has_table("schema_version"):
            others = self.execute(
                "select name from sqlite_master where type = 'table' order by name limit 3"
            )
            what = (
                f"the tables of another program ({', '.join(row[0] for row in others)})"
                if others
                else "no tables"
            )
            raise StoreError(
                f"the store {path} is a database with {what}", hint=_LOST.format(path=path)
            )

    def _use_log(self) -> None:
        """Switch the file to a write-ahead log. SQLite does not wait here when another
        process is doing the same.
        """
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

    def bounded(self, column: str) -> str:
        """The connection itself refuses what is too large."""
        return column

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
            if (
                self._connection.in_transaction
            ):  # after some errors (a full disk) SQLite has rolled back by itself
                self.execute("rollback")

    def lock(self, name: str, *, shared: bool = False) -> None:
        """`begin immediate` has locked the whole file already."""

    def ask_to_write(self) -> None:
        """A transaction asks at its beginning."""

    def has_table(self, name: str) -> bool:
        return bool(
            self.execute("select 1 from sqlite_master where type = 'table' and name = ?", (name,))
        )

    def now(self) -> float:
        return self._clock()

    def close(self) -> None:
        with _ours("the store cannot be closed"):
            self._connection.close()


def text_of(data: bytes) -> str:
    """Return a text of a row. Raises sqlite3.DataError for one that is not UTF-8, or long and
    not ASCII as ours are: each of its characters takes up to four bytes.
    """
    if len(data) > WIDE_TEXT and not data.isascii():
        raise sqlite3.DataError(f"a text of {len(data):,} bytes is not ASCII")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise sqlite3.DataError("a text is not UTF-8") from None


def is_there(path: Path) -> bool:
    """Return True for a file that may be a store, False if the path is free for a new one.

    Raises StoreError for what can be neither: an empty file, something that is no file, a
    log without its file.
    """
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return _demand_free(path)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    if path.is_dir():
        raise StoreError(f"the store {path} is a directory", hint="give the path of a file in it")
    if not path.is_file():
        raise StoreError(
            f"the store {path} is not a regular file", hint="give another path with --store"
        )
    if size == 0:
        raise StoreError(
            f"the store {path} is an empty file: what it held is lost", hint=_LOST.format(path=path)
        )
    return True


def _demand_free(path: Path) -> bool:
    if path.is_symlink():
        raise StoreError(
            f"the store {path} is a link to a file that does not exist",
            hint=_LOST.format(path=path),
        )
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")):
        if _size(log) and not path.exists():  # a process that begins the store just now makes both
            what = f"the store {path} is gone, but its log {log.name} is still there"
            raise StoreError(what, hint=_LOST.format(path=path))
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _make_file(path: Path) -> None:
    """Make a store, readable by its owner only, under another name, and give it its own if
    that is still free.

    So nobody ever sees half of one, and two processes that begin one at the same time begin
    the same.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    os.close(handle)
    draft = Path(name)
    try:
        with (
            _ours(f"cannot make the store {path}"),
            closing(sqlite3.connect(draft)) as file,
            closing(Sqlite(":memory:")) as whole,
        ):
            prepare(whole)
            whole._connection.backup(file)
        _name(draft, path)
    except FileExistsError:
        pass  # another process was quicker
    except OSError as error:
        raise _cannot_open(path, error) from error
    finally:
        draft.unlink(missing_ok=True)


def _name(draft: Path, path: Path) -> None:
    """Raises FileExistsError if the name is taken."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        draft.replace(path)


def _cannot_open(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"cannot open the store {path}: {error}", hint=_HINTS[sqlite3.SQLITE_CANTOPEN]
    )


@contextmanager
def _ours(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{what}: {error}", hint=_HINTS.get(_code(error))) from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code: extended codes have it in their lowest byte (page "Result
    and Error Codes").
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
