"""The policy while plans run: judged when a run begins, and read again before each wave."""

from __future__ import annotations

import json

from tests.cli.lab import PLAN, Remote, target

POLICY = "version: 1\nmax_wave: {servers: 5}\nforbidden: {tags: {role: never}}\n"


def obey(cloud: Remote, policy: str = POLICY) -> None:
    cloud.lab.write("policy.yaml", policy)
    cloud.lab.configure(targets={"lab": target(cloud.state, cloud.url)}, policy="policy.yaml")


def test_a_run_that_breaks_the_policy_does_not_begin(cloud: Remote) -> None:
    """A plan, or a saved schedule of it, that breaks a rule is exit 3 with the rule's name;
    nothing is sent.
    """
    lab = cloud.lab
    assert lab.run("diff", "web.yaml", "--out", "saved.json").code == 0
    obey(cloud, POLICY.replace("servers: 5", "servers: 4"))
    for what in ("web.yaml", "saved.json"):
        done = lab.run("run", what, "--yes")
        assert (done.code, "max_wave.servers" in done.err) == (3, True), done.err
    assert cloud.posts == 0
    assert lab.runs() == []


def test_a_policy_that_cannot_be_used_lets_nothing_run(cloud: Remote) -> None:
    """A policy with a mistake in it is not as good as none: nothing begins."""
    obey(cloud, "version: 1\nmax_wav: {servers: 5}\n")
    done = cloud.lab.run("run", "web.yaml", "--yes")
    assert (done.code, "max_wav" in done.err) == (3, True)
    assert cloud.posts == 0


def test_a_policy_that_changes_meanwhile(cloud: Remote) -> None:
    """Before each wave the policy of the moment is judged by the servers of the moment: the
    run stops before it.
    """
    lab = cloud.lab
    obey(cloud)
    lab.write("web.yaml", PLAN + "    pause: approval\n")
    assert lab.run("run", "web.yaml", "--yes", "--no-wait").code == 75
    cloud.fault(do="tags", servers={"names": ["web-003"]}, tags={"role": "never"})
    assert lab.run("approve", "web", "--reason", "go on").code == 0
    stopped = lab.run("resume", "web", "--no-wait")
    before = dict(cloud.reboots)
    while stopped.code == 75:
        before = dict(cloud.reboots)
        assert lab.run("approve", "web", "--reason", "go on").code == 0
        stopped = lab.run("resume", "web", "--no-wait")
    assert stopped.code == 5, stopped.err
    assert cloud.reboots == before
    assert "web-003" not in cloud.reboots
    report = json.loads(lab.run("report", "web", "-o", "json").out)
    assert report["stop"]["reason"] == "PolicyViolated"
    assert "forbidden" in report["stop"]["detail"]


def test_an_exclusion_that_excludes_nothing(cloud: Remote) -> None:
    """A warning with its line in diff and run, of a plan and of a saved schedule; by
    `exclude_must_match` an error.
    """
    lab = cloud.lab
    lab.write("web.yaml", PLAN + "    exclude: {names: [wbe-*]}\n")
    shown = lab.run("diff", "web.yaml", "--out", "saved.json")
    assert (shown.code, "warning[ExcludesNothing] web.yaml:" in shown.out) == (0, True), shown.out
    assert r"exclude.names wbe-\*" in lab.run("diff", "web.yaml", "-o", "markdown").out
    obey(cloud, "version: 1\nexclude_must_match: true\n")
    refused = lab.run("diff", "web.yaml", "-o", "json")
    codes = [p["code"] for p in json.loads(refused.out)["plans"][0]["problems"]]
    assert (refused.code, codes) == (3, ["PolicyViolated"])
    for what in ("web.yaml", "saved.json"):
        done = lab.run("run", what, "--yes")
        assert (done.code, "exclude_must_match" in done.err) == (3, True), done.err
    assert cloud.posts == 0
    lab.configure(targets={"lab": target(cloud.state, cloud.url)})
    done = lab.run("run", "saved.json", "--yes")
    assert (done.code, "exclude.names wbe-*" in done.err) == (0, True), done.err
