"""Several processes at once on one store."""

from __future__ import annotations

import json

from tests.cli.lab import PLAN, Lab, Remote, target

APPROVALS = PLAN + "    pause: approval\n"


def test_two_runs_of_a_plan_at_once(cloud: Remote) -> None:
    """Both end with the run's code; there is one run, and each server is rebooted once."""
    lab = cloud.lab
    both = [lab.start("run", "web.yaml") for _ in range(2)]
    ends = [child.wait() for child in both]
    assert [e.code for e in ends] == [0, 0], "\n---\n".join(e.err for e in ends)
    assert all("10 of 10 servers ready" in e.out for e in ends)
    assert len(lab.runs()) == 1
    assert cloud.posts == 3
    assert set(cloud.reboots.values()) == {1}


def test_a_second_process_takes_part(still_cloud: Remote) -> None:
    """`resume` of a run that a living process has joins in, and both see it end."""
    lab = still_cloud.lab
    first = lab.start("run", "web.yaml")
    first.err.wait_for("batch 1: accepted")
    second = lab.start("resume", "web")
    second.err.wait_for("wave 1/3")
    still_cloud.go_on()
    assert (first.wait().code, second.wait().code) == (0, 0)
    assert set(still_cloud.reboots.values()) == {1}


def test_people_decide_from_other_processes(lab: Lab) -> None:
    """`status` tells what a run asks, `approve` answers while `run` waits, and is refused
    where nothing is asked.
    """
    lab.write("web.yaml", APPROVALS)
    child = lab.start("run", "web.yaml")
    child.err.wait_for("waits for an approval")
    asked = lab.status("web")
    assert asked["word"] == "waiting"
    assert asked["question"]["wave"] == 2
    assert asked["waits_for"].startswith("approval")
    assert f"approve {asked['id']}" in lab.run("status", "web").out

    approved = lab.run("approve", asked["id"][:17], "--reason", "canary is well")
    assert approved.code == 0, approved.err
    child.err.wait_for("waits for an approval", times=2)
    assert lab.run("approve", asked["id"], "--reason", "go").code == 0
    done = child.wait()
    assert done.code == 0, done.err

    refused = lab.run("approve", "web", "--reason", "again")
    assert (refused.code, "asks nothing" in refused.err) == (7, True)
    assert "canary is well" in lab.run("report", "web", "-o", "json").out


def test_cancel_stops_a_waiting_run(lab: Lab) -> None:
    """`cancel` from elsewhere ends the waiting process with exit 5; nothing more is sent;
    twice is refused.
    """
    lab.write("web.yaml", APPROVALS)
    child = lab.start("run", "web.yaml")
    child.err.wait_for("waits for an approval")
    assert lab.run("cancel", "web", "--reason", "incident 4711").code == 0
    done = child.wait()
    assert done.code == 5, done.err
    assert "incident 4711" in done.out + done.err
    assert "1 ready" in done.out
    assert "batch 2" not in done.err
    again = lab.run("cancel", "web", "--reason", "x")
    assert (again.code, "closed already" in again.err) == (7, True)
    assert lab.run("resume", "web").code == 5


def test_halt_and_unhalt(cloud: Remote) -> None:
    """A halted store begins nothing (exit 7, with reason) until it is lifted; `resume` goes
    on then.
    """
    lab = cloud.lab
    assert lab.run("halt", "--reason", "incident 4711").code == 0
    assert "HALTED" in lab.run("status").out
    held = lab.run("run", "web.yaml")
    assert held.code == 7, held.err
    (run,) = lab.runs()
    assert held.out.startswith(
        f"run {run['id']} is held (halted: incident 4711): 0 of 10 servers ready, 10 pending; "
    )
    assert (held.out + held.err).count("incident 4711") == 1
    assert (run["word"], run["next"]) == ("held", "resume")
    report = json.loads(lab.run("report", "web", "-o", "json").out)
    assert (report["state"], report["result"], report["exit_code"]) == ("held", "held", 7)
    text = lab.run("status", "web").out
    assert text.count("held (halted: incident 4711)") == text.count("incident 4711") == 1
    assert cloud.posts == 0
    assert json.loads(lab.run("status", "-o", "json").out)["halted"]["reason"] == "incident 4711"
    assert lab.run("resume", "web").code == 7
    assert lab.run("reconcile", "--wait", "30m").code in (0, 7)
    lifted = lab.run("unhalt")
    assert "incident 4711" in lifted.err
    assert lab.run("run", "web.yaml").code == 0
    assert "nothing was halted" in lab.run("unhalt").err
    assert set(cloud.reboots.values()) == {1}


def test_halt_while_a_run_goes_on(still_cloud: Remote) -> None:
    """What is in flight is followed to its end; the next wave is not begun, and the process
    says why it ends.
    """
    lab = still_cloud.lab
    child = lab.start("run", "web.yaml")
    child.err.wait_for("batch 1: accepted")
    lab.run("halt", "--reason", "incident 4711")
    still_cloud.go_on()
    done = child.wait()
    assert done.code == 7, done.err
    assert still_cloud.posts == 1
    assert "1 of 10 servers ready" in done.out


def test_reconcile_goes_on(cloud: Remote) -> None:
    """`reconcile` advances what is due and begins nothing: an approved run goes on without
    its first process.
    """
    lab = cloud.lab
    nothing = lab.run("reconcile")
    assert (nothing.code, nothing.out, cloud.posts) == (0, "", 0)
    lab.write("web.yaml", APPROVALS.replace("50%", "100%"))
    assert lab.run("run", "web.yaml", "--no-wait").code == 75
    assert lab.run("reconcile").code == 0
    assert cloud.posts == 1
    lab.run("approve", "web", "--reason", "well")
    for _ in range(200):
        done = lab.run("reconcile")
        assert done.code == 0, done.err
        if not lab.status("web")["open"]:
            break
    assert lab.status("web")["word"] == "done"
    assert set(cloud.reboots.values()) == {1}


