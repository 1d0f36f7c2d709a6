"""`github plan`, `run` and `reconcile`, as a job's steps call them: real Git, a real API,
the simulated cloud.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.app.github_job import event_for
from runner.errors import UsageProblem
from tests.cli.forked import Done
from tests.cli.lab import PLAN, Remote
from tests.cli.test_since_review import reboot_by_somebody
from tests.git.made import Made
from tests.github.runner_files import read_outputs
from tests.github.standin import Fault, StandIn, serving
from tests.github.standin_state import zipped


@dataclass
class Fleet:
    """A repository with plans, its pull requests, and the cloud that they are about."""

    cloud: Remote
    repo: Made
    github: StandIn
    files: Path

    def event(self, name: str, payload: dict[str, Any], sha: str) -> dict[str, str]:
        """The environment that GitHub's runner gives a step."""
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        (self.files / "event.json").write_text(
            json.dumps(
                {"repository": {"default_branch": "main", "full_name": "octo/fleet"}, **payload}
            )
        )
        return self.github.environ() | {
            "CI": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(self.files / "event.json"),
            "GITHUB_SHA": sha,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_OUTPUT": str(self.files / "output"),
            "GITHUB_STEP_SUMMARY": str(self.files / "summary.md"),
            "REBOOT_RUNNER_GITHUB_REPORTS": str(self.files / "reports"),
            "REBOOT_RUNNER_GITHUB_SCHEDULES": str(self.files / "schedules"),
        }

    def job(self, name: str, env: dict[str, str], **more: str) -> Done:
        return self.cloud.lab.run("github", name, env=env | more)

    def again(self, env: dict[str, str]) -> dict[str, str]:
        """The same event in a job of its own, whose folders are empty."""
        return self.event(
            env["GITHUB_EVENT_NAME"],
            json.loads(Path(env["GITHUB_EVENT_PATH"]).read_text()),
            env["GITHUB_SHA"],
        )

    @property
    def outputs(self) -> dict[str, str]:
        return read_outputs((self.files / "output").read_text())

    @property
    def summary(self) -> str:
        return (self.files / "summary.md").read_text()

    def request(
        self,
        plan: str = PLAN,
        *,
        path: str = "plans/web.yaml",
        fork: bool = False,
        number: int = 7,
        more: tuple[str, ...] = (),
    ) -> dict[str, str]:
        """A pull request with the plan, checked out as GitHub does: its test merge. The step's
        environment.

        `more`: files that commits of their own add after the plan's.
        """
        base = self.repo.git("rev-parse", "main")
        self.repo.git("checkout", "-q", "-B", "topic", "main")
        commits = [
            self.repo.commit({path: plan}),
            *(self.repo.commit({name: "more\n"}) for name in more),
        ]
        head = commits[-1]
        self.repo.git("branch", "-f", f"pull-{number}")
        self.repo.git("checkout", "-q", "--detach", "main")
        self.repo.git("merge", "-q", "--no-ff", "-m", "test merge", "topic")
        self.github.state.write_pull(number, head_sha=head, commits=commits, fork=fork)
        origin = {"full_name": "mallory/fork" if fork else "octo/fleet"}
        ours = {"full_name": "octo/fleet"}
        pull = {
            "number": number,
            "head": {"sha": head, "repo": origin},
            "base": {"sha": base, "repo": ours},
        }
        return self.event(
            "pull_request", {"pull_request": pull}, self.repo.git("rev-parse", "HEAD")
        )

    def store(self, number: int = 7, **fields: Any) -> None:
        """What the workflow's upload step does with the saved schedules."""
        head = self.github.state.read("pulls", number)
        assert head is not None
        found = {p.name: p.read_bytes() for p in (self.files / "schedules").glob("*.json")}
        self.github.state.write_artifact(
            f"reboot-schedules-{head['head_sha']}",
            zipped(found),
            **({"head_sha": head["head_sha"]} | fields),
        )

    def merge(self) -> dict[str, str]:
        """The pull request is merged, the default branch checked out. The environment of
        the push's job.
        """
        before = self.repo.git("rev-parse", "main")
        self.repo.git("checkout", "-q", "main")
        self.repo.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7", "topic")
        after = self.repo.git("rev-parse", "HEAD")
        self.github.state.write_pull(
            7, merged_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", merge_commit_sha=after
        )
        return self.event("push", {"before": before, "after": after, "forced": False}, after)


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with serving(tmp_path_factory.mktemp("github")) as server:
        yield server


