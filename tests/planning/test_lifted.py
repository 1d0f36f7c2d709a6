"""Belts that a plan loosens are told, each of them; what becomes stricter is no news."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from runner.model.plan import (
    FreezeFile,
    GatePart,
    Group,
    HttpCheck,
    HttpGate,
    Part,
    Plan,
    PlanRate,
    PrometheusGate,
    Selector,
    SshBannerCheck,
    TcpCheck,
    WeeklyWindow,
)
from runner.planning.lifted import GROUP_BELTS, PLAN_BELTS, lifted, lifted_by_moves
from tests.planning.build import group, inventory, plan, schedule, server
from tests.planning.test_laws import plans

ASKED: dict[str, Any] = {"checks": ({"http": {}},)}
NIGHT = {
    "days": ("tue", "wed"),
    "start": "22:00",
    "length": "5h",
    "timezone": "Europe/Berlin",
    "cutoff": "30m",
}
LATE = {**NIGHT, "days": ("tue",), "start": "23:00", "length": "2h"}
ERRORS = {"source": "main", "query": "errors", "max": 5, "for": "2m"}
QUERY: dict[str, Any] = {"prometheus": ERRORS}
MORE: dict[str, Any] = {"prometheus": {**ERRORS, "max": 6}}
HOOK: dict[str, Any] = {"http": {"source": "hook", "status": (200,), "body": "yes"}}
FROZEN = FreezeFile("freeze/2026.ics", "sha256:1")


RULES: dict[str, tuple[tuple[dict[str, Any], dict[str, Any]], str]] = {
    "servers": (
        ({"limits": {"servers": 200}}, {"limits": {"servers": 900}}),
        "limits.servers raised",
    ),
    "percent": (
        ({"limits": {"percent": 30}}, {"limits": {"percent": 30.5}}),
        "limits.percent raised",
    ),
    "budget": (({"max_failures": 1}, {"max_failures": 2}), "max_failures raised"),
    "budget-share": (({"max_failures": "1%"}, {"max_failures": "1.5%"}), "max_failures raised"),
    "budget-from-nothing": (({"max_failures": 0}, {"max_failures": "2%"}), "max_failures raised"),
    "budget-all": (({"max_failures": 20}, {"max_failures": "100%"}), "max_failures raised"),
    "hard": (({}, {"reboot": {"type": "HARD"}}), "reboot.type HARD instead of SOFT"),
    "retry": (({}, {"on_unknown": "retry"}), "on_unknown retry instead of hold"),
    "wait": (({}, {"wait_at_most": "8d"}), "wait_at_most lengthened"),
    "windows": (({"windows": (NIGHT,)}, {}), "windows removed (waves may start at any time)"),
    "windows-day": (
        ({"windows": (NIGHT,)}, {"windows": ({**NIGHT, "days": ("tue", "wed", "sun")},)}),
        "windows widened",
    ),
    "windows-length": (
        ({"windows": (NIGHT,)}, {"windows": ({**NIGHT, "length": "301m"},)}),
        "windows widened",
    ),
    "windows-earlier": (({"windows": (LATE,)}, {"windows": (NIGHT,)}), "windows widened"),
    "windows-second": (
        ({"windows": (LATE,)}, {"windows": (LATE, {**LATE, "days": ("fri",)})}),
        "windows widened",
    ),
    "cutoff": (
        ({"windows": (NIGHT,)}, {"windows": ({**NIGHT, "cutoff": "29m"},)}),
        "windows.cutoff shortened",
    ),
    "freeze": (({"freeze": (FROZEN,)}, {}), "freeze removed"),
    "gates": (
        ({"gates": (QUERY,)}, {"gates": (MORE,)}),
        "gates loosened: prometheus main max raised",
    ),
    "retry_of": (
        ({}, {"retry_of": "20261103-abcd"}),
        "retry_of set (servers that failed there go down again in the same cycle)",
    ),
    "rate": (
        ({"rate": {"servers": 5, "per": "1m"}}, {"rate": {"servers": 6, "per": "1m"}}),
        "rate raised",
    ),
    "rate-burst": (
        ({"rate": {"servers": 5, "per": "1m"}}, {"rate": {"servers": 50, "per": "10m"}}),
        "rate raised",
    ),
}
"""Of the run: (the stricter plan's fields, the looser one's), and the belt that the way
from first to second lifts.
"""

GROUP_RULES: dict[str, tuple[tuple[dict[str, Any], dict[str, Any]], str]] = {
    "all": (
        ({"servers": {"names": ("web-*",)}}, {"servers": {"all": True}}),
        "servers widened to all: true",
    ),
    "canary": (
        ({"waves": (1, "10%")}, {"waves": ("10%",)}),
        "canary gone (the first wave is no longer a single server)",
    ),
    "size": (({"waves": (1, 10)}, {"waves": (1, 20)}), "waves raised"),
    "size-share": (({"waves": (1, "10%", "20%")}, {"waves": (1, "20%")}), "waves raised"),
    "size-later": (({"waves": (1, 5)}, {"waves": (1, 5, 6)}), "waves raised"),
    "size-all": (({"waves": (1, 5)}, {"waves": (1, "100%")}), "waves raised"),
    "approval": (({"pause": ("approval",)}, {"pause": ("7d",)}), "approval removed"),
    "approval-later": (({"pause": ("5m", "approval")}, {"pause": ("5m",)}), "approval removed"),
    "pause": (({"pause": ("5m",)}, {"pause": ("299s",)}), "pause shortened"),
    "pause-gone": (({"pause": ("5m", "5m")}, {"pause": ("5m", "0s")}), "pause shortened"),
    "group-budget": (({"max_failures": 1}, {"max_failures": 3}), "max_failures raised"),
    "group-budget-gone": (({"max_failures": 1}, {}), "max_failures removed"),
    "down": (({"max_unavailable": 1}, {"max_unavailable": 2}), "max_unavailable raised"),
    "down-share": (({"max_unavailable": 1}, {"max_unavailable": "100%"}), "max_unavailable raised"),
    "down-gone": (({"max_unavailable": "5%"}, {}), "max_unavailable removed"),
    "spread": (({"spread": {"zone": 1}}, {"spread": {"zone": 2}}), "spread.zone raised"),
    "spread-gone": (({"spread": {"tag:pool": "50%"}}, {}), "spread.tag:pool removed"),
    "spread-whole": (({}, {"spread": {"server_group": "100%"}}), "spread.server_group raised"),
    "group-rate": (
        ({"rate": {"servers": 1, "per": "10s"}}, {"rate": {"servers": 1, "per": "9s"}}),
        "rate raised",
    ),
    "group-rate-gone": (({"rate": {"servers": 1, "per": "10s"}}, {}), "rate removed"),
    "on_failure": (({}, {"on_failure": "approval"}), "on_failure weakened"),
    "on_failure-more": (
        ({"on_failure": "approval"}, {"on_failure": "continue"}),
        "on_failure weakened",
    ),
    "timeout": (({}, {"ready": {"timeout": "16m"}}), "ready.timeout lengthened"),
    "stable": (
        ({"ready": {"stable_for": "60s"}}, {"ready": {"stable_for": "59s"}}),
        "ready.stable_for shortened",
    ),
    "checks": (({"ready": ASKED}, {}), "ready.checks removed or changed"),
    "checks-other": (
        ({"ready": ASKED}, {"ready": {"checks": ({"http": {"verify": False}},)}}),
        "ready.checks removed or changed",
    ),
    "baseline": (
        ({"ready": ASKED | {"baseline": "exclude"}}, {"ready": ASKED}),
        "ready.baseline weakened",
    ),
    "baseline-count": (
        ({"ready": ASKED}, {"ready": ASKED | {"baseline": "count"}}),
        "ready.baseline weakened",
    ),
    "bake": (({"bake": "30m"}, {}), "bake shortened"),
    "empty": (({}, {"allow_empty": True}), "allow_empty added"),
    "servers-key": (
        ({"servers": {"names": ("web-*",), "zones": ("z1",)}}, {"servers": {"names": ("web-*",)}}),
        "servers.zones removed",
    ),
    "servers-tag": (
        (
            {"servers": {"tags": {"role": ("web",), "env": ("prod",)}}},
            {"servers": {"tags": {"role": ("web",)}}},
        ),
        "servers.tags.env removed",
    ),
    "servers-value": (
        (
            {"servers": {"tags": {"role": ("web",)}}},
            {"servers": {"tags": {"role": ("web", "api")}}},
        ),
        "servers.tags.role selects more",
    ),
    "servers-glob": (
        ({"servers": {"names": ("web-1*",)}}, {"servers": {"names": ("web-*",)}}),
        "servers.names selects more",
    ),
    "exclude-gone": (({"exclude": {"zones": ("z1",)}}, {}), "exclude.zones keeps out less"),
    "exclude-tag": (
        (
            {"exclude": {"tags": {"a": ("1", "2"), "b": ("1",)}}},
            {"exclude": {"tags": {"a": ("2",), "b": ("1",)}}},
        ),
        "exclude.tags keeps out less",
    ),
    "exclude-glob": (
        ({"exclude": {"names": ("web-*",)}}, {"exclude": {"names": ("web-old-*",)}}),
        "exclude.names keeps out less",
    ),
    "exclude-id": (
        ({"exclude": {"ids": ("a", "b")}}, {"exclude": {"ids": ("b",)}}),
        "exclude.ids keeps out less",
    ),
}


def pair(name: str) -> tuple[Plan, Plan, str]:
    """A stricter plan, a looser one, and the sentence that the way from one to the other is
    told by.
    """
    if name in RULES:
        (strict, loose), what = RULES[name]
        belts = {"limits": {"servers": 10, "percent": 10}}
        return plan(**{**belts, **strict}), plan(**{**belts, **loose}), what
    (strict, loose), what = GROUP_RULES[name]
    return plan(group(**strict)), plan(group(**loose)), f"group web: {what}"


@pytest.mark.parametrize("name", [*RULES, *GROUP_RULES])
def test_each_belt(name: str) -> None:
    """A loosened belt is told with its words, and the way back, which tightens it, is not."""
    strict, loose, what = pair(name)
    if name == "percent":
        strict, loose = (
            p.model_copy(update={"limits": p.limits.model_copy(update={"servers": 10})})
            for p in (strict, loose)
        )
    assert [lift.what for lift in lifted(strict, loose)] == [what]
    assert lifted(loose, strict) == ()


def test_a_window_in_another_zone_is_wider_where_its_clocks_change_on_other_nights() -> None:
    """What counts is when the windows open, over a year: the same hours in another zone are
    not the same.
    """
    before, after = (
        plan(windows=({**NIGHT, "timezone": z},)) for z in ("Europe/Berlin", "Africa/Lagos")
    )
    assert [lift.what for lift in lifted(before, after)] == ["windows widened"]
    split = ({**NIGHT, "days": ("tue",)}, {**NIGHT, "days": ("wed",)})
    assert lifted(before, plan(windows=split)) == ()


def test_a_calendar_that_changed_is_told_and_a_renamed_one_is_not() -> None:
    """What a changed file no longer closes nobody can say; the same content under another
    name closes the same.
    """
    before = plan(freeze=(FROZEN,))
    changed = lifted(before, plan(freeze=(FreezeFile("freeze/2026.ics", "sha256:2"),)))
    assert [lift.what for lift in changed] == ["freeze changed (other times may be open now)"]
    assert lifted(before, plan(freeze=(FreezeFile("other.ics", "sha256:1"),))) == ()


def test_every_belt_of_the_tables_has_a_case() -> None:
    """No row of the tables goes untested."""
    said = [what for _, what in (*RULES.values(), *GROUP_RULES.values())]
    said += ["cycle", "target"]
    names = [b.name or ".".join(map(str, b.path)) for b in PLAN_BELTS]
    names += [b.name or ".".join(map(str, b.path)) for b in GROUP_BELTS]
    for name in names:
        assert any(what.startswith(name) for what in said), name


@given(plans())
def test_a_plan_lifts_nothing_of_its_own(some: Plan) -> None:
    """Compared with itself a plan has no belt lifted."""
    assert lifted(some, some) == ()


@given(st.sets(st.sampled_from(sorted(RULES))), st.sampled_from(sorted(GROUP_RULES)))
def test_tightening_is_never_told(of_the_run: set[str], of_the_group: str) -> None:
    """Any belts tightened together are no news; one loosened among them is told, and it alone."""
    strict: dict[str, Any] = {}
    loose: dict[str, Any] = {}
    timed = sorted(
        n for n in of_the_run if "windows" in RULES[n][0][0]
    )  # windows of one pair, or none
    for name in sorted(of_the_run - {"servers", "percent"} - set(timed[1:])):
        for field, value in RULES[name][0][0].items():
            strict.setdefault(field, value)
        for field in RULES[name][0][1]:
            loose.setdefault(field, RULES[name][0][1][field])
    first = next((n for n in sorted(of_the_run) if "max_failures" in RULES[n][0][0]), None)
    if first:
        strict["max_failures"] = RULES[first][0][0]["max_failures"]
    group_strict, group_loose = GROUP_RULES[of_the_group][0]
    assert lifted(plan(group(**group_loose), **loose), plan(group(**group_strict), **strict)) == ()
    (told,) = lifted(plan(group(**group_strict), **loose), plan(group(**group_loose), **strict))
    assert told.what == f"group web: {GROUP_RULES[of_the_group][1]}"
    assert told.path[:2] == ("groups", 0)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            {"max_failures": 3},
            {"max_failures": "5%"},
            "max_failures changed between numbers and percentages",
        ),
        (
            {"max_failures": "5%"},
            {"max_failures": 3},
            "max_failures changed between numbers and percentages",
        ),
        ({"max_failures": "5%"}, {"max_failures": 0}, None),
        ({"max_failures": "100%"}, {"max_failures": 3}, None),
        (
            {"cycle": "a"},
            {"cycle": "b"},
            "cycle changed (servers that were rebooted in the old cycle go down again)",
        ),
        ({"name": "a"}, {"name": "b"}, "cycle changed"),
        ({"name": "a", "cycle": "c"}, {"name": "b", "cycle": "c"}, None),
        ({"target": "a"}, {"target": "b"}, "target changed"),
        ({}, {"target": "b"}, "target changed"),
        ({"description": "a", "labels": {"a": "b"}}, {}, None),
    ],
)
def test_of_the_run(before: dict[str, Any], after: dict[str, Any], told: str | None) -> None:
    """Kinds that cannot be compared are told, and so is whatever sends servers down again
    or elsewhere.
    """
    found = [lift.what for lift in lifted(plan(**before), plan(**after))]
    assert [what.startswith(told or "-") for what in found] == ([True] if told else [])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            (1, "10%"),
            (1, 20),
            ["waves changed between numbers and percentages, which cannot be compared"],
        ),
        ((1, "10%", "25%"), (1, 1, "10%", "25%"), []),
        (("10%",), (1,), []),
        (("100%",), (50,), []),
        ((1, 10), (2, 10), ["canary gone (the first wave is no longer a single server)"]),
        (
            (1, 10),
            (2, 20),
            ["canary gone (the first wave is no longer a single server)", "waves raised"],
        ),
        (
            (5, "10%"),
            ("10%", 5),
            ["waves changed between numbers and percentages, which cannot be compared"],
        ),
    ],
)
def test_sizes(before: tuple[Any, ...], after: tuple[Any, ...], told: list[str]) -> None:
    """Sizes are compared place by place; the last repeats, one server is the least and 100%
    the most there is.
    """
    found = lifted(plan(group(waves=before)), plan(group(waves=after)))
    assert [lift.what for lift in found] == [f"group web: {what}" for what in told]
    assert all(lift.path == ("groups", 0, "waves") for lift in found)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("web-old-*", "web-*", True),
        ("web-1", "web-?", True),
        ("web-*", "web-?", False),
        ("web-[12]", "web-*", True),
        ("web-[12]", "web-[12]*", False),
        ("web-?", "web-[a-z]", False),
        ("web-1", "web-2", False),
    ],
)
def test_globs_that_cover_others(before: str, after: str, kept: bool) -> None:
    """A wider glob in the place of a narrower one is no loss; where that is not certain, it
    is told.
    """
    found = lifted(
        plan(group(exclude={"names": (before,)})), plan(group(exclude={"names": (after,)}))
    )
    assert (not found) == kept


@given(
    st.text("ab*?", min_size=1, max_size=4),
    st.text("ab*?", min_size=1, max_size=4),
    st.text("abc", max_size=5),
)
def test_a_covered_glob_really_is(before: str, after: str, name: str) -> None:
    """Where nothing is told, every name that was kept out is still kept out."""
    from fnmatch import fnmatchcase

    found = lifted(
        plan(group(exclude={"names": (before,)})), plan(group(exclude={"names": (after,)}))
    )
    if not found and fnmatchcase(name, before):
        assert fnmatchcase(name, after)


def test_ids_are_counted() -> None:
    """Ids may come from a file beside the plan: how many are no longer kept out is told,
    never which.
    """
    ids = tuple(f"secret-{n}" for n in range(9))
    (told,) = lifted(plan(group(exclude={"ids": ids})), plan(group(exclude={"ids": ids[:2]})))
    assert (told.before, told.path) == ("7 ids", ("groups", 0, "exclude", "ids"))
    (told,) = lifted(plan(group(servers={"ids": ids[:2]})), plan(group(servers={"ids": ids})))
    assert (told.before, told.after, told.path) == (
        "2 ids",
        "9 ids",
        ("groups", 0, "servers", "ids"),
    )


def test_many_words_are_counted() -> None:
    """A sentence names five words and counts the rest; the place is the nearest part that
    the plan still has.
    """
    zones = tuple(f"z{n}" for n in range(9))
    (told,) = lifted(plan(group(exclude={"zones": zones})), plan(group()))
    assert (told.before, told.after) == ("z0, z1, z2, z3, z4 and 4 more", "not kept out")
    assert told.path == ("groups", 0)


def test_groups_by_name_whatever_their_order() -> None:
    """Each group is compared with its own earlier form; new ones are no lifted belts.

    Another order is told by itself, and so is a group that is gone and held back others.
    """
    a, b = group("a", {"names": ("a",)}, waves=(1, 5)), group("b", {"names": ("b",)}, waves=(9,))
    c = group("c", {"names": ("c",)}, waves=(20,))
    for reordered in (plan(b, a), plan(b, a, c)):
        assert [lift.what for lift in lifted(plan(a, b), reordered)] == ["order of groups changed"]
    assert [lift.what for lift in lifted(plan(a, b), plan(b))] == ["group a removed"]
    assert lifted(plan(a, b), plan(a)) == ()
    wider = group("b", {"names": ("b",)}, waves=(10,))
    (_, told) = lifted(plan(a, b), plan(wider, a))
    assert (told.what, told.path) == ("group b: waves raised", ("groups", 0, "waves"))


def test_a_new_name_does_not_hide_a_group() -> None:
    """A renamed group is found again by its selector, or as the only one that is left."""
    a = group("a", {"names": ("a",)}, waves=(1, 5))
    b, d = group("b", {"names": ("b",)}, waves=(1, 5)), group("d", {"names": ("d",)}, waves=(9,))
    renamed = group("x", {"names": ("a",)}, waves=(1, 9))
    assert [t.what for t in lifted(plan(a, b), plan(renamed, d))] == [
        "group x (was a): waves raised",
        "group d (was b): canary gone (the first wave is no longer a single server)",
        "group d (was b): waves raised",
        "group d (was b): servers.names selects more",
    ]
    other = group("x", {"names": ("y",)}, waves=(1, 9))
    assert [t.what for t in lifted(plan(a), plan(other))] == [
        "group x (was a): waves raised",
        "group x (was a): servers.names selects more",
    ]
    assert [t.what for t in lifted(plan(a, b), plan(other, d))] == [
        "group a removed",
        "group b removed",
    ]


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        ([QUERY], [], "prometheus main removed"),
        ([{**QUERY, "name": "slo"}], [], "slo removed"),
        ([QUERY], [{**QUERY, "dry_run": True}], "prometheus main set to dry_run"),
        ([QUERY], [{"prometheus": {**ERRORS, "for": "1m"}}], "prometheus main for shortened"),
        (
            [QUERY],
            [{"prometheus": {"source": "main", "query": "errors", "min": 0, "for": "2m"}}],
            "max removed",
        ),
        (
            [{"prometheus": {**ERRORS, "min": 1}}],
            [{"prometheus": {**ERRORS, "min": 0}}],
            "min lowered",
        ),
        ([{**QUERY, "name": "slo"}], [{"name": "slo", **HOOK}], "slo asks for something else"),
        ([QUERY], [{"prometheus": {**ERRORS, "query": "0 * errors"}}], "prometheus main removed"),
        (
            [HOOK],
            [{"http": {"source": "hook", "status": (200, 503), "body": "yes"}}],
            "takes more statuses",
        ),
        ([HOOK], [{"http": {"source": "hook"}}], "body changed"),
        ([{"alarms": "none"}, QUERY], [QUERY], "alarms removed"),
        ([{**QUERY, "dry_run": True}], [], ""),
        ([QUERY], [{"prometheus": {**ERRORS, "max": 4, "min": 1, "for": "5m"}}], ""),
        ([QUERY], [{**QUERY, "name": "slo"}, HOOK], ""),
        ([QUERY], [MORE, QUERY], ""),
        ([HOOK], [{"http": {"source": "hook", "body": "yes, go"}}], ""),
    ],
)
def test_gates_by_what_they_let_pass(before: list[Any], after: list[Any], how: str) -> None:
    """Gates that are gone, wider, shorter or set to a dry run are told; narrower and
    further ones are not.
    """
    told = [
        lift.what
        for lift in lifted(plan(gates=tuple(before) or None), plan(gates=tuple(after) or None))
    ]
    assert bool(told) is bool(how)
    assert all(what.startswith("gates loosened: ") and how in what for what in told)


NO_GUARDRAIL = {
    ("version",): "of the format",
    ("name",): "only words; as the cycle it has a rule",
    ("description",): "only words",
    ("labels",): "only words",
    ("vars",): "templates are rendered before plans are compared",
    ("groups", "name"): "only words",
    ("groups", "order"): "which servers go first, never how many",
}
"""Fields of a plan that hold nothing back, each with the reason."""
BY_FUNCTIONS = {("groups", "target"), ("groups", "exclude"), ("spread",), ("groups", "spread")}
"""Fields that are compared part by part."""

_OF_PROMETHEUS: dict[str, dict[str, Any]] = {
    "source": {"source": "other"},
    "query": {"query": "vector(0)"},
    "max": {"max": 6},
    "lasting": {"for": "1m"},
}
_OF_HTTP: dict[str, dict[str, Any]] = {
    "source": {"source": "other"},
    "path": {"path": "/other"},
    "status": {"status": (200, 500)},
    "body": {"body": "y"},
}

PARTS: dict[tuple[type[Part], str], tuple[dict[str, Any], dict[str, Any]] | None] = {
    (WeeklyWindow, "days"): RULES["windows-day"][0],
    (WeeklyWindow, "start"): ({"windows": (LATE,)}, {"windows": ({**LATE, "start": "22:59"},)}),
    (WeeklyWindow, "length"): RULES["windows-length"][0],
    (WeeklyWindow, "timezone"): (
        {"windows": (LATE,)},
        {"windows": ({**LATE, "timezone": "Asia/Tokyo"},)},
    ),
    (WeeklyWindow, "cutoff"): RULES["cutoff"][0],
    (PlanRate, "servers"): RULES["rate"][0],
    (PlanRate, "per"): (
        {"rate": {"servers": 5, "per": "1m"}},
        {"rate": {"servers": 5, "per": "59s"}},
    ),
    (GatePart, "name"): None,  # only words
    (GatePart, "prometheus"): ({"gates": (QUERY,)}, {"gates": ({"alarms": "none"},)}),
    (GatePart, "alarms"): ({"gates": ({"alarms": "none"},)}, {}),
    (GatePart, "http"): ({"gates": (HOOK,)}, {}),
    (GatePart, "dry_run"): ({"gates": (QUERY,)}, {"gates": ({**QUERY, "dry_run": True},)}),
    **{
        (PrometheusGate, field): (
            {"gates": (QUERY,)},
            {"gates": ({"prometheus": {**ERRORS, **more}},)},
        )
        for field, more in _OF_PROMETHEUS.items()
    },
    (PrometheusGate, "min"): (
        {"gates": ({"prometheus": {**ERRORS, "min": 1}},)},
        {"gates": ({"prometheus": {**ERRORS, "min": 0}},)},
    ),
    **{
        (HttpGate, field): ({"gates": (HOOK,)}, {"gates": ({"http": {**HOOK["http"], **more}},)})
        for field, more in _OF_HTTP.items()
    },
}
"""Each field of a part that stands in a list: the stricter plan, the looser one; None holds
nothing back.
"""
CHECKS: dict[tuple[type[Part], str], tuple[dict[str, Any], dict[str, Any]]] = {
    (TcpCheck, "port"): ({"tcp": {"port": 80}}, {"tcp": {"port": 81}}),
    (SshBannerCheck, "port"): ({"ssh_banner": {}}, {"ssh_banner": {"port": 81}}),
    (HttpCheck, "scheme"): ({"http": {"port": 80}}, {"http": {"port": 80, "scheme": "http"}}),
    (HttpCheck, "port"): ({"http": {}}, {"http": {"port": 80}}),
    (HttpCheck, "path"): ({"http": {}}, {"http": {"path": "/x"}}),
    (HttpCheck, "host"): ({"http": {"host": "a"}}, {"http": {"host": "b"}}),
    (HttpCheck, "verify"): ({"http": {}}, {"http": {"verify": False}}),
    (HttpCheck, "status"): ({"http": {}}, {"http": {"status": (200, 500)}}),
    (HttpCheck, "body"): ({"http": {"body": "ok"}}, {"http": {}}),
}


def fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every field of a model; for one that is itself a part, that part's."""
    found: set[tuple[str, ...]] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Part) and kind is not Selector:
            found |= fields(kind, (*path, name))
        else:
            found.add((*path, name))
    return found


