"""Each fault does what its rule says, on the call it names, and not otherwise."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from .bench import KEYS, RULES, Bench, http, simulated


@pytest.fixture
def bench() -> Iterator[Bench]:
    with simulated(20) as bench:
        yield bench


LIMITS = "/v1/{p}/cloudservers/limits"


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ({}, 429, "Common.1503"),
        ({"status": 503}, 503, "Common.1503"),
        ({"status": 202}, 202, "Common.0024"),
        ({"code": "APIGW.0308"}, 429, "APIGW.0308"),
        ({"retry_after": "90s"}, 429, "Common.1503"),
    ],
)
def test_throttle(bench: Bench, rule: dict[str, Any], status: int, code: str) -> None:
    """Throttled: nothing is accepted; `Retry-After` only where the rule has it."""
    bench.fault(do="throttle", on="reboot", **rule)
    answer = bench.reboot(bench.ids)
    assert answer.status_code == status
    assert code in answer.text
    assert answer.headers.get("retry-after") == ("90" if "retry_after" in rule else None)
    assert not bench.state.accepted_reboots()
    assert bench.reboot(bench.ids).status_code == 200


def test_a_throttled_answer_although_the_request_took_effect(bench: Bench) -> None:
    """The answer says throttled, the log and the servers know better."""
    bench.fault(do="throttle", on="reboot", effect=True)
    answer = bench.reboot(bench.ids[:2])
    assert (answer.status_code, "Common.1503" in answer.text) == (429, True)
    assert len(bench.state.accepted_reboots()) == 2
    bench.clock.advance(5)
    assert bench.status(bench.ids[0])[0] == "REBOOT"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("has_effect", [False, True])
def test_error_with_and_without_effect(bench: Bench, status: int, has_effect: bool) -> None:
    """An error answer hides whether the request was carried out; the log and the servers know."""
    bench.fault(do="error", on="reboot", status=status, effect=has_effect)
    answer = bench.reboot(bench.ids[:2])
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "Common.0001"
    assert len(bench.state.accepted_reboots()) == (2 if has_effect else 0)
    bench.clock.advance(5)
    assert bench.status(bench.ids[0])[0] == ("REBOOT" if has_effect else "ACTIVE")


@pytest.mark.parametrize(
    ("body", "kind", "start"),
    [
        ("html", "text/html", "<html>\r\n<head><title>502 Bad Gateway"),
        ("text", "text/plain", "System exception."),
        ("empty", "text/plain", ""),
    ],
)
def test_bodies_of_proxies(bench: Bench, body: str, kind: str, start: str) -> None:
    """Errors of proxies are HTML, plain text or nothing."""
    bench.fault(do="error", on="any", status=502, body=body)
    answer = bench.get(LIMITS)
    assert answer.headers["content-type"] == kind
    assert answer.text.startswith(start)
    assert (answer.text == "") == (body == "empty")


def test_gateway_shape(bench: Bench) -> None:
    """A code of the gateway comes in the gateway's shape."""
    bench.fault(
        do="error", on="limits", status=403, code="APIGW.0802", message="no right in this region"
    )
    assert bench.get(LIMITS).json()["error_msg"] == "no right in this region"


@pytest.mark.parametrize("when", ["before", "after"])
def test_reset(bench: Bench, when: str) -> None:
    """The connection is reset, with the reboot accepted or not; the log tells which."""
    bench.fault(do="reset", on="reboot", when=when)
    with pytest.raises(httpx.ReadError, match="reset"):
        bench.reboot(bench.ids[:3])
    assert len(bench.state.accepted_reboots()) == (3 if when == "after" else 0)
    last = bench.state.requests()[-1]
    assert (last.call, last.status, last.faults) == (
        "reboot",
        200 if when == "after" else 0,
        ("reset",),
    )


def test_reset_is_a_tcp_reset(bench: Bench) -> None:
    """The client's socket sees ECONNRESET, not an end of file."""
    bench.fault(do="reset", on="any")
    host, port = bench.running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1000)


def test_truncated_body(bench: Bench) -> None:
    """The body ends half way, though its whole length was announced; the request was
    carried out.
    """
    bench.fault(do="truncate", on="reboot")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        bench.reboot(bench.ids[:1])
    assert len(bench.state.accepted_reboots()) == 1


def test_delay_of_simulated_time(bench: Bench) -> None:
    """A late request is carried out late, a late answer after it was carried out; both in
    simulated seconds.
    """
    bench.fault(do="delay", on="reboot", seconds="90s", when="before")
    bench.fault(do="delay", on="reboot", seconds="20s", when="after")
    started = bench.clock.now()
    bench.rebooted(bench.ids[:1])
    assert bench.clock.slept == [90, 20]
    (reboot,) = bench.state.accepted_reboots()
    assert (reboot.at - started).total_seconds() == 90


