"""The laws of planning, for any fleet and any plan."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model.inventory import PowerState, Server
from runner.model.plan import Plan
from runner.model.schedule import Schedule
from runner.planning.exclusions import REASONS
from tests.planning.build import group, inventory, plan, planned, schedule, server

ROLES = ("web", "api", "db")


@st.composite
def fleets(draw: st.DrawFn) -> list[Server]:
    """Up to 60 servers in three zones, of three roles, some of them in no state to be rebooted."""
    count, chance = draw(st.integers(1, 60)), random.Random(draw(st.integers(0, 1_000)))
    return [
        server(
            n,
            name=f"{chance.choice(['web', 'api', 'x'])}-{n % 7}",
            state=chance.choice(["running"] * 6 + ["stopped", "error", "rebooting"]),
            task=chance.choice([None] * 5 + ["stop"]),
            zone=chance.choice(["z1", "z2", "z3"]),
            tags={"role": chance.choice(ROLES)},
            locked=chance.random() < 0.1,
            frozen=chance.random() < 0.1,
        )
        for n in range(count)
    ]


sizes_of_waves = st.lists(
    st.one_of(st.integers(1, 70), st.sampled_from(["0.5%", "10%", "29%", "100%"])), min_size=1
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """One to three groups that share no server, each a role, with sizes, pauses, exclusions
    and budgets of any kind.
    """
    groups: list[dict[str, Any]] = []
    for role in ROLES[: draw(st.integers(1, 3))]:
        fields: dict[str, Any] = {"waves": tuple(draw(sizes_of_waves)), "allow_empty": True}
        fields["order"] = draw(st.sampled_from(["shuffle", "listed", "name", "zone"]))
        fields["pause"] = tuple(
            draw(st.lists(st.sampled_from(["5m", "0s", "approval"]), min_size=1, max_size=3))
        )
        if draw(st.booleans()):
            fields["exclude"] = {"names": ("x-*",), "zones": ("z3",)}
        if draw(st.booleans()):
            fields["max_failures"] = draw(st.sampled_from([0, 3, "10%"]))
        groups.append(group(role, {"tags": {"role": (role,)}}, **fields))
    return plan(*groups, max_failures=draw(st.sampled_from([0, 2, "50%"])))


def spent_of(fleet: list[Server], chance: int) -> set[str]:
    picker = random.Random(chance)
    return {s.id for s in fleet if picker.random() < 0.2}


@given(fleets(), plans(), st.integers(0, 3))
def test_every_selected_server_once(fleet: list[Server], wanted: Plan, chance: int) -> None:
    """Each server a selector matches stands in exactly one wave or is excluded with a known
    reason; no other does.
    """
    made = schedule(wanted, inventory(fleet), spent_of(fleet, chance))
    places = Counter(s.id for w in made.waves for s in w.servers) + Counter(
        e.server.id for e in made.exclusions
    )
    roles = {g.name for g in wanted.groups}
    assert places == Counter(s.id for s in fleet if s.tags["role"] in roles)
    assert all(e.reason in REASONS for e in made.exclusions)
    for rules in made.groups:
        left_out = sum(e.group == rules.name for e in made.exclusions)
        assert rules.selected == rules.eligible + left_out
        assert rules.eligible == sum(len(w.servers) for w in made.waves if w.group == rules.name)


@given(fleets(), plans(), st.integers(0, 3))
def test_nothing_unfit_or_spent_goes_down(fleet: list[Server], wanted: Plan, chance: int) -> None:
    """No wave holds a server that is stopped, locked, frozen, or was rebooted in the cycle;
    busy ones may be there.
    """
    spent = spent_of(fleet, chance)
    by_id = {s.id: s for s in fleet}
    for wave in schedule(wanted, inventory(fleet), spent).waves:
        for ref in wave.servers:
            live = by_id[ref.id]
            assert live.is_idle or live.is_busy
            assert not live.locked
            assert not live.frozen
            assert ref.id not in spent


@given(fleets(), plans())
def test_no_wave_above_its_size(fleet: list[Server], wanted: Plan) -> None:
    """A wave holds what its size comes to, and only a group's last may hold less; none is empty."""
    made = schedule(wanted, inventory(fleet))
    for written in wanted.groups:
        waves = [w for w in made.waves if w.group == written.name]
        eligible = sum(len(w.servers) for w in waves)
        for n, wave in enumerate(waves):
            size = written.waves[min(n, len(written.waves) - 1)].as_size(eligible)
            assert 1 <= len(wave.servers) <= size
            assert len(wave.servers) == size or n == len(waves) - 1
            assert wave.is_canary == (n == 0 and len(wave.servers) == 1)


