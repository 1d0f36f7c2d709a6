"""What the core asks of the outside. Small protocols; the edges implement them, `cli`
joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runner.model.check import Check
from runner.model.events import BatchAccepted
from runner.model.gate import Gate, GateAnswer
from runner.model.inventory import Inventory, Server
from runner.model.job import Action, Job, JobGone, RebootAnswer
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


class Cloud(Protocol):
    """One target. Reads are retried inside; the reboot never is. All raise CloudError or
    CloudDenied but `reboot`.
    """

    async def inventory(self) -> Inventory:
        """All servers of the target, with its server groups."""
        ...

    async def read_servers(self, ids: Collection[str]) -> Mapping[str, Server]:
        """These servers as they are now, by the cheaper of id filter and full list. Missing
        ones are left out.
        """
        ...

    async def reboot(
        self, ids: Collection[str], kind: RebootType, signed_at: datetime
    ) -> RebootAnswer:
        """Ask for one batch, once, on a fresh connection. Never raises for anything the
        network or the cloud does.

        `signed_at`: the instant of the intent. An AK/SK signature carries it, so that the
        gateway refuses a request that arrives more than 15 minutes late.
        """
        ...

    async def job(self, job_id: str) -> Job | JobGone: ...

    async def actions(self, server_id: str) -> tuple[Action, ...]:
        """The action history of one server, newest first."""
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
