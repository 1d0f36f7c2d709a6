"""JSON of the service as our nouns: the documented examples, and what live answers leave out."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cloud.huawei import decode
from runner.model.inventory import NO_TAGS, PowerState, Server
from runner.model.job import Job, JobStatus
from tests.cloud.wild import fixture

ONE, TWO = "616fb98f-46ca-475e-917e-2563e5a8cd19", "726fb98f-46ca-475e-917e-2563e5a8cd20"


def load(name: str) -> Any:
    return json.loads(fixture(name))


def test_documented_server() -> None:
    """The single-server example gives every field we keep."""
    assert decode.server(load("server-single.json")["server"]) == Server(
        id="4f4b3dfa-eb70-47cf-a60a-998a53bd598a",
        name="ecs-2ecf",
        zone="az1-dc1",
        flavor="s3.large.1",
        enterprise_project="0",
        updated="2018-09-13T07:06:51Z",
        addresses=("192.168.1.99",),
        own_address="192.168.1.99",
        macs=("fa:16:3e:df:18:6d",),
    )


def test_documented_list() -> None:
    """The list example is read whole; system tags keep their values, `=` in them included."""
    found = [decode.server(s) for s in load("servers-detail.json")["servers"]]
    assert [s and s.name for s in found] == ["ecs-5e70", "ecs-f680", "ecs-3993"]
    assert found[1] is not None
    assert found[1].tags["_sys_root_resource_type"] == "xxx.resource.type.vm"
    assert found[0] is not None
    assert found[0].enterprise_project == "441d5677-b76a-4dd4-a97a-ef7fd633c095"
    assert found[0].addresses == ("192.168.0.206", "192.168.0.8")


@pytest.mark.parametrize(
    ("addresses", "own"),
    [
        ([("100.85.1.2", "floating"), ("192.168.0.4", "fixed")], "192.168.0.4"),
        ([("8.8.4.4", "fixed"), ("10.0.0.4", "fixed"), ("10.0.0.5", "fixed")], "10.0.0.4"),
        ([("2001:db8:ffff::1", "fixed")], "2001:db8:ffff::1"),
        ([("9.9.9.9", "fixed"), ("not an address", "fixed")], "9.9.9.9"),
        ([("10.0.0.9", None)], "10.0.0.9"),
        ([("8.8.8.8", "floating")], ""),
        ([], ""),
    ],
)
def test_own_address(addresses: list[tuple[str, str | None]], own: str) -> None:
    """A server's own address is the first private one of its network cards, else the first;
    never a floating one.
    """
    nets = {
        "vpc": [{"addr": a} | ({"OS-EXT-IPS:type": kind} if kind else {}) for a, kind in addresses]
    }
    found = decode.server({"id": "a", "status": "ACTIVE", "addresses": nets})
    assert found
    assert found.own_address == own


def test_states() -> None:
    """The example of states: task states, locks and groups are where they should be."""
    found = {
        s.name: s for v in load("servers-detail-states.json")["servers"] if (s := decode.server(v))
    }
    assert len(found) == 6
    web = found["web-01"]
    assert dict(web.tags) == {"env": "prod", "role": "web", "canary": ""}
    assert web.server_group == "5bbcc3c4-1da2-4437-a48a-66f15b1b13f9"
    assert web.is_idle
    assert {s.state for s in found.values()} == set(PowerState) - {PowerState.UNKNOWN}
    assert sum(s.locked for s in found.values()) == 1
    assert all(s.words == "running" for s in found.values() if s.is_idle)


def test_user_data_is_never_kept() -> None:
    """Nothing of `user_data`, which can hold a password hash, is left in a decoded server."""
    value = {
        "id": "a",
        "name": "n",
        "status": "ACTIVE",
        "OS-EXT-SRV-ATTR:user_data": "cGxhbnRlZA==",
    }
    assert "cGxhbnRlZA" not in repr(decode.server(value))


def test_ghosts() -> None:
    """An entry that says "no such server" is no server, and tells the id it was asked for."""
    entry = load("servers-by-id-missing.json")["servers"][0]
    assert decode.ghost(entry) == "4f4b3dfa-eb70-47cf-a60a-998a53bd598a"
    assert decode.ghost(load("server-single.json")["server"]) is None


def test_bare_server() -> None:
    """Only the id is required: everything else may be missing, null or of a wrong type."""
    assert decode.server({"id": "a", "status": "ACTIVE"}) == Server("a", "")
    fields = [
        "name",
        "tags",
        "flavor",
        "metadata",
        "addresses",
        "os:scheduler_hints",
        "sys_tags",
        "updated",
        "locked",
    ]
    for wrong in (None, 7, "x", [1], {"a": 1}, [None], [["x"]]):
        value = {"id": "a", "status": "ACTIVE", **dict.fromkeys(fields, wrong)}
        found = decode.server(value)
        assert found is not None
        assert found.is_idle


@pytest.mark.parametrize(
    "value", [None, [], "x", {}, {"id": ""}, {"id": 3, "status": "ACTIVE"}, {"status": "ACTIVE"}]
)
def test_what_is_no_server(value: Any) -> None:
    """What has no id is no server."""
    assert decode.server(value) is None


@pytest.mark.parametrize("status", [None, "", 7, []])
def test_unknown_status(status: Any) -> None:
    """A server whose status is missing is kept, in an unknown state; only an entry of nulls
    says "no such server".
    """
    entry = {"id": "a", "name": "web", "status": status}
    found = decode.server(entry)
    assert found is not None
    assert (found.state, found.is_idle) == (PowerState.UNKNOWN, False)
    assert decode.ghost(entry) is None
    assert (
        decode.ghost({"id": "a", "name": None, "status": None, "tags": [], "fault": {"code": 404}})
        == "a"
    )


@pytest.mark.parametrize(
    "tags",
    [
        {"tags": ["__type_baremetal"]},
        {"tags": ["role=db", "__type_baremetal=true"]},
        {"sys_tags": [{"key": "__type_baremetal", "value": ""}]},
        {"tags": [{"key": "__type_baremetal", "value": None}]},
    ],
)
def test_bare_metal(tags: dict[str, Any]) -> None:
    """A bare metal server is known by its system tag, wherever that stands."""
    found = decode.server({"id": "a", "status": "ACTIVE", **tags})
    assert found is not None
    assert found.bare_metal
    other = decode.server({"id": "a", "status": "ACTIVE", "tags": ["baremetal=__type_baremetal"]})
    assert other is not None
    assert not other.bare_metal


def test_frozen_and_group_spellings() -> None:
    """A frozen server is known by its metadata; a group hint may be a list or a bare text."""
    base = {"id": "a", "status": "ACTIVE"}
    frozen = decode.server(
        {**base, "metadata": {"EcmResStatus": "freeze"}, "os:scheduler_hints": {"group": "g"}}
    )
    assert frozen is not None
    assert frozen.frozen
    assert frozen.server_group == "g"
    normal = decode.server(
        {**base, "metadata": {"EcmResStatus": "normal"}, "os:scheduler_hints": {"group": []}}
    )
    assert normal is not None
    assert not normal.frozen
    assert normal.server_group is None


def test_tags() -> None:
    """Tags are split at the first `=`; both spellings are read; an empty entry is left out."""
    read = decode.tags(
        [
            "a=b=c",
            "d",
            "",
            {"key": "e", "value": "f"},
            {"key": "g"},
            {"key": "h", "value": None},
            "a=b=c",
        ]
    )
    assert read == {"a": "b=c", "d": "", "e": "f", "g": "", "h": ""}
    assert decode.tags(None) is NO_TAGS
    assert decode.tags([]) is NO_TAGS


@pytest.mark.parametrize(
    "value",
    [
        "env=prod",
        {"env": "prod"},
        7,
        True,
        ["env=prod", 7],
        ["env=prod", None],
        [["env", "prod"]],
        ["=prod"],
        [{"key": "env", "value": 1}],
        [{"value": "prod"}],
        [{"Key": "env", "Value": "prod"}],
        ["env=prod", "env=test"],
        ["env=prod", {"key": "env", "value": "test"}],
    ],
)
def test_tags_that_cannot_be_read_are_unknown(value: Any) -> None:
    """They never look like none: an exclusion by a tag would be lost."""
    assert decode.tags(value) is None
    found = decode.server({"id": "a", "name": "a", "status": "ACTIVE", "tags": value})
    assert found is not None
    assert (found.tags_unknown, dict(found.tags)) == (True, {})


def test_groups() -> None:
    """Server groups of the example, members included; a broken entry is an error."""
    found = decode.server_groups(load("server-groups.json"))
    assert [len(g.members) for g in found] == [0, 2]
    assert decode.server_group({"id": "g", "members": None}).members == ()
    with pytest.raises(ValueError, match="not as its page documents"):
        decode.server_group({"name": "g"})


@pytest.mark.parametrize(
    ("name", "status", "parts"),
    [
        ("job-init.json", JobStatus.PENDING, []),
        ("job-running.json", JobStatus.PENDING, [JobStatus.SUCCESS, JobStatus.PENDING]),
        ("job-success-batch.json", JobStatus.SUCCESS, [JobStatus.SUCCESS, JobStatus.SUCCESS]),
        ("job-partial-fail.json", JobStatus.FAIL, [JobStatus.SUCCESS, JobStatus.FAIL]),
        ("job-success-createserver.json", JobStatus.SUCCESS, [JobStatus.SUCCESS]),
        ("job-fail-no-subjobs.json", JobStatus.FAIL, []),
    ],
)
def test_documented_jobs(name: str, status: JobStatus, parts: list[JobStatus]) -> None:
    """Every job example: its status and that of each server's part."""
    job = decode.job(load(name), "j")
    assert job.status is status
    assert [p.status for p in job.sub_jobs.values()] == parts
    assert all(key == part.server_id for key, part in job.sub_jobs.items())


