"""What a machine remembers of a SQLite or PostgreSQL store that was rewound, replaced or
emptied since.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from runner.errors import StoreError
from runner.model.events import Note
from runner.store.inspect import look_at
from runner.store.memory import LastWrite
from runner.store.open import open_store
from runner.store.sql import SqlStore
from tests.store.kit import AT, asked, begun, intent, leased, told

URL = "sqlite:///runs.db"
FILE = "runs.db"


@contextmanager
def opened(url: str, base: Path) -> Iterator[SqlStore]:
    with closing(open_store(url, base)) as store:
        yield store


def intend(store: SqlStore, run: str, server: str) -> None:
    store.append(leased(store, run), AT, [asked()], intent=intent([server]))


def test_an_older_copy_of_a_file_is_refused(tmp_path: Path) -> None:
    """It lacks the last intent: an error that names it and the memory. Who deletes that
    file accepts the copy.
    """
    with opened(URL, tmp_path) as store:
        intend(store, "r1", "s1")
    shutil.copy(tmp_path / FILE, tmp_path / "backup")
    with opened(URL, tmp_path) as store:
        intend(store, "r2", "s2")
    newest = shutil.copy(tmp_path / FILE, tmp_path / "newest")
    shutil.copy(tmp_path / "backup", tmp_path / FILE)
    with (
        pytest.raises(StoreError, match=r"lacks event 2 of run r2.*rewound") as refused,
        opened(URL, tmp_path),
    ):
        pass
    assert f"delete {tmp_path / FILE}.last" in str(refused.value.hint)
    with pytest.raises(StoreError, match="lacks event 2 of run r2"):
        look_at(URL, tmp_path, 1.0)
    shutil.copy(newest, tmp_path / FILE)
    with opened(URL, tmp_path) as store:
        assert told(store, "r2") == [(1, "run.created"), (2, "batch.intended")]
    shutil.copy(tmp_path / "backup", tmp_path / FILE)
    (tmp_path / f"{FILE}.last").unlink()
    with opened(URL, tmp_path) as store:
        assert not store.begun
        intend(store, "r3", "s3")


def test_an_older_copy_that_was_written_to_is_refused(tmp_path: Path) -> None:
    """The same run went on from the copy elsewhere: the event of that number is another one."""
    with opened(URL, tmp_path) as store:
        lease = leased(store)
        shutil.copy(tmp_path / FILE, tmp_path / "backup")
        shutil.copy(tmp_path / f"{FILE}-wal", tmp_path / "backup-wal")
        store.append(lease, AT, [asked()], intent=intent(["s1"]))
    with closing(open_store("sqlite:///backup", tmp_path)) as other:
        other.record("r1", AT.replace(minute=7), [Note("")])
    shutil.copy(tmp_path / "backup", tmp_path / FILE)
    with pytest.raises(StoreError, match="lacks event 2 of run r1"), opened(URL, tmp_path):
        pass


def test_a_deleted_file_begins_a_new_store(tmp_path: Path) -> None:
    """On purpose or not: it is `begun`, and its first run is what is remembered from then on."""
    with opened(URL, tmp_path) as store:
        intend(store, "r1", "s1")
    (tmp_path / FILE).unlink()
    with opened(URL, tmp_path) as store:
        assert store.begun
        begun(store, "r2")
    with opened(URL, tmp_path) as store:
        assert not store.begun


@pytest.mark.parametrize("text", ["", "r1\n", "r1\ntwo\nx\n", "\x00"])
def test_a_damaged_memory_is_none(tmp_path: Path, text: str) -> None:
    """What cannot be read holds nothing back, and the next write replaces it."""
    with opened(URL, tmp_path) as store:
        begun(store)
    (tmp_path / f"{FILE}.last").write_text(text)
    with opened(URL, tmp_path) as store:
        begun(store, "r2")
    assert (tmp_path / f"{FILE}.last").read_text().splitlines()[:2] == ["r2", "1"]


def test_a_schema_that_was_dropped_emptied_or_rewound(postgres_url: str, tmp_path: Path) -> None:
    """Without runs it is begun anew, and `run` says so; with older runs alone it is
    refused; without its tables too.
    """
    with opened(postgres_url, tmp_path) as store:
        begun(store, "r1")
        intend(store, "r2", "s2")
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("delete from event where run = 'r2'")
        admin.execute("delete from run where id = 'r2'")
        with (
            pytest.raises(StoreError, match="lacks event 2 of run r2"),
            opened(postgres_url, tmp_path),
        ):
            pass
        with opened(postgres_url, tmp_path / "another machine") as store:
            assert not store.begun
        admin.execute("truncate run, event, claim")
        with opened(postgres_url, tmp_path) as store:
            assert store.begun
        schema = admin.execute("select current_schema").fetchone()
        assert schema
        admin.execute(f"drop schema {schema[0]} cascade")
        admin.execute(f"create schema {schema[0]}")
        with opened(postgres_url, tmp_path) as store:
            assert store.begun
            begun(store, "r1")
        admin.execute("drop table run")
        with pytest.raises(StoreError, match="run") as refused, opened(postgres_url, tmp_path):
            pass
        assert "backup" in str(refused.value.hint)


def test_which_stores_share_a_memory(tmp_path: Path) -> None:
    """A password that changes makes no other store; another schema of the same database does."""
    one = LastWrite.of("postgresql://u:old@db/runs?options=-csearch_path%3Da", tmp_path)
    assert one == LastWrite.of(
        "postgresql://u:new@db/runs?options=-csearch_path%3Da&password=x", tmp_path
    )
    assert one != LastWrite.of("postgresql://u:old@db/runs?options=-csearch_path%3Db", tmp_path)
