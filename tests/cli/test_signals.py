"""Signals, deadlines and sudden death: nothing is lost, and nothing happens twice."""

from __future__ import annotations

import signal
import time

import pytest

from tests.cli.lab import PLAN, Lab, Remote

ACCEPTED = "batch 1: accepted"


def slow_answer(cloud: Remote) -> Lab:
    """The answer to the one reboot request of the plan leaves a minute late."""
    cloud.fault(do="delay", on="reboot", seconds=60, clock="wall", when="after")
    cloud.lab.write("web.yaml", PLAN.replace("role: web", 'role: web, canary: "true"'))
    return cloud.lab


def wait_for_reboot(cloud: Remote) -> None:
    """Until the cloud has accepted one: nobody else knows, so it is asked again and again."""
    deadline = time.monotonic() + 20
    while not cloud.reboots:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_everything(still_cloud: Remote, number: signal.Signals, code: int) -> None:
    """While a server is down: state and report within 5 s, the signal's exit code; `resume`
    ends what was begun.
    """
    lab = still_cloud.lab
    child = lab.start("run", "web.yaml")
    child.err.wait_for(ACCEPTED)
    began = time.monotonic()
    child.send(number)
    done = child.wait()
    assert time.monotonic() - began < 5
    assert done.code == code
    (run,) = lab.runs()
    said = (
        f"run {run['id']} is suspended ({number.name}): 0 of 10 servers ready, 1 in flight, 9 "
        f"pending; "
    )
    assert done.out.startswith(said)
    assert f"    reboot-runner resume {run['id']}\n" in done.out
    assert (done.out + done.err).count("suspended") == 1
    status = lab.status("web")
    assert (status["open"], status["suspended"]) == (True, number.name)
    assert (status["counts"]["in_flight"], status["counts"]["pending"]) == (1, 9)

    still_cloud.go_on()
    resumed = lab.run("resume", "web")
    assert resumed.code == 0, resumed.err
    assert "is done: 10 of 10 servers ready" in resumed.out
    assert set(still_cloud.reboots.values()) == {1}
    assert len(still_cloud.reboots) == 10


def test_a_second_signal_ends_at_once(cloud: Remote) -> None:
    """The first signal gives a request on its way a moment, the second does not; `resume`
    goes on all the same.
    """
    lab = slow_answer(cloud)
    child = lab.start("run", "web.yaml")
    wait_for_reboot(cloud)
    child.send(signal.SIGTERM)
    child.err.wait_for("SIGTERM")
    began = time.monotonic()
    child.send(signal.SIGINT)
    assert child.wait().code == 130
    assert time.monotonic() - began < 1
    assert lab.run("resume", "web").code == 0
    assert set(cloud.reboots.values()) == {1}


@pytest.mark.parametrize("again", [("resume", "web"), ("run", "web.yaml")])
def test_killed_while_a_server_is_down(still_cloud: Remote, again: tuple[str, ...]) -> None:
    """SIGKILL leaves a run that `resume`, or just `run` again, takes over at once."""
    lab = still_cloud.lab
    child = lab.start("run", "web.yaml")
    child.err.wait_for(ACCEPTED)
    child.send(signal.SIGKILL)
    assert child.wait().code == -signal.SIGKILL
    still_cloud.go_on()
    began = time.monotonic()
    done = lab.run(*again)
    assert done.code == 0, done.err
    assert time.monotonic() - began < 20, "the dead process's lease was waited for"
    assert len(lab.runs()) == 1
    assert set(still_cloud.reboots.values()) == {1}
    assert len(still_cloud.reboots) == 10


def test_killed_while_the_request_is_on_its_way(cloud: Remote) -> None:
    """SIGKILL between the request and its answer: the reboot is found on the server, and
    not asked for again.
    """
    lab = slow_answer(cloud)
    child = lab.start("run", "web.yaml")
    wait_for_reboot(cloud)
    child.send(signal.SIGKILL)
    child.wait()
    assert lab.status("web")["counts"]["in_doubt"] == 1
    done = lab.run("resume", "web")
    assert done.code == 0, done.err
    assert set(cloud.reboots.values()) == {1}


def test_the_embedded_cloud_survives_its_process(lab: Lab) -> None:
    """The embedded cloud keeps its jobs beside the store: a killed run is gone on with
    there too.
    """
    lab.configure(
        targets={
            "simulator": {"cloud": "simulator", "simulator": {"servers": 20, "time_scale": 200}}
        }
    )
    child = lab.start("run", "web.yaml")
    child.err.wait_for(ACCEPTED)
    child.send(signal.SIGKILL)
    begun = child.wait()
    assert begun.err.count("simulated clock, 200 times real time") == 1
    done = lab.run("resume", "web")
    assert done.code == 0, done.err
    assert "10 of 10 servers ready" in done.out
    for said in (
        done.out + done.err,
        *(lab.run(*command, "web").out for command in (("status",), ("report",))),
    ):
        assert said.count("simulated clock, 200 times real time") == 1