def test_times_of_a_running_job() -> None:
    """While it runs `end_time` is empty: that is no time, not an error."""
    job = decode.job(load("job-running.json"), "j")
    assert job.ended is None
    assert job.began == datetime(2023, 7, 26, 2, 11, 5, 120000, tzinfo=UTC)
    assert job.sub_jobs[ONE].ended == datetime(2023, 7, 26, 2, 11, 38, 4000, tzinfo=UTC)
    assert job.sub_jobs[TWO].ended is None


def test_cause_of_a_failed_part() -> None:
    """A failed part has its own code and sentence."""
    part = decode.job(load("job-partial-fail.json"), "j").sub_jobs[TWO]
    assert part.code == "Ecs.0100"
    assert part.reason is not None
    assert part.reason.startswith("The ECS status does not meet requirements")


def sub(server: str = ONE, status: str = "FAIL", **fields: Any) -> dict[str, Any]:
    entities = {"server_id": server, **fields.pop("entities", {})}
    return {"status": status, "entities": entities, **fields}


def job_of(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"job_id": "j", "status": "FAIL", "entities": {"sub_jobs": list(parts)}, **fields}


@pytest.mark.parametrize(
    ("part", "parent", "code", "reason"),
    [
        (
            sub(error_code="Ecs.0227", fail_reason="own"),
            {"error_code": "Common.0021"},
            "Ecs.0227",
            "own",
        ),
        (
            sub(entities={"errorcode_message": '{"forbidden": {"code": 403, "message": "deep"}}'}),
            {},
            None,
            "deep",
        ),
        (sub(entities={"errorcode_message": "plain"}), {}, None, "plain"),
        (sub(entities={"errorcode_message": "<html>x</html>"}), {}, None, "x"),
        (
            sub(
                entities={"errorcode_message": '{"error": {"code": "Ecs.0319", "message": "deep"}}'}
            ),
            {"error_code": "Common.0021", "fail_reason": "Sub job fail!"},
            "Ecs.0319",
            "deep",
        ),
        (
            sub(
                error_code="Ecs.0227",
                fail_reason="own",
                entities={"errorcode_message": "<title>502</title>"},
            ),
            {},
            "Ecs.0227",
            "own (502)",
        ),
        (
            sub(
                fail_reason=(
                    "Reboot-fail: "
                    'httpCode:400;response:{"error":{"code":"Ecs.0100","message":"no"}}'
                )
            ),
            {},
            "Ecs.0100",
            "Reboot-fail: httpCode:400;response: no",
        ),
        (
            sub(fail_reason={"message": "an object", "code": "Ecs.0005"}),
            {},
            "Ecs.0005",
            "an object",
        ),
        (sub(error_code=227, fail_reason="{broken"), {}, "227", "{broken"),
        (sub(status="CANCELLED", end_time="2026-01-01T00:00:00Z"), {"fail_reason": "p"}, None, "p"),
        (
            sub(),
            {"error_code": "Common.0021", "fail_reason": "parent's"},
            "Common.0021",
            "parent's",
        ),
        (sub(error_code="Ecs.0227"), {}, "Ecs.0227", "the cloud gave no reason"),
        (sub(), {}, None, "the cloud gave no reason"),
        (sub(fail_reason="x" * 9000), {}, None, "x" * 499 + "…"),
    ],
)
def test_where_a_cause_is_looked_for(
    part: dict[str, Any], parent: dict[str, Any], code: str | None, reason: str
) -> None:
    """Own code and reason, then the detailed message, then the parent's, else that none was
    given; never endless.
    """
    found = decode.job(job_of(part, **parent), "j").sub_jobs[ONE]
    assert (found.code, found.reason) == (code, reason)


