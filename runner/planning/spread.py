"""How many servers of one failure domain may go down in one wave, and waves that keep to it. Pure.

A *domain* is what servers can lose together: a zone, a server group (anti-affinity), an enterprise project, or the
servers with the same value of a tag. A server without the tag, or in no server group, is in no domain of that kind.
Each domain may have at least one server in each wave, so a schedule always exists; it may only have more waves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from runner.model.inventory import Server
from runner.model.quantity import Amount
from runner.model.schedule import ALL_BUT_ONE, Spread
from runner.planning.select import Index

SERVER_GROUP = "server_group"
_TAG = "tag:"

DomainsOf = Callable[[Server], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Domain:
    """One failure domain of a group: the rule that holds it, its name, and its share of one wave."""

    rule: str
    name: str
    most: int


@dataclass(frozen=True, slots=True)
class Domains:
    """The domains that can hold a wave back. `cells`: for each server of a group, in order, which it is in."""

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
    """Every rule that holds for a group, with its value as written; that of server groups is always among them."""
    return {SERVER_GROUP: ALL_BUT_ONE, **{key: str(amount) for key, amount in spread.items()}}


def domains(servers: Sequence[Server], spread: Mapping[str, Amount], index: Index, missing: int = 0) -> Domains:
    """The domains of a group's servers.

    A server group of two or more (counted over all servers of the target) never goes down as a whole in one wave,
    unless `server_group: 100%` is written. `missing`: servers of the group that the cloud does not know any more; they
    are taken to have been in every domain, so that percentages stay what they were.
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
            rules.append(Spread(key, written, len(counted), max((most[name] for name in counted), default=0)))
        number = {name: len(kept) + k for k, name in enumerate(binding)}
        kept += [Domain(rule_words(key, written), name, most[name]) for name in binding]
        if number:
            for cell, some in zip(cells, names, strict=True):
                cell.extend(number[name] for name in some if name in number)
    return Domains(tuple(kept), tuple(map(tuple, cells)), tuple(rules))


def _most(key: str, name: str, amount: Amount | None, count: int, index: Index) -> int:
    """How many of a domain's servers may be in one wave: at least one."""
    most = count if amount is None else amount.as_size(count)
    if key == SERVER_GROUP and (amount is None or amount.percent != 100):
        most = min(most, len(index.members[name]) - 1)
    return max(1, most)


@dataclass(frozen=True, slots=True)
class Portion:
    """The servers of one wave, as places in the group's order, and the rules that made it smaller than asked for."""

    members: tuple[int, ...]
    held_by: tuple[str, ...] = ()


def portions(order: Domains, size_of: Callable[[int], int]) -> Iterator[Portion]:
    """Servers in waves; `size_of` says how many the n-th wave may have, counted from 0.

    Each wave takes, in order, the first servers whose domains still have room in it. So nothing is later than its
    place in the order and the rules make it, and a wave is smaller than asked for only if every server that is left
    lies in a domain that is full.
    """
    lanes = _Lanes(order)
    n = 0
    while lanes.left:
        yield lanes.take(size_of(n))
        n += 1


class _Lanes:
    """Servers that wait, in queues of equal domains.

    Servers in the same domains are interchangeable but for their place, so only the first of each queue is looked at.
    Queues stand in lanes, one for each domain of the kind that has the fewest: a full zone is then put aside at once
    and not queue by queue.
    """

    def __init__(self, order: Domains) -> None:
        self.left = len(order.cells)
        self._domains = order.domains
        self._used: Counter[int] = Counter()
        queues: dict[tuple[int, ...], list[int]] = {}
        for place, cell in enumerate(order.cells):
            queues.setdefault(cell, []).append(place)
        self._queues = {cell: iter(places) for cell, places in queues.items()}
        lead = _lead(order)
        self._lanes: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for cell, queue in self._queues.items():
            self._lanes.setdefault(next((d for d in cell if d in lead), -1), []).append((next(queue), cell))
        for lane in self._lanes.values():
            heapify(lane)
        self._heads = [(lane[0][0], d) for d, lane in self._lanes.items()]
        heapify(self._heads)

    def take(self, size: int) -> Portion:
        """The next wave."""
        self._used.clear()
        taken: list[int] = []
        full: set[int] = set()
        closed: list[int] = []
        aside: list[tuple[int, tuple[int, tuple[int, ...]]]] = []
        while self._heads and len(taken) < size:
            head, d = heappop(self._heads)
            lane = self._lanes[d]
            if not lane or lane[0][0] != head:
                continue  # written before the lane's first server changed
            if d >= 0 and self._is_full(d):
                full.add(d)
                closed.append(d)
                continue
            place, cell = heappop(lane)
            blocked = next((c for c in cell if self._is_full(c)), None)
            if blocked is None:
                taken.append(place)
                self._used.update(cell)
                following = next(self._queues[cell], None)
                if following is not None:
                    heappush(lane, (following, cell))
            else:
                full.add(blocked)
                aside.append((d, (place, cell)))
            if lane:
                heappush(self._heads, (lane[0][0], d))
        self.left -= len(taken)
        self._put_back(closed, aside)
        is_short = self.left > 0 and len(taken) < size
        rules = sorted({self._domains[c].rule for c in full}) if is_short else ()
        return Portion(tuple(taken), tuple(rules))

    def _is_full(self, domain: int) -> bool:
        return self._used[domain] >= self._domains[domain].most

    def _put_back(self, closed: Sequence[int], aside: Sequence[tuple[int, tuple[int, tuple[int, ...]]]]) -> None:
        """Everything that a full domain held back in this wave waits for the next."""
        for d, entry in aside:
            heappush(self._lanes[d], entry)
        for d in {*closed, *(d for d, _ in aside)}:
            heappush(self._heads, (self._lanes[d][0][0], d))


def _lead(order: Domains) -> frozenset[int]:
    """The domains of the rule that has the fewest of them."""
    count = Counter(domain.rule for domain in order.domains)
    fewest = min(count, key=lambda rule: count[rule], default="")
    return frozenset(n for n, domain in enumerate(order.domains) if domain.rule == fewest)


def crowded(waves: Sequence[Sequence[Server]], order: Domains) -> Iterator[tuple[int, Domain, int]]:
    """Waves (places in `waves`) that hold more servers of a domain than its share, and how many they hold.

    `order` was made of the servers of all waves, one after the other.
    """
    place = 0
    for n, wave in enumerate(waves):
        count = Counter(c for cell in order.cells[place : place + len(wave)] for c in cell)
        place += len(wave)
        for c, number in sorted(count.items()):
            if number > order.domains[c].most:
                yield n, order.domains[c], number
