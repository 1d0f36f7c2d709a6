"""Plans against small fleets: order, exclusions, belts, budgets."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from pydantic import TypeAdapter

from runner.model.inventory import ServerGroup
from runner.model.schedule import Pause, Schedule
from runner.model.shape import json_values
from runner.planning.cycle import fresh_cycle
from tests.planning.build import (
    codes,
    group,
    ids,
    inventory,
    plan,
    planned,
    schedule,
    server,
    sid,
    sizes,
)

TEN = inventory([server(n) for n in range(1, 11)])


@pytest.mark.parametrize(
    ("total", "waves", "expected"),
    [
        (37, (1, "10%", "25%"), [1, 3, 9, 9, 9, 6]),
        (5, ("10%",), [1, 1, 1, 1, 1]),
        (5, ("100%",), [5]),
        (5, (50,), [5]),
        (5, (3,), [3, 2]),
        (100, ("29%",), [29, 29, 29, 13]),
        (8, (1, 2, 4, 99), [1, 2, 4, 1]),
        (1, (1, "50%"), [1]),
        (200, ("0.5%", "50%"), [1, 100, 99]),
    ],
)
def test_sizes(total: int, waves: tuple[Any, ...], expected: list[int]) -> None:
    """Sizes round down to at least one; the last repeats; a size beyond what is left takes
    what is left.
    """
    made = schedule(plan(group(waves=waves)), inventory([server(n) for n in range(total)]))
    assert sizes(made) == expected


def test_percentages_are_of_the_eligible() -> None:
    """Servers that cannot be rebooted do not swell the waves of those that can."""
    fleet = inventory([server(n, state="stopped" if n < 10 else "running") for n in range(20)])
    made = schedule(plan(group(waves=("50%",), max_failures="20%"), max_failures="25%"), fleet)
    assert sizes(made) == [5, 5]
    assert (made.groups[0].selected, made.groups[0].eligible) == (20, 10)
    assert made.groups[0].max_failures is not None
    assert (made.groups[0].max_failures.of, made.groups[0].max_failures.allowed) == (10, 2)
    assert (made.max_failures.written, made.max_failures.of, made.max_failures.allowed) == (
        "25%",
        10,
        2,
    )


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"state": "stopped"}, "NotActive", "state stopped"),
        (
            {"state": "error", "locked": True, "task": "other"},
            "Locked",
            "unlock it, or exclude it in the plan",
        ),
        ({"locked": True}, "Locked", "unlock it, or exclude it in the plan"),
        ({"locked": True, "state": "error"}, "Locked", "unlock it, or exclude it in the plan"),
        ({"frozen": True}, "Frozen", ""),
        ({"state": "unknown", "task": "stop"}, "StatusUnknown", "state unknown, task stop"),
        ({"tags_unknown": True}, "TagsUnknown", "its tags are unknown"),
        ({"tags_unknown": True, "task": "other"}, "TagsUnknown", "its tags are unknown"),
        ({"bare_metal": True}, "BareMetal", ""),
        (
            {"bare_metal": True, "locked": True, "state": "stopped"},
            "BareMetal",
            "",
        ),
        ({"name": "old-1"}, "ExcludedByPlan", "names old-*"),
        ({"name": "old-1", "state": "stopped"}, "ExcludedByPlan", "names old-*"),
    ],
)
def test_why_a_server_is_left_out(fields: dict[str, Any], reason: str, detail: str) -> None:
    """Each exclusion has a stable reason and a sentence; what the plan says goes before the
    server's state.
    """
    fleet = inventory([server(1), server(2, **fields)])
    made = schedule(plan(group(exclude={"names": ("old-*",)})), fleet)
    assert [(e.server.id, e.group, e.reason, e.detail) for e in made.exclusions] == [
        (sid(2), "web", reason, detail)
    ]
    assert ids(made) == [[sid(1)]]


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "other"},
        {"state": "rebooting"},
        {"state": "stopped", "task": "other"},
    ],
)
def test_a_server_that_is_only_busy_now_stays_in_the_schedule(fields: dict[str, Any]) -> None:
    """Waves, percentages, worst case and digest are those of an idle fleet; a warning names
    who is waited for.
    """
    wanted = plan(group(waves=(1, "50%"), max_failures="25%"))
    idle = [server(n) for n in range(8)]
    found = planned(wanted, inventory([*idle[:6], server(6, **fields), server(7)]))
    assert found.schedule == schedule(wanted, inventory(idle))
    (warning,) = found.problems
    assert (warning.code, warning.severity) == ("BusyNow", "warning")
    assert (
        "1 of 8 servers of group web is busy now, waited for when the wave begins: web-006"
        in warning.message
    )


def test_which_left_out_servers_are_counted() -> None:
    """Each server that the plan means and no wave holds, once; never what `exclude` or the
    cycle takes away.
    """
    fleet = inventory(
        [
            server(1),
            server(2, locked=True),
            server(3, "old-3"),
            server(4),
            server(5, state="stopped"),
        ]
    )
    groups = (
        group("web", {"ids": (sid(2), sid(3), sid(4))}, exclude={"names": ("old-*",)}),
        group("rest", {"ids": (sid(1), sid(3), sid(5))}, exclude={"ids": (sid(3),)}),
    )
    made = schedule(plan(*groups), fleet, {sid(4)})
    assert [(e.server.id, e.reason, e.named) for e in made.not_scheduled] == [
        (sid(2), "Locked", True),
        (sid(5), "NotActive", True),
    ]
    assert TypeAdapter(Schedule).validate_python(json_values(made)) == made
    assert [
        e.named for e in schedule(plan(), inventory([server(1), server(2, locked=True)])).excluded
    ] == [False]


def test_spent_in_the_cycle() -> None:
    """A server that was rebooted in the cycle is left out, whatever state it is in now."""
    fleet = inventory([server(1), server(2, state="error")])
    made = schedule(plan(cycle="november"), fleet, {sid(2), "of-another-plan"})
    assert [(e.server.id, e.reason, e.detail) for e in made.exclusions] == [
        (sid(2), "RebootedInCycle", "cycle november")
    ]


def test_the_cycle_can_be_given() -> None:
    """A given cycle takes the place of the plan's, in the schedule, its order and its digest."""
    first, second = schedule(plan(), TEN), schedule(plan(), TEN, cycle="kernel-2")
    assert (first.cycle, second.cycle) == ("kernel", "kernel-2")
    assert ids(first) != ids(second)
    assert first.digest != second.digest


