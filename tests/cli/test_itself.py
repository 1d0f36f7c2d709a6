"""Plans that would take down what they run on: refused before anything is sent, spared when
a run moves here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from runner.simulator.fleet import FleetOptions
from runner.simulator.server import serve_in_thread
from runner.simulator.state import CloudOptions
from runner.simulator.switches import Instance
from tests.cli.lab import KEYS, NO_METADATA, PLAN, Lab, Remote, target

BY_NAME = PLAN.replace("    waves:", "    order: name\n    waves:")
"""web-001 first, then five, then four."""


@contextmanager
def on_server(server_id: str, **instance: Any) -> Iterator[dict[str, str]]:
    """The environment of a machine that is this server: its metadata service says so."""
    keys = KEYS.model_copy(update={"instance": Instance(server=server_id, **instance)})
    with serve_in_thread(CloudOptions(FleetOptions(servers=1), keys)) as service:
        yield {"REBOOT_RUNNER_METADATA": service.url}


def depend(cloud: Remote, *support: Mapping[str, Any]) -> None:
    """Configure what the runner depends on."""
    cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url, support=list(support))})


def web(cloud: Remote) -> list[str]:
    """The names of the plan's servers, in the order of names."""
    return sorted(s.name for s in cloud.state.fleet.servers if dict(s.tags).get("role") == "web")


def outcomes(cloud: Remote) -> dict[str, tuple[str, str]]:
    """Name -> outcome and reason, of the last run."""
    report = json.loads(cloud.lab.run("report", "web", "-o", "json").out)
    return {s["name"]: (s["outcome"], s["reason"]) for s in report["servers"]}


@pytest.mark.parametrize("tokens", ["optional", "required"])
def test_a_plan_with_the_machine_in_it_is_refused(cloud: Remote, tokens: str) -> None:
    """`diff` and `run` end with 3, name the server and say how to mend; a plan that
    excludes it runs.
    """
    lab, mine = cloud.lab, web(cloud)[4]
    with on_server(cloud.id_of(mine), tokens=tokens) as env:
        for command in (["diff", "web.yaml"], ["run", "web.yaml", "--yes"]):
            done = lab.run(*command, env=env)
            assert (done.code, "error[RunnerItself]" in done.err, mine in done.err) == (
                3,
                True,
                True,
            ), done.err
            assert "exclude it in the plan" in done.err
        assert (cloud.posts, lab.runs()) == (0, [])
        lab.write(
            "web.yaml", PLAN.replace("    waves:", f"    exclude: {{names: {mine}}}\n    waves:")
        )
        assert lab.run("run", "web.yaml", "--yes", env=env).code == 0
    assert mine not in cloud.reboots
    assert len(cloud.reboots) == len(web(cloud)) - 1


def test_a_tunnel_to_a_real_cloud_protects_the_machine(cloud: Remote) -> None:
    """An endpoint on loopback changes nothing: the machine that REBOOT_RUNNER_ITSELF names
    is refused, exit 3.
    """
    lab, mine = cloud.lab, web(cloud)[4]
    env = NO_METADATA | {"REBOOT_RUNNER_ITSELF": cloud.id_of(mine)}
    lab.configure(targets={"lab": target(cloud.state, cloud.url, cloud="huaweicloud")})
    for command in (["diff", "web.yaml"], ["run", "web.yaml", "--yes"]):
        done = lab.run(*command, env=env)
        assert (done.code, "error[RunnerItself]" in done.err, mine in done.err) == (
            3,
            True,
            True,
        ), done.err
    assert (cloud.posts, lab.runs()) == (0, [])
    lab.configure(targets={"lab": target(cloud.state, cloud.url)})
    assert lab.run("diff", "web.yaml", env={"REBOOT_RUNNER_ITSELF": cloud.id_of(mine)}).code == 0


def test_a_saved_schedule_with_the_machine_in_it_is_refused(cloud: Remote) -> None:
    """What was reviewed elsewhere may hold the machine that is to run it: exit 3, nothing
    sent, no run.
    """
    lab, mine = cloud.lab, web(cloud)[0]
    assert lab.run("diff", "web.yaml", "--out", "saved.json").code == 0
    with on_server(cloud.id_of(mine)) as env:
        done = lab.run("run", "saved.json", "--yes", env=env)
    assert (done.code, "RunnerItself" in done.err, mine in done.err) == (3, True, True), done.err
    assert (cloud.posts, lab.runs()) == (0, [])


