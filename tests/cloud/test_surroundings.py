"""Auto-scaling groups and scheduled events: as the simulated cloud pages them, as the
documentation shows them, and as a cloud tells that is not clear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cloud.huawei.endpoints import settings_for
from runner.cloud.huawei.surroundings import PAGE, surroundings
from runner.errors import CloudDenied, CloudError, InvalidInput
from runner.model.surroundings import Surroundings
from tests.cloud.wild import fixture, run
from tests.runs.harness import options_of, simulated

GROUP = json.loads(fixture("as-groups.json"))["scaling_groups"][0]
MEMBER = json.loads(fixture("as-instances.json"))["scaling_group_instances"][0]
EVENT = {
    "id": "e1",
    "type": "system-maintenance",
    "state": "scheduled",
    "instance_id": MEMBER["instance_id"],
    "not_before": "2026-12-01T00:00:00Z",
    "not_after": "2026-12-01T04:00:00Z",
}
Told = Mapping[str, Any]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def told(groups: Any = (), members: Any = (), events: Any = ()) -> Surroundings:
    """What is made of these answers: a list is paged as documented, anything else is the
    answer itself.
    """

    def answer(path: str, asked: Mapping[str, str]) -> Any:
        key, listed = "scaling_groups", groups
        if path.endswith("/list"):
            key, listed = "scaling_group_instances", members
        elif path.endswith("events"):
            key, listed = "events", events
        if isinstance(listed, CloudError):
            raise listed
        if not isinstance(listed, list | tuple):
            return listed
        if key == "events":
            start = int(asked.get("marker", "0"))
            cut = list(listed[start : start + PAGE])
            following = str(start + PAGE) if start + PAGE < len(listed) else None
            return {key: cut, "page_info": {"next_marker": following}}
        start = int(asked["start_number"])
        return {key: list(listed[start : start + int(asked["limit"])]), "total_number": len(listed)}

    async def get(path: str, *query: tuple[str, str]) -> Any:
        return answer(path, dict(query))

    return run(surroundings(get, get, "p" * 32))


def test_examples_of_the_documentation() -> None:
    """The documented group, with the documented member, is a group with its audit and
    its server.
    """
    (group,) = told([{**GROUP, "current_instance_number": 1}], [MEMBER], [EVENT]).scaling_groups
    assert (group.id, group.name, group.audit_minutes) == (
        GROUP["scaling_group_id"],
        "as-group-test",
        5,
    )
    assert group.members == (MEMBER["instance_id"],)
    assert not group.is_scaling


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250])
def test_pages(number: int) -> None:
    """Every group, member and event once, whatever the pages."""
    ids = [f"g{n}" for n in range(number)]
    found = told(
        [{**GROUP, "scaling_group_id": i, "current_instance_number": 1} for i in ids],
        [{**MEMBER, "instance_id": f"s{n}"} for n in range(number)],
        [{**EVENT, "id": f"e{n}"} for n in range(number)],
    )
    assert sorted(g.id for g in found.scaling_groups) == sorted(ids)
    assert all(len(g.members) == number for g in found.scaling_groups)
    assert len(found.events) == number
    assert found.unread == ()


def test_events_that_are_over() -> None:
    """Events that are over are no reason to wait; one in a state nobody knows is told."""
    states = ["completed", "canceled", "failed", "executing", "on the moon", None]
    found = told(
        events=[{**EVENT, "id": f"e{n}", "state": state} for n, state in enumerate(states)]
    )
    assert [e.state for e in found.events] == ["executing", "on the moon", ""]
    assert (found.events[0].begins, found.events[0].ends) == (
        EVENT["not_before"],
        EVENT["not_after"],
    )


@pytest.mark.parametrize(
    "body", [None, [], {}, {"scaling_groups": None}, {"scaling_groups": ["x"]}, 7]
)
def test_other_answers(body: Any) -> None:
    """Whatever is no list is told as not read; the other half is there all the same."""
    found = told(body if not isinstance(body, list) else {"scaling_groups": 1}, [], [EVENT])
    assert found.scaling_groups == ()
    assert len(found.events) == 1
    (why,) = found.unread
    assert why.startswith("auto-scaling groups could not be read: ")


def test_lists_without_an_end() -> None:
    """A list that goes on for ever ends with a sentence."""

    async def get(path: str, *query: tuple[str, str]) -> Any:
        asked.append(path)
        info = {"next_marker": str(len(asked))}
        return {"scaling_groups": [GROUP] * PAGE, "events": [EVENT] * PAGE, "page_info": info}

    asked: list[str] = []
    found = run(surroundings(get, get, "p" * 32))
    assert [("does not come to an end" in why) for why in found.unread] == [True, True]
    assert len(asked) <= 2 * 100


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(GROUP)),
    st.sampled_from(sorted(MEMBER)),
    st.sampled_from(sorted(EVENT)),
    ANYTHING,
)
def test_wrong_types(group: str, member: str, event: str, value: Any) -> None:
    """No value of any field raises anything; what is no text of the cloud does not become one."""
    found = told(
        [{**GROUP, "current_instance_number": 1, group: value}],
        [{**MEMBER, member: value}],
        [EVENT],
    )
    for one in found.scaling_groups:
        assert isinstance(one.name, str)
        assert not _CONTROL.search(one.name)
        assert all(isinstance(m, str) for m in one.members)
    for other in told(events=[{**EVENT, event: value}]).events:
        assert not _CONTROL.search(other.type + other.state + other.begins + other.ends)


def test_the_client_over_http() -> None:
    """Signed as every call is, page after page; servers that are gone are no members,
    events end with their time.
    """

    async def scene() -> None:
        async with simulated(options_of(230)) as place:
            ids = [s.id for s in place.state.fleet.servers]
            assert await place.cloud.surroundings() == Surroundings()
            place.add_rules(
                {
                    "do": "scaling_group",
                    "name": "web-asg",
                    "audit": "15m",
                    "servers": {"names": ids[:205]},
                },
                {
                    "do": "scaling_group",
                    "name": "api-asg",
                    "is_scaling": True,
                    "servers": {"names": ids[205:207]},
                },
                {"do": "scheduled_event", "servers": {"names": ids[:101]}, "for": "1h"},
            )
            found = await place.cloud.surroundings()
            api, web = found.scaling_groups
            assert (api.name, api.audit_minutes, api.is_scaling, len(api.members)) == (
                "api-asg",
                5,
                True,
                2,
            )
            assert (web.audit_minutes, web.is_scaling, sorted(web.members)) == (
                15,
                False,
                sorted(ids[:205]),
            )
            assert {e.server for e in found.events} == set(ids[:101])
            assert [len(place.calls(kind)) for kind in ("scaling", "events")] == [
                1 + 1 + 3 + 1,
                1 + 2,
            ]
            place.add_rules({"do": "delete_servers", "servers": {"names": [ids[0]]}})
            place.clock.jump(seconds=3601)
            found = await place.cloud.surroundings()
            assert len(found.scaling_groups[1].members) == 204
            assert found.events == ()

    run(scene())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 403, "code": "Pdp.0001", "message": "no"}, "a permission is missing"),
        ({"status": 404, "code": "APIGW.0101", "message": "no such API"}, "APIGW.0101"),
        ({"status": 503, "body": "html"}, "the cloud failed"),
    ],
)
def test_not_allowed_or_not_there(fault: Told, said: str) -> None:
    """Without the permission, or without the service, there is a sentence and no error."""

    async def scene() -> Surroundings:
        async with simulated(options_of(4)) as place:
            place.add_rules({"do": "error", "on": "scaling", "times": "all", **fault})
            return await place.cloud.surroundings()

    (why,) = run(scene()).unread
    assert "auto-scaling groups could not be read" in why
    assert said in why


def test_a_cloud_without_scheduled_events() -> None:
    """Open Telekom Cloud is not asked for events it does not have, and Auto Scaling answers
    as ever.
    """
    asked: list[str] = []

    async def get(path: str, *query: tuple[str, str]) -> Any:
        asked.append(path)
        return {"scaling_groups": [], "total_number": 0}

    assert run(surroundings(get, None, "p" * 32)) == Surroundings()
    assert len(asked) == 1

    async def scene() -> Surroundings:
        async with simulated(options_of(4, switches={"cloud": "otc"})) as place:
            return await place.cloud.surroundings()

    assert run(scene()).unread == ()


def test_denied_is_told() -> None:
    """A denial is a sentence as well."""
    assert "no right" in told(CloudDenied("no right")).unread[0]


def test_where_auto_scaling_is() -> None:
    """By the rule of each cloud, or where the configuration says; a host that is not the
    cloud's is refused as ever.
    """
    of: dict[str, Any] = {"region": "eu-de", "environ": {}}
    assert settings_for(cloud="otc", **of).as_url == "https://as.eu-de.otc.t-systems.com"
    assert settings_for(cloud="huaweicloud", **of).as_url == "https://as.eu-de.myhuaweicloud.com"
    with pytest.raises(InvalidInput):
        settings_for(cloud="otc", autoscaling="https://example.com", **of)
