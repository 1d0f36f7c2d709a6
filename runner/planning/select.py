"""Which servers a selector means.

In `servers` all keys must match, in `exclude` any one key or any one tag. Names are shell
globs, told apart by case; everything else is compared exactly. `exclude` also matches a
server whose name or tags only look like the ones written: a hidden character in the cloud
must not undo an exclusion. A selector is compiled once; `Index` keeps it from looking at
every server of a large project for every group.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import translate
from functools import cached_property
from itertools import chain
from operator import attrgetter

from runner.model.hidden import as_seen
from runner.model.inventory import Inventory, Server
from runner.model.plan import Selector

Test = Callable[[Server], str | None]
"""Answers what matched, for people (`canary=true`), or None."""

_GLOB = re.compile(r"[*?\[]")
_by_name = attrgetter("name")


class Index:
    """An inventory, ordered by what selectors ask for. Each order is made when first needed."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.servers: Sequence[Server] = inventory.servers

    @cached_property
    def names(self) -> list[Server]:
        return sorted(self.servers, key=_by_name)

    @cached_property
    def zones(self) -> Mapping[str, list[Server]]:
        return _grouped(self.servers, attrgetter("zone"))

    @cached_property
    def flavors(self) -> Mapping[str, list[Server]]:
        return _grouped(self.servers, attrgetter("flavor"))

    @cached_property
    def enterprise_projects(self) -> Mapping[str, list[Server]]:
        return _grouped(self.servers, attrgetter("enterprise_project"))

    @cached_property
    def tags(self) -> Mapping[tuple[str, str], list[Server]]:
        found: dict[tuple[str, str], list[Server]] = {}
        for server in self.servers:
            for tag in server.tags.items():
                found.setdefault(tag, []).append(server)
        return found

    @cached_property
    def group_ids(self) -> Mapping[str, frozenset[str]]:
        """The ids behind each id or name of a server group. A name can stand for several groups."""
        found: dict[str, set[str]] = {}
        for group in self.inventory.groups:
            found.setdefault(group.id, set()).add(group.id)
            found.setdefault(group.name, set()).add(group.id)
        for server in self.servers:
            if server.server_group:
                found.setdefault(server.server_group, set()).add(server.server_group)
        return {word: frozenset(ids) for word, ids in found.items()}

    @cached_property
    def members(self) -> Mapping[str, frozenset[str]]:
        """The server ids of each server group, by group id: what the group lists and what
        servers say.
        """
        found: dict[str, set[str]] = {}
        for group in self.inventory.groups:
            found.setdefault(group.id, set()).update(group.members)
        for server in self.servers:
            if server.server_group:
                found.setdefault(server.server_group, set()).add(server.id)
        return {group: frozenset(ids) for group, ids in found.items()}

    @cached_property
    def groups_of(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of the server groups that each server is in, by its id; usually one."""
        found: dict[str, list[str]] = {}
        for group, ids in sorted(self.members.items()):
            for server_id in ids:
                found.setdefault(server_id, []).append(group)
        return {server_id: tuple(groups) for server_id, groups in found.items()}

    @cached_property
    def as_seen(self) -> Mapping[str, Server]:
        """By id, the servers whose name or tags hold what a reader does not see, as a
        reader sees them.
        """
        found: dict[str, Server] = {}
        for server in self.servers:
            tags = server.tags
            if not (
                _is_odd(server.name) or any(map(_is_odd, tags)) or any(map(_is_odd, tags.values()))
            ):
                continue
            seen = {as_seen(key): as_seen(value) for key, value in tags.items()}
            found[server.id] = replace(server, name=as_seen(server.name), tags=seen)
        return found

    def in_server_group(self, word: str) -> frozenset[str]:
        """The ids of the servers in the group of this id, or in the groups of this name."""
        ids = self.group_ids.get(word, frozenset())
        return frozenset().union(*(self.members.get(group, frozenset()) for group in ids))

    def named(self, pattern: str) -> list[Server]:
        """The servers whose names begin like the glob `pattern`: all that can match, and
        few others.
        """
        special = _GLOB.search(pattern)
        prefix = pattern[: special.start()] if special else pattern
        if not prefix:
            return self.names
        first = bisect_left(self.names, prefix, key=_by_name)
        last = bisect_left(self.names, prefix + "\U0010ffff", lo=first, key=_by_name)
        return self.names[first:last]


def select(selector: Selector, index: Index) -> tuple[Server, ...]:
    """The servers that match every key of `selector`, each once, sorted by id."""
    if selector.all:
        return tuple(index.servers)
    tests = _tests(selector, index)
    smallest = min((_candidates(key, selector, index) for key, _ in tests), key=len)
    chosen = {s.id: s for s in smallest if all(test(s) is not None for _, test in tests)}
    return tuple(chosen[server_id] for server_id in sorted(chosen))


def matcher(selector: Selector, index: Index) -> Test:
    """A test of one server by every key of `selector`, as `select` does for all: what
    matched, for people, or None.
    """
    if selector.all:
        return lambda _: "all"
    tests = _tests(selector, index)

    def test(server: Server) -> str | None:
        found = [(key, matches(server)) for key, matches in tests]
        if any(what is None for _, what in found):
            return None
        return ", ".join(f"{key} {what}" if what else key for key, what in found)

    return test


def excluder(selector: Selector, index: Index) -> Test:
    """A test that answers with the first key of `selector` that matches a server (`names
    web-old-*`), else None.
    """
    if selector.all:
        return lambda _: "all"
    tests = _tests(selector, index, any_tag=True)
    seen_selector = _as_seen(selector)
    is_same = seen_selector is selector
    seen_tests = tests if is_same else _tests(seen_selector, index, any_tag=True)

    def test(server: Server) -> str | None:
        found = _first_match(tests, server)
        if found is None and not (is_same and server.id not in index.as_seen):
            found = _first_match(seen_tests, index.as_seen.get(server.id, server))
        return found

    return test


def excludes_any(selector: Selector, index: Index) -> bool:
    """Return True if `excluder` matches a server of the index: for a selector of one word,
    without asking each one.
    """
    test = excluder(selector, index)
    seen = _as_seen(selector)
    likely = (_candidates(key, form, index) for form in (selector, seen) for key in form.keys)
    return any(test(server) is not None for server in chain(*likely, index.as_seen.values()))


def _first_match(tests: Iterable[tuple[str, Test]], server: Server) -> str | None:
    for key, matches in tests:
        what = matches(server)
        if what is not None:
            return f"{key} {what}" if what else key
    return None


def _is_odd(text: str) -> bool:
    return as_seen(text) != text


def _as_seen(selector: Selector) -> Selector:
    """The same selector with its names and tags as a reader sees them; itself where that
    makes no difference.
    """
    names = None if selector.names is None else tuple(map(as_seen, selector.names))
    tags = {
        as_seen(key): tuple(map(as_seen, values)) for key, values in (selector.tags or {}).items()
    }
    seen = selector.model_copy(update={"names": names, "tags": tags or None})
    return selector if seen == selector else seen


def _tests(selector: Selector, index: Index, any_tag: bool = False) -> list[tuple[str, Test]]:
    """One test for each key that is written, the cheap ones first.

    Raises ValueError if the file of `ids_from` has not been read into `ids`: that is the
    loader's work.
    """
    if selector.ids_from is not None and selector.ids is None:
        raise ValueError("ids_from has not been resolved into ids")
    made: list[tuple[str, Test]] = []
    if selector.ids is not None:
        made.append(("ids", _is_one_of(selector.ids, attrgetter("id"), tell=False)))
    if selector.zones is not None:
        made.append(("zones", _is_one_of(selector.zones, attrgetter("zone"))))
    if selector.flavors is not None:
        made.append(("flavors", _is_one_of(selector.flavors, attrgetter("flavor"))))
    if selector.enterprise_projects is not None:
        made.append(
            (
                "enterprise_projects",
                _is_one_of(selector.enterprise_projects, attrgetter("enterprise_project")),
            )
        )
    if selector.tags is not None:
        made.append(("tags", _has_tags(selector.tags, any if any_tag else all)))
    if selector.server_groups is not None:
        made.append(("server_groups", _is_member(selector.server_groups, index)))
    if selector.names is not None:
        made.append(("names", _is_named(selector.names)))
    return made


def _candidates(key: str, selector: Selector, index: Index) -> Collection[Server]:
    """All servers that can match `key`, and as few others as an index can tell."""
    by_id = index.inventory.by_id
    if key == "ids":
        return [by_id[i] for i in selector.ids or () if i in by_id]
    if key == "tags":
        return min((_with_tag(index, tag) for tag in (selector.tags or {}).items()), key=len)
    if key == "server_groups":
        ids = {i for word in selector.server_groups or () for i in index.in_server_group(word)}
        return [by_id[i] for i in ids if i in by_id]
    if key == "names":
        patterns = dict.fromkeys(selector.names or ())
        return list({s.id: s for pattern in patterns for s in index.named(pattern)}.values())
    grouped: Mapping[str, list[Server]] = getattr(index, key)
    return [s for word in getattr(selector, key) for s in grouped.get(word, ())]


def _with_tag(index: Index, tag: tuple[str, Iterable[str]]) -> list[Server]:
    key, values = tag
    return [s for value in set(values) for s in index.tags.get((key, value), ())]


def _is_one_of(words: Iterable[str], get: Callable[[Server], str], tell: bool = True) -> Test:
    known = frozenset(words)

    def test(server: Server) -> str | None:
        value = get(server)
        return (value if tell else "") if value in known else None

    return test


def _has_tags(tags: Mapping[str, tuple[str, ...]], how: Callable[[Iterable[bool]], bool]) -> Test:
    wanted = [(key, frozenset(values)) for key, values in tags.items()]

    def test(server: Server) -> str | None:
        has = server.tags
        if not has or not how(has.get(key) in values for key, values in wanted):
            return None
        return ", ".join(f"{key}={has[key]}" for key, values in wanted if has.get(key) in values)

    return test


def _is_member(words: Iterable[str], index: Index) -> Test:
    groups = [(word, index.in_server_group(word)) for word in words]

    def test(server: Server) -> str | None:
        return next((word for word, members in groups if server.id in members), None)

    return test


def _is_named(patterns: Sequence[str]) -> Test:
    compiled = [(pattern, re.compile(translate(pattern)).match) for pattern in patterns]

    def test(server: Server) -> str | None:
        return next((pattern for pattern, match in compiled if match(server.name)), None)

    return test


def _grouped(servers: Iterable[Server], get: Callable[[Server], str]) -> dict[str, list[Server]]:
    found: dict[str, list[Server]] = {}
    for server in servers:
        found.setdefault(get(server), []).append(server)
    return found
