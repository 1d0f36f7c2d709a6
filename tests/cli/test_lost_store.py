"""Command lines on a store that was deleted, emptied or damaged between two runs."""

from __future__ import annotations

import json
from pathlib import Path

from runner.report.run_words import STORE_BEGUN
from tests.cli.lab import Remote


def db_of(cloud: Remote) -> Path:
    return cloud.lab.folder / ".reboot-runner" / "runs.db"


def test_a_new_store_is_announced_and_reported(cloud: Remote) -> None:
    """`run` warns before the first run of a store, also after it was deleted and a reader made it again; the report
    of that run repeats it, that of the next run does not.
    """
    lab = cloud.lab
    first = lab.run("run", "web.yaml", "--yes")
    assert f"warning: {STORE_BEGUN}" in first.err
    assert STORE_BEGUN in first.out
    assert json.loads(lab.run("report", "web", "-o", "json").out)["store_begun"] is True
    db_of(cloud).unlink()
    assert lab.run("status").code == 0
    assert f"warning: {STORE_BEGUN}" in lab.run("run", "web.yaml", "--yes").err
    lab.write("web.yaml", (lab.folder / "web.yaml").read_text().replace("name: web\n", "name: other\n", 1))
    other = lab.run("run", "web.yaml", "--yes")
    assert other.code == 0, other.err
    assert STORE_BEGUN not in other.err + other.out
