"""The simulated world: the fleet and the log folded into what can be asked at any moment.

`fold` takes the log's lines in order; every other method is a question with the time as an
argument, and changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from runner.simulator import events as ev
from runner.simulator.answers import ECS_TEXTS
from runner.simulator.chance import pick_hex, pick_share
from runner.simulator.faults import REFUSAL_TIME, JobFail, JobUnknown, RebootPart
from runner.simulator.fleet import FleetServer, SimulatedFleet
from runner.simulator.rules import Hit, Rules
from runner.simulator.switches import Switches
from runner.simulator.timeline import Millis, length_millis

QUOTA_WINDOW: Millis = 60_000
BUILDING: Millis = 180_000
"""How long a server is made: it is listed, and `updated`, so long after its `created`."""
BEGIN_LAG: Millis = 100
"""From acceptance to a sub-job's begin (recorded: 0.09 s)."""
BESIDE = ("alarm", "scaling_group", "scheduled_event")
"""What other services know of servers: changes with such a value leave the servers as they are."""


@dataclass(frozen=True, slots=True)
class View:
    """A server at one moment."""

    status: str
    task_state: str | None
    updated: Millis
    tags: tuple[tuple[str, str], ...]
    locked: bool = False
    frozen: bool = False
    deleted: bool = False
    fault: dict[str, Any] | None = None


class World:
    """Folded log. Not safe for threads by itself: `state.State` guards it."""

    def __init__(self, fleet: SimulatedFleet, switches: Switches) -> None:
        self.fleet = fleet
        self.switches = switches
        self.rules = Rules(fleet.options.seed)
        self.servers: dict[str, FleetServer] = {s.id: s for s in fleet.servers}
        self.created: dict[str, Millis] = {}
        self.beside: dict[str, list[ev.Changed]] = {word: [] for word in BESIDE}
        self.reboots: defaultdict[str, list[tuple[ev.AcceptedBatch, RebootPart]]] = defaultdict(
            list
        )
        self.changes: defaultdict[str, list[ev.Changed]] = defaultdict(list)
        self.jobs: dict[str, ev.AcceptedBatch] = {}
        self.calls: list[ev.Called] = []
        self.accepted: list[ev.AcceptedBatch] = []
        self.tokens: dict[str, Millis] = {}
        self.unscoped: set[str] = set()
        self.latest: Millis = 0
        self._asked: deque[tuple[Millis, int]] = deque()
        self.deletions: list[ev.Changed] = []

    def fold(self, event: ev.Event) -> None:
        """Take in the next line of the log."""
        if not isinstance(event, ev.Changed | ev.Created):  # these may lie ahead
            self.latest = max(self.latest, event.at)
        match event:
            case ev.Called():
                self.calls.append(event)
            case ev.AcceptedBatch():
                self.jobs[event.job] = event
                self.accepted.append(event)
                if event.by == "api":
                    self._asked.append((event.at, len(event.parts)))
                for part in event.parts:
                    self.reboots[part.server].append((event, part))
            case ev.Changed() if word := next((w for w in BESIDE if w in event.values), None):
                self.beside[word].append(event)
            case ev.Changed():
                for server in event.servers:
                    self.changes[server].append(event)
                if "deleted" in event.values:
                    self.deletions.append(event)
            case ev.Created():
                for _ in range(event.count):
                    newcomer = replace(
                        self.fleet.newcomer(len(self.created)), created=event.at - BUILDING
                    )
                    self.servers[newcomer.id] = newcomer
                    self.created[newcomer.id] = event.at
            case ev.RulesAdded():
                self.rules.add(event)
            case ev.RulesMet():
                self.rules.met(event)
            case ev.Switched():
                self.switches = event.switches
            case ev.TokenIssued():
                self.tokens[event.digest] = event.expires
                if not event.is_scoped:
                    self.unscoped.add(event.digest)
            case ev.TokensExpired():
                self.tokens = dict.fromkeys(self.tokens, 0)

    def roster(self, now: Millis) -> list[str]:
        """Ids of the servers that exist, in the order of their creation."""
        gone = {
            server for change in self.deletions if change.is_on(now) for server in change.servers
        }
        gone.update(server for server, at in self.created.items() if at > now)
        return [server for server in self.servers if server not in gone]

    def view(self, server_id: str, now: Millis) -> View:
        """A server as lists and shows see it, late by its lag. The server must be one
        of `servers`.
        """
        return self._look(server_id, now, is_lagging=True)

    def truth(self, server_id: str, now: Millis) -> View:
        """A server as it really is, without any lag."""
        return self._look(server_id, now, is_lagging=False)

    def exists(self, server_id: str, now: Millis) -> bool:
        """Whether the project has this server now: created, and not deleted."""
        if server_id not in self.servers or self.created.get(server_id, now) > now:
            return False
        return not self.view(server_id, now).deleted

    def _look(self, server_id: str, now: Millis, *, is_lagging: bool) -> View:
        server = self.servers[server_id]
        status, task, updated = server.status, server.task_state, server.created + BUILDING
        edges: list[Millis] = []
        fault = None
        for accepted, part in self.reboots.get(server_id, ()):
            if not part.goes_down:
                continue
            lag = part.lag if is_lagging else 0
            down, up = part.begins + lag, None if part.back is None else part.back + lag
            edges += [down] if up is None else [down, up]
            if down > now:
                continue
            fault = None
            if up is None or now < up:
                is_hard = accepted.type == "HARD"  # the table of server states
                status = "HARD_REBOOT" if is_hard else "REBOOT"
                task = "reboot_started_hard" if is_hard else "reboot_started"
            else:
                status, task = part.back_to, None
                if status == "ERROR":
                    fault = {
                        "code": 500,
                        "created": part.back,
                        "message": part.reason or "",
                        "details": "",
                    }
        values: dict[str, Any] = {}
        for change in self.changes.get(server_id, ()):
            edges += [change.at] if change.until is None else [change.at, change.until]
            if change.is_on(now):
                values |= change.values
        past = [e for e in edges if e <= now]
        return View(
            status=values.get("status", status),
            task_state=values.get("task_state", task),
            updated=max([updated, *past]),
            tags=tuple(values["tags"].items()) if "tags" in values else server.tags,
            locked=values.get("locked", server.locked),
            frozen=values.get("frozen", server.frozen),
            deleted=values.get("deleted", False),
            fault=values.get("fault", fault),
        )

    def back_at(self, server_id: str, now: Millis) -> Millis | None:
        """When the reboot that is running (or queued) on a server ends; `now` if none is;
        None: never.
        """
        latest = now
        for _, part in self.reboots.get(server_id, ()):
            if part.goes_down:
                if part.back is None:
                    return None
                latest = max(latest, part.back)
        return latest

    def reboots_of(self, server_id: str) -> list[tuple[ev.AcceptedBatch, RebootPart]]:
        """Every accepted reboot in which the server went down, oldest first."""
        return [(a, p) for a, p in self.reboots.get(server_id, ()) if p.goes_down]

    def quota_free_at(self, now: Millis, wanted: int) -> Millis:
        """When `wanted` more servers fit into the 60 s: at once, or after older batches
        have left the window.
        """
        while self._asked and self._asked[0][0] <= now - QUOTA_WINDOW:
            self._asked.popleft()
        excess = sum(count for _, count in self._asked) + wanted - self.switches.quota_servers
        for at, count in self._asked:
            if excess <= 0:
                break
            excess -= count
            now = at + QUOTA_WINDOW
        return now

    def job(self, job_id: str, now: Millis) -> ev.AcceptedBatch | None:
        """The job, if the cloud knows it at this moment: not before it is visible, not
        after it was deleted.
        """
        job = self.jobs.get(job_id)
        if (
            job is None
            or job.by != "api"
            or now < job.visible
            or (job.gone is not None and now >= job.gone)
        ):
            return None
        return job

    def reboot_counts(self) -> Counter[str]:
        """How often each server was sent down by the API. The judge of "never twice"."""
        batches = [a for a in self.accepted if a.by == "api"]
        return Counter(p.server for a in batches for p in a.parts if p.goes_down)


