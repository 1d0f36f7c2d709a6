"""The plan as others build it: frozen, strict, written as it is read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from runner.model.plan import Group, Plan, Selector
from runner.model.quantity import Amount


def small() -> Plan:
    group = Group(
        name="a", servers=Selector(all=True), waves=(Amount(number=1), Amount(percent=10))
    )
    return Plan(version=1, name="p", groups=(group,))


def test_plans_can_be_built_in_code() -> None:
    """Fields take their final types, and everything else has the defaults of the contract."""
    plan = small()
    assert plan.campaign == "p"
    assert plan.max_failures == Amount(number=0)
    assert (plan.limits.servers, plan.limits.percent) == (200, 50)
    assert plan.reboot.type == "SOFT"
    assert plan.wait_at_most == timedelta(days=7)
    group = plan.groups[0]
    assert (group.ready.timeout, group.ready.stable_for) == (timedelta(minutes=15), timedelta(0))
    assert (group.pause, group.bake, group.order, group.on_failure) == (
        (timedelta(0),),
        timedelta(0),
        "shuffle",
        "stop",
    )


def test_plans_are_frozen() -> None:
    """Nothing changes a plan after it was checked."""
    with pytest.raises(ValidationError):
        small().name = "other"  # type: ignore[misc]  # that it is refused is the point


def test_json_reads_like_yaml() -> None:
    """Durations and amounts are written as people write them, and read back to an equal plan."""
    plan = small().model_copy(
        update={"max_failures": Amount(percent=2.5), "wait_at_most": timedelta(hours=36)}
    )
    data = plan.model_dump(mode="json", exclude_none=True)
    assert (data["max_failures"], data["wait_at_most"], data["groups"][0]["waves"]) == (
        "2.5%",
        "1d12h",
        [1, "10%"],
    )
    assert Plan.model_validate(data) == plan


def test_selectors_tell_what_is_written() -> None:
    """`keys` names the written keys in the order of the model."""
    assert Selector(zones=("z",), names=("n",)).keys == ("names", "zones")
