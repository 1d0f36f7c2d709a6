"""The policy: each rule lets pass what it allows, refuses what it does not, and nothing
slips past it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.inventory import Server, ServerGroup, Unread
from runner.model.plan import Plan
from runner.model.policy import Policy
from runner.model.problem import Problem
from runner.planning.policy import forbidden_now, held_to, judge_plan, judge_schedule, loosened
from tests.planning.build import group, inventory, plan, planned, schedule, server, sid

IDS = [sid(n) for n in range(1, 5)]


def policy(**rules: Any) -> Policy:
    return Policy.model_validate({"version": 1, **rules})


def errors(problems: list[Problem]) -> list[Problem]:
    assert {p.code for p in problems} <= {"PolicyViolated"}
    return [p for p in problems if p.severity == "error"]


def offline(
    rules: dict[str, Any],
    wanted: Plan,
    path: str = "plans/prod/web.yaml",
    target: str | None = "prod",
) -> list[Any]:
    """The places that `judge_plan` finds wrong."""
    return [p.path for p in errors(judge_plan(policy(**rules), wanted, path, target))]


def fleet(count: int = 40, **fields: Any) -> list[Server]:
    return [server(n, **fields) for n in range(1, count + 1)]


def live(rules: dict[str, Any], wanted: Plan, servers: list[Server] | None = None) -> list[Any]:
    """The places that `judge_schedule` finds wrong."""
    has = inventory(fleet() if servers is None else servers)
    return [
        p.path for p in errors(judge_schedule(policy(**rules), wanted, schedule(wanted, has), has))
    ]


def waves(*sizes: Any, **fields: Any) -> Plan:
    return plan(group(waves=sizes, **fields))


def chosen(servers: dict[str, Any], **fields: Any) -> Plan:
    return plan(group(servers=servers, **fields))


def limited(**limits: Any) -> Plan:
    return Plan.model_validate({"version": 1, "name": "p", "groups": [group()], "limits": limits})


NIGHT = {"days": ("tue",), "start": "22:00", "length": "5h", "timezone": "Europe/Berlin"}
HARD = plan(reboot={"type": "HARD"})
WAVES = ("groups", 0, "waves")
TAGS = {"tags": {"reboot": "never"}}


@pytest.mark.parametrize(
    ("rules", "good", "bad", "place"),
    [
        (
            {"limits": {"servers": 100}},
            limited(servers=100),
            limited(servers=101),
            ("limits", "servers"),
        ),
        (
            {"limits": {"percent": 30}},
            limited(percent=30.0),
            limited(percent=30.5),
            ("limits", "percent"),
        ),
        (
            {"limits": {"servers": 100}},
            limited(percent=20.0),
            limited(servers=200),
            ("limits", "servers"),
        ),
        ({"max_wave": {"servers": 5}}, waves(1, 5), waves(1, 6), (*WAVES, 1)),
        ({"max_wave": {"percent": 25}}, waves(1, "25%"), waves(1, "25.5%"), (*WAVES, 1)),
        ({"max_wave": {"servers": 5}}, waves(9, servers={"ids": IDS}), waves(9), (*WAVES, 0)),
        ({"max_wave": {"servers": 3}}, waves("9%"), waves(9, servers={"ids": IDS}), (*WAVES, 0)),
        (
            {"max_wave": {"percent": 25}},
            waves("100%", servers={"ids": IDS[0]}),
            waves("100%"),
            (*WAVES, 0),
        ),
        ({"canary": {"above": 10}}, waves(1, "50%"), waves("10%"), (*WAVES, 0)),
        ({"canary": {"above": 4}}, waves(2, servers={"ids": IDS}), waves(2), (*WAVES, 0)),
        ({"canary": {"above": 3}}, waves(1), waves(2, servers={"ids": IDS}), (*WAVES, 0)),
        (
            {"approval": {"above": 3}},
            waves(1, servers={"ids": IDS}, pause=("approval",)),
            waves(1, servers={"ids": IDS}, pause=("5m", "approval")),
            ("groups", 0, "pause"),
        ),
        (
            {"max_failures": "5%"},
            plan(max_failures="5%"),
            plan(max_failures="5.5%"),
            ("max_failures",),
        ),
        ({"max_failures": 2}, plan(max_failures=2), plan(max_failures=3), ("max_failures",)),
        ({"on_unknown": ["hold"]}, plan(), plan(on_unknown="retry"), ("on_unknown",)),
        (
            {"forbidden": {"names": ["db-*"]}},
            chosen({"names": ["d-*"]}),
            chosen({"names": ["x", "db-1"]}),
            "names-1",
        ),
        (
            {"forbidden": {"names": ["db-*"]}},
            chosen({"names": ["*"]}),
            chosen({"names": ["db-[12]"]}),
            "names-0",
        ),
        (
            {"forbidden": {"names": ["db-*"]}},
            chosen({"names": ["db-1"]}, exclude={"names": ["db-?", "db-1"]}),
            chosen({"names": ["db-1"]}, exclude={"names": ["db-2"]}),
            "names-0",
        ),
        (
            {"forbidden": TAGS},
            chosen({"tags": {"reboot": "yes"}}),
            chosen({"tags": {"reboot": ["a", "never"]}}),
            "tags-reboot",
        ),
        ({"forbidden": TAGS}, chosen(TAGS, exclude=TAGS), chosen(TAGS), "tags-reboot"),
        ({"forbidden": {"ids": IDS[1]}}, chosen({"ids": IDS[0]}), chosen({"ids": IDS}), "ids-1"),
        (
            {"forbidden": {"server_groups": ["etcd"]}},
            plan(),
            chosen({"server_groups": ["etcd"]}),
            "server_groups-0",
        ),
        (
            {"forbidden": {"zones": ["z1"]}},
            chosen({"zones": ["z2"]}),
            chosen({"zones": ["z1"]}),
            "zones-0",
        ),
    ],
)
def test_what_is_written(rules: dict[str, Any], good: Plan, bad: Plan, place: Any) -> None:
    """Each rule is quiet about a plan that keeps it, and names the place of a plan that
    does not.
    """
    if isinstance(place, str):
        key, _, word = place.partition("-")
        place = ("groups", 0, "servers", key, int(word) if word.isdigit() else word)
    assert offline(rules, good) == []
    assert offline(rules, bad) == [place]


RULES = [
    {"paths": ["plans/prod/**"], "allow": ["prod"]},
    {"paths": ["plans/**"], "allow": ["staging", "simulator"]},
]


@pytest.mark.parametrize(
    ("path", "target", "places"),
    [
        ("plans/prod/a.yaml", "prod", []),
        ("plans/prod/a.yaml", "staging", [("target",)]),
        ("plans/a.yaml", "staging", []),
        ("plans/a.yaml", "prod", [("target",)]),
        ("a.yaml", "staging", [("target",)]),
        ("a.yaml", None, [("target",)]),
        ("plans/a.yaml", None, []),
        ("Plans/prod/a.yaml", "prod", [("target",)]),
    ],
)
def test_targets_by_path(path: str, target: str | None, places: list[Any]) -> None:
    """The first rule that matches the plan's path decides, a later one never adds to it; no
    rule, no target.
    """
    assert offline({"targets": RULES}, plan(), path, target) == places


@pytest.mark.parametrize(
    ("rule", "path", "target", "is_allowed"),
    [
        (None, "plans/lab/a.yaml", "lab", False),
        ({"paths": ["plans/lab/**"]}, "plans/lab/a.yaml", "prod", True),
        ({"paths": ["plans/lab/**"]}, "plans/a.yaml", "lab", False),
        ({"targets": ["lab"]}, "plans/a.yaml", "lab", True),
        ({"targets": ["lab"]}, "plans/a.yaml", "prod", False),
        ({"targets": ["lab"]}, "plans/a.yaml", None, True),
        ({"targets": ["lab"], "paths": ["plans/lab/**"]}, "plans/lab/a.yaml", "lab", True),
        ({"targets": ["lab"], "paths": ["plans/lab/**"]}, "plans/lab/a.yaml", "prod", False),
        ({"targets": ["lab"], "paths": ["plans/lab/**"]}, "plans/a.yaml", "lab", False),
    ],
)
def test_hard(rule: dict[str, Any] | None, path: str, target: str | None, is_allowed: bool) -> None:
    """HARD is allowed where the rule says so, nowhere without one, and SOFT is never
    its business.
    """
    rules = (
        {"canary": {"above": 1000}} if rule is None else {"hard": rule, "canary": {"above": 1000}}
    )
    assert offline(rules, plan(group(waves=(1,)), reboot={"type": "HARD"}), path, target) == (
        [] if is_allowed else [("reboot", "type")]
    )
    assert offline(rules, plan(), path, target) == []


def test_defaults_of_limits_are_not_held_against_a_plan() -> None:
    """A plan that writes no limits is judged by what it comes to, not by the default it
    never wrote.
    """
    assert offline({"limits": {"servers": 100, "percent": 30}}, limited()) == []


@pytest.mark.parametrize(
    ("rules", "good", "bad", "place"),
    [
        ({"limits": {"servers": 3}}, chosen({"ids": IDS[:3]}), chosen({"ids": IDS}), ("groups",)),
        ({"limits": {"percent": 10}}, chosen({"ids": IDS}), plan(), ("groups",)),
        ({"max_wave": {"servers": 10}}, waves(1, "25%"), waves(1, "30%"), WAVES),
        ({"max_wave": {"percent": 25}}, waves(1, 10), waves(1, 11), WAVES),
        ({"max_wave": {"percent": 1}}, waves(1), waves(2), WAVES),
        ({"canary": {"above": 10}}, waves(1, "50%"), waves("10%"), (*WAVES, 0)),
        ({"canary": {"above": 10}}, waves(2, servers={"ids": IDS}), waves(2), (*WAVES, 0)),
        (
            {"approval": {"above": 39}},
            waves(1, pause=("approval", "0s")),
            waves(1),
            ("groups", 0, "pause"),
        ),
        (
            {"approval": {"above": 39}},
            waves("50%", pause=("approval",)),
            waves("100%", pause=("approval",)),
            WAVES,
        ),
        ({"approval": {"above": 40}}, waves(1), waves(1), None),
        ({"max_failures": "5%"}, plan(max_failures=2), plan(max_failures=3), ("max_failures",)),
        ({"max_failures": 2}, plan(max_failures="7%"), plan(max_failures="8%"), ("max_failures",)),
        (
            {"forbidden": {"ids": IDS[3]}},
            chosen({"ids": IDS[:3]}),
            chosen({"ids": IDS}),
            ("groups", 0, "servers"),
        ),
        (
            {"forbidden": {"names": ["web-00?"]}},
            chosen({"names": ["web-01?"]}),
            plan(),
            ("groups", 0, "servers"),
        ),
    ],
)
def test_what_a_schedule_comes_to(rules: dict[str, Any], good: Plan, bad: Plan, place: Any) -> None:
    """By integers and servers each rule is quiet about a plan that keeps it, and names the
    place of another.
    """
    assert live(rules, good) == []
    assert live(rules, bad) == ([] if place is None else [place])


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ({"tags": {"reboot": ["never", "ask"]}}, {"tags": {"reboot": "ask"}}),
        ({"tags": {"a": "x", "reboot": "never"}}, {"tags": {"reboot": "never"}}),
        ({"zones": ["z1"]}, {"zone": "z1"}),
        ({"flavors": ["big"]}, {"flavor": "big"}),
        ({"enterprise_projects": ["0"]}, {"enterprise_project": "0"}),
        ({"server_groups": ["etcd"]}, {"server_group": "g1"}),
        ({"names": ["none", "x-*"]}, {"name": "x-1"}),
    ],
)
def test_forbidden_servers_are_found_live(rule: dict[str, Any], fields: dict[str, Any]) -> None:
    """Any one key or tag forbids a server; it is named with what forbids it; excluded
    servers are nobody's business.
    """
    servers = [server(1), server(2, **fields)]
    has = inventory(servers, [ServerGroup("g1", "etcd"), ServerGroup("g2", "other")])
    (problem,) = judge_schedule(policy(forbidden=rule), plan(), schedule(plan(), has), has)
    assert f"{servers[1].name} ({sid(2)}) by {next(iter(rule))}" in problem.message
    assert sid(1) not in problem.message
    without = plan(group(exclude={"ids": [sid(2)]}))
    assert judge_schedule(policy(forbidden=rule), without, schedule(without, has), has) == []


def test_server_groups_that_nobody_may_list_are_told() -> None:
    """Where the cloud shows no server group at all, the rule about one says that it could
    not be judged.
    """
    has = inventory(fleet(3))
    (problem,) = judge_schedule(
        policy(forbidden={"server_groups": ["etcd"]}), plan(), schedule(plan(), has), has
    )
    assert (problem.severity, "etcd" in problem.message) == ("warning", True)


def test_a_policy_about_server_groups_that_cannot_be_read_refuses() -> None:
    """What the policy cannot judge may be what it forbids."""
    has = replace(inventory(fleet(3)), groups_unread=Unread("denied", "allow it"))
    (problem,) = judge_schedule(
        policy(forbidden={"server_groups": ["etcd"]}), plan(), schedule(plan(), has), has
    )
    assert (problem.code, problem.severity, problem.hint) == ("PolicyViolated", "error", "allow it")


def test_a_schedule_alone_tells_what_it_carries() -> None:
    """Without the plan HARD and on_unknown are judged by the schedule; without the cloud,
    servers by id and name.
    """
    has = inventory(fleet(3))
    made = schedule(plan(reboot={"type": "HARD"}, on_unknown="retry"), has)
    rules = policy(on_unknown=["hold"], forbidden={"names": ["web-002"], "tags": {"x": "y"}})
    assert [p.path for p in judge_schedule(rules, None, made, None)] == [
        ("reboot", "type"),
        ("on_unknown",),
        ("groups", 0, "servers"),
    ]
    assert judge_schedule(policy(hard={"targets": ["test"]}), None, made, None) == []
    assert len(judge_schedule(policy(hard={"targets": ["lab"]}), None, made, None)) == 1


# forbidden_now


def test_a_wave_is_stopped_by_what_is_forbidden_now() -> None:
    """Before a wave the live servers decide, and the sentence says which rule and server;
    other waves do not matter.
    """
    servers = [server(n, tags={"n": str(n)}) for n in range(1, 5)]
    made = schedule(waves(1, 1), inventory(servers))
    first, second = (
        inventory([s for s in servers if s.id == w.servers[0].id]) for w in made.waves[:2]
    )
    tag = second.servers[0].tags["n"]
    rules = policy(forbidden={"tags": {"n": tag}})
    assert forbidden_now(rules, made, first) is None
    said = forbidden_now(rules, made, second)
    assert said is not None
    assert second.servers[0].id in said
    retagged = inventory([replace(second.servers[0], tags={"n": "other"})])
    assert forbidden_now(rules, made, retagged) is None


@pytest.mark.parametrize(
    ("rules", "stops"),
    [
        ({"max_wave": {"servers": 19}}, [False, True]),
        ({"max_wave": {"servers": 20}}, [False, False]),
        ({"canary": {"above": 10}}, [False, False]),
        ({"limits": {"servers": 39}}, [True, True]),
        ({"approval": {"above": 10}}, [True, True]),
        ({"max_failures": 0}, [True, True]),
        ({"on_unknown": "retry"}, [True, True]),
    ],
)
def test_what_became_stricter_stops_what_is_left(rules: dict[str, Any], stops: list[bool]) -> None:
    """A policy that changed during a run holds for the run as a whole and for the waves to
    come, not for those done.
    """
    has = inventory(fleet())
    made = schedule(plan(group(waves=(1, "50%")), max_failures=1), has)
    parts = [inventory([has.by_id[s.id] for s in w.servers]) for w in made.waves[:2]]
    assert [forbidden_now(policy(**rules), made, part) is not None for part in parts] == stops


# laws

AMOUNTS = st.one_of(st.integers(1, 60), st.sampled_from(["1%", "7%", "25%", "60%", "100%"]))
MOSTS = st.one_of(
    st.builds(lambda n: {"servers": n}, st.integers(1, 50)),
    st.builds(lambda p: {"percent": p}, st.integers(1, 100)),
    st.builds(lambda n, p: {"servers": n, "percent": p}, st.integers(1, 50), st.integers(1, 100)),
)
WORDS = st.lists(
    st.sampled_from(["web-00*", "web-01?", "web-02", "*", "db-*"]),
    min_size=1,
    max_size=2,
    unique=True,
)
PATHS = st.lists(
    st.sampled_from(["plans/**", "plans/lab/**", "**/*.yaml"]), min_size=1, max_size=2, unique=True
)
TARGETS = st.lists(st.sampled_from(["test", "lab", "prod"]), min_size=1, max_size=2, unique=True)
ABOVE = st.builds(lambda n: {"above": n}, st.integers(0, 45))


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with at least one of the keys."""
    return st.fixed_dictionaries({}, optional=keys).filter(bool)


