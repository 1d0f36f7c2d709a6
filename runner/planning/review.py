"""A saved schedule against the plan and the cloud as they are when it is to run: may it, and what has become of it?

What was reviewed is what runs. So a schedule is refused when it is not what its plan makes of those servers, when it
was made for another plan or project, when it is too old, or when too much of it is gone. Nothing is ever added to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runner.model.inventory import Inventory
from runner.model.plan import Plan
from runner.model.quantity import Amount, format_duration
from runner.model.schedule import Allowance, GroupRules, Pause, Schedule, ServerRef, Target, Wave
from runner.model.window import openings
from runner.planning.belts import few
from runner.planning.exclusions import EXCLUDED_BY_PLAN, REBOOTED_IN_CYCLE, RUNNER_SUPPORT, Why
from runner.planning.schedule import (
    NEVER,
    Last,
    Pick,
    assemble,
    last_apart,
    pick_all,
    rules_of,
    support_names,
    waves_of,
)
from runner.planning.select import Index
from runner.planning.when import windows_words

MAX_AGE = timedelta(days=7)
"""How old a schedule may be when its run is created, unless the caller says otherwise."""

SKIPPED_AT_MOST = Amount(percent=10.0)
"""Of the servers, at least one: more than these gone before the first wave, and it is not what was reviewed."""

CLOCKS_APART = timedelta(hours=1)
"""How far in the future a schedule may have been made: clocks differ."""

MISSING = "Missing"
NONE = "none"
NOT_SELECTED = "NotSelected"

FOR_GOOD = frozenset({NOT_SELECTED, EXCLUDED_BY_PLAN, REBOOTED_IN_CYCLE})
"""Reasons that no look at a server's state finds again: they are judged once, when the run is created."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a review found. `differences`: why the schedule is stale, one sentence each; empty when it may run.

    `skipped`: its servers that cannot be rebooted as things are, with the reason. `newcomers`: servers that the plan
    selects now and the schedule does not hold: they are listed and never added.
    """

    differences: tuple[str, ...]
    skipped: tuple[tuple[ServerRef, Why], ...] = ()
    newcomers: tuple[ServerRef, ...] = ()

    def is_spent(self, saved: Schedule) -> bool:
        """Whether every server of the schedule was rebooted in its cycle already: there is nothing left to do."""
        return len(self.skipped) == saved.servers and all(why.reason == REBOOTED_IN_CYCLE for _, why in self.skipped)

    @property
    def settled(self) -> dict[str, tuple[str, str]]:
        """Server id -> reason and sentence of those that are skipped whatever state they will be in."""
        return {ref.id: (why.reason, why.detail) for ref, why in self.skipped if why.reason in FOR_GOOD}


def outdated(
    saved: Schedule,
    plan: Plan,
    plan_digest: str,
    target: Target,
    *,
    now: datetime,
    max_age: timedelta = MAX_AGE,
    own_cycle: bool = False,
) -> tuple[str, ...]:
    """Why a schedule may not run whatever the cloud has: another plan or target, too old, not what its plan makes.

    Where the plan has windows it is not too old before the first one since is over: a schedule that is reviewed in the
    week before a window is to run in it. `own_cycle`: each run has a cycle of its own (the embedded simulated cloud),
    so it need not be the plan's.
    """
    return (*_origin(saved, plan, plan_digest, target, own_cycle), *_age(saved, plan, now, max_age))


def review(
    saved: Schedule, plan: Plan, inventory: Inventory, spent: Collection[str], is_last: Last = NEVER
) -> Standing:
    """What has become of the servers of a schedule that is not outdated. `spent`: of its cycle and project.

    `is_last`: the servers that go down after all others, as configuration has it now.
    """
    apart = last_apart(pick_all(plan, Index(inventory), spent, saved.cycle), is_last)
    picks = {p.group.name: p for p in apart}
    skipped = tuple(_skipped(saved, picks, inventory, support_names(plan.groups)))
    held = {s.id for w in saved.waves for s in w.servers}
    newcomers = tuple(ServerRef(s.id, s.name, s.zone) for p in picks.values() for s in p.eligible if s.id not in held)
    differences = list(_over_its_limits(saved.servers - len(skipped), len(inventory.servers), plan))
    allowed = SKIPPED_AT_MOST.as_size(saved.servers) if saved.servers else 0
    standing = Standing((), skipped, newcomers)
    if len(skipped) > allowed and not standing.is_spent(saved):
        differences.append(
            f"{len(skipped)} of its {saved.servers} servers would be skipped now, at most {allowed} may be"
            f" ({SKIPPED_AT_MOST}, at least 1): " + few([f"{ref.name} ({ref.id}) {why.reason}" for ref, why in skipped])
        )
    return replace(standing, differences=tuple(differences))


def follows(saved: Schedule, plan: Plan) -> list[str]:
    """What in a saved schedule does not follow from the plan, given its servers in its order; empty when all does.

    A file can come from anywhere. Whoever made it may have chosen among the plan's servers, and nothing else: waves,
    pauses, budgets and the kind of reboot are recomputed.
    """
    return list(_rules_that_differ(saved, _rebuilt(saved, plan)))


def _origin(saved: Schedule, plan: Plan, plan_digest: str, target: Target, own_cycle: bool) -> Iterator[str]:
    if saved.plan_name != plan.name:
        yield f"it was made from the plan {saved.plan_name}, this is the plan {plan.name}"
        return
    if saved.plan_digest != plan_digest:
        yield f"the plan has changed since: it is {plan_digest} now, {saved.plan_digest} was reviewed"
    if saved.targets != (target,):
        was = ", ".join(map(_target, saved.targets))
        yield f"the target is {_target(target)}, it was made for {was}"
    if saved.cycle != plan.campaign and not own_cycle:
        yield f"the cycle is {plan.campaign}, {saved.cycle} was reviewed"
    yield from follows(saved, plan)


def _target(target: Target) -> str:
    return f"{target.name} ({target.cloud} {target.region}, project {target.project_id})"


def _age(saved: Schedule, plan: Plan, now: datetime, most: timedelta) -> Iterator[str]:
    made_at = saved.made_at
    try:
        made = datetime.fromisoformat(made_at)
        age = now - made
    except (ValueError, TypeError):
        yield "it does not say when it was made"
        return
    if age > most and not (plan.windows and _first_window_lasts(plan, made, now)):
        old, limit = (format_duration(float(round(t.total_seconds()))) for t in (age, most))
        yield f"it was made {old} ago, at most {limit} are allowed"
    if age < -CLOCKS_APART:
        yield f"it was made in the future ({made_at})"


def _first_window_lasts(plan: Plan, made: datetime, now: datetime) -> bool:
    """Whether the first window after a moment, as freezes leave it, is not over yet; by the plan as it is."""
    first = next(openings(plan.opening, plan.frozen(made), made), None)
    return first is not None and (first.ends is None or now < first.ends)


def _skipped(
    saved: Schedule, picks: dict[str, Pick], inventory: Inventory, parts: Mapping[str, str]
) -> Iterator[tuple[ServerRef, Why]]:
    """The schedule's servers that are missing, not fit, rebooted already, or not what the plan means any more.

    `parts`: group -> the name of its part that goes last. Who is left out of a group is left out of its part as well;
    who belongs to the part by now is not rebooted with the others.
    """
    fit = {name: {s.id for s in pick.eligible} for name, pick in picks.items()}
    left_out = [(name, s.id, reason) for name, pick in picks.items() for s, reason in pick.left_out]
    why = {(name, i): reason for name, i, reason in left_out}
    why |= {(parts.get(name, name), i): reason for name, i, reason in left_out}
    needed = Why(RUNNER_SUPPORT, "the runner depends on it: it goes down after all others by now")
    why |= {(name, i): needed for name, part in parts.items() for i in fit.get(part, ())}
    for wave in saved.waves:
        for ref in wave.servers:
            if ref.id in fit.get(wave.group, ()):
                continue
            gone = Why(MISSING, "the cloud does not know it any more")
            other = Why(NOT_SELECTED, f"group {wave.group} does not select it any more")
            yield ref, why.get((wave.group, ref.id)) or (other if ref.id in inventory.by_id else gone)


def _rebuilt(saved: Schedule, plan: Plan) -> Schedule:
    """What the plan makes of the schedule's servers, in the schedule's order."""
    members: dict[str, list[ServerRef]] = {}
    for wave in saved.waves:
        members.setdefault(wave.group, []).extend(wave.servers)
    counted = {g.name: g.selected for g in saved.groups}
    target = saved.targets[0]
    names = support_names(plan.groups)
    last = {g.name for g in saved.groups if g.support}
    parts = [g.model_copy(update={"name": names[g.name]}) for g in plan.groups if names[g.name] in last]
    groups = [(g, False) for g in plan.groups] + [(g, True) for g in parts]
    return assemble(
        plan,
        saved.plan_digest,
        target,
        saved.cycle,
        tuple(
            rules_of(g, target.name, counted.get(g.name, 0), len(members.get(g.name, ())), is_support=own)
            for g, own in groups
        ),
        waves_of((g, members.get(g.name, [])) for g, _ in groups),
        excluded=saved.excluded,
        visible=saved.visible,
    )


def _rules_that_differ(saved: Schedule, due: Schedule) -> Iterator[str]:
    """Each rule of the schedule that the plan does not make, as `what: reviewed, now`."""
    for what, was, now in (
        ("reboot type", saved.reboot_type, due.reboot_type),
        ("on_unknown", saved.on_unknown, due.on_unknown),
        ("wait_at_most", format_duration(saved.wait_at_most_s), format_duration(due.wait_at_most_s)),
        ("windows", windows_words(saved.windows), windows_words(due.windows)),
        ("freeze", few(saved.calendars) or NONE, few(due.calendars) or NONE),
        ("max_failures", _budget(saved.max_failures), _budget(due.max_failures)),
        ("groups", _names(saved.groups), _names(due.groups)),
    ):
        if was != now:
            yield f"{what}: {was} was reviewed, the plan says {now}"
    rules = {g.name: g for g in due.groups}
    for group in saved.groups:
        if group.name in rules:
            yield from _group_rules(group, rules[group.name])
            yield from _waves(group.name, saved.waves, due.waves)


def _group_rules(was: GroupRules, now: GroupRules) -> Iterator[str]:
    for what in (
        "target",
        "eligible",
        "order",
        "max_failures",
        "on_failure",
        "ready_timeout_s",
        "stable_for_s",
        "bake_s",
        "checks",
        "baseline",
        "support",
    ):
        before, after = getattr(was, what), getattr(now, what)
        if before != after:
            words = (_rule(x) for x in (before, after))
            yield "group {}, {}: {} was reviewed, the plan makes it {}".format(was.name, what, *words)


def _rule(value: object) -> str:
    if isinstance(value, tuple):
        return few([str(item) for item in value]) or NONE
    return _budget(value) if isinstance(value, Allowance | None) else str(value)


def _waves(group: str, was: Sequence[Wave], now: Sequence[Wave]) -> Iterator[str]:
    """The shape of a group's waves: sizes as written and as numbers, and what follows each."""
    reviewed, due = ([_shape(w) for w in waves if w.group == group] for waves in (was, now))
    if reviewed != due:
        yield f"group {group}, waves: {few(reviewed) or NONE} were reviewed, the plan makes them {few(due) or NONE}"


def _shape(wave: Wave) -> str:
    size = str(len(wave.servers)) if wave.written.isdecimal() else f"{len(wave.servers)} ({wave.written})"
    return size + (" canary" if wave.is_canary else "") + _pause(wave.pause)


def _pause(pause: Pause) -> str:
    if pause.kind == "approval":
        return " then approval"
    return f" then {format_duration(pause.seconds)}" if pause.seconds else ""


def _names(groups: Sequence[GroupRules]) -> str:
    return few([g.name for g in groups]) or NONE


def _budget(allowance: Allowance | None) -> str:
    return "none" if allowance is None else f"{allowance.written} = {allowance.allowed}"


def _over_its_limits(servers: int, visible: int, plan: Plan) -> Iterator[str]:
    """The plan's own limits, by the target as it is now: how many servers it showed then is nobody's witness."""
    allowed = Amount(percent=plan.limits.percent).as_budget(visible)
    if servers > plan.limits.servers:
        yield f"it would reboot {servers} servers, limits.servers of the plan allows {plan.limits.servers}"
    if servers > allowed:
        yield f"it would reboot {servers} of {visible} visible servers, limits.percent of the plan allows {allowed}"
