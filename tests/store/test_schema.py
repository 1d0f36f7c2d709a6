"""The schema: made where there is none, brought up step by step, refused where it is newer
or not ours.
"""

from __future__ import annotations

import pytest

from runner.errors import StoreError
from runner.store import schema
from runner.store.sql import SqlStore
from tests.store.kit import AT, NOTE, Place, asked, begun, intent, leased, told


def version(store: SqlStore) -> object:
    return store.db.execute("select version from schema_version")[0][0]


def test_an_empty_store_is_made_whole(place: Place) -> None:
    """The first process makes the tables, the next ones find them and change nothing."""
    store = place.open()
    begun(store)
    again = place.open()
    assert version(again) == len(schema.MIGRATIONS)
    assert told(again, "r1") == [(1, "run.created")]


@pytest.mark.parametrize("steps", range(1, len(schema.MIGRATIONS) + 1))
def test_an_older_store_is_brought_up(
    place: Place, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """From every version there ever was the newest is reached, and what was stored
    before is read.
    """
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:steps])
        old = place.open()
        assert version(old) == steps
        begun(old)
    store = place.open()
    assert version(store) == len(schema.MIGRATIONS)
    assert told(store, "r1") == [(1, "run.created")]
    store.append(leased(store, "r2"), AT, [asked()], intent=intent(["s1"]))
    assert store.spent("c1", "0" * 32) == {"s1": "r2"}


def test_a_newer_store_is_refused(place: Place) -> None:
    """A program that does not know the schema touches nothing, and says which program to use."""
    store = place.open()
    lease = leased(store)
    with store.db.transaction():
        store.db.execute("update schema_version set version = 99")
    with pytest.raises(
        StoreError, match=f"version 99, this program knows {len(schema.MIGRATIONS)}"
    ) as refused:
        place.open()
    assert refused.value.hint is not None
    store.append(lease, AT, NOTE)
    assert version(store) == 99


@pytest.mark.parametrize("rows", [[], ["'1.2'"], ["1", "2"]])
def test_a_table_of_somebody_else_is_refused(place: Place, rows: list[str]) -> None:
    """A database in which another program keeps a `schema_version` is not written to."""
    if place.is_git:
        pytest.skip("the tables are this process's own; what is not ours in a ref: test_git.py")
    store = place.open()
    with store.db.transaction():
        store.db.execute("drop table schema_version")
        store.db.execute("create table schema_version(version text, installed_by text)")
        for row in rows:
            store.db.execute(f"insert into schema_version values({row}, 'another program')")
    with pytest.raises(StoreError, match="not one of reboot-runner"):
        place.open()


def test_a_step_that_fails_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is at a version or at the one before, never in between."""
    place.open()
    broken = (*schema.MIGRATIONS, ("create table half(id text)", "create table half(id text)"))
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(StoreError, match="half"):
            place.open()
    store = place.open()
    assert version(store) == len(schema.MIGRATIONS)
    assert not store.db.has_table("half")
