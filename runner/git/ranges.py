"""From one revision to another: `BASE..HEAD` as people write it."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import UsageProblem
from runner.git.repository import Repository, is_sha


@dataclass(frozen=True, slots=True)
class Range:
    """What happened after commit `base` up to commit `head`: full ids, both in the clone."""

    base: str
    head: str


def parse_range(written: str, repository: Repository) -> Range:
    """`A..B`, or `A...B` from where B left A; an empty side is the commit that is checked out.

    A full commit id that the clone lacks is fetched. Raises UsageProblem for anything else,
    UnknownRevision for revisions that do not exist, MissingHistory where they cannot be
    had.
    """
    base, dots, head = written.partition("...")
    if not dots:
        base, dots, head = written.partition("..")
    if (
        not dots
        or not (base or head)
        or ".." in head
        or base.endswith("/")
        or head.startswith(("/", "."))
    ):
        raise UsageProblem(
            f'"{written[:200]}" is no range of commits',
            hint=(
                "write --changed BASE..HEAD; plans go before --changed, or write --changed= for "
                "the event's range"
            ),
        )
    first, second = _known(base or "HEAD", repository), _known(head or "HEAD", repository)
    return Range(repository.merge_base(first, second) if dots == "..." else first, second)


def _known(revision: str, repository: Repository) -> str:
    return repository.ensure(revision) if is_sha(revision) else repository.resolve(revision)
