"""Which rules a policy loosens against an earlier version of itself. Pure; only what the two
policies say is compared.

What cannot be told to be as strict as before counts as loosened: paths that were rewritten,
a number that became a percentage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.model.policy import HardRule, Policy, TargetRule
from runner.planning.belts import few
from runner.planning.lifted import Belt, Lift, budget_raised
from runner.planning.words import is_covered, words_of


def loosened(old: Policy | None, new: Policy | None) -> tuple[Lift, ...]:
    """Every rule that `new` raises, widens or drops. Nothing for a policy that is only
    stricter, or the first one.
    """
    if old is None:
        return ()
    if new is None:
        return (Lift("policy removed", "a policy", "none", ()),)
    found = [lift for rule in RULES for lift in rule.compare(old, new, prefix="policy ")]
    return (*found, *_no_longer_forbidden(old, new))


def _raised(before: float | None, after: float | None) -> str | None:
    """For the most of something, and for sizes from which on a rule holds: more is looser,
    no rule the loosest.
    """
    if before is None:
        return None
    if after is None:
        return "dropped"
    return "raised" if after > before else None


def _dropped(before: object | None, after: object | None) -> str | None:
    return "dropped" if before is not None and after is None else None


def _widened(before: Sequence[str] | None, after: Sequence[str] | None) -> str | None:
    """For lists of what is allowed: a word more is looser, no list the loosest."""
    if before is None:
        return None
    if after is None:
        return "dropped"
    return "widened" if set(after) - set(before) else None


def _hard_widened(before: HardRule | None, after: HardRule | None) -> str | None:
    """Without a rule HARD is allowed nowhere."""
    if after is None:
        return None
    if before is None:
        return "allowed"
    is_wider = _widened(before.paths, after.paths) or _widened(before.targets, after.targets)
    return "widened" if is_wider else None


def _targets_widened(
    before: Sequence[TargetRule] | None, after: Sequence[TargetRule] | None
) -> str | None:
    """The order of rules decides, so rules of other paths are not compared."""
    if before is None:
        return None
    if after is None:
        return "dropped"
    if [r.paths for r in before] != [r.paths for r in after]:
        return "rewritten"
    pairs = zip(before, after, strict=True)
    return "widened" if any(_widened(b.allow, a.allow) for b, a in pairs) else None


def _no_longer_forbidden(old: Policy, new: Policy) -> Iterator[Lift]:
    """Each key of `forbidden` that keeps out less than before."""
    before = words_of(old.forbidden.selector if old.forbidden else None)
    after = words_of(new.forbidden.selector if new.forbidden else None)
    for key, words in before.items():
        now = frozenset(after.get(key, ()))
        lost = [word for word in words if not is_covered(key, word, now)]
        if lost:
            yield Lift(
                f"policy forbidden.{key} keeps out less",
                few(lost),
                "not forbidden",
                ("forbidden", key),
            )


def _written(value: object) -> str:
    return "no rule" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _yes(value: object) -> str:
    return "no rule" if value is None else "true"


def _listed(words: Sequence[str] | None) -> str:
    return "no rule" if words is None else few(words)


def _hard(rule: HardRule | None) -> str:
    if rule is None:
        return "nowhere"
    parts = [
        f"{name} {few(words)}"
        for name, words in (("paths", rule.paths), ("targets", rule.targets))
        if words
    ]
    return " and ".join(parts)


def _rules(rules: Sequence[TargetRule] | None) -> str:
    return (
        "no rule" if rules is None else "; ".join(f"{few(r.paths)}: {few(r.allow)}" for r in rules)
    )


RULES: tuple[Belt[Policy], ...] = (
    Belt(("limits", "servers"), lambda p: p.limits and p.limits.servers, _raised, _written),
    Belt(("limits", "percent"), lambda p: p.limits and p.limits.percent, _raised, _written),
    Belt(("max_wave", "servers"), lambda p: p.max_wave and p.max_wave.servers, _raised, _written),
    Belt(("max_wave", "percent"), lambda p: p.max_wave and p.max_wave.percent, _raised, _written),
    Belt(("canary", "above"), lambda p: p.canary and p.canary.above, _raised, _written),
    Belt(("approval", "above"), lambda p: p.approval and p.approval.above, _raised, _written),
    Belt(("max_failures",), lambda p: p.max_failures, budget_raised, _written),
    Belt(("windows",), lambda p: p.windows, _dropped, _written),
    Belt(("gates",), lambda p: p.gates, _dropped, _written),
    Belt(("hard",), lambda p: p.hard, _hard_widened, _hard),
    Belt(("on_unknown",), lambda p: p.on_unknown, _widened, _listed),
    Belt(("exclude_must_match",), lambda p: p.exclude_must_match, _dropped, _yes),
    Belt(("targets",), lambda p: p.targets, _targets_widened, _rules),
)
"""Every rule but `forbidden`, which is compared word by word. A new rule of the policy is
one line here.
"""
