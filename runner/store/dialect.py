"""The few lines in which the two databases differ."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol


class Dialect(Protocol):
    """One connection to a database, used by one thread. Values stand as `?` in the SQL text.

    Whatever the driver raises leaves as StoreError; no message quotes a password.
    """

    elements: ClassVar[str]
    """A table of one column, `value`: the texts of a list, which is one value `?` (see `listed`).
    """
    is_one_of: ClassVar[str]
    """A condition, to stand behind a column: its text is one of a list, which is one value `?`."""

    def bounded(self, column: str) -> str:
        """Return SQL for a column of texts that gives null in the place of a text too large
        to be read.
        """
        ...

    def listed(self, texts: Sequence[str]) -> Any:
        """Many texts as one value: statements have a limit of values, and a batch may have
        1,000 servers.
        """
        ...

    def execute(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        """Run one statement; returns all its rows, an empty list for statements without any.

        Outside of `transaction` only for reads: they may be repeated on a new connection.
        """
        ...

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None: ...

    def transaction(self) -> AbstractContextManager[None]:
        """A write transaction: commits durably at its end, or leaves nothing behind."""
        ...

    def lock(self, name: str, *, shared: bool = False) -> None:
        """Inside a transaction, to its end: one at a time for this name, or many that share it."""
        ...

    def ask_to_write(self) -> None:
        """Whether the store would take a write, where only the end of a transaction asks
        that. Raises StoreError.
        """
        ...

    def has_table(self, name: str) -> bool: ...

    def now(self) -> float:
        """Seconds since the epoch, of the clock that all users of the store share."""
        ...

    def close(self) -> None: ...
