"""The store on a server: lost connections, time-outs, secrets, defaults of the server that
must not matter.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from runner.errors import StoreError
from runner.model.events import Note
from runner.store.open import open_store
from runner.store.postgres import Postgres
from runner.store.sql import SqlStore
from tests import postgres
from tests.store.kit import AT, NOTE, PROJECT, TTL, Clock, begun, intent, leased, owner, told


@contextmanager
def opened(
    url: str, clock: Callable[[], float] | None = None, patience_s: float = 5.0
) -> Iterator[SqlStore]:
    with closing(SqlStore(Postgres(url, clock, patience_s=patience_s))) as store:
        yield store


def backend_of(store: SqlStore) -> int:
    return int(store.db.execute("select pg_backend_pid()")[0][0])


def cut(url: str, backend: int) -> None:
    """End a connection from the server's side, as a restart or an administrator does;
    returns when it is gone.
    """
    with psycopg.connect(url, autocommit=True) as admin:
        assert admin.execute("select pg_terminate_backend(%s, 5000)", (backend,)).fetchone() == (
            True,
        )


def test_a_connection_lost_between_calls_is_not_noticed(postgres_url: str) -> None:
    """After a restart of the server or of a pooler, reads and writes go on on a new connection."""
    with opened(postgres_url, Clock()) as store:
        lease = leased(store)
        cut(postgres_url, backend_of(store))
        assert told(store, "r1") == [(1, "run.created")]
        cut(postgres_url, backend_of(store))
        store.append(lease, AT, NOTE)
        cut(postgres_url, backend_of(store))
        assert store.find("r1").seq == 2


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_connection_lost_inside_a_write_leaves_nothing(postgres_url: str, call: int) -> None:
    """Wherever in an append the connection breaks: an error, nothing half-written, and the
    next call works.

    The store asks its clock three times in such an append: before the run's row, before the
    claims, before releases.
    """
    clock, count = Clock(), 0

    def cutting() -> float:
        nonlocal count
        count += 1
        if count == call:
            cut(postgres_url, backend)
        return clock()

    with opened(postgres_url, clock) as fresh:
        lease = leased(fresh)
        fresh.append(lease, AT, NOTE, intent=intent(["s1"]))
        before = fresh.find("r1")
    with opened(postgres_url, cutting) as store:
        backend = backend_of(store)
        with pytest.raises(StoreError, match="connection to the store was lost"):
            store.append(lease, AT, NOTE, intent=intent(["s2"]), release=["s1"])
        assert store.find("r1") == before
        assert store.spent("c1", PROJECT) == {"s1": "r1"}
        store.append(lease, AT, NOTE, intent=intent(["s2"]), release=["s1"])
        assert told(store, "r1") == [(1, "run.created"), (2, "note"), (3, "note")]


def test_a_connection_lost_in_the_commit_says_so(postgres_url: str) -> None:
    """When nobody can say whether a write was stored, the error says that, and the journal
    is the judge.
    """
    with opened(postgres_url, Clock()) as store:
        lease = leased(store)
        with store.db.transaction():
            store.db.execute(
                "create function cut() returns trigger language plpgsql as"
                " $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$"
            )
            store.db.execute(
                "create constraint trigger cut after insert on event deferrable initially deferred"
                " for each row when (new.data like '%fatal%') execute function cut()"
            )
        with pytest.raises(StoreError, match="may be stored or not"):
            store.append(lease, AT, [Note("fatal")])
        assert told(store, "r1") == [(1, "run.created")]
        store.append(lease, AT, NOTE, expect=1)


def test_a_server_that_is_down_is_an_error_until_it_is_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What was acknowledged before a crash of the server is there after it, and the same
    store goes on.
    """
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        try:
            server = postgres.Server(Path(folder))
        except postgres.NoPostgres:
            if "TEST_POSTGRES_URL" in os.environ:
                pytest.skip(
                    "TEST_POSTGRES_URL is given, and there is no server here that could be crashed"
                )
            raise
        with server, opened(server.url, Clock()) as store:
            lease = leased(store)
            store.append(lease, AT, NOTE, intent=intent(["s1"]))
            server.crash()
            with pytest.raises(StoreError):
                store.append(lease, AT, [Note("lost")])
            with pytest.raises(StoreError, match="cannot open the PostgreSQL store"):
                store.events("r1")
            server.start()
            assert told(store, "r1") == [(1, "run.created"), (2, "note")]
            assert store.spent("c1", PROJECT) == {"s1": "r1"}
            store.append(lease, AT, NOTE)


