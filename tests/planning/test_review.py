"""A saved schedule against plan and cloud when it is to run: what was reviewed runs,
anything else is refused.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.loading.calendar_events import IcsCalendar
from runner.model.check import Check
from runner.model.inventory import Inventory, Server
from runner.model.plan import FreezeFile, Plan
from runner.model.schedule import Allowance, Pause, Schedule, ServerRef, Target
from runner.model.shape import json_values
from runner.planning.digest import inventory_digest, schedule_digest
from runner.planning.review import Standing, follows, outdated, review
from runner.report.schedule_json import dump, load
from tests.planning.build import (
    NOW,
    PLAN_DIGEST,
    TARGET,
    group,
    inventory,
    one_target,
    plan,
    schedule,
    server,
    sid,
)
from tests.planning.test_laws import fleets, plans, spent_of

WAVES = plan(
    group(servers={"names": ("web-*",)}, waves=(1, "25%"), pause=("5m",), max_failures="10%")
)


def judged(
    saved: Schedule, wanted: Plan, has: Inventory, spent: Collection[str] = (), **changes: Any
) -> Standing:
    """Both halves of a review in one."""
    options: dict[str, Any] = {
        "plan_digest": PLAN_DIGEST,
        "targets": (TARGET,),
        "now": NOW,
    } | changes
    found = review(saved, wanted, one_target(has, spent))
    return replace(found, differences=(*outdated(saved, wanted, **options), *found.differences))


def fleet(count: int = 20, **fields: Any) -> list[Server]:
    return [server(n, **fields) for n in range(count)]


@given(fleets(), plans(), st.integers(0, 3))
def test_an_unchanged_fleet_is_no_difference(
    servers: list[Server], wanted: Plan, chance: int
) -> None:
    """What was planned a moment ago runs as it is: nothing differs, nothing is skipped,
    nothing is new.
    """
    spent = spent_of(servers, chance)
    saved = schedule(wanted, inventory(servers), spent)
    found = judged(saved, wanted, inventory(servers), spent=spent)
    assert (found.differences, found.skipped, found.newcomers) == ((), (), ())


@given(fleets(), plans(), st.integers(0, 99))
def test_what_is_gone_is_skipped_and_what_is_new_is_never_added(
    servers: list[Server], wanted: Plan, chance: int
) -> None:
    """Skipped are exactly the schedule's servers that planning would not take now;
    newcomers only what it would add.
    """
    picker = random.Random(chance)
    saved = schedule(wanted, inventory(servers))
    kept = [s for s in servers if picker.random() < 0.8]
    kept += [
        server(n + 1_000, name="new", tags={"role": "web"}) for n in range(picker.randrange(3))
    ]
    fresh = {s.id: w.group for w in schedule(wanted, inventory(kept)).waves for s in w.servers}
    found = judged(saved, wanted, inventory(kept))
    held = {s.id: w.group for w in saved.waves for s in w.servers}
    assert {ref.id for ref, _ in found.skipped} == {
        i for i, name in held.items() if fresh.get(i) != name
    }
    assert {ref.id for ref in found.newcomers} == set(fresh) - set(held)


@pytest.mark.parametrize(("gone", "refused"), [(0, False), (1, False), (2, False), (3, True)])
def test_a_tenth_may_be_gone(gone: int, refused: bool) -> None:
    """Of 20 servers two may be skipped before the first wave; with three it is not what was
    reviewed.
    """
    saved = schedule(WAVES, inventory(fleet()))
    found = judged(saved, WAVES, inventory(fleet()[gone:]))
    assert bool(found.differences) is refused
    assert len(found.skipped) == gone


def test_of_few_servers_one_may_be_gone() -> None:
    """A tenth of three servers is none, and one may be gone all the same; two may not."""
    saved = schedule(WAVES, inventory(fleet(3)))
    assert judged(saved, WAVES, inventory(fleet(3)[1:])).differences == ()
    assert "at most 1" in judged(saved, WAVES, inventory(fleet(3)[2:])).differences[0]


def test_busy_servers_are_not_gone() -> None:
    """A backup or a snapshot that runs on every server at that moment does not make a
    schedule stale.
    """
    saved = schedule(WAVES, inventory(fleet()))
    found = judged(saved, WAVES, inventory(fleet(task="other")))
    assert found.differences == ()
    assert (found.skipped, found.newcomers) == ((), ())
    both = [*fleet(task="other")[3:], *fleet(state="stopped")[:3]]
    assert "3 of its 20 servers" in judged(saved, WAVES, inventory(both)).differences[0]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"state": "stopped"}, "NotActive"),
        ({"locked": True}, "Locked"),
        ({"name": "db-001"}, "NotSelected"),
    ],
)
def test_why_a_server_is_skipped(changed: dict[str, Any], reason: str) -> None:
    """A server that is not fit, or that the plan does not select any more, is skipped with
    that reason.
    """
    servers = fleet()
    saved = schedule(WAVES, inventory(servers))
    servers[4] = server(4, **changed)
    found = judged(saved, WAVES, inventory(servers))
    assert [(ref.id, why.reason) for ref, why in found.skipped] == [(sid(4), reason)]
    assert found.differences == ()
    assert (sid(4) in found.settled) is (reason == "NotSelected")


def test_nothing_left_is_no_difference() -> None:
    """When every server was rebooted in the cycle there is nothing to do: that is not stale."""
    saved = schedule(WAVES, inventory(fleet()))
    found = judged(saved, WAVES, inventory(fleet()), spent={s.id for s in fleet()})
    assert found.is_spent(saved)
    assert found.differences == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan_digest": "sha256:" + "cd" * 32}, "the plan has changed"),
        ({"targets": (Target("test", "simulator", "eu-west-101", "f" * 32),)}, "the target is"),
        (
            {"targets": (Target("other", "simulator", "eu-west-101", TARGET.project_id),)},
            "the target is",
        ),
        ({"now": NOW + timedelta(days=7, seconds=1)}, "7d1s ago, at most 7d"),
        ({"now": NOW - timedelta(hours=2)}, "in the future"),
        (
            {"now": NOW + timedelta(minutes=10), "max_age": timedelta(minutes=5)},
            "10m ago, at most 5m",
        ),
    ],
)
def test_what_makes_a_schedule_stale(changes: dict[str, Any], words: str) -> None:
    """Another plan, target, project, or a schedule that is too old is refused with a
    sentence that says so.
    """
    found = judged(schedule(WAVES, inventory(fleet())), WAVES, inventory(fleet()), **changes)
    assert len(found.differences) == 1
    assert words in found.differences[0]


def test_a_week_is_not_too_old() -> None:
    """At exactly the age that is allowed it still runs."""
    saved = schedule(WAVES, inventory(fleet()))
    assert judged(saved, WAVES, inventory(fleet()), now=NOW + timedelta(days=7)).differences == ()


def forged(saved: Schedule, **changes: Any) -> Schedule:
    """A schedule that was changed by somebody who can compute digests."""
    made = replace(saved, **changes)
    return replace(made, digest=schedule_digest(made))


SAVED = schedule(WAVES, inventory(fleet()))
ALL = tuple(s for w in SAVED.waves for s in w.servers)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reboot_type": "HARD"}, "reboot type: HARD"),
        ({"on_unknown": "retry"}, "on_unknown: retry"),
        ({"max_failures": Allowance("20", 20, 20)}, "max_failures: 20 = 20"),
        ({"waves": (replace(SAVED.waves[0], servers=ALL, is_canary=False),)}, "waves: 20"),
        ({"waves": tuple(replace(w, pause=Pause()) for w in SAVED.waves)}, "then 5m"),
        (
            {"groups": (replace(SAVED.groups[0], max_failures=None),)},
            "max_failures: none was reviewed",
        ),
        ({"groups": (replace(SAVED.groups[0], on_failure="continue"),)}, "on_failure: continue"),
        ({"groups": (replace(SAVED.groups[0], ready_timeout_s=1.0),)}, "ready_timeout_s"),
        (
            {"groups": (replace(SAVED.groups[0], checks=(Check("tcp", 22),)),)},
            "checks: tcp 22 was reviewed",
        ),
        ({"groups": (replace(SAVED.groups[0], baseline="count"),)}, "baseline: count was reviewed"),
        ({"cycle": "another"}, "cycle"),
    ],
)
def test_rules_must_follow_from_the_plan(changes: dict[str, Any], words: str) -> None:
    """A file with a good digest but other waves, pauses or budgets than its plan makes
    is refused.
    """
    found = judged(forged(SAVED, **changes), WAVES, inventory(fleet()))
    assert any(words in d for d in found.differences), found.differences


def test_servers_that_the_plan_does_not_select_never_go_down() -> None:
    """A server smuggled into the file is skipped, or the file refused: it is never rebooted."""
    stranger = server(99, name="db-099")
    first = SAVED.waves[0]
    smuggled = forged(
        SAVED,
        waves=(replace(first, servers=(ServerRef(stranger.id, stranger.name),)), *SAVED.waves[1:]),
    )
    found = judged(smuggled, WAVES, inventory([*fleet(), stranger]))
    assert found.settled[stranger.id][0] == "NotSelected"


def test_limits_hold_for_a_saved_schedule() -> None:
    """The plan's limits are judged by the target as it is now, not by what the file says it was."""
    wanted = plan(group(waves=(1, "25%")), limits={"servers": 200, "percent": 50.0})
    big = forged(schedule(plan(group(waves=(1, "25%"))), inventory(fleet())), visible=10_000)
    found = judged(big, wanted, inventory(fleet()))
    assert any("limits.percent" in d for d in found.differences)


