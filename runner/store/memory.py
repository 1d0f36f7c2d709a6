"""What this machine last wrote to a store: a file beside a SQLite store, for PostgreSQL beside
the configuration.

A store that lacks it was rewound, replaced, or restored from an older copy. A store in Git
has a memory of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from runner.errors import StoreError
from runner.inputs.files import read_regular
from runner.store.dialect import Dialect

MOST_BYTES = 1_000
"""Of the file, which holds three short lines."""


@dataclass(frozen=True, slots=True)
class LastWrite:
    """The file of one store: run, sequence and time of the newest event that must not
    be forgotten.
    """

    path: Path

    @classmethod
    def beside(cls, file: Path) -> LastWrite:
        """Of a SQLite file."""
        return cls(file.with_name(f"{file.name}.last"))

    @classmethod
    def of(cls, url: str, state: Path) -> LastWrite:
        """Of a PostgreSQL store."""
        return cls(state / f"{sha256(_without_password(url).encode()).hexdigest()[:16]}.last")

    def write(self, run: str, seq: int, at: str) -> None:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with suppress(OSError):  # then a later process knows less, and nothing is wrong now
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(f"{run}\n{seq}\n{at}\n", encoding="utf-8")
            draft.replace(self.path)

    def demand(self, db: Dialect) -> None:
        """Raises StoreError for a store that lacks the event. A file that cannot be read is
        no memory.
        """
        try:
            run, seq, at = read_regular(self.path, MOST_BYTES).decode().splitlines()
            number = int(seq)
        except (OSError, ValueError):
            return
        found = db.execute("select at from event where run = ? and seq = ?", (run, number))
        if not _is(found, at):
            raise StoreError(
                f"the store lacks event {number} of run {run}, which this machine wrote at {at}: "
                f"it was rewound,"
                " replaced, or restored from an older copy",
                hint="restore the newest copy. Without it servers that were rebooted since can "
                "be rebooted a second"
                " time; to go on with this store on purpose, check what was asked of the cloud "
                "since, then delete"
                f" {self.path}",
            )


def _is(found: Sequence[Sequence[object]], at: str) -> bool:
    return len(found) == 1 and found[0][0] == at


def _without_password(url: str) -> str:
    """The URL with what tells stores apart: two schemas of one database are two stores."""
    try:
        parts = urlsplit(url)
        options = [pair for pair in parse_qsl(parts.query) if "pass" not in pair[0]]
        return repr((parts.scheme, parts.username, parts.hostname, parts.port, parts.path, options))
    except ValueError:
        return url.partition(":")[0]
