"""The store as a file: its mode, what a power cut leaves, and every way in which a file can
be the wrong one.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.model.events import Note
from runner.store.inspect import look_at
from runner.store.sql import SqlStore
from runner.store.sqlite import Sqlite
from tests.store.kit import AT, NOTE, PROJECT, Clock, asked, begun, intent, leased, told


@contextmanager
def opened(path: Path, patience_s: float = 5.0) -> Iterator[SqlStore]:
    store = SqlStore(Sqlite(path, Clock(), patience_s=patience_s))
    with closing(store):
        yield store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_its_owners(tmp_path: Path) -> None:
    """Journals hold names of servers and people: nobody else may read the file, nor its log."""
    path = tmp_path / "runs.db"
    with opened(path) as store:
        begun(store)
        assert {p.name: mode(p) for p in tmp_path.iterdir()} == dict.fromkeys(
            ("runs.db", "runs.db-wal", "runs.db-shm"), 0o600
        )


def test_a_file_without_a_log_that_another_process_is_writing_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself gives up at once on switching such a file to a write-ahead log; the
    store waits as for all else.
    """
    path = tmp_path / "runs.db"
    with opened(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("pragma journal_mode = delete")
        other.execute("begin immediate")
        began = time.monotonic()
        with pytest.raises(StoreError, match="locked"), opened(path, patience_s=0.2):
            pass
        assert time.monotonic() - began >= 0.2
        other.execute("rollback")
        with opened(path) as store:
            begun(store)


def test_a_mode_that_somebody_chose_stays(tmp_path: Path) -> None:
    """A store that a team shares stays shared."""
    path = tmp_path / "runs.db"
    with opened(path):
        path.chmod(0o660)
    with opened(path) as store:
        begun(store)
        assert mode(path) == mode(tmp_path / "runs.db-wal") == 0o660


def test_two_processes_begin_one_store(tmp_path: Path) -> None:
    """The file appears whole, so none of them sees an empty one, and nothing else is left
    in the folder.
    """
    path = tmp_path / "runs.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: _begin_one(path, n), range(8)))
    with opened(path) as store:
        assert len(store.runs()) == 8
    assert [p.name for p in tmp_path.iterdir()] == ["runs.db"]


def _begin_one(path: Path, number: int) -> None:
    with opened(path, patience_s=20.0) as store:
        begun(store, f"r{number}")


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    """When the last process has gone, the file alone is the store and can be copied."""
    path = tmp_path / "runs.db"
    with opened(path) as store:
        begun(store)
    assert [p.name for p in tmp_path.iterdir()] == ["runs.db"]
    with opened(path) as store:
        assert told(store, "r1") == [(1, "run.created")]


def test_the_log_does_not_grow_without_end(tmp_path: Path) -> None:
    """A process that writes for days keeps a log of some megabytes."""
    path = tmp_path / "runs.db"
    with opened(path) as store:
        store.db.execute("pragma synchronous = off")
        lease = leased(store)
        for _ in range(40):
            store.append(lease, AT, [Note("x" * 1_000_000)])
        assert path.stat().st_size > 35_000_000
        assert (tmp_path / "runs.db-wal").stat().st_size < 10_000_000


# --- a power cut --------------------------------------------------------------


def written(path: Path, count: int = 25) -> None:
    """A journal of intents and outcomes whose newest part is only in the log; the process
    is then gone.
    """
    with opened(path) as store:
        lease = leased(store)
        for i in range(count):
            store.append(lease, AT, [asked(batch=i)], intent=intent([f"s{i}"]))
            store.append(lease, AT, [Note("x" * 300 * i)], release=[f"s{i}"])
            if i == count // 3:
                store.db.execute("pragma wal_checkpoint(passive)")
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(path.with_name(name), path.with_name(f"cut-{name}"))


def check_prefix(path: Path) -> int:
    """The store opens, agrees with itself, goes on; returns how many events it holds."""
    with opened(path) as store:
        assert store.db.execute("pragma integrity_check") == [("ok",)]
        events = store.events("r1")
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert store.find("r1").seq == len(events)
        intended = sum(e.type == "batch.intended" for e in events)
        assert len(store.spent("c1", PROJECT)) == intended
        store.record("r1", AT, NOTE)
    return len(events)


def test_a_log_cut_anywhere_leaves_a_prefix(tmp_path: Path) -> None:
    """However much of the log reached the disk: the store opens and holds a beginning of
    the journal, whole.
    """
    path = tmp_path / "runs.db"
    written(path)
    whole = (tmp_path / "cut-runs.db-wal").read_bytes()
    chance = random.Random(1)
    cuts = sorted(
        {
            0,
            31,
            32,
            33,
            len(whole) - 1,
            len(whole),
            *(chance.randrange(len(whole)) for _ in range(40)),
        }
    )
    lengths = []
    for cut in cuts:
        folder = tmp_path / str(cut)
        folder.mkdir()
        shutil.copy(tmp_path / "cut-runs.db", folder / "runs.db")
        (folder / "runs.db-wal").write_bytes(whole[:cut])
        lengths.append(check_prefix(folder / "runs.db"))
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] == 51


