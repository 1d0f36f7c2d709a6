"""Rules of GitHub that act does not know, as pure functions: secrets of environments,
approvals, queues.

Sources: the pages "Using secrets in GitHub Actions", "Reuse workflows", "Deployments and
environments" and "Control the concurrency of workflows and jobs" of docs.github.com; where
they are silent, the reports that docs/github.md names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml

SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
MOST_PENDING = 100
"""Runs that wait in a concurrency group with `queue: max`; more are cancelled."""

_JOB = re.compile(r"^  ([\w-]+):\n", re.MULTILINE)
_SECRET = re.compile(r"\bsecrets\.([A-Z_][A-Z0-9_]*)")
_PASSED = re.compile(
    r"^      ([A-Z_][A-Z0-9_]*): \$\{\{ secrets\.([A-Z_][A-Z0-9_]*) \}\}$", re.MULTILINE
)
_CHOICE = re.compile(
    r"\$\{\{ (?:(?P<condition>.+) && )?(?P<value>'[\w-]+'|inputs\.environment)(?: \|\| '')? \}\}"
)

Secrets = Mapping[str, str]


@dataclass(frozen=True)
class Environment:
    """An environment in the repository's settings. `branches`: those that may use it; none: all."""

    secrets: Secrets = field(default_factory=dict)
    has_reviewers: bool = False
    branches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """The settings of a repository. `is_same_owner`: of the repository that holds the
    called workflows.
    """

    secrets: Secrets = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    is_same_owner: bool = True

    def of_environment(self, name: str) -> Environment:
        """Return an environment; its first use makes one without rules and secrets."""
        return self.environments.get(name, Environment())


