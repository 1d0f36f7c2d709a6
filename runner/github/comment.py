"""One comment for each plan in a pull request, kept up to date in its place.

The first two lines of a comment are ours alone, for machines: whose it is, and what was reviewed.
They are read only in comments that the token's own user has written, so nothing that a plan says
can pass for them. People with write access can edit a comment: what it says of a digest is good for
showing what has changed, never for allowing a run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from runner.github.api import GitHub, GitHubError, repo_path
from runner.inputs.fields import as_map, as_text

MOST = 65_536
"""Characters that GitHub takes; counted here as UTF-16 does, which is never less."""
NEEDS = "pull-requests: write"

_SHA = r"(?:[0-9a-f]{40}|[0-9a-f]{64})"
_MARK = re.compile(r"<!-- reboot-runner:comment:v1 key=([0-9a-f]{64}) -->")
_FACTS = re.compile(
    r"<!-- reboot-runner:digest (?:none|(sha256:[0-9a-f]{64}) plan-digest (sha256:[0-9a-f]{64}) head ("  # noqa: E501
    + _SHA
    + r"))"
    r" label ([0-9a-f]{64}) -->"
)
_SUPERSEDED = (
    "<!-- reboot-runner:superseded:v1 -->\n_There is an older comment for this plan, "
    "which is kept up to date._"
)
_RETIRED = "_This plan is no longer part of the pull request._"


@dataclass(frozen=True, slots=True)
class CommentKey:
    """Which comment: one for each plan's path and each label, so that several workflows do
    not share theirs.
    """

    label: str
    plan: str

    @property
    def hex(self) -> str:
        return _hash(f"{self.label}\n{self.plan}")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What the reader of a comment has seen: `sha256:…` of schedule and plan, and the
    commit they are of.
    """

    schedule_digest: str
    plan_digest: str
    head: str


@dataclass(frozen=True, slots=True)
class _Own:
    """A comment of ours, with our lines read."""

    id: int
    key: str
    label: str
    reviewed: Reviewed | None
    body: str


async def upsert(
    api: GitHub, repo: str, pull: int, key: CommentKey, body: str, reviewed: Reviewed | None = None
) -> int:
    """Write the plan's comment, in the place it has or as a new one; its id.

    `body` is Markdown with everything from outside escaped. Of several comments of ours for
    the key the oldest is updated, the others shrink to a line. Others' comments are never
    touched, even with our lines in them. Raises GitHubError, also for a body that is too
    long: nothing is cut here.
    """
    text = composed(key, body, reviewed)
    own = await _own_comments(api, repo, pull, key)
    for extra in own[1:]:
        await _update(api, repo, extra, _SUPERSEDED)
    if own:
        await _update(api, repo, own[0], text)
        return own[0].id
    made = await api.write(
        "POST", repo_path(repo, "issues", pull, "comments"), {"body": text}, needs=NEEDS
    )
    made_id = as_map(made).get("id")
    if not isinstance(made_id, int):
        raise GitHubError("GitHub does not say which comment it has made")
    return made_id


async def exists(api: GitHub, repo: str, pull: int, key: CommentKey) -> bool:
    """Whether the plan has a comment of ours. Raises GitHubError."""
    return bool(await _own_comments(api, repo, pull, key))


async def retire(
    api: GitHub, repo: str, pull: int, label: str, keep: Collection[CommentKey]
) -> None:
    """Comments of ours for plans that are not in `keep` shrink to a line; those with another
    label stay as they are.

    When such a plan comes back, its comment is used again. Raises GitHubError.
    """
    kept = {key.hex for key in keep}
    for comment in await _own_comments(api, repo, pull):
        if comment.key not in kept and comment.label == _hash(label):
            await _update(
                api, repo, comment, _with_lines(comment.key, comment.label, _RETIRED, None)
            )


async def read_digest(api: GitHub, repo: str, pull: int, key: CommentKey) -> Reviewed | None:
    """What our own comment says was reviewed; None without one, or where its plan has
    no schedule.
    """
    own = await _own_comments(api, repo, pull, key)
    return own[0].reviewed if own else None


def composed(key: CommentKey, body: str, reviewed: Reviewed | None = None) -> str:
    """The comment's whole text. Raises GitHubError where it is too long, ValueError for
    facts of another shape.
    """
    text = _with_lines(key.hex, _hash(key.label), body, reviewed)
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    length = len(text.encode("utf-16-le")) // 2
    if length > MOST:
        raise GitHubError(
            f"the comment has {length:,} characters, and GitHub takes {MOST:,}",
            hint="ask for a shorter rendering",
        )
    return text


def _with_lines(key: str, label: str, body: str, reviewed: Reviewed | None) -> str:
    """Both lines are always there, so that the body never stands where they are read."""
    said = "none"
    if reviewed is not None:
        said = f"{reviewed.schedule_digest} plan-digest {reviewed.plan_digest} head {reviewed.head}"
    facts = f"<!-- reboot-runner:digest {said} label {label} -->"
    if not _FACTS.fullmatch(facts):
        raise ValueError("a digest is sha256: and 64 hex digits, a head is a commit's full hash")
    return f"<!-- reboot-runner:comment:v1 key={key} -->\n{facts}\n\n{body}"


async def _own_comments(
    api: GitHub, repo: str, pull: int, key: CommentKey | None = None
) -> list[_Own]:
    login = await api.login()
    found = await api.pages(repo_path(repo, "issues", pull, "comments"), needs=NEEDS)
    own = filter(None, (_read(comment, login) for comment in found))
    return sorted((c for c in own if key is None or c.key == key.hex), key=lambda c: c.id)


def _read(comment: dict[str, Any], login: str) -> _Own | None:
    """The comment where the login has written it and its first line is our mark."""
    number, body = comment.get("id"), as_text(comment.get("body"))
    first, _, rest = body.partition("\n")
    mark, facts = (
        _MARK.fullmatch(first.rstrip("\r")),
        _FACTS.fullmatch(rest.partition("\n")[0].rstrip("\r")),
    )
    if (
        not isinstance(number, int)
        or as_map(comment.get("user")).get("login") != login
        or mark is None
    ):
        return None
    reviewed = Reviewed(facts[1], facts[2], facts[3]) if facts is not None and facts[1] else None
    return _Own(number, mark[1], facts[4] if facts is not None else "", reviewed, body)


async def _update(api: GitHub, repo: str, comment: _Own, text: str) -> None:
    if comment.body.replace("\r\n", "\n").rstrip() != text.rstrip():
        await api.write(
            "PATCH", repo_path(repo, "issues", "comments", comment.id), {"body": text}, needs=NEEDS
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