def test_a_run_that_is_taken_up_on_one_of_its_servers(cloud: Remote) -> None:
    """That server is skipped with the reason, all others are rebooted; the report says so."""
    lab, mine = cloud.lab, web(cloud)[3]
    lab.write("web.yaml", BY_NAME + "    pause: [approval, 0s]\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    assert lab.run("approve", "web", "--reason", "go on").code == 0
    with on_server(cloud.id_of(mine)) as env:
        assert lab.run("resume", "web", env=env).code == 4
    found = outcomes(cloud)
    assert found.pop(mine) == ("skipped", "RunnerItself")
    assert {outcome for outcome, _ in found.values()} == {"ready"}
    assert mine not in cloud.reboots


def test_what_the_runner_depends_on_is_refused(cloud: Remote) -> None:
    """A plan, and a schedule saved before configuration named the server: exit 3, nothing sent."""
    lab, bastion = cloud.lab, web(cloud)[1]
    assert lab.run("diff", "web.yaml", "--out", "saved.json").code == 0
    depend(cloud, {"name": "bastion", "servers": {"names": [bastion]}})
    for what in ("web.yaml", "saved.json"):
        done = lab.run("run", what, "--yes")
        assert (done.code, "error[RunnerSupport]" in done.err, bastion in done.err) == (
            3,
            True,
            True,
        ), done.err
    assert "action: last" in done.err
    assert lab.run("diff", "web.yaml").code == 3
    assert (cloud.posts, lab.runs()) == (0, [])


def test_what_the_runner_depends_on_goes_last(cloud: Remote) -> None:
    """It goes down after all others, in waves of its own that the dry-run shows."""
    lab, names = cloud.lab, web(cloud)
    lab.write("web.yaml", BY_NAME)
    depend(cloud, {"name": "nat", "servers": {"ids": [cloud.id_of(names[0])]}, "action": "last"})
    done = lab.run("diff", "web.yaml", "--out", "saved.json")
    assert (done.code, "warning[SupportLast]" in done.out, "web-support" in done.out) == (
        0,
        True,
        True,
    ), done.out
    assert lab.run("run", "saved.json", "--yes").code == 0
    report = json.loads(lab.run("report", "web", "-o", "json").out)
    assert [w["group"] for w in report["waves"]] == ["web", "web", "web", "web-support"]
    last = max(report["servers"], key=lambda s: s["wave"])
    assert last["name"] == names[0]


def test_support_that_is_named_while_a_run_waits(cloud: Remote) -> None:
    """Configuration is read before each wave: what has become support is spared, whatever
    action it has.
    """
    lab, names = cloud.lab, web(cloud)
    lab.write("web.yaml", BY_NAME + "    pause: [approval, 0s]\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    assert lab.run("approve", "web", "--reason", "go on").code == 0
    depend(
        cloud,
        {"name": "store", "servers": {"names": [names[2]]}},
        {"name": "nat", "servers": {"names": [names[5]]}, "action": "last"},
    )
    assert lab.run("resume", "web").code == 4
    found = outcomes(cloud)
    assert found[names[2]] == found[names[5]] == ("skipped", "RunnerSupport")
    assert sorted(cloud.reboots) == [n for n in names if n not in (names[2], names[5])]


def test_support_is_a_matter_of_the_base_revision(cloud: Remote) -> None:
    """A branch that takes a name out of `support` does not take it out of its own dry-run."""
    import subprocess

    lab, bastion = cloud.lab, web(cloud)[1]
    (lab.folder / ".git").rmdir()
    depend(cloud, {"name": "bastion", "servers": {"names": [bastion]}})
    about = ("-c", "user.name=T", "-c", "user.email=t@example.com")
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        [*about, "commit", "-q", "-m", "one"],
    ):
        subprocess.run(["git", *command], cwd=lab.folder, env=lab.env, check=True)
    depend(cloud)
    assert lab.run("diff", "web.yaml").code == 0
    done = lab.run("diff", "web.yaml", "--config-rev", "main", "--base", "main")
    assert (done.code, "RunnerSupport" in done.err) == (3, True)
    assert f"BELT LIFTED  target lab: support bastion gone: refuse: names {bastion}" in done.out, (
        done.out
    )


def test_the_embedded_cloud_asks_nobody_who_we_are(lab: Lab) -> None:
    """Its servers' addresses are made up, so nothing of this machine refuses a plan; a
    service on loopback may.
    """
    done = lab.run("diff", "web.yaml", "-o", "json")
    assert done.code == 0
    server = json.loads(done.out)["plans"][0]["schedule"]["waves"][1]["servers"][0]
    with on_server(server["id"]) as env:
        done = lab.run("diff", "web.yaml", env=env)
    assert (done.code, "RunnerItself" in done.err, server["name"] in done.err) == (3, True, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("REBOOT_RUNNER_METADATA", "http://169.254.169.253"), ("REBOOT_RUNNER_ITSELF", "web-1")],
)
def test_a_variable_that_says_nothing_usable(cloud: Remote, name: str, value: str) -> None:
    """Is told by its name, with exit 3."""
    env = {"REBOOT_RUNNER_METADATA": cloud.url, name: value}
    done = cloud.lab.run("diff", "web.yaml", env=env)
    assert (done.code, name in done.err) == (3, True), done.err


@pytest.mark.parametrize(
    ("support", "words"),
    [
        ({"name": "nat", "servers": {}}, "empty selector"),
        ({"name": "nat", "servers": {"all": True}}, "all"),
        ({"servers": {"names": "nat-*"}}, "name"),
        ({"name": "nat", "servers": {"names": "nat-*"}, "action": "first"}, "action"),
    ],
)
def test_support_that_says_nothing(cloud: Remote, support: dict[str, Any], words: str) -> None:
    """A selector without a key, an unknown key or action: a configuration that is not
    obeyed is refused.
    """
    depend(cloud, support)
    done = cloud.lab.run("diff", "web.yaml")
    assert (done.code, words in done.err) == (3, True), done.err
