"""What the digest covers, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
from pydantic import TypeAdapter

from runner.model.check import Check
from runner.model.gate import Gate
from runner.model.schedule import (
    Allowance,
    ExcludedServer,
    Exclusion,
    ExclusionEntry,
    GroupRules,
    Pause,
    PlanRef,
    Rate,
    Schedule,
    ServerRef,
    Spread,
    Target,
    Wave,
    WorstCase,
    together,
)
from runner.model.shape import LATER, json_values
from runner.model.window import Freeze, Window
from runner.planning.digest import canonical, schedule_digest
from tests.planning.build import group, inventory, plan, schedule, server

GOLDEN = Path(__file__).parents[1] / "fixtures" / "schedules"
"""The texts that digests cover, byte for byte."""


def base() -> Schedule:
    fleet = inventory(
        [server(n, zone=f"z{n % 2}", state="running" if n < 5 else "error") for n in range(6)]
    )
    return schedule(plan(group(waves=(1, 2), pause=("5m",), max_failures=1)), fleet)


def renamed(ref: ServerRef) -> ServerRef:
    return replace(ref, name=ref.name + "-new")


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, made_at="2030-01-01T00:00:00Z"),
        lambda s: replace(s, plan=replace(s.plan, file="moved.yaml")),
        lambda s: replace(s, plan=replace(s.plan, description="another text")),
        lambda s: replace(s, visible=9_999),
        lambda s: replace(
            s, excluded=together(replace(e, detail="other words") for e in s.exclusions)
        ),
        lambda s: replace(
            s, waves=tuple(replace(w, servers=tuple(map(renamed, w.servers))) for w in s.waves)
        ),
        lambda s: replace(s, digest=""),
    ],
    ids=["time", "file", "description", "visible", "sentence", "names", "digest"],
)
def test_not_covered(change: Callable[[Schedule], Schedule]) -> None:
    """Times, names and sentences, and servers that are none of the plan's business, leave
    the digest as it is.
    """
    assert schedule_digest(change(base())) == base().digest


def first_wave(s: Schedule, **fields: object) -> Schedule:
    return replace(s, waves=(replace(s.waves[0], **fields), *s.waves[1:]))  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, plan=replace(s.plan, name="other")),
        lambda s: replace(s, plan=replace(s.plan, digest="sha256:" + "f" * 64)),
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
        lambda s: replace(
            s,
            waves=(*s.waves[:1], replace(s.waves[1], servers=s.waves[1].servers[::-1]), s.waves[2]),
        ),
        lambda s: replace(s, excluded=()),
        lambda s: replace(s, excluded=together([replace(s.exclusions[0], reason="Busy")])),
    ],
)
def test_covered(change: Callable[[Schedule], Schedule]) -> None:
    """Whatever decides what a run does changes the digest."""
    assert schedule_digest(change(base())) != base().digest


def digest_of(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def test_golden_bytes_of_a_small_schedule() -> None:
    """The digest is the hash of exactly this text, in every process and on every machine."""
    made = schedule(plan(group(waves=(1,))), inventory([server(1)]))
    golden = (GOLDEN / "small.json").read_text()
    assert canonical(made) == golden
    assert made.digest == digest_of(golden)


def test_golden_bytes_of_a_schedule_that_uses_every_field() -> None:
    """No field can be added, renamed or written in another way without being noticed."""
    target = Target("prod", "huaweicloud", "eu-west-101", "f" * 32)
    ref = ServerRef("s-1", "web-1", "eu-west-101a")
    check = Check(
        "http", 8443, "https", "/up", "app.example.com", verify=False, status=(200,), body="ok"
    )
    rules = GroupRules(
        name="web", target="prod", selected=3, eligible=2, order="zone", max_failures=Allowance("50%", 2, 1),  # noqa: E501
        on_failure="approval", ready_timeout_s=900.0, stable_for_s=60.0, bake_s=600.0, checks=(check,),  # noqa: E501
        baseline="count", max_unavailable=Allowance("1", 2, 1), spread=(Spread("zone", "1", 2, 1),),
        rate=Rate(5, 60.0), support=True,
    )  # fmt: skip
    begins = datetime(2026, 12, 24, tzinfo=UTC)
    made = Schedule(
        plan=PlanRef("web", digest_of("plan"), "web.yaml", "text"), cycle="kernel", targets=(target,),  # noqa: E501
        reboot_type="HARD", on_unknown="retry", max_failures=Allowance("2%", 2, 0), wait_at_most_s=3600.0,  # noqa: E501
        groups=(rules,),
        waves=(Wave(1, "web", "50%", (ref,), Pause("approval"), is_canary=True, held_by=("zone: 1",)),),  # noqa: E501
        excluded=together([Exclusion(replace(ref, id="s-2"), "web", "Locked", "unlock it", named=True)]), visible=9,  # noqa: E501
        worst_case=WorstCase(1, 1, 1, 2), windows=(Window(("sun",), "22:00", 7200.0, "Europe/Berlin", 600.0),),  # noqa: E501
        calendars=(digest_of("calendar"),), freezes=(Freeze(begins, begins + timedelta(days=1)),),
        made_at="2026-11-23T22:00:00Z", rate=Rate(10, 60.0),
        gates=(Gate("prometheus", "up", "main", "up", 1.0, 0.5, 60.0),),
        retry_of="20261123-220000-k3m9x2",
    )  # fmt: skip
    used = {f.name for f in fields(Schedule) if getattr(made, f.name) != f.default}
    assert used == {f.name for f in fields(Schedule)} - {
        "digest",
        "inventory_digest",
        "format_version",
    }
    assert all(getattr(rules, f.name) != f.default for f in fields(GroupRules))
    golden = (GOLDEN / "full.json").read_text()
    assert canonical(made) == golden
    made = replace(made, digest=made.plan.digest, inventory_digest=made.plan.digest)
    again = TypeAdapter(Schedule).validate_json(json.dumps(json_values(made)), strict=True)
    assert (again, canonical(again)) == (made, golden)


@pytest.mark.parametrize(
    "kind",
    [Schedule, GroupRules, Wave, WorstCase, ExclusionEntry, ExcludedServer, Check, Gate, Window],
)
def test_every_optional_field_is_marked(kind: type) -> None:
    """Whatever has a default and is no part of the first form is left out of the text where
    it has that default.
    """
    first = {
        "Schedule": {"made_at", "digest", "inventory_digest", "format_version"},
        "WorstCase": {"wave"},
    }
    first |= {"Wave": {"is_canary"}, "ExcludedServer": {"zone"}, "Window": {"cutoff_s"}}
    first["Check"] = {"scheme", "path", "host", "verify", "status", "body"}
    first["Gate"] = {
        "name",
        "source",
        "query",
        "max",
        "min",
        "for_s",
        "path",
        "status",
        "body",
        "dry_run",
    }
    hints = get_type_hints(kind, include_extras=True)
    optional = {f.name for f in fields(kind) if f.default is not MISSING}
    marked = {name for name in optional if LATER in getattr(hints[name], "__metadata__", ())}
    assert optional - marked == first.get(kind.__name__, set()), (
        "mark new optional fields with LATER"
    )


@dataclass(frozen=True)
class Newer(Schedule):
    """A schedule of a later version."""

    since_then: Annotated[str, LATER] = ""


def test_a_field_of_a_later_version_changes_the_digest_only_where_it_is_used() -> None:
    """What was reviewed with an older version can be run by a newer one."""
    made = base()
    newer = Newer(**{f.name: getattr(made, f.name) for f in fields(made)})
    assert schedule_digest(newer) == made.digest
    assert schedule_digest(replace(newer, since_then="used")) != made.digest