@given(fleets(), plans())
def test_groups_in_their_order_and_numbers_without_gaps(fleet: list[Server], wanted: Plan) -> None:
    """Waves are numbered from 1; the groups come one after the other, as in the plan."""
    made = schedule(wanted, inventory(fleet))
    assert [w.number for w in made.waves] == list(range(1, len(made.waves) + 1))
    names = [g.name for g in wanted.groups]
    order = [names.index(w.group) for w in made.waves]
    assert order == sorted(order)


@given(fleets(), plans())
def test_a_pause_follows_every_wave_but_the_last(fleet: list[Server], wanted: Plan) -> None:
    """Each wave but the run's last is followed by the pause its place in the group asks for."""
    made = schedule(wanted, inventory(fleet))
    for n, wave in enumerate(made.waves):
        written = next(g.pause for g in wanted.groups if g.name == wave.group)
        place = sum(w.group == wave.group for w in made.waves[:n])
        word = written[min(place, len(written) - 1)]
        if n == len(made.waves) - 1:
            assert (wave.pause.kind, wave.pause.seconds) == ("timed", 0.0)
        elif word == "approval":
            assert wave.pause.kind == "approval"
        else:
            assert (wave.pause.kind, wave.pause.seconds) == ("timed", word.total_seconds())


@given(fleets(), plans(), st.randoms(use_true_random=False))
def test_the_order_of_the_answer_does_not_matter(
    fleet: list[Server], wanted: Plan, chance: random.Random
) -> None:
    """The same servers in another order, at another time, from another file: the same
    schedule and digest.
    """
    first = schedule(wanted, inventory(fleet))
    shuffled = list(fleet)
    chance.shuffle(shuffled)
    second = schedule(wanted, inventory(shuffled), plan_file="elsewhere.yaml")
    assert second.waves == first.waves
    assert second.exclusions == first.exclusions
    assert second.digest == first.digest


@given(fleets(), plans())
def test_a_moved_server_is_another_schedule(fleet: list[Server], wanted: Plan) -> None:
    """Whoever moves a server to another zone or stops it changes the digest, if the plan
    selects it.
    """
    first = schedule(wanted, inventory(fleet))
    scheduled = [s.id for w in first.waves for s in w.servers]
    if not scheduled:
        return
    moved = [server_in(s, "z9") if s.id == scheduled[0] else s for s in fleet]
    assert schedule(wanted, inventory(moved)).digest != first.digest
    stopped = [
        server_in(s, s.zone, PowerState.STOPPED) if s.id == scheduled[-1] else s for s in fleet
    ]
    assert schedule(wanted, inventory(stopped)).digest != first.digest


def server_in(old: Server, zone: str, state: PowerState = PowerState.RUNNING) -> Server:
    return Server(old.id, old.name, state, zone=zone, tags=old.tags)


@given(fleets(), plans())
def test_the_spent_only_leave(fleet: list[Server], wanted: Plan) -> None:
    """When all scheduled servers were rebooted in the cycle, nothing is left to do and
    nothing is an error.
    """
    first = schedule(wanted, inventory(fleet))
    done = {s.id for w in first.waves for s in w.servers}
    again = planned(wanted, inventory(fleet), done)
    assert again.schedule is not None
    assert again.schedule.waves == ()
    spent = {e.server.id for e in again.schedule.exclusions if e.reason == "RebootedInCycle"}
    assert spent == done


@settings(max_examples=30)
@given(fleets(), plans(), st.integers(1, 60))
def test_servers_keep_their_order_when_others_go(
    fleet: list[Server], wanted: Plan, gone: int
) -> None:
    """A server that leaves the fleet does not change the order of the others (but for zone,
    whose counts change).
    """
    groups = [g.model_dump() for g in wanted.groups if g.order != "zone"]
    if not groups:
        return
    same = wanted.model_copy(
        update={"groups": tuple(g for g in wanted.groups if g.order != "zone")}
    )
    rest = [s for n, s in enumerate(fleet) if n != gone % len(fleet)]
    if rest:
        before, after = (
            flat(schedule(same, inventory(fleet))),
            flat(schedule(same, inventory(rest))),
        )
        assert [i for i in before if i in set(after)] == after


def flat(made: Schedule) -> list[str]:
    return [s.id for w in made.waves for s in w.servers]