def test_every_field_of_a_plan_has_a_rule_or_a_reason_for_none() -> None:
    """A field that is added to the plan cannot be forgotten here."""
    there = (fields(Plan) - {("groups",)}) | fields(Group, ("groups",))
    ruled = {tuple(map(str, belt.path)) for belt in PLAN_BELTS}
    ruled |= {("groups", *map(str, belt.path)) for belt in GROUP_BELTS}
    assert there - ruled - BY_FUNCTIONS == NO_GUARDRAIL.keys()
    parts = (WeeklyWindow, PlanRate, GatePart, PrometheusGate, HttpGate)
    assert {(model, name) for model in parts for name in model.model_fields} == PARTS.keys()
    assert {
        (m, name) for m in (TcpCheck, HttpCheck, SshBannerCheck) for name in m.model_fields
    } == CHECKS.keys()


@pytest.mark.parametrize("key", [key for key, case in PARTS.items() if case], ids=str)
def test_every_field_of_a_part_is_compared(key: tuple[type[Part], str]) -> None:
    """One field looser is one belt told."""
    case = PARTS[key]
    assert case is not None
    strict, loose = case
    assert len(lifted(plan(**strict), plan(**loose))) == 1


@pytest.mark.parametrize("key", CHECKS, ids=str)
def test_every_field_of_a_check_is_compared(key: tuple[type[Part], str]) -> None:
    """Another question to the servers is told: which of the two asks more cannot be known."""
    strict, loose = (plan(group(ready={"checks": (check,)})) for check in CHECKS[key])
    assert [lift.what for lift in lifted(strict, loose)] == [
        "group web: ready.checks removed or changed"
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"target": "a"}, {"target": "b"}, ["group web: target changed"]),
        ({}, {"target": "b"}, ["group web: target changed"]),
        ({"target": "b"}, {}, ["group web: target changed"]),
        ({}, {"target": "main"}, []),
        ({"target": "main"}, {}, []),
    ],
)
def test_the_target_of_a_group(
    before: dict[str, Any], after: dict[str, Any], told: list[str]
) -> None:
    """What counts is where its servers are, whether the group names it or the plan."""
    found = lifted(plan(group(**before), target="main"), plan(group(**after), target="main"))
    assert [lift.what for lift in found] == told