@pytest.fixture
def fleet(cloud: Remote, standin: StandIn, tmp_path: Path) -> Fleet:
    lab = cloud.lab
    shutil.rmtree(lab.folder / ".git")
    (lab.folder / "web.yaml").unlink()
    lab.env["REBOOT_RUNNER_STORE_IS_PERSISTENT"] = "true"
    repo = Made(lab.folder)
    repo.git("init", "--quiet", "--initial-branch=main")
    repo.commit({".gitignore": ".reboot-runner\n"})
    standin.state.clear()
    standin.faults = []
    return Fleet(cloud, repo, standin, tmp_path / "runner")


def reviewed(fleet: Fleet, plan: str = PLAN) -> None:
    """A pull request that was planned, and whose schedules were stored."""
    done = fleet.job("plan", fleet.request(plan))
    assert done.code == 0, done.err
    fleet.store()


def test_from_pull_request_to_reboot(fleet: Fleet) -> None:
    """The comment shows the schedule, the merge runs exactly it, and the same event again
    sends nothing.
    """
    reviewed(fleet)
    digest = json.loads(fleet.outputs["schedule-digests"])["plans/web.yaml"]
    (comment,) = fleet.github.state.comments(7)
    assert digest in comment["body"]
    assert "10 servers in 3 waves" in comment["body"]
    assert "10 servers in 3 waves" in fleet.summary
    env = fleet.merge()
    first = fleet.job("run", env)
    assert first.code == 0, first.err
    assert set(fleet.cloud.reboots.values()) == {1}
    assert len(fleet.cloud.reboots) == 10
    said = fleet.outputs
    assert (said["result"], said["exit-code"], said["failure-reason"]) == ("done", "0", "")
    assert "10 of 10 servers ready" in fleet.summary
    assert {p.suffix for p in (fleet.files / "reports").iterdir()} == {
        ".json",
        ".md",
        ".html",
        ".xml",
        ".csv",
    }
    again = fleet.job("run", env)
    assert (again.code, "nothing was sent" in again.err) == (0, True)
    assert fleet.cloud.posts == 3


def test_servers_that_are_left_alone_are_named_where_no_run_begins(fleet: Fleet) -> None:
    """All were rebooted by others since the review: the job fails with 4; summary and
    annotation name each of them.
    """
    fleet.job("plan", fleet.request())
    fleet.store()
    env = fleet.merge()
    reboot_by_somebody(fleet.cloud)
    done = fleet.job("run", env)
    assert done.code == 4, done.err
    assert fleet.outputs["result"] == "incomplete"
    assert fleet.summary.count("RebootedSinceReview") == 10
    assert "::error" in done.out
    assert fleet.cloud.posts == 0
    assert fleet.github.state.comments(7)[-1]["body"].count("RebootedSinceReview") == 10


def test_nothing_without_a_review(fleet: Fleet) -> None:
    """A merge whose pull request has stored no schedule is exit 6: a fresh one is never made."""
    fleet.request()
    done = fleet.job("run", fleet.merge())
    assert done.code == 6
    assert "there is no reviewed schedule" in done.err
    assert (fleet.outputs["result"], fleet.outputs["failure-reason"]) == ("stale", "plan-changed")
    assert "::error file=plans/web.yaml" in done.out
    assert fleet.cloud.posts == 0


