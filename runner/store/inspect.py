"""A store looked at from outside: what `doctor` tells. Nothing is made or kept, not even an
empty file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import StoreError
from runner.ports.store import Halt, RunRow
from runner.store.dialect import Dialect
from runner.store.open import is_local_file, memory_of, open_dialect, sqlite_file
from runner.store.schema import MIGRATIONS, migrate, version_of
from runner.store.sql import SqlStore
from runner.store.sqlite import is_there

NEWEST = len(MIGRATIONS)
_MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """`version`: how many steps of its tables the store has had, -1 for an empty one, None
    where there is no file yet.

    `ahead_s`: how far its clock is ahead of ours. `runs`: the open ones; they and `halt`
    are only known of a store whose tables are the newest. `now` is the store's time.
    """

    version: int | None
    ahead_s: float = 0.0
    now: float = 0.0
    runs: tuple[RunRow, ...] = ()
    halt: Halt | None = None


class _Undo(Exception):
    """Ends a transaction that was only tried."""


def look_at(
    url: str, base: Path, patience_s: float, clock: Callable[[], float] = time.time
) -> StoreFacts:
    """The facts of a store, after a write to it that was taken back.

    Waits at most `patience_s` for another process's write. Raises StoreError where it
    cannot be opened or written.
    """
    if is_local_file(url) and not is_there(sqlite_file(url, base)):
        _demand_room(sqlite_file(url, base))
        return StoreFacts(None)
    db = open_dialect(url, base, patience_s)
    try:
        version = -1 if _is_unborn(db) else version_of(db)
        _try_to_write(db)
        began = clock()
        now = db.now()
        ahead_s = now - (began + clock()) / 2
        if version != NEWEST:
            return StoreFacts(version, ahead_s, now)
        store = SqlStore(db, memory_of(url, base))
        return StoreFacts(
            version,
            ahead_s,
            now,
            tuple(store.runs(open_only=True, limit=_MOST_RUNS)),
            store.halted(),
        )
    finally:
        db.close()


def _is_unborn(db: Dialect) -> bool:
    """A store in Git whose ref is not there yet: the tables are this process's own."""
    return db.has_table("git_store") and not db.execute("select id from git_store")


def _demand_room(path: Path) -> None:
    """A first run will make the file and the folders above it: whether it may. Raises
    StoreError.
    """
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not _takes_files(folder):
        hint = "check the path and its permissions, or give --store"
        raise StoreError(
            f"the store {path} cannot be made: {folder} is no folder that may be written", hint=hint
        )


def _takes_files(folder: Path) -> bool:
    """Whether a file can be made in there: tried, for permissions alone say too much (root,
    read-only disks, /proc).

    What is made has no name where the system can do so, and is gone at once.
    """
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".reboot-runner-doctor-"):
            return True
    except OSError:
        return False


def _try_to_write(db: Dialect) -> None:
    """What the next command would write first, and a row besides; then all of it is undone."""
    db.ask_to_write()
    with suppress(_Undo), db.transaction():
        db.lock("schema")
        migrate(db)
        db.execute("insert into flag(name, data) values(?, ?)", ("doctor", "{}"))
        raise _Undo
