"""Plans whose groups are on several targets, by whole command lines: `diff`, `run`, saved
schedules, `resume`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions, State
from runner.simulator.switches import Switches
from tests.cli.lab import KEYS, Lab, Remote, remote, target
from tests.cli.lab import PLAN as LAB_PLAN

PLAN = """\
version: 1
name: both
target: lab
limits: {percent: 100}
groups:
  - name: here
    servers: {tags: {role: web}}
    waves: [1, 100%]
    ready: {timeout: 3s}
  - name: there
    target: other
    servers: {tags: {role: web}}
    waves: [1, 100%]
    ready: {timeout: 3s}
"""


@dataclass
class Pair:
    here: Remote
    there: Remote

    @property
    def lab(self) -> Lab:
        return self.here.lab


@contextmanager
def two_clouds(lab: Lab) -> Iterator[Pair]:
    """Two regions with fleets of their own; the same keys are good for both."""
    quick = Switches(parent_lag=timedelta(milliseconds=50), init=timedelta(0))
    fleet = FleetOptions(servers=12, seed=7, region="eu-de", reboot_seconds=0.1)
    state = State(CloudOptions(fleet, KEYS, quick))
    try:
        with remote(lab) as here, serve_in_thread(state) as running:
            there = Remote(lab, state, running.url, None)
            lab.configure(
                targets={"lab": target(here.state, here.url), "other": target(state, running.url)}
            )
            yield Pair(here, there)
            for child in lab.children:
                child.dispose()
    finally:
        state.close()


def test_incomplete_inventory(lab: Lab) -> None:
    """A cloud that shows fewer servers than it counts is an error that names the target; no
    plan is blamed.
    """
    lab.write("plan.yaml", LAB_PLAN)
    with remote(lab, unlisted=2):
        done = lab.run("diff", "plan.yaml", "--target", "lab")
    assert done.code == 1
    assert (
        "target lab: the server list is incomplete: the cloud counts 20 servers and shows 18"
        in done.err
    )


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    with two_clouds(lab) as pair:
        lab.write("both.yaml", PLAN)
        yield pair


def plan_of(done: Any) -> dict[str, Any]:
    (plan,) = json.loads(done.out)["plans"]
    return dict(plan)


def test_one_plan_reboots_each_group_on_its_own_target(pair: Pair) -> None:
    """`diff` shows both targets, the saved schedule runs as reviewed, each cloud reboots
    its own servers once.
    """
    lab = pair.lab
    shown = lab.run("diff", "both.yaml", "--out", "both.json")
    assert shown.code == 0, shown.err
    assert "target lab (" in shown.out
    assert "there on other" in shown.out
    schedule = json.loads((lab.folder / "both.json").read_text())
    assert [t["name"] for t in schedule["targets"]] == ["lab", "other"]
    assert {g["name"]: g["target"] for g in schedule["groups"]} == {"here": "lab", "there": "other"}
    done = lab.run("run", "both.json", "--schedule-digest", schedule["digest"])
    assert done.code == 0, done.err
    for cloud in (pair.here, pair.there):
        assert set(cloud.reboots.values()) == {1}
    assert len(pair.here.reboots) + len(pair.there.reboots) == sum(
        len(w["servers"]) for w in schedule["waves"]
    )
    again = lab.run("run", "both.yaml")
    assert again.code == 0
    assert "nothing was sent" in again.err


def test_a_saved_schedule_is_held_to_the_plans_targets(pair: Pair) -> None:
    """A file whose group is on another target than the plan says is refused, whatever
    its digest.
    """
    lab = pair.lab
    assert lab.run("diff", "both.yaml", "--out", "both.json").code == 0
    lab.write("both.yaml", PLAN.replace("    target: other\n", ""))
    refused = lab.run("run", "both.json", "--plan", "both.yaml")
    assert refused.code == 6
    assert "group there, target: other was reviewed, the plan makes it lab" in refused.err
    assert pair.here.posts == pair.there.posts == 0


def test_a_target_that_is_gone_in_mid_run_stops_its_own_groups(pair: Pair) -> None:
    """The second target does not let us in any more: the first is done, the rest is not
    started, exit 4, and `retry` writes a plan for exactly that, on the target where it is.
    """
    lab = pair.lab
    head, here, there = PLAN.split("  - name: ")
    lab.write("both.yaml", f"{head}  - name: {there}  - name: {here}")
    pair.there.fault(
        do="error", on="list", after=3, times="all", status=401, code="APIGW.0301", message="no"
    )
    done = lab.run("run", "both.yaml", "--yes")
    assert done.code == 4, done.err
    assert "target other is given up, the others go on" in done.err
    assert set(pair.here.reboots.values()) == {1}
    assert len(pair.there.reboots) <= 1
    assert "TargetFailed" in done.out
    report = json.loads(lab.run("report", "both", "-o", "json").out)
    lost = [s for s in report["servers"] if s["reason"] == "TargetFailed"]
    assert lost
    assert all(s["outcome"] == "not_started" for s in lost)
    written = lab.run("retry", "both", "--out", "again.yaml")
    assert written.code == 0, written.err
    assert "other" in (lab.folder / "again.yaml").read_text()


def test_resume_without_one_targets_credentials(pair: Pair) -> None:
    """The target is named with the variables that it lacks, once."""
    lab = pair.lab
    other = target(pair.there.state, pair.there.url) | {"env_prefix": "OTHER_"}
    lab.configure(targets={"lab": target(pair.here.state, pair.here.url), "other": other})
    head, here, there = PLAN.split("  - name: ")
    pause = "    pause: approval\n"
    lab.write("both.yaml", f"{head}  - name: {there}{pause}  - name: {here}")
    keys = {"OTHER_HUAWEICLOUD_SDK_AK": KEYS.ak, "OTHER_HUAWEICLOUD_SDK_SK": KEYS.sk}
    begun = lab.run("run", "both.yaml", "--yes", "--no-wait", env=keys)
    assert begun.code == 75, begun.err
    assert lab.run("approve", "both", "--reason", "fine").code == 0
    done = lab.run("resume", "both", "--deadline", "1s")
    first = (
        "target other could not be opened, the others go on: no credentials: set "
        "OTHER_HUAWEICLOUD_SDK_AK and"
    )
    assert done.err.count(f"{first} OTHER_HUAWEICLOUD_SDK_SK") == 1, done.err


def test_percent_of_limits_is_of_each_target(pair: Pair) -> None:
    """What is a small share of both together may be all of one."""
    lab = pair.lab
    head, here, there = PLAN.replace("percent: 100", "percent: 80").split("  - name: ")
    lab.write(
        "both.yaml",
        "  - name: ".join((head, here, there.replace("{tags: {role: web}}", "{all: true}"))),
    )
    done = lab.run("diff", "both.yaml")
    assert done.code == 3
    assert "12 of 12 visible servers of target other" in done.out + done.err


def test_target_option_is_for_plans_with_one(pair: Pair) -> None:
    """`--target` would send groups elsewhere that name a target of their own: refused,
    nothing is read.
    """
    done = pair.lab.run("diff", "both.yaml", "--target", "lab")
    assert done.code == 3
    assert "name targets of their own" in done.out + done.err
    other = pair.lab.run("diff", "both.yaml", "-o", "json")
    assert [t["name"] for t in plan_of(other)["schedule"]["targets"]] == ["lab", "other"]


def test_an_unknown_target_of_a_group_has_its_place(pair: Pair) -> None:
    """`validate` says which line, and what was probably meant."""
    pair.lab.write("both.yaml", PLAN.replace("target: other", "target: othre"))
    done = pair.lab.run("validate", "both.yaml")
    assert done.code == 3
    assert "both.yaml:11:13" in done.out + done.err
    assert "did you mean other?" in done.out + done.err


def test_two_embedded_clouds_live_by_one_clock(lab: Lab) -> None:
    """Without anything to serve: two simulated targets in the configuration, one plan, each
    with its own fleet.
    """
    simulated = {
        "cloud": "simulator",
        "region": "eu-de",
        "simulator": {"servers": 8, "seed": 3, "time_scale": 600},
    }
    lab.configure(
        targets={
            "lab": {"cloud": "simulator", "simulator": {"servers": 8, "time_scale": 600}},
            "other": simulated,
        }
    )
    lab.write("both.yaml", PLAN.replace("timeout: 3s", "timeout: 10m"))
    done = lab.run("run", "both.yaml")
    assert done.code == 0, done.err
    assert "ready" in done.out


def test_simulated_time_is_not_mixed_with_real_time(pair: Pair) -> None:
    """A target that is simulated in a time of its own has no place in a plan with others."""
    pair.lab.write("both.yaml", PLAN.replace("target: other", "target: simulator"))
    done = pair.lab.run("run", "both.yaml", "--yes")
    assert done.code == 3
    assert "simulated in a time of its own" in done.err
    assert pair.here.posts == 0


def test_a_group_cannot_take_its_target_from_the_environment(pair: Pair) -> None:
    """Which cloud a group is for is said in the plan: by its variables, not by where it is read."""
    lab = pair.lab
    made = json.loads((lab.folder / "reboot-runner.yaml").read_text())
    lab.configure(**{**made, "template_env": ["WHERE"]})
    lab.write("both.yaml", PLAN.replace("target: other", 'target: "{{ env.WHERE }}"'))
    done = lab.run("validate", "both.yaml", env={"WHERE": "other"})
    assert done.code == 3
    lab.write(
        "both.yaml",
        PLAN.replace("target: other", 'target: "{{ vars.where }}"') + "vars: {where: other}\n",
    )
    assert lab.run("validate", "both.yaml").code == 0
