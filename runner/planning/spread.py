"""How many servers of one failure domain may go down in one wave, and waves that keep to it. Pure.

A *domain* is what servers can lose together: a zone, a server group (anti-affinity), an
enterprise project, or the servers with the same value of a tag. A server without the tag,
or in no server group, is in no domain of that kind. Each domain may have at least one
server in each wave, so a schedule always exists; it may only have more waves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace

from runner.model.inventory import Server
from runner.model.quantity import Amount
from runner.model.schedule import ALL_BUT_ONE, Spread
from runner.planning.select import Index

SERVER_GROUP = "server_group"
_TAG = "tag:"

DomainsOf = Callable[[Server], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Domain:
    """One failure domain of a group: the rule that holds it, its name, and its share of
    one wave.
    """

    rule: str
    name: str
    most: int


@dataclass(frozen=True, slots=True)
class Domains:
    """The domains that can hold a wave back. `cells`: for each server of a group, in order,
    which it is in.
    """

    domains: tuple[Domain, ...]
    cells: tuple[tuple[int, ...], ...]
    rules: tuple[Spread, ...] = ()


def domains_of(key: str, index: Index) -> DomainsOf:
    """A server's domains of one kind, by name; none, or one: several only in server groups."""
    if key == SERVER_GROUP:
        groups = index.groups_of
        return lambda server: groups.get(server.id, ())
    if key.startswith(_TAG):
        tag = key.removeprefix(_TAG)
        return lambda server: (server.tags[tag],) if server.tags.get(tag) is not None else ()
    if key == "zone":
        return lambda server: (server.zone,) if server.zone else ()
    return lambda server: (server.enterprise_project,) if server.enterprise_project else ()


def rule_words(key: str, written: str) -> str:
    """`zone: 1`; of the rule that nobody wrote `server_group: all but one`."""
    return f"{key}: {written or 'all but one'}"


def written_rules(spread: Mapping[str, Amount]) -> dict[str, str]:
    """Every rule that holds for a group, with its value as written; that of server groups
    is always among them.
    """
    return {SERVER_GROUP: ALL_BUT_ONE, **{key: str(amount) for key, amount in spread.items()}}


def domains(
    servers: Sequence[Server], spread: Mapping[str, Amount], index: Index, missing: int = 0
) -> Domains:
    """The domains of a group's servers.

    No domain of two or more (counted over all servers of the target) goes down as a whole
    in one wave, unless 100 % is written for its kind. That holds for the kinds that are
    written, and for server groups in any case. `missing`: servers of the group that the
    cloud does not know any more; they are taken to have been in every domain, so that
    percentages stay what they were.
    """
    kept: list[Domain] = []
    cells: list[list[int]] = [[] for _ in servers]
    rules: list[Spread] = []
    for key, written in sorted(written_rules(spread).items()):
        of = domains_of(key, index)
        names = [of(s) for s in servers]
        count = Counter(name for some in names for name in some)
        amount = spread.get(key)
        most = {name: _most(key, name, amount, n + missing, index) for name, n in count.items()}
        binding = sorted(name for name, n in count.items() if most[name] < n)
        counted = binding if amount is None else list(most)
        if counted or amount is not None:
            rules.append(
                Spread(key, written, len(counted), max((most[name] for name in counted), default=0))
            )
        number = {name: len(kept) + k for k, name in enumerate(binding)}
        kept += [Domain(rule_words(key, written), name, most[name]) for name in binding]
        if number:
            for cell, some in zip(cells, names, strict=True):
                cell.extend(number[name] for name in some if name in number)
    return Domains(tuple(kept), tuple(map(tuple, cells)), tuple(rules))


def _most(key: str, name: str, amount: Amount | None, count: int, index: Index) -> int:
    """How many of a domain's servers may be in one wave: at least one."""
    most = count if amount is None else amount.as_size(count)
    if amount is None or amount.percent != 100:
        most = min(most, _size(key, name, index) - 1)
    return max(1, most)


def _size(key: str, name: str, index: Index) -> int:
    """How many servers of the whole target are in a domain, whatever state they are in."""
    if key == SERVER_GROUP:
        return len(index.members[name])
    if key.startswith(_TAG):
        return len(index.tags[key.removeprefix(_TAG), name])
    return len((index.zones if key == "zone" else index.enterprise_projects)[name])


@dataclass(frozen=True, slots=True)
class Portion:
    """The servers of one wave, as places in the group's order, and the rules that made it
    smaller than asked for.
    """

    members: tuple[int, ...]
    held_by: tuple[str, ...] = ()


def portions(order: Domains, size_of: Callable[[int], int]) -> Iterator[Portion]:
    """Servers in waves; `size_of` says how many the n-th wave may have, counted from 0.

    Each wave takes, in order, the first servers whose domains still have room in it. So
    nothing is later than its place in the order and the rules make it, and a wave is
    smaller than asked for only if every server that is left lies in a domain that is full.
    """
    waiting = _Waiting(order)
    n = 0
    while waiting.left:
        yield waiting.take(size_of(n))
        n += 1


