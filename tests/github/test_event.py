"""The event of a job in GitHub Actions, and the commits it is about, with real Git."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.errors import Exit
from runner.git.errors import MissingHistory, NoRange
from runner.git.ranges import Range
from runner.github.event import GitHubEvent, UnreadableEvent, range_of, read_event
from tests.git.made import Made

ZERO = "0" * 40
A, B = "a" * 40, "b" * 40
ENVIRON = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/ops",
    "GITHUB_SHA": A,
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_API_URL": "https://api.github.com",
}


def event_of(folder: Path, name: str, payload: object, **environ: str) -> GitHubEvent:
    file = folder / "event.json"
    file.write_text(payload if isinstance(payload, str) else json.dumps(payload))
    found = read_event(
        {**ENVIRON, "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file), **environ}
    )
    assert found is not None
    return found


def pull(head: str = A, base: str = B, repository: str | None = "acme/ops") -> dict[str, Any]:
    """The part of a pull request's event that we read."""
    repo = {"full_name": repository} if repository else None
    return {
        "pull_request": {"number": 7, "head": {"sha": head, "repo": repo}, "base": {"sha": base}},
        "repository": {"default_branch": "main"},
    }


def push(before: str, after: str, **more: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "forced": False, **more}


def test_a_pull_request_is_read(tmp_path: Path) -> None:
    """Number, commits and circumstances of a pull request of the same repository."""
    assert event_of(tmp_path, "pull_request", pull(B, A)) == GitHubEvent(
        name="pull_request",
        repository="acme/ops",
        sha=A,
        ref="refs/pull/7/merge",
        default_branch="main",
        run_id="42",
        server_url="https://github.com",
        pull_number=7,
        head_sha=B,
        base_sha=A,
    )


def test_outside_of_actions_there_is_no_event() -> None:
    """Without GitHub's variables, or with those of another system, there is none."""
    assert read_event({}) is None
    assert read_event({"GITHUB_EVENT_NAME": "push"}) is None
    assert read_event({"GITHUB_ACTIONS": "true"}) is None


@pytest.mark.parametrize(
    ("repository", "is_fork"),
    [
        ("acme/ops", False),
        ("Acme/Ops", False),
        ("mallory/ops", True),
        (None, True),
        ("acme/ops2", True),
    ],
)
def test_forks_are_known(tmp_path: Path, repository: str | None, is_fork: bool) -> None:
    """A head in another repository, or in one that was deleted, is a fork; case does not matter."""
    assert event_of(tmp_path, "pull_request", pull(repository=repository)).is_fork is is_fork


def test_a_pull_request_that_says_nothing_counts_as_a_fork(tmp_path: Path) -> None:
    """Where the event does not say whose commits these are, they are a stranger's."""
    assert event_of(tmp_path, "pull_request_target", {}).is_fork
    assert not event_of(tmp_path, "push", push(A, B)).is_fork


HOSTILE: list[Any] = [
    None,
    7,
    "x",
    [],
    {"pull_request": []},
    {"pull_request": {"number": "7; rm -rf /", "head": "x", "base": {"sha": "--upload-pack=x"}}},
    {
        "pull_request": {
            "number": True,
            "head": {"sha": ["a"], "repo": {"full_name": 3}},
            "base": {"sha": "A" * 40},
        }
    },
    {"pull_request": {"number": -1}, "merge_group": "x", "repository": {"default_branch": {}}},
]


@pytest.mark.parametrize("payload", HOSTILE)
def test_what_is_of_another_kind_counts_as_absent(tmp_path: Path, payload: Any) -> None:
    """Fields that are not numbers, names or full commit ids are not there; a payload that
    is no object is an error.
    """
    if not isinstance(payload, dict):
        with pytest.raises(UnreadableEvent, match=r"not (a JSON object|JSON)"):
            event_of(tmp_path, "pull_request", payload if payload is not None else "null")
        return
    event = event_of(tmp_path, "pull_request", payload, GITHUB_SHA="--x", GITHUB_REPOSITORY="a/b c")
    assert (event.sha, event.repository, event.default_branch) == ("", "", "")
    assert (event.pull_number, event.head_sha, event.base_sha, event.is_fork) == (
        None,
        None,
        None,
        True,
    )


def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """Missing, endless, absurdly nested or not JSON: one error, which quotes nothing of it."""
    with pytest.raises(UnreadableEvent, match="cannot be read"):
        event_of(tmp_path, "push", {}, GITHUB_EVENT_PATH=str(tmp_path / "none"))
    with pytest.raises(UnreadableEvent, match="is not a regular file"):
        event_of(tmp_path, "push", {}, GITHUB_EVENT_PATH="/dev/zero")
    with pytest.raises(UnreadableEvent, match="nested deeper than 64 levels"):
        event_of(tmp_path, "push", "[" * 100_000)
    for text in (
        "",
        "{",
        '{"a": ' + "9" * 5000 + "}",
        "\ud800".encode("utf-8", "replace").decode(),
    ):
        with pytest.raises(UnreadableEvent, match="is something that is not JSON"):
            event_of(tmp_path, "push", text)


