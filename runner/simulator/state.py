"""The simulated cloud's state: log and clock behind one lock, and what a test or a report
may ask of it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from runner.simulator import events as ev
from runner.simulator.faults import CreateServers, RebootBySomebody, RebootPart, Rule, WorldRule
from runner.simulator.fleet import FleetOptions, SimulatedFleet, generate
from runner.simulator.log import Log, MemoryLog, SqliteLog
from runner.simulator.switches import KnownLogins, Switches
from runner.simulator.timeline import (
    Anchor,
    Millis,
    ScaledClock,
    SimClock,
    Wall,
    from_millis,
    length_millis,
    to_millis,
    utc_now,
)
from runner.simulator.world import World, accept


@dataclass(frozen=True)
class CloudOptions:
    """What to simulate. `time_scale`: simulated seconds per real second. `control`: serve
    `/_simulator`.

    `scenario` names the source of `rules`: a state file takes the rules of one source once.
    """

    fleet: FleetOptions | SimulatedFleet = field(default_factory=FleetOptions)
    credentials: KnownLogins | None = None
    switches: Switches = field(default_factory=Switches)
    rules: tuple[Rule, ...] = ()
    scenario: str = ""
    time_scale: float = 1.0
    control: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.time_scale <= 1_000_000:
            raise ValueError("the time scale is over 0, up to 1,000,000")


@dataclass(frozen=True, slots=True)
class AcceptedReboot:
    """One server that the cloud sent down. `ends` is None if its job never ends, `back` if
    it never comes back.
    """

    server_id: str
    job_id: str
    request_id: str
    type: str
    at: datetime
    begins: datetime
    ends: datetime | None
    back: datetime | None
    status: str
    by: str


@dataclass(slots=True)
class WorldTurn:
    """One undisturbed look at the world: nobody else reads or writes while it lasts. `now`
    stands still.
    """

    world: World
    now: Millis
    wall: Millis
    log: Log
    credentials: KnownLogins
    has_written: bool = field(default=False)

    def append(self, event: ev.Event) -> None:
        """Make it so: fold the event and keep its line."""
        self.log.append(event)
        self.world.fold(event)
        self.has_written = True

    def apply(self, rule: Rule) -> None:
        """Carry out a world rule: now if it has `on`, else at its `at`, counted from now.
        Others do nothing.
        """
        if not isinstance(rule, WorldRule):
            return
        world = self.world
        at = self.now if rule.on or rule.at is None else self.now + length_millis(rule.at)
        if isinstance(rule, CreateServers):
            self.append(ev.Created(at, rule.count))
            return
        here = (world.servers[s] for s in world.roster(self.now))
        chosen = rule.servers.choose(here, world.fleet.options.seed, 0)
        if chosen and isinstance(rule, RebootBySomebody):
            self.append(replace(accept(world, at, chosen, rule.type), at=self.now, by="scenario"))
        elif chosen:
            until = None if rule.lasts is None else at + length_millis(rule.lasts)
            self.append(ev.Changed(at, tuple(chosen), rule.values, until))


class State:
    """The simulated cloud without its HTTP face. Safe for threads; with a state file also
    for processes.
    """

    def __init__(
        self,
        options: CloudOptions | None = None,
        *,
        state_path: Path | None = None,
        clock: SimClock | None = None,
        wall: Wall = utc_now,
    ) -> None:
        """`clock`: another source of simulated time (virtual time in tests); else it runs from
        a kept anchor.

        Raises WorldMismatch for a state file of another fleet, ValueError for options out of range.
        """
        self.options = options or CloudOptions()
        fleet = self.options.fleet
        self.fleet = fleet if isinstance(fleet, SimulatedFleet) else generate(fleet)
        self.credentials = self.options.credentials or KnownLogins.generated()
        self.wall = wall
        self._lock = threading.RLock()
        real = to_millis(wall())
        start = real if clock is None else to_millis(clock.now())
        anchor = Anchor(start, real, self.options.time_scale)
        if state_path is None:
            self._log: Log = MemoryLog()
        else:
            self._log = kept = SqliteLog(
                state_path, repr((self.fleet.source, self.fleet.options)), anchor
            )
            anchor = kept.anchor
        self.clock: SimClock = clock or ScaledClock(anchor, wall)
        self._world = World(self.fleet, self.options.switches)
        try:
            self._begin()
        except BaseException:
            self._log.close()
            raise

    def _begin(self) -> None:
        with self.turn() as turn:
            if turn.world.switches != self.options.switches:
                turn.append(ev.Switched(turn.now, self.options.switches))
            if self.options.rules and self.options.scenario not in turn.world.rules.sources:
                self._add_rules(turn, self.options.rules, self.options.scenario, replace=True)

    @contextmanager
    def turn(self) -> Iterator[WorldTurn]:
        """Look and decide. What was appended is kept when the block ends, and never was if
        it raises.
        """
        with self._lock:
            turn = None
            try:
                for event in self._log.begin():
                    self._world.fold(event)
                now = max(self._world.latest, to_millis(self.clock.now()))
                turn = WorldTurn(
                    self._world, now, to_millis(self.wall()), self._log, self.credentials
                )
                yield turn
                self._log.commit()
            except BaseException:
                self._log.rollback()
                if turn is None or turn.has_written:
                    # Fold the log anew: the world has taken in lines that were never kept.
                    calls = self._world.calls if isinstance(self._log, MemoryLog) else []
                    self._world = World(self.fleet, self.options.switches)
                    self._world.calls = calls
                    self._log.rewind()
                raise

    def close(self) -> None:
        with self._lock:
            self._log.close()

    def add_rules(self, rules: Iterable[Rule], *, replace: bool = False) -> None:
        """Make fault rules active from now on; `replace` drops all others first."""
        with self.turn() as turn:
            self._add_rules(turn, tuple(rules), "", replace=replace)

    @staticmethod
    def _add_rules(turn: WorldTurn, rules: tuple[Rule, ...], source: str, *, replace: bool) -> None:
        turn.append(ev.RulesAdded(turn.now, rules, source, replace))
        for rule in rules:
            if not rule.on:
                turn.apply(rule)

    def set_switches(self, switches: Switches) -> None:
        with self.turn() as turn:
            turn.append(ev.Switched(turn.now, switches))

    def accepted_reboots(self, *, by: str | None = "api") -> list[AcceptedReboot]:
        """Every server that was sent down, in the order of acceptance. `by=None`: those of
        the scenario too.
        """
        with self.turn() as turn:
            accepted = list(turn.world.accepted)
        return [
            _reboot(a, p) for a in accepted if by in (None, a.by) for p in a.parts if p.goes_down
        ]

    def reboot_counts(self) -> Counter[str]:
        """Per server id: how often the API sent it down. "Never twice" means that no count
        is over 1.
        """
        with self.turn() as turn:
            return turn.world.reboot_counts()

    def requests(self) -> list[ev.Called]:
        """Every request so far, in order."""
        with self.turn() as turn:
            return list(turn.world.calls)

    def server_status(self, server_id: str) -> str:
        """The true status of a server, without lag. Raises KeyError for one that never was."""
        with self.turn() as turn:
            return turn.world.truth(server_id, turn.now).status

    def now(self) -> datetime:
        """Simulated time, never before the last line of the log."""
        with self.turn() as turn:
            return from_millis(turn.now)


def _reboot(accepted: ev.AcceptedBatch, part: RebootPart) -> AcceptedReboot:
    return AcceptedReboot(
        server_id=part.server,
        job_id=accepted.job,
        request_id=accepted.request_id,
        type=accepted.type,
        at=from_millis(accepted.at),
        begins=from_millis(part.begins),
        ends=None if part.ends is None else from_millis(part.ends),
        back=None if part.back is None else from_millis(part.back),
        status=part.sub_status,
        by=accepted.by,
    )
