"""Warnings that need nothing but a plan: a bold first wave, a calendar that closes
nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from runner.model.plan import Group, Plan
from runner.model.problem import Problem
from runner.model.window import HORIZON

SMALL_GROUP = 10
"""Up to so many servers nobody is told to begin with one."""


def first_wave(group: Group, n: int, eligible: int) -> Iterator[Problem]:
    """Warn when more than ten servers begin with a wave of several: one would tell as much
    and risk less.
    """
    size = group.waves[0].as_size(eligible) if eligible else 1
    if eligible > SMALL_GROUP and size > 1:
        yield _no_canary(
            n, f"group {group.name} begins with {size} of its {eligible} servers at once"
        )


def first_waves(plan: Plan) -> Iterator[Problem]:
    """The same without the cloud, which alone knows how many servers a group has that is no
    list of ids.
    """
    for n, group in enumerate(plan.groups):
        first, ids = group.waves[0], set(group.servers.ids or ())
        if group.servers.keys == ("ids",) and group.exclude is None:
            yield from first_wave(group, n, len(ids))
        elif first.number != 1 and not 0 < len(ids) <= SMALL_GROUP:
            share = f"{first} of its servers" if first.percent is not None else f"{first} servers"
            yield _no_canary(
                n,
                f"group {group.name} begins with {share} at once; that is bold if it has more "
                f"than ten",
            )


def _no_canary(n: int, message: str) -> Problem:
    hint = "let it begin with one: waves: [1, ...]"
    return Problem(
        "FirstWaveNotCanary", message, hint=hint, severity="warning", path=("groups", n, "waves")
    )


def idle_freezes(plan: Plan, now: datetime) -> Iterator[Problem]:
    """Warn of each calendar that closes nothing as far as plans look ahead."""
    for n, file in enumerate(plan.freeze or ()):
        if not plan.frozen_by(file, now):
            yield Problem(
                "FreezeClosesNothing",
                f"freeze: {file.path}: the calendar closes nothing in the next {HORIZON.days} days",
                hint="add the coming freezes to the calendar, or remove the file from the plan",
                severity="warning",
                path=("freeze", n),
            )
