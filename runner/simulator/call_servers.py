"""Reading servers and jobs: list, show, job query, action history, limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.simulator.answers import Reply, compact, ecs_error, flat_error, nova_error, ok, raw
from runner.simulator.auth import Request, query_pairs
from runner.simulator.documents import Documents, ghost
from runner.simulator.jobs import JobDocuments
from runner.simulator.state import Turn
from runner.simulator.timeline import Millis, iso_seconds, length_millis
from runner.simulator.world import View, World

MOST_BY_ID = 100
"""About as many ids fit into a request line (page "Querying Details About ECSs", `server_id`)."""

_WIDER = {
    "ACTIVE": {"ACTIVE", "REBOOT", "HARD_REBOOT", "REBUILD", "MIGRATING", "RESIZE"},
    "SHUTOFF": {"SHUTOFF", "RESIZE", "REBUILD"},
    "ERROR": {"ERROR", "REBUILD"},
    "VERIFY_RESIZE": {"VERIFY_RESIZE", "REVERT_RESIZE"},
}
"""The status filter works on the stable state, so it returns servers on their way too (same page, `status`)."""


@dataclass(frozen=True, slots=True)
class _Matches:
    """What a filter found, and while that holds."""

    filters: tuple[tuple[str, str], ...]
    version: int
    since: Millis
    until: Millis
    ids: list[str]


class Reader:
    """The read calls. Keeps serialised servers and jobs between calls; `fits` tells when they are outdated."""

    def __init__(self, world: World) -> None:
        self.documents = Documents(world)
        self.jobs = JobDocuments(world.fleet.options.seed)
        self._matches: _Matches | None = None

    def fits(self, world: World) -> bool:
        return self.documents.fits(world)

    # -- jobs ---------------------------------------------------------------------------------------------

    def job(self, turn: Turn, job_id: str) -> Reply:
        """`GET /v1/{project_id}/jobs/{job_id}`. Unknown, not yet visible or expired: Common.0011."""
        job = turn.world.job(job_id, turn.now)
        if job is None:
            return flat_error("Common.0011", status=int(turn.world.switches.gone_job))
        return raw(self.jobs.get(job, turn.now))

    # -- list and show ------------------------------------------------------------------------------------

    def list_servers(self, request: Request, turn: Turn) -> Reply:
        """`GET /v1/{project_id}/cloudservers/detail`: a page of the servers that match; `count` is their total."""
        query = query_pairs(request.query)
        wanted = dict(query)
        world = turn.world
        if world.switches.cloud == "huaweicloud" and "server_id" in wanted:
            return self._by_id(request, turn, [i for k, v in query if k == "server_id" for i in v.split(",")])
        granted = world.switches.only_enterprise_project
        if granted is not None and wanted.get("enterprise_project_id") != granted:
            return ecs_error("Pdp.0001", "Policy does not allow ecs:cloudServers:list to be performed.")
        limit, page = whole(wanted.get("limit", "25"), 1, 1000), whole(wanted.get("offset", "1"), 0, None)
        if limit is None or page is None:
            return ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": "limit or offset is invalid"}])
        found = self._found(turn, wanted)
        start = (max(page, 1) - 1) * limit
        if "marker" in wanted and world.switches.cloud == "huaweicloud":
            start = after(found, wanted["marker"])
        shown = found[: max(0, len(found) - world.switches.unlisted)]
        return self._page(request, turn, shown[start : start + limit], len(found))

    def _found(self, turn: Turn, wanted: Mapping[str, str]) -> list[str]:
        """Ids of the servers that match, kept from page to page as long as nothing changes."""
        world, now = turn.world, turn.now
        filters = tuple(sorted((k, v) for k, v in wanted.items() if k not in ("limit", "offset", "marker")))
        if not filters:
            return world.roster(now)
        kept = self._matches
        if (
            kept is None
            or (kept.filters, kept.version) != (filters, world.version)
            or not kept.since <= now < kept.until
        ):
            kept = self._matches = _Matches(filters, world.version, *world.steady(now), _filtered(turn, wanted))
        return kept.ids

    def _by_id(self, request: Request, turn: Turn, ids: list[str]) -> Reply:
        """All other filters are ignored; an id that does not exist comes back as a ghost."""
        ids = list(dict.fromkeys(i for i in ids if i))
        if not 1 <= len(ids) <= MOST_BY_ID:
            return ecs_error("Ecs.0005", details=[{"code": "Ecs.0005", "message": "too many values of server_id"}])
        world, now = turn.world, turn.now
        bodies = [self.documents.get(i, now) if world.exists(i, now) else compact(ghost(i)) for i in ids]
        return _listing(request, bodies, len(bodies))

    def _page(self, request: Request, turn: Turn, ids: Iterable[str], total: int) -> Reply:
        return _listing(request, [self.documents.get(i, turn.now) for i in ids], total)

    def show(self, turn: Turn, server_id: str) -> Reply:
        """`GET /v1/{project_id}/cloudservers/{server_id}`; absent: 404 Ecs.0114."""
        if not turn.world.exists(server_id, turn.now):
            return ecs_error("Ecs.0114", f"Instance[{server_id}] could not be found.")
        return raw(b'{"server":' + self.documents.get(server_id, turn.now) + b"}")

    def limits(self, turn: Turn) -> Reply:
        """`GET /v1/{project_id}/cloudservers/limits`: quotas; only the group's are meant."""
        used = len(turn.world.roster(turn.now))
        return ok(
            {
                "absolute": {
                    "maxTotalInstances": max(1000, used),
                    "totalInstancesUsed": used,
                    "maxServerGroups": max(10, len(turn.world.fleet.groups)),
                    "totalServerGroupsUsed": len(turn.world.fleet.groups),
                    "maxServerGroupMembers": 16,
                }
            }
        )


