"""Targets that became others: told key by key."""

from __future__ import annotations

from typing import Any

import pytest

from runner.model.config import Config, TargetConfig
from runner.planning.targets_lifted import changed_configuration, changed_targets

ELSEWHERE = {"ecs": "https://ecs.example.com"}


def target(**more: Any) -> dict[str, TargetConfig]:
    return {"prod": TargetConfig.model_validate({"cloud": "otc", "region": "eu-de", **more})}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {}, []),
        ({}, {"region": "eu-nl"}, [("region changed", "eu-de", "eu-nl")]),
        ({}, {"cloud": "huaweicloud"}, [("cloud changed", "otc", "huaweicloud")]),
        (
            {},
            {"endpoints": ELSEWHERE},
            [("endpoints.ecs changed", "not written", ELSEWHERE["ecs"])],
        ),
        (
            {"endpoints": ELSEWHERE},
            {},
            [("endpoints.ecs changed", ELSEWHERE["ecs"], "not written")],
        ),
        ({}, {"project_id": "a" * 32}, [("project_id changed", "not written", "a" * 32)]),
        ({}, {"auth": "token"}, [("auth changed", "auto", "token")]),
        (
            {"rate": {"servers_per_minute": 100}},
            {"rate": {"servers_per_minute": 200, "servers_per_request": 10}},
            [("rate.servers_per_minute raised", "100", "200")],
        ),
    ],
)
def test_what_is_told(
    before: dict[str, Any], after: dict[str, Any], told: list[tuple[str, str, str]]
) -> None:
    """Whose servers and which hosts: any change is news; of rates only a higher one is."""
    found = changed_targets(target(**before), target(**after))
    assert [
        (lift.what.removeprefix("target prod: "), lift.before, lift.after) for lift in found
    ] == told


def test_targets_that_come_and_go() -> None:
    """A new target had nothing before, one that is gone reboots nothing."""
    assert changed_targets(target(), {"new": TargetConfig(cloud="otc")}) == ()


def test_sources_of_gates_and_the_store() -> None:
    """A gate that is asked elsewhere, and journals that lie elsewhere, hold nothing of what
    was reviewed.
    """
    old = Config.model_validate(
        {"sources": {"main": {"prometheus": "https://a.example"}, "gone": {"http": "https://b"}}}
    )
    new = Config.model_validate(
        {
            "store": "sqlite:///other.db",
            "sources": {"main": {"http": "https://evil.example"}, "new": {"http": "https://c"}},
        }
    )
    found = [(lift.what, lift.before, lift.after) for lift in changed_configuration(old, new)]
    assert found == [
        ("source main: prometheus changed", "https://a.example", "not written"),
        ("source main: http changed", "not written", "https://evil.example"),
        (
            "store changed (another store does not know what was rebooted)",
            "sqlite:///.reboot-runner/runs.db",
            "sqlite:///other.db",
        ),
    ]
    assert changed_configuration(new, new) == ()
