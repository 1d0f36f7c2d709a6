"""A repository made by `init`, driven as people drive it: branch, review, merge, run. Real
Git, a simulated cloud.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.simulator.fleet import FleetOptions
from tests.cli.forked import Done, Forker
from tests.cli.lab import Lab, Remote, bare_environment, remote

AUTHOR = {
    **{
        f"GIT_{who}_{what}": "Example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    **{"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
}
PLAN = "plans/web.yaml"


@dataclass
class Project:
    """A checkout of a team's repository, the schedules of its reviews beside it, and the
    cloud it is about.
    """

    lab: Lab
    cloud: Remote

    def git(self, *argv: str) -> str:
        done = subprocess.run(
            ["git", *argv],
            cwd=self.lab.folder,
            env=self.lab.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def branch(self, name: str) -> None:
        self.git("switch", "--quiet", "--create", name, "main")

    def edit(self, old: str, new: str, path: str = PLAN) -> None:
        text = (self.lab.folder / path).read_text()
        assert old in text
        self.lab.write(path, text.replace(old, new))

    @property
    def saved(self) -> Path:
        return self.lab.folder.parent / "review.json"

    def review(self, plan: str = PLAN) -> str:
        """What a pull request shows: the dry-run against main, saved. Returns its digest."""
        shown = self.lab.run("diff", plan, "--base", "main", "--out", str(self.saved))
        assert shown.code == 0, shown.err
        return str(json.loads(self.saved.read_text())["digest"])

    def reviewed(self) -> list[str]:
        """The names of the servers in the saved schedule, in its order."""
        return [
            server["name"]
            for wave in json.loads(self.saved.read_text())["waves"]
            for server in wave["servers"]
        ]

    def merge(self, branch: str, how: str = "merge") -> None:
        """What the button on a pull request does; main has gone on meanwhile."""
        self.git("switch", "--quiet", "main")
        readme = self.lab.folder / "README.md"
        readme.write_text(readme.read_text() + "\nAnother line.\n")
        self.commit("README: another line")
        if how == "merge":
            self.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
        elif how == "squash":
            self.git("merge", "--quiet", "--squash", branch)
            self.commit(f"{branch}, squashed")
        else:
            self.git("rebase", "--quiet", "main", branch)
            self.git("switch", "--quiet", "main")
            self.git("merge", "--quiet", "--ff-only", branch)

    def run(self, digest: str, *argv: str) -> Done:
        """What the job after a merge does."""
        return self.lab.run("run", str(self.saved), "--schedule-digest", digest, *argv)

    @property
    def restarts(self) -> list[str]:
        """The names of the servers that the cloud sent down, sorted, one entry for each time."""
        return sorted(name for name, times in self.cloud.reboots.items() for _ in range(times))


@contextmanager
def begun(forking: Forker, place: Path) -> Iterator[Project]:
    """Its main branch holds what `init` wrote, with the address of a simulated cloud as its
    target `lab`.

    On the branch `kernel` there is a first plan, made from the example: one canary, then the rest.
    """
    team = Lab(place / "team", forking, bare_environment(place / "home") | AUTHOR)
    for folder in (team.folder, place / "home"):
        folder.mkdir()
    with remote(team, fleet=FleetOptions(servers=20, reboot_seconds=0.01)) as cloud:
        (team.folder / "reboot-runner.yaml").unlink()
        made = Project(team, cloud)
        made.git("init", "--quiet", "--initial-branch", "main")
        region = cloud.state.fleet.options.region
        done = team.run("init", "--target", "lab", "--cloud", "simulator", "--region", region)
        assert done.code == 0, done.err
        endpoint = (
            f'    endpoints: {{ecs: "{cloud.url}"}}\n    project_id: '
            f"{cloud.state.fleet.project_id}\n"
        )
        quick = "    rate: {poll_every: 10ms, settle: 500ms}\n"
        made.edit(
            "    cloud: simulator\n",
            f"    cloud: simulator\n{endpoint}{quick}",
            "reboot-runner.yaml",
        )
        made.edit("percent: 34}", "percent: 100}", "policy.yaml")  # few waves: a quick test
        made.commit("What init wrote")
        made.branch("kernel")
        team.write(PLAN, (team.folder / "plans" / "example.yaml").read_text())
        made.edit("name: example ", "name: web-kernel ")
        made.edit("target: simulator ", "target: lab ")
        made.edit("waves: [1, 10%, 25%]", "waves: [1, 100%]")
        made.edit("    pause: 1m ", "    # no pause ")
        made.commit("Kernel of the web servers")
        yield made


@pytest.fixture
def proposed(forking: Forker, tmp_path: Path) -> Iterator[Project]:
    """A plan on a branch, validated."""
    with begun(forking, tmp_path) as project:
        assert project.lab.run("validate", "plans/").code == 0
        yield project


@pytest.fixture(scope="module")
def once_run(forking: Forker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The plan was reviewed, merged and run; for all tests that begin there."""
    with begun(forking, tmp_path_factory.mktemp("run")) as project:
        digest = project.review()
        project.merge("kernel")
        done = project.run(digest)
        assert done.code == 0, done.err
        assert project.restarts == sorted(project.reviewed())
        project.git("tag", "run")
        project.saved.rename(project.saved.with_name("first.json"))
        yield project


