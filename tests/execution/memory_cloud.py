"""A cloud in memory behind the port `Cloud`, in virtual time: for laws that need
thousands of runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from runner.model.inventory import Inventory, PowerState, Server, Task
from runner.model.job import (
    Accepted,
    Ambiguous,
    Job,
    JobGone,
    JobStatus,
    RebootAnswer,
    SubJob,
)
from runner.model.schedule import RebootType
from runner.ports import Capabilities, EvidenceKind

START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


class VirtualClock:
    """Time that jumps: sleeping costs nothing."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.slept = 0.0

    def now(self) -> datetime:
        return self._now

    def seconds(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._now += timedelta(seconds=max(0.0, seconds))

    def jump(self, **length: float) -> None:
        self._now += timedelta(**length)


@dataclass(slots=True)
class Reboot:
    """One accepted reboot of one server."""

    server: str
    job: str
    began: datetime
    takes: float = 40.0
    fails: str | None = None
    never_ends: bool = False

    @property
    def ended(self) -> datetime:
        return self.began + timedelta(seconds=1e9 if self.never_ends else self.takes)


Answer = Callable[["MemoryCloud", Collection[str]], RebootAnswer | None]
"""A fault: returns an answer instead of the cloud's, or None; it may accept first (`cloud.accept`).
"""


@dataclass
class MemoryCloud:
    """Servers s-000 …; `answers` are faults taken in turn, one a request; `takes`, `fails`,
    `stuck` by server id.

    The job of a `stuck` server never ends although it was rebooted; that of an `idle` one
    never ends either, and nothing happens to the server.
    """

    clock: VirtualClock
    servers: dict[str, Server]
    answers: list[Answer | None] = field(default_factory=list)
    takes: dict[str, float] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    reboots: list[Reboot] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    before_call: Callable[[str], None] = lambda name: None
    after_call: Callable[[str], None] = lambda name: None
    parent_lag: float = 8.0
    forgotten_jobs: set[str] = field(default_factory=set)
    history_readable: bool = True

    @classmethod
    def of(cls, count: int, clock: VirtualClock) -> MemoryCloud:
        names = [f"s-{i:03d}" for i in range(count)]
        fleet = {
            n: Server(n, f"web-{n}", zone=f"z{i % 3}", updated="u0") for i, n in enumerate(names)
        }
        return cls(clock, fleet)

    def times_rebooted(self) -> Counter[str]:
        return Counter(r.server for r in self.reboots)

    def accept(self, ids: Collection[str]) -> Accepted:
        job = f"job-{len({r.job for r in self.reboots}) + 1}"
        now = self.clock.now()
        for server in ids:
            self.reboots.append(
                Reboot(
                    server,
                    job,
                    now,
                    self.takes.get(server, 40.0),
                    self.fails.get(server),
                    server in self.stuck | self.idle,
                )
            )
        return Accepted(job)

    def see(self, server_id: str) -> Server | None:
        """The server as it reads now: in REBOOT while one runs; `updated` moves at
        begin and end.
        """
        server = self.servers.get(server_id)
        mine = [r for r in self.reboots if r.server == server_id and server_id not in self.idle]
        if server is None or not mine:
            return server
        last, now = mine[-1], self.clock.now()
        if now < last.ended and not last.never_ends:
            return replace(
                server,
                state=PowerState.REBOOTING,
                task=Task.REBOOT,
                words="status REBOOT, task reboot_started",
                updated=f"u{len(mine)}a",
            )
        if server_id in self.dead:
            server = replace(server, state=PowerState.STOPPED, words="status SHUTOFF")
        return replace(server, updated=f"u{len(mine)}b")

    # --- the port ---

    capabilities = Capabilities(
        servers_per_request=1_000, servers_per_minute=1_000, evidence=frozenset(EvidenceKind)
    )

    def held_s(self) -> float:
        return 0.0

    async def inventory(self) -> Inventory:
        self._call("inventory")
        seen = tuple(s for s in (self.see(i) for i in sorted(self.servers)) if s)
        return Inventory(seen, self.clock.now())

    async def read_servers(self, ids: Collection[str]) -> Mapping[str, Server]:
        self._call("read_servers")
        found = {i: s for i in ids if (s := self.see(i)) is not None}
        self.after_call("read_servers")
        return found

    async def reboot(
        self, ids: Collection[str], kind: RebootType, intended: datetime
    ) -> RebootAnswer:
        self._call("reboot")
        fault = self.answers.pop(0) if self.answers else None
        answer = (fault(self, ids) if fault else None) or self.accept(ids)
        self.after_call("reboot")
        return answer

    async def job(self, job_id: str) -> Job | JobGone:
        self._call("job")
        parts = [r for r in self.reboots if r.job == job_id]
        if not parts or job_id in self.forgotten_jobs:
            return JobGone(job_id)
        now = self.clock.now()
        subs = {r.server: self._sub(r, now) for r in parts}
        over = all(s.status.is_final for s in subs.values())
        last = max(r.ended for r in parts)
        final = over and now >= last + timedelta(seconds=self.parent_lag)
        if final and now > last + timedelta(days=1):
            return JobGone(job_id)
        failed = any(s.status is JobStatus.FAIL for s in subs.values())
        status = (JobStatus.FAIL if failed else JobStatus.SUCCESS) if final else JobStatus.PENDING
        self.after_call("job")
        return Job(job_id, status, subs)

    async def reboot_history(self, server_id: str) -> tuple[datetime, ...]:
        self._call("reboot_history")
        if not self.history_readable:
            from runner.errors import CloudError

            raise CloudError("history is not readable")
        mine = [r for r in self.reboots if r.server == server_id and server_id not in self.idle]
        return tuple(r.began for r in reversed(mine))

    def _call(self, name: str) -> None:
        self.calls[name] += 1
        self.before_call(name)

    @staticmethod
    def _sub(reboot: Reboot, now: datetime) -> SubJob:
        if now < reboot.ended:
            return SubJob(reboot.server, JobStatus.PENDING, reboot.began)
        if reboot.fails:
            return SubJob(
                reboot.server, JobStatus.FAIL, reboot.began, reboot.ended, "Ecs.0227", reboot.fails
            )
        return SubJob(reboot.server, JobStatus.SUCCESS, reboot.began, reboot.ended)


def lost_after_acceptance(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    """The cloud accepted; its answer never came."""
    cloud.accept(ids)
    return Ambiguous("the connection was reset")


def lost_before_acceptance(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    """The request never reached the service; nobody can tell."""
    return Ambiguous("the connection was reset")