def test_order_listed() -> None:
    """`listed` keeps the plan's own order of ids, a repeated id counting where it first stands."""
    chosen = (sid(7), sid(2), sid(7), sid(5))
    assert ids(schedule(plan(group(servers={"ids": chosen}, order="listed")), TEN)) == [
        [sid(7)],
        [sid(2)],
        [sid(5)],
    ]


def test_order_listed_without_a_list() -> None:
    """Without ids, `listed` is by name."""
    fleet = inventory([server(1, "c"), server(2, "a"), server(3, "b")])
    assert ids(schedule(plan(group(order="listed")), fleet)) == [[sid(2)], [sid(3)], [sid(1)]]


def test_order_name() -> None:
    """`name` compares names character by character and equal names by id."""
    fleet = inventory([server(1, "w-10"), server(2, "w-2"), server(3, "w-10"), server(4, "W-9")])
    assert ids(schedule(plan(group(order="name")), fleet)) == [
        [sid(4)],
        [sid(1)],
        [sid(3)],
        [sid(2)],
    ]


def test_order_shuffle() -> None:
    """`shuffle` is the SHA-256 of cycle, a zero byte and id: anybody can check it."""
    expected = sorted(
        (sid(n) for n in range(1, 11)), key=lambda i: sha256(f"kernel\0{i}".encode()).hexdigest()
    )
    assert [i for wave in ids(schedule(plan(), TEN)) for i in wave] == expected


def test_order_zone() -> None:
    """`zone` begins with the zone that has the fewest eligible servers; equal ones go by name."""
    zones = ["z3"] * 4 + ["z2"] * 2 + ["z1"] * 2
    fleet = inventory([server(n, zone=zone) for n, zone in enumerate(zones, 1)])
    stopped = inventory(
        [server(n, zone=z, state="stopped" if n < 4 else "running") for n, z in enumerate(zones, 1)]
    )
    made = [schedule(plan(group(order="zone")), has) for has in (fleet, stopped)]
    assert [[w.servers[0].zone for w in m.waves] for m in made] == [
        ["z1", "z1", "z2", "z2", "z3", "z3", "z3", "z3"],
        ["z3", "z1", "z1", "z2", "z2"],
    ]


def test_pauses_and_bake() -> None:
    """The last pause repeats, also into the next group; after the run's last wave there is none."""
    one = group("one", {"ids": (sid(1), sid(2), sid(3))}, pause=("15m", "approval"), bake="30m")
    two = group("two", {"ids": (sid(4), sid(5))}, pause=("1m",))
    made = schedule(plan(one, two), TEN)
    assert [w.pause for w in made.waves] == [
        Pause("timed", 900.0),
        Pause("approval"),
        Pause("approval"),
        Pause("timed", 60.0),
        Pause("timed", 0.0),
    ]
    assert [g.bake_s for g in made.groups] == [1800.0, 0.0]


