"""What a dry-run says of earlier: of the plan in another revision, and of the plan's last run.

Words are not escaped here: they hold names of plans and servers, and each channel makes
them harmless itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from runner.model.schedule import ServerRef
from runner.model.shape import Shaped
from runner.planning.compare import Changes, ServerPlace
from runner.planning.lifted import Lift
from runner.report.folding import fold, names_shared
from runner.report.run_words import count
from runner.report.sections import Line

SHORT = 12
"""Digits of a commit that people are shown."""


@dataclass(frozen=True, slots=True)
class SinceBase(Shaped):
    """A plan against itself in another revision.

    `revision` is as the caller wrote it, `commit` what it means; `file` is where the plan
    was there, None for a new plan. `notes` say what could not be compared, and why.
    `changes` is None where servers were not compared.
    """

    revision: str
    commit: str
    file: str | None
    renamed: bool = False
    notes: tuple[str, ...] = ()
    lifts: tuple[Lift, ...] = ()
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class SinceRun(Shaped):
    """A plan against its last run. `outcome` is that run in a line, `state` in a word.

    `added`: servers that go down now and were not part of that run. `removed`: servers that
    were, and that the plan does not select any more, or the cloud does not have.
    """

    run: str
    created: datetime
    state: str
    outcome: str
    added: tuple[ServerRef, ...] = ()
    removed: tuple[ServerRef, ...] = ()


def base_words(since: SinceBase) -> str:
    """The comparison with the revision in a sentence."""
    where = revision_words(since)
    if since.file is None:
        return f"new plan: {where} has none of this file or name"
    was = f" (there {since.file})" if since.renamed else ""
    changes = since.changes
    if changes is None:
        return f"against {where}{was}: servers not compared"
    if changes.is_empty:
        return f"against {where}{was}: the same servers in the same waves"
    counts = [
        (len(changes.added), "added"),
        (len(changes.removed), "removed"),
        (len(changes.moved), "moved"),
    ]
    servers = (
        ", ".join(f"{number} {how}" for number, how in counts if number)
        or "no server added or removed"
    )
    before, after = changes.before, changes.after
    totals = [
        f"{what} {old} → {new}"
        for what, old, new in (
            ("servers", before.servers, after.servers),
            ("waves", before.waves, after.waves),
            ("largest wave", before.largest, after.largest),
        )
        if old != new
    ]
    return f"against {where}{was}: " + "; ".join([servers, *totals])


def revision_words(since: SinceBase) -> str:
    """`main (1a2b3c4d5e6f)`, or the commit alone where that is what the caller wrote."""
    short = since.commit[:SHORT]
    return short if since.commit.startswith(since.revision) else f"{since.revision} ({short})"


def lifts_words(since: SinceBase) -> str:
    """How many belts are lifted; empty for none."""
    number = len(since.lifts)
    return f"{count(number, 'belt')} lifted against {revision_words(since)}" if number else ""


def lift_words(lift: Lift) -> str:
    return f"{lift.what}: {lift.before} → {lift.after}"


def base_lines(since: SinceBase, shared: Collection[str] = ()) -> Iterator[Line]:
    """What changed: servers that come and go, moves, waves, rules. `shared`: names that
    stand for several servers.
    """
    changes = since.changes
    if changes is None:
        return
    servers: dict[str, list[ServerRef]] = {"added": [*changes.added], "removed": [*changes.removed]}
    for move in changes.moved:
        way = f"moved from {_place(move.before)} to {_place(move.after)}"
        servers.setdefault(way, []).append(move.server)
    several = {*shared, *names_shared(server for some in servers.values() for server in some)}
    for what, some in servers.items():
        if some:
            yield Line(f"{what}, {count(len(some), 'server')}", fold(some, several))
    if changes.shifted:
        yield Line(
            f"{count(changes.shifted, 'server')} in an earlier or later wave of the same group"
        )
    for group in changes.waves:
        yield Line(
            f"waves of group {group.group}: {sizes_words(group.before)} → "
            f"{sizes_words(group.after)}"
        )
    yield from (Line(f"{s.what}: {s.before} → {s.after}") for s in changes.settings)


def run_words(since: SinceRun) -> str:
    """The last run in a sentence."""
    parts = [(len(since.added), "new since"), (len(since.removed), "gone since")]
    servers = (
        ", ".join(f"{count(number, 'server')} {how}" for number, how in parts if number)
        or "no server new or gone since"
    )
    return f"last run {since.run}: {since.outcome}; {servers}"


def run_lines(since: SinceRun, shared: Collection[str] = ()) -> Iterator[Line]:
    """The servers that are new since the last run, and those that are gone."""
    several = {*shared, *names_shared((*since.added, *since.removed))}
    for how, some in (("new", since.added), ("gone", since.removed)):
        if some:
            yield Line(
                f"{how} since run {since.run}, {count(len(some), 'server')}", fold(some, several)
            )


def sizes_words(sizes: Iterable[int]) -> str:
    """Sizes of waves, equal neighbours once: `1, 10 ×3, 4`."""
    runs = ((size, sum(1 for _ in some)) for size, some in groupby(sizes))
    return (
        ", ".join(f"{size} ×{number}" if number > 1 else str(size) for size, number in runs)
        or "none"
    )


def _place(place: ServerPlace) -> str:
    return f"the canary of {place.group}" if place.is_canary else f"group {place.group}"