def _listing(request: Request, bodies: list[bytes], total: int) -> Reply:
    return raw(
        b'{"count":%d,"request_id":"%b","servers":[%b]}' % (total, request.request_id.encode(), b",".join(bodies))
    )


def whole(text: str, least: int, most: int | None) -> int | None:
    if not text.isdecimal() or len(text) > 9:
        return None
    number = int(text)
    return number if number >= least and (most is None or number <= most) else None


def after(ids: list[str], marker: str) -> int:
    """The position after the marker. A marker that is no longer listed gives the first page (a guess)."""
    try:
        return ids.index(marker) + 1
    except ValueError:
        return 0


def _filtered(turn: Turn, wanted: Mapping[str, str]) -> list[str]:
    """Ids of the servers that match all filters of the query, in the list's order."""
    world, now = turn.world, turn.now
    found = world.roster(now)
    if flavor := wanted.get("flavor"):
        found = [i for i in found if world.servers[i].flavor == flavor]
    if name := wanted.get("name"):
        match = _name_matcher(name)
        found = [i for i in found if match(world.servers[i].name)]
    if ip := wanted.get("ip"):
        found = [i for i in found if ip in world.servers[i].address]
    if world.switches.cloud == "huaweicloud":
        if ip := wanted.get("ip_eq"):
            found = [i for i in found if ip == world.servers[i].address]
        project = wanted.get("enterprise_project_id", "all_granted_eps")
        if project != "all_granted_eps":
            found = [i for i in found if world.servers[i].enterprise_project == project]
    return _filtered_by_view(turn, wanted, found)


def _filtered_by_view(turn: Turn, wanted: Mapping[str, str], found: list[str]) -> list[str]:
    world, now = turn.world, turn.now
    if status := wanted.get("status"):
        statuses = _WIDER.get(status, {status})
        found = [i for i in found if world.view(i, now).status in statuses]
    if tag := wanted.get("tags"):
        found = [i for i in found if _has_tag(world.view(i, now), tag)]
    if tag := wanted.get("not-tags"):
        found = [i for i in found if not _has_tag(world.view(i, now), tag)]
    return found


def _name_matcher(pattern: str) -> Callable[[str], object]:
    """Fuzzy: the value acts like a regular expression found anywhere; one that is none is looked for as text."""
    try:
        return re.compile(pattern).search
    except re.error:
        return re.compile(re.escape(pattern)).search


def _has_tag(view: View, wanted: str) -> bool:
    """`key=value`, or `key` with any value."""
    key, equals, value = wanted.partition("=")
    return any(k == key and (not equals or v == value) for k, v in view.tags)


def actions(turn: Turn, server_id: str) -> Reply:
    """`GET /v2.1/{project_id}/servers/{server_id}/os-instance-actions`: newest first, its creation last."""
    world = turn.world
    if not turn.world.exists(server_id, turn.now):
        return nova_error(404, "itemNotFound", f"Instance {server_id} could not be found.")
    fleet = world.fleet
    seen_until = turn.now - length_millis(world.switches.history_lag)
    common = {"instance_uuid": server_id, "project_id": fleet.project_id, "user_id": fleet.user_id}
    lines: list[dict[str, Any]] = []
    for accepted, part in reversed(world.reboots_of(server_id)):
        if part.begins > seen_until:
            continue
        has_failed = part.sub_status == "FAIL" and part.ends is not None and part.ends <= seen_until
        lines.append(
            {
                "action": "reboot",
                **common,
                "message": "Error" if has_failed else None,
                "request_id": accepted.request_id,
                "start_time": iso_seconds(part.begins)[:-1] + ".000000",
            }
        )
    created = world.servers[server_id].created
    lines.append(
        {
            "action": "create",
            **common,
            "message": None,
            "request_id": "",
            "start_time": iso_seconds(created)[:-1] + ".000000",
        }
    )
    return ok({"instanceActions": lines})