def test_a_group_where_nothing_is_left() -> None:
    """A selector that matched servers of which none is eligible is no error: the exclusions
    are shown.
    """
    stopped = inventory([server(1, "db-1", state="stopped"), server(2)])
    db = group("db", {"names": ("db-*",)})
    made = schedule(plan(db, group("web", {"names": ("web-*",)})), stopped)
    assert [w.group for w in made.waves] == ["web"]
    assert [e.group for e in made.exclusions] == ["db"]


def test_a_canary_group_taken_out_of_the_rest() -> None:
    """A server excluded from one group and selected by another goes down once and is listed
    in both places.
    """
    fleet = inventory([server(n, tags={"canary": "true"} if n == 3 else {}) for n in range(1, 6)])
    canary = group("canary", {"tags": {"canary": ("true",)}})
    rest = group(
        "rest", {"names": ("web-*",)}, exclude={"tags": {"canary": ("true",)}}, waves=(1, "100%")
    )
    made = schedule(plan(canary, rest), fleet)
    assert sizes(made) == [1, 1, 3]
    assert [(e.server.id, e.group, e.reason) for e in made.exclusions] == [
        (sid(3), "rest", "ExcludedByPlan")
    ]


def test_what_the_schedule_takes_from_the_plan() -> None:
    """Everything a run needs of the plan is in the schedule, as numbers."""
    wanted = plan(
        group(ready={"timeout": "5m", "stable_for": "30s"}, on_failure="approval"),
        reboot={"type": "HARD"},
        on_unknown="retry",
        wait_at_most="2d",
        description="Kernel",
    )
    made = schedule(wanted, TEN, plan_file="plans/kernel.yaml")
    assert (made.reboot_type, made.on_unknown, made.wait_at_most_s) == ("HARD", "retry", 172_800.0)
    assert (made.description, made.plan_file, made.visible) == ("Kernel", "plans/kernel.yaml", 10)
    assert made.made_at == "2026-11-03T21:00:00Z"
    rules = made.groups[0]
    assert (rules.ready_timeout_s, rules.stable_for_s, rules.on_failure, rules.target) == (
        300,
        30,
        "approval",
        "test",
    )


def test_problem_empty_match() -> None:
    """A selector that matches nothing is an error that names its keys, unless the group may
    be empty.
    """
    nothing = {"names": ("nope-*",), "zones": ("z1",)}
    found = planned(plan(group(servers=nothing), group("b", {"ids": (sid(1),)})), TEN)
    assert found.schedule is None
    assert [(p.code, p.path) for p in found.problems] == [("EmptyMatch", ("groups", 0, "servers"))]
    assert "names, zones" in found.problems[0].message
    assert planned(plan(group(servers=nothing, allow_empty=True)), TEN).problems == ()


def test_problem_unknown_ids() -> None:
    """Ids that the cloud does not know are an error, in servers and in exclude, where a
    slip would reboot a server.
    """
    wanted = plan(group(servers={"ids": (sid(1), sid(77), sid(78))}, exclude={"ids": (sid(99),)}))
    found = planned(wanted, TEN).problems
    assert [(p.code, p.path, p.message) for p in found] == [
        (
            "UnknownServer",
            ("groups", 0, "servers", "ids", 1),
            "the cloud does not know 2 of the 3 ids: entries 2, 3",
        ),
        (
            "UnknownServer",
            ("groups", 0, "exclude", "ids", 0),
            "the cloud does not know 1 of the 1 ids: entry 1",
        ),
    ]


def test_ids_are_never_quoted() -> None:
    """An id list can come from any file of the repository: no message shows what is in it."""
    wanted = plan(group(servers={"ids": (sid(1), "hunter2")}, exclude={"ids": ("swordfish",)}))
    found = planned(wanted, TEN).problems
    assert codes(found) == ["UnknownServer", "UnknownServer"]
    assert not any(
        word in f"{p.message} {p.hint}" for p in found for word in ("hunter2", "swordfish")
    )


def test_problem_unknown_server_group() -> None:
    """A server group that the cloud does not know is an error that says what else it may be."""
    fleet = inventory([server(1)], [ServerGroup("g", "quorum", members=(sid(1),))])
    found = planned(plan(group(servers={"server_groups": ("quorum", "quorom")})), fleet).problems
    assert [(p.code, p.path) for p in found] == [
        ("UnknownServerGroup", ("groups", 0, "servers", "server_groups", 1)),
    ]


def test_problem_two_groups() -> None:
    """A server that two groups select is an error that names both groups and the servers,
    one for each pair.
    """
    groups = [
        group("a", {"ids": (sid(1), sid(2))}),
        group("b", {"ids": (sid(2), sid(3))}),
        group("c", {"all": True}),
    ]
    found = planned(plan(*groups), TEN).problems
    assert [(p.code, p.path[1]) for p in found] == [("ServerInTwoGroups", n) for n in (1, 2, 2)]
    assert f"1 server is in group a and in group b: web-002 ({sid(2)})" in found[0].message


