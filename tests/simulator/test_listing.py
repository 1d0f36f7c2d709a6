"""Listing servers: pages, filters, and tables that move between pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .bench import Bench, simulated


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with simulated(60) as bench:
        yield bench


def names(page: dict[str, Any]) -> list[str]:
    return [s["name"] for s in page["servers"]]


def test_offset_is_a_page_number(bench: Bench) -> None:
    """Pages are counted from 1, 0 is the first page too, a page past the end is empty,
    `count` is the total.
    """
    pages = [bench.listed(limit=25, offset=page) for page in (1, 2, 3, 4)]
    assert [len(p["servers"]) for p in pages] == [25, 25, 10, 0]
    assert {p["count"] for p in pages} == {60}
    assert [s["id"] for p in pages for s in p["servers"]] == bench.ids
    assert names(bench.listed(limit=25, offset=0)) == names(pages[0])
    assert names(bench.listed()) == names(pages[0])


def test_marker(bench: Bench) -> None:
    """With a marker a page begins after that server."""
    first = bench.listed(limit=20)
    assert (
        bench.listed(limit=20, marker=first["servers"][-1]["id"])["servers"][0]["id"]
        == bench.ids[20]
    )


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"offset": -1}])
def test_pages_out_of_range(bench: Bench, query: dict[str, Any]) -> None:
    """A limit outside 1 to 1000 and a negative page are invalid parameters."""
    answer = bench.get("/v1/{p}/cloudservers/detail", **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Ecs.0005")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"name": "web-00[1-3]"}, 3),
        ({"name": "eb.0"}, 30),
        ({"name": "web-00(", "limit": 1}, 0),
        ({"tags": "role=db"}, 6),
        ({"tags": "canary"}, 5),
        ({"tags": "role=db", "name": "-001"}, 1),
        ({"not-tags": "role"}, 0),
        ({"not-tags": "__type_baremetal"}, 60),
        ({"flavor": "m6.2xlarge.8"}, 6),
        ({"enterprise_project_id": "0", "tags": "env=staging"}, 0),
        ({"enterprise_project_id": "all_granted_eps"}, 60),
        ({"ip_eq": "192.168.0.11"}, 1),
        ({"status": "SHUTOFF"}, 0),
    ],
)
def test_filters(bench: Bench, query: dict[str, Any], count: int) -> None:
    """Filters combine; `name` is a regular expression found anywhere, or a text if it is none."""
    assert bench.listed(**query)["count"] == count


def test_by_id(bench: Bench) -> None:
    """`server_id` takes a comma list and repeated values, ignores other filters, and at
    most 100 ids.
    """
    some = bench.ids[3:6]
    assert [
        s["id"] for s in bench.listed(server_id=",".join(some), name="nothing")["servers"]
    ] == some
    repeated = bench.request(
        "GET", "/v1/{p}/cloudservers/detail", params=[("server_id", i) for i in some]
    )
    assert [s["id"] for s in repeated.json()["servers"]] == some
    many = [f"00000000-0000-4000-8000-{n:012x}" for n in range(101)]
    assert bench.listed(server_id=",".join(many[:100]))["count"] == 100
    assert bench.get("/v1/{p}/cloudservers/detail", server_id=",".join(many)).status_code == 400


def test_active_includes_servers_on_their_way() -> None:
    """`status=ACTIVE` also gives servers that are rebooting, as documented; REBOOT gives
    those alone.
    """
    with simulated(3) as bench:
        bench.rebooted(bench.ids[:1])
        bench.clock.advance(5)
        assert [s["status"] for s in bench.listed(status="ACTIVE")["servers"]] == [
            "REBOOT",
            "ACTIVE",
            "ACTIVE",
        ]
        assert bench.listed(status="REBOOT")["count"] == 1
        bench.clock.advance(200)
        assert bench.listed(status="REBOOT")["count"] == 0


def test_table_moves_between_pages() -> None:
    """Servers deleted and created between two pages shift the rest: one is never shown,
    `count` changes.
    """
    with simulated(20) as bench:
        bench.fault(do="delete_servers", on="list", after=1, servers={"names": ["web-001"]})
        bench.fault(do="create_servers", on="list", after=2, count=2)
        pages = [bench.listed(limit=8, offset=page) for page in (1, 2, 3)]
        assert [p["count"] for p in pages] == [20, 19, 21]
        seen = [s["id"] for p in pages for s in p["servers"]]
        assert bench.ids[8] not in seen
        assert bench.get(f"/v1/{{p}}/cloudservers/{bench.ids[0]}").status_code == 404
        assert bench.listed(limit=1000)["servers"][-1]["name"] == "web-100001"


def test_user_with_rights_in_one_enterprise_project() -> None:
    """Such a user must name the project in a list, else Pdp.0001."""
    with simulated(5, switches={"only_enterprise_project": "0"}) as bench:
        assert bench.get("/v1/{p}/cloudservers/detail").json()["error"]["code"] == "Pdp.0001"
        assert bench.listed(enterprise_project_id="0")["count"] > 0


def test_other_dialect() -> None:
    """Switched to the other cloud, id filter, enterprise projects and `page_info` are unknown."""
    with simulated(5, switches={"cloud": "otc"}) as bench:
        page = bench.listed(server_id=bench.ids[0], enterprise_project_id="nothing")
        assert page["count"] == 5
        assert "enterprise_project_id" not in page["servers"][0]
        assert page["servers"][0]["sys_tags"][0]["key"] == "_sys_enterprise_project_id"
        assert "page_info" not in bench.get("/v1/{p}/cloudservers/os-server-groups").json()


def test_tags_change_and_locks_end(bench: Bench) -> None:
    """Tags that somebody sets show in lists, shows and tag reads; a lock with a length is
    gone after it.
    """
    with simulated(5) as bench:
        server = bench.id_of("web-001")
        bench.fault(do="tags", servers={"names": ["web-001"]}, tags={"role": "web", "note": ""})
        assert bench.show(server)["tags"] == ["role=web", "note"]
        assert bench.listed(tags="note")["count"] == 1
        bench.fault(do="locked", at="10s", for_="20s", servers={"names": ["web-001"]})
        seen = []
        for _ in range(4):
            seen.append(bench.show(server)["locked"])
            bench.clock.advance(10)
        assert seen == [False, True, True, False]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"action":"all"}',
        b'{"action":"filter","limit":5}',
        b'{"action":"filter","tags":[{"key":"a","values":["1","1"]}]}',
        b'{"action":"filter","tags":[{"key":"a","values":[]},{"key":"a","values":[]}]}',
        b'{"action":"count","matches":[{"key":"other","value":"x"}]}',
        b'{"action":"count","matches":7}',
        b'{"action":"count","matches":[{"key":"resource_name","value":7}]}',
    ],
)
def test_wrong_tag_queries(bench: Bench, body: bytes) -> None:
    """A tag query that breaks a documented rule is an invalid parameter."""
    answer = bench.request("POST", "/v1/{p}/cloudservers/resource_instances/action", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Ecs.0005")


def test_tag_query_narrows(bench: Bench) -> None:
    """Keys are ANDed, values ORed, empty values mean any, `not_tags` leaves out, `matches`
    looks at the name.
    """

    def count(**query: Any) -> int:
        body = {"action": "count", **query}
        answer = bench.request("POST", "/v1/{p}/cloudservers/resource_instances/action", json=body)
        return int(answer.json()["total_count"])

    web, staging = {"key": "role", "values": ["web"]}, {"key": "env", "values": ["staging"]}
    assert count(tags=[web]) == 30
    assert count(tags=[web, staging]) == 6
    assert count(tags=[web], not_tags=[staging]) == 24
    assert count(tags=[{"key": "canary", "values": []}]) == 5
    assert count(matches=[{"key": "resource_name", "value": "db-"}]) == 6


def test_groups_by_pages(bench: Bench) -> None:
    """Groups come in pages by marker, hold at most 16 servers, and servers know their group."""
    seen: list[dict[str, Any]] = []
    marker: dict[str, Any] = {}
    while True:
        page = bench.get("/v1/{p}/cloudservers/os-server-groups", limit=1, **marker).json()
        seen += page["server_groups"]
        if not page["page_info"]["next_marker"]:
            break
        marker = {"marker": page["page_info"]["next_marker"]}
    assert [g["id"] for g in seen] == [g.id for g in bench.state.fleet.groups]
    assert all(len(g["members"]) <= 16 for g in seen)
    member = seen[0]["members"][0]
    assert bench.show(member)["os:scheduler_hints"] == {"group": [seen[0]["id"]]}
    one = bench.get(f"/v1/{{p}}/cloudservers/os-server-groups/{seen[0]['id']}").json()
    assert one == {"server_group": seen[0]}
    assert bench.get("/v1/{p}/cloudservers/os-server-groups/none").status_code == 404
