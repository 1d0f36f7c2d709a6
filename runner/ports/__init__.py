"""What the core asks of the outside. Small protocols; the edges implement them, `cli`
joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from runner.model.check import Check
from runner.model.events import BatchAccepted
from runner.model.gate import Gate, GateAnswer
from runner.model.inventory import Inventory, Server
from runner.model.job import Job, JobGone, RebootAnswer
from runner.model.schedule import RebootType
from runner.model.surroundings import Surroundings


class Clock(Protocol):
    """Time. `now` is aware UTC and may run faster than a wall clock (simulated targets); it
    never jumps back.
    """

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock's time."""
        ...


@dataclass(frozen=True, slots=True)
class BootClock:
    """Seconds since the machine booted, its sleep included; never set. `id`: equal for all
    processes that share it, empty where that is not known.
    """

    id: str
    seconds: Callable[[], float]


class EvidenceKind(StrEnum):
    """What can prove that a server was rebooted."""

    JOB = "job"
    """An accepted request has a job that ends with a result for each server."""
    STATE = "state"
    """A server that is rebooting shows it."""
    HISTORY = "history"
    """The times of a server's reboots can be read."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one cloud can do, and what it proves.

    `servers_per_request`, `servers_per_minute`: the most that it takes. `valid_for`: how
    long after its intent a request that was delayed on its way can still take effect; None
    where there is no bound. `repeats_safely`: the adapter repeats a request whose answer is
    lost by itself, because an idempotency token keeps the cloud from acting twice.
    """

    servers_per_request: int
    servers_per_minute: int
    evidence: frozenset[EvidenceKind]
    valid_for: timedelta | None = None
    repeats_safely: bool = False


class Cloud(Protocol):
    """One target. Reads are retried inside; the reboot is not. All raise CloudError or
    CloudDenied but `reboot`.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    async def inventory(self) -> Inventory:
        """Return all servers of the target, with its server groups."""
        ...

    async def read_servers(self, ids: Collection[str]) -> Mapping[str, Server]:
        """Return these servers as they are now. Missing ones are left out."""
        ...

    async def reboot(
        self, ids: Collection[str], kind: RebootType, intended: datetime
    ) -> RebootAnswer:
        """Ask for one batch. Never raises for anything the network or the cloud does.

        `intended`: real time of the intent. `capabilities.valid_for` counts from it.
        """
        ...

    async def job(self, job_id: str) -> Job | JobGone: ...

    async def reboot_history(self, server_id: str) -> tuple[datetime, ...]:
        """Return when one server was rebooted, newest first, by the cloud's own history."""
        ...

    def held_s(self) -> float:
        """Return the real seconds for which nothing is to be sent, because the cloud
        throttles this process; 0 for none.
        """
        ...


class Prober(Protocol):
    """Asks servers themselves. Reads only, and never the cloud."""

    async def ask(self, address: str, check: Check) -> str | None:
        """None when the check passes, else what came instead, in words.

        Bounded in time and size. Never raises for anything the network or the server does.
        """
        ...


class Alarms(Protocol):
    """The alarms of one target. Reads only."""

    async def alarming(self, ids: Collection[str]) -> Mapping[str, str]:
        """Those of the servers that an alarm is on for, each with the alarm's name.

        Raises CloudError where that cannot be told, CloudDenied where it may not be asked.
        """
        ...


class Trials(Protocol):
    """What the credentials of one target may do, found out by reads that change nothing."""

    async def log_in(self) -> None:
        """Obtain what requests are signed with, where the environment does not hold it.

        Raises CloudDenied, CloudError.
        """
        ...

    async def try_read(self, what: str, server_id: str = "") -> None:
        """One harmless read; its answer is dropped. `what`: a `Trial` of `cloud.permissions`;
        some read `server_id`.

        Raises CloudDenied where it is not allowed, CloudError where it fails otherwise.
        """
        ...

    async def project_of_region(self) -> str:
        """The id of the region's own project, asked of IAM whatever is configured. Raises
        CloudError, CloudDenied.
        """
        ...


class Surveyor(Protocol):
    """What else one target knows of its servers. Reads only, and only advice comes of it."""

    async def surroundings(self) -> Surroundings:
        """Auto-scaling groups and scheduled events of the whole target. What cannot be read
        is told, never raised.
        """
        ...


class Gatekeeper(Protocol):
    """Asks gates. Reads only."""

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        """The answer now. `servers`: the ids of the schedule's servers, by target.

        Bounded in time and size. Never raises for anything that the network or the other
        side does: what cannot be told is an answer too.
        """
        ...


class Spool(Protocol):
    """Where facts wait that the store could not take: job ids, above all."""

    def put(self, run_id: str, fact: BatchAccepted) -> object:
        """Keep a fact on this machine's disk; returns where, for people."""
        ...

    def read(self, run_id: str) -> list[BatchAccepted]: ...

    def clear(self, run_id: str) -> None: ...
