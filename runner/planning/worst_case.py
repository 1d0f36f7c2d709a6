"""The worst that can happen before a run stops by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runner.model.schedule import Allowance, GroupRules, Wave, WorstCase


def worst_case(
    groups: Sequence[GroupRules], waves: Sequence[Wave], max_failures: Allowance
) -> WorstCase:
    """The largest wave, and the most servers that can end failed before the run stops by itself.

    A run stops when failures exceed a budget, but the wave in flight is followed to its
    end. So for each wave *w*:

        failures(w) = min(b, before(w)) + size(w)

    where *b* is the run's budget and before(w) the most failures that earlier waves can
    have had without a stop: all their servers, but in a group with `on_failure: stop` none
    of its canary, and no more than its own budget. The worst case is the largest
    failures(w); `wave` is the first that reaches it. Where no budget can break, that is
    every server. Groups with `on_failure: approval` or `continue` are held by the run's
    budget only, and people who approve after a wave without a ready server are taken to do
    so: the number is never too small.

    A bake watches its whole group, and may lose all of it in one look, long after its
    waves. So for each group *g* that bakes the most failures found by its bake, told apart
    from those that waves show, are

        in_bake(g) = min(b, before(g)) + servers of g

    where before(g) are the failures that groups before it can have had; the largest is
    `failures_in_bake`.

    Not counted are servers that use up no budget: `baseline: count`, when their checks did
    not pass before either.

    Worked: sizes 1, 10, 10 with b = 3 in one group: wave 1 is a canary and stops at 1; wave
    2: 0 + 10; wave 3: min(3, 10) + 10 = 13. The same with a group budget of 2: min(3, 2) +
    10 = 12. Sizes 4, 4 with b = 0: 0 + 4 = 4. Sizes 2, 2 with b = 100: min(100, 2) + 2 = 4,
    every server. Two groups of 4, 4 and of 2 with b = 1, both with a bake: waves 4, 1 + 4
    and 1 + 2, so 5; bakes 8 and 1 + 2, so 8.
    """
    rules = {g.name: g for g in groups}
    worst, at, in_bake = 0, None, 0
    closed = inside = (
        0  # the most failures that can have passed: in earlier groups, in this one before this wave
    )
    current = None
    of_group: Counter[str] = Counter()
    for wave in waves:
        of_group[wave.group] += len(wave.servers)
    for wave in waves:
        if wave.group != current:
            closed, inside, current = closed + inside, 0, wave.group
        size = len(wave.servers)
        failures = min(max_failures.allowed, closed + inside) + size
        if failures > worst:
            worst, at = failures, wave.number
        if rules[wave.group].bake_s > 0:
            in_bake = max(in_bake, min(max_failures.allowed, closed) + of_group[wave.group])
        inside = _passed(rules[wave.group], inside, wave)
    return WorstCase(max((len(w.servers) for w in waves), default=0), worst, at, in_bake)


def _passed(group: GroupRules, inside: int, wave: Wave) -> int:
    """The most failures of the group that do not stop the run, once `wave` is done."""
    if group.on_failure != "stop":
        return inside + len(wave.servers)
    if wave.is_canary:
        return inside
    budget = group.max_failures.allowed if group.max_failures else None
    total = inside + len(wave.servers)
    return total if budget is None else min(total, budget)
