"""A saved schedule against the plan and the cloud as they are when it is to run: may it, and
what has become of it?

What was reviewed is what runs. So a schedule is refused when it is not what its plan makes
of those servers, when it was made for another plan or project, when it is too old, or when
too much of it is gone. Nothing is ever added to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from runner.model.check import Check
from runner.model.inventory import Inventory
from runner.model.plan import Group, Plan
from runner.model.quantity import Amount, format_duration
from runner.model.schedule import (
    Allowance,
    GroupRules,
    Pause,
    Rate,
    Schedule,
    ServerRef,
    Spread,
    Target,
    Wave,
)
from runner.model.window import openings
from runner.planning.belts import few
from runner.planning.exclusions import (
    EXCLUDED_BY_PLAN,
    NOT_READY_IN_CYCLE,
    REBOOTED_IN_CYCLE,
    RUNNER_SUPPORT,
    Why,
)
from runner.planning.fleet import Fleet
from runner.planning.schedule import (
    Pick,
    Portioned,
    assemble,
    in_order,
    last_apart,
    pick_all,
    rules_of,
    support_names,
    waves_of,
)
from runner.planning.spread import crowded, domains, rule_words
from runner.planning.waves import cut
from runner.planning.when import windows_words

MAX_AGE = timedelta(days=7)
"""How old a schedule may be when its run is created, unless the caller says otherwise."""

SKIPPED_AT_MOST = Amount(percent=10.0)
"""Of the servers, at least one: more than these gone before the first wave, and it is not
what was reviewed.
"""

CLOCKS_APART = timedelta(hours=1)
"""How far in the future a schedule may have been made: clocks differ."""

MISSING = "Missing"
NONE = "none"
NOT_SELECTED = "NotSelected"

FOR_GOOD = frozenset({NOT_SELECTED, EXCLUDED_BY_PLAN, REBOOTED_IN_CYCLE, NOT_READY_IN_CYCLE})
"""Reasons that no look at a server's state finds again: they are judged once, when the run
is created.
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a review found. `differences`: why the schedule is stale, one sentence each; empty
    when it may run.

    `skipped`: its servers that cannot be rebooted as things are, with the reason.
    `newcomers`: servers that the plan selects now and the schedule does not hold: they are
    listed and never added.
    """

    differences: tuple[str, ...]
    skipped: tuple[tuple[ServerRef, Why], ...] = ()
    newcomers: tuple[ServerRef, ...] = ()

    def is_spent(self, saved: Schedule) -> bool:
        """Whether every server of the schedule was rebooted in its cycle already: there is
        nothing left to do.
        """
        return len(self.skipped) == saved.servers and all(
            why.reason == REBOOTED_IN_CYCLE for _, why in self.skipped
        )

    @property
    def settled(self) -> dict[str, Why]:
        """Server id -> reason and sentence of those that are skipped whatever state they
        will be in.
        """
        return {ref.id: why for ref, why in self.skipped if why.reason in FOR_GOOD}


def outdated(
    saved: Schedule,
    plan: Plan,
    plan_digest: str,
    targets: tuple[Target, ...],
    *,
    now: datetime,
    max_age: timedelta = MAX_AGE,
    own_cycle: bool = False,
) -> tuple[str, ...]:
    """Why a schedule may not run whatever the cloud has: another plan or target, too old, not
    what its plan makes.

    Where the plan has windows it is not too old before the first one since is over: a
    schedule that is reviewed in the week before a window is to run in it. `own_cycle`: each
    run has a cycle of its own (the embedded simulated cloud), so it need not be the plan's.
    """
    return (
        *_origin(saved, plan, plan_digest, targets, own_cycle),
        *_age(saved, plan, now, max_age),
    )


def review(saved: Schedule, plan: Plan, fleet: Fleet) -> Standing:
    """What has become of the servers of a schedule that is not outdated. `fleet`: its targets
    as they are now, with what its cycle is spent for, and support as configuration has it
    now.
    """
    picks = {p.group.name: p for p in last_apart(pick_all(plan, fleet, saved.cycle))}
    skipped = tuple(
        _skipped(saved, picks, fleet.inventory, support_names([g.name for g in plan.groups]))
    )
    held = {s.id for w in saved.waves for s in w.servers}
    newcomers = tuple(
        ServerRef(s.id, s.name, s.zone)
        for p in picks.values()
        for s in p.eligible
        if s.id not in held
    )
    differences = list(_over_its_limits(saved, {ref.id for ref, _ in skipped}, fleet, plan))
    differences += _crowded(saved, plan, fleet)
    allowed = SKIPPED_AT_MOST.as_size(saved.servers) if saved.servers else 0
    standing = Standing((), skipped, newcomers)
    if len(skipped) > allowed and not standing.is_spent(saved):
        differences.append(
            f"{len(skipped)} of its {saved.servers} servers would be skipped now, at most "
            f"{allowed} may be"
            f" ({SKIPPED_AT_MOST}, at least 1): "
            + few([f"{ref.name} ({ref.id}) {why.reason}" for ref, why in skipped])
        )
    return replace(standing, differences=tuple(differences))


def follows(saved: Schedule, plan: Plan) -> list[str]:
    """What in a saved schedule does not follow from the plan, given its servers in its order;
    empty when all does.

    A file can come from anywhere. Whoever made it may have chosen among the plan's servers,
    and nothing else: waves, pauses, budgets and the kind of reboot are recomputed.
    """
    return [*_rules_that_differ(saved, _rebuilt(saved, plan)), *_over_unavailable(saved)]


def _origin(
    saved: Schedule, plan: Plan, plan_digest: str, targets: tuple[Target, ...], own_cycle: bool
) -> Iterator[str]:
    if saved.plan_name != plan.name:
        yield f"it was made from the plan {saved.plan_name}, this is the plan {plan.name}"
        return
    if saved.plan_digest != plan_digest:
        yield (
            f"the plan has changed since: it is {plan_digest} now, {saved.plan_digest} was reviewed"
        )
    if saved.targets != targets:
        was, now = (", ".join(map(_target, some)) for some in (saved.targets, targets))
        yield f"the target is {now}, it was made for {was}"
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
    """Whether the first window after a moment, as freezes leave it, is not over yet; by the
    plan as it is.
    """
    first = next(openings(plan.opening, plan.frozen(made), made), None)
    return first is not None and (first.ends is None or now < first.ends)


def _skipped(
    saved: Schedule, picks: dict[str, Pick], inventory: Inventory, parts: Mapping[str, str]
) -> Iterator[tuple[ServerRef, Why]]:
    """The schedule's servers that are missing, not fit, rebooted already, or not what the plan
    means any more.

    `parts`: group -> the name of its part that goes last. Who is left out of a group is
    left out of its part as well; who belongs to the part by now is not rebooted with the
    others.
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
            yield (
                ref,
                why.get((wave.group, ref.id)) or (other if ref.id in inventory.by_id else gone),
            )


