"""Which belts a plan loosens against an earlier version of itself. Pure; only what the two
plans say is compared.

A belt is whatever holds a plan back: limits, budgets, canaries, wave sizes, pauses,
exclusions. Tightening is no news. The tables at the end name every belt with the judge that
tells whether it was loosened; a new field of the plan is one line there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from runner.model.check import Check
from runner.model.gate import Gate
from runner.model.plan import FreezeFile, Group, Plan, PlanRate, Selector
from runner.model.quantity import Amount, format_duration
from runner.model.schedule import Schedule
from runner.model.shape import Shaped
from runner.model.window import Window, openings
from runner.planning.belts import few
from runner.planning.spread import SERVER_GROUP
from runner.planning.when import windows_words
from runner.planning.words import is_covered, words_of

Path = tuple[str | int, ...]
PauseWord = timedelta | str
Judge = Callable[[Any, Any], str | None]
"""(before, after) -> how the belt was loosened (`raised`), or None."""

T = TypeVar("T")

YEAR = (datetime(2026, 1, 5, tzinfo=UTC), datetime(2027, 1, 18, tzinfo=UTC))
"""In which windows are compared: any year will do, this one begins on a Monday."""
_OF_SELECTION = (("servers",), ("allow_empty",))
"""Rows that tell which servers a group has: of servers that moved that is known."""
_ON_FAILURE = ("stop", "approval", "continue")
NO_BASELINE = "not asked"
_BASELINE = ("stop", "exclude", NO_BASELINE, "count")
"""With `count`, failed checks use up no budget, so it holds back less than none at all."""
_INCOMPARABLE = "changed between numbers and percentages, which cannot be compared"


@dataclass(frozen=True, slots=True)
class Lift(Shaped):
    """A belt that the new plan loosens. `what` says which and how: `limits.servers raised`,
    `group web: canary gone`.

    `before` and `after` are values as they are written; they hold text of the plans. `path`
    is the belt's place in the new plan, or that of the nearest part that is still there.
    """

    what: str
    before: str
    after: str
    path: Path


@dataclass(frozen=True, slots=True)
class Belt(Generic[T]):
    """One row of a table: where the belt stands, how it is read and judged, how its values
    are written.
    """

    path: Path
    read: Callable[[T], Any]
    judge: Judge
    write: Callable[[Any], str] = str
    name: str = ""

    def compare(self, old: T, new: T, path: Path = (), prefix: str = "") -> Iterator[Lift]:
        before, after = self.read(old), self.read(new)
        how = self.judge(before, after)
        if how is not None:
            name = self.name or ".".join(map(str, self.path))
            yield Lift(
                f"{prefix}{name} {how}", self.write(before), self.write(after), (*path, *self.path)
            )


def lifted(old: Plan, new: Plan) -> tuple[Lift, ...]:
    """Every belt that `new` loosens, the run's first, then group by group. Nothing for a plan
    that is only stricter.

    Groups are matched by name; a group that was renamed is matched by its selector, or as
    the only one that is left. A group that is new has no earlier belts. One that is gone
    reboots nothing, and holds back no group after it.
    """
    found = [lift for belt in PLAN_BELTS for lift in belt.compare(old, new)]
    pairs = list(_matched(old.groups, new.groups))
    found += _reordered(old, new, pairs)
    found += _groups_gone(old, new, pairs)
    for before, n in pairs:
        after = new.groups[n]
        was = "" if before.name == after.name else f" (was {before.name})"
        prefix = f"group {after.name}{was}: "
        for belt in GROUP_BELTS:
            found += belt.compare(before, after, ("groups", n), prefix)
        found += _target_changed(before, after, old, new, ("groups", n), prefix)
        found += _selects_more(before, after, ("groups", n), prefix)
        found += _exclusions_lost(before, after, ("groups", n), prefix)
        found += _spread_lost(
            old.spread_of(before), new.spread_of(after), after, ("groups", n), prefix
        )
    return tuple(found)


def lifted_by_moves(old: Plan, new: Plan, before: Schedule, after: Schedule) -> Iterator[Lift]:
    """Yield the guardrails of a group that are looser for servers which another group had before.

    `before` and `after`: the schedules of the two plans against the same inventory. What is
    compared group by group is left to `lifted`.
    """
    compared = {(group.name, new.groups[n].name) for group, n in _matched(old.groups, new.groups)}
    places = {group.name: (n, group) for n, group in enumerate(new.groups)}
    earlier = {group.name: group for group in old.groups}
    was = {server.id: wave.group for wave in before.waves for server in wave.servers}
    moved = Counter((was[s.id], w.group) for w in after.waves for s in w.servers if s.id in was)
    for (source, place), number in moved.items():
        if (source, place) in compared:
            continue
        n, group = places[place]
        servers = f"{number} {'server' if number == 1 else 'servers'}"
        prefix = f"{servers} moved from group {source} to group {place}: "
        for belt in GROUP_BELTS:
            if belt.path not in _OF_SELECTION:
                yield from belt.compare(earlier[source], group, ("groups", n), prefix)


def _matched(old: Sequence[Group], new: Sequence[Group]) -> Iterator[tuple[Group, int]]:
    """Each group of the new plan that has an earlier form: that form, and the group's place
    in the new plan.
    """
    earlier = {g.name: g for g in old}
    pairs = {n: earlier.pop(g.name) for n, g in enumerate(new) if g.name in earlier}
    by_selector = {_key(g.servers): g.name for g in reversed(earlier.values())}
    unmatched = [n for n in range(len(new)) if n not in pairs]
    for n in unmatched:
        name = by_selector.pop(_key(new[n].servers), None)
        if name is not None:
            pairs[n] = earlier.pop(name)
    alone = [n for n in unmatched if n not in pairs]
    if len(alone) == 1 and len(earlier) == 1:
        pairs[alone[0]] = next(iter(earlier.values()))
    for n in sorted(pairs):
        yield pairs[n], n


def _reordered(old: Plan, new: Plan, pairs: Sequence[tuple[Group, int]]) -> Iterator[Lift]:
    """Groups run in the order of the file: what held the others back may come after them now."""
    kept = {before.name for before, _ in pairs}
    earlier = [g.name for g in old.groups if g.name in kept]
    if earlier != [before.name for before, _ in pairs]:
        before, after = (few([g.name for g in plan.groups]) for plan in (old, new))
        yield Lift("order of groups changed", before, after, ("groups",))


def _groups_gone(old: Plan, new: Plan, pairs: Sequence[tuple[Group, int]]) -> Iterator[Lift]:
    """Yield the groups that are gone, and that held back what comes after them by a canary, an
    approval or a bake.

    The last group held back no other one, unless it may live on as a new group that cannot
    be matched.
    """
    kept = {before.name for before, _ in pairs}
    is_all_matched = len(pairs) == len(new.groups)
    for place, group in enumerate(old.groups, start=1):
        is_last = place == len(old.groups)
        if group.name in kept or (is_last and is_all_matched):
            continue
        held = ["canary"] if group.waves[0].number == 1 else []
        held += ["approval"] if "approval" in group.pause else []
        held += [f"bake {format_duration(group.bake)}"] if group.bake else []
        if held:
            yield Lift(f"group {group.name} removed", ", ".join(held), "no such group", ("groups",))


def _target_changed(
    before: Group, after: Group, old: Plan, new: Plan, path: Path, prefix: str
) -> Iterator[Lift]:
    """The target of a group that names one, now or then; the plan's own is a row of the table."""
    if before.target is None and after.target is None:
        return
    was, now = before.target or old.target, after.target or new.target
    if was != now:
        place = path if after.target is None else (*path, "target")
        yield Lift(f"{prefix}target changed", _target(was), _target(now), place)


