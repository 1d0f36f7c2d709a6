"""`run SCHEDULE`: what was reviewed is what runs, or nothing does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.model.schedule import Schedule
from runner.planning.digest import schedule_digest
from runner.report.schedule_json import dump, load
from tests.cli.lab import PLAN, Remote


def save(cloud: Remote, plan: str = PLAN, *argv: str) -> Schedule:
    cloud.lab.write("web.yaml", plan)
    done = cloud.lab.run("diff", "web.yaml", "--out", "saved.json", *argv)
    assert done.code == 0, done.err
    return load((cloud.lab.folder / "saved.json").read_text())


def tag(cloud: Remote, name: str, role: str) -> None:
    """Give a server another role: the plan selects by it."""
    cloud.fault(do="tags", servers={"names": [name]}, tags={"role": role})


def forge(path: Path, **changes: Any) -> None:
    """The file as somebody would write it who can compute digests."""
    made = replace(load(path.read_text()), **changes)
    path.write_text(dump(replace(made, digest=schedule_digest(made))))


def test_a_changed_plan_is_refused(cloud: Remote) -> None:
    """A plan that says something else by now is exit 6 with the difference; nothing is sent."""
    save(cloud)
    cloud.lab.write("web.yaml", PLAN.replace("[1, 50%]", "[1, 90%]"))
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert done.code == 6
    assert "the plan has changed since" in done.err
    assert (
        "waves: 1 canary, 5 (50%), 4 (50%) were reviewed, the plan makes them 1 canary, 9 (90%)"
        in done.err
    )
    assert cloud.posts == 0
    assert cloud.lab.runs() == []


def test_a_plan_that_is_gone(cloud: Remote) -> None:
    """A deleted plan stands for nothing (exit 6); one that was renamed is named with --plan."""
    save(cloud)
    (cloud.lab.folder / "web.yaml").rename(cloud.lab.folder / "moved.yaml")
    gone = cloud.lab.run("run", "saved.json", "--yes")
    assert (gone.code, "--plan" in gone.err) == (6, True)
    assert cloud.posts == 0
    assert cloud.lab.run("run", "saved.json", "--yes", "--plan", "moved.yaml").code == 0
    assert set(cloud.reboots.values()) == {1}


def test_servers_that_are_gone_and_new_ones(cloud: Remote) -> None:
    """One of ten that is gone is skipped and reported; a new one is listed and never added."""
    saved = save(cloud)
    leaves = cloud.id_of("web-003")
    tag(cloud, "web-003", "old")
    tag(cloud, "api-001", "web")
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert done.code == 4, done.err
    assert "web-003" not in cloud.reboots
    assert "api-001" not in cloud.reboots
    assert len(cloud.reboots) == saved.servers - 1
    assert "NotSelected" in done.err
    assert "api-001" in done.err
    report = json.loads(cloud.lab.run("report", "web", "-o", "json").out)
    assert {s["reason"] for s in report["servers"] if s["id"] == leaves} == {"NotSelected"}


def test_too_many_gone(cloud: Remote) -> None:
    """More than a tenth gone before the first wave is not what was reviewed: exit 6."""
    save(cloud)
    for name in ("web-003", "web-004"):
        tag(cloud, name, "old")
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert (
        done.code,
        "2 of its 10 servers would be skipped now, at most 1 may be" in done.err,
    ) == (6, True)
    assert cloud.posts == 0


def test_an_old_schedule(cloud: Remote) -> None:
    """Its age is judged when its run is created; a run that is open goes on however old its
    schedule is.
    """
    save(cloud, PLAN + "    pause: approval\n")
    path = cloud.lab.folder / "saved.json"
    forge(path, made_at="2026-01-01T00:00:00Z")
    refused = cloud.lab.run("run", "saved.json", "--yes")
    assert (refused.code, "at most 7d" in refused.err) == (6, True)
    assert cloud.posts == 0
    assert cloud.lab.run("run", "saved.json", "--yes", "--no-wait", "--max-age", "366d").code == 75
    assert cloud.lab.run("approve", "web", "--reason", "looks well").code == 0
    assert cloud.lab.run("run", "saved.json", "--yes", "--no-wait").code == 75
    assert set(cloud.reboots.values()) == {1}


def test_a_forged_schedule(cloud: Remote) -> None:
    """A file with a good digest whose waves are not what the plan makes is refused."""
    saved = save(cloud)
    everyone = tuple(s for w in saved.waves for s in w.servers)
    one = replace(saved.waves[0], servers=everyone, is_canary=False, pause=saved.waves[-1].pause)
    worst = replace(saved.worst_case, down_at_once=10, failures_before_stop=10, wave=1)
    forge(cloud.lab.folder / "saved.json", waves=(one,), worst_case=worst)
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert (done.code, "waves: 10" in done.err) == (6, True), done.err
    assert cloud.posts == 0


def test_a_revert_that_is_merged_again(cloud: Remote) -> None:
    """A version that was run once is done, however many other versions of the plan were
    run since.
    """
    lab, other = cloud.lab, PLAN.replace("role: web", "role: api")
    assert lab.run("run", "web.yaml", "--yes").code == 0
    lab.write("web.yaml", other)
    assert lab.run("run", "web.yaml", "--yes").code == 0
    before = cloud.reboots
    lab.write("again.yaml", f"# back to the first\n{PLAN}")
    again = lab.run("run", "again.yaml", "--yes")
    assert (again.code, "nothing was sent" in again.err) == (0, True)
    assert cloud.reboots == before
    assert set(before.values()) == {1}


def test_superseding(cloud: Remote) -> None:
    """An open run of another version is in the way (7), until --supersede cancels it and
    follows it to its end.
    """
    lab = cloud.lab
    lab.write("web.yaml", PLAN + "    pause: approval\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    lab.write("web.yaml", PLAN)
    held = lab.run("run", "web.yaml", "--yes")
    assert (held.code, "--supersede" in held.err) == (7, True)
    done = lab.run("run", "web.yaml", "--yes", "--supersede")
    assert done.code == 0, done.err
    assert set(cloud.reboots.values()) == {1}
    assert len(cloud.reboots) == 10
    assert {r["word"] for r in lab.runs()} == {"cancelled", "done"}


def test_max_wait(cloud: Remote) -> None:
    """A pause that is longer than --max-wait suspends the run, a shorter one is waited for."""
    lab = cloud.lab
    lab.write("web.yaml", PLAN + "    pause: [100ms, 1h]\n")
    done = lab.run("run", "web.yaml", "--yes", "--max-wait", "30s")
    assert (done.code, len(cloud.reboots)) == (75, 6)
    both = lab.run("resume", "web", "--no-wait", "--max-wait", "1s")
    assert (both.code, "two things" in both.err) == (64, True)


def test_reconcile_stays_with_what_is_due_soon(cloud: Remote) -> None:
    """`reconcile --wait` advances a run until it waits for longer than that, or is over."""
    lab = cloud.lab
    lab.write("web.yaml", PLAN + "    pause: 100ms\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    done = lab.run("reconcile", "--wait", "20s")
    assert done.code == 0, done.err
    assert lab.runs()[0]["word"] == "done"
    assert set(cloud.reboots.values()) == {1}
    assert len(cloud.reboots) == 10


def test_what_is_refused_supersedes_nothing(cloud: Remote) -> None:
    """A wrong digest, or a version that has run already, leaves the open run of another
    version alone.
    """
    lab = cloud.lab
    save(cloud)
    assert lab.run("run", "saved.json", "--yes").code == 0
    lab.write("web.yaml", PLAN.replace("role: web", "role: api") + "    pause: approval\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    wrong = lab.run("run", "saved.json", "--schedule-digest", "sha256:" + "0" * 64, "--supersede")
    assert wrong.code == 6
    again = lab.run("run", "saved.json", "--yes", "--supersede", "--plan", "web.yaml")
    assert (again.code, "nothing was sent" in again.err) == (0, True)
    assert next(r["word"] for r in lab.runs()) in ("waiting", "suspended")


def test_the_plan_of_a_schedule_is_looked_for_in_the_repository(cloud: Remote) -> None:
    """A file that says its plan is somewhere else on this machine is not followed there."""
    save(cloud)
    path = cloud.lab.folder / "saved.json"
    forge(path, plan=replace(load(path.read_text()).plan, file="../../../../etc/hosts.yaml"))
    done = cloud.lab.run("run", "saved.json", "--yes")
    assert (done.code, "is gone" in done.err) == (6, True)


def test_where_a_schedule_is_saved(cloud: Remote) -> None:
    """A link is written through, a device is left a device, and a plan is never overwritten."""
    lab = cloud.lab
    (lab.folder / "link.json").symlink_to("real.json")
    assert lab.run("diff", "web.yaml", "--out", "link.json").code == 0
    assert (lab.folder / "link.json").is_symlink()
    assert load((lab.folder / "real.json").read_text()).servers == 10
    assert lab.run("diff", "web.yaml", "--out", "web.yaml").code == 64
    assert (lab.folder / "web.yaml").read_text() == PLAN
    assert lab.run("diff", "web.yaml", "--out", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()
