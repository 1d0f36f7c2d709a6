"""PostgreSQL: the store that several machines share. Needs the extra `postgres` (psycopg 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from runner.errors import StoreError

try:
    import psycopg
except ImportError as error:
    raise StoreError("a PostgreSQL store needs psycopg", hint="pip install 'reboot-runner[postgres]'") from error


class Postgres:
    """The dialect of a server. Time is the server's, unless `clock` is given. No session state but plain transactions,
    so that transaction poolers can stand between."""

    def __init__(self, url: str, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._url = url
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(self._url, autocommit=True, prepare_threshold=None, connect_timeout=15)
        except psycopg.Error as error:
            raise StoreError(
                f"cannot open the PostgreSQL store: {_safe(error)}", hint="check the URL, the password and the network"
            ) from error

    def execute(self, sql: str, args: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        try:
            return self._connection.execute(_translated(sql), args)
        except psycopg.Error as error:
            raise StoreError(f"the store refused: {_safe(error)}") from error

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(_translated(sql), rows)
        except psycopg.Error as error:
            raise StoreError(f"the store refused: {_safe(error)}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._connection.closed:
            self._connection = self._connect()
        try:
            with self._connection.transaction():
                yield
        except psycopg.Error as error:
            raise StoreError(f"the store refused: {_safe(error)}") from error

    def lock(self, name: str) -> None:
        self.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", (f"reboot-runner:{name}",))

    def has_table(self, name: str) -> bool:
        row = self.execute("select to_regclass(?)", (name,)).fetchone()
        return row is not None and row[0] is not None

    def now(self) -> float:
        if self._clock is not None:
            return self._clock()
        row = self.execute("select extract(epoch from clock_timestamp())").fetchone()
        return float(row[0]) if row else 0.0

    def close(self) -> None:
        self._connection.close()


def _translated(sql: str) -> Any:
    """Our text has `?` for values; psycopg wants `%s`. No statement of ours holds a literal `?` or `%`."""
    return sql.replace("?", "%s")


def _safe(error: psycopg.Error) -> str:
    """The server's message, first line: connection strings stand in none of them."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
