"""Servers and server groups of one project: all of them, or some, in the way that the cloud allows.

Page "Querying Details About ECSs": `offset` is a page number (0 and 1 are the first),
`limit` at most 1,000, `count` the total of all pages. Pages are cut from a live table, so
entries shift while servers come and go: a server that is deleted from a page that was read
moves one of the next page there, where nobody looks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from runner.cloud.huawei import decode
from runner.cloud.huawei.paging import together
from runner.cloud.huawei.reader import Answer
from runner.errors import CloudError
from runner.inputs.fields import as_list, as_text
from runner.model.inventory import Server, ServerGroup
from runner.net.wire import encode

PAGE = 1000
_AT_ONCE = 4
_MAX_PAGES = 1000

Fetch = Callable[[int, int], Awaitable[Any]]
"""(page number from 1, limit) -> the JSON of that page."""

IDS_A_REQUEST = 100
"""Ids in one `server_id` filter: about 100 for the length of the URI ("Querying Details
About ECSs").
"""

RECENTLY = timedelta(minutes=15)
"""Servers created within this time count as just created: longer than a list takes to read,
as clocks differ.
"""

_SHOW_AT_MOST = 3
_MAX_GROUP_PAGES = 100

Get = Callable[..., Awaitable[Answer]]
"""(path, *query) -> a good answer. Raises CloudError, CloudDenied."""


class Servers:
    """Reads of `/v1/{project_id}/cloudservers`. Remembers how large the fleet was.
    `filters` go with every list.
    """

    def __init__(
        self,
        get: Get,
        project_id: str,
        has_id_filter: bool,
        now: Callable[[], datetime],
        filters: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._get = get
        self._filters = filters
        self._path = f"/v1/{project_id}/cloudservers"
        self._has_id_filter = has_id_filter
        self._now = now
        self._fleet: int | None = None

    async def all(self) -> dict[str, Server]:
        """Every server by id (page "Querying Details About ECSs")."""

        async def page(number: int, limit: int) -> Any:
            place = (("offset", str(number)), ("limit", str(limit)))
            return (await self._get(f"{self._path}/detail", *place, *self._filters)).value

        recently = (self._now() - RECENTLY).strftime("%Y-%m-%dT%H:%M:%SZ")
        servers = await list_all(page, since=recently)
        self._fleet = len(servers)
        return servers

    async def some(self, ids: Collection[str]) -> dict[str, Server]:
        """These servers; those the cloud does not know are left out.

        By the `server_id` filter where there is one, and where that takes no more requests
        than the list has pages. Without it up to three servers are read one by one.
        """
        wanted = dict.fromkeys(ids)
        if not wanted:
            return {}
        if not self._has_id_filter:
            if len(wanted) <= _SHOW_AT_MOST:
                return await self._show(wanted)
        else:
            pages = 1 if self._fleet is None else -(-self._fleet // PAGE)
            if -(-len(wanted) // IDS_A_REQUEST) <= max(pages, 1):
                found = await self._filtered(list(wanted))
                if found is not None:
                    return found
        servers = await self.all()
        return {i: servers[i] for i in wanted if i in servers}

    async def _filtered(self, ids: list[str]) -> dict[str, Server] | None:
        """By the `server_id` filter. None where the answer is silent about some ids: then only
        the list is sure.

        For an id that does not exist the service answers with an entry whose fields are
        null ("ghost").
        """
        found: dict[str, Server] = {}
        for start in range(0, len(ids), IDS_A_REQUEST):
            part = ids[start : start + IDS_A_REQUEST]
            named = (("limit", str(PAGE)), ("server_id", ",".join(part)))
            answer = await self._get(f"{self._path}/detail", *named, *self._filters)
            entries = as_list(answer.value.get("servers"))
            ghosts = {g for g in map(decode.ghost, entries) if g is not None}
            here = {
                s.id: s for s in map(decode.server, entries) if s is not None and s.id not in ghosts
            }
            if not ghosts.union(here).issuperset(part):
                return None
            found.update((i, here[i]) for i in part if i in here)
        return found

    async def _show(self, ids: Iterable[str]) -> dict[str, Server]:
        found: dict[str, Server] = {}
        for server_id in ids:
            try:
                answer = await self._get(f"{self._path}/{segment(server_id)}")
            except CloudError as error:
                if is_missing(error):
                    continue
                raise
            server = decode.server(answer.value.get("server"))
            if server is not None and server.id == server_id:
                found[server_id] = server
        return found

    async def groups(self) -> tuple[ServerGroup, ...]:
        """All server groups by marker.

        Raises CloudDenied and CloudError; where they do not come to an end, too: a spread
        over some of the groups would be none.
        """
        found: dict[str, ServerGroup] = {}
        marker = ""
        for _ in range(_MAX_GROUP_PAGES):
            more = (("marker", marker),) if marker else ()
            answer = await self._get(f"{self._path}/os-server-groups", ("limit", str(PAGE)), *more)
            try:
                entries = decode.server_groups(answer.value)
            except ValueError as error:
                raise CloudError(str(error), status=answer.reply.status) from None
            known = len(found)
            found.update((g.id, g) for g in entries)
            # `page_info` decides where there is one, whatever the page's size. OTC's page
            # has it in the table and not in the example ("Querying ECS Groups"): without it
            # a full page is followed by what comes after its last id, which is what
            # `marker` means on both clouds.
            info = answer.value.get("page_info")
            last = entries[-1].id if len(entries) >= PAGE else ""
            marker = as_text(info.get("next_marker")) if isinstance(info, dict) else last
            if not marker or len(found) == known:
                return tuple(sorted(found.values(), key=lambda g: g.id))
        raise CloudError(
            f"the list of server groups does not come to an end within {_MAX_GROUP_PAGES} pages"
        )


def segment(server_id: str) -> str:
    """An id as one segment of a path. Raises CloudError for what would be none (empty, dots)."""
    if not server_id.strip("."):
        raise CloudError("that is no server id")
    return encode(server_id)


def is_unknown_job(error: CloudError) -> bool:
    """Return True if the service says that it has no such job: `Common.0011`, or 404."""
    return error.code == "Common.0011" or is_missing(error)


def is_missing(error: CloudError) -> bool:
    """Return True for a 404 with a code of the service. Without a code, or with the
    gateway's, the route is missing.
    """
    return (
        error.status == 404
        and bool(error.code)
        and not str(error.code).startswith(("APIGW.", "APIG."))
    )


@dataclass(slots=True)
class ListPages:
    """What has been collected. `size` is what the service really puts on a page; `counts`
    every total it told; `number` the pages there were; `newest` the latest `created` of a
    server (ISO 8601, to be compared as text).
    """

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
            raise CloudError(
                "the list answer has no servers", hint="check the endpoint of the target"
            )
        for item in listed:
            server = decode.server(item)
            if server is None:
                raise CloudError(
                    "an entry of the server list cannot be read: it has no id",
                    hint=(
                        "something on the way to the cloud may change its answers; nothing is "
                        "decided by half a list"
                    ),
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

        The total alone would not do: a server that was deleted after its page was read, and
        the one that its deletion moved from the next page to that one, make up for each
        other. Nor would equal totals: a server that is created in the moment in which
        another is deleted keeps them the same.
        """
        if not self.counts or self.number == 1:
            return self.counts <= {len(self.servers)}
        return self.counts == {len(self.servers)} and not (since and self.newest >= since)


async def list_all(fetch: Fetch, limit: int = PAGE, since: str = "") -> dict[str, Server]:
    """Every server by id, each once. Where the list seems to move while it is read, it is read once
    more, backwards.

    Backwards, what a deletion moves comes to a page that is still to be read; where new servers
    stand at the list's end, no server that was there all the time can be missed so. If that reading
    does not fit either, a third is made (for lists whose new servers stand in front), and all
    together are the answer. `since`: servers that were created since then show that the list moves
    (ISO 8601); empty for not to look. Raises CloudError (`InventoryIncomplete`) where all three
    together show fewer servers than the cloud counts.
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
        if (
            not is_full
            or number >= _MAX_PAGES
            or (pages.count is not None and number * size >= pages.count)
        ):
            break
        number += 1
    for page in range(number - 1, 0, -1):
        pages.add(await fetch(page, limit))
    return pages


async def _read(fetch: Fetch, limit: int) -> ListPages:
    """The first page, then the others at most four at a time, then what has been added
    meanwhile.
    """
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
    while (
        got >= pages.size
        and number < _MAX_PAGES
        and (pages.count is None or number * pages.size < pages.count)
    ):
        number += 1
        got = pages.add(await fetch(number, limit))
    pages.number = number
    return pages


async def _rest(fetch: Fetch, limit: int, pages: ListPages, last: int) -> int:
    """Pages 2 to `last`; how many entries the last one had. Each page is decoded and
    dropped at once.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    sizes: dict[int, int] = {}

    async def one(number: int) -> None:
        async with gate:
            sizes[number] = pages.add(await fetch(number, limit))

    await together(*(one(number) for number in range(2, last + 1)))
    return sizes[last]