@pytest.mark.parametrize(
    "fields", [{"fork": True}, {"event": "push"}, {"expired": True}, {"head_sha": "b" * 40}]
)
def test_schedules_of_others_are_not_taken(fleet: Fleet, fields: dict[str, Any]) -> None:
    """An artefact of a fork, of another event or commit, or one that has expired is as good
    as none.
    """
    assert fleet.job("plan", fleet.request()).code == 0
    fleet.store(**fields)
    assert fleet.job("run", fleet.merge()).code == 6
    assert fleet.cloud.posts == 0


def test_another_workflow_is_not_trusted(fleet: Fleet) -> None:
    """With the workflow's file named, an artefact that another workflow stored is not taken."""
    assert fleet.job("plan", fleet.request()).code == 0
    fleet.store(path=".github/workflows/evil.yml")
    env = fleet.merge()
    assert (
        fleet.job(
            "run", env, REBOOT_RUNNER_GITHUB_PLAN_WORKFLOW=".github/workflows/reboot-plan.yml"
        ).code
        == 6
    )
    assert fleet.cloud.posts == 0


def test_what_the_comment_shows_is_what_must_be_stored(fleet: Fleet) -> None:
    """A stored schedule other than the one that people saw in the comment is refused."""
    reviewed(fleet)
    (comment,) = fleet.github.state.comments(7)
    digest = json.loads(fleet.outputs["schedule-digests"])["plans/web.yaml"]
    body = comment["body"].replace(digest, "sha256:" + "0" * 64)
    fleet.github.state.write_comment(7, comment["user"]["login"], body, comment["id"])
    done = fleet.job("run", fleet.merge())
    assert (done.code, "the comment of pull request 7 shows" in done.err) == (6, True)
    assert fleet.cloud.posts == 0


def test_the_newest_review_counts(fleet: Fleet) -> None:
    """A plan that was pushed again to its pull request is run by its last schedule; the
    comment stays one.
    """
    reviewed(fleet, PLAN.replace("50%", "90%"))
    reviewed(fleet)
    assert len(fleet.github.state.comments(7)) == 1
    assert fleet.job("run", fleet.merge()).code == 0
    assert fleet.cloud.posts == 3


def test_forks_are_validated_offline(fleet: Fleet) -> None:
    """A request from a fork asks neither cloud nor API, and has its result in the summary."""
    done = fleet.job("plan", fleet.request(fork=True))
    assert done.code == 0, done.err
    assert fleet.cloud.state.requests() == []
    assert fleet.github.state.comments(7) == []
    assert "validated offline" in fleet.summary
    assert "comes from a fork" in fleet.summary
    assert "a merge runs nothing" in fleet.summary
    bad = fleet.job("plan", fleet.request(PLAN.replace("waves:", "wave:"), fork=True))
    assert bad.code == 3
    assert "::error file=plans/web.yaml,line=" in bad.out


def test_problems_are_annotated_and_commented(fleet: Fleet) -> None:
    """A plan that breaks is exit 3, annotated at its line, and its comment says so."""
    done = fleet.job("plan", fleet.request(PLAN.replace("role: web", "role: none")))
    assert done.code == 3
    assert "::error file=plans/web.yaml,line=" in done.out
    (comment,) = fleet.github.state.comments(7)
    assert "matches no server" in comment["body"]
    assert fleet.outputs["failure-reason"] == "invalid-plan"
    assert list((fleet.files / "schedules").glob("*.json")) == []


def test_a_comment_that_cannot_be_written_fails_the_check(fleet: Fleet) -> None:
    """A merge is refused without the comment, so the check is red and the summary does not
    say to merge.
    """
    env = fleet.request() | {"GITHUB_TOKEN": "wrong"}
    done = fleet.job("plan", env)
    assert done.code == 1, done.err
    assert "::error" in done.out
    assert "To apply:** run this job again" in fleet.summary
    assert fleet.github.state.comments(7) == []


