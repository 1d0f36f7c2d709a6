"""Two schedules side by side: who comes, goes and moves, and which rules are others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.inventory import Server
from runner.model.plan import Plan
from runner.model.schedule import Pause, Schedule, ServerRef, Target, Wave
from runner.planning.compare import ChangedRule, GroupWaves, Totals, compare
from tests.planning.build import (
    NOW,
    PLAN_DIGEST,
    group,
    inventory,
    one_target,
    plan,
    schedule,
    server,
)
from tests.planning.test_laws import fleets, plans, spent_of

WEB = {"names": ("web-*",)}


def made(servers: Sequence[int], *groups: dict[str, Any], **fields: Any) -> Schedule:
    return schedule(plan(*groups, **fields), inventory(server(n) for n in servers))


def settings(before: Schedule, after: Schedule) -> list[ChangedRule]:
    return list(compare(before, after).settings)


@given(fleets(), plans())
def test_a_schedule_does_not_differ_from_itself(fleet: list[Server], wanted: Plan) -> None:
    """Compared with itself a schedule has no change at all."""
    one = schedule(wanted, inventory(fleet))
    assert compare(one, one).is_empty


@given(fleets(), plans(), plans(), st.integers(0, 3))
def test_every_server_is_accounted_for(
    fleet: list[Server], first: Plan, second: Plan, chance: int
) -> None:
    """Old servers without the removed and with the added are the new ones; the way back is
    the mirror image.
    """
    old, new = (
        schedule(first, inventory(fleet)),
        schedule(second, inventory(fleet), spent_of(fleet, chance)),
    )
    there, back = compare(old, new), compare(new, old)
    before = {s.id for w in old.waves for s in w.servers}
    after = {s.id for w in new.waves for s in w.servers}
    assert {s.id for s in there.added} == after - before
    assert {s.id for s in there.removed} == before - after
    assert {s.id for s in back.added} == before - after
    assert len(there.moved) + there.shifted <= len(before & after)
    assert there.shifted == back.shifted
    assert {(m.server.id, m.before, m.after) for m in there.moved} == {
        (m.server.id, m.after, m.before) for m in back.moved
    }
    homes = (
        {s.id: w.group for w in old.waves for s in w.servers},
        {s.id: w.group for w in new.waves for s in w.servers},
    )
    changed = {
        server_id for server_id in before & after if homes[0][server_id] != homes[1][server_id]
    }
    assert changed <= {m.server.id for m in there.moved}


def test_nothing_before_or_after() -> None:
    """None is a schedule without servers: all of the other come, or go."""
    one = made(range(5), group(waves=(1, 4)))
    assert [s.name for s in compare(None, one).added] == [
        s.name for w in one.waves for s in w.servers
    ]
    gone = compare(one, None)
    assert (len(gone.removed), gone.before, gone.after) == (5, Totals(5, 2, 4), Totals())
    assert gone.waves == (GroupWaves("web", (1, 4), ()),)
    assert compare(None, None).is_empty


def test_a_newcomer_moves_nobody() -> None:
    """Servers that go down a wave later because another came are counted, not listed; the
    sizes are told.
    """
    old = made(range(1, 9), group(order="name", waves=(2,)))
    new = made(range(9), group(order="name", waves=(2,)))
    changes = compare(old, new)
    assert [s.name for s in changes.added] == ["web-000"]
    assert (changes.moved, changes.shifted) == ((), 4)
    assert changes.waves == (GroupWaves("web", (2, 2, 2, 2), (2, 2, 2, 2, 1)),)
    assert (changes.before, changes.after) == (Totals(8, 4, 2), Totals(9, 5, 2))


def test_canaries_and_groups_are_moves() -> None:
    """A server that becomes or ceases to be a canary, or changes its group, is listed with
    both places.
    """
    old = made(range(1, 5), group(order="name", waves=(1, 3)))
    new = made(range(5), group(order="name", waves=(1, 3)))
    (move,) = compare(old, new).moved
    assert (move.server.name, move.before.is_canary, move.after.is_canary) == (
        "web-001",
        True,
        False,
    )
    a, b = group("a", {"names": ("web-00[013]",)}, waves=(3,)), group("b", {"names": ("web-002",)})
    wider = group("b", {"names": ("web-001", "web-002")}, waves=(2,))
    narrower = group("a", {"names": ("web-00[03]",)}, waves=(3,))
    moved = compare(made(range(4), a, b), made(range(4), narrower, wider)).moved
    assert [(m.server.name, m.before.group, m.after.group, m.after.wave) for m in moved] == [
        ("web-001", "a", "b", 2),
        ("web-002", "b", "b", 2),  # it was the canary of b
    ]


def test_a_group_in_front_shifts_nobody() -> None:
    """Waves are counted inside their group: another group before it makes no difference to
    its servers.
    """
    b = group("b", {"names": ("web-001",)}, waves=(1,))
    a = group("a", {"names": ("web-000",)}, waves=(1,))
    changes = compare(made(range(2), b), made(range(2), a, b))
    assert (len(changes.added), changes.moved, changes.shifted) == (1, (), 0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"reboot": {"type": "HARD"}}, ChangedRule("reboot type", "SOFT", "HARD")),
        ({}, {"cycle": "x"}, ChangedRule("cycle", "kernel", "x")),
        ({"max_failures": "1%"}, {"max_failures": 2}, ChangedRule("max_failures", "1%", "2")),
        ({}, {"on_unknown": "retry"}, ChangedRule("on_unknown", "hold", "retry")),
        ({}, {"wait_at_most": "1h"}, ChangedRule("wait_at_most", "7d", "1h")),
    ],
)
def test_rules_of_the_run(
    before: dict[str, Any], after: dict[str, Any], expected: ChangedRule
) -> None:
    """A rule that is another one is told with both values, and nothing else is."""
    assert settings(made([1, 2], **before), made([1, 2], **after)) == [expected]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"max_failures": 3}, ChangedRule("group web: max_failures", "only the run's", "3")),
        ({"on_failure": "approval"}, {}, ChangedRule("group web: on_failure", "approval", "stop")),
        ({}, {"bake": "30m"}, ChangedRule("group web: bake", "0s", "30m")),
        ({"ready": {"timeout": "1h"}}, {}, ChangedRule("group web: ready.timeout", "1h", "15m")),
        (
            {},
            {"ready": {"stable_for": "1m"}},
            ChangedRule("group web: ready.stable_for", "0s", "1m"),
        ),
        (
            {},
            {"ready": {"checks": ({"tcp": {"port": 22}},)}},
            ChangedRule("group web: ready.checks", "none", "tcp 22"),
        ),
        (
            {},
            {"pause": ("approval", "5m")},
            ChangedRule("group web: pause", "0s", "approval, then 5m"),
        ),
        ({"pause": ("5m", "5m")}, {"pause": ("5m",)}, None),
        ({}, {"order": "name"}, ChangedRule("group web: order", "shuffle", "name")),
    ],
)
def test_rules_of_a_group(
    before: dict[str, Any], after: dict[str, Any], expected: ChangedRule | None
) -> None:
    """The same for the rules of a group; how a pause is written makes no difference."""
    old, new = made(range(4), group(**before)), made(range(4), group(**after))
    assert settings(old, new) == ([expected] if expected else [])


def test_target_and_order_of_groups() -> None:
    """Another project is told, and groups that change places; a group that comes or goes
    changes no order.
    """
    from runner.planning.schedule import make_schedule

    a, b = group("a", {"names": ("web-000",)}), group("b", {"names": ("web-001",)})
    old, new = made(range(2), a, b), made(range(2), b, a)
    assert settings(old, new) == [ChangedRule("order of groups", "a, b", "b, a")]
    assert settings(made(range(2), a), new) == []
    elsewhere = make_schedule(
        plan(a, b),
        PLAN_DIGEST,
        one_target(
            inventory([server(0), server(1)]),
            target=Target("test", "simulator", "eu-west-101", "0" * 32),
        ),
        now=NOW,
    ).schedule
    (other,) = settings(old, elsewhere) if elsewhere else []
    assert other.what == "target"
    assert other.after == f"test (simulator, eu-west-101, project {'0' * 32})"


def test_a_hundred_thousand_servers() -> None:
    """Fleets of 100,000 are compared in far less than a second of computing."""
    refs = [ServerRef(f"id-{n}", f"web-{n:06d}") for n in range(100_000)]
    small = made([1, 2])

    def of(size: int) -> Schedule:
        starts = range(0, len(refs), size)
        waves = [
            Wave(n, "web", str(size), tuple(refs[at : at + size]), Pause())
            for n, at in enumerate(starts, 1)
        ]
        return replace(small, waves=tuple(waves))

    old, new = of(100), of(1000)
    began = time.process_time()
    changes = compare(old, new)
    assert time.process_time() - began < 0.8
    assert changes.shifted > 90_000
