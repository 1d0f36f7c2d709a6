"""A store from its URL."""

from __future__ import annotations

import re
from pathlib import Path

from runner.errors import StoreError
from runner.store.sql import SqlStore


def open_store(url: str, base: Path) -> SqlStore:
    """`sqlite:///relative/or//absolute.db` (relative to `base`) or `postgresql://…`.

    Raises StoreError for other URLs and whatever cannot be opened. The URL may hold a password: it is never quoted.
    """
    if url.startswith("sqlite:///"):
        from runner.store.sqlite import Sqlite

        path = url.removeprefix("sqlite:///")
        if not path:
            raise StoreError("the store's URL has no path", hint="write sqlite:///.reboot-runner/runs.db")
        return SqlStore(Sqlite(base / path))
    if url.startswith(("postgresql://", "postgres://")):
        from runner.store.postgres import Postgres

        return SqlStore(Postgres(url))
    scheme = re.match(r"[a-z+]{1,20}:", url)
    raise StoreError(
        f"unknown kind of store {scheme[0] if scheme else ''!r}", hint="write sqlite:///PATH or postgresql://…"
    )


def is_local_file(url: str) -> bool:
    """Whether the store dies with this machine's disk."""
    return url.startswith("sqlite:")