def environment_of(
    job: Mapping[str, Any], payload: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str:
    """Return the name of a job's environment for this event; empty without one.

    A job that calls a workflow has none, whatever it says: GitHub allows no `environment`
    beside `uses`.
    """
    written = str(job.get("environment", ""))
    if "${{" not in written:
        return written
    found = _CHOICE.fullmatch(written)
    assert found, f"this expression is not one that the tests can evaluate: {written}"
    assert found["condition"] in (None, SAME_REPOSITORY), found["condition"]
    if found["condition"] and not _is_of_same_repository(payload):
        return ""
    return (
        str(inputs.get("environment", ""))
        if found["value"] == "inputs.environment"
        else found["value"].strip("'")
    )


def is_fork(payload: Mapping[str, Any]) -> bool:
    """Return True for a pull request of another repository: its jobs get no secret and a
    token that reads.
    """
    return "pull_request" in payload and not _is_of_same_repository(payload)


def _is_of_same_repository(payload: Mapping[str, Any]) -> bool:
    head = payload.get("pull_request", {}).get("head", {}).get("repo", {})
    return bool(head) and head["full_name"] == payload["repository"]["full_name"]


def with_visible_secrets(
    text: str,
    payload: Mapping[str, Any],
    settings: Settings,
    called: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return a workflow whose `secrets.NAME` name what the job would see on GitHub, under
    `act_name`.

    A secret of an environment is visible in a job that names the environment, and
    nowhere else. A job that calls a workflow passes what it sees itself; what the called
    job's environment holds under a passed name goes before that. `called`: file name ->
    workflow.
    """
    head, *jobs = _split(text)
    return head + "".join(_job_for_act(part, payload, settings, called) for part in jobs)


def act_secrets(settings: Settings) -> dict[str, str]:
    """Return every secret of the settings by the name that `with_visible_secrets` gives it."""
    found = {act_name("", name): value for name, value in settings.secrets.items()}
    for environment, it in settings.environments.items():
        found |= {act_name(environment, name): value for name, value in it.secrets.items()}
    return found


def act_name(environment: str, name: str) -> str:
    return f"{environment or 'repository'}__{name}".upper().replace("-", "_")


def _split(text: str) -> Iterator[str]:
    """What stands before the jobs, then each job's lines."""
    begin = text.index("\njobs:\n") + len("\njobs:\n")
    places = [begin, *(found.start() for found in _JOB.finditer(text, begin + 1)), len(text)]
    yield text[:begin]
    for start, end in pairwise(places):
        yield text[start:end]


def _job_for_act(
    part: str,
    payload: Mapping[str, Any],
    settings: Settings,
    called: Mapping[str, Mapping[str, Any]],
) -> str:
    job = next(iter(yaml.safe_load(part).values()))
    if "uses" in job:
        return _call_for_act(part, job, payload, settings, called)
    name = environment_of(job, payload, {})
    held = settings.of_environment(name).secrets if name else {}
    return _SECRET.sub(
        lambda found: f"secrets.{act_name(name if found[1] in held else '', found[1])}", part
    )


def _call_for_act(
    part: str,
    job: Mapping[str, Any],
    payload: Mapping[str, Any],
    settings: Settings,
    called: Mapping[str, Mapping[str, Any]],
) -> str:
    workflow = called[job["uses"].rpartition("/")[2].partition("@")[0]]
    first = next(iter(workflow["jobs"].values()))
    name = environment_of(first, payload, job.get("with", {}))
    held = settings.of_environment(name).secrets if name and settings.is_same_owner else {}

    def passed(found: re.Match[str]) -> str:
        source = act_name(name, found[1]) if found[1] in held else act_name("", found[2])
        return f"      {found[1]}: ${{{{ secrets.{source} }}}}"

    return _PASSED.sub(passed, part)


@dataclass
class Group:
    """A concurrency group over time. Runs are names; a run that waits for an approver holds
    the group.
    """

    queue: str = "single"
    cancels: bool = False
    running: str | None = None
    pending: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def arrive(self, run: str) -> None:
        """A run that joins: it begins where the group is free, else it waits; a full
        queue cancels.
        """
        assert not (self.cancels and self.queue == "max"), (
            "GitHub refuses cancel-in-progress with queue: max"
        )
        if self.running is not None and self.cancels:
            self.cancelled += [*self.pending, self.running]
            self.pending, self.running = [], None
        if self.running is None:
            self.running = run
        elif self.queue == "max":
            (self.pending if len(self.pending) < MOST_PENDING else self.cancelled).append(run)
        else:
            self.cancelled += self.pending
            self.pending = [run]

    def end(self) -> None:
        """The run that holds the group ends; the one that has waited longest begins."""
        self.running = self.pending.pop(0) if self.pending else None


@dataclass
class Actions:
    """GitHub's scheduler for one repository: workflow runs join their groups and wait for
    approvers.
    """

    settings: Settings
    groups: dict[str, Group] = field(default_factory=dict)
    environments: dict[str, str] = field(default_factory=dict)
    """The environment of each run."""

    def arrive(self, run: str, job: Mapping[str, Any], context: Mapping[str, str]) -> None:
        """A run of a workflow whose job, or which itself, has this `concurrency` and
        `environment`.
        """
        written = job["concurrency"]
        name = re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: context[found[1]], written["group"])
        group = self.groups.setdefault(
            name.lower(),
            Group(written.get("queue", "single"), bool(written.get("cancel-in-progress", False))),
        )
        self.environments[run] = environment_of(
            job, {}, {"environment": context.get("inputs.environment", "")}
        )
        group.arrive(run)

    def may_begin(self, run: str, branch: str) -> bool:
        """Return True where the run's environment allows the branch: else GitHub ends
        the job red.
        """
        allowed = self.settings.of_environment(self.environments[run]).branches
        return not allowed or branch in allowed

    def working(self) -> list[str]:
        """Return the runs that have begun and wait for no approver."""
        running = (group.running for group in self.groups.values())
        return [run for run in running if run is not None and not self._waits(run)]

    def waiting(self) -> list[str]:
        """Return the runs that hold their group while they wait for an approver."""
        running = (group.running for group in self.groups.values())
        return [run for run in running if run is not None and self._waits(run)]

    def _waits(self, run: str) -> bool:
        return self.settings.of_environment(self.environments[run]).has_reviewers