def test_delay_of_real_time(bench: Bench) -> None:
    """A delay by the wall clock outlasts a client's patience, while simulated time stands still."""
    bench.fault(do="delay", on="limits", seconds="30s", clock="wall")
    with pytest.raises(httpx.ReadTimeout):
        bench.request("GET", LIMITS, timeout=0.05)
    assert bench.clock.slept == []


def test_client_that_goes_away_after_the_request(bench: Bench) -> None:
    """A request that arrived whole is carried out even if nobody waits for its answer."""
    bench.fault(do="delay", on="reboot", seconds="500ms", clock="wall", when="before")
    with pytest.raises(httpx.ReadTimeout):
        bench.request(
            "POST",
            "/v1/{p}/cloudservers/action",
            json={"reboot": {"type": "SOFT", "servers": [{"id": bench.ids[0]}]}},
            timeout=httpx.Timeout(5, read=0.05),
        )
    for _ in range(1000):
        if bench.state.accepted_reboots():
            break
        bench.get(LIMITS)
    assert bench.state.reboot_counts() == {bench.ids[0]: 1}


def test_expired_token(bench: Bench) -> None:
    """All tokens end before the call: 401 APIGW.0307 until a new login."""
    bench.fault(do="expire_token", on="list", after=1)
    assert bench.get("/v1/{p}/cloudservers/detail").status_code == 200
    for _ in range(2):
        answer = bench.get("/v1/{p}/cloudservers/detail")
        assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0307")
    bench.login()
    assert bench.get("/v1/{p}/cloudservers/detail").status_code == 200


@pytest.mark.parametrize("parent", ["FAIL", "SUCCESS"])
def test_failed_sub_job(bench: Bench, parent: str) -> None:
    """The named server's sub-job fails with the code given, once; the parent ends as
    the rule says.
    """
    bench.fault(
        do="job_fail",
        servers={"names": ["web-002"]},
        parent=parent,
        code="Ecs.0227",
        message='{"x":1}',
    )
    bad = bench.id_of("web-002")
    job_id = bench.rebooted(bench.ids)
    bench.clock.advance(200)
    sub_jobs = bench.sub_jobs(job_id)
    assert {i for i, s in sub_jobs.items() if s["status"] == "FAIL"} == {bad}
    assert sub_jobs[bad]["error_code"] == "Ecs.0227"
    assert sub_jobs[bad]["entities"]["errorcode_message"] == '{"x":1}'
    assert bench.job(job_id)["status"] == parent
    assert bench.history(bad)[0]["message"] == "Error"
    assert bench.status(bad) == ("ACTIVE", None)
    again = bench.rebooted([bad])
    bench.clock.advance(200)
    assert bench.job(again)["status"] == "SUCCESS"


def test_failed_without_going_down(bench: Bench) -> None:
    """With `goes_down: false` the server was never touched: no REBOOT, no history, no count."""
    bench.fault(do="job_fail", goes_down=False, code=None, reason=None)
    job_id = bench.rebooted(bench.ids[:1])
    bench.clock.advance(3)
    assert bench.status(bench.ids[0]) == ("ACTIVE", None)
    bench.clock.advance(30)
    sub_job = bench.sub_jobs(job_id)[bench.ids[0]]
    assert (sub_job["status"], sub_job["error_code"], sub_job["fail_reason"]) == (
        "FAIL",
        None,
        None,
    )
    assert bench.history(bench.ids[0]) == []
    assert not bench.state.reboot_counts()


def test_stuck_job(bench: Bench) -> None:
    """The job runs for ever and is never deleted, though its servers are back."""
    bench.fault(do="job_stuck", servers={"names": ["web-001"]})
    job_id = bench.rebooted(bench.ids)
    bench.clock.advance(3 * 86_400)
    job = bench.job(job_id)
    assert (job["status"], job["end_time"]) == ("RUNNING", "")
    stuck = [
        s["entities"]["server_id"] for s in job["entities"]["sub_jobs"] if s["status"] == "RUNNING"
    ]
    assert stuck == [bench.id_of("web-001")]
    assert bench.status(stuck[0]) == ("ACTIVE", None)


def test_unknown_job(bench: Bench) -> None:
    """A new job is Common.0011 for a while."""
    bench.fault(do="job_unknown", seconds="10s")
    job_id = bench.rebooted(bench.ids[:1])
    bench.clock.advance(9.9)
    assert bench.job(job_id)["code"] == "Common.0011"
    bench.clock.advance(0.1)
    assert bench.job(job_id)["status"] == "RUNNING"


