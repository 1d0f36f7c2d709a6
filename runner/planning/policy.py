"""Whether a plan, and the schedule it comes to, obey the repository's policy. Pure.

`judge_plan` tells what the plan's own words break: it needs no cloud. `judge_schedule`
tells the rest by integers and live servers. A plan may run when both are silent.
docs/policy.md says what each rule means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from runner.model.gate import Gate
from runner.model.inventory import Inventory, Server
from runner.model.plan import Group, Plan
from runner.model.policy import Policy, matches_path
from runner.model.problem import Problem
from runner.model.quantity import Amount
from runner.model.schedule import GroupRules, Schedule, ServerRef, Wave
from runner.planning.belts import few
from runner.planning.dead_words import EXCLUDES_NOTHING
from runner.planning.policy_lifted import (
    loosened as loosened,
)  # one face for everything about the policy
from runner.planning.select import Index, excluder
from runner.planning.words import is_covered, words_of

Path = tuple[str | int, ...]

_NEVER = datetime.min.replace(tzinfo=UTC)


def judge_plan(policy: Policy, plan: Plan, path: str, target: str | None) -> list[Problem]:
    """What a plan breaks by what is written in it, each problem with its `path` into the plan.

    `path` is that of the file from the repository's root, links resolved. `target` is the
    one that will be used; None where that is not known yet: then the rules about targets
    are judged as far as the path decides them.
    """
    found = [
        *_target(policy, path, target),
        *_hard(policy, plan.reboot.type, path, target),
        *_on_unknown(policy, plan.on_unknown),
        *_limits_written(policy, plan),
        *_budget_written(policy, plan),
        *_approval_written(policy, plan),
        *_windows(policy, bool(plan.windows)),
        *_gates(policy, plan.asking),
    ]
    for n, group in enumerate(plan.groups):
        found += _canary_written(policy, group, n)
        found += _sizes_written(policy, group, n)
        found += _forbidden_words(policy, group, n)
    return found


def judge_schedule(
    policy: Policy, plan: Plan | None, schedule: Schedule, inventory: Inventory | None
) -> list[Problem]:
    """What a schedule breaks by its integers and servers.

    With `plan`, what `judge_plan` tells of it is not told again. Without, HARD and
    on_unknown are judged by the schedule (where the plan lies cannot be known then).
    Without `inventory` the forbidden servers are found by id, name and zone alone. Problems
    with severity `warning` do not stop a plan.
    """
    found = list(_carried(policy, schedule)) if plan is None else []
    return [*found, *_whole(policy, schedule), *_parts(policy, schedule, schedule.waves, inventory)]


def held_to(policy: Policy | None, planned: Iterable[Problem]) -> list[Problem]:
    """Return what planning found, with the warnings that this policy makes errors."""
    if policy is None or policy.exclude_must_match is None:
        return list(planned)
    return [_must_match(p) if p.code == EXCLUDES_NOTHING else p for p in planned]


def _must_match(problem: Problem) -> Problem:
    said = f"policy exclude_must_match: {problem.message}"
    return replace(problem, code="PolicyViolated", message=said, severity="error")


def forbidden_now(policy: Policy, schedule: Schedule, wave: Inventory) -> str | None:
    """One sentence that says why a run must stop before a wave, or None when it may go on.

    `wave`: the servers that are about to be rebooted, as they were just read. Rules about
    the whole schedule are judged as a whole, those about waves and servers for this wave
    alone: what was done cannot be taken back. Server groups are known by name only if
    `wave` lists the cloud's groups too.
    """
    here = (
        replace(w, servers=tuple(s for s in w.servers if s.id in wave.by_id))
        for w in schedule.waves
    )
    parts = _parts(policy, schedule, [w for w in here if w.servers], wave)
    found = (*_carried(policy, schedule), *_whole(policy, schedule), *parts)
    errors = [p.message for p in found if p.severity == "error"]
    if not errors:
        return None
    return errors[0] + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else "")


def _carried(policy: Policy, schedule: Schedule) -> Iterator[Problem]:
    """Rules about the plan that a schedule can answer by itself."""
    for target in schedule.targets:
        yield from _hard(policy, schedule.reboot_type, None, target.name)
    yield from _on_unknown(policy, schedule.on_unknown)
    yield from _windows(policy, bool(schedule.windows))
    yield from _gates(policy, schedule.gates)


def _whole(policy: Policy, schedule: Schedule) -> Iterator[Problem]:
    yield from _size(policy, schedule)
    yield from _budget(policy, schedule)
    yield from _approval(policy, schedule)


def _parts(
    policy: Policy, schedule: Schedule, waves: Sequence[Wave], inventory: Inventory | None
) -> Iterator[Problem]:
    yield from _canary(policy, schedule, waves)
    yield from _sizes(policy, schedule, waves)
    yield from _forbidden(policy, schedule, waves, inventory)


# --- the plan as a whole ------------------------------------------------------


def _target(policy: Policy, path: str, target: str | None) -> Iterator[Problem]:
    if policy.targets is None:
        return
    rule = next((r for r in policy.targets if matches_path(r.paths, path)), None)
    if rule is None:
        said = f"policy targets has no rule for {path}, so this plan may use no target"
        yield _problem(said, "move the plan to a folder that has a rule", ("target",))
    elif target is not None and target not in rule.allow:
        said = (
            f"policy targets allows plans of {few(rule.paths)} to use {few(rule.allow)}, not "
            f"{target}"
        )
        yield _problem(said, "use an allowed target, or move the plan", ("target",))


def _hard(
    policy: Policy, reboot_type: str, path: str | None, target: str | None
) -> Iterator[Problem]:
    """`path` and `target` are judged where they are known."""
    if reboot_type != "HARD":
        return
    hint, place, rule = "use type: SOFT", ("reboot", "type"), policy.hard
    if rule is None:
        yield _problem("policy allows HARD reboots nowhere: it has no rule hard", hint, place)
        return
    if rule.paths is not None and path is not None and not matches_path(rule.paths, path):
        yield _problem(
            f"policy hard.paths allows HARD reboots in {few(rule.paths)}, not in {path}",
            hint,
            place,
        )
    if rule.targets is not None and target is not None and target not in rule.targets:
        yield _problem(
            f"policy hard.targets allows HARD reboots on {few(rule.targets)}, not on {target}",
            hint,
            place,
        )


def _on_unknown(policy: Policy, word: str) -> Iterator[Problem]:
    if policy.on_unknown is not None and word not in policy.on_unknown:
        allowed = " and ".join(policy.on_unknown)
        yield _problem(
            f"policy on_unknown allows {allowed}, not {word}", f"write {allowed}", ("on_unknown",)
        )


def _windows(policy: Policy, has_windows: bool) -> Iterator[Problem]:
    if policy.windows is not None and not has_windows:
        said = "policy windows is required, and the plan has no windows: it could start at any time"
        yield _problem(
            said, "say when waves may start: windows: [{days: ..., start: ...}]", ("windows",)
        )


def _gates(policy: Policy, gates: Sequence[Gate]) -> Iterator[Problem]:
    if policy.gates is not None and all(gate.dry_run for gate in gates):
        said = "policy gates is required, and the plan has no gate that decides"
        yield _problem(
            said, "say what must hold before each wave: gates: [{alarms: none}]", ("gates",)
        )


def _limits_written(policy: Policy, plan: Plan) -> Iterator[Problem]:
    """What is written counts; the defaults of a plan that writes no limits are judged by
    the schedule they let pass.
    """
    most, written = policy.limits, plan.limits.model_fields_set
    if most is None:
        return
    if most.servers is not None and "servers" in written and plan.limits.servers > most.servers:
        said = (
            f"policy limits.servers allows {most.servers}, the plan's own limit is "
            f"{plan.limits.servers}"
        )
        yield _problem(said, f"write at most {most.servers}", ("limits", "servers"))
    if most.percent is not None and "percent" in written and plan.limits.percent > most.percent:
        said = (
            f"policy limits.percent allows {most.percent:g}%, the plan's own limit is "
            f"{plan.limits.percent:g}%"
        )
        yield _problem(said, f"write at most {most.percent:g}", ("limits", "percent"))


def _size(policy: Policy, schedule: Schedule) -> Iterator[Problem]:
    most, servers = policy.limits, schedule.servers
    if most is None:
        return
    hint = "make several plans of it, or narrow the groups"
    if most.servers is not None and servers > most.servers:
        said = f"policy limits.servers allows {most.servers}, {servers} servers would be rebooted"
        yield _problem(said, hint, ("groups",))
    allowed = (
        None if most.percent is None else Amount(percent=most.percent).as_budget(schedule.visible)
    )
    if allowed is not None and servers > allowed:
        said = (
            f"policy limits.percent allows {most.percent:g}% of {schedule.visible} visible "
            f"servers = {allowed}"
        )
        yield _problem(f"{said}, {servers} would be rebooted", hint, ("groups",))


def _budget_written(policy: Policy, plan: Plan) -> Iterator[Problem]:
    """Percentages against percentages, numbers against numbers; a number against a
    percentage is for the schedule.
    """
    most, written = policy.max_failures, plan.max_failures
    if most is not None and (
        _over(written.number, most.number) or _over(written.percent, most.percent)
    ):
        said = f"policy max_failures allows {most}, the plan's budget is {written}"
        yield _problem(said, f"write at most {most}", ("max_failures",))


def _budget(policy: Policy, schedule: Schedule) -> Iterator[Problem]:
    has = schedule.max_failures
    most = None if policy.max_failures is None else policy.max_failures.as_budget(has.of)
    if most is not None and has.allowed > most:
        said = (
            f"policy max_failures allows {_share(policy.max_failures, has.of)}, the plan's "
            f"budget {has.written} is"
        )
        yield _problem(
            f"{said} {has.allowed}", f"write at most {policy.max_failures}", ("max_failures",)
        )


def _approval_written(policy: Policy, plan: Plan) -> Iterator[Problem]:
    """Ids that nothing narrows tell the plan's size without asking the cloud."""
    if policy.approval is None or plan.limits.servers <= policy.approval.above:
        return
    listed = [
        len(set(g.servers.ids or ())) if g.servers.keys == ("ids",) and not g.exclude else 0
        for g in plan.groups
    ]
    if sum(listed) > policy.approval.above and listed[0] and plan.groups[0].pause[0] != "approval":
        yield _approval_lacking(policy.approval.above, f"at least {sum(listed)}", 0)


