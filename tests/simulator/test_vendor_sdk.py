"""The vendor's own SDK drives the simulated cloud unchanged. Run with `-s` to see each call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkecs import v2 as ecs
from huaweicloudsdkiam import v3 as iam

from tests.cloud.wild import FIXTURES as API

from .bench import KEYS, Bench, simulated


@pytest.fixture
def bench() -> Iterator[Bench]:
    with simulated(60) as bench:
        yield bench


def ecs_client(bench: Bench, *, sk: str = KEYS.sk, project_id: str | None = "") -> Any:
    """The vendor's client as an application builds it; only the region's endpoint is ours."""
    credentials = BasicCredentials(
        KEYS.ak, sk, bench.running.project_id if project_id == "" else project_id
    )
    credentials.with_iam_endpoint(bench.running.url)
    return (
        ecs.EcsClient.new_builder()
        .with_http_config(HttpConfig.get_default_config())
        .with_credentials(credentials)
        .with_region(Region(bench.running.region, bench.running.url))
        .build()
    )


def say(call: str, text: object) -> None:
    print(f"\n  {call:<24} {text}", end="")


def soft_reboot(client: Any, ids: list[str]) -> Any:
    option = ecs.BatchRebootSeversOption(type="SOFT", servers=[ecs.ServerId(i) for i in ids])
    body = ecs.BatchRebootServersRequestBody(reboot=option)
    return client.batch_reboot_servers(ecs.BatchRebootServersRequest(body=body))


def test_reboot_followed_to_its_end(bench: Bench) -> None:
    """List, reboot, job and show through the SDK tell one story: down together, back one by
    one, ACTIVE again.
    """
    client = ecs_client(bench)
    listed = client.list_servers_details(
        ecs.ListServersDetailsRequest(limit=5, status="ACTIVE", tags="role=web")
    )
    say(
        "list_servers_details",
        f"count={listed.count} first={listed.servers[0].name} {listed.servers[0].status}",
    )
    ids = [s.id for s in listed.servers]
    assert len(ids) == 5
    assert listed.count == 30

    accepted = soft_reboot(client, ids)
    say("batch_reboot_servers", f"{len(ids)} servers -> job_id={accepted.job_id}")
    seen = []
    for seconds in (0, 1, 30, 60, 9):
        bench.clock.advance(seconds)
        job = client.show_job(ecs.ShowJobRequest(job_id=accepted.job_id))
        done = sum(1 for s in job.entities.sub_jobs if s.status == "SUCCESS")
        down = client.show_server(ecs.ShowServerRequest(server_id=ids[0])).server.status
        say(
            "show_job, show_server",
            f"+{seconds:>2} s {job.status:<8} {done}/{len(ids)} done; {ids[0][:8]} {down}",
        )
        seen.append((job.status, down))
    assert seen[0] == ("INIT", "ACTIVE")
    assert seen[1] == ("RUNNING", "REBOOT")
    assert seen[-1] == ("SUCCESS", "ACTIVE")
    assert {s.entities.server_id for s in job.entities.sub_jobs} == set(ids)
    assert bench.state.reboot_counts() == dict.fromkeys(ids, 1)


def test_other_reads(bench: Bench) -> None:
    """Groups, tags and limits read through the SDK's models."""
    client = ecs_client(bench)
    groups = client.list_server_groups(ecs.ListServerGroupsRequest(limit=2)).server_groups
    say("list_server_groups", [f"{g.name}: {len(g.members)}" for g in groups])
    group = client.show_server_group(
        ecs.ShowServerGroupRequest(server_group_id=groups[0].id)
    ).server_group
    assert group.members == groups[0].members
    tags = client.list_server_tags(ecs.ListServerTagsRequest()).tags
    say("list_server_tags", {t.key: t.values for t in tags if t.key in ("role", "env")})
    assert {t.key for t in tags} == {"role", "env", "pool", "canary"}
    wanted = [ecs.ServerTags(key="role", values=["db"])]
    body = ecs.ListServersByTagRequestBody(action="filter", limit="10", offset="0", tags=wanted)
    with pytest.deprecated_call():  # the SDK's word for it; the other cloud still has the call
        found = client.list_servers_by_tag(ecs.ListServersByTagRequest(body=body))
    say(
        "list_servers_by_tag",
        f"total_count={found.total_count} first={found.resources[0].resource_name}",
    )
    assert found.total_count == 6
    assert (
        client.show_server_limits(ecs.ShowServerLimitsRequest()).absolute.max_server_group_members
        == 16
    )


