"""The worst case: worked examples, and every way a small run can go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.schedule import Schedule
from tests.planning.build import group, inventory, plan, schedule, server, sid


def made(budget: Any, *groups: tuple[int, tuple[Any, ...], dict[str, Any]]) -> Schedule:
    """A schedule of groups, each given as number of servers, wave sizes and further fields."""
    written, first = [], 0
    for n, (count, waves, fields) in enumerate(groups):
        chosen = tuple(sid(i) for i in range(first, first + count))
        written.append(group(f"g{n}", {"ids": chosen}, waves=waves, **fields))
        first += count
    return schedule(
        plan(*written, max_failures=budget), inventory([server(n) for n in range(first)])
    )


@pytest.mark.parametrize(
    ("budget", "groups", "worst"),
    [
        (3, [(21, (1, 10), {})], (10, 13, 3)),
        (3, [(21, (1, 10), {"max_failures": 2})], (10, 12, 3)),
        (0, [(8, (4,), {})], (4, 4, 1)),
        (100, [(4, (2,), {})], (2, 4, 2)),
        (0, [(1, (1,), {})], (1, 1, 1)),
        (5, [(3, (1,), {})], (1, 2, 3)),
        (2, [(10, (5,), {}), (10, (5,), {"max_failures": 0})], (5, 7, 2)),
        (9, [(10, (2,), {"max_failures": 1}), (10, (2,), {"max_failures": 1})], (2, 4, 7)),
        (9, [(10, (2,), {"max_failures": 1, "on_failure": "continue"}), (4, (4,), {})], (4, 13, 6)),
    ],
)
def test_worked_examples(
    budget: int,
    groups: list[tuple[int, tuple[Any, ...], dict[str, Any]]],
    worst: tuple[int, int, int],
) -> None:
    """Down at once, most failures, and the wave in which they are reached."""
    found = made(budget, *groups).worst_case
    assert (found.down_at_once, found.failures_before_stop, found.wave) == worst
    assert (found.failures_in_bake, found.failures) == (0, found.failures_before_stop)


BAKES = {"bake": "10m"}


@pytest.mark.parametrize(
    ("budget", "groups", "worst"),
    [
        (0, [(8, (1, 2), BAKES)], (2, 8)),
        (1, [(8, (4,), BAKES), (2, (2,), BAKES)], (5, 8)),
        (2, [(8, (4,), {}), (6, (3,), BAKES)], (6, 8)),
        (9, [(4, (4,), {"max_failures": 1}), (6, (3,), BAKES)], (7, 7)),
        (9, [(4, (1, 3), {"max_failures": 1} | BAKES), (2, (2,), {})], (3, 4)),
    ],
)
def test_bakes(
    budget: int, groups: list[tuple[int, tuple[Any, ...], dict[str, Any]]], worst: tuple[int, int]
) -> None:
    """A bake may lose its whole group at once, whatever the size of its waves: that is said
    besides.
    """
    found = made(budget, *groups).worst_case
    assert (found.failures_before_stop, found.failures_in_bake) == worst
    assert found.failures == max(worst)


def test_nothing_to_reboot() -> None:
    """Without waves nothing can be down and nothing can fail."""
    found = schedule(plan(), inventory([server(1, state="stopped")])).worst_case
    assert (found.down_at_once, found.failures_before_stop, found.wave) == (0, 0, None)


Course = tuple[int, bool]
"""How many failed at the end of a run, and whether the last of them were found by a bake."""


def outcomes(done: Schedule) -> Iterator[Course]:
    """The end of the run for every number of failures that each wave, and each bake, can have."""
    ends = [w.number for w, after in zip(done.waves, (*done.waves[1:], None), strict=True)
            if after is None or after.group != w.group]  # fmt: skip
    bakes = {w.number: w.group for w in done.waves if w.number in ends}
    bakes = {
        n: name
        for n, name in bakes.items()
        if next(g for g in done.groups if g.name == name).bake_s
    }
    for failed in product(*(range(len(w.servers) + 1) for w in done.waves)):
        most = {n: sum(len(w.servers) - f for w, f in zip(done.waves, failed, strict=True) if w.group == name)  # noqa: E501
                for n, name in bakes.items()}  # fmt: skip
        for lost in product(*(range(m + 1) for m in most.values())):
            yield run_to_its_stop(done, failed, dict(zip(most, lost, strict=True)))


def run_to_its_stop(done: Schedule, failed: Sequence[int], lost: Mapping[int, int]) -> Course:
    """Play the rule of the plan format, wave by wave, until a budget is exceeded. `lost`: by a
    wave's bake; the canary is the last to be lost.
    """
    total = 0
    by_group = dict.fromkeys((g.name for g in done.groups), 0)
    for wave, number in zip(done.waves, failed, strict=True):
        rules = next(g for g in done.groups if g.name == wave.group)
        for more, in_bake in ((number, False), (lost.get(wave.number, 0), True)):
            total += more
            by_group[wave.group] += more
            own = [w for w in done.waves if w.group == wave.group]
            is_canary = own[0].is_canary and (
                by_group[wave.group] == sum(len(w.servers) for w in own)
                if in_bake
                else more and wave.is_canary
            )
            exceeded = (
                rules.max_failures is not None and by_group[wave.group] > rules.max_failures.allowed
            )
            if total > done.max_failures.allowed or (
                rules.on_failure == "stop" and (exceeded or is_canary)
            ):
                return total, in_bake
    return total, False


some_groups = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.sampled_from([(1,), (1, 2), (2,), (3,), ("50%",), (1, "100%")]),
        st.fixed_dictionaries(
            {
                "on_failure": st.sampled_from(["stop", "continue", "approval"]),
                "bake": st.sampled_from(["0s", "5m"]),
            },
            optional={"max_failures": st.integers(0, 3)},
        ),
    ),
    min_size=1,
    max_size=2,
)


@given(st.integers(0, 6), some_groups)
def test_no_run_is_worse_and_one_is_as_bad(
    budget: int, groups: list[tuple[int, tuple[Any, ...], dict[str, Any]]]
) -> None:
    """Over every course a run can take, the most failures are exactly the number that
    was foretold.
    """
    done = made(budget, *groups)
    courses = set(outcomes(done))
    assert max(total for total, in_bake in courses) == done.worst_case.failures
    if not done.worst_case.failures_in_bake:
        assert not any(in_bake for _, in_bake in courses)
    assert (
        max(total for total, in_bake in courses if not in_bake)
        <= done.worst_case.failures_before_stop
    )