def _approval(policy: Policy, schedule: Schedule) -> Iterator[Problem]:
    if policy.approval is None or schedule.servers <= policy.approval.above:
        return
    first = schedule.waves[0]
    group = _places(schedule).get(first.group, 0)
    if len(schedule.waves) == 1:
        said = (
            f"policy approval.above demands an approval after the first wave of more than "
            f"{policy.approval.above}"
        )
        said += f" servers, and one wave takes all {schedule.servers}"
        yield _problem(said, "begin with a small wave: waves: [1, ...]", ("groups", group, "waves"))
    elif first.pause.kind != "approval":
        yield _approval_lacking(policy.approval.above, str(schedule.servers), group)


def _approval_lacking(above: int, servers: str, group: int) -> Problem:
    said = (
        f"policy approval.above demands an approval after the first wave of more than {above} "
        f"servers"
    )
    hint = "begin the pauses with it: pause: [approval, ...]"
    return _problem(
        f"{said}, the plan has {servers} and does not wait for one",
        hint,
        ("groups", group, "pause"),
    )


# --- waves --------------------------------------------------------------------


def _canary_written(policy: Policy, group: Group, n: int) -> Iterator[Problem]:
    """Only ids tell offline that a group is small enough: any other selector can match more
    servers tomorrow.
    """
    if policy.canary is None or group.waves[0].number == 1:
        return
    listed = group.servers.ids
    if listed is None or len(set(listed)) > policy.canary.above:
        yield _canary_lacking(policy.canary.above, group.name, str(group.waves[0]), n)