POLICIES = some(
    limits=MOSTS,
    max_wave=MOSTS,
    canary=ABOVE,
    approval=ABOVE,
    max_failures=st.one_of(st.integers(0, 9), st.sampled_from(["0%", "5%", "50%"])),
    hard=some(paths=PATHS, targets=TARGETS),
    on_unknown=st.sampled_from([["hold"], ["retry"], ["hold", "retry"]]),
    forbidden=some(
        names=WORDS, ids=st.lists(st.sampled_from(IDS), min_size=1, max_size=2, unique=True)
    ),
    targets=st.lists(
        st.fixed_dictionaries({"paths": PATHS, "allow": TARGETS}), min_size=1, max_size=2
    ),
).map(lambda rules: policy(**rules))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    selector: dict[str, Any] = draw(
        st.sampled_from(
            [{"all": True}, {"ids": IDS}, {"names": ["web-0*"]}, {"names": ["web-00*"]}]
        )
    )
    fields: dict[str, Any] = {
        "waves": tuple(draw(st.lists(AMOUNTS, min_size=1, max_size=3))),
        "allow_empty": True,
    }
    fields["pause"] = (draw(st.sampled_from(["approval", "0s"])),)
    return plan(
        group("web", selector, **fields),
        max_failures=draw(st.sampled_from([0, 3, "5%", "100%"])),
        reboot={"type": draw(st.sampled_from(["SOFT", "HARD"]))},
        on_unknown=draw(st.sampled_from(["hold", "retry"])),
    )


