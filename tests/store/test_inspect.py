"""Looking at a store from outside: what is told, and that nothing is made or kept."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.ports.store import Halt
from runner.store.inspect import NEWEST, look_at
from runner.store.open import shown
from tests.store.kit import AT, Place, begun, leased
from tests.store.test_sqlite import opened, without_privileges

PATIENCE_S = 2.0


def test_empty_then_used(place: Place) -> None:
    """An empty store stays empty; one with runs tells of the open ones, the halt, and
    its tables.
    """
    before = look_at(place.url, Path(), PATIENCE_S)
    again = look_at(place.url, Path(), PATIENCE_S)
    assert before.version == again.version in (None, -1)
    store = place.open()
    leased(store)
    store.set_halt(Halt("incident", "somebody", AT))
    facts = look_at(place.url, Path(), PATIENCE_S)
    assert facts.version == NEWEST
    assert [run.id for run in facts.runs] == ["r1"]
    assert facts.runs[0].owner is not None
    assert facts.halt == Halt("incident", "somebody", AT)
    assert store.db.execute("select name from flag where name = 'doctor'") == []


def test_clock(place: Place) -> None:
    """How far the store's clock is ahead: of PostgreSQL the server's, of a file our own."""
    place.open()
    behind = look_at(place.url, Path(), PATIENCE_S, clock=lambda: time.time() - 100)
    assert behind.ahead_s == pytest.approx(100, abs=5)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Only the question whether it could be made is answered."""
    assert look_at("sqlite:///deep/below/runs.db", tmp_path, PATIENCE_S).version is None
    assert list(tmp_path.iterdir()) == []


def test_read_only() -> None:
    """A file that may not be written, and a folder in which none may be made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        with opened(path) as store:
            begun(store)
        with without_privileges(Path(folder)):
            path.chmod(0o400)
            with pytest.raises(StoreError, match="readonly") as refused:
                look_at(f"sqlite:///{path}", Path(), PATIENCE_S)
            assert refused.value.hint == "the file and its folder must be writable"
            Path(folder).chmod(0o500)
            with pytest.raises(StoreError, match="no folder that may be written"):
                look_at(f"sqlite:///{folder}/other/runs.db", Path(), PATIENCE_S)
            Path(folder).chmod(0o700)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///.reboot-runner/runs.db", "sqlite:///.reboot-runner/runs.db"),
        (
            "postgresql://me:pw@db.example:5433/runs?sslmode=require",
            "postgresql://db.example:5433/runs",
        ),
        ("postgres://db.example", "postgres://db.example"),
        ("git+https://me@git.example/a/b.git", "git+https://git.example/a/b.git"),
        ("git+file:///srv/store.git", "git+file:///srv/store.git"),
        ("git+https://me:pw@git.example/a/b.git", None),
        ("postgresql://me:p@w@db.example/runs", None),
        ("postgresql://me:p?w@db.example/runs", None),
        ("postgresql://me:p/w@db.example/runs", None),
        ("postgresql://db.example/runs?password=p@w", None),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, said: str | None) -> None:
    """Neither user nor parameters are shown; of a URL that can be read in two ways, nothing is."""
    assert shown(url) == (said or "(a URL that may hold a password)")