def _canary(policy: Policy, schedule: Schedule, waves: Iterable[Wave]) -> Iterator[Problem]:
    if policy.canary is None:
        return
    rules, places = _rules(schedule), _places(schedule)
    firsts = {w.group: w.number for w in reversed(schedule.waves)}
    for wave in waves:
        group = rules[wave.group]
        if (
            wave.number == firsts[wave.group]
            and group.eligible > policy.canary.above
            and len(wave.servers) > 1
        ):
            begins = f"{len(wave.servers)} of its {group.eligible}"
            yield _canary_lacking(policy.canary.above, wave.group, begins, places[wave.group])


def _canary_lacking(above: int, group: str, begins: str, n: int) -> Problem:
    said = (
        f"policy canary.above: a group of more than {above} servers begins with one, group "
        f"{group} with {begins}"
    )
    return _problem(said, "let it begin with one: waves: [1, ...]", ("groups", n, "waves", 0))


def _sizes_written(policy: Policy, group: Group, n: int) -> Iterator[Problem]:
    """A number is at most what ids can come to; a wave of one is always allowed."""
    most, listed = policy.max_wave, group.servers.ids
    ids = None if listed is None else len(set(listed))
    if most is None or ids == 1:
        return
    for k, size in enumerate(group.waves):
        number = size.number if ids is None or size.number is None else min(size.number, ids)
        place = ("groups", n, "waves", k)
        if _over(number, most.servers):
            said = (
                f"policy max_wave.servers allows {most.servers}, group {group.name} has a wave "
                f"of {size}"
            )
            yield _problem(said, f"write at most {most.servers}", place)
        if _over(size.percent, most.percent):
            said = (
                f"policy max_wave.percent allows {most.percent:g}%, group {group.name} has a "
                f"wave of {size}"
            )
            yield _problem(said, f"write at most {most.percent:g}%", place)