@pytest.mark.parametrize("kind", ["noise", "zeros", "old log"])
def test_a_log_that_ends_in_rubbish_leaves_a_prefix(tmp_path: Path, kind: str) -> None:
    """A block that was torn, never written, or left of an older log is not taken for a commit."""
    path = tmp_path / "runs.db"
    written(path)
    whole = (tmp_path / "cut-runs.db-wal").read_bytes()
    chance = random.Random(kind)
    for turn in range(12):
        cut = chance.randrange(len(whole))
        size = chance.randrange(1, 20_000)
        rubbish = {"noise": chance.randbytes(size), "zeros": bytes(size), "old log": whole[:size]}[
            kind
        ]
        folder = tmp_path / str(turn)
        folder.mkdir()
        shutil.copy(tmp_path / "cut-runs.db", folder / "runs.db")
        (folder / "runs.db-wal").write_bytes(whole[:cut] + rubbish)
        assert check_prefix(folder / "runs.db") < 51
    (tmp_path / "cut-runs.db-wal").write_bytes(whole + chance.randbytes(5000))
    assert check_prefix(tmp_path / "cut-runs.db") == 51


def test_what_was_acknowledged_is_in_the_files(tmp_path: Path) -> None:
    """After each append the files hold it: a copy made at that moment has the event, and
    commits are flushed.
    """
    path = tmp_path / "runs.db"
    with opened(path) as store:
        assert store.db.execute("pragma synchronous") == [(2,)]
        lease = leased(store)
        for i in range(10):
            store.append(lease, AT, NOTE)
            folder = tmp_path / f"copy-{i}"
            folder.mkdir()
            for name in ("runs.db", "runs.db-wal"):
                shutil.copy(tmp_path / name, folder / name)
            assert check_prefix(folder / "runs.db") == 2 + i


# --- the wrong file -----------------------------------------------------------


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    """The usual slip, a folder in place of a file, is named as such."""
    with pytest.raises(StoreError, match="is a directory"), opened(tmp_path):
        pass


def test_another_file_is_no_store(tmp_path: Path) -> None:
    """A file that is no database is refused and stays as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 200)
    with pytest.raises(StoreError, match="not a database") as refused, opened(path):
        pass
    assert refused.value.hint is not None
    assert path.read_text() == "not a database\n" * 200


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """A path through a file is an error of ours, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot open"), opened(tmp_path / "file" / "runs.db"):
        pass


def _keep_the_log_alone(path: Path) -> None:
    path.with_name(f"{path.name}-wal").write_bytes(b"frames" * 100)
    path.unlink()


def _of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table song(title text)")


def _without_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma user_version = 1")