def test_the_other_cloud(bench: Bench) -> None:
    """Switched to OTC, the paths that both clouds have work through the SDK; those that it
    lacks are no API there.
    """
    bench.switch(cloud="otc")
    client = ecs_client(bench)
    listed = client.list_servers_details(
        ecs.ListServersDetailsRequest(limit=2, server_id=[bench.ids[7]])
    )
    say("list_servers_details", f"server_id is not known: count={listed.count}")
    assert (listed.count, len(listed.servers)) == (60, 2)
    assert listed.servers[0].enterprise_project_id is None
    assert listed.servers[0].sys_tags[0].key == "_sys_enterprise_project_id"
    groups = client.list_server_groups(ecs.ListServerGroupsRequest(limit=2))
    assert (len(groups.server_groups), groups.page_info) == (2, None)
    job_id = soft_reboot(client, bench.ids[:2]).job_id
    bench.clock.advance(200)
    assert client.show_job(ecs.ShowJobRequest(job_id=job_id)).status == "SUCCESS"
    assert (
        client.show_server(ecs.ShowServerRequest(server_id=bench.ids[0])).server.status == "ACTIVE"
    )
    body = ecs.ListServersByTagRequestBody(
        action="count", tags=[ecs.ServerTags(key="role", values=["db"])]
    )
    with pytest.deprecated_call(), pytest.raises(ClientRequestException) as refused:
        client.list_servers_by_tag(ecs.ListServersByTagRequest(body=body))
    say("list_servers_by_tag", f"{refused.value.status_code} {refused.value.error_code}")
    assert (refused.value.status_code, refused.value.error_code) == (404, "APIGW.0101")
    assert bench.state.reboot_counts() == dict.fromkeys(bench.ids[:2], 1)


def test_requests_of_the_other_clouds_own_client(bench: Bench) -> None:
    """Raw requests as OTC's pages and its Go client write them: headers, paths, `limit` and
    `marker` of groups.
    """
    bench.switch(cloud="otc")
    token = bench.login()
    assert token.json()["token"]["user"]["password_expires_at"] is None
    body = json.loads((API / "tags-query-request.json").read_bytes()) | {
        "tags": [{"key": "role", "values": ["db"]}]
    }
    body = {k: v for k, v in body.items() if k in ("action", "limit", "offset", "tags")}
    found = bench.request(
        "POST", "/v1/{p}/servers/resource_instances/action", json=body | {"offset": "0"}
    ).json()
    assert found["total_count"] == 6
    first = bench.get("/v1/{p}/cloudservers/os-server-groups", limit=1).json()
    assert set(first) == {"server_groups"}
    marker = first["server_groups"][0]["id"]
    second = bench.get("/v1/{p}/cloudservers/os-server-groups", limit=1, marker=marker).json()
    assert second["server_groups"][0]["id"] != marker
    stray = bench.request("POST", "/v5/agencies/assume-with-oidc", json={"provider_urn": "x"})
    assert (stray.status_code, stray.json()["error_code"]) == (404, "APIGW.0101")
    assert bench.get("/v1.1/{p}/cloudservers/detail").status_code == 404


def test_project_is_looked_up_by_region(bench: Bench) -> None:
    """Without a project id the SDK asks IAM for the region's project and goes on with it."""
    client = ecs_client(bench, project_id=None)
    assert client.list_servers_details(ecs.ListServersDetailsRequest()).count == 60
    assert [c.call for c in bench.state.requests()][-2:] == ["projects", "list"]
    say("keystone_list_projects", "project found by the region's name")