def _sizes(policy: Policy, schedule: Schedule, waves: Iterable[Wave]) -> Iterator[Problem]:
    """One problem a group and limit: its largest wave, and how many others are too large."""
    most = policy.max_wave
    if most is None:
        return
    by_group: dict[str, list[Wave]] = {}
    for wave in sorted(waves, key=lambda w: (-len(w.servers), w.number)):
        by_group.setdefault(wave.group, []).append(wave)
    for n, group in enumerate(schedule.groups):
        own = by_group.get(group.name, [])
        place = ("groups", n, "waves")
        if most.servers is not None:
            yield from _too_large(own, most.servers, f"servers allows {most.servers}", place)
        if most.percent is not None:
            share = Amount(percent=most.percent)
            allowed = share.as_size(group.eligible)
            yield from _too_large(
                own, allowed, f"percent allows {share} of {group.eligible} = {allowed}", place
            )


def _too_large(waves: Sequence[Wave], allowed: int, rule: str, place: Path) -> Iterator[Problem]:
    large = [w for w in waves if len(w.servers) > allowed]
    if large:
        others = f", and {len(large) - 1} more of its waves are too large" if len(large) > 1 else ""
        said = (
            f"wave {large[0].number} of group {large[0].group} takes {len(large[0].servers)} "
            f"servers down at once"
        )
        yield _problem(f"policy max_wave.{rule}: {said}{others}", "write smaller sizes", place)


# --- servers ------------------------------------------------------------------


