"""Words of exclusions and of a policy that match nothing: a typing mistake there reboots
what was to be kept. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from runner.model.hidden import described
from runner.model.inventory import Inventory
from runner.model.plan import Plan, Selector
from runner.model.problem import Problem
from runner.planning.fleet import Fleet
from runner.planning.select import Index, excludes_any

EXCLUDES_NOTHING = "ExcludesNothing"
FORBIDS_NOTHING = "ForbidsNothing"

MOST_TOLD = 50
"""So many dead words of one plan are told one by one; the rest is counted."""

_NOT_NEAR = "correct it, or remove it if what it excluded is gone"
_DASHES = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-")
)
_MOST_COMPARED = 2_000

Word = tuple[str, tuple[str | int, ...], Selector]
"""A word of a selector as it is written (`tags canary=true`), its path below the selector,
and itself as a selector.
"""


def dead_exclusions(plan: Plan, fleet: Fleet) -> list[Problem]:
    """Return a warning for each word of an `exclude` that matches no server of its group's target.

    Ids and server groups that the cloud does not know are errors of their own
    (`belts.unknown_words`). What several groups write is told once for each target.
    """
    found: list[Problem] = []
    told: set[tuple[str, str]] = set()
    for n, group in enumerate(plan.groups):
        place = fleet.place(group)
        for written, path, word in _words(group.exclude, place.index):
            if (place.target.name, written) in told:
                continue
            told.add((place.target.name, written))
            if not excludes_any(word, place.index):
                found.append(_problem(written, ("groups", n, "exclude", *path), word, place.index))
    if len(found) <= MOST_TOLD:
        return found
    rest = len(found) - MOST_TOLD
    said = f"{rest} more words of exclude match no server of the target, so they exclude nothing"
    return [
        *found[:MOST_TOLD],
        Problem(EXCLUDES_NOTHING, said, severity="warning", path=found[MOST_TOLD].path),
    ]


def dead_of_policy(forbidden: Selector, inventory: Inventory, *, is_all: bool) -> list[Problem]:
    """Return a warning for each word of a policy's `forbidden` that matches no server of the
    inventory.

    `is_all`: the inventory is that of all targets. If it is not, a word may be meant for
    another target, whose zones and flavors have similar names: then only a tag that is
    nearly one of these servers' tags is reported.
    """
    index = Index(inventory)
    found: list[Problem] = []
    for written, _, word in _words(forbidden, index, unknown_groups=is_all):
        hint = _hint(word, index)
        is_misspelt = bool(word.tags) and not hint.endswith(_NOT_NEAR)
        if not excludes_any(word, index) and (is_all or is_misspelt):
            said = (
                f"policy forbidden.{written} matches no server of the plan's targets, so it "
                f"forbids nothing"
            )
            found.append(Problem(FORBIDS_NOTHING, said, hint=hint, severity="warning"))
    ids = forbidden.ids or ()
    gone = sum(server_id not in inventory.by_id for server_id in ids)
    if gone and is_all:  # never quoted: they may come from a file
        said = (
            f"policy forbidden.ids: {gone} of {len(ids)} ids belong to no server of the plan's "
            f"targets"
        )
        found.append(Problem(FORBIDS_NOTHING, said, hint=_NOT_NEAR, severity="warning"))
    return found[:MOST_TOLD]


def _words(
    selector: Selector | None, index: Index, *, unknown_groups: bool = False
) -> Iterator[Word]:
    """Yield every word that can be dead, `unknown_groups`: with server groups that the
    cloud does not have.
    """
    if selector is None:
        return
    for key in ("names", "zones", "flavors", "server_groups", "enterprise_projects"):
        for k, word in enumerate(getattr(selector, key) or ()):
            if key != "server_groups" or unknown_groups or word in index.group_ids:
                yield f"{key} {word}", (key, k), Selector.model_validate({key: (word,)})
    for tag, values in (selector.tags or {}).items():
        for k, value in enumerate(values):
            yield (
                f"tags {tag}={value}",
                ("tags", tag, k),
                Selector.model_validate({"tags": {tag: (value,)}}),
            )


def _problem(written: str, path: tuple[str | int, ...], word: Selector, index: Index) -> Problem:
    said = f"exclude.{written} matches no server of the target, so it excludes nothing"
    return Problem(EXCLUDES_NOTHING, said, hint=_hint(word, index), severity="warning", path=path)


def _hint(word: Selector, index: Index) -> str:
    """What was probably meant: a look-alike dash, or the nearest word that servers have."""
    written = next(iter(word.tags.items()))[1][0] if word.tags else getattr(word, word.keys[0])[0]
    for text in (*(word.tags or {}), written):
        odd = next((char for char in text if not char.isascii()), None)
        if odd is not None and text.translate(_DASHES) != text:
            return (
                f'write "{text.translate(_DASHES)}": {described(odd)} is not the hyphen of the '
                f"keyboard"
            )
    near = _near_tag(word, index) if word.tags else _near_word(word, written, index)
    if near:
        return f"did you mean {near}?"
    odd = next(
        (char for text in (*(word.tags or {}), written) for char in text if not char.isascii()),
        None,
    )
    holds = f"it holds {described(odd)}; " if odd else ""
    return f"{holds}{_NOT_NEAR}"


def _near_tag(word: Selector, index: Index) -> str | None:
    tag, (value,) = next(iter((word.tags or {}).items()))
    values = {v for key, v in index.tags if key == tag}
    if not values:
        return _nearest(tag, {key for key, _ in index.tags})
    near = _nearest(value, values)
    return None if near is None else f"{tag}={near}"


def _near_word(word: Selector, written: str, index: Index) -> str | None:
    key = word.keys[0]
    if key in ("names", "server_groups"):
        return None
    return _nearest(written, set(getattr(index, key)))


def _nearest(word: str, known: Collection[str]) -> str | None:
    by_lower = {name.lower(): name for name in sorted(known)[:_MOST_COMPARED]}
    near = difflib.get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None
