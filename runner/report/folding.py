"""Long lists of server names, made short without losing one: `web-[001-003,007], db-1`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from runner.model.schedule import Schedule, ServerRef
from runner.report.safe import plain

_NUMBERED = re.compile(r"([A-Za-z0-9_.-]*?)(\d{1,15})([A-Za-z_.-]*)", re.ASCII)
_SIMPLE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_RANGES_AN_ITEM = 12


def fold(servers: Iterable[ServerRef], shared_names: Collection[str] = ()) -> list[str]:
    """Short items that together name every server, in the order of their names.

    Names that differ in one number of the same width become one item: `web-[001-003,007]`.
    A name that is not simple (letters, digits, `_.-`) is quoted, and one that stands for
    several servers (`shared_names`) or is empty is followed by the id, so that no two
    servers look alike. Items are printable and hold at most 12 ranges.
    """
    numbers: dict[tuple[str, str, int], list[int]] = {}
    single: list[tuple[tuple[str, int], str]] = []
    for server in servers:
        match = _NUMBERED.fullmatch(server.name)
        prefix, digits, suffix = match.groups() if match else (server.name, "-1", "")
        if match is None or server.name in shared_names:
            single.append(((prefix, int(digits)), label(server, shared_names)))
        else:
            numbers.setdefault((prefix, suffix, len(digits)), []).append(int(digits))
    keyed = single + [item for key, found in numbers.items() for item in _items(key, sorted(found))]
    return [item for _, item in sorted(keyed)]


def label(server: ServerRef, shared_names: Collection[str] = ()) -> str:
    """One server: its name, quoted where it is not simple; with the id where the name does
    not tell it apart.
    """
    name = (
        server.name
        if _SIMPLE.fullmatch(server.name)
        else f'"{plain(server.name, 255)}"'
        if server.name
        else ""
    )
    if not name:
        return plain(server.id, 80)
    return f"{name} ({plain(server.id, 80)})" if server.name in shared_names else name


class Named(Protocol):
    """A server, in whatever form."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


def named(server: Named) -> str:
    """`web-011 (id)`, or the id of a server without a name."""
    return f"{server.name} ({server.id})" if server.name else server.id


def names_shared(servers: Iterable[Named]) -> frozenset[str]:
    """Return the names that more than one of the servers bears. Names are not unique in
    the cloud.
    """
    names = {s.id: s.name for s in servers}
    return frozenset(name for name, count in Counter(names.values()).items() if count > 1)


def shared_names(schedule: Schedule) -> frozenset[str]:
    """Return the names that more than one server of the schedule bears."""
    scheduled = [s for w in schedule.waves for s in w.servers]
    return names_shared([*scheduled, *(e.server for e in schedule.exclusions)])


def wrapped(items: Sequence[str], width: int = 100) -> Iterator[str]:
    """The items joined by commas, in lines of about `width` characters; no item is cut."""
    line = ""
    for item in items:
        if line and len(line) + 2 + len(item) > width:
            yield line + ","
            line = item
        else:
            line = f"{line}, {item}" if line else item
    if line:
        yield line


def clipped(items: Sequence[str], width: int) -> str:
    """As many of the items as fit into `width` characters; `…` stands for the rest."""
    text = ", ".join(items[: width // 2 + 1])
    return text if len(text) <= width else text[: width - 1].rstrip(", ") + "…"


def _items(
    key: tuple[str, str, int], numbers: Sequence[int]
) -> Iterator[tuple[tuple[str, int], str]]:
    """One numbered family as items, each with its place in the order."""
    prefix, suffix, width = key
    if len(numbers) == 1:
        yield (prefix, numbers[0]), f"{prefix}{numbers[0]:0{width}d}{suffix}"
        return
    ranges = list(_ranges(numbers))
    for start in range(0, len(ranges), _RANGES_AN_ITEM):
        some = ranges[start : start + _RANGES_AN_ITEM]
        inside = ",".join(
            f"{a:0{width}d}" if a == b else f"{a:0{width}d}-{b:0{width}d}" for a, b in some
        )
        yield (prefix, some[0][0]), f"{prefix}[{inside}]{suffix}"


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Sorted numbers as (first, last) of each unbroken run. 1, 2, 3, 7: (1, 3), (7, 7)."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number > last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
