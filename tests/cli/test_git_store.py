"""Command lines on a store in Git: each one may be on another machine, with nothing but the
repository.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.ports.store import Halt
from runner.report.run_words import STORE_BEGUN
from runner.store.gitref.address import REF
from runner.store.open import open_store
from tests.cli.lab import PLAN, Remote
from tests.git_server import bare, serve
from tests.store.kit import owner


def elsewhere(cloud: Remote) -> None:
    """Nothing of this machine's own is left: the next command is one of a new CI job."""
    shutil.rmtree(cloud.lab.folder / ".reboot-runner", ignore_errors=True)


def test_each_command_on_another_machine(cloud: Remote, tmp_path: Path) -> None:
    """Run, approval, going on, report and a second run over HTTP: all of it is in the ref."""
    lab = cloud.lab
    with serve(tmp_path / "host") as host:
        lab.env["REBOOT_RUNNER_STORE"] = host.make("store.git")
        lab.write("web.yaml", PLAN + "    pause: approval\n")
        assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
        elsewhere(cloud)
        assert lab.status("web")["waves"][0]["ended"]
        assert lab.run("approve", "web", "--reason", "looks good").code == 0
        elsewhere(cloud)
        assert lab.run("reconcile", "--wait", "1m").code == 0
        assert lab.run("approve", "web", "--reason", "good").code == 0
        elsewhere(cloud)
        assert lab.run("resume", "web").code == 0
        elsewhere(cloud)
        assert "10 ready" in lab.run("report", "web", "-o", "markdown").out
        again = lab.run("run", "web.yaml", "--yes")
        assert again.code == 0, again.err
    assert len(cloud.reboots) == 10
    assert set(cloud.reboots.values()) == {1}


def test_reconcile_stays_until_a_silent_holder_is_known_to_be_gone(
    cloud: Remote, tmp_path: Path
) -> None:
    """A job that was killed on another machine left its lease: the next tick watches it for
    its length, and goes on.
    """
    lab = cloud.lab
    lab.env["REBOOT_RUNNER_STORE"] = url = bare(tmp_path / "store.git")
    lab.write("web.yaml", PLAN + "    pause: 1s\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    with closing(open_store(url, tmp_path)) as store:
        run = store.find("web").id
        store.take(run, owner(), 2.0)
    time.sleep(1)
    began = time.monotonic()
    done = lab.run("reconcile")
    assert done.code == 0, done.err
    assert time.monotonic() - began >= 2.0, "taken over without having been watched"
    assert run in done.err
    assert len(cloud.reboots) > 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_denied_store_ends_with_77(cloud: Remote, tmp_path: Path, status: int) -> None:
    """Nothing is asked of the cloud, the exit code is that of missing permission, and the
    way out is told.
    """
    lab = cloud.lab
    with serve(tmp_path / "host") as host:
        lab.env["REBOOT_RUNNER_STORE"] = host.make("store.git")
        host.answer = status
        lab.write("web.yaml", PLAN)
        done = lab.run("run", "web.yaml", "--yes")
    assert done.code == 77, done.err
    assert "REBOOT_RUNNER_STORE_TOKEN" in done.err
    assert cloud.posts == 0


def test_a_store_that_is_gone_is_no_new_one(cloud: Remote, tmp_path: Path) -> None:
    """Somebody rewound or deleted the ref, or put another one there: a machine that knew it
    refuses; one that cannot know is told that the store is begun.
    """
    lab, repository = cloud.lab, tmp_path / "store.git"
    lab.env["REBOOT_RUNNER_STORE"] = bare(repository)
    lab.write("web.yaml", PLAN)
    first = lab.run("run", "web.yaml", "--yes")
    assert (first.code, STORE_BEGUN in first.err) == (0, True)
    assert STORE_BEGUN not in lab.run("run", "web.yaml", "--yes").err
    change = ["git", "-C", str(repository), "update-ref"]
    subprocess.run([*change, REF, f"{REF}~5"], check=True)
    rewound = lab.run("run", "web.yaml", "--yes")
    assert rewound.code == 1
    assert "was rewound or replaced since this machine last read it" in rewound.err
    subprocess.run([*change, "-d", REF], check=True)
    gone = lab.run("run", "web.yaml", "--yes")
    assert gone.code != 0
    assert "is gone since this machine last read it" in gone.err
    assert set(cloud.reboots.values()) == {1}
    with closing(open_store(lab.env["REBOOT_RUNNER_STORE"], tmp_path)) as other:
        other.set_halt(Halt("another store", "somebody", datetime.now(UTC)))
    replaced = lab.run("status", "web")
    assert replaced.code != 0
    assert "another store's" in replaced.err
    elsewhere(cloud)
    assert lab.run("status").code == 0
