"""What differs between two schedules: servers, waves, and the rules behind them. Pure, in
linear time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from runner.model.quantity import format_duration
from runner.model.schedule import Allowance, GroupRules, Rate, Schedule, ServerRef, Wave
from runner.model.shape import Shaped
from runner.planning.belts import few
from runner.planning.when import windows_words


@dataclass(frozen=True, slots=True)
class ServerPlace(Shaped):
    """Where a server goes down: its group, and its wave counted over the whole run."""

    group: str
    wave: int
    is_canary: bool


@dataclass(frozen=True, slots=True)
class Move(Shaped):
    """A server that stays in the schedule and changes its part in it."""

    server: ServerRef
    before: ServerPlace
    after: ServerPlace


@dataclass(frozen=True, slots=True)
class GroupWaves(Shaped):
    """A group whose waves have other sizes than before: the sizes in order; empty where it
    had or has no wave.
    """

    group: str
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChangedRule(Shaped):
    """A rule that changed, with its values as people read them. `what` can hold the name of
    a group.
    """

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Totals(Shaped):
    """A schedule in three numbers; `largest`: the servers of its largest wave."""

    servers: int = 0
    waves: int = 0
    largest: int = 0


@dataclass(frozen=True, slots=True)
class Changes(Shaped):
    """From one schedule to the next.

    `added`: servers that go down now and did not before; `removed`: the other way round,
    whatever the reason. `moved`: servers that changed their group, or became or ceased to
    be a canary. That a server goes down in an earlier or later wave of its group because
    others came or went is no move: such servers are only counted, in `shifted`; where waves
    got other sizes, `waves` says so.
    """

    before: Totals
    after: Totals
    added: tuple[ServerRef, ...] = ()
    removed: tuple[ServerRef, ...] = ()
    moved: tuple[Move, ...] = ()
    shifted: int = 0
    waves: tuple[GroupWaves, ...] = ()
    settings: tuple[ChangedRule, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (
            self.added or self.removed or self.moved or self.shifted or self.waves or self.settings
        )


def compare(old: Schedule | None, new: Schedule | None) -> Changes:
    """What becomes of `old` in `new`; None is a schedule without servers. Servers come in
    the order of their waves.
    """
    before, after = _slots(old), _slots(new)
    added, moved, shifted = [], [], 0
    for server, now in _servers(new, after):
        was = before.get(server.id)
        if was is None:
            added.append(server)
        elif was.place.group != now.place.group or was.place.is_canary != now.place.is_canary:
            moved.append(Move(server, was.place, now.place))
        else:
            shifted += was.nth != now.nth
    return Changes(
        before=_totals(old),
        after=_totals(new),
        added=tuple(added),
        removed=tuple(server for server, _ in _servers(old, before) if server.id not in after),
        moved=tuple(moved),
        shifted=shifted,
        waves=tuple(_waves(old, new)),
        settings=tuple(_settings(old, new)) if old and new else (),
    )


@dataclass(frozen=True, slots=True)
class _Slot:
    """One for each wave: `nth` is the wave's place in its own group."""

    place: ServerPlace
    nth: int


def _slots(schedule: Schedule | None) -> dict[str, _Slot]:
    """Where each server goes down, by id."""
    found: dict[str, _Slot] = {}
    seen: Counter[str] = Counter()
    for wave in schedule.waves if schedule else ():
        slot = _Slot(ServerPlace(wave.group, wave.number, wave.is_canary), seen[wave.group])
        seen[wave.group] += 1
        found.update((server.id, slot) for server in wave.servers)
    return found


def _servers(
    schedule: Schedule | None, slots: Mapping[str, _Slot]
) -> Iterator[tuple[ServerRef, _Slot]]:
    for wave in schedule.waves if schedule else ():
        for server in wave.servers:
            yield server, slots[server.id]


def _totals(schedule: Schedule | None) -> Totals:
    if schedule is None:
        return Totals()
    sizes = [len(w.servers) for w in schedule.waves]
    return Totals(sum(sizes), len(sizes), max(sizes, default=0))


def _waves(old: Schedule | None, new: Schedule | None) -> Iterator[GroupWaves]:
    before, after = _by_group(old), _by_group(new)
    for group in [*after, *(g for g in before if g not in after)]:
        sizes = [tuple(len(w.servers) for w in waves.get(group, ())) for waves in (before, after)]
        if sizes[0] != sizes[1]:
            yield GroupWaves(group, sizes[0], sizes[1])


