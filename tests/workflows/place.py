"""A team's repository, a simulated cloud, a stand-in for GitHub, and act between them: all
real, all on this machine.

The repository is what `reboot-runner init` writes. Its plan `plans/web.yaml` reboots eight
servers, a canary first, then the rest. Pull requests and merges are real Git; events are
the files that GitHub would send.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner import REPOSITORY, __version__
from runner.starter.files import PLAN_WORKFLOW, RUN_WORKFLOW
from tests.github.standin import ALL_PERMISSIONS, TOKEN, Account, StandIn, serving
from tests.workflows.copies import CALLED, for_act
from tests.workflows.files import REUSABLE, ROOT, WORKFLOWS, called_workflows, documented_callers
from tests.workflows.rules import Environment, Settings, act_secrets, is_fork, with_visible_secrets

TOOLS = Path(sys.executable).parent
STAND_INS = Path(__file__).parent / "stand_ins"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FORMS = ("quick", "hardened", "reusable")
"""The workflows that `init` writes, in both forms, and the callers that docs/github.md shows."""
ENVIRONMENTS = ("reboot-plan", "reboot", "reboot-reconcile")
READER = "standin-token-of-a-fork"
PULL = 7
PLAN = "plans/web.yaml"
SERVERS = 8
"""How many servers of the simulated fleet of twenty the plan selects."""
KEYS = {
    "REBOOT_RUNNER_SIMULATOR_AK": "EXAMPLEACCESSKEY0003",
    "REBOOT_RUNNER_SIMULATOR_SK": "ExampleSecretNotReal-act-0123456789abcdef",
}
AUTHOR = {
    **{
        f"GIT_{who}_{what}": "Example"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    **{"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
}
NEVER_RUN = (
    "runner/__init__.py",
    "pip/__init__.py",
    "venv/__init__.py",
    "click.py",
    "sitecustomize.py",
)
"""Files of the team's repository that Python would import from the working directory, if it
were let.
"""
TAKEN_ALONG = ("PATH", "LANG", "PIP_", "SSL_", "REQUESTS_CA_BUNDLE")
"""What of this machine's environment jobs see: where packages come from, and nothing of a
CI around us.
"""


@dataclass(frozen=True)
class Ended:
    """A whole run of act: its log as text, the step summary and the outputs of its steps."""

    code: int
    log: str
    summary: str
    outputs: Mapping[str, str]


@dataclass
class Job:
    """A run of act that is going on."""

    event: str
    process: subprocess.Popen[str]
    lines: Path

    def wait(self, timeout_s: float = 300) -> Ended:
        """Its end. It is ended by us after `timeout_s`."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        ended = read(code, self.lines.read_text())
        print(f"{self.lines.parent.name} on {self.event} ended with {code}:\n{tail(ended.log)}\n")
        return ended

    def program(self) -> int:
        """The process of `reboot-runner github` in its step, once it is there: GitHub
        signals this one.
        """
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            for pid in descendants(self.process.pid):
                words = command_line(pid)
                if "github" in words and words[words.index("github") - 1].rpartition("/")[
                    2
                ].endswith("runner"):
                    return pid
            time.sleep(0.02)
        raise AssertionError(f"the step never began:\n{self.lines.read_text()[-5000:]}")


@dataclass
class Cloud:
    """`reboot-runner simulator` as a process."""

    url: str
    project_id: str

    def reboots(self) -> Counter[str]:
        """How often each server was sent down, by the cloud's own log."""
        with urllib.request.urlopen(f"{self.url}/_simulator/log") as answer:
            log = json.load(answer)
        return Counter(log["reboot_counts"])


