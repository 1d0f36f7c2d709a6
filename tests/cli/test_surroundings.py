"""`diff` and `run` say which servers an auto-scaling group may replace, and which the
provider has plans for.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from runner.errors import Exit
from runner.report.schemas import schema_of
from tests.cli.lab import PLAN, Lab, remote

HOSTILE = "asg\x1b[2J|<b>::error::"


def rules(place: Any) -> None:
    place.fault(
        do="scaling_group",
        name=HOSTILE,
        is_scaling=True,
        servers={"names": ["web-00[1-3]", "db-001"]},
    )
    place.fault(do="scheduled_event", servers={"names": ["web-002", "db-001"]})


def test_diff_in_every_form(lab: Lab) -> None:
    """Counted and named in text, Markdown and JSON, only for servers that go down; the
    digest does not know of it.
    """
    lab.write("web.yaml", PLAN)
    with remote(lab, still=True) as place:
        before = json.loads(lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]
        assert before["surroundings"] == {
            **{"servers_in_scaling_groups": 0, "servers_with_events": 0},
            **{"scaling_groups": [], "events": [], "unread": []},
        }
        rules(place)
        text = lab.run("diff", "web.yaml").out
        assert (
            "warning: 3 servers in 1 auto-scaling group: a member that reboots may be judged faulty"
            in text
        )
        assert "(judges health every 5 min, is scaling now): web-[001-003]" in text
        assert (
            "warning: 1 server with a scheduled event of the provider: better wait until it is over"
            in text
        )
        assert "event system-maintenance, scheduled, " in text
        assert "\x1b" not in text
        markdown = lab.run("diff", "web.yaml", "-o", "markdown").out
        assert "- **warning**: 3 servers in 1 auto" in markdown
        assert "<b>" not in markdown
        assert "\x1b" not in markdown
        document = json.loads(lab.run("diff", "web.yaml", "-o", "json").out)
        jsonschema.validate(document, schema_of("diff"))
        after = document["plans"][0]
        assert after["schedule"]["digest"] == before["schedule"]["digest"]
        found = after["surroundings"]
        assert (found["servers_in_scaling_groups"], found["servers_with_events"]) == (3, 1)
        assert [s["name"] for s in found["scaling_groups"][0]["servers"]] == [
            "web-001",
            "web-002",
            "web-003",
        ]
        assert found["events"][0]["server"]["name"] == "web-002"


def test_server_groups_that_may_not_be_read(lab: Lab) -> None:
    """A plan that needs them is denied with the permission to add; else `diff` and `run`
    warn that they are unknown.
    """
    lab.write("web.yaml", PLAN)
    lab.write("spread.yaml", PLAN.replace("waves:", "spread: {server_group: 1}\n    waves:"))
    with remote(lab) as place:
        assert lab.run("diff", "web.yaml", "--out", "saved.json").code == 0
        place.fault(do="error", on="groups", times="all", status=403, code="Ecs.0005", message="no")
        for argv in (("diff", "spread.yaml"), ("run", "spread.yaml", "--yes")):
            done = lab.run(*argv)
            assert done.code == Exit.DENIED, done.err
            said = " ".join(done.err.split())
            assert "the server groups of target lab could not be read" in said
            assert "ecs:cloudServers:listServerGroups" in said
        assert place.posts == 0
        found = json.loads(lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]["problems"]
        assert [(p["code"], p["severity"]) for p in found] == [("ServerGroupsUnread", "warning")]
        done = lab.run("run", "saved.json", "--yes")
        assert done.code == 0, done.err
        assert "servers of one anti-affinity group may all go down in one wave" in " ".join(
            done.err.split()
        )


def test_run_says_it_before_it_begins(lab: Lab) -> None:
    """`run` warns before anything is sent, and the report keeps it."""
    lab.write("web.yaml", PLAN)
    with remote(lab) as place:
        rules(place)
        done = lab.run("run", "web.yaml", "--yes")
        assert done.code == 0, done.err
        assert done.err.index("warning: 3 servers in 1 auto-scaling group") < done.err.index(
            "begins"
        )
        assert "\x1b[2J" not in done.err
        report = lab.run("report", "web", "-o", "json").out
        assert "a scheduled event of the provider" in report


@pytest.mark.parametrize("calls", ["scaling", "events"])
def test_what_may_not_be_read_is_a_note(lab: Lab, calls: str) -> None:
    """Without the permission the dry-run is complete but for a note, and ends as ever."""
    lab.write("web.yaml", PLAN)
    with remote(lab, still=True) as place:
        place.fault(do="error", on=calls, status=403, code="Pdp.0001", message="no", times="all")
        done = lab.run("diff", "web.yaml")
        assert done.code == 0
        assert done.out.count("could not be read: a permission is missing") == 1
        assert done.out.startswith("10 servers in 3 waves")
        assert "could not be read" in lab.run("diff", "web.yaml", "-o", "markdown").out