def test_groups_in_another_order() -> None:
    """A canary group that comes last holds nothing back any more; a new group between
    others changes no order.
    """
    canary, web, new = (
        group(name, servers={"names": (name,)}) for name in ("canary", "web", "new")
    )
    assert [lift.what for lift in lifted(plan(canary, web), plan(web, canary))] == [
        "order of groups changed"
    ]
    assert lifted(plan(canary, web), plan(canary, new, web)) == ()
    assert [lift.what for lift in lifted(plan(canary, web), plan(web))] == ["group canary removed"]


@pytest.mark.parametrize(
    ("gone", "held"),
    [
        ({"waves": (1, "100%"), "pause": ("approval",)}, "canary, approval"),
        ({"waves": (5,), "pause": ("5m", "approval")}, "approval"),
        ({"waves": (5,), "bake": "30m"}, "bake 30m"),
        ({"waves": (5,), "pause": ("5m",)}, None),
    ],
)
def test_a_group_that_held_back_others_is_gone(gone: dict[str, Any], held: str | None) -> None:
    """Its canary, approval and bake came before what is left; behind the last group nothing
    was held back.
    """
    first, web = group("first", {"zones": ("z1",)}, **gone), group("web", {"zones": ("z2",)})
    assert [lift.before for lift in lifted(plan(first, web), plan(web))] == ([held] if held else [])
    assert lifted(plan(web, first), plan(web)) == ()
    everything = group("new", {"all": True})
    found = lifted(plan(web, first), plan(everything))
    assert [lift.before for lift in found] == (["canary", held] if held else ["canary"])