def _rebuilt(saved: Schedule, plan: Plan) -> Schedule:
    """What the plan makes of the schedule's servers, in the schedule's order."""
    members: dict[str, list[ServerRef]] = {}
    for wave in saved.waves:
        members.setdefault(wave.group, []).extend(wave.servers)
    counted = {g.name: g.selected for g in saved.groups}
    groups = _with_parts(saved, plan)
    default = saved.targets[
        0
    ].name  # of whoever names none; the digest of the plan and the targets are compared too
    return assemble(
        plan,
        saved.plan_digest,
        saved.targets,
        saved.cycle,
        tuple(
            rules_of(
                g,
                g.target or plan.target or default,
                counted.get(g.name, 0),
                len(members.get(g.name, ())),
                _spread(plan, g),
                is_support=own,
            )
            for g, own in groups
        ),
        waves_of((g, _as_saved(g, saved, members.get(g.name, []))) for g, _ in groups),
        excluded=saved.excluded,
        visible=saved.visible,
    )


def _with_parts(saved: Schedule, plan: Plan) -> list[tuple[Group, bool]]:
    """The plan's groups, and after them the parts that go last in the schedule as support
    of the runner.
    """
    names = support_names([g.name for g in plan.groups])
    last = {g.name for g in saved.groups if g.support}
    parts = [
        g.model_copy(update={"name": names[g.name]}) for g in plan.groups if names[g.name] in last
    ]
    return [(g, False) for g in plan.groups] + [(g, True) for g in parts]


def _as_saved(group: Group, saved: Schedule, members: Sequence[ServerRef]) -> Iterator[Portioned]:
    """Servers in the waves that the plan makes of them. Waves that say what held them back may
    be smaller than written: whether the cloud bears that out is judged with the inventory,
    and smaller waves are never less safe.
    """
    own = [w for w in saved.waves if w.group == group.name]
    held = {n: len(w.servers) for n, w in enumerate(own) if w.held_by}
    yield from in_order(members, cut(len(members), group.waves, held), [w.held_by for w in own])


def _spread(plan: Plan, group: Group) -> tuple[Spread, ...]:
    """The rules as written; how many domains there are only the cloud knows."""
    return tuple(
        Spread(key, str(amount), 0, 0) for key, amount in sorted(plan.spread_of(group).items())
    )


def _crowded(saved: Schedule, plan: Plan, fleet: Fleet) -> Iterator[str]:
    """Waves that hold more of a failure domain, as the cloud is now, than the plan allows:
    the first of each group.
    """
    for group, _ in _with_parts(saved, plan):
        place = fleet.place(group)
        inventory = place.inventory
        waves = [w for w in saved.waves if w.group == group.name]
        known = [
            [inventory.by_id[s.id] for s in w.servers if s.id in inventory.by_id] for w in waves
        ]
        servers = [s for some in known for s in some]
        missing = sum(len(w.servers) for w in waves) - len(servers)
        order = domains(servers, plan.spread_of(group), place.index, missing)
        for n, domain, number in crowded(known, order):
            name, rule = domain.name, domain.rule
            yield (
                f"wave {waves[n].number} takes {number} servers of {name} down together,"
                f" spread allows {domain.most} ({rule})"
            )
            break


