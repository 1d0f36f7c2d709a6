"""The course of a reboot: what is taken, what is refused, and how job, servers and history
tell of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from .bench import START, Bench, simulated


@pytest.fixture
def bench() -> Iterator[Bench]:
    with simulated(20) as bench:
        yield bench


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def when(text: str) -> float:
    """Seconds from the start of the simulation to a time of the API."""
    return (datetime.fromisoformat(text) - START).total_seconds()


def test_timing_is_as_recorded(bench: Bench) -> None:
    """A sub-job begins 0.1 s after the request and ends when its server is back; the parent
    ends 8 s after the last.
    """
    job_id = bench.rebooted(bench.ids)
    bench.clock.advance(300)
    job = bench.job(job_id)
    begins = [when(s["begin_time"]) for s in job["entities"]["sub_jobs"]]
    ends = [when(s["end_time"]) for s in job["entities"]["sub_jobs"]]
    assert when(job["begin_time"]) == 0
    assert all(0.1 <= b <= 0.2 for b in begins)
    assert when(job["end_time"]) == pytest.approx(max(ends) + 8, abs=0.001)
    assert all(15 <= e - b <= 120 for b, e in zip(begins, ends, strict=True))
    assert len(set(ends)) > 15
    for reboot, ended in zip(bench.state.accepted_reboots(), ends, strict=True):
        assert reboot.back is not None
        assert (reboot.back - START).total_seconds() == ended


@pytest.mark.parametrize(
    ("kind", "status", "task"),
    [("SOFT", "REBOOT", "reboot_started"), ("HARD", "HARD_REBOOT", "reboot_started_hard")],
)
def test_server_goes_down_and_comes_back(bench: Bench, kind: str, status: str, task: str) -> None:
    """ACTIVE, then REBOOT or HARD_REBOOT with its task, then ACTIVE; `updated` moves at
    both edges.
    """
    server = bench.ids[0]
    before = bench.show(server)["updated"]
    bench.rebooted([server], kind)
    assert bench.status(server) == ("ACTIVE", None)
    bench.clock.advance(2)
    assert bench.status(server) == (status, task)
    down = bench.show(server)["updated"]
    bench.clock.advance(130)
    assert bench.status(server) == ("ACTIVE", None)
    back = bench.show(server)["updated"]
    assert before < down == "2026-11-03T22:00:00Z" < back
    assert bench.show(bench.ids[1])["updated"] < down


def test_history_names_the_request(bench: Bench) -> None:
    """The action history gets a reboot with the request id of the POST, newest first."""
    ids = []
    for _ in range(2):
        ids.append(bench.reboot(bench.ids[:1]).headers["x-request-id"])
        bench.clock.advance(200)
    lines = bench.history(bench.ids[0])
    assert [line["request_id"] for line in lines] == ids[::-1]
    assert lines[1]["start_time"] == "2026-11-03T22:00:00.000000"
    assert bench.history(bench.ids[1]) == []


def test_sub_jobs_end_one_by_one(bench: Bench) -> None:
    """At each moment exactly those sub-jobs are over whose servers are back."""
    job_id = bench.rebooted(bench.ids)
    counts = []
    for _ in range(14):
        bench.clock.advance(5)
        over = {i for i, s in bench.sub_jobs(job_id).items() if s["status"] == "SUCCESS"}
        idle = {s["id"] for s in bench.listed(limit=1000)["servers"] if s["status"] == "ACTIVE"}
        assert over == idle
        counts.append(len(over))
    assert counts == sorted(counts)
    assert len(set(counts)) > 4


def test_finished_job_vanishes_after_a_day(bench: Bench) -> None:
    """A job is known for one day after its end, then it is Common.0011 like one that never was."""
    job_id = bench.rebooted(bench.ids[:1])
    bench.clock.advance(200)
    bench.clock.advance(86_400 - 200)
    assert bench.job(job_id)["status"] == "SUCCESS"
    bench.clock.advance(200)
    answer = bench.get(f"/v1/{{p}}/jobs/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (400, "Common.0011")
    assert len(bench.state.accepted_reboots()) == 1


UUID = "616fb98f-46ca-475e-917e-2563e5a8cd19"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "Common.0002"),
        ("  ", "Common.0002"),
        ("{", "Ecs.0005"),
        ("[" * 100_000, "Ecs.0005"),
        ("[]", "Ecs.0005"),
        ("{}", "Ecs.0005"),
        ('{"reboot":{},"os-stop":{}}', "Ecs.0005"),
        ('{"os-start":{"servers":[]}}', "Ecs.0005"),
        ('{"reboot":3}', "Ecs.0005"),
        ('{"reboot":{"servers":[{"id":"%s"}]}}', "Ecs.0005"),
        ('{"reboot":{"type":"hard","servers":[{"id":"%s"}]}}', "Ecs.0005"),
        ('{"reboot":{"type":"SOFT","servers":[]}}', "Ecs.0005"),
        ('{"reboot":{"type":"SOFT","servers":["%s"]}}', "Ecs.0005"),
        ('{"reboot":{"type":"SOFT","servers":[{"id":"web-001"}]}}', "Ecs.0005"),
        ('{"reboot":{"type":"SOFT","servers":[{"id":"%s"},{"id":"%s"}]}}', "Ecs.0005"),
        ('{"reboot":{"type":"SOFT","servers":[{"id":"%s"}]}}', "Ecs.0114"),
    ],
)
def test_wrong_requests(bench: Bench, body: str, code: str) -> None:
    """A request that is none is refused with its documented code, and nothing goes down."""
    answer = bench.request("POST", "/v1/{p}/cloudservers/action", content=body.replace("%s", UUID))
    assert error_of(answer)[1] == code
    assert answer.status_code == (404 if code == "Ecs.0114" else 400)
    assert not bench.state.accepted_reboots()


def test_more_than_1000_in_a_request() -> None:
    """1,001 servers in one request are Ecs.0118; 1,000 are taken."""
    with simulated(1001) as bench:
        assert error_of(bench.reboot(bench.ids)) == (400, "Ecs.0118")
        assert bench.reboot(bench.ids[:1000]).status_code == 200


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("429", 429, "Common.1503"),
        ("202", 202, "Common.0024"),
        ("503", 503, "Common.1503"),
        ("429-gateway", 429, None),
    ],
)
def test_quota_in_any_60_seconds(switch: str, status: int, code: str | None) -> None:
    """No more than 1,000 servers in any 60 s: over that nothing is taken, as switched; then
    there is room again.
    """
    with simulated(1200, switches={"quota": switch, "quota_retry_after": True}) as bench:
        assert bench.reboot(bench.ids[:600]).status_code == 200
        bench.clock.advance(30)
        assert bench.reboot(bench.ids[600:1000]).status_code == 200
        bench.clock.advance(29.9)
        refused = bench.reboot(bench.ids[1000:1001])
        assert refused.status_code == status
        assert refused.headers["retry-after"] == "1"
        if code is None:
            assert refused.json()["error_code"] == "APIGW.0308"
            assert "limit:1000,time:1 minute" in refused.json()["error_msg"]
        else:
            assert refused.json()["error"]["code"] == code
        bench.clock.advance(0.1)
        assert bench.reboot(bench.ids[1000:1200]).status_code == 200
        assert len(bench.state.accepted_reboots()) == 1200


TROUBLES = [
    ({"do": "missing"}, 404, "Ecs.0114"),
    ({"do": "locked"}, 400, "Ecs.0605"),
    ({"do": "frozen"}, 400, "Ecs.0030"),
    ({"do": "busy"}, 501, "Ecs.0603"),
    ({"do": "not_active"}, 400, "Ecs.0100"),
    ({"do": "not_active", "status": "ERROR"}, 400, "Ecs.0100"),
    ({"do": "rebooted_by_somebody"}, 501, "Ecs.0603"),
]


@pytest.mark.parametrize(
    ("rule", "status", "code"), TROUBLES, ids=[r["do"] for r, _, _ in TROUBLES]
)
def test_bad_server_refuses_the_batch(
    bench: Bench, rule: dict[str, Any], status: int, code: str
) -> None:
    """One server that cannot be rebooted refuses the whole batch with its code; the
    others stay up.
    """
    bench.fault(**rule, servers={"names": ["web-003"]})
    bench.clock.advance(1)
    assert error_of(bench.reboot(bench.ids)) == (status, code)
    bench.clock.advance(1)
    assert not bench.state.accepted_reboots()
    assert bench.status(bench.ids[0]) == ("ACTIVE", None)


@pytest.mark.parametrize(
    ("rule", "status", "code"), TROUBLES, ids=[r["do"] for r, _, _ in TROUBLES]
)
def test_bad_server_fails_its_sub_job(rule: dict[str, Any], status: int, code: str) -> None:
    """Switched so, it only fails its own sub-job, without going down; the others are rebooted."""
    with simulated(20, switches={"bad_servers": "sub_job"}) as bench:
        bench.fault(**rule, servers={"names": ["web-003"]})
        bench.clock.advance(1)
        job_id = bench.rebooted(bench.ids)
        bench.clock.advance(200)
        bad = bench.id_of("web-003")
        sub_jobs = bench.sub_jobs(job_id)
        assert sub_jobs[bad]["error_code"] == code
        assert {i for i, s in sub_jobs.items() if s["status"] == "FAIL"} == {bad}
        assert bench.state.reboot_counts() == dict.fromkeys(set(bench.ids) - {bad}, 1)


@pytest.mark.parametrize("refusal", ["plain", "details", "named"])
def test_refusal_of_several(refusal: str) -> None:
    """Several reasons come as Ecs.0611 with details, or, switched so, with each server by name."""
    with simulated(20, switches={"refusal": refusal}) as bench:
        bench.fault(do="locked", servers={"names": ["web-001"]})
        bench.fault(do="not_active", servers={"names": ["web-002", "web-003"]})
        answer = bench.reboot(bench.ids)
        assert error_of(answer) == (400, "Ecs.0611")
        if refusal == "named":
            named = {e["id"]: e["error_code"] for e in answer.json()["internalError"]}
            expected = {"web-001": "Ecs.0605", "web-002": "Ecs.0100", "web-003": "Ecs.0100"}
            assert named == {bench.id_of(n): code for n, code in expected.items()}
        else:
            assert {d["code"] for d in answer.json()["error"]["details"]} == {
                "Ecs.0605",
                "Ecs.0100",
            }


def test_rebooting_server_is_busy_for_soft_not_for_hard(bench: Bench) -> None:
    """A server in REBOOT refuses SOFT with Ecs.0603 and takes HARD, as the user guide says;
    both count.
    """
    server = bench.ids[0]
    bench.rebooted([server])
    bench.clock.advance(5)
    assert error_of(bench.reboot([server])) == (501, "Ecs.0603")
    bench.rebooted([server], "HARD")
    bench.clock.advance(1)
    assert bench.status(server)[0] == "HARD_REBOOT"
    assert bench.state.reboot_counts()[server] == 2


def test_queued_reboots() -> None:
    """Switched so, a second reboot of a server begins when the first is over."""
    with simulated(1, switches={"rebooting_servers": "queue"}) as bench:
        for _ in range(2):
            bench.rebooted(bench.ids)
        first, second = bench.state.accepted_reboots()
        assert first.back is not None
        assert second.begins >= first.back


def test_further_switches() -> None:
    """Lower case, merged duplicates, the other missing and busy codes, and 404 for jobs,
    each when switched.
    """
    words = {
        "lower_case_type": True,
        "duplicates": "merge",
        "missing_code": "Ecs.0614",
        "gone_job": "404",
    }
    with simulated(2, switches=words | {"busy_code": "Ecs.0100"}) as bench:
        assert error_of(bench.reboot([UUID]))[1] == "Ecs.0614"
        assert bench.reboot([bench.ids[0], bench.ids[0].upper()], "hard").status_code == 200
        assert bench.state.reboot_counts() == {bench.ids[0]: 1}
        assert bench.get("/v1/{p}/jobs/none").status_code == 404
        bench.clock.advance(1)
        assert error_of(bench.reboot([bench.ids[0]], "SOFT"))[1] == "Ecs.0100"


def test_parent_of_mixed_results() -> None:
    """A mixed batch ends FAIL or SUCCESS as switched; one in which everything failed ends FAIL."""
    for parent in ("FAIL", "SUCCESS"):
        with simulated(3, switches={"bad_servers": "sub_job", "parent_of_mixed": parent}) as bench:
            bench.fault(do="locked", servers={"names": ["web-001"]})
            mixed, failed = bench.rebooted(bench.ids), bench.rebooted(bench.ids[:1])
            bench.clock.advance(200)
            assert bench.job(mixed)["status"] == parent
            assert bench.job(failed)["status"] == "FAIL"


def test_same_seed_same_story() -> None:
    """Two worlds of one seed give the same answers to the same calls, job ids and times
    included.
    """

    def story() -> list[str]:
        with simulated(10, seed=7) as bench:
            job_id = bench.rebooted(bench.ids)
            bench.clock.advance(30)
            texts = [
                json.dumps(bench.job(job_id)),
                json.dumps(bench.listed()),
                json.dumps(bench.history(bench.ids[0])),
            ]
            return texts

    assert story() == story()


def test_fixed_reboot_time() -> None:
    """With a fixed reboot time each server is back exactly then."""
    with simulated(5, reboot_seconds=40) as bench:
        bench.rebooted(bench.ids)
        took = {
            (r.back - r.begins).total_seconds() for r in bench.state.accepted_reboots() if r.back
        }
        assert took == {40}
