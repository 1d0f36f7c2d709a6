"""What a configuration changes about its targets: whose servers they are, and where requests go. Pure.

A plan that is judged by the earlier configuration will run by the new one, so whoever reviews must see the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.model.config import Rate, TargetConfig
from runner.model.plan import Part
from runner.planning.lifted import Lift

_JUDGED_ELSEWHERE = frozenset({"support", "rate", "simulator"})
_FASTER = ("servers_per_minute", "servers_per_request")


def changed_targets(old: Mapping[str, TargetConfig], new: Mapping[str, TargetConfig]) -> tuple[Lift, ...]:
    """Every key that says which cloud, project, endpoint or login is meant, and a rate that is raised.

    A target that is gone reboots nothing, one that is new had nothing before.
    """
    return tuple(lift for name in old if name in new for lift in _of_target(name, old[name], new[name]))


def _of_target(name: str, old: TargetConfig, new: TargetConfig) -> Iterator[Lift]:
    before, after = dict(_words(old)), dict(_words(new))
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield Lift(
                f"target {name}: {key} changed", before.get(key, "not written"), after.get(key, "not written"), ()
            )
    yield from _faster(name, old.rate, new.rate)


def _words(part: Part, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Keys with dots, and their values as text; what is not written has no line."""
    for key in type(part).model_fields:
        value = getattr(part, key)
        if value is None or (not prefix and key in _JUDGED_ELSEWHERE):
            continue
        if isinstance(value, Part):
            yield from _words(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _faster(name: str, old: Rate, new: Rate) -> Iterator[Lift]:
    for key in _FASTER:
        before, after = getattr(old, key), getattr(new, key)
        if after > before:
            yield Lift(f"target {name}: rate.{key} raised", str(before), str(after), ())
