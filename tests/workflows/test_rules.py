"""GitHub's rules, as tests/workflows/rules.py models them, applied to the workflows that
`init` writes.

docs/github.md has the table of these rules and names these tests.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from runner.starter.files import PLAN_WORKFLOW, RUN_WORKFLOW, starter_files
from runner.starter.request import ActionSource, StarterRequest
from tests.workflows.files import REUSABLE, ROOT, called_workflows, documented_callers
from tests.workflows.rules import (
    MOST_PENDING,
    Actions,
    Environment,
    Group,
    Settings,
    act_name,
    environment_of,
    with_visible_secrets,
)

KEY = "HUAWEICLOUD_SDK_AK"
HELD = {KEY: "held by the environment"}
ALL = {name: Environment(HELD) for name in ("reboot-plan", "reboot", "reboot-reconcile")}
FORMS = ("quick", "hardened")
COMMIT = "c0ffee42" * 5
EVENTS: dict[str, dict[str, Any]] = {
    "own": {
        "repository": {"full_name": "octo/fleet"},
        "pull_request": {"head": {"repo": {"full_name": "octo/fleet"}}},
    },
    "fork": {
        "repository": {"full_name": "octo/fleet"},
        "pull_request": {"head": {"repo": {"full_name": "eve/fork"}}},
    },
    "push": {"repository": {"full_name": "octo/fleet"}},
}


def written(form: str) -> dict[str, str]:
    source = ActionSource("example/reboot-runner", COMMIT)
    request = (
        StarterRequest(source=source, hardened=True) if form == "hardened" else StarterRequest()
    )
    return {file.path: file.text for file in starter_files(request, {})}


def jobs(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text)["jobs"])


def visible(text: str, settings: Settings, event: str = "own") -> dict[str, str]:
    """The secret that each job reads as its key, by the name of the job."""
    found = jobs(with_visible_secrets(text, EVENTS[event], settings, called_workflows()))
    return {name: found_key(job) for name, job in found.items() if found_key(job)}


def found_key(job: Any) -> str:
    environs = [job.get("secrets", {}), *(step.get("env", {}) for step in job.get("steps", []))]
    values = [str(environ[KEY]) for environ in environs if KEY in environ]
    assert len(set(values)) <= 1
    return values[0].removeprefix("${{ secrets.").removesuffix(" }}") if values else ""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", [PLAN_WORKFLOW, RUN_WORKFLOW])
def test_secrets_of_an_environment_reach_the_job_that_names_it(form: str, path: str) -> None:
    """Each job that asks the cloud names an environment, and reads the names that the
    environment holds.
    """
    text = written(form)[path]
    got = visible(text, Settings(environments=ALL))
    assert got == {
        name: act_name(environment_of(job, EVENTS["own"], {}), KEY)
        for name, job in asking(text).items()
    }
    assert not any(value == act_name("", KEY) for value in got.values())


def asking(text: str) -> dict[str, Any]:
    """The jobs that read the key."""
    return {name: job for name, job in jobs(text).items() if found_key(job)}


@pytest.mark.parametrize("form", FORMS)
def test_secrets_of_the_repository_do_as_well(form: str) -> None:
    """A repository whose secrets are in no environment works too; where both have a name,
    the environment's counts.
    """
    text = written(form)[RUN_WORKFLOW]
    assert set(visible(text, Settings(secrets=HELD)).values()) == {act_name("", KEY)}
    both = Settings(secrets=HELD, environments={"reboot": Environment(HELD)})
    assert visible(text, both)["run"] == act_name("reboot", KEY)


def test_a_secret_under_another_name_is_not_seen() -> None:
    """The model tells names apart: a key that the environment holds as `…_READ` reaches no
    job that reads `…`.
    """
    settings = Settings(environments={"reboot-plan": Environment({f"{KEY}_READ": "x"})})
    assert visible(written("quick")[PLAN_WORKFLOW], settings) == {"plan": act_name("", KEY)}


def test_no_environment_for_forks() -> None:
    """A pull request of a fork gets no environment in the hardened form; without secrets it
    is validated offline.
    """
    job = jobs(written("hardened")[PLAN_WORKFLOW])["plan"]
    assert environment_of(job, EVENTS["own"], {}) == "reboot-plan"
    assert environment_of(job, EVENTS["fork"], {}) == ""
    assert environment_of(job, EVENTS["push"], {}) == ""


def test_called_workflows_read_what_their_environment_holds() -> None:
    """The callers in docs/github.md pass each secret by its name: that of the called job's
    environment goes before.
    """
    text = "".join(documented_callers().values())
    for path, caller in documented_callers().items():
        got = visible(caller, Settings(secrets=HELD, environments=ALL))
        assert got, path
        assert all(
            value.endswith(f"__{KEY}") and not value.startswith("REPOSITORY")
            for value in got.values()
        )
    assert all(name in text for name in REUSABLE)


def test_called_workflows_of_another_owner() -> None:
    """Reported for workflows of another owner: they see what is passed, and nothing that an
    environment holds.
    """
    settings = Settings(environments=ALL, is_same_owner=False)
    for caller in documented_callers().values():
        assert set(visible(caller, settings).values()) == {act_name("", KEY)}


def push_group(form: str) -> dict[str, Any]:
    """`concurrency` and `environment` of the run job; the former may be the whole workflow's."""
    workflow = yaml.safe_load(written(form)[RUN_WORKFLOW])
    job = workflow["jobs"]["run"]
    return {**job, "concurrency": job.get("concurrency") or workflow["concurrency"]}


