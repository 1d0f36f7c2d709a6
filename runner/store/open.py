"""A store from its URL."""

from __future__ import annotations

import re
from pathlib import Path

from runner.errors import BadStoreUrl
from runner.store.dialect import Dialect
from runner.store.gitref.dialect import Git, open_ref
from runner.store.gitref.store import GitStore
from runner.store.memory import LastWrite
from runner.store.owner import boot_clock
from runner.store.sql import SqlStore
from runner.store.sqlite import PATIENCE_S, Sqlite

_FORMS = (
    "write sqlite:///PATH (a path after three slashes, as it is), postgresql://HOST/DATABASE"
    " or git+https://HOST/OWNER/REPOSITORY"
)
STATE_FOLDER = ".reboot-runner"
"""Beside the configuration: what belongs to this machine."""

_SERVER = re.compile(r"(postgres(?:ql)?)://(?:[^@/?#]*@)?([^@/?#]*)(/[^@/?#]*)?(?:\?[^@]*)?")
"""Scheme, host, database of a URL that has its `@` and `/` only where they belong."""
_REPOSITORY = re.compile(r"(git\+[a-z]+)://(?:[^@/?#:]*@)?([^@?#]*)")


def open_store(url: str, base: Path) -> SqlStore:
    """`sqlite:///relative/or//absolute.db` (relative to `base`), `postgresql://…` or
    `git+https://…`.

    Raises BadStoreUrl for other URLs, StoreError for whatever cannot be opened. The URL
    may hold a password: it is never quoted.
    """
    if url.startswith("git+"):
        return GitStore(_open_ref(url, base))
    boot = boot_clock() if is_local_file(url) else None
    return SqlStore(open_dialect(url, base), memory_of(url, base), boot)


def memory_of(url: str, base: Path) -> LastWrite | None:
    """Return where this machine remembers a store's last intent. None for Git, whose
    dialect does that itself.
    """
    if url.startswith("git+"):
        return None
    if is_local_file(url):
        return LastWrite.beside(sqlite_file(url, base))
    return LastWrite.of(url, base / STATE_FOLDER)


def open_dialect(url: str, base: Path, patience_s: float | None = None) -> Dialect:
    """The database alone; its tables are as they are. `patience_s`: for connections and other
    writers, if not ours.

    Raises StoreError as `open_store` does.
    """
    if "\0" in url:
        raise BadStoreUrl("the store's URL holds a NUL character", hint=_FORMS)
    if url.startswith("sqlite:"):
        return Sqlite(
            sqlite_file(url, base), patience_s=PATIENCE_S if patience_s is None else patience_s
        )
    if url.startswith(("postgresql://", "postgres://")):
        from runner.store.postgres import Postgres

        if patience_s is None:
            return Postgres(url)
        return Postgres(url, patience_s=patience_s, connect_s=patience_s)
    if url.startswith("git+"):
        return _open_ref(url, base, patience_s)
    scheme = re.match(r"[a-z+]{1,20}:", url)
    raise BadStoreUrl(f"unknown kind of store {scheme[0] if scheme else ''!r}", hint=_FORMS)


def _open_ref(url: str, base: Path, patience_s: float | None = None) -> Git:
    return open_ref(url, base / STATE_FOLDER / "git-store", patience_s)


def sqlite_file(url: str, base: Path) -> Path:
    """The file of a `sqlite:` URL. Raises BadStoreUrl for a URL that names none."""
    return base / _path(url)


def shown(url: str) -> str:
    """A store's URL for people: without user, password and parameters; nothing of one that
    cannot be taken apart.
    """
    if is_local_file(url):
        return url
    repository = _REPOSITORY.fullmatch(url)
    if repository:
        return f"{repository[1]}://{repository[2]}"
    found = _SERVER.fullmatch(url)
    return (
        f"{found[1]}://{found[2]}{found[3] or ''}" if found else "(a URL that may hold a password)"
    )


def _path(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url:
        raise BadStoreUrl("the store's URL needs three slashes before its path", hint=_FORMS)
    if not path:
        raise BadStoreUrl("the store's URL has no path", hint=_FORMS)
    if path == ":memory:":
        raise BadStoreUrl("a store in memory would forget its runs with the process", hint=_FORMS)
    if "?" in path:
        raise BadStoreUrl("the URL of a SQLite store takes no options", hint=_FORMS)
    return path


def is_local_file(url: str) -> bool:
    """Whether the store is one file on this machine."""
    return url.startswith("sqlite:")


def dies_with_the_disk(url: str) -> bool:
    """Whether the store is on this machine's disk, in a file or in a repository."""
    return url.startswith(("sqlite:", "git+file:"))
