"""The plan that repeats a run: its name, its groups, its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.app.retry import texts
from runner.errors import InvalidInput, UsageProblem
from runner.execution.fold import begin
from runner.loading.plan import load_plan, require
from runner.model.events import Event, Outcome, RunCreated
from runner.model.run import Run
from runner.model.schedule import Exclusion, ServerRef, together
from runner.planning.again import comments, retry_name, retry_of
from tests.execution.setup import schedule_of

PLAN: dict[str, Any] = {
    "version": 1,
    "name": "web",
    "labels": {"team": "platform"},
    "groups": [
        {
            "name": "a",
            "servers": {"all": True},
            "waves": [1, "50%"],
            "allow_empty": True,
            "exclude": {"zones": ["z"]},
        },
        {"name": "b", "servers": {"tags": {"x": ["y"]}}, "waves": [2]},
    ],
}


def ended(
    outcomes: list[Outcome], reason: str = "", groups: Sequence[str] = ("a", "a", "b")
) -> Run:
    """A run of groups a (two waves of two) and b (one of two), each server with its outcome."""
    made = schedule_of((2, 2, 2), groups=list(groups))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = begin("r1", made, Event(RunCreated(made), now, 1))
    for server, outcome in zip(run.servers.values(), outcomes, strict=True):
        server.outcome, server.reason = outcome, reason
    return run


@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("web", "web-retry"),
        ("web-retry", "web-retry-2"),
        ("web-retry-9", "web-retry-10"),
        ("retry", "retry-retry"),
        ("x" * 63, "x" * 57 + "-retry"),
        ("x" * 57 + "-retry", "x" * 57 + "-ret-2"),
    ],
)
def test_names_of_retries(name: str, then: str) -> None:
    """Each retry has a name of its own, which is a name of a plan."""
    assert retry_name(name) == then


def test_only_groups_with_something_left() -> None:
    """A group keeps its rules and has the ids in the order of its waves; one that is done
    is left out.
    """
    ok, bad, left = Outcome.READY, Outcome.FAILED, Outcome.NOT_STARTED
    made = retry_of(ended([ok, bad, left, ok, ok, ok]), PLAN)
    assert made is not None
    (group,) = made.document["groups"]
    assert group == {
        "name": "a", "servers": {"ids": ["s-001", "s-002"]}, "waves": [1, "50%"], "exclude": {"zones": ["z"]},  # noqa: E501
    }  # fmt: skip
    assert made.document["labels"] == {"team": "platform"}
    assert (made.document["target"], made.document["cycle"], made.document["retry_of"]) == (
        "t",
        "c1",
        "r1",
    )
    assert retry_of(ended([ok] * 6), PLAN) is None


def test_skipped_servers_that_show_no_reboot_are_repeated() -> None:
    """Busy, locked and stopped servers were not rebooted; the part of a group that goes
    last belongs to its group.
    """
    skip, plan = [Outcome.SKIPPED] * 6, {**PLAN, "groups": [{**PLAN["groups"][0], "name": "web"}]}
    for reason in ("Busy", "Locked", "Frozen", "NotActive", "ClaimedByOtherRun", "UnhealthyBefore"):
        made = retry_of(ended(skip, reason, groups=["web", "web", "web-support"]), plan)
        assert made is not None
        assert made.document["groups"][0]["servers"]["ids"] == [f"s-{n:03d}" for n in range(6)]
    assert retry_of(ended(skip, "RebootedByOther", groups=["web", "web", "web"]), plan) is None


def test_servers_in_no_wave_are_repeated() -> None:
    """What the schedule left out though the plan means it is in the next plan, where naming
    it is allowed.
    """
    run = ended([Outcome.READY] * 6)
    left = [
        ("s-100", "b", "Locked"),
        ("s-101", "a", "ExcludedByPlan"),
        ("s-102", "a", "RunnerItself"),
    ]
    excluded = tuple(Exclusion(ServerRef(i, f"web-{i}"), name, reason) for i, name, reason in left)
    run.schedule = replace(run.schedule, excluded=together(excluded))
    made = retry_of(run, PLAN)
    assert made is not None
    assert [g["servers"] for g in made.document["groups"]] == [{"ids": ["s-100"]}]
    said = "\n".join(comments(made, 9))
    assert "s-100  web-s-100  not scheduled (Locked)" in said
    assert "s-102  web-s-102  not scheduled (RunnerItself)" in said
    assert "s-101" not in said


def test_what_nobody_knows_is_a_comment() -> None:
    """Unknown servers are named, never selected; those that the cycle has had are not
    even named.
    """
    ok = Outcome.READY
    made = retry_of(
        ended([Outcome.FAILED, Outcome.UNKNOWN, Outcome.UNKNOWN, ok, ok, ok], "NoTrace"), PLAN
    )
    assert made is not None
    assert made.document["groups"][0]["servers"] == {"ids": ["s-000"]}
    said = "\n".join(comments(made, 1))
    assert "s-001  web-1  unknown (NoTrace)" in said
    assert "… and 1 more" in said
    spent = retry_of(ended([Outcome.FAILED, *[Outcome.SKIPPED] * 5], "RebootedInCycle"), PLAN)
    assert spent is not None
    assert spent.left_out == ()


def test_a_run_of_thirty_thousand_is_written_as_a_plan_that_is_valid(tmp_path: Path) -> None:
    """The ids are in files beside the plan, and nothing is lost when the plan is read; on
    stdout there is no room.
    """
    number = 30_000
    made = schedule_of((number // 2, number // 2), groups=["a", "b"])
    ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(number)]
    waves = tuple(
        replace(w, servers=tuple(ServerRef(ids[int(s.id[2:])], s.name) for s in w.servers))
        for w in made.waves
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = begin("r1", replace(made, waves=waves), Event(RunCreated(made), now, 1))
    for server in run.servers.values():
        server.outcome, server.reason = Outcome.NOT_STARTED, "CanaryFailed"
    gone = [f"{n:08x}-0000-4000-8000-ffffffffffff" for n in range(5_000)]
    retry = retry_of(
        run,
        {**PLAN, "groups": [PLAN["groups"][0], {**PLAN["groups"][1], "exclude": {"ids": gone}}]},
    )
    assert retry is not None
    out = tmp_path / "again.yaml"
    text, lists = texts(retry, out)
    assert {path.name for path in lists} == {f"again.ids-{n}.txt" for n in (1, 2, 3)}
    for path, content in {out: text, **lists}.items():
        path.write_text(content)
    loaded = load_plan(out)
    assert loaded.problems == ()
    groups = require(loaded).groups
    assert [i for g in groups for i in g.servers.ids or ()] == ids
    assert groups[1].exclude is not None
    assert list(groups[1].exclude.ids or ()) == gone
    with pytest.raises(UsageProblem, match="30,000 servers"):
        texts(retry, None)
    with pytest.raises(UsageProblem, match="exists already"):
        texts(retry, out)


def test_a_plan_that_would_not_be_valid_is_not_written(tmp_path: Path) -> None:
    """A calendar that is gone is a problem with its place, before anything is written."""
    retry = retry_of(ended([Outcome.FAILED] * 6), {**PLAN, "freeze": ["gone.ics"]})
    assert retry is not None
    with pytest.raises(InvalidInput) as caught:
        texts(retry, tmp_path / "again.yaml")
    assert [p.code for p in caught.value.problems if p.severity == "error"] == ["Unreadable"]
