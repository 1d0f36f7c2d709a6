"""Servers and server groups of one project: all of them, or some, in the way that the cloud allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from runner.cloud import decode, listing
from runner.cloud.reader import Answer
from runner.errors import CloudError
from runner.inputs.fields import as_list, as_text
from runner.model.inventory import Server, ServerGroup
from runner.net.wire import encode

IDS_A_REQUEST = 100
"""Ids in one `server_id` filter: about 100 for the length of the URI ("Querying Details About ECSs")."""

RECENTLY = timedelta(minutes=15)
"""Servers created within this time count as just created: longer than a list takes to read, as clocks differ."""

_SHOW_AT_MOST = 3
_MAX_GROUP_PAGES = 100

Get = Callable[..., Awaitable[Answer]]
"""(path, *query) -> a good answer. Raises CloudError, CloudDenied."""


class Servers:
    """Reads of `/v1/{project_id}/cloudservers`. Remembers how large the fleet was. `filters` go with every list."""

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
        servers = await listing.list_all(page, since=recently)
        self._fleet = len(servers)
        return servers

    async def some(self, ids: Collection[str]) -> dict[str, Server]:
        """These servers; those the cloud does not know are left out.

        By the `server_id` filter where there is one, and where that takes no more requests than the list has pages.
        Without it up to three servers are read one by one.
        """
        wanted = dict.fromkeys(ids)
        if not wanted:
            return {}
        if not self._has_id_filter:
            if len(wanted) <= _SHOW_AT_MOST:
                return await self._show(wanted)
        else:
            pages = 1 if self._fleet is None else -(-self._fleet // listing.PAGE)
            if -(-len(wanted) // IDS_A_REQUEST) <= max(pages, 1):
                found = await self._filtered(list(wanted))
                if found is not None:
                    return found
        servers = await self.all()
        return {i: servers[i] for i in wanted if i in servers}

    async def _filtered(self, ids: list[str]) -> dict[str, Server] | None:
        """By the `server_id` filter. None where the answer is silent about some ids: then only the list is sure.

        For an id that does not exist the service answers with an entry whose fields are null ("ghost").
        """
        found: dict[str, Server] = {}
        for start in range(0, len(ids), IDS_A_REQUEST):
            part = ids[start : start + IDS_A_REQUEST]
            named = (("limit", str(listing.PAGE)), ("server_id", ",".join(part)))
            answer = await self._get(f"{self._path}/detail", *named, *self._filters)
            entries = as_list(answer.value.get("servers"))
            ghosts = {g for g in map(decode.ghost, entries) if g is not None}
            here = {s.id: s for s in map(decode.server, entries) if s is not None and s.id not in ghosts}
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

        Raises CloudDenied and CloudError; where they do not come to an end, too: a spread over some of the groups
        would be none.
        """
        found: dict[str, ServerGroup] = {}
        marker = ""
        for _ in range(_MAX_GROUP_PAGES):
            more = (("marker", marker),) if marker else ()
            answer = await self._get(f"{self._path}/os-server-groups", ("limit", str(listing.PAGE)), *more)
            try:
                entries = decode.server_groups(answer.value)
            except ValueError as error:
                raise CloudError(str(error), status=answer.reply.status) from None
            known = len(found)
            found.update((g.id, g) for g in entries)
            # `page_info` decides where there is one, whatever the page's size. OTC's page has it in the table and not
            # in the example ("Querying ECS Groups"): without it a full page is followed by what comes after its last
            # id, which is what `marker` means on both clouds.
            info = answer.value.get("page_info")
            last = entries[-1].id if len(entries) >= listing.PAGE else ""
            marker = as_text(info.get("next_marker")) if isinstance(info, dict) else last
            if not marker or len(found) == known:
                return tuple(sorted(found.values(), key=lambda g: g.id))
        raise CloudError(f"the list of server groups does not come to an end within {_MAX_GROUP_PAGES} pages")


def segment(server_id: str) -> str:
    """An id as one segment of a path. Raises CloudError for what would be none (empty, dots)."""
    if not server_id.strip("."):
        raise CloudError("that is no server id")
    return encode(server_id)


def is_unknown_job(error: CloudError) -> bool:
    """Return True if the service says that it has no such job: `Common.0011`, or 404."""
    return error.code == "Common.0011" or is_missing(error)


def is_missing(error: CloudError) -> bool:
    """Return True for a 404 with a code of the service. Without a code, or with the gateway's, the route is missing."""
    return error.status == 404 and bool(error.code) and not str(error.code).startswith(("APIGW.", "APIG."))
