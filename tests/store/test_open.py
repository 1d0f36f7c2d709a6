"""Where a store is: its URL, and what is said when nothing can be opened there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import Exit, StoreError
from runner.store.open import dies_with_the_disk, is_local_file, open_store
from tests.store.kit import ROOT, begun


@pytest.mark.parametrize("name", ["runs.db", "deep/er/runs.db", "with space & 服务.db", "100%.db"])
def test_a_path_is_relative_to_its_base(tmp_path: Path, name: str) -> None:
    """Three slashes: a path as it is written, from the folder of the configuration; missing
    folders are made.
    """
    store = open_store(f"sqlite:///{name}", tmp_path)
    begun(store)
    store.close()
    assert (tmp_path / name).is_file()


def test_four_slashes_are_an_absolute_path(tmp_path: Path) -> None:
    """An absolute path does not depend on the base."""
    open_store(f"sqlite:///{tmp_path / 'runs.db'}", Path("/nonexistent")).close()
    assert (tmp_path / "runs.db").is_file()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///", "no path"),
        ("sqlite://runs.db", "three slashes"),
        ("sqlite:runs.db", "three slashes"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///runs.db?timeout=5", "no options"),
        ("mysql://h/d", "unknown kind of store 'mysql:'"),
        ("runs.db", "unknown kind of store"),
        ("", "unknown kind of store"),
        ("sqlite:///a\x00b", "NUL"),
        ("git+https://host:port/o/r", "cannot be read"),
        ("git+https://host:0/o/r", "names port 0"),
        ("postgresql://h:abc/d", "is not a number from 1 to 65535"),
        ("postgresql://h:99999/d", "is not a number from 1 to 65535"),
        ("postgresql://h:0/d", "is not a number from 1 to 65535"),
        ("postgresql://h:5432,h2:-1/d", "is not a number from 1 to 65535"),
        ("postgresql://h/d?port=\u0665", "is not a number from 1 to 65535"),
        ("postgresql://127.0.0.1:1,127.0.0.1/d?port=1,2,3", "cannot be used"),
        (
            "postgresql://127.0.0.1/d?sslmode=sure",
            'cannot be used: .*invalid sslmode value: "sure"',
        ),
        (
            "postgresql://127.0.0.1/d?connect_timeout=soon",
            "cannot be used: bad value for connect_timeout",
        ),
        ("postgresql://127.0.0.1:1/d?keepalives=often", "cannot be used: .*invalid integer value"),
    ],
)
def test_other_urls_are_refused(tmp_path: Path, url: str, says: str) -> None:
    """What cannot be meant is said, with the way to write it, and nothing is made."""
    with pytest.raises(StoreError, match=says) as refused:
        open_store(url, tmp_path)
    assert refused.value.exit_code == Exit.INVALID
    assert refused.value.hint is not None
    assert list(tmp_path.iterdir()) == []


def test_which_stores_die_with_the_machine() -> None:
    """A file does, and a repository on the disk; a server elsewhere does not."""
    assert dies_with_the_disk("sqlite:///runs.db")
    assert dies_with_the_disk("git+file:///srv/store.git")
    assert not dies_with_the_disk("git+https://example.com/a/b")
    assert not dies_with_the_disk("postgresql://db/runs")
    assert is_local_file("sqlite:///runs.db")
    assert not is_local_file("postgresql://db/runs")


def test_postgresql_without_its_driver() -> None:
    """Where the extra is not installed, a PostgreSQL URL says what to install; SQLite works."""
    code = """
import sys
from pathlib import Path
sys.modules["psycopg"] = None
from runner.errors import StoreError
from runner.store.open import open_store
try:
    open_store("postgresql://u:hunter2@db/runs", Path())
except StoreError as error:
    print(error, error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "reboot-runner[postgres]" in done.stdout
    assert "hunter2" not in done.stdout


def test_a_store_imports_only_its_own_driver() -> None:
    """A SQLite store costs neither psycopg nor anything else that is slow to import."""
    code = (
        "import sys, runner.store.sqlite, runner.store.sql, runner.store.open; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not {"psycopg", "httpx", "asyncio", "jinja2"} & set(done.stdout.split())
