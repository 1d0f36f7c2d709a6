"""The worst case: worked examples, and every way a small run can go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    return schedule(plan(*written, max_failures=budget), inventory([server(n) for n in range(first)]))


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
    budget: int, groups: list[tuple[int, tuple[Any, ...], dict[str, Any]]], worst: tuple[int, int, int]
) -> None:
    """Down at once, most failures, and the wave in which they are reached."""
    found = made(budget, *groups).worst_case
    assert (found.down_at_once, found.failures_before_stop, found.wave) == worst


def test_nothing_to_reboot() -> None:
    """Without waves nothing can be down and nothing can fail."""
    found = schedule(plan(), inventory([server(1, status="SHUTOFF")])).worst_case
    assert (found.down_at_once, found.failures_before_stop, found.wave) == (0, 0, None)


def outcomes(done: Schedule) -> Iterator[int]:
    """How many failed at the end of the run, for every number of failures each wave can have."""
    for failed in product(*(range(len(w.servers) + 1) for w in done.waves)):
        yield run_to_its_stop(done, failed)


def run_to_its_stop(done: Schedule, failed: Sequence[int]) -> int:
    """Play the rule of the plan format, wave by wave, until a budget is exceeded."""
    total = 0
    by_group = dict.fromkeys((g.name for g in done.groups), 0)
    for wave, number in zip(done.waves, failed, strict=True):
        rules = next(g for g in done.groups if g.name == wave.group)
        total += number
        by_group[wave.group] += number
        if total > done.max_failures.allowed:
            break
        exceeded = rules.max_failures is not None and by_group[wave.group] > rules.max_failures.allowed
        if rules.on_failure == "stop" and (exceeded or (wave.is_canary and number)):
            break
    return total


some_groups = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.sampled_from([(1,), (1, 2), (2,), (3,), ("50%",), (1, "100%")]),
        st.fixed_dictionaries(
            {"on_failure": st.sampled_from(["stop", "continue", "approval"])},
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
    """Over every course a run can take, the most failures are exactly the number that was foretold."""
    done = made(budget, *groups)
    assert max(outcomes(done)) == done.worst_case.failures_before_stop