def test_configuration_and_policy_are_those_of_the_base(fleet: Fleet) -> None:
    """A pull request that loosens the policy is judged by the old one, and the change is told."""
    config = json.loads((fleet.cloud.lab.folder / "reboot-runner.yaml").read_text()) | {
        "policy": "policy.yaml"
    }
    strict = "version: 1\nmax_wave: {servers: 2}\n"
    fleet.repo.commit({"reboot-runner.yaml": json.dumps(config), "policy.yaml": strict})
    env = fleet.request()
    fleet.repo.git("checkout", "-q", "topic")
    head = fleet.repo.commit({"policy.yaml": strict.replace("2", "50")})
    fleet.repo.git("checkout", "-q", "--detach", "main")
    fleet.repo.git("merge", "-q", "--no-ff", "-m", "test merge", "topic")
    event = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_text())
    event["pull_request"]["head"]["sha"] = head
    done = fleet.job(
        "plan", fleet.event("pull_request", event, fleet.repo.git("rev-parse", "HEAD"))
    )
    assert done.code == 3, done.err
    assert "max_wave.servers allows 2" in done.err
    (comment,) = fleet.github.state.comments(7)
    assert "policy" in comment["body"]
    assert "changed by this pull request" in comment["body"]


def test_a_long_wait_suspends_green(fleet: Fleet) -> None:
    """A run that waits for a person is suspended with a green step; approved,
    `reconcile` ends it.
    """
    reviewed(fleet, PLAN + "    pause: [approval, 0s]\n")
    done = fleet.job("run", fleet.merge())
    assert done.code == 0, done.err
    said = fleet.outputs
    assert (said["result"], said["exit-code"], said["due"], said["follow-up"]) == (
        "suspended",
        "75",
        "",
        "false",
    )
    assert "::warning" in done.out
    assert len(fleet.cloud.reboots) == 1
    told = fleet.github.state.comments(7)[-1]["body"]
    assert "waits for an approval" in told
    assert f"reboot-runner approve {json.loads(said['run-ids'])[0]} --reason TEXT" in told
    assert "Not answered until 20" in told
    assert fleet.cloud.lab.run("approve", "web", "--reason", "the canary is well").code == 0
    env = fleet.event("schedule", {}, fleet.repo.git("rev-parse", "HEAD"))
    rest = fleet.job("reconcile", env)
    assert rest.code == 0, rest.err
    assert fleet.outputs["result"] == "done"
    assert set(fleet.cloud.reboots.values()) == {1}
    assert len(fleet.cloud.reboots) == 10


def test_a_deadline_asks_for_a_follow_up(fleet: Fleet) -> None:
    """A run whose job is over while it is due soon has its workflow dispatched, once."""
    reviewed(fleet, PLAN + "    pause: 2s\n")
    env = fleet.merge()
    done = fleet.job(
        "run",
        env,
        REBOOT_RUNNER_GITHUB_DEADLINE="1s",
        REBOOT_RUNNER_GITHUB_FOLLOW_UP="reboot-reconcile.yml",
    )
    assert done.code == 0, done.err
    assert (fleet.outputs["result"], fleet.outputs["follow-up"]) == ("suspended", "true")
    dispatched = fleet.github.state.lines("dispatches.jsonl")
    assert [d["workflow"] for d in dispatched] == ["reboot-reconcile.yml"]


