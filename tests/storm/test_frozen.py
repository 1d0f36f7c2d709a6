"""A real process is stopped (SIGSTOP), another takes its run over, and the first one wakes
(SIGCONT).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runner.execution.journal import read_run
from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.store.open import open_store
from tests.git_server import bare
from tests.storm.storm import CONFIG, PLAN
from tests.storm.worker import Order, work


@pytest.mark.parametrize(
    ("label", "where", "lease_s"),
    [
        ("intent.after", "sqlite", 1.0),
        ("append.after", "sqlite", 1.0),
        ("intent.after", "git", 2.0),
    ],
)
def test_an_owner_that_wakes_after_its_lease_was_taken_sends_nothing(
    tmp_path: Path, label: str, where: str, lease_s: float
) -> None:
    """Frozen behind its intent, or before it, it finds the lease gone; the run is its
    successor's, nothing doubles.

    Behind the intent nobody can know whether the request left, so with `hold` its servers
    end unknown (exit 4).
    """
    state = State(CloudOptions(fleet=FleetOptions(servers=6, reboot_seconds=0.3)))
    store = bare(tmp_path / "store.git") if where == "git" else f"sqlite:///{tmp_path / 'runs.db'}"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storm.worker"])
    with serve_in_thread(state) as running:
        config = CONFIG.format(region=running.region, project=running.project_id, url=running.url)
        (tmp_path / "reboot-runner.yaml").write_text(config)
        plan = tmp_path / "frozen.yaml"
        plan.write_text(PLAN.format(name="frozen", on_unknown="hold", waves="[6]"))
        environment = {
            "HUAWEICLOUD_SDK_AK": state.credentials.ak,
            "HUAWEICLOUD_SDK_SK": state.credentials.sk,
            "REBOOT_RUNNER_STORE": store,
            "CI": "",
        }

        arguments = ("run", str(plan), "--yes")
        order = Order(
            arguments, str(tmp_path), environment, output=str(tmp_path / "out.log"), lease_s=lease_s
        )
        first = context.Process(
            target=work, args=(replace(order, die_at=label, by=signal.SIGSTOP),)
        )
        first.start()
        try:
            _until_stopped(first.pid)
            second = context.Process(target=work, args=(order,))
            second.start()
            second.join(60)
            asked_by_then = sum(1 for c in state.requests() if c.call == "reboot")
            assert second.exitcode == (5 if label == "intent.after" else 0)
            os.kill(first.pid or 0, signal.SIGCONT)
            first.join(60)
            assert first.exitcode == second.exitcode
        finally:
            first.kill()
        assert sum(1 for c in state.requests() if c.call == "reboot") == asked_by_then
        assert set(state.reboot_counts().values()) <= {1}
    opened = open_store(store, tmp_path)
    try:
        run = read_run(opened, opened.find("frozen").id)
    finally:
        opened.close()
    assert not run.is_open
    assert all(s.outcome for s in run.servers.values())
    state.close()


def _until_stopped(pid: int | None) -> None:
    """Wait until the kernel shows the process as stopped (state T)."""
    for _ in range(600):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "T":
            return
        time.sleep(0.05)
    raise AssertionError("the process was never stopped")
