"""The checks a plan must pass against the live cloud before anything is scheduled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.model.inventory import Server
from runner.model.plan import Group, Limits, Plan, Selector
from runner.model.problem import Problem
from runner.model.quantity import Amount
from runner.model.schedule import Allowance
from runner.planning.fleet import Fleet, Share
from runner.planning.select import Index
from runner.planning.spread import SERVER_GROUP, domains_of

FEW = 5
"""So many servers are named in a sentence; the rest is counted."""

Path = tuple[str | int, ...]


def empty_match(group: Group, n: int) -> Iterator[Problem]:
    """A selector that matches nothing is a typing mistake, unless the group says that
    it may be so.
    """
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

    In `exclude` they are errors too: a mistyped exclusion would reboot the very server it
    should protect.
    """
    for part, selector in (("servers", group.servers), ("exclude", group.exclude)):
        if selector is None:
            continue
        path: Path = ("groups", n, part)
        yield from _unknown_ids(selector, path, index)
        for k, word in enumerate(selector.server_groups or ()):
            if word not in index.group_ids and index.inventory.groups_unread is None:
                yield Problem(
                    "UnknownServerGroup",
                    f"the cloud has no server group with the id or name {word}",
                    hint=(
                        "correct it; if it exists, the credentials may not be allowed to list "
                        "server groups"
                    ),
                    path=(*path, "server_groups", k),
                )


def unread_groups(plan: Plan, fleet: Fleet) -> Iterator[Problem]:
    """Tell of targets whose server groups could not be read: an error where the plan names
    server groups.

    Else only the default is lost, that no server group goes down as a whole: a warning,
    once for each target. `server_group: 100%` gives that up, and then nothing is told.
    """
    told: set[str] = set()
    for n, group in enumerate(plan.groups):
        place = fleet.place(group)
        unread = place.inventory.groups_unread
        if unread is None:
            continue
        name = place.target.name
        said = f"the server groups of target {name} could not be read: {unread.message}"
        paths = _that_name_server_groups(plan, group, n)
        for path in paths:
            yield Problem("ServerGroupsUnread", said, hint=unread.hint or None, path=path)
        if not paths and name not in told and SERVER_GROUP not in plan.spread_of(group):
            told.add(name)
            lost = "servers of one anti-affinity group may all go down in one wave"
            accept = "or accept it with `spread: {server_group: 100%}`"
            hint = f"{unread.hint}; {accept}" if unread.hint else accept.removeprefix("or ")
            yield Problem(
                "ServerGroupsUnread",
                f"{said}; {lost}",
                hint=hint,
                severity="warning",
                path=("groups", n),
            )


def _that_name_server_groups(plan: Plan, group: Group, n: int) -> list[Path]:
    """Return where a group says something about server groups that cannot be judged without
    knowing them.
    """
    here: Path = ("groups", n)
    selectors = (("servers", group.servers), ("exclude", group.exclude))
    paths = [
        (*here, part, "server_groups")
        for part, selector in selectors
        if selector and selector.server_groups
    ]
    most = plan.spread_of(group).get(SERVER_GROUP)
    if most is not None and most.percent != 100:
        is_own = SERVER_GROUP in (group.spread or {})
        paths.append((*here, "spread", SERVER_GROUP) if is_own else ("spread", SERVER_GROUP))
    return paths


def unknown_tags(plan: Plan, fleet: Fleet) -> Iterator[Problem]:
    """Warn of servers whose tags cannot be read, where a group selects by tags: it does not
    see them.
    """
    told: set[str] = set()
    for n, group in enumerate(plan.groups):
        place = fleet.place(group)
        if group.servers.tags is None or place.target.name in told:
            continue
        told.add(place.target.name)
        unread = [f"{s.name} ({s.id})" for s in place.inventory.servers if s.tags_unknown]
        if unread:
            yield Problem(
                "TagsUnknown",
                f"the tags of {len(unread)} servers of the target cannot be read: {few(unread)}",
                hint="groups that select by tags do not see them, and none of them is rebooted",
                severity="warning",
                path=("groups", n, "servers", "tags"),
            )


def _unknown_ids(selector: Selector, path: Path, index: Index) -> Iterator[Problem]:
    """One problem a selector. Ids are never quoted: they may come from a file, and no message
    quotes a file's content.

    Where they stand in the plan itself, the problem's place shows them.
    """
    by_id = index.inventory.by_id
    ids = selector.ids or ()
    unknown = [k for k, server_id in enumerate(ids) if server_id not in by_id]
    if unknown:
        entries = few([str(k + 1) for k in unknown])
        yield Problem(
            "UnknownServer",
            f"the cloud does not know {len(unknown)} of the {len(ids)} ids: "
            f"{'entry' if len(unknown) == 1 else 'entries'} {entries}",
            hint="remove what is gone, or check that this is the right target",
            path=(*path, "ids", unknown[0]),
        )