@pytest.mark.parametrize(
    ("command", "name", "instead"),
    [
        ("plan", "push", "github run"),
        ("plan", "schedule", "github reconcile"),
        ("run", "pull_request", "github plan"),
        ("run", "merge_group", "github plan"),
        ("reconcile", "pull_request_target", "github plan"),
    ],
)
def test_each_command_has_its_events(
    monkeypatch: pytest.MonkeyPatch, command: str, name: str, instead: str
) -> None:
    """A command that the workflow calls for another event says which one belongs there."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    monkeypatch.setenv("GITHUB_EVENT_NAME", name)
    with pytest.raises(
        UsageProblem, match=f"`github {command}` is not for the event {name}"
    ) as wrong:
        event_for(command)
    assert instead in (wrong.value.hint or "")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
    assert event_for(command).name == "workflow_dispatch"


def test_an_event_file_that_is_missing_is_annotated(fleet: Fleet) -> None:
    """It is exit 64, in the annotation as well as on stderr."""
    env = fleet.event("push", {}, "0" * 40)
    Path(env["GITHUB_EVENT_PATH"]).unlink()
    done = fleet.job("run", env)
    assert (done.code, fleet.outputs["result"]) == (64, "usage")
    assert "::error title=Usage::the file of GITHUB_EVENT_PATH cannot be read" in done.out


@pytest.mark.parametrize("command", ["plan", "run", "reconcile"])
def test_outside_of_github(fleet: Fleet, command: str) -> None:
    """On a desk the jobs say what to use instead."""
    done = fleet.cloud.lab.run("github", command)
    assert (done.code, "reboot-runner validate" in done.err) == (64, True)


def test_a_deleted_plan_runs_nothing(fleet: Fleet) -> None:
    """A plan that a merge deletes is told, and nothing is run."""
    reviewed(fleet)
    fleet.merge()
    before = fleet.repo.git("rev-parse", "HEAD")
    after = fleet.repo.commit({"plans/web.yaml": None})
    done = fleet.job(
        "run", fleet.event("push", {"before": before, "after": after, "forced": False}, after)
    )
    assert done.code == 0, done.err
    assert "was deleted" in done.err
    assert (
        "Reboot plans were deleted, and no other has changed: nothing was begun." in fleet.summary
    )
    assert fleet.cloud.posts == 0


def test_a_forced_push_is_not_guessed(fleet: Fleet) -> None:
    """What a forced push brought nobody knows: plans must be named, and then their reviews
    count as ever.
    """
    reviewed(fleet)
    env = fleet.merge()
    event = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_text()) | {"forced": True}
    env = fleet.event("push", event, fleet.repo.git("rev-parse", "HEAD"))
    done = fleet.job("run", env)
    assert (done.code, "forced" in done.err) == (64, True)
    assert fleet.cloud.posts == 0
    named = fleet.job("run", env, REBOOT_RUNNER_GITHUB_PLANS="plans/web.yaml")
    assert named.code == 0, named.err
    assert len(fleet.cloud.reboots) == 10


def test_what_goes_wrong_as_a_whole_is_told_everywhere(fleet: Fleet) -> None:
    """A configuration that cannot be used ends in outputs, a summary and an annotation like
    any failure.
    """
    reviewed(fleet)
    env = fleet.merge()
    fleet.cloud.lab.write("reboot-runner.yaml", "version: 1\ntarget: {}\n")
    done = fleet.job("run", env)
    assert done.code == 3
    assert (fleet.outputs["result"], fleet.outputs["failure-reason"]) == ("invalid", "invalid-plan")
    assert "::error file=reboot-runner.yaml" in done.out
    assert "UnknownKey" in fleet.summary
    assert fleet.cloud.posts == 0


def test_nothing_is_stored_that_was_there_before(fleet: Fleet) -> None:
    """A folder for schedules that holds files already is refused: a pull request could have
    brought them.
    """
    env = fleet.request()
    (fleet.files / "schedules").mkdir()
    (fleet.files / "schedules" / "web.json").write_text("{}")
    done = fleet.job("plan", env)
    assert (done.code, "not an empty folder" in done.err) == (64, True)


def test_what_nobody_was_shown_is_not_run(fleet: Fleet) -> None:
    """A stored schedule without its comment is refused, unless the jobs say that they
    write none.
    """
    env = fleet.request() | {"GITHUB_TOKEN": "wrong"}
    assert fleet.job("plan", env).code == 1
    fleet.store()
    merged = fleet.merge()
    refused = fleet.job("run", merged)
    assert (refused.code, "what nobody was shown is not run" in refused.err) == (6, True)
    assert fleet.cloud.posts == 0
    done = fleet.job("run", merged, REBOOT_RUNNER_GITHUB_COMMENT="never")
    assert done.code == 0, done.err
    assert len(fleet.cloud.reboots) == 10


def test_what_is_stored_after_the_merge_was_not_reviewed(fleet: Fleet) -> None:
    """An artefact that is newer than the merge is nobody's review."""
    reviewed(fleet)
    env = fleet.merge()
    fleet.github.state.write_pull(7, merged_at="2026-11-01T00:00:00Z")
    assert fleet.job("run", env).code == 6
    assert fleet.cloud.posts == 0


