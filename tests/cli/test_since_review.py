"""Servers that others rebooted after a schedule was made are left alone by its run."""

from __future__ import annotations

import json
import time

from tests.cli.lab import PLAN, Remote, target
from tests.cli.test_saved import save


def reboot_by_somebody(cloud: Remote, *names: str) -> None:
    """Have servers rebooted by somebody else, of which no store of ours knows; they are
    down or back by now.
    """
    cloud.fault(do="rebooted_by_somebody", servers={"names": list(names) or ["web-*"]})
    while any(r.begins > cloud.state.now() for r in cloud.state.accepted_reboots(by=None)):
        time.sleep(0.01)


def test_a_server_that_was_rebooted_since_the_review_is_left_alone(cloud: Remote) -> None:
    """It is skipped with the time of its reboot, the others go down; that is exit 4, and
    `retry` names it only.
    """
    save(cloud)
    reboot_by_somebody(cloud, "web-003")
    cloud.fault(do="tags", servers={"names": ["web-004"]}, tags={"role": "web", "changed": "yes"})
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert done.code == 4, (done.out, done.err)
    assert (
        "1 servers were rebooted since the schedule was made, and are left alone: web-003"
        in done.err
    )
    assert "web-003" not in cloud.reboots
    assert len(cloud.reboots) == 9
    report = json.loads(cloud.lab.run("report", "web", "-o", "json").out)
    (skipped,) = [s for s in report["servers"] if s["outcome"] == "skipped"]
    assert (skipped["name"], skipped["reason"]) == ("web-003", "RebootedSinceReview")
    assert "its history has a reboot at" in skipped["detail"]
    assert cloud.lab.run("retry", "web").out == ""


def test_where_all_were_rebooted_since_the_review_nothing_begins(cloud: Remote) -> None:
    """Exit 4, never 0, each server with its reason; a new review makes them eligible."""
    save(cloud)
    reboot_by_somebody(cloud)
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert done.code == 4, (done.out, done.err)
    assert done.out.count("RebootedSinceReview: its history has a reboot at") == 10
    assert (cloud.posts, cloud.lab.runs()) == (0, [])


def test_a_store_that_was_lost_does_not_reboot_twice(cloud: Remote) -> None:
    """Both the reviewed schedule and a fresh one find the reboots of a moment ago where the
    store is new.
    """
    save(cloud)
    assert cloud.lab.run("run", "saved.json", "--yes").code == 0
    before = dict(cloud.reboots)
    for what in ("saved.json", "web.yaml"):
        (cloud.lab.folder / ".reboot-runner" / "runs.db").unlink()
        done = cloud.lab.run("run", what, "--yes")
        assert done.code == 4, (done.out, done.err)
    assert cloud.reboots == before


def test_a_new_cycle_right_after_a_run_is_no_second_reboot(cloud: Remote) -> None:
    """What a plan asks for by itself, and what `retry` repeats, is not taken for a reboot
    since the review.
    """
    cloud.lab.write("web.yaml", PLAN)
    assert cloud.lab.run("run", "web.yaml", "--yes").code == 0
    cloud.lab.write("web.yaml", PLAN + "cycle: second\n")
    done = cloud.lab.run("run", "web.yaml", "--yes")
    assert done.code == 0, (done.out, done.err)
    assert set(cloud.reboots.values()) == {2}


def test_an_unreadable_history_is_named_and_refused_on_a_new_store(cloud: Remote) -> None:
    """Where the store is new nothing is sent (6); where it knows earlier runs, the server
    is named and goes down.
    """
    save(cloud)
    reboot_by_somebody(cloud, "web-003")
    cloud.fault(do="error", on="actions", status=403, code="Ecs.0013", times=99)
    refused = cloud.lab.run("run", "saved.json", "--yes")
    assert refused.code == 6, (refused.out, refused.err)
    assert "web-003" in refused.err
    assert "cannot be read" in refused.err
    assert cloud.posts == 0
    cloud.lab.write(
        "other.yaml",
        PLAN.replace("name: web\nl", "name: other\nl").replace("role: web", "role: api"),
    )
    assert cloud.lab.run("run", "other.yaml", "--yes").code == 0
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert done.code == 0, (done.out, done.err)
    assert "they stay in the schedule: web-003" in done.err


def test_a_dry_run_shows_what_a_run_begins(cloud: Remote) -> None:
    """Servers rebooted a moment ago, warnings of plan and policy, the schedule: the
    same for both.
    """
    policy = "version: 1\nforbidden: {tags: {role: nobody-has-this}}\n"
    cloud.lab.write("policy.yaml", policy)
    cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url)}, policy="policy.yaml")
    cloud.lab.write("web.yaml", PLAN.replace("waves:", "exclude: {names: [nobody]}\n    waves:"))
    reboot_by_somebody(cloud, "web-003")
    shown = json.loads(cloud.lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]
    found = {p["code"]: p["message"] for p in shown["problems"]}
    assert {"ForbidsNothing", "ExcludesNothing", "RebootedSinceReview"} <= found.keys(), found
    assert "left alone: web-003" in found["RebootedSinceReview"]
    done = cloud.lab.run("run", "web.yaml", "--schedule-digest", shown["schedule"]["digest"])
    assert done.code == 4, (done.out, done.err)
    for code in ("ForbidsNothing", "ExcludesNothing", "RebootedSinceReview"):
        assert found[code] in done.err
    assert "web-003" not in cloud.reboots
    assert len(cloud.reboots) == 9
    cloud.lab.write("policy.yaml", policy + "max_wave: {servers: 2}\n")
    cloud.lab.write("web.yaml", PLAN + "cycle: second\n")
    refused = json.loads(cloud.lab.run("diff", "web.yaml", "-o", "json").out)["plans"][0]
    run = cloud.lab.run("run", "web.yaml", "--yes")
    assert run.code == 3
    errors = [p["message"] for p in refused["problems"] if p["severity"] == "error"]
    assert errors
    assert all(message in run.err for message in errors), run.err