@given(fleets(), plans(), st.integers(0, 99))
def test_the_digests_of_an_unchanged_fleet_are_the_same_tomorrow(
    servers: list[Server], wanted: Plan, chance: int
) -> None:
    """Neither the day, nor names, sentences or the order of the answer change a digest; the
    fleet changes both.
    """
    today = schedule(wanted, inventory(servers))
    renamed = [replace(s, updated="2026-11-30T00:00:00Z", addresses=("10.0.0.1",)) for s in servers]
    random.Random(chance).shuffle(renamed)
    tomorrow = schedule(
        wanted, Inventory(tuple(renamed), NOW), now=NOW + timedelta(days=1), plan_file="moved.yaml"
    )
    assert (today.digest, inventory_digest(today)) == (tomorrow.digest, inventory_digest(tomorrow))
    if today.servers:
        gone = today.waves[0].servers[0].id
        other = schedule(wanted, inventory([s for s in servers if s.id != gone]))
        assert today.digest != other.digest
        assert inventory_digest(today) != inventory_digest(other)


def test_follows_names_every_group_that_differs() -> None:
    """The sentences say which group, what was reviewed and what the plan makes of it."""
    other = plan(
        group(servers={"names": ("web-*",)}, waves=(2, "50%"), pause=("1m",), max_failures="50%")
    )
    said = "\n".join(follows(SAVED, other))
    assert "group web, max_failures: 10% = 2 was reviewed, the plan makes it 50% = 10" in said
    assert "1 canary then 5m, 5 (25%) then 5m" in said
    assert "2 then 1m, 10 (50%) then 1m" in said