def _key(selector: Selector) -> str:
    return selector.model_dump_json(exclude_none=True)


# --- judges: how values of one kind are compared ------------------------------


def raised(before: float, after: float) -> str | None:
    return "raised" if after > before else None


def lengthened(before: timedelta, after: timedelta) -> str | None:
    return "lengthened" if after > before else None


def shortened(before: timedelta, after: timedelta) -> str | None:
    return "shortened" if after < before else None


def changed(before: object, after: object) -> str | None:
    return "changed" if before != after else None


def new_cycle(before: str, after: str) -> str | None:
    return (
        "changed (servers that were rebooted in the old cycle go down again)"
        if before != after
        else None
    )


def repeats(before: str | None, after: str | None) -> str | None:
    """A plan that repeats a run reboots servers again that the cycle has rebooted already."""
    return (
        "set (servers that failed there go down again in the same cycle)"
        if after not in (None, before)
        else None
    )


def becomes(value: object, how: str) -> Judge:
    """Loosened when it takes on this one value."""
    return lambda before, after: how if after == value != before else None


def weaker(order: Sequence[str]) -> Judge:
    """Loosened when the value moves towards the end of `order`."""
    return lambda before, after: "weakened" if order.index(after) > order.index(before) else None


def budget_raised(before: Amount | None, after: Amount | None) -> str | None:
    """A budget of failures: more is looser, none at all the loosest. 100% lets everything
    fail, 0 nothing.
    """
    if before is None or (after is not None and after.is_zero):
        return None
    if after is None:
        return "removed"
    return _looser(before, after, least=0)