def test_those_who_waited_for_the_schema_see_it(postgres_url: str) -> None:
    """Processes that found an empty store and then wait for another one's tables do not
    make them again.
    """
    key = "hashtextextended('reboot-runner:schema', 0)"
    waiting = (
        "select 1 from pg_locks where locktype = 'advisory' and not granted having count(*) >= 3"
    )

    def open_it() -> int:
        with opened(postgres_url) as store:
            return len(store.runs())

    with psycopg.connect(postgres_url, autocommit=True) as other, ThreadPoolExecutor(3) as threads:
        other.execute(f"select pg_advisory_lock({key})".encode())
        opening = [threads.submit(open_it) for _ in range(3)]
        while not other.execute(waiting).fetchone():
            assert not any(o.done() for o in opening)
        other.execute(f"select pg_advisory_unlock({key})".encode())
        assert [o.result() for o in opening] == [0, 0, 0]


# --- nothing hangs ------------------------------------------------------------


def test_a_lock_of_another_is_not_waited_for_without_end(postgres_url: str) -> None:
    """A write that another session blocks fails after a while with a hint, and works when
    the other has gone.
    """
    with opened(postgres_url, Clock(), patience_s=0.1) as store:
        lease = leased(store)
        with psycopg.connect(postgres_url) as other:
            other.execute("select * from run for update")
            with pytest.raises(StoreError, match="lock timeout") as refused:
                store.append(lease, AT, NOTE)
            assert refused.value.hint is not None
        store.append(lease, AT, NOTE)


def test_a_stopped_process_loses_its_locks(postgres_url: str) -> None:
    """A process that is frozen in the middle of a write is cut off by the server, and the
    others go on.
    """
    with (
        opened(postgres_url, Clock(), patience_s=0.1) as frozen,
        opened(postgres_url, Clock()) as other,
    ):
        lease = leased(other)

        def freeze() -> None:
            with frozen.db.transaction():
                frozen.db.execute("update run set word = 'frozen'")
                other.append(lease, AT, NOTE)  # waits for the frozen one's row
                frozen.db.execute("update run set word = 'awake'")

        with pytest.raises(StoreError, match="lost"):
            freeze()
        assert frozen.find("r1").word == "running"


def test_a_server_that_does_not_answer_is_given_up(postgres_url: str) -> None:
    """Connecting has a time limit, of the URL or ours: a port that accepts and says nothing
    does not hang a run.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match="timeout"):
            Postgres(f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=2")


# --- the URL ------------------------------------------------------------------

SECRETS = ["hunter2", "hun@ter/2#x", "hun:ter2?y", "h%75nter2", "hunter2%", "%hu", "hu[nter]2"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "form", ["postgresql://anna:{}@127.0.0.1:1/runs", "postgresql://127.0.0.1:1/runs?password={}"]
)
def test_a_password_is_in_no_message(form: str, secret: str) -> None:
    """However a password is written in a URL, also wrongly: no message, cause or traceback
    holds a part of it.
    """
    with pytest.raises(StoreError) as error:
        open_store(form.format(secret), Path())
    shown = (
        "".join(traceback.format_exception(error.value)) + repr(error.value) + str(error.value.hint)
    )
    lines = [
        row for row in shown.splitlines() if not row.startswith("    ")
    ]  # rows of our own source
    for part in ("hunter2", "ter/2", "ter2", "nter", "2#x", "%hu"):
        assert part not in "\n".join(lines)


def test_a_password_taken_for_a_host_is_in_no_message() -> None:
    """With an unescaped @ the driver takes the rest of a password for the host, and would
    name that.
    """
    with pytest.raises(StoreError) as error:
        open_store("postgresql://anna:hun@127.0.0.1:1/ter2@db/runs", Path())
    assert "127.0.0.1" not in str(error.value)
    assert "part of the URL's password" in str(error.value)


def test_a_malformed_url_says_how_to_write_it() -> None:
    """A password with unescaped characters is the usual reason: the hint tells."""
    with pytest.raises(StoreError) as error:
        open_store("postgresql://anna:hun@ter/2@db:port/runs?nonsense=1", Path())
    assert error.value.hint is not None
    assert "%40" in error.value.hint


def test_tls_is_up_to_the_url() -> None:
    """`sslmode=require` refuses a server that offers no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse_tls() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(8)  # SSLRequest
                connection.sendall(b"N")
                connection.recv(1)

        thread = threading.Thread(target=refuse_tls)
        thread.start()
        with pytest.raises(StoreError, match="SSL"):
            Postgres(f"postgresql://u@127.0.0.1:{server.getsockname()[1]}/d?sslmode=require")
        thread.join()


