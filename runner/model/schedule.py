"""The schedule: which server goes down in which wave, with every integer and every exclusion. What people review.

A schedule is complete: a run needs nothing else of the plan. Seconds are floats with the unit in the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runner.model.check import Check
from runner.model.gate import Gate
from runner.model.window import Freeze, Window

RebootType = Literal["SOFT", "HARD"]


@dataclass(frozen=True, slots=True)
class ServerRef:
    """A server as the schedule names it. `name` and `zone` are for people: the id decides."""

    id: str
    name: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the servers are. `project_id` is part of what was reviewed."""

    name: str
    cloud: str
    region: str
    project_id: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """A budget as it is written and the integer it came to: `2%` of 640 is 12."""

    written: str
    of: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Rate:
    """No more than so many `servers` are asked for in any `per_s` seconds."""

    servers: int
    per_s: float


EXCLUDED_BY_PLAN = "ExcludedByPlan"
REBOOTED_IN_CYCLE = "RebootedInCycle"
NOT_READY_IN_CYCLE = "NotReadyInCycle"

ALL_BUT_ONE = ""
"""`Spread.written` of the rule that holds without being written: never a whole server group in one wave."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A rule about failure domains: `key` as in the plan (`zone`, `tag:pool`), `written` the value as in the plan.

    `domains`: how many the group's servers lie in; `most`: how many servers of one of them may be in one wave, where
    that differs the largest number.
    """

    key: str
    written: str
    domains: int
    most: int


@dataclass(frozen=True, slots=True)
class Pause:
    """What follows a wave: a wait of `seconds`, or a person's approval."""

    kind: Literal["timed", "approval"] = "timed"
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class GroupRules:
    """The rules of one group as numbers.

    `selected`: servers that its selector matches; `eligible`: those that no exclusion takes away, the base of the
    group's percentages. What lies between them is listed in `Schedule.excluded`. `checks`: what each server is asked
    itself; `baseline`: what becomes of those that do not pass before the first wave, None where that is not asked.
    `support`: it is the part of a group that the runner depends on, and goes down after all groups of the plan.
    """

    name: str
    target: str
    selected: int
    eligible: int
    order: str
    max_failures: Allowance | None
    on_failure: Literal["stop", "approval", "continue"]
    ready_timeout_s: float
    stable_for_s: float
    bake_s: float
    checks: tuple[Check, ...] = ()
    baseline: Literal["exclude", "count", "stop"] | None = None
    max_unavailable: Allowance | None = None
    spread: tuple[Spread, ...] = ()
    rate: Rate | None = None
    support: bool = False


@dataclass(frozen=True, slots=True)
class Wave:
    """Servers that go down together. `number` counts from 1 over the whole run; `written` is the size as in the plan.

    `pause` follows the wave (after the group's bake, if it is the last of its group); after the run's last wave it
    is a wait of 0 s. `is_canary`: the first wave of its group, and a single server. `held_by`: the rules of spread that
    made it smaller than written (`zone: 1`), empty where it has its size.
    """

    number: int
    group: str
    written: str
    servers: tuple[ServerRef, ...]
    pause: Pause
    is_canary: bool = False
    held_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A server that a selector matched and the schedule leaves out, with a stable reason and a sentence.

    `named`: `servers` of the group names it by its id (`ids` or `ids_from`).
    """

    server: ServerRef
    group: str
    reason: str
    detail: str = ""
    named: bool = False


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most servers the run takes down together, and the most that can end failed before it stops by itself.

    `failures_before_stop`: what budgets let pass, plus the whole wave in which the last budget breaks (a wave in
    flight overshoots); `wave` is the number of that wave, None without waves. `failures_in_bake`: the same where
    servers come back ready and are lost while their group bakes, which no wave can show: what budgets let pass, plus
    that whole group; 0 where none bakes. Servers that failed stay down: with them more than `down_at_once` may be
    down at a time, but never more than the larger of the other two. The equations: `planning.worst_case`.
    """

    down_at_once: int
    failures_before_stop: int
    wave: int | None = None
    failures_in_bake: int = 0

    @property
    def failures(self) -> int:
        """The most that can end failed, however late it shows."""
        return max(self.failures_before_stop, self.failures_in_bake)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Servers assigned to waves. `digest` covers everything but times and free text (`planning.digest`).

    `calendars`: digests of the files of freezes; `freezes`: what they close from `made_at` on, as far as anybody looks
    ahead (`model.window.HORIZON`): a copy, which the digest leaves out, for it moves on with the days. `retry_of`: the
    run whose failed servers go down once more in the cycle, empty where the cycle's servers go down once.
    """

    plan_name: str
    plan_digest: str
    cycle: str
    targets: tuple[Target, ...]
    reboot_type: RebootType
    on_unknown: Literal["hold", "retry"]
    max_failures: Allowance
    wait_at_most_s: float
    groups: tuple[GroupRules, ...]
    waves: tuple[Wave, ...]
    excluded: tuple[Exclusion, ...]
    visible: int
    worst_case: WorstCase
    windows: tuple[Window, ...] = ()
    calendars: tuple[str, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    plan_file: str = ""
    description: str = ""
    made_at: str = ""
    digest: str = ""
    rate: Rate | None = None
    gates: tuple[Gate, ...] = ()
    retry_of: str = ""

    @property
    def servers(self) -> int:
        """How many servers the waves hold."""
        return sum(len(w.servers) for w in self.waves)

    @property
    def not_scheduled(self) -> tuple[Exclusion, ...]:
        """The servers that the plan means and no wave holds, each once: locked or stopped ones, for example.

        Those that `exclude` removes and those that were rebooted in this cycle before are not among them.
        """
        held = {s.id for w in self.waves for s in w.servers}
        settled = (EXCLUDED_BY_PLAN, REBOOTED_IN_CYCLE)
        found = {e.server.id: e for e in reversed(self.excluded) if e.reason not in settled}
        return tuple(e for e in reversed(found.values()) if e.server.id not in held)