def sizes_raised(before: Sequence[Amount], after: Sequence[Amount]) -> str | None:
    """Sizes of waves, place by place, the last of each repeating. The loss of a canary is
    told by its own belt.
    """
    verdicts = set()
    for n in range(max(len(before), len(after))):
        if n or not _loses_canary(before, after):
            verdicts.add(_looser(_at(before, n), _at(after, n), least=1))
    return (
        "raised" if "raised" in verdicts else _INCOMPARABLE if _INCOMPARABLE in verdicts else None
    )


def checks_lost(before: Sequence[Check], after: Sequence[Check]) -> str | None:
    """A check that is gone or asks for something else; to verify the certificate as well is
    stricter.
    """
    kept = all({check, replace(check, verify=True)} & set(after) for check in before)
    return None if kept else "removed or changed"


def gates_loosened(before: Sequence[Gate], after: Sequence[Gate]) -> str | None:
    """Gates matched by name, else by what they ask; more of them, and narrower ones,
    are stricter.
    """
    hows = [_looser_gate(gate, _same(gate, after)) for gate in before]
    found = [f"{gate.title} {how}" for gate, how in zip(before, hows, strict=True) if how]
    return "loosened: " + few(found) if found else None


def _same(gate: Gate, others: Sequence[Gate]) -> list[Gate]:
    if gate.name and any(o.name == gate.name for o in others):
        return [o for o in others if o.name == gate.name]
    return [o for o in others if _asks(o) == _asks(gate)]


def _asks(gate: Gate) -> tuple[str, ...]:
    return (gate.kind, gate.source, gate.query, gate.path)


def _looser_gate(was: Gate, found: Sequence[Gate]) -> str | None:
    """How the least of the loosened forms of a gate lets more pass; a dry run holds
    nothing back.
    """
    if was.dry_run:
        return None
    hows = [_how_looser(was, now) for now in found]
    return None if None in hows else hows[0] if hows else "removed"


def _how_looser(was: Gate, now: Gate) -> str | None:
    if now.dry_run:
        return "set to dry_run"
    if _asks(was) != _asks(now):
        return "asks for something else"
    if was.max is not None and (now.max is None or now.max > was.max):
        return "max removed" if now.max is None else "max raised"
    if was.min is not None and (now.min is None or now.min < was.min):
        return "min removed" if now.min is None else "min lowered"
    if now.for_s < was.for_s:
        return "for shortened"
    if set(now.status) - set(was.status):
        return "takes more statuses"
    return "body changed" if was.body not in now.body else None


