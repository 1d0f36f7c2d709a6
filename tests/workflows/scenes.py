"""What happens in a team's repository from the first pull request on, told by events; each
scene is whole by itself.
"""

from __future__ import annotations

import html
import os
import signal
import time
from collections.abc import Callable

from runner.starter.files import PLAN_WORKFLOW, RUN_WORKFLOW
from tests.workflows.place import PLAN, PULL, SERVERS, Ended, Job, Place

Scene = Callable[[Place], None]


def good(job: Ended, result: str = "done") -> Ended:
    """The job was green, and its result is this one."""
    assert job.code == 0, job.log[-8000:]
    assert job.outputs["result"] == result, job.log[-8000:]
    return job


def review(place: Place) -> Ended:
    """A pull request: one comment with the servers, the same in the summary, the schedule
    stored, nothing rebooted.
    """
    job = good(place.act("pull_request", place.opened(), PLAN_WORKFLOW))
    comments = place.github.state.comments(PULL)
    assert len(comments) == 1, comments
    for text in (comments[0]["body"], job.summary):
        assert f"web-kernel: {SERVERS} servers in 2 waves" in html.unescape(text)
    stored = [a["name"] for a in place.github.state.all("artifacts")]
    assert stored == [f"reboot-schedules-{place.git('rev-parse', 'kernel')}"]
    assert not place.cloud.reboots()
    return job


def first_comment(place: Place) -> None:
    """The first pull request of a new repository, with all that `init` wrote: a comment,
    before anything is set up.
    """
    place.is_set_up = False
    place.git("switch", "--quiet", "--orphan", "empty")
    place.git("commit", "--quiet", "--allow-empty", "--message", "A new repository")
    place.git("switch", "--quiet", "--create", "setup")
    place.git("checkout", "--quiet", "main", "--", ".")
    place.commit("What init wrote")
    place.git("branch", "--force", "main", "empty")
    good(place.act("pull_request", place.opened("setup"), PLAN_WORKFLOW))
    (comment,) = place.github.state.comments(PULL)
    assert "example: " in html.unescape(comment["body"])
    good(place.act("push", place.merged("setup"), RUN_WORKFLOW))


def merge_and_run_again(place: Place) -> None:
    """After a review: the merge reboots each server of the plan once; the same event again
    reboots nothing.
    """
    push = place.merged()
    first = good(place.act("push", push, RUN_WORKFLOW))
    once = place.cloud.reboots()
    assert len(once) == SERVERS
    assert set(once.values()) == {1}
    assert "web-kernel" in html.unescape(first.summary)
    reports = [
        a["name"]
        for a in place.github.state.all("artifacts")
        if a["name"].startswith("reboot-reports")
    ]
    assert len(reports) == 1
    good(place.act("push", push, RUN_WORKFLOW))
    assert place.cloud.reboots() == once


def reviewed_and_merged(place: Place) -> None:
    """A pull request reboots nothing; its merge reboots each server of the plan once; the
    same event again, none.
    """
    review(place)
    merge_and_run_again(place)


def cancelled(place: Place) -> None:
    """A job cancelled during a wave saves its state; the next job goes on, and each server
    is rebooted once.
    """
    good(place.act("pull_request", place.opened(), PLAN_WORKFLOW))
    push = place.merged()
    job = place.start("push", push, RUN_WORKFLOW)
    program = job.program()
    await_reboot(place, job)
    os.kill(program, signal.SIGINT)  # as GitHub does: to the step's process, not to its children
    ended = job.wait()
    assert ended.code != 0
    assert ended.outputs["result"] == "interrupted", ended.log[-8000:]
    some = place.cloud.reboots()
    assert 0 < len(some) < SERVERS
    time.sleep(0.5)  # time for a job that does not stop to show itself
    assert place.cloud.reboots() == some
    good(place.act("schedule", place.scheduled(), RUN_WORKFLOW))
    once = place.cloud.reboots()
    assert len(once) == SERVERS
    assert set(once.values()) == {1}


def unreviewed(place: Place) -> None:
    """A merge without a stored schedule runs nothing and ends red with `stale`; so does a
    push nobody reviewed.
    """
    ended = place.act("push", place.merged(), RUN_WORKFLOW)
    assert ended.code != 0
    assert (ended.outputs["result"], ended.outputs["exit-code"]) == ("stale", "6")
    assert not place.cloud.reboots()


def from_fork(place: Place) -> None:
    """A fork's pull request is validated offline: no secret reaches the job, no comment, no
    schedule, a summary.
    """
    ended = good(place.act("pull_request", place.opened(fork=True), PLAN_WORKFLOW))
    assert "validated offline" in ended.summary
    assert place.github.state.comments(PULL) == []
    assert place.github.state.all("artifacts") == []
    assert not list((place.folder / "store.git" / "refs").rglob("store"))


def from_merge_queue(place: Place) -> None:
    """The merge queue's commit is validated offline, whoever's pull request it holds."""
    pull = place.opened()["pull_request"]
    group = {
        "head_sha": pull["head"]["sha"],
        "base_sha": pull["base"]["sha"],
        "head_ref": "refs/heads/gh-queue/main",
    }
    ended = good(place.act("merge_group", {"merge_group": group, **place.also()}, PLAN_WORKFLOW))
    assert "validated offline" in ended.summary
    assert place.github.state.all("artifacts") == []


def invalid(place: Place) -> None:
    """A plan with a problem ends its check red: annotation, comment and summary say
    where and why.
    """
    place.edit(PLAN, ("waves: [1, 100%]", "waves: [0, 100%]"))
    place.commit("A wave of none")
    ended = place.act("pull_request", place.opened(), PLAN_WORKFLOW)
    assert ended.code != 0
    assert ended.outputs["result"] == "invalid", ended.log[-8000:]
    assert "::error file=plans/web.yaml,line=" in ended.log
    assert place.github.state.all("artifacts") == []


def suspended(place: Place) -> None:
    """A run that waits for a person ends its job green and suspended; after the approval
    the clock's job goes on.
    """
    place.edit(PLAN, ("    # no pause ", "    pause: approval #"))
    place.commit("Ask before the second wave")
    good(place.act("pull_request", place.opened(), PLAN_WORKFLOW))
    good(place.act("push", place.merged(), RUN_WORKFLOW), "suspended")
    assert len(place.cloud.reboots()) == 1
    good(place.act("schedule", place.scheduled(), RUN_WORKFLOW), "suspended")
    assert len(place.cloud.reboots()) == 1
    place.command("approve", "web-kernel", "--reason", "The canary is well")
    good(place.act("schedule", place.scheduled(), RUN_WORKFLOW))
    once = place.cloud.reboots()
    assert len(once) == SERVERS
    assert set(once.values()) == {1}


def await_reboot(place: Place, job: Job, timeout_s: float = 120) -> None:
    """Until the cloud was asked to send a server down."""
    end = time.monotonic() + timeout_s
    while not place.cloud.reboots():
        assert time.monotonic() < end, job.lines.read_text()[-8000:]
        assert job.process.poll() is None, job.lines.read_text()[-8000:]
        time.sleep(0.01)
