"""`diff` against another revision and the last run, and of what a branch changed: real Git,
a simulated cloud.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.report import schedule_json
from runner.report.schemas import schema_of
from tests.cli.forked import Done
from tests.cli.lab import PLAN, Lab, Remote

AUTHOR = {
    **{
        f"GIT_{who}_{what}": "Example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    **{"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
}
WEB = "plans/web.yaml"


@dataclass
class Repo:
    """The lab with a real repository, whose branch main holds one plan."""

    lab: Lab

    def git(self, *argv: str) -> str:
        done = subprocess.run(
            ["git", *argv],
            cwd=self.lab.folder,
            env=self.lab.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (argv, done.stderr)
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            self.lab.write(name.replace("__", "/") + ".yaml", text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def diff(self, *argv: str, code: int = 0) -> Done:
        done = self.lab.run("diff", *argv)
        assert done.code == code, done.err
        return done

    def json(self, *argv: str, code: int = 0) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.diff(*argv, "-o", "json", code=code).out)
        jsonschema.validate(made, schema_of("diff"))
        return made

    def since_base(self, *argv: str, code: int = 0) -> dict[str, Any]:
        (one,) = self.json(*argv, code=code)["plans"]
        return dict(one["since_base"])


@pytest.fixture
def repo(lab: Lab) -> Repo:
    lab.env |= AUTHOR
    (lab.folder / ".git").rmdir()
    (lab.folder / "web.yaml").unlink()
    made = Repo(lab)
    made.git("init", "--quiet", "--initial-branch", "main")
    lab.write(".gitignore", ".reboot-runner/\n")
    made.commit(plans__web=PLAN)
    return made


def test_what_differs_from_a_revision(repo: Repo) -> None:
    """Lifted belts come right below the totals, then what became of servers, waves and
    rules, all in the JSON too.
    """
    repo.git("switch", "--quiet", "--create", "work")
    wider = PLAN.replace("waves: [1, 50%]", "waves: [1, 60%]\n    bake: 5m").replace(
        "role: web}", "role: [web, api]}"
    )
    repo.commit(
        plans__web=wider.replace("limits: {percent: 100}", "limits: {percent: 100, servers: 900}")
    )
    lines = repo.diff(WEB, "--base", "main").out.splitlines()
    short = repo.git("rev-parse", "main")[:12]
    assert lines[0].startswith("15 servers in 3 waves")
    assert lines[1:4] == [
        "BELT LIFTED  limits.servers raised: 200 → 900",
        "BELT LIFTED  group web: waves raised: 1, 50% → 1, 60%",
        "BELT LIFTED  group web: servers.tags.role selects more: web → web, api",
    ]
    assert f"against main ({short}): 5 added; servers 10 → 15; largest wave 5 → 9" in lines
    assert any(line.startswith("  added, 5 servers: api-") for line in lines)
    assert "  waves of group web: 1, 5, 4 → 1, 9, 5" in lines
    assert "  group web: bake: 0s → 5m" in lines
    since = repo.since_base(WEB, "--base", "main")
    assert (since["revision"], since["commit"][:12], since["file"]) == ("main", short, WEB)
    assert [lift["path"] for lift in since["lifts"]] == [
        *(["limits", "servers"], ["groups", 0, "waves"]),
        ["groups", 0, "servers", "tags"],
    ]
    assert len(since["changes"]["added"]) == 5
    markdown = repo.diff(WEB, "--base", "main", "-o", "markdown").out.splitlines()
    assert markdown[4] == "> [!CAUTION]"
    assert markdown[5].startswith("> **3 belts lifted against main")


def test_nothing_differs(repo: Repo) -> None:
    """Against itself: no belt, no server, and the sentence says so."""
    out = repo.diff(WEB, "--base", "HEAD").out
    assert "the same servers in the same waves" in out
    assert "BELT" not in out


def test_new_and_renamed_plans(repo: Repo) -> None:
    """A new plan is called new; a renamed one is found by Git's rename, by its name, and
    from a folder below.
    """
    repo.git("switch", "--quiet", "--create", "work")
    repo.commit(plans__more=PLAN.replace("name: web\nl", "name: more\nl"))
    assert "new plan: main (" in repo.diff("plans/more.yaml", "--base", "main").out
    repo.git("mv", WEB, "plans/front.yaml")
    assert (
        repo.since_base("plans/front.yaml", "--base", "main")["file"] == WEB
    )  # by its name: not committed yet
    (repo.lab.folder / "plans" / "sub").mkdir()
    repo.git("mv", "plans/front.yaml", "plans/sub/front.yaml")
    repo.commit()
    out = repo.diff("plans/sub/front.yaml", "--base", "main").out
    assert f"(there {WEB}): the same servers in the same waves" in out


def test_files_that_a_plan_names_are_of_the_revision(repo: Repo) -> None:
    """The list of ids that the other revision's plan names is read from that revision."""
    ids = [
        s["id"] for wave in repo.json(WEB)["plans"][0]["schedule"]["waves"] for s in wave["servers"]
    ]
    listed = PLAN.replace("tags: {role: web}", "ids_from: ids.txt")
    repo.lab.write("plans/ids.txt", "\n".join(ids[:6]))
    repo.commit(plans__web=listed)
    repo.lab.write("plans/ids.txt", "\n".join(ids[2:9]))
    changes = repo.since_base(WEB, "--base", "HEAD")["changes"]
    assert ({s["id"] for s in changes["added"]}, {s["id"] for s in changes["removed"]}) == (
        set(ids[6:9]),
        set(ids[:2]),
    )