def test_parameters_of_the_url_win(postgres_url: str) -> None:
    """Administrators see who is connected; what the URL says is not overridden."""
    for extra, name in (("", "reboot-runner"), ("&application_name=night-shift", "night-shift")):
        with opened(postgres_url + extra) as store:
            assert store.db.execute("show application_name") == [(name,)]


def test_defaults_of_the_server_do_not_matter(postgres_url: str) -> None:
    """Isolation, durability and read-only defaults of a database are stated in each transaction."""
    odd = (
        "default_transaction_isolation=serializable",
        "default_transaction_read_only=on",
        "synchronous_commit=off",
    )
    url = postgres_url + "".join(f"%20-c{setting.replace('=', '%3D')}" for setting in odd)
    with opened(url, Clock()) as store:
        assert store.db.execute("show synchronous_commit") == [("off",)]
        lease = leased(store)
        store.append(lease, AT, NOTE, intent=intent(["s1"]))
        with store.db.transaction():
            assert store.db.execute("show synchronous_commit") == [("on",)]
            assert store.db.execute("show transaction_isolation") == [("read committed",)]
        assert store.db.execute("show synchronous_commit") == [("off",)]


def test_time_is_the_servers(postgres_url: str) -> None:
    """Machines whose clocks differ agree on leases: the server's clock counts, and it goes
    on inside a transaction.
    """
    with opened(postgres_url) as store:
        before = store.now()
        with store.db.transaction():
            assert before < store.now() < store.now()
        begun(store)
        store.take("r1", owner(), TTL)
        assert before + TTL < store.find("r1").lease_until < store.now() + TTL


def test_a_user_who_may_not_make_tables(postgres_url: str) -> None:
    """The first use by a user without rights says what is missing."""
    role = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"create role {role} login".encode())
        try:
            schema = admin.execute("select current_schema()").fetchone()
            assert schema is not None
            admin.execute(f"grant usage on schema {schema[0]} to {role}".encode())
            with (
                pytest.raises(StoreError, match="permission denied") as refused,
                opened(f"{postgres_url}&user={role}"),
            ):
                pass
            assert refused.value.hint is not None
            assert "create tables" in refused.value.hint
        finally:
            admin.execute(f"drop owned by {role}".encode())
            admin.execute(f"drop role {role}".encode())


@pytest.mark.parametrize("text", ["repeat('1', 16000001)", "repeat('a', 4000000) || chr(128512)"])
def test_a_text_too_large_to_be_read_stays_at_the_server(postgres_url: str, text: str) -> None:
    """A row that another program wrote is named instead of read; a halt flag never
    looks like none.
    """
    with closing(SqlStore(Postgres(postgres_url))) as store:
        begun(store)
        with store.db.transaction():
            store.db.execute(f"update event set data = {text}")  # noqa: S608
            store.db.execute(f"insert into flag(name, data) values('halt', {text})")
        with pytest.raises(StoreError, match="event holds something unreadable at 'r1, event 1'"):
            store.events("r1")
        with pytest.raises(StoreError, match="unreadable at 'halt'"):
            store.halted()
