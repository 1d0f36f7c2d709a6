"""The machine we run on and what it depends on: what becomes of them in a schedule, and
at a wave.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner.model.config import Support, TargetConfig
from runner.model.inventory import Inventory, PowerState, Server
from runner.model.machine import Machine, is_it
from runner.model.schedule import Schedule
from runner.model.shape import json_values
from runner.planning.digest import schedule_digest
from runner.planning.review import follows, review
from runner.planning.spared import Spared, judge_spared, spare_now
from runner.planning.support_lifted import loosened_support
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
)

MAC, OTHER_MAC = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
HERE = server(3, addresses=("10.0.0.3",), macs=(MAC,))


def support(action: str = "last", name: str = "nat", **servers: Any) -> Support:
    return Support.model_validate({"name": name, "servers": servers, "action": action})


def fleet(n: int = 10) -> Inventory:
    return inventory([server(k, tags={"role": "web"}) for k in range(1, n + 1)])


WEB = group("web", {"tags": {"role": "web"}}, waves=(1, "50%"), order="name")
LAST_TWO = Spared(support=(support(names=["web-002", "web-003"]),))


@pytest.mark.parametrize(
    ("machine", "is_here"),
    [
        (Machine(), False),
        (Machine(server_id=HERE.id), True),
        (Machine(server_id=HERE.id.upper().replace("-", "")), True),
        (
            Machine(server_id=sid(99), addresses=frozenset({"10.0.0.3"}), macs=frozenset({MAC})),
            False,
        ),
        (Machine(server_id=HERE.id, stated="none"), True),
        (Machine(stated=HERE.id), True),
        (Machine(stated=HERE.id, server_id=sid(99)), True),
        (Machine(stated="none", addresses=frozenset({"10.0.0.3"}), macs=frozenset({MAC})), False),
        (Machine(stated=sid(99), addresses=frozenset({"10.0.0.3"}), macs=frozenset({MAC})), False),
        (Machine(addresses=frozenset({"10.0.0.3"}), macs=frozenset({MAC, OTHER_MAC})), True),
        (Machine(addresses=frozenset({"10.0.0.3"}), macs=frozenset({OTHER_MAC})), False),
        (Machine(addresses=frozenset({"10.0.0.3"})), True),
        (Machine(addresses=frozenset({"10.0.0.4"}), macs=frozenset({MAC})), False),
    ],
)
def test_who_this_machine_is(machine: Machine, is_here: bool) -> None:
    """An id decides; without one an address counts, but not on another network card than
    the cloud shows.
    """
    assert (is_it(machine, HERE) is not None) is is_here


def test_an_address_without_a_card_counts() -> None:
    """A server of which the cloud shows no card is taken for this machine: better refused
    once too often.
    """
    bare = replace(HERE, macs=(), addresses=("fd00:0:0::3", "10.0.0.3"))
    for own in ("10.0.0.3", "fd00::3"):
        assert (
            is_it(Machine(addresses=frozenset({own}), macs=frozenset({OTHER_MAC})), bare)
            is not None
        )


def test_the_machine_itself_is_refused_by_name() -> None:
    """A schedule with the machine in it is an error that names it and says how to mend;
    skipped it is none.
    """
    made, spared = schedule(plan(WEB), fleet()), Spared(Machine(server_id=sid(4)))
    (problem,) = judge_spared(spared, made, fleet())
    assert (problem.code, problem.severity, problem.path) == (
        "RunnerItself",
        "error",
        ("groups", 0, "servers"),
    )
    assert "web-004" in problem.message
    assert problem.hint is not None
    assert "exclude" in problem.hint
    assert judge_spared(spared, made, fleet(), skipped={sid(4)}) == []
    excluded = {**WEB, "exclude": {"names": ("web-004",)}}
    assert judge_spared(spared, schedule(plan(excluded), fleet()), fleet()) == []


def test_support_is_refused_where_it_is_not_said_otherwise() -> None:
    """`refuse` is the default; servers match by all keys of an entry, ids in any case of
    their letters.
    """
    entry = Support.model_validate(
        {"name": "bastion", "servers": {"ids": sid(10).upper(), "tags": {"role": "web"}}}
    )
    other = support("refuse", "nat", names=["web-001"], tags={"role": "db"})
    spared = Spared(support=(entry, other))
    found = judge_spared(spared, schedule(plan(WEB), fleet()), fleet())
    assert codes(found) == ["RunnerSupport", "SupportNotFound"]
    assert "web-010" in found[0].message
    assert "bastion" in found[0].message
    assert "nat" in found[1].message
    assert spared.last(server(10, tags={"role": "web"})) is False


def test_support_that_is_to_be_refused_is_never_last() -> None:
    """Of two entries that name a server the stricter holds."""
    spared = Spared(support=(support(names=["web-001"]), support("refuse", "store", ids=[sid(1)])))
    assert not spared.last(server(1))
    assert codes(
        judge_spared(spared, schedule(plan(WEB), fleet(), is_last=spared.last), fleet())
    ) == ["RunnerSupport"]


def made_last(spared: Spared = LAST_TWO, **more: Any) -> Schedule:
    other = group("db", {"names": ("db-*",)}, waves=(5,))
    has = inventory([*fleet().servers, *(server(20 + n, f"db-{n}") for n in range(3))])
    return schedule(plan(WEB, other, **more), has, is_last=spared.last)


def test_support_goes_last() -> None:
    """After all groups, in a group of its own with the same rules; percentages are of each
    part's own servers.
    """
    made = made_last()
    assert [w.group for w in made.waves] == [
        "web",
        "web",
        "web",
        "db",
        "web-support",
        "web-support",
    ]
    assert [len(w.servers) for w in made.waves] == [1, 4, 3, 3, 1, 1]
    assert ids(made)[-2:] == [[sid(2)], [sid(3)]]
    rules = {g.name: g for g in made.groups}
    assert [(g.selected, g.eligible, g.support) for g in rules.values()] == [
        (8, 8, False),
        (3, 3, False),
        (2, 2, True),
    ]
    has = inventory([*fleet().servers, *(server(20 + n, f"db-{n}") for n in range(3))])
    (warning,) = judge_spared(LAST_TWO, made, has)
    assert (warning.code, warning.severity) == ("SupportLast", "warning")
    assert "web-002" in warning.message


def test_the_part_that_goes_last_has_a_name_of_its_own() -> None:
    """A group of the plan that is called like it keeps its name."""
    long = "w" * 63
    spared = Spared(support=(support(names=["web-001", "db-1"]),))
    groups = [
        {**WEB, "name": "web"},
        group("web-support", {"names": ("none-*",)}, allow_empty=True),
    ]
    groups.append(group(long, {"names": ("db-*",)}))
    made = schedule(
        plan(*groups), inventory([*fleet().servers, server(20, "db-1")]), is_last=spared.last
    )
    names = [g.name for g in made.groups]
    assert names == ["web", "web-support", long, "web-support-2", "w" * 50 + "-support"]


def test_a_schedule_with_support_is_kept_whole() -> None:
    """What goes last is part of the document and of the digest; schedules without it are as
    they always were.
    """
    made = made_last()
    assert TypeAdapter(Schedule).validate_python(json_values(made)) == made
    assert json_values(made)["groups"][2]["support"] is True
    assert "support" not in json_values(made)["groups"][0]
    ordinary = replace(made, groups=tuple(replace(g, support=False) for g in made.groups))
    assert schedule_digest(ordinary) != made.digest


def test_a_saved_schedule_with_support_follows_from_its_plan() -> None:
    """It is what its plan makes; one that calls an ordinary group support, or the other way
    round, is not.
    """
    made = made_last()
    wanted = plan(WEB, group("db", {"names": ("db-*",)}, waves=(5,)))
    assert follows(made, wanted) == []
    for forged in (
        replace(made, groups=tuple(replace(g, support=False) for g in made.groups)),
        replace(made, groups=(replace(made.groups[0], support=True), *made.groups[1:])),
        replace(made, groups=(made.groups[2], *made.groups[:2])),
        replace(made, groups=(*made.groups[:2], replace(made.groups[2], ready_timeout_s=1.0))),
    ):
        assert follows(forged, wanted)


def test_a_schedule_made_before_support_was_named() -> None:
    """Servers that became support since are left out of it, whatever action they have now;
    the others may run.
    """
    made = schedule(plan(WEB), fleet())
    standing = review(
        made, plan(WEB), one_target(fleet(), (), Spared(support=(support(names=["web-002"]),)).last)
    )
    assert [(ref.name, why.reason) for ref, why in standing.skipped] == [
        ("web-002", "RunnerSupport")
    ]
    assert standing.differences == ()
    many = review(made, plan(WEB), one_target(fleet(), (), LAST_TWO.last))
    assert "2 of its 10 servers would be skipped now" in many.differences[0]
    strict = Spared(support=(support("refuse", names=["web-002"]),))
    assert codes(judge_spared(strict, made, fleet())) == ["RunnerSupport"]


def test_a_schedule_whose_support_is_no_longer_any() -> None:
    """It was reviewed with servers going last; where configuration does not say so any
    more, they are left out.
    """
    has = inventory([*fleet().servers, *(server(20 + n, f"db-{n}") for n in range(3))])
    wanted = plan(WEB, group("db", {"names": ("db-*",)}, waves=(5,)))
    standing = review(made_last(), wanted, one_target(has))
    assert {ref.name for ref, _ in standing.skipped} == {"web-002", "web-003"}


def test_a_server_that_is_down_is_left_out_of_the_part_that_goes_last() -> None:
    """Its reason is its state, which is looked at again when its wave begins."""
    made = made_last()
    down = inventory(
        [replace(s, state=PowerState.STOPPED) if s.id == sid(2) else s for s in fleet().servers]
        + [server(20 + n, f"db-{n}") for n in range(3)]
    )
    wanted = plan(WEB, group("db", {"names": ("db-*",)}, waves=(5,)))
    standing = review(made, wanted, one_target(down, (), LAST_TWO.last))
    assert [(ref.name, why.reason) for ref, why in standing.skipped] == [("web-002", "NotActive")]
    assert standing.settled == {}


def test_what_a_wave_may_not_take_down() -> None:
    """At a wave: the machine itself, support to be refused, and support that goes last
    where its turn has not come.
    """
    made = made_last()
    seen: dict[str, Server] = {s.id: s for s in fleet().servers}
    spared = Spared(
        Machine(server_id=sid(1)),
        (*LAST_TWO.support, support("refuse", "store", names=["web-005"])),
    )
    early = spare_now(spared, made, "web", seen)
    assert {i: why.reason for i, why in early.items()} == {
        sid(1): "RunnerItself",
        sid(2): "RunnerSupport",
        sid(3): "RunnerSupport",
        sid(5): "RunnerSupport",
    }
    late = spare_now(spared, made, "web-support", seen)
    assert late.keys() == {sid(1), sid(5)}
    assert spare_now(Spared(), made, "web", seen) == {}


def test_support_that_protects_less_is_a_lifted_belt() -> None:
    """An entry that is gone, weaker or about others; not one that is new, stricter or as it was."""
    old = target(
        support("refuse", "a", names=["a-*"]),
        support("last", "b", names=["b"]),
        support("last", "c", ids=["c"]),
    )
    assert loosened_support({"t": old}, {"t": old}) == ()
    assert loosened_support({"t": old}, {"u": old}) == ()
    stricter = target(*old.support[::-1], support("refuse", "d", names=["d"]))
    assert loosened_support({"t": old}, {"t": stricter}) == ()
    new = target(support("last", "a", names=["a-*"]), support("refuse", "b", names=["b2"]))
    found = [
        (lift.what, lift.before, lift.after) for lift in loosened_support({"t": old}, {"t": new})
    ]
    assert found == [
        ("target t: support a weakened", "refuse: names a-*", "last: names a-*"),
        ("target t: support b changed", "last: names b", "refuse: names b2"),
        ("target t: support c gone", "last: ids c", "not protected"),
    ]


def target(*entries: Support) -> TargetConfig:
    return TargetConfig(cloud="simulator", support=entries)


@given(
    st.sets(st.integers(1, 12)),
    st.sets(st.integers(1, 12)),
    st.sampled_from([(1, "50%"), ("100%",), (3,)]),
)
def test_laws_of_going_last(last: set[int], down: set[int], waves: tuple[Any, ...]) -> None:
    """Each server once whatever goes last; no wave mixes the two; no other server goes down
    after support has begun.
    """
    has = inventory([server(n, state="stopped" if n in down else "running") for n in range(1, 13)])
    names = [f"web-{n:03d}" for n in last] or ["none"]
    spared = Spared(support=(support(names=names),))
    halves = [
        group("a", {"names": ("web-00*",)}, waves=waves),
        group("b", {"names": ("web-01*",)}, waves=waves),
    ]
    made = planned(plan(*halves), has, is_last=spared.last).schedule
    assert made is not None
    whole = schedule(plan(*halves), has)
    assert sorted(i for w in ids(made) for i in w) == sorted(i for w in ids(whole) for i in w)
    theirs = [{i in {sid(n) for n in last} for i in wave} for wave in ids(made)]
    assert all(len(kinds) == 1 for kinds in theirs)
    order = [kinds == {True} for kinds in theirs]
    assert order == sorted(order)
    assert [g.support for g in made.groups] == sorted(g.support for g in made.groups)
    assert follows(made, plan(*halves)) == []