def test_unknown_words_are_pending() -> None:
    """Only SUCCESS and FAIL are final."""
    for word in ("INIT", "RUNNING", "PENDING_PAYMENT", "DONE", "", None, 3, ["FAIL"]):
        assert decode.job_status(word) is JobStatus.PENDING
    assert decode.job_status("SUCCESS").is_final
    assert decode.job_status("FAIL").is_final


@pytest.mark.parametrize(
    ("word", "end_time", "looks"),
    [
        ("FAILED", "2026-01-01T00:00:00.000Z", True),
        ("CANCELLED", "yesterday", True),
        ("Done", 1442341200000, True),
        ("CANCELLED", "", False),
        ("CANCELLED", None, False),
        ("RUNNING", "2026-01-01T00:00:00.000Z", False),
        ("init", "2026-01-01T00:00:00.000Z", False),
        ("SUCCESS", "2026-01-01T00:00:00.000Z", False),
        ("FAIL", "2026-01-01T00:00:00.000Z", False),
        ("", "2026-01-01T00:00:00.000Z", False),
    ],
)
def test_unknown_word_with_an_end(word: str, end_time: Any, looks: bool) -> None:
    """An undocumented status word with an end time looks ended, in the job and in its
    parts; its word is kept.
    """
    job = decode.job(
        job_of(sub(status=word, end_time=end_time)) | {"status": word, "end_time": end_time}, "j"
    )
    assert (job.looks_ended, job.sub_jobs[ONE].looks_ended) == (looks, looks)
    assert (job.word, job.sub_jobs[ONE].word) == (word, word)