def test_resolve(cloud: Remote) -> None:
    """A lost answer leaves servers unknown; a person says what became of each, once, and
    the report keeps it.
    """
    cloud.fault(do="reset", on="reboot", when="before")
    lab = cloud.lab
    done = lab.run("run", "web.yaml")
    assert done.code == 5, done.err
    (trouble,) = lab.status("web")["troubles"]
    assert trouble["outcome"] == "unknown"
    assert trouble["server"] in done.out
    wrong = lab.run("resolve", "web", "--server", "no-such-id", "--as", "rebooted", "--reason", "x")
    assert wrong.code != 0
    words = (
        "resolve",
        "web",
        "--server",
        trouble["server"],
        "--as",
        "not-rebooted",
        "--reason",
        "uptime is 90 days",
    )
    first, second = lab.run(*words), lab.run(*words)
    assert first.code == 0, first.err
    assert (second.code, "not unknown" in second.err) == (64, True)
    assert "uptime is 90 days" in lab.run("report", "web").out
    lab.write("web.yaml", PLAN.replace("limits", "max_failures: 1\nlimits"))
    assert lab.run("run", "web.yaml").code == 0, "what was not rebooted is free in its cycle"
    assert set(cloud.reboots.values()) == {1}


def test_resolve_several_at_once(cloud: Remote) -> None:
    """`--server` several times is one decision: all of them are recorded, or with one that
    does not fit none.
    """
    cloud.fault(do="reset", on="reboot", when="before")
    lab = cloud.lab
    lab.write(
        "web.yaml",
        PLAN.replace("[1, 50%]", "[3, 100%]").replace("limits", "max_failures: 3\nlimits"),
    )
    lab.run("run", "web.yaml", "--no-wait")
    ids = [t["server"] for t in lab.status("web")["troubles"]]
    assert len(ids) == 3
    several = [word for i in ids for word in ("--server", i)]
    words = ("--as", "not-rebooted", "--reason", "uptime is 90 days")
    assert lab.run("resolve", "web", *several, "--server", "no-such-id", *words).code == 64
    assert len(lab.status("web")["troubles"]) == 3
    done = lab.run("resolve", "web", *several, "--server", ids[0], *words)
    assert (done.code, "3 servers are recorded as not-rebooted" in done.err) == (0, True), done.err
    assert lab.status("web")["troubles"] == []


def test_status_between_an_approval_and_who_goes_on(cloud: Remote) -> None:
    """What was waited for is not told any more: the run is suspended, approved, and nobody
    is at it.
    """
    lab = cloud.lab
    lab.write("web.yaml", APPROVALS.replace("50%", "100%"))
    assert lab.run("run", "web.yaml", "--no-wait").code == 75
    assert "asks for an approval" in lab.status("web")["suspended"]
    assert lab.run("approve", "web", "--reason", "well").code == 0
    state = lab.status("web")
    assert (state["word"], state["question"]) == ("suspended", None)
    assert state["suspended"] == "approved since; nobody goes on with it yet"
    text = lab.run("status", "web").out
    assert "asks for an approval" not in text
    assert "goes on" in text
    assert lab.run("resume", "web", "--no-wait").code == 0
    assert lab.status("web")["suspended"] is None


def test_status_watch(still_cloud: Remote) -> None:
    """`status --watch` shows each change from another process and ends with the run."""
    lab = still_cloud.lab
    child = lab.start("run", "web.yaml")
    child.err.wait_for("batch 1: accepted")
    watching = lab.start("status", "web", "--watch")
    watching.out.wait_for("wave 1")
    still_cloud.go_on()
    assert child.wait().code == 0
    done = watching.wait()
    assert done.code == 0
    assert "  running: " in done.out
    assert "  done" in done.out


def test_status_of_plans(cloud: Remote) -> None:
    """`status --plans` also names plans that were merged and never run, broken ones too."""
    lab = cloud.lab
    lab.write("plans/a.yaml", PLAN.replace("name: web\nlimits", "name: a\nlimits"))
    lab.write("plans/broken.yaml", "version: 1\n")
    lab.write("plans/web.yaml", PLAN)
    assert lab.run("run", "plans/web.yaml").code == 0
    text = lab.run("status", "--plans", "plans").out
    assert "plans/a.yaml" in text
    assert "plans/broken.yaml" in text
    assert "plans/web.yaml" not in text
    data = json.loads(lab.run("status", "--plans", "plans", "-o", "json").out)
    assert data["format_version"] == 1
    assert len(data["plans_without_run"]) == 2
    assert [r["plan"] for r in data["runs"]] == ["web"]
    assert lab.run("status", "--open").out == "no runs\n"


def test_the_same_plan_on_another_target(cloud: Remote) -> None:
    """A plan that has run on one target has not run on another; while it is open on one,
    the other is held.
    """
    lab = cloud.lab
    one = target(cloud.state, cloud.url)
    lab.configure(targets={"lab": one, "second": one})
    lab.write("web.yaml", APPROVALS)
    assert lab.run("run", "web.yaml", "--target", "lab", "--no-wait").code == 75
    held = lab.run("run", "web.yaml", "--target", "second")
    assert held.code == 7
    assert "another target" in held.err
    lab.run("cancel", "web", "--reason", "x")
    assert lab.run("resume", "web").code == 5
    assert lab.run("run", "web.yaml", "--target", "second", "--no-wait").code == 75
    assert len(lab.runs()) == 2
    assert set(cloud.reboots.values()) == {1}