@dataclass(slots=True, eq=False)
class _Node:
    """Servers that wait and share a domain, and all the domains above it.

    Either a queue of places (`queue`, the next one last) or a heap of nodes below it
    (`heap`: the first place of each, a number that tells equal ones apart, the node).
    `head`: its first place that may be taken, None without one. `aside`: nodes that have no
    place to give in this wave.
    """

    domain: int
    number: int
    depth: int
    parent: _Node | None = None
    queue: list[int] = field(default_factory=list)
    heap: list[tuple[int, int, _Node]] = field(default_factory=list)
    aside: list[_Node] = field(default_factory=list)

    @property
    def head(self) -> int | None:
        if self.queue:
            return self.queue[-1]
        return self.heap[0][0] if self.heap else None


class _Waiting:
    """Servers that wait, in a tree: by the domains of the rule that has the fewest, in each by
    those of the next rule.

    Servers in the same domains are interchangeable but for their place, so only the first
    of them is looked at; and a domain that is full is put aside with all that lies in it,
    once a wave, not server by server.
    """

    def __init__(self, order: Domains) -> None:
        self.left = len(order.cells)
        self._domains = order.domains
        self._used: Counter[int] = Counter()
        self._full: set[str] = set()
        self._dirty: dict[_Node, None] = {}
        self._root = _tree(order)

    def take(self, size: int) -> Portion:
        """The next wave."""
        self._used.clear()
        self._full.clear()
        taken: list[int] = []
        while len(taken) < size and self._settle(self._root) is not None:
            taken.append(self._pop())
        self.left -= len(taken)
        self._put_back()
        is_short = self.left > 0 and len(taken) < size
        return Portion(tuple(taken), tuple(sorted(self._full)) if is_short else ())

    def _settle(self, node: _Node) -> int | None:
        """The node's first place that may be taken now; what is full on the way there
        is put aside.
        """
        if node.queue:
            return node.queue[-1]
        heap = node.heap
        while heap:
            head, number, child = heap[0]
            if child.domain >= 0 and self._used[child.domain] >= self._domains[child.domain].most:
                self._full.add(self._domains[child.domain].rule)
                now = None
            else:
                now = self._settle(child)
            if now == head:
                return head
            if now is None:
                heappop(heap)
                node.aside.append(child)
                self._dirty[node] = None
            else:
                heapreplace(heap, (now, number, child))
        return None

    def _pop(self) -> int:
        """Take the place that `_settle` found: the first of the first, all the way down."""
        path = [self._root]
        while not path[-1].queue:
            path.append(path[-1].heap[0][2])
            if path[-1].domain >= 0:
                self._used[path[-1].domain] += 1
        place = path[-1].queue.pop()
        for node, child in zip(path[-2::-1], path[:0:-1], strict=True):
            head = child.head
            if head is not None:
                heapreplace(node.heap, (head, child.number, child))
                continue
            heappop(node.heap)
            if child.aside:
                node.aside.append(child)
                self._dirty[node] = None
        return place

    def _put_back(self) -> None:
        """What was full in this wave waits for the next. The deepest first, so that all
        first places are right.
        """
        levels: dict[int, dict[_Node, bool]] = {}
        for node in self._dirty:
            levels.setdefault(node.depth, {})[node] = False
        self._dirty.clear()
        for depth in range(max(levels, default=-1), -1, -1):
            for node, is_stale in levels.get(depth, {}).items():
                _restore(node, is_stale)
                if node.parent is not None:
                    levels.setdefault(depth - 1, {})[node.parent] = True


def _restore(node: _Node, is_stale: bool) -> None:
    """Take in again what was put aside; `is_stale`: the first places of nodes in the heap
    may have changed as well.
    """
    if is_stale:
        node.heap = [
            (_head(child), child.number, child)
            for child in (*(c for _, _, c in node.heap), *node.aside)
        ]
        heapify(node.heap)
    else:
        for child in node.aside:
            heappush(node.heap, (_head(child), child.number, child))
    node.aside.clear()


def _head(node: _Node) -> int:
    head = node.head
    assert head is not None  # noqa: S101 - a node without a place is dropped
    return head


def _tree(order: Domains) -> _Node:
    """All servers, below a root."""
    count = Counter(domain.rule for domain in order.domains)
    levels = {
        rule: n
        for n, (rule, _) in enumerate(sorted(count.items(), key=lambda item: (item[1], item[0])))
    }
    level = [levels[domain.rule] for domain in order.domains]
    root = _Node(-1, 0, 0)
    below: dict[tuple[_Node, int], _Node] = {}
    for place in range(len(order.cells) - 1, -1, -1):  # so that each queue has its first place last
        node = root
        for domain in (*sorted(order.cells[place], key=lambda c: (level[c], c)), -1):
            child = below.get((node, domain))
            if child is None:
                child = below[node, domain] = _Node(domain, len(below) + 1, node.depth + 1, node)
            node = child
        node.queue.append(place)
    for child in sorted(below.values(), key=lambda some: -some.depth):
        heapify(child.heap)
        if child.parent is not None:
            child.parent.heap.append((_head(child), child.number, child))
    heapify(root.heap)
    return root


def crowded(waves: Sequence[Sequence[Server]], order: Domains) -> Iterator[tuple[int, Domain, int]]:
    """Waves (places in `waves`) that hold more servers of a domain than its share, and how
    many they hold.

    `order` was made of the servers of all waves, one after the other.
    """
    place = 0
    for n, wave in enumerate(waves):
        count = Counter(c for cell in order.cells[place : place + len(wave)] for c in cell)
        place += len(wave)
        for c, number in sorted(count.items()):
            if number > order.domains[c].most:
                yield n, order.domains[c], number