def test_an_earlier_plan_that_is_wrong(repo: Repo) -> None:
    """What cannot be compared is said with the reason; the dry-run of the plan itself is
    not disturbed.
    """
    repo.commit(plans__web=PLAN.replace("waves", "wavs"))
    repo.commit(plans__web=PLAN)
    since = repo.since_base(WEB, "--base", "HEAD~1")
    assert since["changes"] is None
    assert 'is not valid, so nothing is compared: "waves" is missing' in since["notes"][0]
    repo.commit(plans__web=PLAN.replace("role: web", "role: gone"))
    repo.commit(plans__web=PLAN.replace("[1, 50%]", "[2, 50%]"))
    since = repo.since_base(WEB, "--base", "HEAD~1")
    assert since["changes"] is None
    assert "matches no server" in since["notes"][0]
    assert since["lifts"][0]["what"].startswith("group web: canary gone")
    repo.commit(plans__web=PLAN.replace("limits", "target: elsewhere\nlimits"))
    repo.lab.write(WEB, PLAN)
    since = repo.since_base(WEB, "--base", "HEAD")
    assert since["notes"] == ["there the plan was for elsewhere: all servers count as new"]
    assert len(since["changes"]["added"]) == 10


def test_a_plan_that_is_refused_still_tells_its_belts(repo: Repo) -> None:
    """Where the plan itself cannot be scheduled, the belts that it lifts are shown all the same."""
    repo.lab.write(
        WEB, PLAN.replace("{percent: 100}", "{percent: 100, servers: 3}").replace("50%", "60%")
    )
    done = repo.diff(WEB, "--base", "main", code=3)
    assert "BELT LIFTED  group web: waves raised" in done.out
    assert "LimitExceeded" in done.err


def test_revisions_that_are_none(repo: Repo) -> None:
    """A revision that does not exist, or that looks like an option, is a usage error before
    the cloud is asked.
    """
    assert "Git knows no commit" in repo.diff(WEB, "--base", "nowhere", code=64).err
    repo.diff(WEB, "--base=--output=x", code=64)
    assert not (repo.lab.folder / "x").exists()


def test_changed_plans(repo: Repo) -> None:
    """Only what a branch changed is planned; deleted plans are told in every form; nothing
    changed is fine.
    """
    for name in ("old", "same"):
        repo.lab.write(f"plans/{name}.yaml", PLAN.replace("name: web\nl", f"name: {name}\nl"))
    repo.commit()
    repo.git("switch", "--quiet", "--create", "work")
    repo.git("rm", "--quiet", "plans/old.yaml")
    repo.commit(plans__web=PLAN.replace("50%", "40%"))
    made = repo.json("--changed", "main..HEAD")
    assert [plan["file"] for plan in made["plans"]] == [WEB]
    selected = made["selected"]
    assert (selected["deleted"], selected["renamed"], selected["unchanged"]) == (
        ["plans/old.yaml"],
        {},
        1,
    )
    done = repo.diff("--changed", "main..HEAD", "plans/same.yaml")
    assert (done.out, "no plan changed between" in done.err) == ("", True)
    none = repo.json("--changed", "HEAD..HEAD")
    assert (none["plans"], none["result"]) == ([], "done")
    markdown = repo.diff("--changed", "HEAD..HEAD", "-o", "markdown").out
    assert markdown.strip().startswith("No plan changed between ")
    assert "plans/old.yaml was deleted: nothing of it will run." in repo.diff(
        "--changed", "main..HEAD", "-o", "markdown"
    ).out.replace("&#47;", "/")