def test_problem_two_groups_whatever_the_state() -> None:
    """The overlap is the plan's fault and an error even while the server is down or done."""
    fleet = inventory([server(1, state="stopped"), server(2)])
    wanted = plan(group("a"), group("b"))
    assert codes(planned(wanted, fleet, {sid(2)}).problems) == ["ServerInTwoGroups"]


def test_problem_many_are_counted() -> None:
    """A sentence names the first few servers and counts the rest."""
    (found,) = planned(plan(group("a"), group("b")), TEN).problems
    assert "and 5 more" in found.message


@pytest.mark.parametrize(
    ("limits", "path"),
    [({"servers": 9, "percent": 100.0}, "servers"), ({"servers": 10, "percent": 99.9}, "percent")],
)
def test_problem_limits(limits: dict[str, Any], path: str) -> None:
    """More servers than a belt allows are refused; exactly as many are not."""
    assert planned(plan(limits={"servers": 10, "percent": 100.0}), TEN).problems == ()
    (found,) = planned(plan(limits=limits), TEN).problems
    assert (found.code, found.path) == ("LimitExceeded", ("limits", path))


def test_limits_count_what_is_rebooted() -> None:
    """What is excluded or done already does not count against the belts."""
    done = {sid(n) for n in range(1, 6)}
    assert planned(plan(limits={"servers": 5, "percent": 50.0}), TEN, done).schedule is not None


def test_default_limits() -> None:
    """A plan that says nothing may reboot half of what the target shows."""
    half = {"ids": tuple(sid(n) for n in range(1, 6))}
    assert planned(plan(group(servers=half), limits={}), TEN).schedule is not None
    assert codes(planned(plan(limits={}), TEN).problems) == ["LimitExceeded"]


@pytest.mark.parametrize(
    ("servers", "waves", "warned"),
    [
        (11, (2,), True),
        (11, (1,), False),
        (10, (2,), False),
        (11, ("9%",), False),
        (30, ("9%",), True),
    ],
)
def test_warning_first_wave(servers: int, waves: tuple[Any, ...], warned: bool) -> None:
    """A group of more than ten that does not begin with one server is told so, and planned
    all the same.
    """
    made = planned(plan(group(waves=waves)), inventory([server(n) for n in range(servers)]))
    assert made.schedule is not None
    assert codes(made.problems) == (["FirstWaveNotCanary"] if warned else [])
    assert all(p.severity == "warning" and p.path == ("groups", 0, "waves") for p in made.problems)


def test_all_problems_at_once() -> None:
    """Problems of different groups and kinds are found together."""
    groups = [
        group("a", {"names": ("nope",)}),
        group("b", {"ids": (sid(55),)}),
        group("c"),
        group("d"),
    ]
    found = planned(plan(*groups, limits={"servers": 1, "percent": 1.0}), TEN).problems
    errors = sorted({p.code for p in found if p.severity == "error"})
    assert errors == ["EmptyMatch", "LimitExceeded", "ServerInTwoGroups", "UnknownServer"]


@pytest.mark.parametrize(
    ("campaign", "runs", "cycle"),
    [("quickstart", 0, "quickstart-1"), ("quickstart", 9, "quickstart-10")],
)
def test_fresh_cycles(campaign: str, runs: int, cycle: str) -> None:
    """Each run on the embedded simulated cloud has a cycle of its own, counted from 1."""
    assert fresh_cycle(campaign, runs) == cycle


def test_fresh_cycles_stay_names() -> None:
    """However long the plan's cycle is, the fresh one is a name of the format."""
    assert fresh_cycle("a" * 60 + "-bc", 99) == "a" * 59 + "-100"
    assert fresh_cycle("a" * 58 + "-bcde", 99) == "a" * 58 + "-100"
    with pytest.raises(ValueError, match="negative"):
        fresh_cycle("kernel", -1)


def test_servers_with_unknown_tags_are_told_where_tags_select() -> None:
    """No selector by tags sees them, so a warning names them; without such a selector each
    is an exclusion alone.
    """
    fleet = inventory([server(1, tags={"role": "web"}), server(2, tags_unknown=True)])
    by_tag = planned(plan(group(servers={"tags": {"role": ("web",)}})), fleet)
    assert [(p.code, p.severity, p.path) for p in by_tag.problems] == [
        ("TagsUnknown", "warning", ("groups", 0, "servers", "tags"))
    ]
    assert "web-002" in by_tag.problems[0].message
    assert planned(plan(group()), fleet).problems == ()
