"""Answers have the documented shapes: compared with the documentation's own examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.simulator.switches import Switches

from .bench import KEYS, Bench, http, simulated, token_request

FIXTURES = Path(__file__).parents[1] / "fixtures" / "api"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with simulated(40) as bench:
        yield bench


def documented(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


def shape(value: Any) -> Any:
    """Types all the way down. Of a list the first entry; null fits anything."""
    if isinstance(value, dict):
        return {key: shape(v) for key, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def unlike(answer: Any, example: Any, where: str = "") -> list[str]:
    """Where an answer's shape differs from the example's: keys missing and types changed."""
    if isinstance(example, dict) and isinstance(answer, dict):
        missing = [f"{where}.{key} is missing" for key in example if key not in answer]
        return missing + [
            d for k in example if k in answer for d in unlike(answer[k], example[k], f"{where}.{k}")
        ]
    if isinstance(example, list) and isinstance(answer, list):
        return unlike(answer[0], example[0], f"{where}[0]") if answer and example else []
    if "NoneType" in (answer, example) or answer == example:
        return []
    return [f"{where} is {answer}, not {example}"]


def test_the_comparison_sees_differences() -> None:
    """A missing key and a number that should be a text are both seen."""
    assert unlike(shape({"a": 1}), shape({"a": "1", "b": 2})) == [
        ".b is missing",
        ".a is int, not str",
    ]


def test_server_of_a_show(bench: Bench) -> None:
    """A shown server has every documented field with its documented type, numbers written
    as texts included.
    """
    example = documented("server-single.json")
    example["server"]["metadata"] = {}
    example["server"]["addresses"] = {}
    example["server"]["flavor"].pop("asic_accelerators")
    server = {"server": bench.show(bench.ids[0])}
    assert unlike(shape(server), shape(example)) == []
    address = next(iter(server["server"]["addresses"].values()))[0]
    documented_address = next(
        iter(documented("server-single.json")["server"]["addresses"].values())
    )[0]
    assert unlike(shape(address), shape(documented_address)) == []


def test_server_of_a_list(bench: Bench) -> None:
    """A list answers `count` and `servers` as the documented page, with `request_id` as
    live answers have it.
    """
    page = bench.listed(limit=3)
    example = documented("servers-detail-states.json")
    for server in example["servers"]:
        server["metadata"] = server["addresses"] = server["os:scheduler_hints"] = {}
    assert unlike(shape(page), shape(example)) == []
    assert page["count"] == 40
    assert len(page["servers"]) == 3
    assert len(page["request_id"]) == 32


def test_ghost(bench: Bench) -> None:
    """The `server_id` filter gives an id that does not exist back with every other field
    null but `fault`.
    """
    example = documented("servers-by-id-missing.json")
    missing = example["servers"][0]["id"]
    page = bench.listed(server_id=missing)
    assert page["servers"] == example["servers"]
    assert page["count"] == 1


def test_job_from_init_to_success() -> None:
    """A job is INIT without sub-jobs, RUNNING without error keys and with an empty end,
    then SUCCESS with nulls.
    """
    with simulated(3) as bench:
        accepted = bench.reboot(bench.ids)
        assert shape(accepted.json()) == shape(documented("reboot-accepted.json"))
        job_id = accepted.json()["job_id"]
        keys = {
            "INIT": "job-init.json",
            "RUNNING": "job-running.json",
            "SUCCESS": "job-success-batch.json",
        }
        for status, seconds in (("INIT", 0.5), ("RUNNING", 150), ("SUCCESS", 0)):
            job, example = bench.job(job_id), documented(keys[status])
            if status == "RUNNING":  # compare with the example's sub-job that still runs
                example["entities"]["sub_jobs"].reverse()
                assert (
                    job["entities"]["sub_jobs"][0].keys()
                    == example["entities"]["sub_jobs"][0].keys()
                )
            assert job["status"] == status
            assert job.keys() == example.keys()
            assert unlike(shape(job), shape(example)) == []
            bench.clock.advance(seconds)
        assert job["entities"]["sub_jobs"][0].keys() == example["entities"]["sub_jobs"][0].keys()


def test_partly_failed_job() -> None:
    """A failed sub-job carries code, reason and message where the constructed example has them."""
    with simulated(2, switches={"bad_servers": "sub_job"}) as bench:
        bench.fault(do="not_active", servers={"names": ["api-*"]})
        job_id = bench.rebooted(bench.ids)
        bench.clock.advance(200)
        job, example = bench.job(job_id), documented("job-partial-fail.json")
        assert unlike(shape(job), shape(example)) == []
        assert (job["status"], job["error_code"], job["fail_reason"]) == (
            "FAIL",
            "Common.0021",
            "Sub job fail!",
        )
        failed, failed_example = job["entities"]["sub_jobs"][1], example["entities"]["sub_jobs"][1]
        assert unlike(shape(failed), shape(failed_example)) == []
        assert failed["error_code"] == failed_example["error_code"]
        json.loads(failed["entities"]["errorcode_message"])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/{p}/cloudservers/os-server-groups?limit=1", "server-groups.json"),
        ("/v1/{p}/cloudservers/tags", "project-tags.json"),
        ("/v1/{p}/cloudservers/{server}/tags", "server-tags.json"),
        ("/v3/projects?name=eu-west-101", "projects.json"),
    ],
)
def test_other_reads(bench: Bench, path: str, name: str) -> None:
    """Groups, tags and projects have the documented shape."""
    answer = bench.request("GET", path.replace("{server}", bench.ids[0]))
    assert answer.status_code == 200
    assert unlike(shape(answer.json()), shape(documented(name))) == []


def test_tag_query(bench: Bench) -> None:
    """The tag query answers like the documented one on the path of its cloud, is unknown on
    the other's, and counts.
    """
    wanted = {
        "action": "filter",
        "limit": "2",
        "offset": "1",
        "tags": [{"key": "role", "values": ["web", "db"]}],
    }
    for path, other, cloud in (
        ("cloudservers", "servers", "huaweicloud"),
        ("servers", "cloudservers", "otc"),
    ):
        bench.state.set_switches(Switches.model_validate({"cloud": cloud}))
        stray = bench.request("POST", f"/v1/{{p}}/{other}/resource_instances/action", json=wanted)
        assert (stray.status_code, stray.json()["error_code"]) == (404, "APIGW.0101")
        answer = bench.request("POST", f"/v1/{{p}}/{path}/resource_instances/action", json=wanted)
        assert unlike(shape(answer.json()), shape(documented("tags-query.json"))) == []
        assert answer.json()["total_count"] == 24
        assert len(answer.json()["resources"]) == 2
    counted = bench.request(
        "POST", "/v1/{p}/servers/resource_instances/action", json=wanted | {"action": "count"}
    )
    assert counted.json() == {"total_count": 24}


def test_token(bench: Bench) -> None:
    """A token request of the documented form gets 201, the token in a header and the
    documented body.
    """
    request = token_request(bench.running.region)
    assert shape(request) == shape(documented("token-request.json"))
    answer = http().post(bench.running.url + "/v3/auth/tokens?nocatalog=true", json=request)
    assert answer.status_code == 201
    assert len(answer.headers["X-Subject-Token"]) > 1024
    assert unlike(shape(answer.json()), shape(documented("token-response.json"))) == []


def test_headers_of_live_answers(bench: Bench) -> None:
    """Each answer carries the gateway's name and a request id of 32 hex digits of its own."""
    first, second = (
        bench.get("/v1/{p}/cloudservers/limits"),
        bench.get("/v1/{p}/cloudservers/limits"),
    )
    assert first.headers["server"] == "api-gateway"
    assert first.headers["content-type"] == "application/json"
    assert len(bytes.fromhex(first.headers["x-request-id"])) == 16
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/v1/{p}/jobs/0", 400, "job-query-error.json"),
        ("GET", "/v1/{p}/cloudservers/00000000-0000-4000-8000-000000000001", 404, "error-ecs.json"),
        ("GET", "/v2.1/{p}/servers/0/os-instance-actions", 404, "error-openstack.json"),
        ("GET", "/v1/{p}/cloudservers/action", 404, "error-apigw-404.json"),
        ("GET", "/v1/{p}/cloudservers/detail/", 404, "error-apigw-404.json"),
        ("PATCH", "/", 404, "error-apigw-404.json"),
    ],
)
def test_errors(bench: Bench, method: str, path: str, status: int, name: str) -> None:
    """Each family of calls answers errors in its own documented shape; a wrong method is an
    unknown API.
    """
    answer = bench.request(method, path)
    example = documented(name)
    assert answer.status_code == status
    assert shape(answer.json()) == shape(example)
    for key in ("code", "error_code"):
        assert answer.json().get(key) == example.get(key)


def test_user_data_is_there_to_be_ignored(bench: Bench) -> None:
    """Servers carry `user_data` with a password hash, as recorded ones do, so that clients
    can prove they drop it.
    """
    assert bench.show(bench.ids[0])["OS-EXT-SRV-ATTR:user_data"]
    assert KEYS.password not in bench.show(bench.ids[0])["OS-EXT-SRV-ATTR:user_data"]
