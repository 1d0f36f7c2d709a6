"""What a configuration changes of its targets, of the sources of gates and of the store. Pure.

A plan that is judged by the earlier configuration will run by the new one, so whoever
reviews must see the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.model.config import Config, TargetConfig, TargetQuota
from runner.model.plan import Part
from runner.planning.lifted import Lift

_JUDGED_ELSEWHERE = frozenset({"support", "rate", "simulator"})
_FASTER = ("servers_per_minute", "servers_per_request")


def changed_configuration(old: Config, new: Config) -> tuple[Lift, ...]:
    """Return what an earlier configuration says otherwise of targets, sources of gates, and
    the store of journals.

    A source that is gone cannot be asked, so its gates are errors.
    """
    found = list(changed_targets(old.targets, new.targets))
    for name in old.sources:
        if name in new.sources:
            found += _changed_words(f"source {name}", old.sources[name], new.sources[name])
    if old.store != new.store:
        what = "store changed (another store does not know what was rebooted)"
        found.append(Lift(what, old.store, new.store, ()))
    return tuple(found)


def changed_targets(
    old: Mapping[str, TargetConfig], new: Mapping[str, TargetConfig]
) -> tuple[Lift, ...]:
    """Every key that says which cloud, project, endpoint or login is meant, and a rate that
    is raised.

    A target that is gone reboots nothing, one that is new had nothing before.
    """
    return tuple(
        lift for name in old if name in new for lift in _of_target(name, old[name], new[name])
    )


def _of_target(name: str, old: TargetConfig, new: TargetConfig) -> Iterator[Lift]:
    yield from _changed_words(f"target {name}", old, new)
    yield from _faster(name, old.rate, new.rate)


def _changed_words(of: str, old: Part, new: Part) -> Iterator[Lift]:
    before, after = dict(_words(old)), dict(_words(new))
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key, "not written"), after.get(key, "not written")
        if was != now:
            yield Lift(f"{of}: {key} changed", was, now, ())


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


def _faster(name: str, old: TargetQuota, new: TargetQuota) -> Iterator[Lift]:
    for key in _FASTER:
        before, after = getattr(old, key), getattr(new, key)
        if after > before:
            yield Lift(f"target {name}: rate.{key} raised", str(before), str(after), ())
