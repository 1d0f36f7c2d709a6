"""Command lines on a store that was deleted, emptied or damaged between two runs."""

from __future__ import annotations

import json
from pathlib import Path

from runner.report.run_words import STORE_BEGUN
from tests.cli.lab import Remote


def db_of(cloud: Remote) -> Path:
    return cloud.lab.folder / ".reboot-runner" / "runs.db"


def test_a_new_store_is_announced_and_reported(cloud: Remote) -> None:
    """`run` warns before the first run of a store, also after it was deleted and a reader made
    it again; the report of that run repeats it, that of the next run does not.
    """
    lab = cloud.lab
    first = lab.run("run", "web.yaml", "--yes")
    assert f"warning: {STORE_BEGUN}" in first.err
    assert STORE_BEGUN in first.out
    assert json.loads(lab.run("report", "web", "-o", "json").out)["store_begun"] is True
    plan = (lab.folder / "web.yaml").read_text()
    lab.write("other.yaml", plan.replace("name: web\n", "name: other\n", 1))
    other = lab.run("run", "other.yaml", "--yes")
    assert other.code == 0, other.err
    assert STORE_BEGUN not in other.err + other.out
    before = cloud.reboots
    db_of(cloud).unlink()
    assert lab.run("status").code == 0
    again = lab.run("run", "web.yaml", "--yes")
    assert f"warning: {STORE_BEGUN}" in again.err
    assert (again.code, cloud.reboots) == (4, before)


def test_an_older_copy_of_the_store_is_refused(cloud: Remote) -> None:
    """A backup from before the last run came back: `run` and readers say so, and nothing is
    rebooted again.
    """
    lab, db = cloud.lab, db_of(cloud)
    lab.write(
        "other.yaml",
        (lab.folder / "web.yaml").read_text().replace("name: web\n", "name: other\n", 1),
    )
    assert lab.run("run", "other.yaml", "--yes").code == 0
    backup = db.read_bytes()
    assert lab.run("run", "web.yaml", "--yes").code == 0
    before = cloud.reboots
    db.write_bytes(backup)
    for line in ("run web.yaml --yes", "status"):
        done = lab.run(*line.split())
        assert done.code == 1, done
        assert "it was rewound, replaced, or restored from an older copy" in done.err
    assert cloud.reboots == before


def test_every_command_refuses_a_store_that_was_emptied(cloud: Remote) -> None:
    """Readers, deciders and `run` alike: an error that says what to do, and no request to
    the cloud.
    """
    lab = cloud.lab
    assert lab.run("run", "web.yaml", "--yes").code == 0
    posts, db = cloud.posts, db_of(cloud)
    db.write_bytes(b"")
    for line in (
        "run web.yaml --yes",
        "diff web.yaml",
        "status",
        "report web",
        "resume web",
        "reconcile",
        "unhalt",
    ):
        done = lab.run(*line.split())
        assert done.code == 1, (line, done)
        assert "is an empty file" in done.err, (line, done.err)
        assert "restore it from a backup" in done.err
        assert "Traceback" not in done.err
    assert (cloud.posts, db.read_bytes()) == (posts, b"")
