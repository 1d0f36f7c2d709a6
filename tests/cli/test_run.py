"""`run`: what it does, what it says, and how it exits."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.cli.lab import PLAN, Lab, Remote, target

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = PLAN.replace("    waves", "    order: name\n    waves")
PAUSED = PLAN + "    pause: [approval, 0s]\n".replace("0s", "250ms")


def test_embedded(lab: Lab) -> None:
    """On the embedded simulated cloud a run ends with its report, and can be had again
    and again.
    """
    first, second = lab.run("run", "web.yaml"), lab.run("run", "web.yaml")
    for done in (first, second):
        assert done.code == 0, done.err
        assert "is done: 10 of 10 servers ready" in done.out.splitlines()[0]
    assert [r["word"] for r in lab.runs()] == ["done", "done"]


def test_quickstart(lab: Lab) -> None:
    """The plan that README begins with: 40 servers and more, three groups and more,
    canaries first, all ready.
    """
    lab.write("plans/quickstart.yaml", (ROOT / "plans" / "quickstart.yaml").read_text())
    lab.configure(targets={"simulator": {"cloud": "simulator", "simulator": {"time_scale": 3000}}})
    done = lab.run("run", "plans/quickstart.yaml")
    assert done.code == 0, done.err
    report = json.loads(lab.run("report", "quickstart", "-o", "json").out)
    waves = report["waves"]
    assert len({wave["group"] for wave in waves}) >= 3
    assert waves[0]["is_canary"]
    assert report["counts"]["ready"] >= 40


@pytest.mark.parametrize("cloud", ["huaweicloud", "otc"], indirect=True)
def test_done_already(cloud: Remote) -> None:
    """A plan whose run has ended sends nothing more, says how to do it again, and exits as
    that run did.
    """
    first = cloud.lab.run("run", "web.yaml", "--yes")
    assert first.code == 0, first.err
    second = cloud.lab.run("run", "web.yaml", "--yes")
    assert second.code == 0
    assert "nothing was sent" in second.err
    assert "`cycle`" in second.err
    assert second.out == first.out
    assert cloud.posts == 3
    assert set(cloud.reboots.values()) == {1}
    cloud.lab.write("web.yaml", PLAN.replace("limits", "cycle: again\nlimits"))
    assert cloud.lab.run("run", "web.yaml", "--yes").code == 0
    assert set(cloud.reboots.values()) == {2}


def test_not_every_server_ready(cloud: Remote) -> None:
    """Exit 4: finished within its budget, but a server failed; the second call says the same."""
    cloud.fault(do="job_fail", on="reboot", servers={"names": ["web-003"]})
    cloud.lab.write("web.yaml", BY_NAME.replace("groups:", "max_failures: 1\ngroups:"))
    first, second = cloud.lab.run("run", "web.yaml"), cloud.lab.run("run", "web.yaml")
    assert (first.code, second.code) == (4, 4), first.err
    assert "web-003" in first.out
    assert "9 of 10 servers ready" in first.out
    assert cloud.posts == 3


@pytest.mark.parametrize("cloud", ["huaweicloud", "otc"], indirect=True)
def test_stopped(cloud: Remote) -> None:
    """Exit 5: the budget was exceeded, and the rest was left alone."""
    cloud.fault(do="job_fail", on="reboot", servers={"names": ["web-003"]})
    cloud.lab.write("web.yaml", BY_NAME)
    done = cloud.lab.run("run", "web.yaml", "--yes")
    assert done.code == 5, done.err
    assert cloud.posts == 2
    assert "web-003" in done.out
    assert "4 not started" in done.out


def test_all_problems_of_a_plan(cloud: Remote) -> None:
    """Exit 3: every problem with its place, and not one request to the cloud."""
    cloud.lab.write(
        "web.yaml",
        PLAN.replace("waves: [1, 50%]", "wavs: [0, 50%]").replace("percent: 100", "percent: x"),
    )
    done = cloud.lab.run("run", "web.yaml")
    assert done.code == 3
    assert done.out == ""
    assert "web.yaml:3:19: error[" in done.err
    assert "web.yaml:7:5: error[UnknownKey]" in done.err
    assert "did you mean" in done.err.lower()
    assert cloud.state.requests() == []
    assert cloud.lab.runs() == []


def test_problems_against_the_cloud(cloud: Remote) -> None:
    """Exit 3: what only the live cloud can tell is shown at its place in the plan, and
    nothing is begun.
    """
    cloud.lab.write("web.yaml", PLAN.replace("role: web", "role: wbe"))
    done = cloud.lab.run("run", "web.yaml")
    assert done.code == 3
    assert "web.yaml:6:" in done.err
    assert cloud.posts == 0
    assert cloud.lab.runs() == []


def test_only_the_reviewed_schedule(cloud: Remote) -> None:
    """`--schedule-digest` runs exactly what `diff` showed, and refuses anything else
    with exit 6.
    """
    shown = json.loads(cloud.lab.run("diff", "web.yaml", "-o", "json").out)
    digest = shown["plans"][0]["schedule"]["digest"]
    other = cloud.lab.run("run", "web.yaml", "--schedule-digest", "sha256:" + "0" * 64)
    assert other.code == 6
    assert digest in other.err
    assert "diff" in other.err
    assert cloud.posts == 0
    assert cloud.lab.runs() == []
    assert cloud.lab.run("run", "web.yaml", "--schedule-digest", digest).code == 0
    assert cloud.posts == 3


def test_a_saved_schedule(cloud: Remote) -> None:
    """What `diff --out` saved is executed as it is, by the very command that `diff` shows;
    a second time nothing is.
    """
    lab = cloud.lab
    shown = json.loads(lab.run("diff", "web.yaml", "--out", "saved.json", "-o", "json").out)
    lab.write("web.yaml", f"# a comment more\n{PLAN}")
    command = shlex.split(shown["plans"][0]["next"])
    assert command[:3] == ["reboot-runner", "run", "saved.json"]
    first, second = lab.run(*command[1:]), lab.run(*command[1:])
    assert first.code == 0, first.err
    assert (second.code, "nothing was sent" in second.err) == (0, True)
    assert set(cloud.reboots.values()) == {1}
    assert lab.runs()[0]["schedule_digest"] == shown["plans"][0]["schedule"]["digest"]


def test_a_saved_schedule_that_is_not_right(cloud: Remote) -> None:
    """A changed file is exit 3, another project exit 6, another target exit 64: nothing
    is begun.
    """
    lab = cloud.lab
    lab.run("diff", "web.yaml", "--out", "saved.json")
    text = (lab.folder / "saved.json").read_text()
    assert lab.run("run", "saved.json", "--schedule-digest", "sha256:" + "0" * 64).code == 6
    assert lab.run("run", "saved.json", "--target", "other").code == 64
    lab.write("changed.json", text.replace(cloud.id_of("web-003"), cloud.id_of("api-001")))
    changed = lab.run("run", "changed.json")
    assert (changed.code, "DigestMismatch" in changed.err) == (3, True), changed.err
    lab.write("half.json", text[: len(text) // 2])
    assert lab.run("run", "half.json").code == 3
    moved = target(cloud.state, cloud.url, project_id="0" * 32)
    lab.configure(targets={"lab": moved})
    assert lab.run("run", "saved.json").code in (6, 77)
    assert cloud.posts == 0
    assert lab.runs() == []


def test_a_saved_schedule_of_the_embedded_cloud(lab: Lab) -> None:
    """The embedded cloud takes one too, once: its cycle is written in it."""
    lab.run("diff", "web.yaml", "--out", "saved.json")
    assert lab.run("run", "saved.json").code == 0
    again = lab.run("run", "saved.json")
    assert (again.code, "nothing was sent" in again.err) == (0, True)


def test_an_open_run_is_not_what_was_reviewed(cloud: Remote) -> None:
    """`--schedule-digest` holds for an open run of the plan too: another schedule is not
    gone on with.
    """
    cloud.lab.write("web.yaml", PAUSED)
    assert cloud.lab.run("run", "web.yaml", "--no-wait").code == 75
    done = cloud.lab.run("run", "web.yaml", "--schedule-digest", "sha256:" + "0" * 64)
    assert done.code == 6, done.err
    assert cloud.posts == 1


def test_a_changed_plan_waits_for_the_open_run(cloud: Remote) -> None:
    """Exit 7: while a run of an older version of the plan is open nothing is begun; its
    id is told.
    """
    cloud.lab.write("web.yaml", PAUSED)
    assert cloud.lab.run("run", "web.yaml", "--no-wait").code == 75
    (run,) = cloud.lab.runs()
    cloud.lab.write("web.yaml", PLAN)
    done = cloud.lab.run("run", "web.yaml")
    assert done.code == 7
    assert f"resume {run['id']}" in done.err
    assert f"cancel {run['id']}" in done.err
    assert cloud.posts == 1


@pytest.mark.parametrize("cloud", ["huaweicloud", "otc"], indirect=True)
def test_no_wait(cloud: Remote) -> None:
    """Exit 75 instead of waiting for a person; `run` of the same plan goes on when there is
    nothing to wait for.
    """
    cloud.lab.write("web.yaml", PAUSED)
    done = cloud.lab.run("run", "web.yaml", "--yes", "--no-wait")
    assert done.code == 75, done.err
    (run,) = cloud.lab.runs()
    assert done.out.startswith(
        f"run {run['id']} is waiting (approval: the plan asks for an approval after wave 1): 1 "
    )
    assert f"reboot-runner approve {run['id']} " in done.out
    assert cloud.posts == 1
    assert cloud.lab.run("approve", "web", "--reason", "canary is well").code == 0
    done = cloud.lab.run("run", "web.yaml", "--yes")
    assert done.code == 0, done.err
    assert "going on with it" in done.err
    assert set(cloud.reboots.values()) == {1}


def test_deadline(still_cloud: Remote) -> None:
    """Exit 75 at the deadline of the process, although a server is down; `resume` follows
    it to its end.
    """
    done = still_cloud.lab.run("run", "web.yaml", "--deadline", "300ms")
    assert done.code == 75, done.err
    assert still_cloud.posts <= 1
    still_cloud.go_on()
    assert still_cloud.lab.run("resume", "web").code == 0
    assert set(still_cloud.reboots.values()) == {1}


@pytest.mark.parametrize("command", [["diff", "web.yaml"], ["run", "web.yaml"]])
def test_wrong_key(cloud: Remote, command: list[str]) -> None:
    """Exit 77 with what to do; nothing is begun."""
    done = cloud.lab.run(*command, env={"HUAWEICLOUD_SDK_SK": "wrong-secret-key"})
    assert done.code == 77
    assert "hint: " in done.err
    assert "wrong-secret-key" not in done.out + done.err
    assert cloud.posts == 0


def test_no_credentials(cloud: Remote) -> None:
    """Exit 77 names the variables to set."""
    done = cloud.lab.run(
        "run", "web.yaml", env={"HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": ""}
    )
    assert done.code == 77
    assert "HUAWEICLOUD_SDK_AK" in done.err
    assert cloud.state.requests() == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["run"], "name one plan or schedule"),
        (["run", "web.yaml", "--yess"], "--yes"),
        (["run", "web.yaml", "--deadline", "5"], "--deadline"),
        (["run", "web.yaml", "--var", "novalue"], "NAME=VALUE"),
        (["bogus"], "bogus"),
        (["approve", "web"], "--reason"),
        (["resolve", "web", "--server", "x", "--as", "maybe", "--reason", "y"], "maybe"),
        (["--color", "sometimes", "status"], "sometimes"),
        (["status", "-o", "xml"], "xml"),
    ],
)
def test_wrong_usage(lab: Lab, argv: list[str], said: str) -> None:
    """Exit 64 with what is wrong on stderr, and nothing on stdout."""
    done = lab.run(*argv)
    assert done.code == 64
    assert said in done.err
    assert done.out == ""


def test_mistyped_command(lab: Lab) -> None:
    """A command that does not exist is answered with the one that was meant."""
    assert "reconcile" in lab.run("reconcil").err


@pytest.mark.parametrize("command", ["status", "resume", "approve", "cancel", "report", "resolve"])
def test_no_such_run(lab: Lab, command: str) -> None:
    """A run that is not there is exit 1, with its name and a way on."""
    more = {"approve": ["--reason", "x"], "cancel": ["--reason", "x"]}
    more["resolve"] = ["--server", "x", "--as", "rebooted", "--reason", "x"]
    done = lab.run(command, "nobody", *more.get(command, []))
    assert done.code == 1
    assert "nobody" in done.err
    assert "hint" in done.err
