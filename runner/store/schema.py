"""The store's tables, in numbered steps."""

from __future__ import annotations

from runner.errors import StoreError
from runner.store.dialect import Dialect

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """create table run(
            id text primary key, plan text not null, plan_digest text not null, schedule_digest text not null,
            cycle text not null, word text not null, is_open integer not null, created text not null,
            fence bigint not null, owner text, lease_until double precision not null,
            due double precision not null, seq bigint not null, head text not null)""",  # noqa: E501
        "create unique index run_open on run(plan) where is_open = 1",
        """create table event(
            run text not null, format integer not null, seq bigint not null, at text not null, type text not null,
            fence bigint not null, previous text not null, data text not null, primary key(run, seq))""",  # noqa: E501
        """create table claim(
            project text not null, server text not null, cycle text not null, run text not null,
            batch integer not null, at double precision not null, released double precision, before text,
            primary key(project, server, cycle))""",  # noqa: E501
        "create unique index claim_held on claim(project, server) where released is null",
        "create index claim_run on claim(run, server)",
        (
            "create table rate(project text not null, at double precision not null, n integer not "
            "null, run text not null)"
        ),
        "create index rate_at on rate(project, at)",
        "create table flag(name text primary key, data text not null)",
    ),
    # Claims stay for good: they are how a cycle is remembered. Years of them must not slow
    # the next diff.
    ("create index claim_cycle on claim(cycle, project)",),
)
"""Numbered steps: a store at version n has had the first n. Never edit one that was
released; add another.
"""


def prepare(db: Dialect) -> None:
    """Bring the tables to the newest version; a store that is there already is only read.

    Raises StoreError for a store that a newer program wrote, and for a `schema_version`
    that is not ours.
    """
    if version_of(db) == len(MIGRATIONS):
        return
    with db.transaction():
        db.lock("schema")
        migrate(db)


def migrate(db: Dialect) -> None:
    """The steps that are missing, in the caller's transaction, which holds the lock `schema`."""
    version = version_of(db)  # again: another process may have been at it while we waited
    if version < 0:
        db.execute("create table schema_version(version integer not null)")
        db.execute("insert into schema_version(version) values(0)")
    for step in MIGRATIONS[max(version, 0) :]:
        for statement in step:
            db.execute(statement)
    db.execute("update schema_version set version = ?", (len(MIGRATIONS),))


def version_of(db: Dialect) -> int:
    """How many steps the store has had, -1 for one that is empty."""
    if not db.has_table("schema_version"):
        return -1
    rows = db.execute("select * from schema_version")
    version = rows[0][0] if len(rows) == 1 else None
    if not isinstance(version, int):
        raise StoreError(
            "the table schema_version is not one of reboot-runner",
            hint="give the store a file, a database or a schema of its own",
        )
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the store has schema version {version}, this program knows {len(MIGRATIONS)}",
            hint="use the newer reboot-runner that wrote it",
        )
    return version