def canary_gone(before: Sequence[Amount], after: Sequence[Amount]) -> str | None:
    return (
        "gone (the first wave is no longer a single server)"
        if _loses_canary(before, after)
        else None
    )


def pause_shortened(before: Sequence[PauseWord], after: Sequence[PauseWord]) -> str | None:
    """Timed pauses, place by place; a wait for a person is longer than any."""
    for n in range(max(len(before), len(after))):
        old, new = _at(before, n), _at(after, n)
        if isinstance(old, timedelta) and isinstance(new, timedelta) and new < old:
            return "shortened"
    return None


def approval_gone(before: Sequence[PauseWord], after: Sequence[PauseWord]) -> str | None:
    places = range(max(len(before), len(after)))
    return "removed" if any(_at(before, n) == "approval" != _at(after, n) for n in places) else None


def windows_widened(before: Sequence[Window], after: Sequence[Window]) -> str | None:
    """Windows by the moments that they open, over more than a year: however they are written."""
    if not before:
        return None
    if not after:
        return "removed (waves may start at any time)"
    return None if _within(_open(after, cut=False), _open(before, cut=False)) else "widened"


def cutoff_shortened(before: Sequence[Window], after: Sequence[Window]) -> str | None:
    """The moments at which waves may start, where the windows themselves were not widened."""
    if not before or not after or windows_widened(before, after):
        return None
    return None if _within(_open(after, cut=True), _open(before, cut=True)) else "shortened"


def freeze_lost(before: Sequence[FreezeFile], after: Sequence[FreezeFile]) -> str | None:
    """Calendars by what their files hold; of one that was changed nobody says what it no
    longer closes.
    """
    held, names = {f.digest for f in after}, {f.path for f in after}
    lost = [f for f in before if f.digest not in held]
    if not lost:
        return None
    return (
        "removed"
        if any(f.path not in names for f in lost)
        else "changed (other times may be open now)"
    )


def _open(windows: Sequence[Window], *, cut: bool) -> list[tuple[datetime, datetime]]:
    """The open times, or without their cutoffs, of a year that has both changes of the clocks."""
    found = []
    for opening in openings(windows, (), YEAR[0]):
        if opening.begins >= YEAR[1]:
            break
        ends = (opening.starts_until if cut else opening.ends) or YEAR[1]
        found.append((max(opening.begins, YEAR[0]), min(ends, YEAR[1])))
    return found


def _within(
    inner: Sequence[tuple[datetime, datetime]], outer: Sequence[tuple[datetime, datetime]]
) -> bool:
    """Whether each of the sorted spans lies in one of the others."""
    place = 0
    for begins, ends in inner:
        while place < len(outer) and outer[place][1] < ends:
            place += 1
        if place == len(outer) or outer[place][0] > begins:
            return False
    return True


def unavailable_raised(before: Amount | None, after: Amount | None) -> str | None:
    """How many may be down: more is looser, no rule the loosest."""
    if before is None:
        return None
    return "removed" if after is None else _looser(before, after, least=1)