Groups = tuple[dict[str, Any], ...]


def moves(old: Groups, new: Groups) -> list[str]:
    """What `lifted_by_moves` says of five servers whose groups the two plans tell."""
    has = inventory([server(n, f"{'db' if n < 3 else 'web'}-{n}") for n in range(1, 6)])
    before, after = plan(*old), plan(*new)
    found = lifted_by_moves(before, after, schedule(before, has), schedule(after, has))
    return [lift.what for lift in found]


def test_servers_that_move_to_a_looser_group_are_told() -> None:
    """A new or another group has fewer guardrails than the one in which its servers were before."""
    careful: dict[str, Any] = {"waves": (1, 2), "pause": ("approval",), "max_failures": 0}
    careless: dict[str, Any] = {"waves": ("100%",), "max_failures": "100%"}
    web, all_of = (
        group("web", {"names": ("web-*",)}, **careful),
        group("web", {"all": True}, **careful),
    )
    new = group("db", {"names": ("db-*",)}, **careless)
    said = moves((all_of,), (new, web))
    assert (
        "2 servers moved from group web to group db: canary gone (the first wave is no longer "
        "a single server)"
    ) in said
    assert "2 servers moved from group web to group db: approval removed" in said
    assert "2 servers moved from group web to group db: max_failures raised" in said
    assert not any("servers widened" in what for what in said)
    assert moves((all_of,), (group("db", {"names": ("db-*",)}, **careful), web)) == []
    assert moves((all_of,), (all_of,)) == []
