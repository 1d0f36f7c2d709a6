"""Failure domains: what may go down together, against an oracle that tries servers one by one."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model.inventory import Inventory, Server, ServerGroup, Unread
from runner.model.plan import Plan
from runner.model.quantity import Amount
from runner.model.schedule import Schedule
from runner.planning.forecast import forecast
from runner.planning.review import follows, review
from runner.report.diff import PlanDiff
from runner.report.diff_sections import diff_text
from runner.report.schedule_json import dump, load
from tests.planning.build import (
    codes,
    group,
    ids,
    inventory,
    one_target,
    plan,
    planned,
    schedule,
    server,
    sid,
    sizes,
)

KINDS = ("zone", "server_group", "enterprise_project", "tag:pool")


def domains_of(some: Server, kind: str) -> str | None:
    """The oracle's own reading of a server."""
    if kind == "tag:pool":
        return some.tags.get("pool")
    return str(getattr(some, kind) or "") or None


@st.composite
def fleets(draw: st.DrawFn) -> list[Server]:
    """Up to 24 servers in a few domains of each kind, or in none."""
    count, chance = draw(st.integers(1, 24)), random.Random(draw(st.integers(0, 10_000)))
    wide = draw(st.integers(1, 4))
    return [
        server(
            n,
            zone=f"z{chance.randrange(wide)}",
            server_group=chance.choice([None, *(f"g{k}" for k in range(wide * 2))]),
            enterprise_project=str(chance.randrange(2)),
            tags=chance.choice([{}, {"pool": "a"}, {"pool": "b"}]),
            state=chance.choice(["running"] * 5 + ["stopped"]),
        )
        for n in range(count)
    ]


amounts = st.one_of(st.integers(1, 5), st.sampled_from(["1%", "34%", "50%", "99%", "100%"]))
waves = st.lists(
    st.one_of(st.integers(1, 9), st.sampled_from(["10%", "50%", "100%"])), min_size=1, max_size=3
)
rules = st.dictionaries(st.sampled_from(KINDS[:3]), amounts)
"""Of the tag the last test tells: a fleet may have no server with it."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    of_plan, of_group = draw(rules), draw(rules)
    fields: dict[str, Any] = {
        "waves": tuple(draw(waves)),
        "order": draw(st.sampled_from(["shuffle", "name", "zone"])),
    }
    fields["spread"] = of_group or None
    return plan(group(allow_empty=True, **fields), spread=of_plan or None)


def most_of(wanted: Plan, fleet: list[Server], kind: str, name: str, eligible: list[Server]) -> int:
    """How many servers of a domain the rules let into one wave."""
    amount = wanted.spread_of(wanted.groups[0]).get(kind)
    count = sum(domains_of(s, kind) == name for s in eligible)
    most = count if amount is None else amount.as_size(count)
    if str(amount) != "100%" and (amount is not None or kind == "server_group"):
        most = min(most, sum(domains_of(s, kind) == name for s in fleet) - 1)
    return max(1, most)


def fits(
    wave: list[Server], more: Server, wanted: Plan, fleet: list[Server], eligible: list[Server]
) -> bool:
    """Whether one more server may join a wave."""
    for kind in KINDS:
        name = domains_of(more, kind)
        inside = sum(domains_of(s, kind) == name for s in wave)
        if name is not None and inside >= most_of(wanted, fleet, kind, name, eligible):
            return False
    return True


def expected(wanted: Plan, fleet: list[Server], order: list[Server]) -> list[list[str]]:
    """The waves by brute force: each server in order is tried in the wave that is being filled."""
    left, total = list(order), len(order)
    made: list[list[str]] = []
    while left:
        written = wanted.groups[0].waves
        size = written[min(len(made), len(written) - 1)].as_size(total)
        wave: list[Server] = []
        for some in left:
            if len(wave) < size and fits(wave, some, wanted, fleet, order):
                wave.append(some)
        left = [s for s in left if s not in wave]
        made.append([s.id for s in wave])
    return made


def in_order(wanted: Plan, has: Inventory) -> list[Server]:
    """The group's servers in the order that nothing holds back."""
    free = {"spread": {"server_group": Amount(percent=100)}}
    alone = wanted.model_copy(
        update={**free, "groups": (wanted.groups[0].model_copy(update={"spread": None}),)}
    )
    return [has.by_id[i] for wave in ids(schedule(alone, has)) for i in wave]


@settings(max_examples=60)
@given(fleets(), plans())
def test_waves_are_those_of_brute_force(fleet: list[Server], wanted: Plan) -> None:
    """Each wave holds, in order, exactly the servers that the rules let in: no domain over
    its share, none left out.
    """
    has = inventory(fleet)
    assert ids(schedule(wanted, has)) == expected(wanted, fleet, in_order(wanted, has))


