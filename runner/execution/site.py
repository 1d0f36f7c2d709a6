"""What a run works with: its targets, its clock, its store, and who watches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runner.errors import CloudError
from runner.execution.effects import Tuning
from runner.model.check import Check
from runner.model.events import Event, Why
from runner.model.gate import Gate, GateAnswer, GateState
from runner.model.inventory import Inventory, Server
from runner.model.job import Job, JobGone, NotSent, RebootAnswer
from runner.model.owner import Owner
from runner.model.run import Run
from runner.model.schedule import RebootType
from runner.model.window import CurrentFreezes
from runner.ports import BootClock, Capabilities, Clock, Cloud, Prober, Spool
from runner.ports.store import Store


class Nobody:
    """Asks no server: where a target has no way to its servers, no check passes."""

    async def ask(self, address: str, check: Check) -> str | None:
        return "there is no way from here to the servers of this target"


class LiveRules:
    """What is asked anew while a run goes on, because it may have changed since the run began.

    This class has no rules: nothing is forbidden, spared or frozen; and no gate is open,
    since nobody can ask one.
    """

    spares_any = False
    """Whether each process must look itself at servers before it asks for them."""

    def forbidden(self, run: Run, servers: Mapping[str, Server]) -> str | None:
        """Return why the run must stop before a wave of these servers, which were just
        read, by id.
        """
        return None

    def spared(
        self, run: Run, target: str, group: str, servers: Mapping[str, Server]
    ) -> Mapping[str, Why]:
        """Return those of a group's servers on a target that this process must not reboot."""
        return {}

    def freezes(self, run: Run, now: datetime) -> CurrentFreezes | None:
        """Return what the calendars of the run's plan close from a moment on; None where they
        are not at hand.

        Called in a thread. Must not raise.
        """
        return None

    async def ask(self, gate: Gate, servers: Mapping[str, Collection[str]]) -> GateAnswer:
        """Return what a gate says now; see `ports.Gatekeeper`. Must not raise."""
        return GateAnswer(GateState.CANNOT_TELL, "", "there is no way from here to ask it")


class Absent:
    """A target that could not be opened by this process: nothing is read, and nothing is sent.

    Whoever comes later may be able to; so the error is one that may pass, whatever it was.
    It names the target.
    """

    def __init__(self, name: str, why: CloudError) -> None:
        message = f"target {name} could not be opened: {why.message}"
        self._error = CloudError(message, hint=why.hint, code=why.code, status=why.status)
        self.capabilities = Capabilities(1, 1, frozenset())

    def held_s(self) -> float:
        return 0.0

    async def inventory(self) -> Inventory:
        raise self._error

    async def read_servers(self, ids: Collection[str]) -> Mapping[str, Server]:
        raise self._error

    async def reboot(
        self, ids: Collection[str], kind: RebootType, intended: datetime
    ) -> RebootAnswer:
        return NotSent(self._error.message)

    async def job(self, job_id: str) -> Job | JobGone:
        raise self._error

    async def reboot_history(self, server_id: str) -> tuple[datetime, ...]:
        raise self._error


@dataclass(frozen=True, slots=True)
class Site:
    """One target at work."""

    cloud: Cloud
    project_id: str
    tuning: Tuning
    prober: Prober = field(default_factory=Nobody)


def wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Setting:
    """The surroundings of a run in this process.

    `clock` is the run's time: it may run `time_scale` times faster than the wall clock
    (embedded simulated cloud). The store's clock and `wall` are real time, but in tests of
    virtual time. `boot`: what a run's time goes on by from that of its journal
    (`run_clock`); None where `clock` is simulated. `is_dead` tells of an owner that it is
    provably gone. `watch` is told of each event after it is durable; it must not raise.
    """

    store: Store
    sites: Mapping[str, Site]
    clock: Clock
    owner: Owner
    is_dead: Callable[[Owner], bool]
    time_scale: float = 1.0
    lease_s: float = 60.0
    wall: Callable[[], datetime] = wall_clock
    boot: BootClock | None = None
    watch: Callable[[Run, Event], None] = lambda run, event: None
    talk: Callable[[str], None] = lambda text: None
    spool: Spool | None = None
    rules: LiveRules = field(default_factory=LiveRules)