def test_two_plans_of_one_name(fleet: Fleet) -> None:
    """A plan with the name of another one, which the pull request may leave alone, is an
    error and is not stored.
    """
    fleet.repo.commit({"plans/old.yaml": PLAN})
    done = fleet.job("plan", fleet.request())
    assert (done.code, "is also that of" in done.err) == (3, True)
    assert json.loads(fleet.outputs["schedule-digests"]) == {}
    assert not list((fleet.files / "schedules").glob("*.json"))


def test_plans_whose_turn_does_not_come(fleet: Fleet) -> None:
    """The deadline is the job's, not each plan's: a plan that was not begun is told, and
    the job is not green.
    """
    fleet.repo.commit({"plans/a.yaml": PLAN.replace("name: web", "name: a") + "    pause: 5s\n"})
    env = fleet.event("workflow_dispatch", {}, fleet.repo.git("rev-parse", "HEAD"))
    assert fleet.cloud.lab.run("run", "plans/a.yaml", "--yes", "--no-wait").code == 75
    named = {
        "REBOOT_RUNNER_GITHUB_PLANS": "plans/a.yaml\nplans/b.yaml",
        "REBOOT_RUNNER_GITHUB_DEADLINE": "1s",
    }
    done = fleet.job("run", env, **named)
    assert (done.code, "plans/b.yaml was not begun" in done.err) == (1, True), done.err
    assert json.loads(fleet.outputs["plans"]) == ["plans/a.yaml", "plans/b.yaml"]


def test_a_comment_on_change(fleet: Fleet) -> None:
    """With `on-change` a plan that reboots nothing has no comment, but one that is there is
    kept true.
    """
    nothing = PLAN.replace(
        "servers: {tags: {role: web}}", "allow_empty: true\n    servers: {tags: {role: none}}"
    )
    quiet = {"REBOOT_RUNNER_GITHUB_COMMENT": "on-change"}
    assert fleet.job("plan", fleet.request(nothing), **quiet).code == 0
    assert fleet.github.state.comments(7) == []
    assert fleet.job("plan", fleet.request(), **quiet).code == 0
    assert fleet.job("plan", fleet.request(nothing), **quiet).code == 0
    (comment,) = fleet.github.state.comments(7)
    assert "nothing to reboot" in comment["body"]


@pytest.mark.parametrize(
    "path", ["/pulls", "/actions/artifacts", "/zip", "/comments", "/actions/runs"]
)
def test_an_api_that_fails_begins_nothing(fleet: Fleet, path: str) -> None:
    """Whatever GitHub fails to answer on the way to a schedule: nothing runs, and the same
    job again does it.
    """
    reviewed(fleet)
    env = fleet.merge()
    fleet.github.faults.append(Fault(500, path, times=9))
    failed = fleet.job("run", env)
    fleet.github.faults.clear()
    assert failed.code == 1, failed.err
    assert fleet.cloud.posts == 0
    assert fleet.cloud.lab.runs() == []
    assert fleet.job("run", fleet.again(env)).code == 0
    assert set(fleet.cloud.reboots.values()) == {1}