@given(POLICIES, plans(), st.integers(4, 45))
def test_no_wave_above_the_limit_is_missed(rules: Policy, wanted: Plan, count: int) -> None:
    """Judging finds a wave too large exactly when, counted by hand, one is larger than the
    rule lets it be.
    """
    has = inventory(fleet(count))
    made = schedule(wanted, has)
    (eligible,) = (g.eligible for g in made.groups)
    most = rules.max_wave
    allowed = [most.servers] if most and most.servers else []
    allowed += [max(1, int(most.percent) * eligible // 100)] if most and most.percent else []
    too_large = [k for k in allowed if any(len(w.servers) > k for w in made.waves)]
    found = errors(judge_schedule(rules, wanted, made, has))
    assert sum(p.message.startswith("policy max_wave") for p in found) == len(too_large)


@given(POLICIES, plans(), st.integers(4, 45))
def test_what_is_stopped_before_a_wave_is_what_is_refused_before_the_run(
    rules: Policy, wanted: Plan, count: int
) -> None:
    """A schedule that breaks nothing is stopped at no wave; one that breaks something is
    stopped at one of them.
    """
    has = inventory(fleet(count))
    made = schedule(wanted, has)
    found = errors(judge_schedule(rules, None, made, has))
    parts = [inventory([has.by_id[s.id] for s in w.servers]) for w in made.waves]
    if made.waves:
        assert any(forbidden_now(rules, made, part) for part in parts) == bool(found)


@given(
    POLICIES,
    POLICIES,
    plans(),
    st.sampled_from(["plans/a.yaml", "plans/lab/a.yaml", "a.yaml"]),
    st.integers(4, 45),
)
def test_what_becomes_allowed_is_told(
    old: Policy, new: Policy, wanted: Plan, path: str, count: int
) -> None:
    """Where the old policy refused and the new one does not, `loosened` says something: no
    lift goes unseen.
    """
    has = inventory(fleet(count))
    made = schedule(wanted, has)

    def refuses(rules: Policy) -> bool:
        judged = [
            *judge_plan(rules, wanted, path, "test"),
            *judge_schedule(rules, wanted, made, has),
        ]
        return bool(errors(judged))

    if refuses(old) and not refuses(new):
        assert loosened(old, new)


@given(POLICIES)
def test_the_same_policy_is_not_looser(rules: Policy) -> None:
    """Between equal policies nothing is loosened; the first policy loosens nothing; its
    removal does.
    """
    assert loosened(rules, rules) == ()
    assert loosened(None, rules) == ()
    assert [lift.what for lift in loosened(rules, None)] == ["policy removed"]


@pytest.mark.parametrize(
    ("strict", "loose", "what", "path"),
    [
        (
            {"limits": {"servers": 5}},
            {"limits": {"servers": 6}},
            "policy limits.servers raised",
            ("limits", "servers"),
        ),
        (
            {"limits": {"percent": 5, "servers": 5}},
            {"limits": {"servers": 5}},
            "policy limits.percent dropped",
            None,
        ),
        ({"max_wave": {"servers": 5}}, {}, "policy max_wave.servers dropped", None),
        (
            {"max_wave": {"percent": 5}},
            {"max_wave": {"percent": 5.5}},
            "policy max_wave.percent raised",
            None,
        ),
        ({"canary": {"above": 0}}, {"canary": {"above": 1}}, "policy canary.above raised", None),
        ({"approval": {"above": 9}}, {}, "policy approval.above dropped", None),
        ({"max_failures": 0}, {"max_failures": 1}, "policy max_failures raised", None),
        ({"windows": "required"}, {}, "policy windows dropped", ("windows",)),
        ({"gates": "required"}, {}, "policy gates dropped", ("gates",)),
        ({}, {"hard": {"paths": ["x/**"]}}, "policy hard allowed", ("hard",)),
        (
            {"hard": {"paths": ["x/**"]}},
            {"hard": {"paths": ["x/**", "y/**"]}},
            "policy hard widened",
            None,
        ),
        (
            {"hard": {"paths": ["x/**"], "targets": ["a"]}},
            {"hard": {"paths": ["x/**"]}},
            "policy hard widened",
            None,
        ),
        (
            {"on_unknown": ["hold"]},
            {"on_unknown": ["hold", "retry"]},
            "policy on_unknown widened",
            None,
        ),
        (
            {"forbidden": TAGS},
            {"forbidden": {"names": ["x"]}},
            "policy forbidden.tags keeps out less",
            ("forbidden", "tags"),
        ),
        ({"targets": RULES}, {"targets": [RULES[1], RULES[0]]}, "policy targets rewritten", None),
        (
            {"targets": RULES[1:]},
            {"targets": [{**RULES[1], "allow": ["simulator", "staging", "prod"]}]},
            "policy targets widened",
            None,
        ),
    ],
)
def test_lifts_by_name(strict: dict[str, Any], loose: dict[str, Any], what: str, path: Any) -> None:
    """Each rule that is raised, widened or dropped is told once; the way back is not."""
    (lift,) = loosened(policy(**strict), policy(**loose))
    assert lift.what == what
    assert path is None or lift.path == path
    assert lift.before != lift.after
    if "rewritten" not in what and "names" not in loose.get("forbidden", {}):
        assert loosened(policy(**loose), policy(**strict)) == ()


def test_a_wider_glob_forbids_as_much() -> None:
    """A forbidden name that a wider glob takes in is not lost."""
    narrow, wide = (
        policy(forbidden={"names": ["db-1", "db-x*"]}),
        policy(forbidden={"names": ["db-*"]}),
    )
    assert loosened(narrow, wide) == ()
    assert [lift.before for lift in loosened(wide, narrow)] == ["db-*"]


def test_ids_are_not_quoted() -> None:
    """Ids of the plan may come from a file: a message names their entries, not them."""
    (problem,) = judge_plan(policy(forbidden={"ids": IDS[1]}), chosen({"ids": IDS}), "p.yaml", None)
    assert IDS[1] not in problem.message
    assert "entry 2" in problem.message


def test_windows_required() -> None:
    """A plan without windows is refused offline and by its schedule, before the run and
    before each of its waves.
    """
    rules, bare, timed = policy(windows="required"), plan(), plan(windows=(NIGHT,))
    assert offline({"windows": "required"}, bare) == [("windows",)]
    assert offline({"windows": "required"}, timed) == []
    assert offline({"on_unknown": ["hold"]}, bare) == []
    has = inventory(fleet(3))
    for wanted, refused in ((bare, True), (timed, False)):
        made = schedule(wanted, has)
        assert bool(errors(judge_schedule(rules, None, made, has))) is refused
        assert (forbidden_now(rules, made, has) is not None) is refused


def test_gates_required() -> None:
    """A plan without gates, or with dry runs only, is refused offline and by its schedule."""
    rules, has = policy(gates="required"), inventory(fleet(3))
    trial = {"alarms": "none", "dry_run": True}
    for gates, refused in ((None, True), ((trial,), True), (({"alarms": "none"}, trial), False)):
        wanted = plan(gates=gates)
        assert offline({"gates": "required"}, wanted) == ([("gates",)] if refused else [])
        made = schedule(wanted, has)
        assert bool(errors(judge_schedule(rules, None, made, has))) is refused
        assert (forbidden_now(rules, made, has) is not None) is refused


def test_a_forbidden_id_protects_however_it_is_written() -> None:
    """An id in capitals is the same server: a belt must not be lost to how somebody typed it."""
    letters = "2b96aaaa-0000-4000-8000-00000000abcd"
    has = inventory([Server(letters, "db-005")])
    rules = Policy.model_validate({"version": 1, "forbidden": {"ids": (letters.upper(),)}})
    made = schedule(plan(group()), has)
    assert [p.code for p in judge_schedule(rules, plan(group()), made, has)] == ["PolicyViolated"]


def test_a_policy_can_demand_that_every_exclusion_matches() -> None:
    """`exclude_must_match` makes an error of an exclusion that excludes nothing; other
    warnings stay what they are.
    """
    wanted = plan(group(servers={"all": True}, waves=(1,), exclude={"names": ("web-001", "wbe-*")}))
    found = planned(wanted, inventory(fleet(3))).problems
    assert [(p.code, p.severity, p.path) for p in found] == [
        ("ExcludesNothing", "warning", ("groups", 0, "exclude", "names", 1))
    ]
    other = Problem("SpreadOverNothing", "x", severity="warning")
    assert held_to(policy(max_wave={"servers": 5}), [*found, other]) == [*found, other]
    held = held_to(policy(exclude_must_match=True), [*found, other])
    assert [(p.code, p.severity) for p in held] == [
        ("PolicyViolated", "error"),
        ("SpreadOverNothing", "warning"),
    ]
    assert "policy exclude_must_match" in held[0].message
    lifts = loosened(policy(exclude_must_match=True), policy(max_failures=1))
    assert [lift.what for lift in lifts] == ["policy exclude_must_match dropped"]