def test_missing_sub_job(bench: Bench) -> None:
    """A server is rebooted although the job never lists it; the total still counts it."""
    bench.fault(do="sub_job_missing", servers={"names": ["web-001"]})
    job_id = bench.rebooted(bench.ids)
    bench.clock.advance(200)
    missing = bench.id_of("web-001")
    assert set(bench.sub_jobs(job_id)) == set(bench.ids) - {missing}
    assert bench.job(job_id)["entities"]["sub_jobs_total"] == 20
    assert len(bench.history(missing)) == 1


@pytest.mark.parametrize(
    ("sub_job", "parent"), [("FAIL", "FAIL"), ("SUCCESS", "SUCCESS"), ("RUNNING", "RUNNING")]
)
def test_server_ends_in_error(bench: Bench, sub_job: str, parent: str) -> None:
    """The server ends in ERROR with a fault, whatever its sub-job says."""
    bench.fault(do="server_error", sub_job=sub_job)
    job_id = bench.rebooted(bench.ids[:1])
    bench.clock.advance(200)
    assert bench.sub_jobs(job_id)[bench.ids[0]]["status"] == sub_job
    assert bench.job(job_id)["status"] == parent
    shown = bench.show(bench.ids[0])
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("ERROR", "error")
    assert shown["fault"]["code"] == 500
    assert shown["fault"]["created"] == shown["updated"]
    assert bench.listed(status="ERROR")["count"] == 1


def test_server_stays_in_reboot(bench: Bench) -> None:
    """The sub-job succeeds, the server never comes back; only a HARD reboot brings it up again."""
    bench.fault(do="stays_in_reboot")
    job_id = bench.rebooted(bench.ids[:1])
    bench.clock.advance(86_000)
    assert bench.job(job_id)["status"] == "SUCCESS"
    assert bench.status(bench.ids[0]) == ("REBOOT", "reboot_started")
    bench.rebooted(bench.ids[:1], "HARD")
    bench.clock.advance(200)
    assert bench.status(bench.ids[0]) == ("ACTIVE", None)


def test_slow_reboot(bench: Bench) -> None:
    """The reboot takes exactly as long as the rule says."""
    bench.fault(do="slow", seconds="20m", servers={"names": ["web-001"]})
    bench.rebooted(bench.ids)
    bench.clock.advance(1199)
    assert bench.listed(status="REBOOT")["count"] == 1
    bench.clock.advance(2)
    assert bench.listed(status="REBOOT")["count"] == 0


@pytest.mark.parametrize("by", ["rule", "switch"])
def test_state_lag(bench: Bench, by: str) -> None:
    """Lists and shows lag at both edges: ACTIVE while it already goes down, REBOOT while it
    is already back.
    """
    if by == "rule":
        bench.fault(do="state_lag", seconds="10s")
    else:
        bench.switch(state_lag="10s")
    bench.rebooted(bench.ids[:1])
    (reboot,) = bench.state.accepted_reboots()
    assert reboot.back is not None
    bench.clock.advance(5)
    assert bench.state.server_status(bench.ids[0]) == "REBOOT"
    assert bench.status(bench.ids[0]) == ("ACTIVE", None)
    bench.clock.moment = reboot.back
    assert bench.state.server_status(bench.ids[0]) == "ACTIVE"
    assert bench.status(bench.ids[0])[0] == "REBOOT"
    bench.clock.advance(10)
    assert bench.status(bench.ids[0]) == ("ACTIVE", None)


def test_history_lag() -> None:
    """Switched so, the action history tells of a reboot only later."""
    with simulated(1, switches={"history_lag": "30s"}) as bench:
        bench.rebooted(bench.ids)
        bench.clock.advance(30)
        assert bench.history(bench.ids[0]) == []
        bench.clock.advance(1)
        assert len(bench.history(bench.ids[0])) == 1


def test_job_visible_later() -> None:
    """Switched so, every job is unknown at first."""
    with simulated(1, switches={"job_visible_after": "5s"}) as bench:
        job_id = bench.rebooted(bench.ids)
        assert bench.job(job_id)["code"] == "Common.0011"
        bench.clock.advance(5)
        assert bench.job(job_id)["status"] == "RUNNING"


def test_reboot_by_somebody_else(bench: Bench) -> None:
    """Somebody else's reboot shows in state and history, has no job of ours and is not on
    the API's account.
    """
    bench.fault(do="rebooted_by_somebody", at="1m", servers={"names": ["web-001"]})
    server = bench.id_of("web-001")
    bench.clock.advance(59)
    assert bench.history(server) == []
    bench.clock.advance(6)
    assert bench.status(server)[0] == "REBOOT"
    assert len(bench.history(server)) == 1
    assert not bench.state.accepted_reboots()
    (reboot,) = bench.state.accepted_reboots(by=None)
    assert bench.job(reboot.job_id)["code"] == "Common.0011"


