"""The checks a plan must pass against the live cloud before anything is scheduled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.model.inventory import Server
from runner.model.plan import Group, Limits, Selector
from runner.model.problem import Problem
from runner.model.quantity import Amount
from runner.planning.select import Index

FEW = 5
"""So many servers are named in a sentence; the rest is counted."""

SMALL_GROUP = 10
"""Up to so many servers nobody is told to begin with one."""

Path = tuple[str | int, ...]


def empty_match(group: Group, n: int) -> Iterator[Problem]:
    """A selector that matches nothing is a typing mistake, unless the group says that it may be so."""
    if group.allow_empty:
        return
    keys = ", ".join(group.servers.keys)
    yield Problem(
        "EmptyMatch",
        f"group {group.name} matches no server of the target ({keys})",
        hint="correct the selector, or write allow_empty: true if the group may be empty",
        path=("groups", n, "servers"),
    )


def unknown_words(group: Group, n: int, index: Index) -> Iterator[Problem]:
    """Ids and server groups that the cloud does not know, in `servers` and in `exclude`.

    In `exclude` they are errors too: a mistyped exclusion would reboot the very server it should protect.
    """
    for part, selector in (("servers", group.servers), ("exclude", group.exclude)):
        if selector is None:
            continue
        path: Path = ("groups", n, part)
        yield from _unknown_ids(selector, path, index)
        for k, word in enumerate(selector.server_groups or ()):
            if word not in index.group_ids:
                yield Problem(
                    "UnknownServerGroup",
                    f"the cloud has no server group with the id or name {word}",
                    hint="correct it; if it exists, the credentials may not be allowed to list server groups",
                    path=(*path, "server_groups", k),
                )


def _unknown_ids(selector: Selector, path: Path, index: Index) -> Iterator[Problem]:
    """One problem a selector. Ids that came from a file are counted only: messages quote no file a plan names."""
    by_id = index.inventory.by_id
    unknown = [(k, i) for k, i in enumerate(selector.ids or ()) if i not in by_id]
    if not unknown:
        return
    count = f"{len(unknown)} of the {len(selector.ids or ())} ids" if len(unknown) > 1 else "the id"
    if selector.ids_from is not None:
        message = f"the cloud does not know {count} of ids_from and ids; the first is number {unknown[0][0] + 1}"
        where: Path = (*path, "ids_from")
    else:
        message = f"the cloud does not know {count} {_few([i for _, i in unknown])}"
        where = (*path, "ids", unknown[0][0])
    yield Problem(
        "UnknownServer", message, hint="remove what is gone, or check that this is the right target", path=where
    )


def overlaps(groups: Iterable[tuple[str, Iterable[Server]]]) -> Iterator[Problem]:
    """A server in two groups would be planned twice: one problem for each pair of groups."""
    home: dict[str, int] = {}
    names: list[str] = []
    both: dict[tuple[int, int], list[Server]] = {}
    for n, (name, servers) in enumerate(groups):
        names.append(name)
        for server in servers:
            first = home.setdefault(server.id, n)
            if first != n:
                both.setdefault((first, n), []).append(server)
    for (first, second), shared in sorted(both.items(), key=lambda item: item[0]):
        servers_are = "server is" if len(shared) == 1 else "servers are"
        shown = _few([f"{s.name} ({s.id})" for s in sorted(shared, key=lambda s: (s.name, s.id))])
        yield Problem(
            "ServerInTwoGroups",
            f"{len(shared)} {servers_are} in group {names[first]} and in group {names[second]}: {shown}",
            hint=f"narrow one selector, or exclude in {names[second]} what {names[first]} selects",
            path=("groups", second, "servers"),
        )


def over_limits(limits: Limits, scheduled: int, visible: int) -> Iterator[Problem]:
    """A plan larger than its belts is refused: too many servers, or too large a share of what the target shows."""
    if scheduled > limits.servers:
        yield Problem(
            "LimitExceeded",
            f"{scheduled} servers would be rebooted, limits.servers allows {limits.servers}",
            hint=f"narrow the groups, or write limits: {{servers: {scheduled}}} if so many are meant",
            path=("limits", "servers"),
        )
    allowed = Amount(percent=limits.percent).as_budget(visible)
    if scheduled > allowed:
        yield Problem(
            "LimitExceeded",
            f"{scheduled} of {visible} visible servers would be rebooted, "
            f"limits.percent allows {limits.percent:g}% = {allowed}",
            hint="narrow the groups, or raise limits.percent if so large a share is meant",
            path=("limits", "percent"),
        )


def first_wave(group: Group, n: int, eligible: int) -> Iterator[Problem]:
    """Warn when more than ten servers begin with a wave of several: one would tell as much and risk less."""
    size = group.waves[0].as_size(eligible) if eligible else 1
    if eligible > SMALL_GROUP and size > 1:
        yield Problem(
            "FirstWaveNotCanary",
            f"group {group.name} begins with {size} of its {eligible} servers at once",
            hint="let it begin with one: waves: [1, ...]",
            severity="warning",
            path=("groups", n, "waves"),
        )


def _few(words: Sequence[str]) -> str:
    shown = ", ".join(words[:FEW])
    return shown if len(words) <= FEW else f"{shown} and {len(words) - FEW} more"
