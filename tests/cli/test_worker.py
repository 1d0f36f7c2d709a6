"""`worker`: takes what is due, goes on with what a person decided, tells how it is,
ends in order.
"""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.lab import Lab, Remote, target
from tests.cli.workers import APPROVED, figures, get, start, until


def test_a_worker_goes_on_with_what_is_open_and_with_decisions(cloud: Remote) -> None:
    """A run that waits for an approval is gone on with once somebody approves; its end is
    counted; SIGTERM ends with 143.
    """
    lab = cloud.lab
    lab.write("web.yaml", APPROVED)
    assert lab.run("run", "web.yaml", "--no-wait").code == 75
    child, url = start(lab)
    until(lambda: get(f"{url}/readyz")[0] == 200)
    assert get(f"{url}/healthz") == (200, "ok\n")
    assert get(f"{url}/else")[0] == 404
    until(lambda: figures(url)["reboot_runner_runs_open"] == 1)
    assert len(cloud.reboots) == 1, "it waits for the approval"
    assert lab.run("approve", "web", "--reason", "looks good").code == 0
    child.err.wait_for("run is done")
    until(lambda: figures(url).get('reboot_runner_runs_ended_total{word="done"}') == 1)
    seen = figures(url)
    assert seen["reboot_runner_runs_open"] == seen["reboot_runner_runs_held"] == 0
    assert seen["reboot_runner_steps_total"] > 1
    child.send(signal.SIGTERM)
    assert child.wait().code == 143
    assert set(cloud.reboots.values()) == {1}
    assert lab.status("web")["open"] is False


def test_what_is_wrong_keeps_nobody_waiting_and_what_is_mended_goes_on(cloud: Remote) -> None:
    """The target of one run is gone from the configuration: the other run ends. A
    configuration that is wrong is told, /readyz says so, and nothing is advanced by an
    older one. Mended, the first run ends too, with the same worker.
    """
    lab = cloud.lab
    one = target(cloud.state, cloud.url)
    lab.configure(targets={"lab": one, "other": one})
    right = (lab.folder / "reboot-runner.yaml").read_text()
    lab.write("right.yaml", right)
    lab.write("web.yaml", APPROVED.replace("limits:", "target: lab\nlimits:"))
    lab.write("db.yaml", APPROVED.replace("web", "db").replace("limits:", "target: other\nlimits:"))
    for plan in ("web", "db"):
        assert lab.run("run", f"{plan}.yaml", "--no-wait").code == 75, plan
    assert lab.run("approve", "db", "--reason", "fine").code == 0
    lab.configure(targets={"lab": one})
    child, url = start(lab)
    child.err.wait_for("there is no target 'other'")
    until(lambda: figures(url)["reboot_runner_runs_resting"] == 1)
    assert figures(url)['reboot_runner_step_errors_total{result="invalid"}'] == 1

    lab.write("reboot-runner.yaml", right.replace('"version": 1', '"version": 1, "tragets": {}'))
    child.err.wait_for("not ready: configuration")
    until(lambda: get(f"{url}/readyz") == (503, "not ready: configuration\n"))
    assert get(f"{url}/healthz")[0] == 200
    assert lab.run("--config", "right.yaml", "approve", "web", "--reason", "fine").code == 0
    assert len(cloud.reboots) == 2, "a canary of each"
    lab.write("reboot-runner.yaml", right)
    child.err.wait_for("the configuration has changed")
    child.err.wait_for("run is done", times=2)
    until(lambda: get(f"{url}/readyz") == (200, "ok\n"))
    assert set(cloud.reboots.values()) == {1}
    child.send(signal.SIGINT)
    assert child.wait().code == 130


@pytest.mark.parametrize(("grace", "is_answered"), [("20s", True), ("1s", False)])
def test_a_request_on_its_way_gets_the_grace_to_be_answered(
    cloud: Remote, grace: str, is_answered: bool
) -> None:
    """SIGTERM while the cloud has the request, which it answers late: with grace enough the
    answer is in the journal, else nobody knows it yet.
    """
    lab = cloud.lab
    lab.write("web.yaml", APPROVED)
    assert lab.run("run", "web.yaml", "--no-wait").code == 75
    assert lab.run("approve", "web", "--reason", "fine").code == 0
    (run,) = lab.runs()
    cloud.fault(do="delay", on="reboot", seconds=0.8, clock="wall", when="after")
    child, _ = start(lab, "--grace", grace, given=("--log-format", "json"))
    until(lambda: cloud.posts == 2)
    child.send(signal.SIGTERM)
    done = child.wait()
    assert done.code == 143
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert (
        any(
            line.get("run") == run["id"] and line.get("event") == "batch.accepted" for line in lines
        )
        is is_answered
    )
    assert lab.dump().count("'batch.accepted'") == (2 if is_answered else 1)
    assert set(cloud.reboots.values()) == {1}


def test_a_port_that_is_taken_is_told(lab: Lab) -> None:
    """The second worker on one port says how to choose another; so does one with no port at all."""
    _, url = start(lab)
    again = lab.run("worker", "--listen", url.removeprefix("http://"))
    assert again.code == 64
    assert "--listen" in again.err
    assert lab.run("worker", "--listen", "localhost").code == 64