def _over_unavailable(saved: Schedule) -> Iterator[str]:
    rules = {g.name: g.max_unavailable for g in saved.groups}
    for wave in saved.waves:
        most = rules.get(wave.group)
        if most is not None and len(wave.servers) > most.allowed:
            yield (
                f"wave {wave.number} takes {len(wave.servers)} servers down, max_unavailable "
                f"allows {most.allowed}"
            )
            return


def _rules_that_differ(saved: Schedule, due: Schedule) -> Iterator[str]:
    """Each rule of the schedule that the plan does not make, as `what: reviewed, now`."""
    for what, was, now in (
        ("reboot type", saved.reboot_type, due.reboot_type),
        ("on_unknown", saved.on_unknown, due.on_unknown),
        (
            "wait_at_most",
            format_duration(saved.wait_at_most_s),
            format_duration(due.wait_at_most_s),
        ),
        ("windows", windows_words(saved.windows), windows_words(due.windows)),
        ("freeze", few(saved.calendars) or NONE, few(due.calendars) or NONE),
        ("max_failures", _budget(saved.max_failures), _budget(due.max_failures)),
        ("rate", _rate(saved.rate), _rate(due.rate)),
        ("retry_of", saved.retry_of or NONE, due.retry_of or NONE),
        ("groups", _names(saved.groups), _names(due.groups)),
    ):
        if was != now:
            yield f"{what}: {was} was reviewed, the plan says {now}"
    if saved.gates != due.gates:
        was, now = (
            few([f"{g.title}: {g}" for g in gates]) or NONE for gates in (saved.gates, due.gates)
        )
        yield f"gates: {was} were reviewed, the plan says {now}"
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
        "max_unavailable",
        "spread",
        "rate",
        "support",
    ):
        before, after = (_comparable(getattr(rules, what)) for rules in (was, now))
        if before != after:
            words = (_rule(x) for x in (before, after))
            yield "group {}, {}: {} was reviewed, the plan makes it {}".format(
                was.name, what, *words
            )


def _comparable(value: Any) -> Any:
    """A rule without what only the cloud knows."""
    if isinstance(value, tuple):
        return tuple(
            i if isinstance(i, Check) else rule_words(i.key, i.written)
            for i in value
            if _is_written(i)
        )
    return _rate(value) if isinstance(value, Rate) else value


def _is_written(item: Check | Spread) -> bool:
    return isinstance(item, Check) or bool(item.written)


def _rule(value: object) -> str:
    if isinstance(value, tuple):
        return few([str(item) for item in value]) or NONE
    return _budget(value) if isinstance(value, Allowance | None) else str(value)


def _rate(rate: Rate | None) -> str:
    return NONE if rate is None else f"{rate.servers} in {format_duration(rate.per_s)}"


def _waves(group: str, was: Sequence[Wave], now: Sequence[Wave]) -> Iterator[str]:
    """The shape of a group's waves: sizes as written and as numbers, and what follows each."""
    reviewed, due = ([_shape(w) for w in waves if w.group == group] for waves in (was, now))
    if reviewed != due:
        yield (
            f"group {group}, waves: {few(reviewed) or NONE} were reviewed, the plan makes them "
            f"{few(due) or NONE}"
        )


def _shape(wave: Wave) -> str:
    size = (
        str(len(wave.servers))
        if wave.written.isdecimal()
        else f"{len(wave.servers)} ({wave.written})"
    )
    return size + (" canary" if wave.is_canary else "") + _pause(wave.pause)


def _pause(pause: Pause) -> str:
    if pause.kind == "approval":
        return " then approval"
    return f" then {format_duration(pause.seconds)}" if pause.seconds else ""


def _names(groups: Sequence[GroupRules]) -> str:
    return few([g.name for g in groups]) or NONE


def _budget(allowance: Allowance | None) -> str:
    return "none" if allowance is None else f"{allowance.written} = {allowance.allowed}"


def _over_its_limits(
    saved: Schedule, gone: Collection[str], fleet: Fleet, plan: Plan
) -> Iterator[str]:
    """The plan's own limits, by the targets as they are now: how many servers they showed
    then is nobody's witness.
    """
    targets = {g.name: g.target for g in saved.groups}
    shares = fleet.shares(
        (targets[w.group], s.id) for w in saved.waves for s in w.servers if s.id not in gone
    )
    servers = sum(share.scheduled for share in shares)
    if servers > plan.limits.servers:
        yield (
            f"it would reboot {servers} servers, limits.servers of the plan allows "
            f"{plan.limits.servers}"
        )
    for share in shares:
        allowed = Amount(percent=plan.limits.percent).as_budget(share.visible)
        if share.scheduled > allowed:
            yield f"it would reboot {share}, limits.percent of the plan allows {allowed}"
