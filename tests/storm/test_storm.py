"""The kill storm in its small form; in full: `python -m tests.storm`."""

from __future__ import annotations

from pathlib import Path

from tests.git_server import serve
from tests.storm.storm import storm


def test_kills_at_any_instant_reboot_nothing_twice_on_sqlite(tmp_path: Path) -> None:
    """Real processes, real SIGKILLs, lost and false answers: nothing twice, nothing lost,
    every run ends (`hold`).
    """
    tally = storm(
        tmp_path,
        store=f"sqlite:///{tmp_path / 'runs.db'}",
        name="sqlite",
        mode="hold",
        kills=3,
        seed=5,
        retries=1,
    )
    assert tally.kills >= 3
    assert tally.is_clean, tally.row()


def test_kills_at_any_instant_reboot_nothing_twice_on_postgres(
    tmp_path: Path, postgres_url: str
) -> None:
    """The same on PostgreSQL, with `retry`."""
    tally = storm(
        tmp_path, store=postgres_url, name="postgres", mode="retry", kills=3, seed=6, retries=1
    )
    assert tally.kills >= 3
    assert tally.is_clean, tally.row()


def test_kills_at_any_instant_reboot_nothing_twice_in_git(tmp_path: Path) -> None:
    """The same with journals in a Git ref, over HTTP, where answers to pushes are lost too."""
    (tmp_path / "runs").mkdir()
    with serve(tmp_path / "host", cut=0.1, lose=0.03) as host:
        url = host.make("store.git")
        tally = storm(
            tmp_path / "runs", store=url, name="git", mode="retry", kills=2, seed=4, retries=1
        )
    assert tally.kills >= 2
    assert tally.is_clean, tally.row()


def test_the_judge_catches_a_naive_runner(tmp_path: Path) -> None:
    """A runner that repeats after a doubtful answer is caught: the judge can fail."""
    tally = storm(
        tmp_path,
        store=f"sqlite:///{tmp_path / 'runs.db'}",
        name="sqlite",
        mode="naive",
        kills=2,
        seed=2,
    )
    assert tally.twice > 0, tally.row()