@dataclass
class Place:
    """`repo` is the working tree of a developer; jobs work on clones. `environ` reaches
    every job.
    """

    folder: Path
    github: StandIn
    cloud: Cloud
    environ: dict[str, str]
    jobs: int = 0
    is_set_up: bool = True
    """Whether the repository has its environments with their secrets."""

    @property
    def repo(self) -> Path:
        return self.folder / "team"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **AUTHOR}
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.repo, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Replace texts that must be there."""
        file = self.repo / path
        text = file.read_text()
        for old, new in changes:
            assert old in text, (old, text)
            text = text.replace(old, new)
        file.write_text(text)

    def write_plan(self, name: str = "web-kernel") -> None:
        """The plan, on the branch we are on: made from the example that `init` wrote."""
        shutil.copy(self.repo / "plans" / "example.yaml", self.repo / PLAN)
        self.edit(
            PLAN,
            ("name: example ", f"name: {name} "),
            ("target: simulator ", "target: lab "),
            ("waves: [1, 10%, 25%]", "waves: [1, 100%]"),
            ("    pause: 1m ", "    # no pause "),
        )

    def command(self, *arguments: str) -> str:
        """A command line of the developer, with the jobs' store."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
        } | self._secrets()
        command = [sys.executable, "-P", "-m", "runner", *arguments]
        done = subprocess.run(
            command, cwd=self.repo, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def opened(self, branch: str = "kernel", *, fork: bool = False) -> dict[str, Any]:
        """The event of a pull request from `branch`; the stand-in knows the pull request."""
        head, base = self.git("rev-parse", branch), self.git("rev-parse", "main")
        commits = self.git("rev-list", f"{base}..{head}").split()
        self.github.state.write_pull(PULL, head_sha=head, commits=commits, fork=fork)
        repo = self._repository()
        source = {**repo, "id": 2, "full_name": "mallory/fork", "fork": True} if fork else repo
        pull = {
            "number": PULL,
            "head": {"sha": head, "ref": branch, "repo": source},
            "base": {"sha": base, "ref": "main", "repo": repo},
        }
        return {"action": "opened", "number": PULL, "pull_request": pull, "repository": repo}

    def merged(self, branch: str = "kernel") -> dict[str, Any]:
        """Merge `branch` and answer with the event of the push."""
        head, before = self.git("rev-parse", branch), self.git("rev-parse", "main")
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
        after = self.git("rev-parse", "main")
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.github.state.write_pull(PULL, head_sha=head, merged_at=moment, merge_commit_sha=after)
        return self.pushed(before, after)

    def pushed(self, before: str, after: str) -> dict[str, Any]:
        """The event of a push to main."""
        return {
            "ref": "refs/heads/main",
            "before": before,
            "after": after,
            "forced": False,
            **self.also(),
        }

    def scheduled(self) -> dict[str, Any]:
        """The event of the clock, which tells next to nothing."""
        return {"schedule": "7,37 * * * *"}

    def also(self) -> dict[str, Any]:
        """What most events carry."""
        return {"repository": self._repository()}

    def _repository(self) -> dict[str, Any]:
        name = self.github.state.repository
        return {
            "id": 1001,
            "full_name": name,
            "name": name.split("/")[1],
            "default_branch": "main",
            "fork": False,
        }

    def start(self, event: str, payload: Mapping[str, Any], workflow: str) -> Job:
        """Start act on a clone that stands where GitHub's checkout would."""
        self.jobs += 1
        here = self.folder / f"job{self.jobs}"
        clone = self._clone(here, payload)
        file = here / "event.json"
        file.write_text(json.dumps(payload))
        command = [
            str(TOOLS / "act"),
            event,
            "--json",
            "--rm",
            "--no-cache-server",
            "-W",
            workflow,
            "-e",
            str(file),
        ]
        command += ["-P", "ubuntu-24.04=-self-hosted", "--action-cache-path", str(here / "cache")]
        for name, where in self._replaced():
            command += ["--local-repository", f"{name}={where}"]
        for name, value in self._environ(workflow).items():
            command += ["--env", f"{name}={value}"]
        given = (
            {"GITHUB_TOKEN": READER}
            if is_fork(payload)
            else {"GITHUB_TOKEN": TOKEN, **act_secrets(self.settings)}
        )
        for name, value in given.items():
            command += ["-s", f"{name}={value}"]
        env = {k: v for k, v in os.environ.items() if k.startswith(TAKEN_ALONG)} | {
            "HOME": str(here)
        }
        env["PATH"] = f"{TOOLS}:{env['PATH']}"
        with (here / "log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=clone, env=env, stdout=log, stderr=log, text=True
            )
        return Job(event, process, here / "log")

    def act(self, event: str, payload: Mapping[str, Any], workflow: str) -> Ended:
        """A whole job."""
        return self.start(event, payload, workflow).wait()

    def _clone(self, here: Path, payload: Mapping[str, Any]) -> Path:
        clone = here / "work"
        here.mkdir()
        self.git("clone", "--quiet", str(self.repo), str(clone), cwd=self.folder)
        url = f"https://github.com/{self.github.state.repository}.git"
        pull = payload.get("pull_request")
        if pull:  # GitHub checks out the merge of both
            self.git("switch", "--quiet", "--detach", pull["base"]["sha"], cwd=clone)
            self.git("merge", "--quiet", "--no-ff", "--no-edit", pull["head"]["sha"], cwd=clone)
        else:
            self.git(
                "switch",
                "--quiet",
                "--detach",
                payload.get("after") or head_of_queue(payload),
                cwd=clone,
            )
            self.git("switch", "--quiet", "--force-create", "main", cwd=clone)
        self.git("remote", "set-url", "origin", url, cwd=clone)
        for file in (clone / ".github" / "workflows").glob("*.yml"):
            visible = with_visible_secrets(
                file.read_text(), payload, self.settings, called_workflows()
            )
            file.write_text(for_act(visible))
        (clone / CALLED).mkdir()
        for name in REUSABLE:
            (clone / CALLED / name).write_text(for_act((WORKFLOWS / name).read_text()))
        return clone

    def _replaced(self) -> Iterator[tuple[str, Path]]:
        pins = re.findall(
            r"uses: actions/([\w-]+@[0-9a-f]{40})",
            "".join(p.read_text() for p in WORKFLOWS.glob("*")),
        )
        for pin in sorted(set(pins)):
            folder = STAND_INS / pin.partition("@")[0]
            if folder.is_dir():
                yield f"actions/{pin}", folder
        for revision in (COMMIT, f"v{__version__}"):
            yield f"{REPOSITORY}@{revision}", self.folder / "project"

    def _environ(self, workflow: str) -> dict[str, str]:
        fixed = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_RUN_ID": str(self.jobs),
            "STAND_IN_WORKFLOW": workflow,
            "REBOOT_RUNNER_STORE_IS_PERSISTENT": "true",
        }
        return {k: v for k, v in os.environ.items() if k.startswith("PIP_")} | fixed | self.environ

    @property
    def settings(self) -> Settings:
        """Environments hold the secrets, and the repository holds none: what is not seen
        there is not seen.
        """
        if not self.is_set_up:
            return Settings(
                {name: value for name, value in self._secrets().items() if name.endswith("STORE")}
            )
        return Settings(environments=dict.fromkeys(ENVIRONMENTS, Environment(self._secrets())))

    def _secrets(self) -> dict[str, str]:
        return {
            "REBOOT_RUNNER_STORE": f"git+file://{self.folder / 'store.git'}",
            "HUAWEICLOUD_SDK_AK": KEYS["REBOOT_RUNNER_SIMULATOR_AK"],
            "HUAWEICLOUD_SDK_SK": KEYS["REBOOT_RUNNER_SIMULATOR_SK"],
        }


