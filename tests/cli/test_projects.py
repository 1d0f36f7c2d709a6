"""Which project is meant, in whole command lines."""

from __future__ import annotations

import json
from typing import Any

import yaml

from runner.simulator.switches import Switches
from tests.cli.lab import PLAN, Lab, Remote


def configure(cloud: Remote, **more: Any) -> None:
    """Keys of the target; those that are None are taken out."""
    made = json.loads((cloud.lab.folder / "reboot-runner.yaml").read_text())
    made["targets"]["lab"] = {
        k: v for k, v in (made["targets"]["lab"] | more).items() if v is not None
    }
    cloud.lab.configure(**made)


def test_a_project_that_changes_under_an_open_run(cloud: Remote) -> None:
    """Exit 6 with both ids, and nothing is sent; set back, the run goes on."""
    own = cloud.state.fleet.project_id
    cloud.lab.write(
        "web.yaml", PLAN.replace("waves: [1, 50%]", "waves: [1, 50%]\n    pause: approval")
    )
    assert cloud.lab.run("run", "web.yaml", "--no-wait").code == 75
    sent = cloud.posts
    assert cloud.lab.run("approve", "web", "--reason", "well").code == 0
    configure(cloud, project_id="0" * 32)
    done = cloud.lab.run("resume", "web")
    assert done.code == 6, done.err
    assert own in done.err
    assert "0" * 32 in done.err
    assert cloud.posts == sent
    configure(cloud, project_id=own)
    assert cloud.lab.run("resume", "web", "--no-wait").code in (0, 75)
    assert cloud.posts > sent


def test_a_project_that_is_not_ours(cloud: Remote) -> None:
    """Exit 77 with what to look at."""
    configure(cloud, project_id="0" * 32)
    done = cloud.lab.run("diff", "web.yaml")
    assert done.code == 77
    assert "the credentials are not of this project: Ecs.0023" in done.err
    assert "check project_id and region" in done.err


def test_several_projects_of_the_region(cloud: Remote) -> None:
    """Without project_id they are listed with their ids, and nothing is planned; one of its
    own is found.
    """
    region = cloud.state.fleet.options.region
    configure(cloud, project_id=None)
    assert cloud.lab.run("diff", "web.yaml").code == 0
    cloud.state.set_switches(Switches(other_projects=(f"{region}_team",)))
    done = cloud.lab.run("diff", "web.yaml")
    assert done.code not in (0, 2)
    assert (
        f"region {region} has 2 projects: {region} ({cloud.state.fleet.project_id}), "
        f"{region}_team ("
    ) in done.err
    assert "hint: set project_id" in done.err


def test_the_simulator_speaks_as_the_other_cloud(lab: Lab) -> None:
    """`simulator --cloud otc` prints a target that can be copied, and a plan is planned on it."""
    cloud = lab.start("simulator", "--cloud", "otc", "--region", "eu-de", "--servers", "20")
    said = cloud.out.wait_for("Ctrl-C")
    (written,) = (
        line.partition("simulated: ")[2] for line in said.splitlines() if "simulated: {" in line
    )
    target = yaml.safe_load(written)
    assert (target["cloud"], target["region"]) == ("otc", "eu-de")
    lab.configure(targets={"lab": target})
    keys = dict(
        line.removeprefix("export ").split("=", 1)
        for line in said.splitlines()
        if line.startswith("export ")
    )
    assert not any("'" in value for value in keys.values())
    done = lab.run("diff", "web.yaml", env=keys)
    assert done.code == 0, done.err
    assert "10 servers in 3 waves" in done.out