def rate_raised(before: PlanRate | None, after: PlanRate | None) -> str | None:
    """Whether the new brake can let more servers through in the old one's period than that did."""
    if before is None:
        return None
    if after is None:
        return "removed"
    periods = -(-before.per // after.per)
    return "raised" if after.servers * periods > before.servers else None


def _loses_canary(before: Sequence[Amount], after: Sequence[Amount]) -> bool:
    return before[0].number == 1 and after[0].number != 1


def _looser(before: Amount, after: Amount, least: int) -> str | None:
    """Whether `after` allows more. A number and a percentage are comparable only at the
    ends: nothing, everything.
    """
    if before.percent is not None and after.percent is not None:
        return raised(before.percent, after.percent)
    if before.number is not None and after.number is not None:
        return raised(before.number, after.number)
    if before.percent == 100 or (after.number is not None and after.number <= least):
        return None
    if before.is_zero or after.percent == 100:
        return "raised"
    return _INCOMPARABLE


def _at(items: Sequence[Any], n: int) -> Any:
    return items[min(n, len(items) - 1)]


# --- selection: which servers are meant ---------------------------------------


def _selects_more(old: Group, new: Group, path: Path, prefix: str) -> Iterator[Lift]:
    """Yield each key of `servers`, and each tag, that is gone or has more values: all of them
    must match a server.

    `all: true` is a row of the table. Ids are counted, not quoted: they may come from a file.
    """
    if old.servers.all or new.servers.all:
        return
    before, after = _conditions(old.servers), _conditions(new.servers)
    for (key, name), words in before.items():
        now = after.get((key, name))
        by = frozenset(words)
        if now is not None and all(is_covered(key, word, by) for word in now):
            continue
        place: Path = ("servers", key) if key in new.servers.keys else ("servers",)
        how = "removed" if now is None else "selects more"
        was, becomes_now = (_alternatives(key, some) for some in (words, now))
        yield Lift(f"{prefix}servers.{name} {how}", was, becomes_now, (*path, *place))


def _alternatives(key: str, words: Sequence[str] | None) -> str:
    if words is None:
        return "any"
    return f"{len(words)} ids" if key == "ids" else few(words)


def _conditions(selector: Selector) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the conditions of a selector, all of which a server must meet: (key, name) ->
    its alternatives.
    """
    made = {(key, key): words for key, words in words_of(selector).items() if key != "tags"}
    for tag, values in (selector.tags or {}).items():
        made["tags", f"tags.{tag}"] = values
    return made


# --- exclusions: what is no longer kept out -----------------------------------


def _exclusions_lost(old: Group, new: Group, path: Path, prefix: str) -> Iterator[Lift]:
    """Each key of `exclude` that keeps out less than before. Ids are counted, not quoted:
    they may come from a file.
    """
    for key, words in words_of(old.exclude).items():
        now = frozenset(words_of(new.exclude).get(key, ()))
        lost = [word for word in words if not is_covered(key, word, now)]
        if lost:
            place: Path = (
                ("exclude", key) if new.exclude and key in new.exclude.keys else ("exclude",)
            )
            before = f"{len(lost)} ids" if key == "ids" else few(lost)
            where = path if new.exclude is None else (*path, *place)
            yield Lift(f"{prefix}exclude.{key} keeps out less", before, "not kept out", where)


# --- failure domains: what may go down together -------------------------------


def _spread_lost(
    old: Mapping[str, Amount], new: Mapping[str, Amount], group: Group, path: Path, prefix: str
) -> Iterator[Lift]:
    """Each rule of spread, the plan's and the group's together, that lets more of a domain go
    down in one wave.

    Server groups are never taken down as a whole even if nothing is written; 100% lifts that.
    """
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before is None:
            how = (
                "raised"
                if key == SERVER_GROUP and after is not None and after.percent == 100
                else None
            )
        elif after is None:
            how = None if before.percent == 100 else "removed"
        else:
            how = _looser(before, after, least=1)
        if how is not None:
            default = "all but one" if key == SERVER_GROUP else "any number"
            own = key in (group.spread or {})
            place: Path = (*path, "spread", key) if own else ("spread", key) if key in new else path
            was, now = (default if x is None else str(x) for x in (before, after))
            yield Lift(f"{prefix}spread.{key} {how}", was, now, place)


# --- how values are written ---------------------------------------------------


def _share(percent: float) -> str:
    return f"{percent:g}%"


def _amounts(sizes: Iterable[Amount]) -> str:
    return ", ".join(map(str, sizes))


def _pauses(pauses: Iterable[PauseWord]) -> str:
    return ", ".join(format_duration(p) if isinstance(p, timedelta) else p for p in pauses)


def _budget(budget: Amount | None) -> str:
    return "only the run's" if budget is None else str(budget)


def _most_down(most: Amount | None) -> str:
    return "any number" if most is None else str(most)


def _rate(rate: PlanRate | None) -> str:
    return (
        "only the target's quota"
        if rate is None
        else f"{rate.servers} in {format_duration(rate.per)}"
    )


def _selected(everything: bool) -> str:
    return "every server" if everything else "what a selector matches"


def _checks(group: Group) -> tuple[Check, ...]:
    return tuple(part.check for part in group.ready.checks)


def _check_words(checks: Sequence[Check]) -> str:
    return "; ".join(map(str, checks)) or "none"


def _yes_no(value: bool) -> str:
    return "true" if value else "false"


def _gates(gates: Sequence[Gate]) -> str:
    return "; ".join(map(str, gates)) or "none"


def _calendars(files: Sequence[FreezeFile]) -> str:
    return few([f.path for f in files]) or "none"


def _run(run: str | None) -> str:
    return run or "no run"


def _target(target: str | None) -> str:
    return target or "not named"


# --- the tables ---------------------------------------------------------------


PLAN_BELTS: tuple[Belt[Plan], ...] = (
    Belt(("reboot", "type"), lambda p: p.reboot.type, becomes("HARD", "HARD instead of SOFT")),
    Belt(("target",), lambda p: p.target, changed, _target),
    Belt(("cycle",), lambda p: p.campaign, new_cycle),
    Belt(("limits", "servers"), lambda p: p.limits.servers, raised),
    Belt(("limits", "percent"), lambda p: p.limits.percent, raised, _share),
    Belt(("max_failures",), lambda p: p.max_failures, budget_raised),
    Belt(("on_unknown",), lambda p: p.on_unknown, becomes("retry", "retry instead of hold")),
    Belt(("windows",), lambda p: p.opening, windows_widened, windows_words),
    Belt(("windows",), lambda p: p.opening, cutoff_shortened, windows_words, name="windows.cutoff"),
    Belt(("freeze",), lambda p: p.freeze or (), freeze_lost, _calendars),
    Belt(("gates",), lambda p: p.asking, gates_loosened, _gates),
    Belt(("wait_at_most",), lambda p: p.wait_at_most, lengthened, format_duration),
    Belt(("rate",), lambda p: p.rate, rate_raised, _rate),
    Belt(("retry_of",), lambda p: p.retry_of, repeats, _run),
)
GROUP_BELTS: tuple[Belt[Group], ...] = (
    Belt(
        ("servers",),
        lambda g: bool(g.servers.all),
        becomes(True, "widened to all: true"),
        _selected,
    ),
    Belt(("waves",), lambda g: g.waves, canary_gone, _amounts, name="canary"),
    Belt(("waves",), lambda g: g.waves, sizes_raised, _amounts),
    Belt(("pause",), lambda g: g.pause, approval_gone, _pauses, name="approval"),
    Belt(("pause",), lambda g: g.pause, pause_shortened, _pauses),
    Belt(("max_unavailable",), lambda g: g.max_unavailable, unavailable_raised, _most_down),
    Belt(("rate",), lambda g: g.rate, rate_raised, _rate),
    Belt(("max_failures",), lambda g: g.max_failures, budget_raised, _budget),
    Belt(("on_failure",), lambda g: g.on_failure, weaker(_ON_FAILURE)),
    Belt(("ready", "timeout"), lambda g: g.ready.timeout, lengthened, format_duration),
    Belt(("ready", "stable_for"), lambda g: g.ready.stable_for, shortened, format_duration),
    Belt(("ready", "checks"), _checks, checks_lost, _check_words),
    Belt(("ready", "baseline"), lambda g: g.ready.baseline or NO_BASELINE, weaker(_BASELINE)),
    Belt(("bake",), lambda g: g.bake, shortened, format_duration),
    Belt(("allow_empty",), lambda g: g.allow_empty, becomes(True, "added"), _yes_no),
)
