"""What the digest covers, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.model.check import Check
from runner.model.schedule import Allowance, Pause, Schedule, ServerRef, Target
from runner.planning.digest import schedule_digest
from tests.planning.build import group, inventory, plan, schedule, server


def base() -> Schedule:
    fleet = inventory([server(n, zone=f"z{n % 2}", status="ACTIVE" if n < 5 else "ERROR") for n in range(6)])
    return schedule(plan(group(waves=(1, 2), pause=("5m",), max_failures=1)), fleet)


def renamed(ref: ServerRef) -> ServerRef:
    return replace(ref, name=ref.name + "-new")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, made_at="2030-01-01T00:00:00Z"),
        lambda s: replace(s, plan_file="moved.yaml"),
        lambda s: replace(s, description="another text"),
        lambda s: replace(s, visible=9_999),
        lambda s: replace(s, excluded=tuple(replace(e, detail="other words") for e in s.excluded)),
        lambda s: replace(s, waves=tuple(replace(w, servers=tuple(map(renamed, w.servers))) for w in s.waves)),
        lambda s: replace(s, digest=""),
    ],
    ids=["time", "file", "description", "visible", "sentence", "names", "digest"],
)
def test_not_covered(change: Callable[[Schedule], Schedule]) -> None:
    """Times, names and sentences, and servers that are none of the plan's business, leave the digest as it is."""
    assert schedule_digest(change(base())) == base().digest


def first_wave(s: Schedule, **fields: object) -> Schedule:
    return replace(s, waves=(replace(s.waves[0], **fields), *s.waves[1:]))  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, plan_name="other"),
        lambda s: replace(s, plan_digest="sha256:" + "0" * 64),
        lambda s: replace(s, cycle="other"),
        lambda s: replace(s, targets=(Target("test", "simulator", "eu-west-101", "f" * 32),)),
        lambda s: replace(s, reboot_type="HARD"),
        lambda s: replace(s, on_unknown="retry"),
        lambda s: replace(s, wait_at_most_s=1.0),
        lambda s: replace(s, max_failures=Allowance("9", 5, 9)),
        lambda s: replace(s, groups=(replace(s.groups[0], ready_timeout_s=1.0),)),
        lambda s: replace(s, groups=(replace(s.groups[0], max_failures=None),)),
        lambda s: replace(s, groups=(replace(s.groups[0], checks=(Check("tcp", 22),)),)),
        lambda s: replace(s, groups=(replace(s.groups[0], baseline="stop"),)),
        lambda s: first_wave(s, pause=Pause("approval")),
        lambda s: first_wave(s, is_canary=False),
        lambda s: first_wave(s, servers=(replace(s.waves[0].servers[0], zone="z9"),)),
        lambda s: replace(s, waves=s.waves[::-1]),
        lambda s: replace(s, waves=(*s.waves[:1], replace(s.waves[1], servers=s.waves[1].servers[::-1]), s.waves[2])),
        lambda s: replace(s, excluded=()),
        lambda s: replace(s, excluded=(replace(s.excluded[0], reason="Busy"),)),
    ],
)
def test_covered(change: Callable[[Schedule], Schedule]) -> None:
    """Whatever decides what a run does changes the digest."""
    assert schedule_digest(change(base())) != base().digest


def test_form() -> None:
    """It is `sha256:` and 64 hex digits, and is the same in every process: pinned here, so that a change is noticed."""
    assert base().digest == "sha256:4969b054bc4461b5e1e41d955c3639628ebdab1532d33aa9dea4285777f94616"
