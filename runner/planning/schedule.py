"""The schedule: a plan and what the cloud has now, turned into servers in waves. A pure
function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runner.model.inventory import Server
from runner.model.plan import Group, Plan, PlanRate
from runner.model.problem import Problem
from runner.model.quantity import Amount
from runner.model.schedule import (
    Allowance,
    Exclusion,
    GroupRules,
    Pause,
    PlanRef,
    Rate,
    Schedule,
    ServerRef,
    Spread,
    Target,
    Wave,
    together,
)
from runner.planning import belts
from runner.planning.dead_words import dead_exclusions
from runner.planning.digest import inventory_digest, schedule_digest
from runner.planning.exclusions import (
    EXCLUDED_BY_PLAN,
    NOT_READY_IN_CYCLE,
    REBOOTED_IN_CYCLE,
    Why,
    unfit_for_long,
)
from runner.planning.fleet import NEVER, Fleet, TargetFleet
from runner.planning.order import ordered
from runner.planning.plan_warnings import first_wave, idle_freezes
from runner.planning.select import excluder, select
from runner.planning.spread import Domains, domains, portions
from runner.planning.waves import cut, pause_after, size_of, written_at
from runner.planning.worst_case import worst_case

_LONGEST_NAME = 50
"""So much of a group's name is kept in that of its part that goes last: names have up to 63
characters.
"""

_DETAIL = 500
"""Characters of an exclusion's sentence: it can hold long globs and what the cloud wrote."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of planning: a schedule, or None with at least one error; warnings come
    beside a schedule.
    """

    schedule: Schedule | None
    problems: tuple[Problem, ...] = ()


def make_schedule(
    plan: Plan,
    plan_digest: str,
    fleet: Fleet,
    *,
    now: datetime,
    cycle: str | None = None,
    plan_file: str = "",
) -> Planned:
    """Say which server goes down in which wave, and why each other one that was matched does not.

    `fleet` holds the targets of all groups. `cycle` takes the place of the plan's. The same
    input gives the same schedule and digest, whatever order the servers of an inventory
    come in. All problems are found at once, each with its `path` in the plan.
    """
    cycle = cycle or plan.campaign
    picks = pick_all(plan, fleet, cycle)
    problems = [*_problems(plan, fleet, picks), *idle_freezes(plan, now)]
    picks = last_apart(picks)
    held = [domains(p.eligible, plan.spread_of(p.group), p.place.index) for p in picks]
    waves = waves_of((p.group, _portions(p, d)) for p, d in zip(picks, held, strict=True))
    rules = tuple(p.rules(d.rules) for p, d in zip(picks, held, strict=True))
    problems += _of_waves(plan, picks, rules, waves)
    if any(p.severity == "error" for p in problems):
        return Planned(None, tuple(problems))
    schedule = assemble(
        plan,
        plan_digest,
        fleet.targets,
        cycle,
        rules,
        waves,
        excluded=together(e for p in picks for e in p.exclusions()),
        freezes=plan.frozen(now),
        visible=len(fleet.inventory.servers),
        file=plan_file,
        made_at=now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    return Planned(schedule, tuple(problems))


def assemble(
    plan: Plan,
    plan_digest: str,
    targets: tuple[Target, ...],
    cycle: str,
    groups: tuple[GroupRules, ...],
    waves: tuple[Wave, ...],
    file: str = "",
    **about: Any,
) -> Schedule:
    """A schedule of a plan with these groups and waves, its budget, worst case and digest.
    `about`: other fields.
    """
    budget = _allowance(plan.max_failures, sum(len(w.servers) for w in waves))
    schedule = Schedule(
        plan=PlanRef(plan.name, plan_digest, file, plan.description or ""),
        cycle=cycle,
        targets=targets,
        reboot_type=plan.reboot.type,
        on_unknown=plan.on_unknown,
        max_failures=budget,
        wait_at_most_s=plan.wait_at_most.total_seconds(),
        groups=groups,
        waves=waves,
        worst_case=worst_case(groups, waves, budget),
        windows=plan.opening,
        calendars=tuple(f.digest for f in plan.freeze or ()),
        gates=plan.asking,
        rate=_rate(plan.rate),
        retry_of=plan.retry_of or "",
        **about,
    )
    return replace(
        schedule, digest=schedule_digest(schedule), inventory_digest=inventory_digest(schedule)
    )


def pick_all(plan: Plan, fleet: Fleet, cycle: str) -> list[Pick]:
    """Every group of a plan against the servers of its target, in the plan's order."""
    spent = {name: frozenset(place.spent) for name, place in fleet.places.items()}
    places = (fleet.place(group) for group in plan.groups)
    return [
        _pick(g, p, spent[p.target.name], cycle) for g, p in zip(plan.groups, places, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Pick:
    """One group against its target: `selected` = `eligible` (in their order) and `left_out`,
    each server once.

    `is_support`: it is the part of a group that goes down after all groups.
    """

    group: Group
    place: TargetFleet
    selected: tuple[Server, ...]
    eligible: tuple[Server, ...]
    left_out: tuple[tuple[Server, Why], ...]
    is_support: bool = False

    def rules(self, spread: tuple[Spread, ...]) -> GroupRules:
        sizes = len(self.selected), len(self.eligible)
        return rules_of(
            self.group, self.place.target.name, *sizes, spread, is_support=self.is_support
        )

    def exclusions(self) -> Iterator[Exclusion]:
        """Yield why each server is left out; those with the same reason stand together
        (`model.schedule.together`).
        """
        named = frozenset(self.group.servers.ids or ())
        for server, why in sorted(
            self.left_out, key=lambda found: (found[1].reason, found[0].id in named)
        ):
            detail = why.detail[:_DETAIL]
            yield Exclusion(_ref(server), self.group.name, why.reason, detail, server.id in named)

    def kept_by_plan(self) -> Iterator[Server]:
        """What the plan itself means by this group: selected and not excluded, whatever
        state it is in.
        """
        yield from self.eligible
        yield from (server for server, why in self.left_out if why.reason != EXCLUDED_BY_PLAN)


def _pick(group: Group, place: TargetFleet, spent: Collection[str], cycle: str) -> Pick:
    index = place.index
    selected = select(group.servers, index)
    by_plan = excluder(group.exclude, index) if group.exclude else None
    eligible: list[Server] = []
    left_out: list[tuple[Server, Why]] = []
    for server in selected:
        what = by_plan(server) if by_plan else None
        if what is not None:
            left_out.append((server, Why(EXCLUDED_BY_PLAN, what)))
        elif server.id in place.unfinished:
            left_out.append((server, Why(NOT_READY_IN_CYCLE, place.unfinished[server.id])))
        elif server.id in spent:
            left_out.append((server, Why(REBOOTED_IN_CYCLE, f"cycle {cycle}")))
        elif why := unfit_for_long(server):
            left_out.append((server, why))
        else:
            eligible.append(server)
    order = ordered(eligible, group.order, cycle, group.servers.ids)
    return Pick(group, place, selected, order, tuple(left_out))


def last_apart(picks: Sequence[Pick]) -> list[Pick]:
    """The same servers, with those that go last in groups of their own after all groups, in
    the same order.

    Such a group has the rules of the group that it is a part of; its percentages are of its
    own servers.
    """
    if all(p.place.is_last is NEVER for p in picks):
        return list(picks)
    names = support_names([p.group.name for p in picks])
    first: list[Pick] = []
    last: list[Pick] = []
    for pick in picks:
        apart = {s.id for s in pick.eligible if pick.place.is_last(s)}
        if not apart:
            first.append(pick)
            continue
        group = pick.group.model_copy(update={"name": names[pick.group.name]})
        theirs, others = (
            tuple(s for s in pick.eligible if (s.id in apart) is own) for own in (True, False)
        )
        last.append(Pick(group, pick.place, theirs, theirs, (), is_support=True))
        rest = tuple(s for s in pick.selected if s.id not in apart)
        first.append(replace(pick, selected=rest, eligible=others))
    return [*first, *last]


def support_names(groups: Collection[str]) -> dict[str, str]:
    """Return, for each name of a group, that of its part that goes last: a name that no
    group of the plan has.
    """
    taken = set(groups)
    made: dict[str, str] = {}
    for group in groups:
        n, name = 1, f"{group[:_LONGEST_NAME]}-support"
        while name in taken:
            n += 1
            name = f"{group[:_LONGEST_NAME]}-support-{n}"
        made[group] = name
        taken.add(name)
    return made


Portioned = tuple[Sequence[ServerRef], tuple[str, ...]]
"""The servers of one wave, and the rules of spread that made it smaller than written."""


def _portions(pick: Pick, held: Domains) -> Iterator[Portioned]:
    total, sizes = len(pick.eligible), pick.group.waves
    if not held.domains:
        yield from in_order([_ref(s) for s in pick.eligible], cut(total, sizes))
        return
    for portion in portions(held, lambda n: size_of(n, total, sizes)):
        yield [_ref(pick.eligible[k]) for k in portion.members], portion.held_by


def in_order(
    servers: Sequence[ServerRef], sizes: Iterable[int], held_by: Sequence[tuple[str, ...]] = ()
) -> Iterator[Portioned]:
    """Servers cut into waves of these sizes; `held_by` of each wave, where it is given."""
    done = 0
    for n, size in enumerate(sizes):
        yield servers[done : done + size], held_by[n] if n < len(held_by) else ()
        done += size


def waves_of(groups: Iterable[tuple[Group, Iterable[Portioned]]]) -> tuple[Wave, ...]:
    """The waves of groups and their servers in order, numbered over the whole run; no pause
    follows the last.
    """
    made: list[Wave] = []
    for group, portioned in groups:
        made += _waves(group, portioned, first=len(made) + 1)
    return (*made[:-1], replace(made[-1], pause=Pause())) if made else ()


def _waves(group: Group, portioned: Iterable[Portioned], first: int) -> Iterator[Wave]:
    for n, (servers, held_by) in enumerate(portioned):
        yield Wave(
            number=first + n,
            group=group.name,
            written=str(written_at(n, group.waves)),
            servers=tuple(servers),
            pause=pause_after(n, group.pause),
            is_canary=n == 0 and len(servers) == 1,
            held_by=held_by,
        )


def rules_of(
    group: Group,
    target: str,
    selected: int,
    eligible: int,
    spread: tuple[Spread, ...] = (),
    *,
    is_support: bool = False,
) -> GroupRules:
    """The rules of a group as numbers, for so many servers."""
    return GroupRules(
        name=group.name,
        target=target,
        selected=selected,
        eligible=eligible,
        order=group.order,
        max_failures=None
        if group.max_failures is None
        else _allowance(group.max_failures, eligible),
        on_failure=group.on_failure,
        ready_timeout_s=group.ready.timeout.total_seconds(),
        stable_for_s=group.ready.stable_for.total_seconds(),
        bake_s=group.bake.total_seconds(),
        checks=tuple(part.check for part in group.ready.checks),
        baseline=group.ready.baseline,
        max_unavailable=None
        if group.max_unavailable is None
        else _most_down(group.max_unavailable, eligible),
        spread=spread,
        rate=_rate(group.rate),
        support=is_support,
    )


def _problems(plan: Plan, fleet: Fleet, picks: Sequence[Pick]) -> Iterator[Problem]:
    for n, pick in enumerate(picks):
        yield from belts.unknown_words(pick.group, n, pick.place.index)
        if not pick.selected:
            yield from belts.empty_match(pick.group, n)
        yield from first_wave(pick.group, n, len(pick.eligible))
        yield from belts.busy_now(pick.group, n, pick.eligible)
        yield from belts.spread_over_nothing(plan, n, pick.selected, pick.place.index)
    yield from belts.unread_groups(plan, fleet)
    yield from belts.unknown_tags(plan, fleet)
    yield from dead_exclusions(plan, fleet)
    yield from belts.plan_spread_over_nothing(plan, [(p.selected, p.place.index) for p in picks])
    yield from belts.overlaps([(p.group.name, p.kept_by_plan()) for p in picks])
    yield from belts.over_limits(
        plan.limits, fleet.shares((p.place.target.name, s.id) for p in picks for s in p.eligible)
    )


def _of_waves(
    plan: Plan, picks: Sequence[Pick], rules: Sequence[GroupRules], waves: Sequence[Wave]
) -> Iterator[Problem]:
    number = {g.name: n for n, g in enumerate(plan.groups)}
    number |= {part: number[name] for name, part in support_names(list(number)).items()}
    for pick, of_group in zip(picks, rules, strict=True):
        if of_group.max_unavailable is not None:
            group = pick.group
            own = [len(w.servers) for w in waves if w.group == group.name]
            yield from belts.over_unavailable(
                group, number[group.name], own, of_group.max_unavailable
            )


def _ref(server: Server) -> ServerRef:
    return ServerRef(server.id, server.name, server.zone)


def _allowance(budget: Amount, of: int) -> Allowance:
    return Allowance(str(budget), of, budget.as_budget(of))


def _most_down(amount: Amount, of: int) -> Allowance:
    """Of how many servers may be down: rounded down, at least 1."""
    return Allowance(str(amount), of, amount.as_size(of))


def _rate(rate: PlanRate | None) -> Rate | None:
    return None if rate is None else Rate(rate.servers, rate.per.total_seconds())