def accept(
    world: World,
    now: Millis,
    servers: Sequence[str],
    kind: str,
    *,
    request_id: str = "",
    troubles: Mapping[str, str] | None = None,
    hits: Iterable[Hit] = (),
) -> ev.AcceptedBatch:
    """Accept a batch. `troubles`: servers whose sub-job only fails, each with its code.
    `hits`: faults.

    Equal worlds accept the same batch in the same way, ids and durations included.
    """
    switches = world.switches
    seed, number = world.fleet.options.seed, len(world.accepted)
    hits = tuple(hits)
    parts: list[RebootPart] = []
    for index, server in enumerate(servers):
        if code := (troubles or {}).get(server):
            parts.append(_failing(now + BEGIN_LAG, server, code))
            continue
        begins = now + BEGIN_LAG + int(100 * pick_share(seed, "begin", number, index))
        if switches.rebooting_servers == "queue":
            earlier = world.back_at(server, begins)
            begins = begins if earlier is None else max(begins, earlier)
        back = begins + world.fleet.reboot_millis(server, len(world.reboots_of(server)), kind)
        part = RebootPart(
            server, begins, ends=back, back=back, lag=length_millis(switches.state_lag)
        )
        for hit in hits:
            if server in hit.servers:
                part = hit.rule.decide(part)
        parts.append(part)
    last = [p.ends for p in parts if p.ends is not None]
    ends = max(last) + length_millis(switches.parent_lag) if len(last) == len(parts) else None
    unknown = [h.rule.seconds for h in hits if isinstance(h.rule, JobUnknown)]
    return ev.AcceptedBatch(
        at=now,
        job="ff8080828" + pick_hex(seed, "job", number, digits=23),
        request_id=request_id or pick_hex(seed, "accepted", number),
        type=kind,
        parts=tuple(parts),
        visible=now + length_millis(max([switches.job_visible_after, *unknown])),
        runs_from=now + length_millis(switches.init),
        ends=ends,
        gone=None if ends is None else ends + length_millis(switches.job_kept),
        status=_parent_status(switches, parts, hits),
    )


def _failing(begins: Millis, server: str, code: str) -> RebootPart:
    conflict: dict[str, Any] = {"code": 409, "message": f"Cannot 'reboot' instance {server}"}
    return RebootPart(
        server,
        begins,
        ends=begins + REFUSAL_TIME,
        sub_status="FAIL",
        goes_down=False,
        code=code,
        reason=ECS_TEXTS[code][1],
        message=json.dumps({"conflictingRequest": conflict}),
    )


def _parent_status(
    switches: Switches, parts: Sequence[RebootPart], hits: Iterable[Hit]
) -> Literal["SUCCESS", "FAIL"]:
    failed = sum(p.sub_status == "FAIL" for p in parts)
    if not failed:
        return "SUCCESS"
    for hit in hits:
        if isinstance(hit.rule, JobFail) and hit.rule.parent:
            return hit.rule.parent
    return "FAIL" if failed == len(parts) else switches.parent_of_mixed