def test_after_and_times(bench: Bench) -> None:
    """`after` lets calls pass, `times` limits how often a rule fires; other calls are
    not counted.
    """
    bench.fault(do="error", on="limits", after=2, times=2)
    statuses = []
    for _ in range(6):
        statuses.append(bench.get(LIMITS).status_code)
        bench.get("/v1/{p}/cloudservers/tags")
    assert statuses == [200, 200, 500, 500, 200, 200]


def test_stretch_of_time(bench: Bench) -> None:
    """`at` and `until` bound a rule in simulated time, from the moment it was added."""
    bench.clock.advance(1000)
    bench.fault(do="error", on="limits", times="all", at="10s", until="30s")
    statuses = []
    for _ in range(4):
        statuses.append(bench.get(LIMITS).status_code)
        bench.clock.advance(10)
    assert statuses == [200, 500, 500, 200]


def test_probability_is_drawn_by_the_seed() -> None:
    """About as many calls fail as the rule says, the same ones for the same seed."""

    def story(seed: int) -> list[int]:
        with simulated(1, seed=seed) as bench:
            bench.fault(do="error", on="limits", times="all", probability=0.3)
            return [bench.get(LIMITS).status_code for _ in range(60)]

    first, second, third = story(1), story(1), story(2)
    assert first == second != third
    assert 8 <= first.count(500) <= 28


def test_shares_and_counts_of_servers() -> None:
    """A share or count of servers is drawn by the seed: about as many, always the same ones."""
    with simulated(400) as bench:
        bench.fault(do="job_fail", servers={"share": 0.1}, times="all")
        bench.fault(do="locked", servers={"tags": {"role": "db"}, "count": 3})
        fine = [s["id"] for s in bench.listed(limit=1000)["servers"] if not s["locked"]]
        assert len(fine) == 397
        failed = []
        for _ in range(2):
            job_id = bench.rebooted(fine)
            bench.clock.advance(300)
            failed.append({i for i, s in bench.sub_jobs(job_id).items() if s["status"] == "FAIL"})
        assert failed[0] == failed[1]
        assert 20 <= len(failed[0]) <= 65


def test_first_refusal_counts(bench: Bench) -> None:
    """Of several rules on one call the first refusal answers, and delays of the others
    still happen.
    """
    bench.fault(do="throttle", on="any")
    bench.fault(do="error", on="limits")
    bench.fault(do="delay", on="limits", seconds="5s")
    assert bench.get(LIMITS).status_code == 429
    assert bench.clock.slept == [5]


def test_faults_on_logins(bench: Bench) -> None:
    """Logins and project look-ups are calls that can be spoilt too."""
    bench.fault(do="error", on="token", status=503, body="html")
    bench.fault(do="error", on="projects", status=500)
    assert bench.login().status_code == 503
    assert bench.login().status_code == 201
    assert bench.get("/v3/projects").status_code == 500
    assert KEYS.password not in repr(bench.state.requests())


@pytest.mark.parametrize(
    "rule",
    [
        {"do": "nothing"},
        {"do": "throttle"},
        {"do": "throttle", "on": "reboots"},
        {"do": "throttle", "on": "reboot", "status": 200},
        {"do": "error", "on": "any", "tims": 1},
        {"do": "delay", "on": "any"},
        {"do": "delay", "on": "any", "seconds": "soon"},
        {"do": "job_fail", "on": "job"},
        {"do": "locked", "servers": {"share": 2}},
        {"do": "locked", "times": 3},
        {"do": "locked", "probability": 0.5},
        {"do": "create_servers", "servers": {"count": 1}},
        {"do": "create_servers", "for": "1m"},
        {"do": "error", "on": "any", "probability": 0},
    ],
)
def test_wrong_rules(rule: dict[str, Any]) -> None:
    """A rule with an unknown word, a missing field or a value out of range is refused."""
    with pytest.raises(ValidationError):
        RULES.validate_python([rule])


def test_unused_connection_is_not_touched(bench: Bench) -> None:
    """A fault on one connection leaves the others alone."""
    bench.fault(do="reset", on="reboot")
    with httpx.Client(trust_env=False, verify=False) as other:  # noqa: S501 - plain http on loopback
        url = bench.running.url + f"/v1/{bench.running.project_id}/cloudservers/limits"
        assert other.get(url, headers=bench.headers).status_code == 200
        with pytest.raises(httpx.ReadError):
            bench.reboot(bench.ids[:1])
        assert other.get(url, headers=bench.headers).status_code == 200
    assert http().get(url, headers=bench.headers).status_code == 200
