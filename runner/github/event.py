"""The event that made GitHub Actions start us, and the commits it is about.

The event file holds text of whoever opened the pull request: it is read bounded, every
field is checked for its kind, and what is not of that kind counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import UsageProblem
from runner.git.errors import NoRange
from runner.git.ranges import Range
from runner.git.repository import Repository, is_sha
from runner.inputs.fields import as_map, as_number, as_text
from runner.inputs.files import describe, read_regular
from runner.inputs.json_text import EVENT, parse_json, why_no_json
from runner.net.text import tidy

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_NOTHING = re.compile("0+")


class UnreadableEvent(UsageProblem):
    """The event file cannot be read."""


@dataclass(frozen=True, slots=True)
class GitHubEvent:
    """What happened. `sha` is what GitHub checks out: of a pull request, its test merge into
    the base branch.

    `head_sha` and `base_sha` are those of a pull request or of a merge queue's group;
    `before` and `after` those of a push. `is_fork`: a pull request from another repository,
    or from one that no longer exists or is not said.
    """

    name: str
    repository: str
    sha: str
    ref: str
    default_branch: str
    run_id: str
    server_url: str
    pull_number: int | None = None
    head_sha: str | None = None
    base_sha: str | None = None
    is_fork: bool = False
    before: str | None = None
    after: str | None = None
    forced: bool = False


def read_event(environ: Mapping[str, str]) -> GitHubEvent | None:
    """The event of this job; None outside GitHub Actions. Raises UnreadableEvent when its
    file cannot be used.
    """
    name = environ.get("GITHUB_EVENT_NAME", "")
    if environ.get("GITHUB_ACTIONS") != "true" or not name:
        return None
    payload = _payload(environ.get("GITHUB_EVENT_PATH", ""))
    repository = environ.get("GITHUB_REPOSITORY", "")
    pull, group = as_map(payload.get("pull_request")), as_map(payload.get("merge_group"))
    head, base = as_map(pull.get("head")), as_map(pull.get("base"))
    head_repository = tidy(as_text(as_map(head.get("repo")).get("full_name")))
    is_pull, is_push = name.startswith("pull_request"), name == "push"
    return GitHubEvent(
        name=tidy(name, 100),
        repository=repository if _REPOSITORY.fullmatch(repository) else "",
        sha=_sha(environ.get("GITHUB_SHA")) or "",
        ref=environ.get("GITHUB_REF", ""),
        default_branch=tidy(as_text(as_map(payload.get("repository")).get("default_branch"))),
        run_id=environ.get("GITHUB_RUN_ID", ""),
        server_url=environ.get("GITHUB_SERVER_URL", ""),
        pull_number=as_number(pull.get("number")) if is_pull else None,
        head_sha=_sha(head.get("sha")) or _sha(group.get("head_sha")),
        base_sha=_sha(base.get("sha")) or _sha(group.get("base_sha")),
        is_fork=is_pull and (not head_repository or head_repository.lower() != repository.lower()),
        before=_sha(payload.get("before")) if is_push else None,
        after=_sha(payload.get("after")) if is_push else None,
        forced=is_push and payload.get("forced", False) is not False,
    )


def is_first_push(event: GitHubEvent) -> bool:
    """Return True for the push that made its branch: no pull request can have been merged
    into it before.
    """
    return (
        event.name == "push"
        and event.before is not None
        and _NOTHING.fullmatch(event.before) is not None
    )


def range_of(event: GitHubEvent, repository: Repository) -> Range:
    """The commits an event is about; what the clone lacks is fetched.

    Raises NoRange, with its reason, where there is nothing to compare with: then plans must
    be named. Raises MissingHistory when a commit cannot be had.
    """
    if event.name == "pull_request":
        return _of_pull_request(event, repository)
    if event.name == "merge_group":
        return _between(event.base_sha, event.head_sha, repository, event)
    if event.name != "push":
        raise NoRange(f"a {event.name} event does not say which commits are new")
    if event.after is not None and _NOTHING.fullmatch(event.after):
        raise NoRange("the push deleted the branch or tag")
    if event.before is not None and _NOTHING.fullmatch(event.before):
        raise NoRange("the branch or tag is new, so there is nothing to compare with")
    if event.forced:
        raise NoRange(
            "the push was forced, so what was there before says nothing about what is new"
        )
    return _between(event.before, event.after, repository, event)


def _of_pull_request(event: GitHubEvent, repository: Repository) -> Range:
    """The effect of merging: from the base branch to GitHub's test merge; else from where the
    branch began.

    A branch may end in a merge commit of its own, so only a merge of this pull request's
    head counts.
    """
    head = repository.resolve("HEAD")
    parents = repository.parents(head)
    merged = parents[1] if len(parents) == 2 else None
    if merged is not None and (
        merged == event.head_sha or (event.head_sha is None and head == event.sha)
    ):
        return Range(repository.ensure(parents[0]), head)
    if event.base_sha is None:
        raise NoRange("the event of the pull request does not name its base commit")
    return Range(repository.merge_base(repository.ensure(event.base_sha), head), head)


def _between(
    base: str | None, head: str | None, repository: Repository, event: GitHubEvent
) -> Range:
    if base is None or head is None:
        raise NoRange(f"the {event.name} event does not name its commits")
    return Range(repository.ensure(base), repository.ensure(head))


def _payload(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        payload = parse_json(read_regular(Path(path), EVENT.size), EVENT)
    except OSError as error:
        raise UnreadableEvent(f"the file of GITHUB_EVENT_PATH {describe(error)}") from None
    except ValueError as error:
        raise UnreadableEvent(f"the file of GITHUB_EVENT_PATH is {why_no_json(error)}") from None
    if not isinstance(payload, dict):
        raise UnreadableEvent("the file of GITHUB_EVENT_PATH is not a JSON object")
    return payload


def _sha(value: object) -> str | None:
    return value if isinstance(value, str) and is_sha(value) else None