def test_the_summary_is_there_while_the_run_goes_on(fleet: Fleet) -> None:
    """After each wave the summary tells of it: whoever cancels the job, or loses its
    machine, has it.
    """
    reviewed(fleet, PLAN + "    pause: [100ms, 1h]\n")
    env = fleet.merge() | {"REBOOT_RUNNER_GITHUB_WAIT": "2h"}
    child = fleet.cloud.lab.start("github", "run", env=env)
    child.err.wait_for("pause of 1h")
    assert "6 of 10 servers ready" in fleet.summary
    child.send(signal.SIGINT)
    done = child.wait()
    assert (done.code, fleet.outputs["result"]) == (130, "interrupted")
    assert len(fleet.cloud.reboots) == 6


def test_a_schedule_that_the_checkout_brings_is_not_taken(fleet: Fleet) -> None:
    """A file that lies where artefacts are unpacked to is nobody's artefact: only what was
    fetched is read.
    """
    reviewed(fleet)
    (artifact,) = fleet.github.state.all("artifacts")
    env = fleet.merge()
    forged = fleet.files / "schedules" / str(artifact["id"]) / "web.json"
    forged.parent.mkdir(parents=True)
    forged.write_text("{}")
    assert fleet.job("run", env).code == 0
    assert len(fleet.cloud.reboots) == 10


def told(fleet: Fleet, number: int = 7) -> list[str]:
    """What the run job said on the pull request: every comment but those that show a dry run."""
    bodies = [str(comment["body"]) for comment in fleet.github.state.comments(number)]
    return [body for body in bodies if "digest none" in body and "did not run" in body]


def payload(env: dict[str, str]) -> dict[str, Any]:
    """The event of a step's environment."""
    return dict(json.loads(Path(env["GITHUB_EVENT_PATH"]).read_text()))


def test_merged_before_the_dry_run_had_ended(fleet: Fleet) -> None:
    """A pull request that was merged too early runs nothing, and both jobs say so on it,
    whichever ends first.
    """
    planned = fleet.request()
    opened, test_merge = payload(planned), planned["GITHUB_SHA"]
    push = payload(fleet.merge())
    fleet.github.state.write_pull(7, merged_at="2026-11-01T10:00:00Z")
    early = fleet.job("run", fleet.event("push", push, push["after"]))
    assert (early.code, "had stored no artifact" in early.err) == (6, True)
    (said,) = told(fleet)
    assert "open a pull request that touches the plan" in said
    fleet.repo.git("checkout", "-q", "--detach", test_merge)
    late = fleet.job("plan", fleet.event("pull_request", opened, test_merge))
    assert late.code == 0, late.err
    (shown,) = [
        c["body"] for c in fleet.github.state.comments(7) if "10 servers in 3 waves" in c["body"]
    ]
    assert "was merged at 2026-11-01 10:00:00Z, before this dry run ended" in shown
    assert "To apply:** open a new pull request" in shown
    fleet.store()
    fleet.repo.git("checkout", "-q", "main")
    again = fleet.job("run", fleet.event("push", push, push["after"]))
    assert (again.code, "before its dry run ended" in again.err) == (6, True)
    assert len(told(fleet)) == 1
    assert fleet.cloud.posts == 0


def test_two_pull_requests_of_one_push(fleet: Fleet) -> None:
    """A merge queue that rebases pushes two pull requests at once: each plan runs by the
    schedule of its own.
    """
    other = PLAN.replace("web", "api")
    for number, name, plan in ((7, "web", PLAN), (8, "api", other)):
        done = fleet.job(
            "plan",
            fleet.request(plan, path=f"plans/{name}.yaml", number=number, more=(f"{name}.md",)),
        )
        assert done.code == 0, done.err
        fleet.store(number)
    before = fleet.repo.git("rev-parse", "main")
    fleet.repo.git("checkout", "-q", "main")
    for number in (7, 8):
        # Rebased commits are new ones, which are in no pull request: GitHub names the last
        # as its merge commit.
        fleet.repo.git("cherry-pick", "--no-ff", "-x", f"{before}..pull-{number}")
        head = fleet.repo.git("rev-parse", "HEAD")
        when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        fleet.github.state.write_pull(number, merged_at=when, merge_commit_sha=head)
    done = fleet.job(
        "run", fleet.event("push", {"before": before, "after": head, "forced": False}, head)
    )
    assert done.code == 0, done.err
    assert set(fleet.cloud.reboots.values()) == {1}
    assert {run["plan"] for run in fleet.cloud.lab.runs()} == {"web", "api"}