@pytest.fixture
def merged(once_run: Project) -> Project:
    """Its repository as it was right after the run; what the cloud and the store remember stays."""
    once_run.git("switch", "--quiet", "--discard-changes", "--force-create", "main", "run")
    shutil.copy(once_run.saved.with_name("first.json"), once_run.saved)
    return once_run


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_what_was_reviewed_is_rebooted_once(proposed: Project, how: str) -> None:
    """However a pull request is merged: exactly the reviewed servers go down, each once,
    none before the run.
    """
    digest = proposed.review()
    assert len(proposed.reviewed()) > 5
    proposed.merge("kernel", how)
    assert proposed.restarts == []
    first, second = proposed.run(digest), proposed.run(digest)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert "nothing was sent" in second.err
    assert proposed.restarts == sorted(proposed.reviewed())
    assert proposed.git("status", "--porcelain") == ""  # journals stay out of the repository


def test_nothing_runs_before_the_merge(proposed: Project) -> None:
    """On main, where the plan is not yet, its schedule is refused with exit 6."""
    digest = proposed.review()
    proposed.git("switch", "--quiet", "main")
    done = proposed.run(digest)
    assert done.code == 6, done.err
    assert proposed.restarts == []


def test_a_plan_that_changed_after_its_review(proposed: Project) -> None:
    """A commit that came after the review makes the saved schedule stale: exit 6, and the
    difference is told.
    """
    digest = proposed.review()
    proposed.edit("waves: [1, 100%]", "waves: [1, 4, 100%]")
    proposed.commit("Other waves")
    proposed.merge("kernel")
    done = proposed.run(digest)
    assert done.code == 6, done.err
    assert "changed" in done.err
    assert proposed.restarts == []
    again = proposed.review()
    assert again != digest
    assert proposed.run(digest).code == 6
    assert proposed.run(again).code == 0
    assert proposed.restarts == sorted(proposed.reviewed())


def test_a_renamed_file(merged: Project) -> None:
    """The plan's name is its identity: under another file name it has run already, by old
    and new schedule.
    """
    before, old = merged.restarts, json.loads(merged.saved.read_text())["digest"]
    merged.branch("rename")
    merged.git("mv", PLAN, "plans/edge.yaml")
    merged.commit("Another name for the file")
    merged.merge("rename")
    by_old = merged.run(old, "--plan", "plans/edge.yaml")
    assert (by_old.code, "nothing was sent" in by_old.err) == (0, True), by_old.err
    assert merged.lab.run("run", "plans/edge.yaml", "--yes").code == 0
    merged.branch("again")
    assert merged.run(merged.review("plans/edge.yaml")).code == 0
    assert merged.restarts == before


def test_a_comment(merged: Project) -> None:
    """A comment, or another order of keys, is no other plan: nothing is rebooted, and the
    digest stays.
    """
    before = merged.restarts
    merged.branch("comment")
    merged.edit("version: 1\n", "# What this is for.\nversion: 1\n")
    merged.edit("    ready: {timeout: 10m} ", "    # again\n    ready: {timeout: 600s} ")
    merged.commit("A comment")
    digest = merged.review()
    merged.merge("comment")
    done = merged.run(digest)
    assert done.code == 0, done.err
    assert merged.lab.run("run", PLAN, "--yes").code == 0
    assert merged.restarts == before


def test_reverted_and_merged_again(merged: Project) -> None:
    """A plan that is taken back and comes again has run already, by its old schedule and by
    a new one.
    """
    before, digest = merged.restarts, json.loads(merged.saved.read_text())["digest"]
    merged.git("revert", "--no-edit", "--mainline", "1", "HEAD")
    assert not (merged.lab.folder / PLAN).exists()
    gone = merged.run(digest)
    assert (gone.code, "nothing was sent" in gone.err) == (0, True), gone.err
    merged.branch("once-more")
    merged.git("revert", "--no-edit", "HEAD")
    again = merged.review()
    merged.merge("once-more")
    assert merged.run(again).code == 0
    assert merged.run(digest).code == 6  # not the file's: refused before anything is looked at
    assert merged.restarts == before


def test_a_new_cycle(proposed: Project) -> None:
    """A reviewed new `cycle` is the way to restart the same servers again: then each went
    down twice, no more.
    """
    proposed.merge("kernel")
    assert proposed.run(proposed.review()).code == 0
    proposed.branch("next")
    proposed.edit("# cycle: kernel-2026-11 ", "cycle: kernel-2026-12 ")
    proposed.commit("The next kernel")
    digest = proposed.review()
    proposed.merge("next")
    assert [proposed.run(digest).code for _ in range(2)] == [0, 0]
    assert proposed.restarts == sorted(2 * proposed.reviewed())


def test_a_lifted_belt_is_shown(merged: Project) -> None:
    """A branch that loosens a rule shows so: the dry-run against main says which, and the
    policy refuses it.
    """
    merged.branch("loose")
    merged.edit("groups:\n", "cycle: loose\nmax_failures: 1\ngroups:\n")
    merged.commit("A larger budget")
    shown = merged.lab.run("diff", PLAN, "--base", "main")
    assert shown.code == 3, shown.err
    assert "BELT LIFTED  max_failures raised: 0 → 1" in shown.out
    assert "policy max_failures allows 5% of 8 = 0" in shown.err