TUESDAY = {"days": ("tue",), "start": "22:00", "length": "2h", "timezone": "UTC"}


@pytest.mark.parametrize(
    ("age", "fields", "stale"),
    [
        (timedelta(hours=2), {}, True),
        (timedelta(hours=2), {"windows": (TUESDAY,)}, False),
        (timedelta(hours=2, minutes=59), {"windows": (TUESDAY,)}, False),
        (timedelta(hours=3), {"windows": (TUESDAY,)}, True),
        (timedelta(days=4, hours=2), {"windows": ({**TUESDAY, "days": ("sat",)},)}, False),
        (timedelta(days=4, hours=3), {"windows": ({**TUESDAY, "days": ("sat",)},)}, True),
        (
            timedelta(hours=2),
            {"freeze": (FreezeFile("a.ics", "sha256:" + "1" * 64, IcsCalendar(())),)},
            True,
        ),
    ],
)
def test_a_schedule_is_not_too_old_before_the_next_window_is_over(
    age: timedelta, fields: dict[str, Any], stale: bool
) -> None:
    """Whatever `--max-age` says, what was reviewed before a window may run in it; NOW is a
    Tuesday, 21:00.
    """
    has, wanted = inventory(fleet()), plan(**fields)
    saved = schedule(wanted, has)
    found = judged(saved, wanted, has, now=NOW + age, max_age=timedelta(hours=1))
    assert any("ago, at most 1h are allowed" in d for d in found.differences) is stale


def test_a_saved_schedule_with_other_windows_or_freezes_is_refused() -> None:
    """Windows and calendars follow from the plan, as everything else does; how far one
    looked ahead makes no digest.
    """
    file = FreezeFile("a.ics", "sha256:" + "1" * 64, IcsCalendar(()))
    wanted, has = plan(windows=(TUESDAY,), freeze=(file,)), inventory(fleet())
    saved = schedule(wanted, has)
    assert follows(saved, wanted) == []
    assert "windows: any time was reviewed" in follows(replace(saved, windows=()), wanted)[0]
    assert "freeze: none was reviewed" in follows(replace(saved, calendars=()), wanted)[0]
    assert schedule(wanted, has, now=NOW + timedelta(days=1)).digest == saved.digest
    assert schedule(plan(windows=(TUESDAY,)), has).digest != saved.digest
    assert schedule_digest(replace(saved, windows=())) != saved.digest


def test_a_saved_schedule_with_other_gates_is_refused() -> None:
    """Gates follow from the plan to the last digit; they are part of the digest, and
    survive the saved file.
    """
    query = {"source": "main", "query": "errors", "max": 1_000_000.25, "for": "2m"}
    wanted, has = (
        plan(gates=({"prometheus": query}, {"alarms": "none"}, {"http": {"source": "a"}})),
        inventory(fleet()),
    )
    saved = load(dump(schedule(wanted, has)))
    assert saved.gates == wanted.asking
    assert follows(saved, wanted) == []
    close = replace(saved.gates[0], max=1_000_000.2500001)
    for gates in (
        (),
        saved.gates[:2],
        (close, *saved.gates[1:]),
        (replace(saved.gates[0], dry_run=True),),
    ):
        forged = replace(saved, gates=gates)
        assert "gates: " in follows(forged, wanted)[0]
        assert schedule_digest(forged) != saved.digest
    assert "gates" not in json_values(schedule(plan(), has))
