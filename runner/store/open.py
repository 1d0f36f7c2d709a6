"""A store from its URL."""

from __future__ import annotations

import re
from pathlib import Path

from runner.errors import StoreError
from runner.store.sql import SqlStore

_FORMS = (
    "write sqlite:///PATH (a path after three slashes, as it is), postgresql://HOST/DATABASE"
    " or git+https://HOST/OWNER/REPOSITORY"
)
STATE_FOLDER = ".reboot-runner"
"""Beside the configuration: what belongs to this machine."""


def open_store(url: str, base: Path) -> SqlStore:
    """`sqlite:///relative/or//absolute.db` (relative to `base`), `postgresql://…` or `git+https://…`.

    Raises StoreError for other URLs and whatever cannot be opened. The URL may hold a password: it is never quoted.
    """
    if url.startswith("sqlite:"):
        from runner.store.sqlite import Sqlite

        return SqlStore(Sqlite(base / _path(url)))
    if url.startswith(("postgresql://", "postgres://")):
        from runner.store.postgres import Postgres

        return SqlStore(Postgres(url))
    if url.startswith("git+"):
        from runner.store.gitref.store import open_git

        return open_git(url, base / STATE_FOLDER / "git-store")
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
    """Whether the store is one file on this machine."""
    return url.startswith("sqlite:")


def dies_with_the_disk(url: str) -> bool:
    """Whether the store is on this machine's disk, in a file or in a repository."""
    return url.startswith(("sqlite:", "git+file:"))
