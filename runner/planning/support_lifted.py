"""Which support of the runner a configuration protects less than an earlier version of it. Pure.

What cannot be told to be as strict as before counts as loosened: a selector that was
rewritten, for example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.model.config import Support, TargetConfig
from runner.planning.belts import few
from runner.planning.lifted import Lift
from runner.planning.words import words_of


def loosened_support(
    old: Mapping[str, TargetConfig], new: Mapping[str, TargetConfig]
) -> tuple[Lift, ...]:
    """Every entry of `support` that is gone, weaker or about other servers, target by target.

    A target that is gone reboots nothing, one that is new had no support before.
    """
    return tuple(
        lift for name in old if name in new for lift in _of_target(name, old[name], new[name])
    )


def _of_target(name: str, old: TargetConfig, new: TargetConfig) -> Iterator[Lift]:
    entries = list(new.support)
    for before in old.support:
        if before in entries:
            continue
        what = f"target {name}: support {before.name}"
        after = next((s for s in entries if s.name == before.name), None)
        if after is None:
            yield Lift(f"{what} gone", _words(before), "not protected", ())
        elif before.action == "refuse" and after.action == "last":
            yield Lift(f"{what} weakened", _words(before), _words(after), ())
        elif before.servers != after.servers:
            yield Lift(f"{what} changed", _words(before), _words(after), ())


def _words(support: Support) -> str:
    """`refuse: names nat-*; tags role=nat`."""
    listed = words_of(support.servers.selector)
    return f"{support.action}: " + "; ".join(f"{key} {few(words)}" for key, words in listed.items())