def read(code: int, log: str) -> Ended:
    """Act's JSON lines as what a person would see."""
    text, summary, outputs = [], [], {}
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            text.append(line)
            continue
        text.append(f"[{entry.get('job', '')}] {str(entry.get('msg', '')).rstrip()}")
        if entry.get("command") == "summary":
            summary.append(entry.get("content", ""))
        if entry.get("command") == "set-output":
            outputs[entry["name"]] = entry.get("arg", "")
    return Ended(code, "\n".join(text), "\n".join(dict.fromkeys(summary)), outputs)


def head_of_queue(payload: Mapping[str, Any]) -> str:
    """The commit that a merge queue tries, or main."""
    return str(payload.get("merge_group", {}).get("head_sha", "main"))


def tail(log: str, lines: int = 12) -> str:
    """The last lines of a log, without what act says of its own files."""
    noise = (
        "LocalRepositoryCache",
        "set-output",
        "Run Post",
        "Run Complete",
        "Success - Post",
        "Cleaning up",
    )
    return "\n".join(
        [line for line in log.splitlines() if line and not any(n in line for n in noise)][-lines:]
    )


def descendants(pid: int) -> list[int]:
    """All processes below `pid`."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(after_name[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


@contextmanager
def simulator(folder: Path, *options: str) -> Iterator[Cloud]:
    """The simulated cloud as a process of its own, until the block ends."""
    command = [
        sys.executable,
        "-m",
        "runner",
        "simulator",
        "--port",
        "0",
        "--servers",
        "20",
        "--control",
        *options,
    ]
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "SSL_CERT_FILE")} | KEYS
    with (folder / "simulator.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        url = re.search(r"servers at (\S+)", said)
        project = re.search(r"PROJECT_ID=(\S+)", said)
        assert url, said
        assert project, said
        yield Cloud(url[1], project[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def opened_place(
    folder: Path, *simulator_options: str, form: str = "quick", release: str | None = None
) -> Iterator[Place]:
    """Everything there is before the first pull request: main holds what `init` wrote, the
    branch `kernel` the plan.

    `release`: what the reusable workflows install.
    """
    with serving(folder / "github") as github, simulator(folder, *simulator_options) as cloud:
        github.accounts[READER] = Account(permissions=dict.fromkeys(ALL_PERMISSIONS, "read"))
        place = Place(folder, github, cloud, {})
        snapshot(folder / "project")
        place.repo.mkdir()
        place.git("init", "--quiet", "--bare", "--template=", str(folder / "store.git"), cwd=folder)
        place.git("init", "--quiet", "--initial-branch", "main")
        begin(place, form, release)
        place.git("switch", "--quiet", "--create", "kernel")
        place.write_plan()
        place.commit("Kernel of the web servers")
        yield place


def begin(place: Place, form: str, release: str | None) -> None:
    """What `init` writes, with the simulated cloud's address, or the callers of
    docs/github.md in their place.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "runner",
        "init",
        "--target",
        "lab",
        "--cloud",
        "simulator",
    ]
    command += ["--region", "eu-west-101"]
    if form == "hardened":
        command += ["--hardened", "--workflows", f"{REPOSITORY}@{COMMIT}"]
    env = {"PATH": os.environ["PATH"], "HOME": str(place.folder), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=place.repo, env=env, check=True, capture_output=True)
    endpoint = f'    endpoints: {{ecs: "{place.cloud.url}", iam: "{place.cloud.url}"}}\n'
    rate = (
        f"    project_id: {place.cloud.project_id}\n    rate: {{poll_every: 50ms, settle: 500ms}}\n"
    )
    place.edit(
        "reboot-runner.yaml", ("    cloud: simulator\n", f"    cloud: simulator\n{endpoint}{rate}")
    )
    place.edit("policy.yaml", ("percent: 34}", "percent: 100}"))
    for path, text in documented_callers().items() if form == "reusable" else ():
        (place.repo / path).write_text(re.sub(r"release: .+", f"release: {release}", text))
    for path in (PLAN_WORKFLOW, RUN_WORKFLOW):
        (place.repo / path).write_text(_with_store(place.repo / path))
    for name in NEVER_RUN:
        (place.repo / name).parent.mkdir(exist_ok=True)
        (place.repo / name).write_text('raise SystemExit("code of the repository has run")\n')
    place.commit("What init wrote")


def _with_store(workflow: Path) -> str:
    """The workflow with the store of this disk, which stands for the repository itself, as
    a secret beside the key.
    """
    name, text = "REBOOT_RUNNER_STORE", workflow.read_text()
    key = re.compile(r"^( +)HUAWEICLOUD_SDK_SK: .+\n", re.MULTILINE)
    return text if name in text else key.sub(rf"\g<0>\1{name}: ${{{{ secrets.{name} }}}}\n", text)


def snapshot(target: Path) -> None:
    """What GitHub would unpack of this repository for the action, as far as the action needs it."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("runner", "scripts", "requirements", ".github/actions"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", target)