def test_schedules_in_a_folder(repo: Repo) -> None:
    """Each plan that may run is saved under its name; what failed and what was there before
    is left alone.
    """
    repo.lab.write(
        "plans/api.yaml",
        PLAN.replace("name: web\nl", "name: api\nl").replace("role: web", "role: api"),
    )
    repo.lab.write(
        "plans/bad.yaml",
        PLAN.replace("name: web\nl", "name: bad\nl").replace("100}", "100, servers: 1}"),
    )
    repo.lab.write("saved/stale.json", "mine")
    made = repo.json("plans/", "--out", "saved", code=3)
    folder = repo.lab.folder / "saved"
    assert sorted(p.name for p in folder.iterdir()) == ["api.json", "stale.json", "web.json"]
    assert (folder / "stale.json").read_text() == "mine"
    by_file = {plan["file"]: plan for plan in made["plans"]}
    saved = schedule_json.load((folder / "api.json").read_text())
    assert by_file["plans/api.yaml"]["schedule"]["digest"] == saved.digest
    assert by_file["plans/api.yaml"]["next"].startswith(
        "reboot-runner run saved/api.json --schedule-digest sha256:"
    )
    repo.diff(WEB, "--out", "new/")
    assert (repo.lab.folder / "new" / "web.json").exists()


def test_places_that_cannot_be(repo: Repo) -> None:
    """Several plans into one file, and two plans of one name, are usage errors, and nothing
    is written.
    """
    repo.lab.write("plans/web2.yaml", PLAN)
    repo.lab.write("file", "mine")
    assert "both plan web" in repo.diff("plans/", "--out", "there/", code=64).err
    repo.lab.write("plans/web2.yaml", PLAN.replace("name: web\nl", "name: web2\nl"))
    assert "is a file" in repo.diff("plans/", "--out", "file", code=64).err
    assert (repo.lab.folder / "file").read_text() == "mine"
    assert not (repo.lab.folder / "there").exists()


def test_a_policy_that_is_broken(repo: Repo) -> None:
    """A schedule that breaks the repository's policy is shown and refused: exit 3, nothing
    saved, nothing to type.
    """
    repo.lab.configure(
        targets={"simulator": {"cloud": "simulator", "simulator": {"servers": 20}}},
        policy="policy.yaml",
    )
    repo.lab.write("policy.yaml", "version: 1\nmax_wave: {servers: 3}\n")
    done = repo.diff(WEB, "--out", "web.json", code=3)
    assert done.out.startswith("refused, 1 problem: 10 servers in 3 waves")
    assert "PolicyViolated" in done.err
    assert "reboot-runner run" not in done.out
    assert not (repo.lab.folder / "web.json").exists()


def test_since_the_last_run(lab: Lab, cloud: Remote) -> None:
    """After a run the dry-run tells how that ended, and which servers are new since or gone."""
    assert lab.run("run", "web.yaml", "--yes").code == 0
    lab.write(
        "web.yaml",
        PLAN.replace("role: web", "role: [api, batch]").replace("limits", "cycle: next\nlimits"),
    )
    out = lab.run("diff", "web.yaml").out
    assert "done, 10 ready; 8 servers new since, 10 servers gone since" in out
    lab.write("web.yaml", PLAN)
    (one,) = json.loads(lab.run("diff", "web.yaml", "-o", "json").out)["plans"]
    since = one["since_run"]
    assert (since["state"], since["added"], since["removed"]) == (
        "done",
        [],
        [],
    )  # spent is not gone
    assert one["schedule"]["waves"] == []


def test_the_embedded_cloud_tells_only_news(lab: Lab) -> None:
    """Where each run has a cycle of its own, a run that went well and the same servers
    again are no news.
    """
    assert lab.run("run", "web.yaml").code == 0
    assert "last run" not in lab.run("diff", "web.yaml").out
    lab.write("web.yaml", PLAN.replace("role: web", "role: [web, api]"))
    assert "done, 10 ready; 5 servers new since" in lab.run("diff", "web.yaml").out


def test_colour(repo: Repo) -> None:
    """On a terminal lifted belts are red; without colour nothing of it is left."""
    repo.lab.write(WEB, PLAN.replace("50%", "60%"))
    done = repo.lab.run("--color", "always", "diff", WEB, "--base", "main")
    assert "\x1b[31m\x1b[1mBELT LIFTED" in done.out
    assert "\x1b" not in repo.diff(WEB, "--base", "main").out


def test_hostile_file_names(repo: Repo, tmp_path: Path) -> None:
    """A plan's file can be called what it likes: no form of the dry-run takes it for a
    command or for markup.
    """
    name = "plans/::error::<b>@x`|\n::warning::.yaml"
    repo.lab.write(name, PLAN.replace("name: web\nl", "name: odd\nl"))
    repo.commit()
    repo.lab.write(name, PLAN.replace("name: web\nl", "name: odd\nl").replace("50%", "60%"))
    for form in ("text", "json", "markdown"):
        done = repo.diff(name, "--base", "HEAD", "-o", form)
        lines = [*done.out.splitlines(), *done.err.splitlines()]
        assert not [line for line in lines if line.lstrip().startswith("::")]
        assert form == "json" or "\\n::warning" in done.out or ":&#8203;warning:" in done.out
        assert form != "markdown" or "<b>" not in done.out