def _by_group(schedule: Schedule | None) -> dict[str, list[Wave]]:
    found: dict[str, list[Wave]] = {}
    for wave in schedule.waves if schedule else ():
        found.setdefault(wave.group, []).append(wave)
    return found


# --- rules --------------------------------------------------------------------


def _settings(old: Schedule, new: Schedule) -> Iterator[ChangedRule]:
    """Rules of the run, then of each group that both have."""
    for what, read in _OF_THE_RUN.items():
        yield from _setting(what, read(old), read(new))
    groups = {g.name: g for g in old.groups}
    yield from _setting("order of groups", _order(old, new), _order(new, old))
    pauses = _pauses(old), _pauses(new)
    for group in new.groups:
        was = groups.get(group.name)
        if was is None:
            continue
        for what, of_group in _OF_A_GROUP.items():
            yield from _setting(f"group {group.name}: {what}", of_group(was), of_group(group))
        known = [words.get(group.name, "") for words in pauses]
        if all(known):
            yield from _setting(f"group {group.name}: pause", *known)


def _setting(what: str, before: str, after: str) -> Iterator[ChangedRule]:
    if before != after:
        yield ChangedRule(what, before, after)


def _pauses(schedule: Schedule) -> dict[str, str]:
    """The pauses of each group, equal neighbours once: `approval, then 10m`. The run's last
    wave has none.
    """
    found: dict[str, list[str]] = {}
    for wave in schedule.waves[:-1]:
        word = "approval" if wave.pause.kind == "approval" else format_duration(wave.pause.seconds)
        found.setdefault(wave.group, []).append(word)
    return {
        group: ", then ".join(word for word, _ in groupby(words)) for group, words in found.items()
    }


def _target(schedule: Schedule) -> str:
    return ", ".join(
        f"{t.name} ({t.cloud}, {t.region}, project {t.project_id})" for t in schedule.targets
    )


def _order(schedule: Schedule, other: Schedule) -> str:
    """The groups that both have, as this one has them."""
    shared = {g.name for g in other.groups}
    return ", ".join(g.name for g in schedule.groups if g.name in shared)


def _budget(budget: Allowance | None) -> str:
    return "only the run's" if budget is None else budget.written


def _spread(group: GroupRules) -> str:
    return ", ".join(f"{s.key}: {s.written}" for s in group.spread if s.written) or "none"


def _rate(rate: Rate | None) -> str:
    return "none" if rate is None else f"{rate.servers} in {format_duration(rate.per_s)}"


_OF_THE_RUN: Mapping[str, Callable[[Schedule], str]] = {
    "plan's name": lambda s: s.plan_name,
    "target": _target,
    "cycle": lambda s: s.cycle,
    "reboot type": lambda s: s.reboot_type,
    "max_failures": lambda s: _budget(s.max_failures),
    "on_unknown": lambda s: s.on_unknown,
    "wait_at_most": lambda s: format_duration(s.wait_at_most_s),
    "windows": lambda s: windows_words(s.windows),
    "freeze": lambda s: few([d[:19] for d in s.calendars]) or "none",
    "rate": lambda s: _rate(s.rate),
    "gates": lambda s: "; ".join(map(str, s.gates)) or "none",
    "retry_of": lambda s: s.retry_of or "none",
}
_OF_A_GROUP: Mapping[str, Callable[[GroupRules], str]] = {
    "max_failures": lambda g: _budget(g.max_failures),
    "on_failure": lambda g: g.on_failure,
    "order": lambda g: g.order,
    "ready.timeout": lambda g: format_duration(g.ready_timeout_s),
    "ready.stable_for": lambda g: format_duration(g.stable_for_s),
    "ready.checks": lambda g: "; ".join(map(str, g.checks)) or "none",
    "ready.baseline": lambda g: g.baseline or "not asked",
    "bake": lambda g: format_duration(g.bake_s),
    "max_unavailable": lambda g: "none" if g.max_unavailable is None else g.max_unavailable.written,
    "spread": _spread,
    "rate": lambda g: _rate(g.rate),
    "goes last": lambda g: "yes, as support of the runner" if g.support else "no",
}