def test_an_edited_plan_whose_older_run_is_open(fleet: Fleet) -> None:
    """While an older version of a plan waits, its pull request is red and names the run; so
    is the merge.
    """
    reviewed(fleet, PLAN + "    pause: [approval, 0s]\n")
    assert fleet.job("run", fleet.merge()).code == 0
    edited = PLAN.replace("50%", "90%")
    done = fleet.job("plan", fleet.request(edited))
    assert (done.code, fleet.outputs["result"], fleet.outputs["failure-reason"]) == (
        7,
        "held",
        "locked",
    )
    assert "OlderRunOpen" in done.out
    comment = fleet.github.state.comments(7)[0]
    assert "another version of web is open" in comment["body"]
    assert "To apply:** end the older run first" in comment["body"]
    assert "::error file=plans/web.yaml" in done.out
    fleet.store()
    env = fleet.merge()
    push = payload(env)
    refused = fleet.job("run", env)
    assert refused.code == 7, refused.err
    (said,) = told(fleet)
    assert "another version of web is open" in said
    assert len(fleet.cloud.reboots) == 1
    assert fleet.cloud.lab.run("cancel", "web", "--reason", "the new version replaces it").code == 0
    assert fleet.cloud.lab.run("resume", "web").code == 5
    last = fleet.job("run", fleet.event("push", push, push["after"]))
    assert last.code == 0, last.err
    assert told(fleet) == []


def test_the_first_push_of_a_repository(fleet: Fleet) -> None:
    """The push that makes the branch brings plans that no pull request has reviewed:
    nothing runs, and that is said.
    """
    head = fleet.repo.commit({"plans/web.yaml": PLAN})
    done = fleet.job(
        "run", fleet.event("push", {"before": "0" * 40, "after": head, "forced": False}, head)
    )
    assert (done.code, fleet.outputs["result"]) == (0, "done"), done.err
    assert "The branch is new" in fleet.summary
    assert fleet.cloud.posts == 0


@pytest.mark.parametrize("name", ["run", "reconcile"])
def test_another_branch_runs_nothing(fleet: Fleet, name: str) -> None:
    """A job that was started by hand on another branch neither starts nor continues anything."""
    env = fleet.event("workflow_dispatch", {}, fleet.repo.git("rev-parse", "HEAD"))
    done = fleet.job(name, env, GITHUB_REF="refs/heads/topic")
    assert (done.code, "the default branch, main, only" in done.err) == (64, True)


def test_plans_in_another_folder(fleet: Fleet) -> None:
    """A plan outside of `plans` is no green job that did nothing; with its folder named,
    what changed there runs.
    """
    fleet.repo.commit({"reboots/api.yaml": PLAN.replace("web", "api"), "plans/.keep": ""})
    env = fleet.request(path="reboots/web.yaml")
    lost = fleet.job("plan", env)
    assert (lost.code, "reboots/web.yaml" in lost.err) == (64, True)
    named = {"REBOOT_RUNNER_GITHUB_PLANS": "reboots"}
    assert fleet.job("plan", fleet.again(env), **named).code == 0
    fleet.store()
    merged = fleet.merge()
    refused = fleet.job("run", merged)
    assert (refused.code, fleet.outputs["result"]) == (64, "usage")
    done = fleet.job("run", fleet.again(merged), **named)
    assert done.code == 0, done.err
    assert [run["plan"] for run in fleet.cloud.lab.runs()] == ["web"]
    assert len(fleet.cloud.reboots) == 10