@settings(max_examples=60)
@given(fleets(), plans(), st.randoms())
def test_laws_of_spread(fleet: list[Server], wanted: Plan, chance: random.Random) -> None:
    """Each server once; never more than written; smaller only with a reason; the same for a
    shuffled inventory.
    """
    has = inventory(fleet)
    made = schedule(wanted, has)
    total = made.groups[0].eligible
    assert Counter(s.id for w in made.waves for s in w.servers) == Counter(
        s.id for s in in_order(wanted, has)
    )
    left = total
    for wave in made.waves:
        most = min(left, Amount.parse(wave.written).as_size(total))
        assert 1 <= len(wave.servers) <= most
        assert bool(wave.held_by) == (len(wave.servers) < most)
        left -= len(wave.servers)
    again = list(fleet)
    chance.shuffle(again)
    assert schedule(wanted, Inventory(tuple(again), has.read_at)).digest == made.digest


@settings(max_examples=60)
@given(fleets(), plans())
def test_no_domain_goes_down_as_a_whole(fleet: list[Server], wanted: Plan) -> None:
    """Whatever the plan says short of 100%, a domain of two or more that it names keeps a
    member up in every wave.
    """
    has = inventory(fleet)
    for kind in {"server_group", *wanted.spread_of(wanted.groups[0])}:
        size = Counter(name for s in fleet if (name := domains_of(s, kind)))
        if str(wanted.spread_of(wanted.groups[0]).get(kind)) == "100%":
            continue
        for wave in schedule(wanted, has).waves:
            down = Counter(domains_of(has.by_id[s.id], kind) for s in wave.servers)
            assert all(down[name] < n for name, n in size.items() if n > 1)


@settings(max_examples=30)
@given(fleets(), plans())
def test_a_saved_schedule_holds(fleet: list[Server], wanted: Plan) -> None:
    """What was saved is read back the same, follows from its plan, and the cloud bears it out."""
    has = inventory(fleet)
    made = schedule(wanted, has)
    assert load(dump(made)) == made
    assert follows(made, wanted) == []
    assert review(made, wanted, one_target(has)).differences == ()


def six(**fields: Any) -> list[Server]:
    """Six servers, two in each of three zones."""
    return [server(n, zone=f"z{n // 2}", **fields) for n in range(6)]


def test_a_smaller_wave_says_why() -> None:
    """A wave that spread makes smaller keeps what is written and names the rule; the diff
    shows the integer.
    """
    made = schedule(plan(group(waves=(5,), order="name", spread={"zone": 1})), inventory(six()))
    assert ids(made) == [[sid(0), sid(2), sid(4)], [sid(1), sid(3), sid(5)]]
    assert [(w.written, w.held_by) for w in made.waves] == [("5", ("zone: 1",)), ("5", ())]
    diff = PlanDiff("p.yaml", made)
    assert "5, only 3, held by spread zone: 1 " in diff_text(diff)
    assert "group web: in one wave at most 1 of a zone (3 domains)" in diff_text(diff)
    assert made.worst_case.down_at_once == 3


def test_members_of_a_group_are_counted_in_the_whole_target() -> None:
    """A server group's members outside the plan keep it up, those that the group lists as
    well as those that say so.
    """
    fleet = [server(n, name=f"{'web' if n < 2 else 'db'}-{n}", server_group="g") for n in range(3)]
    wanted = plan(group(servers={"names": ("web-*",)}, waves=("100%",)))
    assert sizes(schedule(wanted, inventory(fleet))) == [2]
    assert sizes(schedule(wanted, inventory(fleet[:2]))) == [1, 1]
    loose = [server(n) for n in range(2)]
    listed = (ServerGroup("g", "web", ("anti-affinity",), (sid(0), sid(1))),)
    assert sizes(schedule(plan(group(waves=("100%",))), inventory(loose, listed))) == [1, 1]
    whole = plan(group(waves=("100%",)), spread={"server_group": "100%"})
    assert sizes(schedule(whole, inventory(loose, listed))) == [2]


def test_a_group_takes_the_place_of_the_plan_key_by_key() -> None:
    """The group's own value of a key counts, the plan's for every other key."""
    fleet = inventory([server(n, zone=f"z{n // 3}", tags={"pool": "a"}) for n in range(6)])
    wanted = plan(
        group(waves=(6,), order="name", spread={"zone": 2}), spread={"zone": 1, "tag:pool": 3}
    )
    assert sizes(schedule(wanted, fleet)) == [3, 3]
    wanted = plan(
        group(waves=(6,), order="name", spread={"zone": 9}), spread={"zone": 1, "tag:pool": "100%"}
    )
    assert sizes(schedule(wanted, fleet)) == [4, 2], (
        "a zone is never down as a whole, whatever number is written"
    )


@pytest.mark.parametrize(
    ("of_group", "of_plan", "found"),
    [
        (
            {"tag:pol": 1},
            None,
            [("SpreadOverNothing", "error", ("groups", 0, "spread", "tag:pol"))],
        ),
        (None, {"tag:pol": 1}, [("SpreadOverNothing", "error", ("spread", "tag:pol"))]),
        (
            {"server_group": 1},
            None,
            [("SpreadOverNothing", "warning", ("groups", 0, "spread", "server_group"))],
        ),
        ({"zone": 1}, None, []),
    ],
)
def test_a_rule_over_nothing(of_group: Any, of_plan: Any, found: list[Any]) -> None:
    """A rule that no server falls under is told at its place: a mistyped tag as an error."""
    wanted = plan(group(spread=of_group), spread=of_plan)
    assert [
        (p.code, p.severity, p.path) for p in planned(wanted, inventory(six())).problems
    ] == found


