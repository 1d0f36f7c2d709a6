"""The control endpoint: faults while it runs, and the log that judges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .bench import Bench, http, simulated


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with simulated(5, control=True) as bench:
        yield bench


def test_off_unless_enabled() -> None:
    """Without the option the paths are unknown APIs."""
    with simulated(1) as bench:
        assert (
            http().get(bench.running.url + "/_simulator/log").json()["error_code"] == "APIGW.0101"
        )


def test_faults_come_and_go(bench: Bench) -> None:
    """A rule that is posted fires; clearing ends all rules; a wrong one is refused with
    its reason.
    """
    url = bench.running.url + "/_simulator/faults"
    rule = {"do": "error", "on": "limits", "times": "all"}
    assert http().post(url, json={"rules": [rule]}).json() == {"added": 1}
    assert bench.get("/v1/{p}/cloudservers/limits").status_code == 500
    state = http().get(bench.running.url + "/_simulator/state").json()
    assert state["rules"] == [{"rule": rule, "met": 1, "fired": 1}]
    assert http().delete(url).json() == {"added": 0}
    assert bench.get("/v1/{p}/cloudservers/limits").status_code == 200
    wrong = http().post(url, json={"rules": [{"do": "throttle"}]})
    assert wrong.status_code == 400
    assert "on" in wrong.json()["error"]
    assert http().post(url, content=b"{").status_code == 400
    assert http().post(url, content=b"[]").status_code == 400


def test_switches(bench: Bench) -> None:
    """Switches change while it runs."""
    url = bench.running.url + "/_simulator/switches"
    assert http().put(url, json={"gone_job": "404"}).json()["gone_job"] == "404"
    assert bench.get("/v1/{p}/jobs/none").status_code == 404
    assert http().put(url, json={"gone_job": "405"}).status_code == 400
    assert http().put(url, json={}).json()["gone_job"] == "400"


def test_log(bench: Bench) -> None:
    """The log has every request with its answer, every accepted reboot, and the count of
    each server.
    """
    job_id = bench.rebooted(bench.ids[:2])
    log = http().get(bench.running.url + "/_simulator/log").json()
    last = log["requests"][-1]
    assert (last["call"], last["status"], last["method"]) == ("reboot", 200, "POST")
    assert last["path"] == f"/v1/{bench.running.project_id}/cloudservers/action"
    assert [(r["server_id"], r["job_id"]) for r in log["accepted_reboots"]] == [
        (i, job_id) for i in bench.ids[:2]
    ]
    assert log["reboot_counts"] == dict.fromkeys(bench.ids[:2], 1)
    assert bench.headers["X-Auth-Token"] not in str(log)


@pytest.mark.parametrize(
    "headers", [{"Host": "rebound.example.com"}, {"Origin": "http://127.0.0.1"}]
)
def test_browsers_do_not_get_through(bench: Bench, headers: dict[str, str]) -> None:
    """A request from a web page, or under another host's name, is refused."""
    assert http().get(bench.running.url + "/_simulator/log", headers=headers).status_code == 403