def test_part_without_a_server() -> None:
    """A sub-job that names no server keeps its code and reason, apart from those of servers."""
    nameless = {
        "status": "FAIL",
        "error_code": "Ecs.0227",
        "fail_reason": "host is gone",
        "end_time": "x",
    }
    job = decode.job(
        job_of(sub(status="SUCCESS"), nameless, {"entities": {"server_id": 7}}), "j", "req"
    )
    assert list(job.sub_jobs) == [ONE]
    assert [(p.server_id, p.code, p.reason) for p in job.anonymous] == [
        ("", "Ecs.0227", "host is gone"),
        ("", None, None),
    ]
    assert job.request_id == "req"


def test_job_with_too_many_parts() -> None:
    """More sub-jobs than a request can have servers are refused before any is read."""
    most = decode.MOST_SUB_JOBS
    assert len(decode.job(job_of(*[sub(str(n)) for n in range(most)]), "j").sub_jobs) == most
    with pytest.raises(ValueError, match="sub-jobs, more than"):
        decode.job(job_of(*[{}] * (most + 1)), "j")


def test_failed_job_without_parts() -> None:
    """A job that failed before it had parts tells its code and reason, and names no server."""
    job = decode.job(load("job-fail-no-subjobs.json"), "j")
    assert (job.status, job.word, job.code) == (JobStatus.FAIL, "FAIL", "Common.0021")
    assert job.reason == "Internal error: the task could not be carried out."
    assert job.ended == datetime(2026, 11, 30, 22, 10, 5, 870000, tzinfo=UTC)
    assert not job.sub_jobs
    assert not job.anonymous


def test_two_parts_for_one_server() -> None:
    """Of two parts for one server the one that began later counts, in whichever order
    they stand.
    """
    early = sub(begin_time="2026-01-01T00:00:00.000Z")
    late = sub(status="SUCCESS", begin_time="2026-01-01T00:05:00.000Z")
    for parts in ((early, late), (late, early)):
        assert decode.job(job_of(*parts), "j").sub_jobs[ONE].status is JobStatus.SUCCESS


def test_job_of_a_single_server() -> None:
    """A job without sub-jobs that names a server is that server's."""
    job = decode.job({"status": "SUCCESS", "entities": {"server_id": ONE}}, "j")
    assert job.sub_jobs[ONE].status is JobStatus.SUCCESS


NO_PARTS: list[Any] = [
    *(None, [], {}, {"entities": None}, {"entities": {"sub_jobs": {"a": 1}}}),
    {"entities": {"sub_jobs": [None, {}, {"entities": {"server_id": ""}}]}},
]


@pytest.mark.parametrize("value", NO_PARTS)
def test_jobs_without_parts(value: Any) -> None:
    """A job that tells nothing is pending and has no parts."""
    job = decode.job(value, "j")
    assert job.status is JobStatus.PENDING
    assert not job.sub_jobs


