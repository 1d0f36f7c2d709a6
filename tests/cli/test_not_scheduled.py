"""Servers that the plan means and no wave holds: named at the end, in the exit code, and
reached by `retry`.
"""

from __future__ import annotations

import json

import pytest

from runner.simulator.events import Changed
from tests.cli.lab import PLAN, Remote

BY_ID = (
    "version: 1\nname: named\nlimits: {percent: 100}\ngroups: [{name: a, servers: {ids: "
    "[%s]}, waves: [1]}]\n"
)


def test_a_locked_or_stopped_server_is_named_and_reached_by_retry(cloud: Remote) -> None:
    """Exit 4 and its name at the end; a plan of `retry` reboots it, and nothing else, when
    it is unlocked.
    """
    cloud.fault(do="locked", servers={"names": ["web-003"]})
    cloud.fault(do="not_active", servers={"names": ["web-004"]})
    cloud.lab.write("plans/web.yaml", PLAN)
    done = cloud.lab.run("run", "plans/web.yaml", "--yes")
    assert done.code == 4, done.err
    assert "8 of 10 servers ready, 2 not scheduled" in done.out
    assert "not scheduled: 2 servers (1 Locked, 1 NotActive)" in done.out
    assert f"  web-003 ({cloud.id_of('web-003')}), group web: Locked: unlock it" in done.out
    report = json.loads(cloud.lab.run("report", "web", "-o", "json").out)
    assert sorted(s["name"] for s in report["not_scheduled"]) == ["web-003", "web-004"]
    assert report["result"] == "incomplete"
    with cloud.state.turn() as turn:
        ids = (cloud.id_of("web-003"), cloud.id_of("web-004"))
        turn.append(Changed(turn.now, ids, {"locked": False, "status": "ACTIVE"}))
    assert cloud.lab.run("retry", "web", "--out", "plans/again.yaml").code == 0
    before = dict(cloud.reboots)
    done = cloud.lab.run("run", "plans/again.yaml", "--yes")
    assert done.code == 0, (done.out, done.err)
    assert {name for name, n in cloud.reboots.items() if n != before.get(name, 0)} == {
        "web-003",
        "web-004",
    }


@pytest.mark.parametrize(("named", "code"), [(False, 0), (True, 4)])
def test_when_nothing_can_be_scheduled(cloud: Remote, named: bool, code: int) -> None:
    """All stopped: they are named. It is exit 4 where the plan names one by its id, 0 where
    a rule selects them.
    """
    cloud.fault(do="not_active")
    cloud.lab.write("web.yaml", BY_ID % cloud.id_of("web-003") if named else PLAN)
    done = cloud.lab.run("run", "web.yaml", "--yes")
    assert done.code == code, done.err
    assert (
        f"  web-003 ({cloud.id_of('web-003')}), group {'a' if named else 'web'}: NotActive: "
        f"status SHUTOFF"
    ) in done.out
    assert cloud.posts == 0


def test_a_dry_run_says_who_is_busy_and_keeps_it(cloud: Remote) -> None:
    """A task that runs at that moment takes no server out of the schedule."""
    cloud.lab.write("web.yaml", PLAN)
    idle = json.loads(cloud.lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]
    cloud.fault(do="busy", servers={"names": ["web-003"]}, task_state="image_snapshot")
    said = cloud.lab.run("diff", "web.yaml")
    assert "10 servers in 3 waves, none excluded" in said.out
    assert "busy now, waited for" in said.out + said.err
    busy = json.loads(cloud.lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]
    assert busy["schedule"]["digest"] == idle["schedule"]["digest"]
    assert [p["code"] for p in busy["problems"]] == ["BusyNow"]
