"""All pages of the server list, as one consistent set.

Page "Querying Details About ECSs": `offset` is a page number (0 and 1 are the first), `limit` at most 1,000, `count`
the total of all pages. Pages are cut from a live table, so entries shift while servers come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from runner.cloud import decode
from runner.errors import CloudError
from runner.model.inventory import Server

PAGE = 1000
_AT_ONCE = 4
_MAX_PAGES = 1000

Fetch = Callable[[int, int], Awaitable[Any]]
"""(page number from 1, limit) -> the JSON of that page."""


@dataclass(slots=True)
class _Pages:
    """What has been collected. `size` is what the service really puts on a page; `counts` every total it told."""

    servers: dict[str, Server] = field(default_factory=dict)
    counts: set[int] = field(default_factory=set)
    count: int | None = None
    size: int = PAGE

    def add(self, value: Any) -> int:
        """Take a page in; how many entries it had."""
        listed = value.get("servers") if isinstance(value, dict) else None
        if not isinstance(listed, list):
            raise CloudError("the list answer has no servers", hint="check the endpoint of the target")
        for item in listed:
            server = decode.server(item)
            if server is not None:
                self.servers[server.id] = server
        count = value.get("count")
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            self.count = count
            self.counts.add(count)
        return len(listed)

    @property
    def is_whole(self) -> bool:
        """Every page told the same total, and it was collected.

        The total alone would not do: a server that was deleted after its page was read, and the one that its
        deletion moved from the next page to that one, make up for each other.
        """
        return not self.counts or self.counts == {len(self.servers)}


async def list_all(fetch: Fetch, limit: int = PAGE) -> dict[str, Server]:
    """Every server by id, each once. Where the totals of the pages differ or do not fit, all is read once more.

    If they still do, both readings together are the answer: a server that two different cuts showed exists
    or has just gone, while one that is left out would never be looked at.
    """
    first = await _read(fetch, limit)
    if first.is_whole:
        return first.servers
    second = await _read(fetch, limit)
    return second.servers if second.is_whole else {**first.servers, **second.servers}


async def _read(fetch: Fetch, limit: int) -> _Pages:
    """The first page, then the others at most four at a time, then what has been added meanwhile."""
    pages = _Pages(size=limit)
    got = pages.add(await fetch(1, limit))
    if pages.count is not None and 0 < got < min(limit, pages.count):
        pages.size = got  # the service allows smaller pages than we asked for
    last = -(-(pages.count or 0) // pages.size)
    if last > _MAX_PAGES:
        raise CloudError(f"the list has {last:,} pages, more than {_MAX_PAGES:,}")
    number = 1
    if last > 1:
        got = await _rest(fetch, limit, pages, last)
        number = last
    while got >= pages.size and number < _MAX_PAGES and (pages.count is None or number * pages.size < pages.count):
        number += 1
        got = pages.add(await fetch(number, limit))
    return pages


async def _rest(fetch: Fetch, limit: int, pages: _Pages, last: int) -> int:
    """Pages 2 to `last`; how many entries the last one had. Each page is decoded and dropped at once."""
    gate = asyncio.Semaphore(_AT_ONCE)
    sizes: dict[int, int] = {}

    async def one(number: int) -> None:
        async with gate:
            sizes[number] = pages.add(await fetch(number, limit))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(2, last + 1):
                group.create_task(one(number))
    except* CloudError as errors:
        failure = errors.exceptions[0]
    else:
        return sizes[last]
    raise failure
