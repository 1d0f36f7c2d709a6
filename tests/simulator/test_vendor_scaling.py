"""The vendor's clients of Auto Scaling and ECS read groups, members and scheduled events of
the simulated cloud.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from huaweicloudsdkas import v1 as scaling
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkecs import v2 as ecs

from runner.simulator.scenario import Scenario

from .bench import KEYS, Bench, simulated


@pytest.fixture
def bench() -> Iterator[Bench]:
    with simulated(60) as bench:
        bench.state.add_rules(
            Scenario.model_validate(
                {
                    "rules": [
                        {
                            "do": "scaling_group",
                            "name": "web-asg",
                            "servers": {"tags": {"role": "web"}},
                        },
                        {
                            "do": "scaling_group",
                            "name": "db-asg",
                            "audit": "1m",
                            "servers": {"tags": {"role": "db"}},
                        },
                        {
                            "do": "scheduled_event",
                            "type": "instance-redeploy",
                            "servers": {"tags": {"role": "web"}},
                        },
                    ]
                }
            ).rules
        )
        yield bench


def client(kind: Any, bench: Bench) -> Any:
    keys = BasicCredentials(KEYS.ak, KEYS.sk, bench.running.project_id)
    region = Region(bench.running.region, bench.running.url)
    return kind.new_builder().with_credentials(keys).with_region(region).build()


def test_groups_and_members(bench: Bench) -> None:
    """Groups and members, a page at a time, with the fields that the vendor's models have."""
    sdk = client(scaling.AsClient, bench)
    first = sdk.list_scaling_groups(scaling.ListScalingGroupsRequest(limit=1))
    second = sdk.list_scaling_groups(scaling.ListScalingGroupsRequest(limit=1, start_number=1))
    groups = {g.scaling_group_name: g for g in (*first.scaling_groups, *second.scaling_groups)}
    assert first.total_number == 2
    assert {n: g.health_periodic_audit_time for n, g in groups.items()} == {
        "web-asg": 5,
        "db-asg": 1,
    }
    web = groups["web-asg"]
    assert web.current_instance_number == 30
    seen: set[str] = set()
    for start in (0, 20):
        page = sdk.list_scaling_instances(
            scaling.ListScalingInstancesRequest(
                scaling_group_id=web.scaling_group_id, limit=20, start_number=start
            )
        )
        seen |= {i.instance_id for i in page.scaling_group_instances}
        assert {i.life_cycle_state for i in page.scaling_group_instances} == {"INSERVICE"}
    assert seen == {s.id for s in bench.state.fleet.servers if ("role", "web") in s.tags}


def test_a_group_that_is_none(bench: Bench) -> None:
    """The vendor's client raises for a group that does not exist."""
    with pytest.raises(ClientRequestException) as caught:
        client(scaling.AsClient, bench).list_scaling_instances(
            scaling.ListScalingInstancesRequest(
                scaling_group_id="00000000-0000-4000-8000-000000000000"
            )
        )
    assert caught.value.status_code == 404


def test_scheduled_events(bench: Bench) -> None:
    """Events by marker, and by the filters of the vendor's request."""
    sdk = client(ecs.EcsClient, bench)
    first = sdk.list_scheduled_events(ecs.ListScheduledEventsRequest(limit=20))
    second = sdk.list_scheduled_events(
        ecs.ListScheduledEventsRequest(limit=20, marker=first.page_info.next_marker)
    )
    assert (len(first.events), len(second.events), second.page_info.next_marker) == (20, 10, None)
    assert len({e.id for e in (*first.events, *second.events)}) == 30
    one = first.events[0]
    assert (one.type, one.state) == ("instance-redeploy", "scheduled")
    assert one.not_before < one.not_after
    only = sdk.list_scheduled_events(
        ecs.ListScheduledEventsRequest(instance_id=[one.instance_id], state=["scheduled"])
    )
    assert [e.id for e in only.events] == [one.id]
    assert (
        sdk.list_scheduled_events(ecs.ListScheduledEventsRequest(state=["canceled"])).events == []
    )