def test_a_wave_over_max_unavailable() -> None:
    """A wave that could never start is an error at its size; spread may have made it
    small enough.
    """
    fleet = inventory(six())
    wanted = plan(group(waves=(1, 3), max_unavailable="34%"))
    made = planned(wanted, fleet)
    assert codes(made.problems) == ["WaveOverMaxUnavailable"]
    assert made.problems[0].path == ("groups", 0, "waves", 1)
    assert "34% of 6 = 2" in made.problems[0].message
    small = schedule(plan(group(waves=(1, 3), max_unavailable=3, spread={"zone": 1})), fleet)
    assert small.groups[0].max_unavailable is not None
    assert small.groups[0].max_unavailable.allowed == 3


def forged(made: Schedule, **fields: Any) -> Schedule:
    """The schedule with its waves merged into one."""
    from dataclasses import replace

    servers = tuple(s for w in made.waves for s in w.servers)
    return replace(made, waves=(replace(made.waves[0], servers=servers, held_by=(), **fields),))


def test_a_forged_schedule_is_refused() -> None:
    """A saved schedule with a wave over a domain's share is refused, though its sizes
    follow from the plan.
    """
    wanted = plan(group(waves=(6,), order="name", spread={"zone": 1}))
    made = forged(schedule(wanted, inventory(six())))
    (said,) = review(made, wanted, one_target(inventory(six()))).differences
    assert said == "wave 1 takes 2 servers of z0 down together, spread allows 1 (zone: 1)"
    held = plan(group(waves=(6,), max_unavailable=6))
    lower = plan(group(waves=(6,), max_unavailable=2))
    said_of = " ".join(follows(schedule(held, inventory(six())), lower))
    assert "max_unavailable: 6 = 6 was reviewed, the plan makes it 2 = 2" in said_of


def test_an_older_schedule_is_still_read() -> None:
    """A schedule that was saved before there were such rules is read without them, and its
    digest still fits.
    """
    made = schedule(plan(group(waves=(2,))), inventory(six()))
    raw = json.loads(dump(made))
    assert "rate" not in raw
    for part in raw["groups"]:
        assert not {"max_unavailable", "spread", "rate"} & set(part)
    for part in raw["waves"]:
        assert "held_by" not in part
    assert load(json.dumps(raw)) == made


def test_rates_in_the_forecast() -> None:
    """The forecast sends no more than the slowest of the brakes lets through."""
    fleet = inventory(six())
    wanted = plan(
        group(waves=(6,), rate={"servers": 2, "per": "30s"}), rate={"servers": 4, "per": "10m"}
    )
    expected = forecast(schedule(wanted, fleet), reboot_s=60).waves[0]
    assert (expected.start_s, expected.end_s) == (0, 600 + 60)
    only = plan(group(waves=(3,), rate={"servers": 2, "per": "30s"}))
    made = forecast(schedule(only, fleet), reboot_s=10).waves
    assert [(w.start_s, w.end_s) for w in made] == [(0, 40), (40, 80)]


UNREAD = replace(
    inventory([server(n, server_group="g") for n in range(4)]),
    groups_unread=Unread("denied", "allow it"),
)


@pytest.mark.parametrize(
    ("fields", "of_group", "path"),
    [
        (
            {},
            {"spread": {"server_group": Amount(number=1)}},
            ("groups", 0, "spread", "server_group"),
        ),
        ({"spread": {"server_group": Amount(percent=50)}}, {}, ("spread", "server_group")),
        ({}, {"servers": {"server_groups": ("g",)}}, ("groups", 0, "servers", "server_groups")),
        ({}, {"exclude": {"server_groups": ("other",)}}, ("groups", 0, "exclude", "server_groups")),
    ],
)
def test_a_plan_that_names_server_groups_needs_them(
    fields: dict[str, Any], of_group: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    """Where the cloud's groups cannot be read, spread, selection and exclusion by them are
    refused at their place.
    """
    made = planned(plan(group(**of_group), **fields), UNREAD)
    assert made.schedule is None
    assert [(p.code, p.path) for p in made.problems if p.severity == "error"] == [
        ("ServerGroupsUnread", path)
    ]


def test_the_default_of_server_groups_is_not_lost_in_silence() -> None:
    """Where only the default needs the groups, a plan runs with a warning, once for a
    target; 100% accepts it.
    """
    groups = [group("a", {"ids": (sid(0), sid(1))}), group("b", {"ids": (sid(2), sid(3))})]
    made = planned(plan(*groups), UNREAD)
    assert made.schedule is not None
    (told,) = made.problems
    assert (told.code, told.severity, told.path) == ("ServerGroupsUnread", "warning", ("groups", 0))
    assert "denied" in told.message
    assert (
        planned(plan(*groups, spread={"server_group": Amount(percent=100)}), UNREAD).problems == ()
    )
