"""What the machine asks the driver to do, and what it remembers of the pace. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runner.model.events import EventData
from runner.model.gate import GateAnswer
from runner.model.window import CurrentFreezes


@dataclass(frozen=True, slots=True)
class ReadWave:
    """Read the wave's servers as they are now, before anything is asked of them.

    `others`: further servers of its group, read where their state decides whether the wave
    may start.
    """

    wave: int
    target: str
    servers: tuple[str, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Write the intent, then ask for one batch."""

    batch: int
    target: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """Read one job."""

    batch: int
    target: str
    job_id: str


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Read servers that were rebooted: are they back?"""

    target: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Read state and history of servers of a batch: it is in doubt, or their job failed."""

    batch: int
    target: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recheck:
    """Read servers whose request was turned away again, before they may be asked for once more."""

    target: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask servers that run again, at their own addresses: do they work?"""

    target: str
    group: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskBefore:
    """Ask the servers of a group before the run's first wave, so that old faults are known."""

    target: str
    group: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskGates:
    """Ask the run's gates before a wave."""

    wave: int
    target: str


@dataclass(frozen=True, slots=True)
class WatchBake:
    """Look at the ready servers of a group in its bake: are they still?"""

    target: str
    group: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadFreezes:
    """Read the plan's calendars as they are now, before a wave begins."""

    target: str
    wave: int


Effect = (
    AskGates
    | ReadWave
    | Send
    | Poll
    | ReadBack
    | Look
    | Recheck
    | Ask
    | AskBefore
    | WatchBake
    | ReadFreezes
)


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: events to append at once, else effects that are due, else when to ask again.

    `waits_for` is a sentence for people; `can_suspend`: nothing is in flight, so the
    process may end here. `until`: when the wait is over, where `wake` is only a look in
    between.
    """

    events: tuple[EventData, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake: datetime | None = None
    waits_for: str = ""
    can_suspend: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a target is driven, from configuration. Seconds of the run's clock."""

    poll_every_s: float = 5.0
    settle_s: float = 180.0
    servers_per_request: int = 1000
    servers_per_minute: int = 1000


@dataclass(frozen=True, slots=True)
class GateLook:
    """What the gates answered to this process before a wave, the last of them at `at`,
    after `took_s`.
    """

    wave: int
    at: datetime
    took_s: float
    answers: tuple[GateAnswer, ...]


@dataclass(slots=True)
class Pace:
    """When this process last did what leaves no trace in the journal. A new process begins
    with an empty one.

    `polled`, `read_back`: last try. `seen`: last poll that succeeded, by batch number;
    `looked`: last reading of a server's state that did. `trying`: the first of the tries
    since the last success, `0` for states. `blocked`: servers another run holds, since
    when, and by whom; `claimed`: when the store last said so. `states`: what was last read
    of servers that are not back. `addresses`: servers' own, as last read; `asked`: when
    their checks were last answered, `answers`: in which words, empty when they passed.
    `troubles`: since when a reading fails. `denied`: refusals in a row. `vetted`: servers
    that this process has looked at and need not spare. `gates`: their last answers.
    `watched`: the last round of a bake that could be read; `watch_again`: not before, after
    one that could not. `calendars`: the wave before which the plan's were read in this
    step, and what they close. `override`: `by` and `reason` of a person who lets this
    process start waves outside windows and in freezes.
    """

    polled: dict[int, datetime] = field(default_factory=dict)
    seen: dict[int, datetime] = field(default_factory=dict)
    looked: dict[str, datetime] = field(default_factory=dict)
    trying: dict[int, datetime] = field(default_factory=dict)
    read_back: datetime | None = None
    check_again: datetime | None = None
    recheck_again: datetime | None = None
    rechecked: dict[str, datetime] = field(default_factory=dict)
    odd: dict[tuple[int, str], tuple[str, datetime]] = field(default_factory=dict)
    look_again: dict[int, datetime] = field(default_factory=dict)
    send_after: datetime | None = None
    blocked: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    claimed: datetime | None = None
    states: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    asked: dict[str, datetime] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    baseline_again: datetime | None = None
    troubles: dict[str, datetime] = field(default_factory=dict)
    denied: dict[int, int] = field(default_factory=dict)
    vetted: set[str] = field(default_factory=set)
    gates: GateLook | None = None
    watched: datetime | None = None
    watch_again: datetime | None = None
    calendars: tuple[int, CurrentFreezes] | None = None
    override: Mapping[str, str] | None = None

    def tried(self, what: int, now: datetime, *, success: bool) -> None:
        """Remember a poll (by batch number) or a reading of states (0)."""
        if success:
            self.seen[what] = now
            self.trying.pop(what, None)
        else:
            self.trying.setdefault(what, now)

    def is_blind(
        self, what: int, seen: datetime | None, deadline: datetime, now: datetime, grace_s: float
    ) -> bool | None:
        """At a deadline: False when it was really looked at since, True when looking failed
        for `grace_s`, else None.

        `seen`: when it was last looked at. None means: not yet known, look again. So a run
        that is resumed days later is looked at before it is judged.
        """
        if seen is not None and seen >= deadline:
            return False
        trying = self.trying.get(what)
        if trying is not None and (now - trying).total_seconds() >= grace_s:
            return True
        return None