@pytest.fixture
def branched(made: Made) -> tuple[Made, str, str]:
    """Branch `side` (checked out) that left `main`, which then went on; the two tips."""
    made.commit({"a": "1"})
    made.git("checkout", "--quiet", "-b", "side")
    side = made.commit({"b": "1"})
    made.git("checkout", "--quiet", "main")
    main = made.commit({"a": "2"})
    made.git("checkout", "--quiet", "side")
    return made, main, side


def test_a_pull_request_is_the_effect_of_merging(
    branched: tuple[Made, str, str], tmp_path: Path
) -> None:
    """On GitHub's test merge the range begins at the base branch, also in a clone that
    holds only that commit.
    """
    made, main, side = branched
    made.git("checkout", "--quiet", "main")
    made.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    event = event_of(tmp_path, "pull_request", pull(side, "1" * 40), GITHUB_SHA=made.head)
    assert range_of(event, made.repository) == Range(main, made.head)
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = made.clone(tmp_path / "clone", "--depth=1")
    assert range_of(event, clone.repository) == Range(main, made.head)
    assert [c.path for c in clone.repository.changes(main, made.head)] == ["b"]


def test_a_pull_requests_own_merges_are_not_mistaken(
    branched: tuple[Made, str, str], tmp_path: Path
) -> None:
    """With the branch itself checked out, the range begins where it left the base, also
    when it merged the base.
    """
    made, main, side = branched
    start = made.repository.parents(side)[0]
    assert range_of(event_of(tmp_path, "pull_request", pull(side, main)), made.repository) == Range(
        start, side
    )
    made.git("merge", "--quiet", "--no-ff", "--no-edit", "main")
    merged = made.head
    assert range_of(
        event_of(tmp_path, "pull_request", pull(merged, main)), made.repository
    ) == Range(main, merged)


def test_a_clone_that_is_too_shallow_says_so(
    branched: tuple[Made, str, str], tmp_path: Path
) -> None:
    """Where the branch left its base cannot be known without history: the error says
    how to get it.
    """
    made, main, side = branched
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = made.clone(tmp_path / "clone", "--depth=1")
    with pytest.raises(MissingHistory, match="no common ancestor") as caught:
        range_of(event_of(tmp_path, "pull_request", pull(side, main)), clone.repository)
    assert "fetch-depth: 0" in (caught.value.hint or "")


def test_a_merge_queues_group_names_its_range(
    branched: tuple[Made, str, str], tmp_path: Path
) -> None:
    """From the group's base to its head."""
    made, main, side = branched
    event = event_of(tmp_path, "merge_group", {"merge_group": {"base_sha": main, "head_sha": side}})
    assert range_of(event, made.repository) == Range(main, side)


def test_a_push_is_from_before_to_after(made: Made, tmp_path: Path) -> None:
    """Several commits in one push; what was before is fetched into a shallow clone."""
    before = made.commit({"a": "1"})
    made.commit({"a": "2"})
    after = made.commit({"a": "3"})
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = made.clone(tmp_path / "clone", "--depth=1")
    assert range_of(event_of(tmp_path, "push", push(before, after)), clone.repository) == Range(
        before, after
    )


NO_RANGE = [
    ("push", push(A, B, forced=True), "forced"),
    ("push", push(A, B, forced="no"), "forced"),
    ("push", push(ZERO, B), "new"),
    ("push", push(A, ZERO), "deleted"),
    ("push", {"forced": False}, "does not name its commits"),
    ("merge_group", {}, "does not name its commits"),
    ("pull_request", {}, "does not name its base"),
    ("pull_request_target", pull(), "pull_request_target event"),
    ("workflow_dispatch", {"inputs": {}}, "workflow_dispatch event"),
    ("schedule", {}, "schedule event"),
    ("x\n::error::y", {}, "x ::error::y event"),
]


@pytest.mark.parametrize(("name", "payload", "said"), NO_RANGE)
def test_events_without_a_range_ask_for_plans(
    still: Made, tmp_path: Path, name: str, payload: Any, said: str
) -> None:
    """Forced pushes, new branches, manual and timed starts: a usage error with its reason,
    never a guessed range.
    """
    with pytest.raises(NoRange, match=said) as caught:
        range_of(event_of(tmp_path, name, payload), still.repository)
    assert caught.value.exit_code == Exit.USAGE
    assert "name the plans" in (caught.value.hint or "")
