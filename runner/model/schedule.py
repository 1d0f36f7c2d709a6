"""The schedule: which server goes down in which wave, with every integer and every exclusion.
What people review.

A schedule is complete: a run needs nothing else of the plan. Seconds are floats with the
unit in the name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field as Bounds
from pydantic import StringConstraints

from runner.model.bounds import (
    Count,
    Digest,
    Id,
    Line,
    Name,
    RunId,
    Seconds,
    Several,
    SpreadKey,
    Word,
    Written,
)
from runner.model.check import Check
from runner.model.gate import MAX_GATES, Gate
from runner.model.shape import FREE, LATER, Shaped
from runner.model.window import MAX_FREEZES, MAX_WINDOWS, Freeze, Window

RebootType = Literal["SOFT", "HARD"]


@dataclass(frozen=True, slots=True)
class ServerRef(Shaped):
    """A server as the schedule names it: the id decides, name and zone are for people."""

    id: Id
    name: Annotated[Line, FREE]
    zone: Line = ""


@dataclass(frozen=True, slots=True)
class Target(Shaped):
    """Where the servers are. `project_id` is part of what was reviewed."""

    name: Word
    cloud: Word
    region: Line
    project_id: Line


@dataclass(frozen=True, slots=True)
class Allowance(Shaped):
    """A budget as it is written and the integer it came to: `2%` of 640 is 12."""

    written: Written
    of: Count
    """The base of a percentage."""
    allowed: Count
    """So many may fail; one more stops."""


@dataclass(frozen=True, slots=True)
class Rate(Shaped):
    """No more than so many `servers` are asked for in any `per_s` seconds."""

    servers: Annotated[int, Bounds(ge=1, le=999_999_999)]
    per_s: Annotated[float, Bounds(gt=0, le=366 * 86_400, allow_inf_nan=False)]


EXCLUDED_BY_PLAN = "ExcludedByPlan"
REBOOTED_IN_CYCLE = "RebootedInCycle"
NOT_READY_IN_CYCLE = "NotReadyInCycle"

ALL_BUT_ONE = ""
"""`Spread.written` of the rule that holds without being written: never a whole server group
in one wave.
"""


@dataclass(frozen=True, slots=True)
class Spread(Shaped):
    """A rule about failure domains."""

    key: SpreadKey
    """As in the plan: `zone`, `tag:pool`."""
    written: Written | Literal[""]
    """As in the plan; empty: never a whole server group, which holds without being written."""
    domains: Count
    """In how many the group's servers lie."""
    most: Count
    """Servers of one domain in one wave; where that differs, the largest number."""


@dataclass(frozen=True, slots=True)
class Pause(Shaped):
    """What follows a wave: a wait of `seconds`, or a person's approval."""

    kind: Literal["timed", "approval"] = "timed"
    seconds: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class GroupRules(Shaped):
    """The rules of one group as numbers. What lies between `selected` and `eligible` is in
    `Schedule.excluded`.
    """

    name: Name
    target: Word
    selected: Count
    """Servers that the selector matches."""
    eligible: Count
    """Those that no exclusion takes away: the base of percentages."""
    order: Literal["shuffle", "listed", "name", "zone"]
    max_failures: Allowance | None
    on_failure: Literal["stop", "approval", "continue"]
    ready_timeout_s: Seconds
    stable_for_s: Seconds
    bake_s: Seconds
    checks: Annotated[Annotated[tuple[Check, ...], Bounds(max_length=10)], LATER] = ()
    """What each server is asked itself."""
    baseline: Annotated[Literal["exclude", "count", "stop"] | None, LATER] = None
    """What becomes of servers that do not pass before the first wave; null where that is not asked.
    """
    max_unavailable: Annotated[Allowance | None, LATER] = None
    """Servers of the group that may be down at once, those already down included."""
    spread: Annotated[Several[Spread], LATER] = ()
    rate: Annotated[Rate | None, LATER] = None
    support: Annotated[bool, LATER] = False
    """The runner depends on these servers: they go down after all groups."""


@dataclass(frozen=True, slots=True)
class Wave(Shaped):
    """Servers that go down together."""

    number: Annotated[int, Bounds(ge=1)]
    """From 1 over the whole run."""
    group: Name
    written: Written
    """The size as in the plan; the servers are what it came to."""
    servers: Annotated[Several[ServerRef], Bounds(min_length=1)]
    pause: Pause
    """After the wave, and the group's bake if it is the last of its group; after the run's
    last, a wait of 0 s.
    """
    is_canary: bool = False
    """The first wave of its group, and a single server."""
    held_by: Annotated[Several[Word], LATER] = ()
    """The rules of spread that made it smaller than written (`zone: 1`)."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A server that a selector matched and the schedule leaves out, with a stable reason and a
    sentence.

    `named`: `servers` of the group names it by its id (`ids` or `ids_from`).
    """

    server: ServerRef
    group: str
    reason: str
    detail: str = ""
    named: bool = False


@dataclass(frozen=True, slots=True)
class ExcludedServer(Shaped):
    """A server of several that are left out for the same reason."""

    id: Id
    name: Annotated[Line, FREE]
    zone: Line = ""
    detail: Annotated[Line, LATER, FREE] = ""
    """If it is another than that of the entry."""


@dataclass(frozen=True, slots=True)
class ExclusionEntry(Shaped):
    """Servers that a group's selector matches and the schedule leaves out of that group for
    one reason.
    """

    group: Name
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{0,63}$")]
    """A stable word."""
    detail: Annotated[Line, FREE]
    """A sentence, for people."""
    servers: Annotated[Several[ExcludedServer], Bounds(min_length=1)]
    named: Annotated[bool, LATER, FREE] = False
    """The group's `servers` names them by their ids."""


