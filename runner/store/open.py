"""A store from its URL."""

from __future__ import annotations

import re
from pathlib import Path

from runner.errors import StoreError
from runner.store.sql import SqlStore

_FORMS = "write sqlite:///PATH (a path after three slashes, as it is) or postgresql://HOST/DATABASE"


def open_store(url: str, base: Path) -> SqlStore:
    """`sqlite:///relative/or//absolute.db` (relative to `base`) or `postgresql://…`.

    Raises StoreError for other URLs and whatever cannot be opened. The URL may hold a password: it is never quoted.
    """
    if url.startswith("sqlite:"):
        from runner.store.sqlite import Sqlite

        return SqlStore(Sqlite(base / _path(url)))
    if url.startswith(("postgresql://", "postgres://")):
        from runner.store.postgres import Postgres

        return SqlStore(Postgres(url))
    scheme = re.match(r"[a-z+]{1,20}:", url)
    raise StoreError(f"unknown kind of store {scheme[0] if scheme else ''!r}", hint=_FORMS)


def _path(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url:
        raise StoreError("the store's URL needs three slashes before its path", hint=_FORMS)
    if not path:
        raise StoreError("the store's URL has no path", hint=_FORMS)
    if path == ":memory:":
        raise StoreError("a store in memory would forget its runs with the process", hint=_FORMS)
    if "?" in path:
        raise StoreError("the URL of a SQLite store takes no options", hint=_FORMS)
    return path


def is_local_file(url: str) -> bool:
    """Whether the store dies with this machine's disk."""
    return url.startswith("sqlite:")
