"""The fault rules that are active: which of them fire on a call or a batch, by what the log
says so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from runner.simulator import events as ev
from runner.simulator.chance import pick_share
from runner.simulator.faults import BatchRule, CallRule, Rule, WorldRule
from runner.simulator.fleet import FleetServer
from runner.simulator.timeline import Millis


@dataclass(slots=True)
class ActiveRule:
    """A rule with what it has met. `number` is its position in the log, the same in
    every process.
    """

    number: int
    rule: Rule
    added: Millis
    met: int = 0
    fired: int = 0
    hits: Counter[str] = field(default_factory=Counter)

    def is_due(self, now: Millis) -> bool:
        return self.rule.is_due(timedelta(milliseconds=now - self.added))


@dataclass(frozen=True, slots=True)
class Hit:
    """A batch rule and the servers of one batch that it decides."""

    rule: BatchRule
    servers: frozenset[str]


class Rules:
    """All active rules. Choosing changes nothing: the caller logs `RulesMet`, and `met`
    counts it.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active: dict[int, ActiveRule] = {}
        self._next = 0
        self.sources: set[str] = set()

    def add(self, event: ev.RulesAdded) -> None:
        if event.replace:
            self._active.clear()
            self.sources.clear()
        self.sources.add(event.source)
        for rule in event.rules:
            self._active[self._next] = ActiveRule(self._next, rule, event.at)
            self._next += 1

    def met(self, event: ev.RulesMet) -> None:
        for number in (*event.passed, *event.fired):
            if active := self._active.get(number):
                active.met += 1
        for number in event.fired:
            if active := self._active.get(number):
                active.fired += 1
                active.hits.update(event.servers.get(number, ()))

    def __iter__(self) -> Iterator[ActiveRule]:
        return iter(self._active.values())

    def __bool__(self) -> bool:
        return bool(self._active)

    def on_call(self, call: str, now: Millis) -> tuple[list[ActiveRule], ev.RulesMet | None]:
        """The call and world rules that fire on this call, and the line that says so (None:
        no rule met it).
        """
        fired: list[ActiveRule] = []
        passed: list[ActiveRule] = []
        for active in self._active.values():
            rule = active.rule
            if not isinstance(rule, CallRule | WorldRule) or rule.on not in (call, "any"):
                continue
            is_spent = rule.times != "all" and active.fired >= rule.times
            if is_spent or not active.is_due(now):
                continue
            (fired if self._strikes(active) else passed).append(active)
        if not fired and not passed:
            return [], None
        return fired, ev.RulesMet(
            now, tuple(a.number for a in passed), tuple(a.number for a in fired)
        )

    def on_batch(
        self, servers: Sequence[FleetServer], now: Millis
    ) -> tuple[list[Hit], ev.RulesMet | None]:
        """The batch rules that fire on an accepted batch, each with its servers."""
        hits: list[Hit] = []
        passed: list[int] = []
        fired: dict[int, tuple[str, ...]] = {}
        for active in self._active.values():
            rule = active.rule
            if not isinstance(rule, BatchRule) or not active.is_due(now):
                continue
            chosen = rule.servers.choose(servers, self._seed, active.number)
            if rule.times != "all":
                chosen = [s for s in chosen if active.hits[s] < rule.times]
            if not chosen:
                continue
            if active.met < rule.after:
                passed.append(active.number)
                continue
            struck = tuple(s for s in chosen if self._strikes(active, s))
            if struck:
                hits.append(Hit(rule, frozenset(struck)))
                fired[active.number] = struck
            else:
                passed.append(active.number)
        if not hits and not passed:
            return [], None
        return hits, ev.RulesMet(now, tuple(passed), tuple(fired), fired)

    def _strikes(self, active: ActiveRule, *who: str) -> bool:
        rule = active.rule
        if active.met < rule.after:
            return False
        if rule.probability >= 1:
            return True
        return pick_share(self._seed, "strike", active.number, active.met, *who) < rule.probability
