"""All pages of the server list, as one consistent set.

Page "Querying Details About ECSs": `offset` is a page number (0 and 1 are the first), `limit` at most 1,000, `count`
the total of all pages. Pages are cut from a live table, so entries shift while servers come and go: a server that is
deleted from a page that was read moves one of the next page there, where nobody looks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from runner.cloud import decode
from runner.cloud.paging import together
from runner.errors import CloudError
from runner.model.inventory import Server

PAGE = 1000
_AT_ONCE = 4
_MAX_PAGES = 1000

Fetch = Callable[[int, int], Awaitable[Any]]
"""(page number from 1, limit) -> the JSON of that page."""


@dataclass(slots=True)
class ListPages:
    """What has been collected. `size` is what the service really puts on a page; `counts` every total it told; `number`
    the pages there were; `newest` the latest `created` of a server (ISO 8601, to be compared as text)."""

    servers: dict[str, Server] = field(default_factory=dict)
    counts: set[int] = field(default_factory=set)
    count: int | None = None
    size: int = PAGE
    number: int = 1
    newest: str = ""

    def add(self, value: Any) -> int:
        """Take a page in; how many entries it had."""
        listed = value.get("servers") if isinstance(value, dict) else None
        if not isinstance(listed, list):
            raise CloudError("the list answer has no servers", hint="check the endpoint of the target")
        for item in listed:
            server = decode.server(item)
            if server is None:
                raise CloudError(
                    "an entry of the server list cannot be read: it has no id",
                    hint="something on the way to the cloud may change its answers; nothing is decided by half a list",
                )
            self.servers[server.id] = server
            created = item.get("created")
            self.newest = max(self.newest, created if isinstance(created, str) else "")
        count = str(value.get("count"))
        if count.isdecimal() and len(count) < 16:
            self.count = int(count)
            self.counts.add(self.count)
        return len(listed)

    def is_whole(self, since: str) -> bool:
        """Every page told the same total, it was collected, and no server has come since then.

        The total alone would not do: a server that was deleted after its page was read, and the one that its
        deletion moved from the next page to that one, make up for each other. Nor would equal totals: a server that
        is created in the moment in which another is deleted keeps them the same.
        """
        if not self.counts or self.number == 1:
            return self.counts <= {len(self.servers)}
        return self.counts == {len(self.servers)} and not (since and self.newest >= since)


async def list_all(fetch: Fetch, limit: int = PAGE, since: str = "") -> dict[str, Server]:
    """Every server by id, each once. Where the list seems to move while it is read, it is read once more, backwards.

    Backwards and one page after the other, what a deletion moves comes to a page that is still to be read; where new
    servers stand at the list's end, no server that was there all the time can be missed so. If that reading does not
    fit either, a third is made (for lists whose new servers stand in front), and all together are the answer: a server
    that one of them showed exists or has just gone, while one that is left out would never be looked at.
    Raises CloudError (`InventoryIncomplete`) where all three together show fewer servers than the cloud counts.
    `since`: servers that were created since then show that the list moves (ISO 8601); empty for not to look.
    """
    first = await _read(fetch, limit)
    if first.is_whole(since):
        return first.servers
    second = await _read_back(fetch, limit, first)
    if second.is_whole(since):
        return second.servers
    found = first.servers
    found.update(second.servers)  # in place: what is replaced is not kept
    if second.counts <= {len(second.servers)}:  # the totals fit; only new servers speak against it
        return found
    del second
    third = await _read(fetch, limit)
    found.update(third.servers)
    if len(found) < min(third.counts, default=0):
        raise CloudError(
            f"the server list is incomplete: the cloud counts {min(third.counts):,} servers"
            f" and shows {len(found):,}, on three readings",
            hint="try again later; where the credentials are limited to an enterprise project,"
            " set enterprise_project of the target",
            code="InventoryIncomplete",
        )
    return found


async def _read_back(fetch: Fetch, limit: int, before: ListPages) -> ListPages:
    size = before.size
    number = before.number
    while True:
        pages = ListPages(size=size, number=number)
        is_full = pages.add(await fetch(number, limit)) >= size
        if not is_full or number >= _MAX_PAGES or (pages.count is not None and number * size >= pages.count):
            break
        number += 1
    for page in range(number - 1, 0, -1):
        pages.add(await fetch(page, limit))
    return pages


async def _read(fetch: Fetch, limit: int) -> ListPages:
    """The first page, then the others at most four at a time, then what has been added meanwhile."""
    pages = ListPages(size=limit)
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
    pages.number = number
    return pages


async def _rest(fetch: Fetch, limit: int, pages: ListPages, last: int) -> int:
    """Pages 2 to `last`; how many entries the last one had. Each page is decoded and dropped at once."""
    gate = asyncio.Semaphore(_AT_ONCE)
    sizes: dict[int, int] = {}

    async def one(number: int) -> None:
        async with gate:
            sizes[number] = pages.add(await fetch(number, limit))

    await together(*(one(number) for number in range(2, last + 1)))
    return sizes[last]
