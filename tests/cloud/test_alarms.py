"""Cloud Eye: which servers an alarm is on for, as the simulated cloud tells, and as a cloud
tells that is not clear.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from runner.cloud.huawei.alarms import PAGE, alarming
from runner.cloud.huawei.endpoints import settings_for
from runner.errors import CloudDenied, CloudError, InvalidInput
from runner.ports import Alarms
from tests.cloud.wild import fixture, run
from tests.runs.harness import options_of, simulated

RULE = json.loads(fixture("ces-alarms.json"))["metric_alarms"][0]
RECORD = json.loads(fixture("ces-alarm-histories.json"))["alarm_histories"][0]
SERVER = "07814c0e-59a1-4fcd-a6fb-56f2f6923046"
OTHER = "11111111-59a1-4fcd-a6fb-56f2f6923046"


def rule(server: str = SERVER, number: str = "al1", **fields: Any) -> dict[str, Any]:
    """A rule of the documentation's form; without a server one that names none."""
    made = {**copy.deepcopy(RULE), "alarm_id": number, **fields}
    made["metric"]["dimensions"] = [{"name": "instance_id", "value": server}] if server else []
    return made


def record(server: str = SERVER, number: str = "al1", **fields: Any) -> dict[str, Any]:
    metric = {
        "namespace": "SYS.ECS",
        "dimensions": [{"name": "instance_id", "value": server}] if server else [],
    }
    return {**copy.deepcopy(RECORD), "alarm_id": number, "metric": metric, **fields}


Body = Callable[[dict[str, str]], dict[str, Any]]


def told(rules: list[Any], records: list[Any], ids: tuple[str, ...] = (SERVER,)) -> dict[str, str]:
    """What is said of a cloud with these rules and records, which pages and filters as
    documented.
    """

    async def get(path: str, *query: tuple[str, str]) -> Any:
        asked = dict(query)
        if path.endswith("/alarms"):
            numbers = [r["alarm_id"] for r in rules if isinstance(r, dict)]
            start = numbers.index(asked["start"]) + 1 if "start" in asked else 0
            page = rules[start : start + int(asked["limit"])]
            return {
                "metric_alarms": page,
                "meta_data": {"marker": page[-1]["alarm_id"] if len(page) == PAGE else ""},
            }
        fitting = [r for r in records if asked.get("alarm_id") in (None, r["alarm_id"])]
        fitting = [r for r in fitting if asked.get("namespace") in (None, r["metric"]["namespace"])]
        start = int(asked["offset"])
        return {
            "alarm_histories": fitting[start : start + int(asked["limit"])],
            "count": len(fitting),
        }

    return run(alarming(get, "p" * 32, ids))


def test_an_alarm_of_one_server() -> None:
    """The documentation's own rule is in alarm: closed for its server, nothing for another."""
    assert told([RULE], []) == {SERVER: "alarm-ttttttt"}
    assert told([RULE], [], (OTHER,)) == {}


@pytest.mark.parametrize(
    ("rules", "records", "names"),
    [
        ([], [], []),
        ([rule(alarm_state="ok"), rule(alarm_state="insufficient_data")], [], []),
        ([rule(alarm_enabled=False)], [record()], []),
        ([rule(alarm_type="EVENT.SYS")], [], []),
        ([{**rule(), "metric": {"namespace": "SYS.VPC", "dimensions": []}}], [], []),
        ([], [record(name="of a rule nobody shows")], ["of a rule nobody shows"]),
        ([rule("", alarm_name="all")], [record(name="all")], ["all"]),
        ([rule("", alarm_name="all")], [record(OTHER)], []),
        ([rule("", alarm_state="ok")], [record(name="late")], ["late"]),
        ([rule("", "al9", alarm_type="RESOURCE_GROUP")], [record(number="al9", name="g")], ["g"]),
        (
            [rule(OTHER, f"al{n}") for n in range(250)] + [rule(SERVER, "last", alarm_name="last")],
            [],
            ["last"],
        ),
        ([], [record(OTHER, f"al{n}") for n in range(250)] + [record(name="last")], ["last"]),
        ([], [record("", additional_info={"resource_id": SERVER}, name="r")], ["r"]),
        (
            [],
            [record("", additional_info={"resource_id": f"disk:a,instance_id:{SERVER}"}, name="d")],
            ["d"],
        ),
    ],
)
def test_rules_and_records(rules: list[Any], records: list[Any], names: list[str]) -> None:
    """Rules that are off, of events or of other services are none; records name the servers
    of rules over many.
    """
    assert list(told(rules, records).values()) == names


@pytest.mark.parametrize(
    ("rules", "records"),
    [
        ([rule("")], []),
        ([rule("", "")], []),
        ([rule(alarm_state="on fire")], []),
        ([{k: v for k, v in rule().items() if k != "alarm_state"}], []),
        (["text"], []),
        ([rule(number="same")] * (PAGE + 1), []),
        ([], [record("", additional_info={})]),
        ([], [record(status="ok")]),
        ([], [record("", additional_info={"resource_id": "a:1,b:2"})]),
        ([], [record(OTHER)] * 1100),
    ],
)
def test_what_is_not_clear_is_an_error(rules: list[Any], records: list[Any]) -> None:
    """An alarm without a server, unknown states, lists without an end: nobody can tell, and
    nobody says `none`.
    """
    with pytest.raises(CloudError):
        told(rules, records)


@pytest.mark.parametrize(
    "body", [None, [], {}, {"metric_alarms": None}, {"metric_alarms": {}}, {"error_msg": "x"}]
)
def test_other_answers_are_errors(body: Any) -> None:
    """An answer without a list of rules is not an empty list."""

    async def get(path: str, *query: tuple[str, str]) -> Any:
        return body

    with pytest.raises(CloudError):
        run(alarming(get, "p" * 32, [SERVER]))


def test_the_client_over_http() -> None:
    """Signed like every other call; own and shared rules of the simulated cloud; 403 is
    a denial.
    """

    async def scene() -> None:
        async with simulated(options_of(4)) as place:
            cloud: Alarms = place.cloud
            first, second, third, _ = (s.id for s in place.state.fleet.servers)
            assert await cloud.alarming([first, second]) == {}
            place.add_rules(
                {"do": "alarm", "servers": {"names": [first]}, "for": "10m"},
                {
                    "do": "alarm",
                    "name": "disk",
                    "rule": "shared",
                    "servers": {"names": [second, third]},
                },
            )
            assert await cloud.alarming([first, second]) == {first: "cpu-high", second: "disk"}
            place.clock.jump(seconds=601)
            assert await cloud.alarming([first, second]) == {second: "disk"}
            seen = await place.cloud.read_servers([first])
            assert seen[first].is_idle
            place.add_rules(
                {"do": "error", "on": "alarms", "status": 403, "code": "Pdp.0001", "times": "all"}
            )
            with pytest.raises(CloudDenied):
                await cloud.alarming([first])

    run(scene())


def test_where_cloud_eye_is() -> None:
    """By the rule of each cloud, or where the configuration says; a host that is not the
    cloud's is refused as ever.
    """
    of: dict[str, Any] = {"region": "eu-de", "environ": {}}
    assert settings_for(cloud="otc", **of).ces_url == "https://ces.eu-de.otc.t-systems.com"
    assert settings_for(cloud="huaweicloud", **of).ces_url == "https://ces.eu-de.myhuaweicloud.com"
    with pytest.raises(InvalidInput):
        settings_for(cloud="otc", ces="https://example.com", **of)