def together(exclusions: Iterable[Exclusion]) -> tuple[ExclusionEntry, ...]:
    """Return exclusions as a schedule holds them: neighbors with the same reason share an entry.

    A server has a `detail` only where it is not that of most: 90,000 excluded servers must
    not make a schedule too large.
    """
    made = []
    for (group, reason, named), found in groupby(
        exclusions, lambda e: (e.group, e.reason, e.named)
    ):
        several = list(found)
        [(detail, _)] = Counter(e.detail for e in several).most_common(1)
        refs = ((e.server, "" if e.detail == detail else e.detail) for e in several)
        servers = tuple(ExcludedServer(ref.id, ref.name, ref.zone, own) for ref, own in refs)
        made.append(ExclusionEntry(group, reason, detail, servers, named))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class WorstCase(Shaped):
    """The most servers the run takes down together, and the most that can end failed before it
    stops by itself.

    Servers that failed stay down: with them more than `down_at_once` may be down at a time,
    but never more than `failures`. The equations: `planning.worst_case`.
    """

    down_at_once: Count
    """The largest wave. Servers that failed before it may still be down."""
    failures_before_stop: Count
    """What budgets let pass, plus the whole wave in which the last budget breaks: a wave in
    flight overshoots.
    """
    wave: int | None = None
    """The number of that wave; null without waves."""
    failures_in_bake: Annotated[Count, LATER, FREE] = 0
    """If servers come back ready and only the bake of their group loses them; 0 where none bakes.
    """

    @property
    def failures(self) -> int:
        """The most that can end failed, however late it shows."""
        return max(self.failures_before_stop, self.failures_in_bake)


@dataclass(frozen=True, slots=True)
class PlanRef(Shaped):
    """The plan that a schedule was made from."""

    name: Name
    digest: Digest
    """Of the rendered plan, without free text."""
    file: Annotated[Line, FREE] = ""
    """Where it was read, for people."""
    description: Annotated[str, Bounds(json_schema_extra={"maxLength": 2000}), FREE] = ""


@dataclass(frozen=True)
class Schedule(Shaped):
    """Servers assigned to waves: what people review and a run executes. Seconds are numbers."""

    plan: PlanRef
    cycle: Name
    """The campaign; a server is rebooted at most once in it."""
    targets: Annotated[Several[Target], Bounds(min_length=1)]
    reboot_type: RebootType
    on_unknown: Literal["hold", "retry"]
    max_failures: Allowance
    """Of the run."""
    wait_at_most_s: Seconds
    groups: Annotated[Several[GroupRules], Bounds(min_length=1)]
    waves: Several[Wave]
    excluded: Several[ExclusionEntry]
    visible: Annotated[Count, FREE]
    """Servers that the targets showed."""
    worst_case: WorstCase
    windows: Annotated[Annotated[tuple[Window, ...], Bounds(max_length=MAX_WINDOWS)], LATER] = ()
    """None mean any time."""
    calendars: Annotated[Annotated[tuple[Digest, ...], Bounds(max_length=MAX_FREEZES)], LATER] = ()
    """Of the files of freezes."""
    freezes: Annotated[Annotated[tuple[Freeze, ...], Bounds(max_length=100_000)], LATER, FREE] = ()
    """What the calendars close for 400 days from `made_at`: a copy, for it moves on with the days.
    """
    made_at: Annotated[Annotated[str, StringConstraints(max_length=40)], FREE] = ""
    digest: Annotated[Digest, FREE] = ""
    """Over everything but times, names and sentences."""
    inventory_digest: Annotated[Digest, FREE] = ""
    """Over what the plan saw of the fleet: it changes when the fleet does."""
    rate: Annotated[Rate | None, LATER] = None
    """Of the run, besides the target's own quota."""
    gates: Annotated[Annotated[tuple[Gate, ...], Bounds(max_length=MAX_GATES)], LATER] = ()
    """Asked before every wave; all must be open."""
    retry_of: Annotated[RunId | Literal[""], LATER] = ""
    """The run whose failed servers go down once more in the cycle."""
    format_version: Literal[1] = 1

    @property
    def plan_name(self) -> str:
        return self.plan.name

    @property
    def plan_digest(self) -> str:
        return self.plan.digest

    @property
    def plan_file(self) -> str:
        return self.plan.file

    @property
    def description(self) -> str:
        return self.plan.description

    @cached_property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Each server that is left out, with its group and reason."""
        return tuple(
            Exclusion(
                ServerRef(s.id, s.name, s.zone), e.group, e.reason, s.detail or e.detail, e.named
            )
            for e in self.excluded
            for s in e.servers
        )

    @property
    def servers(self) -> int:
        """How many servers the waves hold."""
        return sum(len(w.servers) for w in self.waves)

    @property
    def not_scheduled(self) -> tuple[Exclusion, ...]:
        """The servers that the plan means and no wave holds, each once: locked or stopped
        ones, for example.

        Those that `exclude` removes and those that were rebooted in this cycle before are
        not among them.
        """
        held = {s.id for w in self.waves for s in w.servers}
        settled = (EXCLUDED_BY_PLAN, REBOOTED_IN_CYCLE)
        found = {e.server.id: e for e in reversed(self.exclusions) if e.reason not in settled}
        return tuple(e for e in reversed(found.values()) if e.server.id not in held)