def busy_now(group: Group, n: int, eligible: Sequence[Server]) -> Iterator[Problem]:
    """A warning for servers of the schedule that are busy at this moment: their wave waits
    for them.
    """
    busy = [s for s in eligible if s.is_busy]
    if busy:
        words = few([f"{s.name} ({s.id}), {s.words}" for s in busy])
        verb = "is" if len(busy) == 1 else "are"
        number = f"{len(busy)} of {len(eligible)} servers"
        yield Problem(
            "BusyNow",
            f"{number} of group {group.name} {verb} busy now, waited for when the wave begins: "
            f"{words}",
            hint=(
                "nothing to do: a server that stays busy for 2 minutes then is skipped and "
                "named at the end"
            ),
            path=("groups", n),
            severity="warning",
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
        shown = few([f"{s.name} ({s.id})" for s in sorted(shared, key=lambda s: (s.name, s.id))])
        yield Problem(
            "ServerInTwoGroups",
            f"{len(shared)} {servers_are} in group {names[first]} and in group {names[second]}: "
            f"{shown}",
            hint=f"narrow one selector, or exclude in {names[second]} what {names[first]} selects",
            path=("groups", second, "servers"),
        )


def over_limits(limits: Limits, shares: Sequence[Share]) -> Iterator[Problem]:
    """A plan larger than its belts is refused: too many servers, or too large a share of
    what a target shows.
    """
    scheduled = sum(share.scheduled for share in shares)
    if scheduled > limits.servers:
        yield Problem(
            "LimitExceeded",
            f"{scheduled} servers would be rebooted, limits.servers allows {limits.servers}",
            hint=(
                f"narrow the groups, or write limits: {{servers: {scheduled}}} if so many are meant"
            ),
            path=("limits", "servers"),
        )
    for share in shares:
        allowed = Amount(percent=limits.percent).as_budget(share.visible)
        if share.scheduled > allowed:
            yield Problem(
                "LimitExceeded",
                f"{share} would be rebooted, limits.percent allows {limits.percent:g}% = {allowed}",
                hint="narrow the groups, or raise limits.percent if so large a share is meant",
                path=("limits", "percent"),
            )


def over_unavailable(
    group: Group, n: int, sizes: Sequence[int], most: Allowance
) -> Iterator[Problem]:
    """A wave larger than `max_unavailable` could never start. `sizes`: of the group's
    waves; one problem, the first.
    """
    for k, size in enumerate(sizes):
        if size > most.allowed:
            share = (
                f"{most.written} of {most.of} = {most.allowed}"
                if most.written.endswith("%")
                else most.written
            )
            yield Problem(
                "WaveOverMaxUnavailable",
                f"wave {k + 1} of group {group.name} takes {size} servers down, max_unavailable "
                f"allows {share}",
                hint="write smaller waves, or allow more to be down",
                path=("groups", n, "waves", min(k, len(group.waves) - 1)),
            )
            return


def spread_over_nothing(
    plan: Plan, n: int, selected: Sequence[Server], index: Index
) -> Iterator[Problem]:
    """A rule of spread that no server of the group falls under holds nothing back.

    A tag is then mistyped: an error. For the rest it is a warning. What the whole plan says
    may be meant for other groups: it is told only if it is meant for none.
    """
    group = plan.groups[n]
    for key in group.spread or ():
        of = domains_of(key, index)
        if selected and not any(of(server) for server in selected):
            yield _holds_nothing(
                key, f"no server of group {group.name}", ("groups", n, "spread", key)
            )


def plan_spread_over_nothing(
    plan: Plan, selected: Sequence[tuple[Sequence[Server], Index]]
) -> Iterator[Problem]:
    """The same for what the plan says of all its groups: of each its servers, and the index
    of their target.
    """
    for key in plan.spread or ():
        tests = [(domains_of(key, index), servers) for servers, index in selected]
        if any(servers for _, servers in tests) and not any(
            of(s) for of, servers in tests for s in servers
        ):
            yield _holds_nothing(key, "no server of the plan", ("spread", key))


def _holds_nothing(key: str, who: str, path: Path) -> Problem:
    is_tag = key.startswith("tag:")
    what = f"the tag {key.removeprefix('tag:')}" if is_tag else f"a {key.replace('_', ' ')}"
    return Problem(
        "SpreadOverNothing",
        f"{who} has {what}, so the rule holds nothing back",
        hint="correct the tag's name, or leave the rule out"
        if is_tag
        else "leave the rule out, or check that the credentials may read it",
        severity="error" if is_tag else "warning",
        path=path,
    )


def few(words: Sequence[str]) -> str:
    """The first five words, and how many more there are."""
    shown = ", ".join(words[:FEW])
    return shown if len(words) <= FEW else f"{shown} and {len(words) - FEW} more"