def test_reboot_history() -> None:
    """A history comes newest first, whatever its order was, and has reboots with times only."""
    listed = [
        {"action": "reboot", "start_time": "2025-01-01T00:00:00.000000"},
        {"action": "reboot", "start_time": "yesterday"},
        {"action": "create", "start_time": "2020-01-01T00:00:00.000000", "request_id": "a"},
        {"action": "odd", "start_time": "yesterday"},
        {"action": "reboot", "start_time": "2026-01-01T00:00:00.000000", "message": None},
        "junk",
    ]
    found = decode.reboot_history({"instanceActions": listed})
    assert found == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "value", [{}, {"instanceActions": None}, [], None, {"instance_actions": []}]
)
def test_unreadable_history(value: Any) -> None:
    """A history that is not there is not an empty one."""
    with pytest.raises(ValueError, match="instanceActions"):
        decode.reboot_history(value)
    assert decode.reboot_history({"instanceActions": []}) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-07-26T02:11:05.120Z", datetime(2023, 7, 26, 2, 11, 5, 120000, tzinfo=UTC)),
        ("2019-05-22T03:30:52Z", datetime(2019, 5, 22, 3, 30, 52, tzinfo=UTC)),
        ("2018-08-13T13:46:46.000000", datetime(2018, 8, 13, 13, 46, 46, tzinfo=UTC)),
        ("2020-01-04T09:05:22.701000Z", datetime(2020, 1, 4, 9, 5, 22, 701000, tzinfo=UTC)),
        ("2022-02-10T10:05:46+08:00", datetime(2022, 2, 10, 2, 5, 46, tzinfo=UTC)),
        ("2022-02-10T10:05:46.123456789Z", datetime(2022, 2, 10, 10, 5, 46, 123456, tzinfo=UTC)),
        ("2022-02-10 10:05:46.5", datetime(2022, 2, 10, 10, 5, 46, 500000, tzinfo=UTC)),
        (1442341200000, datetime(2015, 9, 15, 18, 20, tzinfo=UTC)),
        ("", None),
        (None, None),
        (True, None),
        ("soon", None),
        ("9999-99-99T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        (10**30, None),
        (float("nan"), None),
        ([], None),
        ("2" * 100, None),
    ],
)
def test_times(text: Any, expected: datetime | None) -> None:
    """Every time format of the pages is read as UTC; anything else is no time, never an error."""
    assert decode.when(text) == expected


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "id",
                        "name",
                        "status",
                        "tags",
                        "flavor",
                        "metadata",
                        "addresses",
                        "sys_tags",
                        "locked",
                        "entities",
                    ),
                    *(
                        "sub_jobs",
                        "server_id",
                        "begin_time",
                        "end_time",
                        "error_code",
                        "fail_reason",
                        "addr",
                        "group",
                    ),
                    *(
                        "errorcode_message",
                        "os:scheduler_hints",
                        "instanceActions",
                        "key",
                        "value",
                        "start_time",
                    ),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(_json)
def test_nothing_breaks_the_reading(value: Any) -> None:
    """No JSON whatever breaks a decoder."""
    decode.server(value)
    decode.ghost(value)
    with suppress(ValueError):
        decode.server_group(value)
    decode.job(value, "j")
    decode.tags(value)
    decode.when(value)


def test_a_job_with_very_many_parts() -> None:
    """20,000 sub-jobs are more than a request of ours can have: an error before any of them
    is read. 2,000 are read.
    """
    message = json.dumps({"error": {"code": "Ecs.0005", "message": "<b>" * 100}})
    part = {"status": "FAIL", "entities": {"errorcode_message": message}}

    def read(number: int) -> Job:
        parts = [
            part | {"entities": {"server_id": f"s{n}", "errorcode_message": message}}
            for n in range(number)
        ]
        return decode.job({"status": "FAIL", "job_id": "j", "entities": {"sub_jobs": parts}}, "j")

    with pytest.raises(ValueError, match="the job has 20,000 sub-jobs, more than 2,000"):
        read(20_000)
    assert {part.code for part in read(2_000).sub_jobs.values()} == {"Ecs.0005"}


def test_more_tags_than_a_server_can_have_are_unreadable() -> None:
    """They must not fill the memory, and must not look like none either."""
    assert decode.tags([f"k{n}" for n in range(1_000)]) is not None
    assert decode.tags([f"k{n}" for n in range(1_001)]) is None