@pytest.mark.parametrize("form", FORMS)
def test_merges_queue_and_none_is_dropped(form: str) -> None:
    """Runs of merges come one after the other in their order; none is cancelled by the next."""
    actions = Actions(Settings())
    for run in ("first", "second", "third"):
        actions.arrive(run, push_group(form), {"github.event_name": "push"})
    (group,) = actions.groups.values()
    seen = []
    while group.running:
        seen.append(group.running)
        group.end()
    assert (seen, group.cancelled) == (["first", "second", "third"], [])


@pytest.mark.parametrize("form", FORMS)
def test_the_clock_does_not_wait_for_merges(form: str) -> None:
    """A tick of the clock continues suspended runs while the run of a merge goes on."""
    actions = Actions(Settings())
    actions.arrive("merge", push_group(form), {"github.event_name": "push"})
    actions.arrive("tick", push_group(form), {"github.event_name": "schedule"})
    assert actions.working() == ["merge", "tick"]


@pytest.mark.parametrize("form", FORMS)
def test_an_approver_of_the_environment_holds_the_queue(form: str) -> None:
    """With reviewers of the environment, later merges wait behind the one that waits for
    its approver.
    """
    actions = Actions(Settings(environments={"reboot": Environment(has_reviewers=True)}))
    for run in ("first", "second"):
        actions.arrive(run, push_group(form), {"github.event_name": "push"})
    (group,) = actions.groups.values()
    assert (actions.working(), actions.waiting(), group.pending) == ([], ["first"], ["second"])


@pytest.mark.parametrize("form", FORMS)
def test_an_approval_of_the_plan_frees_the_queue(form: str) -> None:
    """Without reviewers, a run that waits for `approve` is suspended: its job ends, and the
    next merge begins.
    """
    actions = Actions(Settings(environments={"reboot": Environment()}))
    for run in ("first", "second"):
        actions.arrive(run, push_group(form), {"github.event_name": "push"})
    (group,) = actions.groups.values()
    group.end()  # exit code 75: the job is green, and over
    assert (actions.working(), group.pending) == (["second"], [])


def test_a_group_for_each_merge() -> None:
    """With the group that docs/github.md offers, a merge that waits for its approver holds
    only itself.
    """
    group = re.findall(r"`group: (reboot-\$\{\{ [^`]+)`", (ROOT / "docs" / "github.md").read_text())
    job = {**push_group("hardened"), "concurrency": {"group": group[0], "queue": "max"}}
    actions = Actions(Settings(environments={"reboot": Environment(has_reviewers=True)}))
    actions.arrive("first", job, {"github.sha": "a" * 40})
    actions.arrive("second", {**job, "environment": "approved"}, {"github.sha": "b" * 40})
    assert (actions.waiting(), actions.working()) == (["first"], ["second"])


def test_an_environment_for_the_default_branch_only() -> None:
    """A branch rule of the environment refuses jobs of other branches before they begin."""
    actions = Actions(Settings(environments={"reboot": Environment(branches=("main",))}))
    actions.arrive("dispatched", push_group("quick"), {"github.event_name": "workflow_dispatch"})
    assert actions.may_begin("dispatched", "main")
    assert not actions.may_begin("dispatched", "topic")


def test_the_model_of_a_group() -> None:
    """Without `queue`, one run waits and the next takes its place; with `max` a hundred
    wait; a newer plan cancels.
    """
    single, longest, newest = Group(), Group("max"), Group(cancels=True)
    for number in range(MOST_PENDING + 2):
        for group in (single, longest, newest):
            group.arrive(str(number))
    assert (single.running, single.pending) == ("0", [str(MOST_PENDING + 1)])
    assert (len(longest.pending), longest.cancelled) == (MOST_PENDING, [str(MOST_PENDING + 1)])
    assert (newest.running, len(newest.cancelled)) == (str(MOST_PENDING + 1), MOST_PENDING + 1)
    with pytest.raises(AssertionError, match="refuses"):
        Group("max", cancels=True).arrive("0")