def _forbidden_words(policy: Policy, group: Group, n: int) -> Iterator[Problem]:
    """What the selector names and `exclude` does not name as well. Ids are never quoted:
    they may come from a file.
    """
    if policy.forbidden is None:
        return
    named, kept_out = words_of(group.servers), words_of(group.exclude)
    for key, listed in words_of(policy.forbidden.selector).items():
        banned, out = frozenset(listed), frozenset(kept_out.get(key, ()))
        words = named.get(key, ())
        hits = [
            k
            for k, w in enumerate(words)
            if is_covered(key, w, banned) and not is_covered(key, w, out)
        ]
        if hits:
            what = few([words[k] for k in hits])
            if key == "ids":
                what = (
                    f"{'entry' if len(hits) == 1 else 'entries'} "
                    f"{few([str(k + 1) for k in hits])} of its ids"
                )
            place: Path = ("groups", n, "servers", key)
            place += (words[hits[0]].partition("=")[0],) if key == "tags" else (hits[0],)
            said = (
                f"policy forbidden.{key}: no plan may reboot such servers, and group "
                f"{group.name} selects {what}"
            )
            yield _problem(said, "select others, or exclude these", place)


def _forbidden(
    policy: Policy, schedule: Schedule, waves: Iterable[Wave], inventory: Inventory | None
) -> Iterator[Problem]:
    """One problem a group, naming some of its servers, each with what forbids it."""
    if policy.forbidden is None:
        return
    known = inventory or Inventory((), _NEVER)
    index = Index(known)
    yield from _unseen_groups(policy, index, inventory)
    test = excluder(policy.forbidden.selector, index)
    hits: dict[str, list[str]] = {}
    for wave in waves:
        for ref in wave.servers:
            why = test(known.by_id.get(ref.id) or _as_server(ref))
            if why is not None:
                hits.setdefault(wave.group, []).append(f"{ref.name} ({ref.id}) by {why}")
    for name, servers in hits.items():
        count = f"{len(servers)} {'server' if len(servers) == 1 else 'servers'}"
        said = (
            f"policy forbidden: no plan may reboot {count} of group {name}: {few(sorted(servers))}"
        )
        yield _problem(
            said, "exclude them in the plan", ("groups", _places(schedule)[name], "servers")
        )


def _unseen_groups(policy: Policy, index: Index, inventory: Inventory | None) -> Iterator[Problem]:
    """A policy about server groups that could not be read is broken; where none is listed,
    that is told.
    """
    words = (policy.forbidden.server_groups if policy.forbidden else None) or ()
    unseen = [word for word in words if word not in index.group_ids]
    unread = None if inventory is None else inventory.groups_unread
    if unread is not None and words:
        said = f"policy forbidden.server_groups cannot be judged: {unread.message}"
        yield _problem(
            said, unread.hint or "plans that the policy cannot judge are refused", ("groups",)
        )
    elif inventory is not None and not inventory.groups and unseen:
        said = (
            f"policy forbidden.server_groups could not be judged for {few(unseen)}: the cloud "
            f"lists no server group"
        )
        hint = "allow the credentials to list server groups, if there are any"
        yield Problem("PolicyViolated", said, hint=hint, severity="warning", path=("groups",))


# --- small things -------------------------------------------------------------


def _problem(message: str, hint: str, path: Path) -> Problem:
    return Problem("PolicyViolated", message, hint=hint, path=path)


def _over(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > most


def _share(amount: Amount | None, of: int) -> str:
    """`5% of 40 = 2`, or the number alone."""
    if amount is None or amount.percent is None:
        return str(amount)
    return f"{amount} of {of} = {amount.as_budget(of)}"


def _rules(schedule: Schedule) -> dict[str, GroupRules]:
    return {g.name: g for g in schedule.groups}


def _places(schedule: Schedule) -> dict[str, int]:
    """The place of each group in the plan: a schedule has them in the same order."""
    return {g.name: n for n, g in enumerate(schedule.groups)}


def _as_server(ref: ServerRef) -> Server:
    return Server(ref.id, ref.name, zone=ref.zone)
