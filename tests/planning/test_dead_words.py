"""Each word of an exclusion that excludes nothing is told, with what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from runner.model.inventory import ServerGroup
from runner.model.plan import Selector
from runner.model.problem import Problem
from runner.model.schedule import Target
from runner.planning.dead_words import MOST_TOLD, dead_exclusions, dead_of_policy
from runner.planning.fleet import Fleet, TargetFleet
from tests.planning.build import TARGET, group, inventory, one_target, plan, server, sid

HAS = inventory(
    [
        server(
            1, "prod-1", zone="eu-de-01", flavor="s3.large", tags={"canary": "true", "env": "prod"}
        ),
        server(
            2, "prod\u200b-2", zone="eu-de-02", enterprise_project="0", tags={"canary": "false"}
        ),
    ],
    [ServerGroup("g-1", "etcd", members=(sid(1),)), ServerGroup("g-2", "empty")],
)


def dead(exclude: dict[str, Any]) -> list[Problem]:
    return dead_exclusions(plan(group(exclude=exclude)), one_target(HAS))


@pytest.mark.parametrize(
    ("exclude", "path", "said", "hint"),
    [
        (
            {"tags": {"canary": ("Ture",)}},
            ("tags", "canary", 0),
            "tags canary=Ture",
            "did you mean canary=true?",
        ),
        (
            {"tags": {"canry": ("true",)}},
            ("tags", "canry", 0),
            "tags canry=true",
            "did you mean canary?",
        ),
        (
            {"tags": {"canary": ("true", "yes")}},
            ("tags", "canary", 1),
            "tags canary=yes",
            "correct it",
        ),
        ({"names": ("prod–*",)}, ("names", 0), "names prod–*", 'write "prod-*": U+2013 (EN DASH)'),
        (
            {"names": ("\u201cprod-1\u201d",)},
            ("names", 0),
            "names \u201cprod-1\u201d",
            "it holds U+201C (LEFT DOUBLE QUOTATION MARK)",
        ),
        ({"names": ("prod-1", "old-*")}, ("names", 1), "names old-*", "correct it"),
        ({"names": ("PROD-1",)}, ("names", 0), "names PROD-1", "correct it"),
        ({"zones": ("eu-de-3",)}, ("zones", 0), "zones eu-de-3", "did you mean eu-de-0"),
        ({"flavors": ("s3.lage",)}, ("flavors", 0), "flavors s3.lage", "did you mean s3.large?"),
        (
            {"enterprise_projects": ("1",)},
            ("enterprise_projects", 0),
            "enterprise_projects 1",
            "correct it",
        ),
        (
            {"server_groups": ("etcd", "empty")},
            ("server_groups", 1),
            "server_groups empty",
            "correct it",
        ),
    ],
)
def test_a_dead_word_is_told_at_its_place(
    exclude: dict[str, Any], path: Any, said: str, hint: str
) -> None:
    """Also beside living ones: a warning that names the word and, where something is near,
    what was meant.
    """
    (found,) = dead(exclude)
    assert (found.code, found.severity, found.path) == (
        "ExcludesNothing",
        "warning",
        ("groups", 0, "exclude", *path),
    )
    assert f"exclude.{said} matches no server" in found.message
    assert hint in (found.hint or "")


@pytest.mark.parametrize(
    "exclude",
    [
        {"names": ("prod-*", "*-1", "prod-2", "prod-[12]"), "ids": (sid(2),)},
        {"tags": {"canary": ("true", "false"), "env": ("prod",)}, "zones": ("eu-de-02",)},
        {"server_groups": ("g-1",), "flavors": ("s3.large",), "enterprise_projects": ("0",)},
    ],
)
def test_a_word_that_excludes_a_server_is_no_news(exclude: dict[str, Any]) -> None:
    """A server of the target is enough, in the group or not, also one whose name only looks
    like the word.
    """
    assert dead(exclude) == []


def test_every_target_is_asked_by_itself_and_each_word_once() -> None:
    """What another target has does not count, and what several groups write is told once."""
    other = Target("other", "simulator", "eu-west-101", "0" * 32)
    here, there = TargetFleet(TARGET, HAS), TargetFleet(other, inventory([server(3, "old-1")]))
    names = {"names": ("old-*",)}
    wanted = plan(
        group("a", exclude=names, target="test"),
        group("b", exclude=names, target="test"),
        group("c", exclude=names, target="other"),
    )
    found = dead_exclusions(wanted, Fleet.of([here, there]))
    assert [p.path[1] for p in found] == [0]


def test_many_dead_words_are_counted() -> None:
    """A list of a thousand dead names fills no page."""
    found = dead({"names": tuple(f"gone-{n}" for n in range(1000))})
    assert len(found) == MOST_TOLD + 1
    assert found[-1].message.startswith(f"{1000 - MOST_TOLD} more words")


@pytest.mark.parametrize("is_all", [True, False])
def test_words_of_a_policy_that_forbid_nothing(is_all: bool) -> None:
    """A near miss is always reported; a word that may be meant for another target only
    where all targets are read.
    """
    forbidden = Selector(
        ids=(sid(1), sid(7)),
        server_groups=("etcd", "ectd"),
        names=("db-*", "prod-1"),
        tags={"env": ("prd", "lab"), "canary": ("true",)},
        zones=("eu-nl-01",),
    )
    found = dead_of_policy(forbidden, HAS, is_all=is_all)
    assert {(p.code, p.severity) for p in found} == {("ForbidsNothing", "warning")}
    gone = "policy forbidden.ids: 1 of 2 ids belong to no server of the plan's targets"
    assert (found[-1].message == gone) == is_all
    found = [p for p in found if p.message != gone]
    said = [p.message.split(" matches")[0].removeprefix("policy forbidden.") for p in found]
    near = ["tags env=prd"]
    others = ["names db-*", "zones eu-nl-01", "server_groups ectd", "tags env=prd", "tags env=lab"]
    assert said == (others if is_all else near)
    assert found[said.index("tags env=prd")].hint == "did you mean env=prod?"