def test_token_through_the_iam_client(bench: Bench) -> None:
    """The SDK's IAM client gets a token that the ECS calls take."""
    client = (
        iam.IamClient.new_builder()
        .with_credentials(GlobalCredentials(KEYS.ak, KEYS.sk, "domain"))
        .with_region(Region(bench.running.region, bench.running.url))
        .build()
    )
    user = iam.PwdPasswordUser(
        domain=iam.PwdPasswordUserDomain(name=KEYS.domain), name=KEYS.user, password=KEYS.password
    )
    identity = iam.PwdIdentity(methods=["password"], password=iam.PwdPassword(user=user))
    scope = iam.AuthScope(project=iam.AuthScopeProject(name=bench.running.region))
    body = iam.KeystoneCreateUserTokenByPasswordRequestBody(
        auth=iam.PwdAuth(identity=identity, scope=scope)
    )
    answer = client.keystone_create_user_token_by_password(
        iam.KeystoneCreateUserTokenByPasswordRequest(body=body)
    )
    say(
        "create_user_token",
        f"{len(answer.x_subject_token)} characters, project {answer.token.project.name}",
    )
    assert len(answer.x_subject_token) > 1024
    bench.headers["X-Auth-Token"] = answer.x_subject_token
    assert bench.get("/v1/{p}/cloudservers/limits").status_code == 200


def test_wrong_secret_key_is_refused(bench: Bench) -> None:
    """A signature made with another secret key gets 401 APIGW.0301, and nothing happens."""
    client = ecs_client(bench, sk=KEYS.sk[:-1] + "1")
    with pytest.raises(ClientRequestException) as refused:
        soft_reboot(client, bench.ids[:1])
    say("wrong secret key", f"{refused.value.status_code} {refused.value.error_code}")
    assert (refused.value.status_code, refused.value.error_code) == (401, "APIGW.0301")
    assert "verify aksk signature fail" in refused.value.error_msg
    assert not bench.state.accepted_reboots()


@pytest.mark.parametrize(
    ("minutes", "is_taken"), [(-16, False), (-14, True), (14, True), (16, False)]
)
def test_clock_skew(minutes: int, is_taken: bool) -> None:
    """A clock 14 minutes off is tolerated, 16 minutes are not, whichever way; the answer
    tells both times.
    """

    def wall() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes)

    with simulated(1, wall=wall) as bench:
        client = ecs_client(bench)
        if is_taken:
            assert client.list_servers_details(ecs.ListServersDetailsRequest()).count == 1
            return
        with pytest.raises(ClientRequestException) as refused:
            client.list_servers_details(ecs.ListServersDetailsRequest())
        say(f"clock {minutes:+} minutes", refused.value.error_msg)
        assert refused.value.error_code == "APIGW.0301"
        assert "signature expired, signature time:" in refused.value.error_msg


@pytest.mark.filterwarnings(
    "ignore:Unable to convert string to datetime"
)  # the SDK adds a Z to times with a zone
def test_alarms_of_cloud_eye(bench: Bench) -> None:
    """Rules and records through the SDK: an alarm that is on for a server, and one that is
    over again.
    """
    pytest.importorskip(
        "huaweicloudsdkces", reason="the vendor's client of Cloud Eye is not installed here"
    )
    from huaweicloudsdkces import v1, v2

    def client(version: Any) -> Any:
        credentials = BasicCredentials(KEYS.ak, KEYS.sk, bench.running.project_id)
        builder = version.CesClient.new_builder().with_http_config(HttpConfig.get_default_config())
        return (
            builder.with_credentials(credentials)
            .with_region(Region(bench.running.region, bench.running.url))
            .build()
        )

    server = bench.ids[3]
    bench.fault(do="alarm", name="cpu-high", servers={"names": [server]}, for_="10m")
    (rule,) = client(v1).list_alarms(v1.ListAlarmsRequest(limit=100)).metric_alarms
    say("list_alarms", f"{rule.alarm_name}: {rule.alarm_state}, {rule.metric.dimensions[0].value}")
    assert (rule.alarm_state, rule.metric.dimensions[0].value) == ("alarm", server)
    wanted = v2.ListAlarmHistoriesRequest(status=["alarm"], namespace="SYS.ECS", limit=100)
    (record,) = client(v2).list_alarm_histories(wanted).alarm_histories
    say(
        "list_alarm_histories",
        f"{record.name}: {record.status}, {record.additional_info.resource_id}",
    )
    assert (record.alarm_id, record.additional_info.resource_id) == (rule.alarm_id, server)
    bench.clock.advance(601)
    assert client(v1).list_alarms(v1.ListAlarmsRequest()).metric_alarms[0].alarm_state == "ok"
    assert client(v2).list_alarm_histories(wanted).alarm_histories == []
    with pytest.raises(ClientRequestException) as caught:
        client(v1).list_alarms(v1.ListAlarmsRequest(limit=1000))
    assert caught.value.status_code == 400