def _a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone.db")


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: os.truncate(path, 0), "is an empty file: what it held is lost"),
        (lambda path: os.truncate(path, 50), "malformed"),
        (lambda path: os.truncate(path, 4096), "malformed"),
        (lambda path: os.truncate(path, 10_000), "malformed"),
        (lambda path: path.write_bytes(bytes(40_000)), "not a database"),
        (_keep_the_log_alone, "is gone, but its log runs.db-wal is still there"),
        (_of_another_program, r"the tables of another program \(song\)"),
        (_without_tables, "a database with no tables"),
        (_a_dangling_link, "a link to a file that does not exist"),
        (_a_pipe, "not a regular file"),
    ],
)
def test_a_lost_store_is_no_new_one(
    tmp_path: Path, harm: Callable[[Path], None], says: str
) -> None:
    """What was a store and is none any more is refused with what to do, by `doctor` too,
    and nothing is changed.
    """
    path = tmp_path / "runs.db"
    with opened(path) as store:
        lease = leased(store)
        for _ in range(10):
            store.append(lease, AT, [Note("x" * 3000)])
    harm(path)
    before = [(p.name, p.lstat().st_size) for p in tmp_path.iterdir()]
    for look in (
        lambda: opened(path).__enter__(),
        lambda: look_at(f"sqlite:///{path}", tmp_path, 1.0),
    ):
        with pytest.raises(StoreError, match=says) as refused:
            look()
        assert "backup" in (refused.value.hint or "") or says == "not a regular file"
    assert [(p.name, p.lstat().st_size) for p in tmp_path.iterdir()] == before


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    """Damage in the middle of the file is told when it is read, with what to do."""
    path = tmp_path / "runs.db"
    with opened(path) as store:
        lease = leased(store)
        for _ in range(50):
            store.append(lease, AT, [Note("x" * 3000)])
    data = bytearray(path.read_bytes())
    data[4096:-4096] = b"\xa5" * len(data[4096:-4096])
    path.write_bytes(data)
    with pytest.raises(StoreError) as refused, opened(path) as store:
        store.events("r1")
    assert refused.value.hint is not None
    assert "backup" in refused.value.hint


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A write that finds no room fails whole; when there is room again the same store goes on."""
    with opened(tmp_path / "runs.db") as store:
        lease = leased(store)
        (pages,) = store.db.execute("pragma page_count")[0]
        store.db.execute(f"pragma max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="full") as refused:
            store.append(lease, AT, [Note("x" * 100_000)], intent=intent(["s1"]))
        assert refused.value.hint == "the disk is full"
        store.db.execute("pragma max_page_count = 1000000")
        assert told(store, "r1") == [(1, "run.created")]
        assert store.spent("c1", PROJECT) == {}
        store.append(lease, AT, NOTE)


def test_a_file_that_another_program_has_locked(tmp_path: Path) -> None:
    """A lock of another program is waited for, then named; the wait has an end."""
    path = tmp_path / "runs.db"
    with (
        opened(path, patience_s=0.05) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        begun(store)
        other.execute("begin immediate")
        with pytest.raises(StoreError, match="locked") as refused:
            store.record("r1", AT, NOTE)
        assert refused.value.hint is not None
        other.execute("rollback")
        store.record("r1", AT, NOTE)


def test_an_old_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose SQLite is too old says so at once, not by a syntax error in the middle
    of a run.
    """
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreError, match=r"needs 3\.35\.0"), opened(tmp_path / "runs.db"):
        pass
    assert list(tmp_path.iterdir()) == []


@contextmanager
def without_privileges(folder: Path) -> Iterator[None]:
    """As a user who may not do everything: root ignores file modes."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.iterdir()):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_file_that_may_not_be_written(public_folder: Path) -> None:
    """A store on read-only ground says so at the first write; no journal is begun that
    cannot be kept.
    """
    path = public_folder / "runs.db"
    with opened(path) as store:
        begun(store)
    with without_privileges(public_folder):
        path.chmod(0o400)
        with pytest.raises(StoreError, match="readonly") as refused, opened(path) as store:
            store.record("r1", AT, NOTE)
        assert refused.value.hint is not None
        path.chmod(0o600)
        public_folder.chmod(0o500)
        with (
            pytest.raises(StoreError, match=r"cannot open|readonly|unable to open"),
            opened(path) as store,
        ):
            store.record("r1", AT, NOTE)
        with pytest.raises(StoreError, match="Permission denied"), opened(public_folder / "new.db"):
            pass
        public_folder.chmod(0o700)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("printf('%.*c', 17500000, 'x')", "too big"),
        ("printf('%.*c', 4000000, 'x') || char(128512)", "is not ASCII"),
    ],
)
def test_a_text_too_large_to_be_read(tmp_path: Path, text: str, says: str) -> None:
    """A row that another program wrote is refused before it fills the memory."""
    path = tmp_path / "runs.db"
    with opened(path) as store:
        begun(store)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(f"update event set data = {text}")  # noqa: S608
    with opened(path) as store, pytest.raises(StoreError, match=says):
        store.events("r1")
