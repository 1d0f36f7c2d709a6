"""The saved schedule: canonical, complete, and distrusted when it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import InvalidInput
from runner.inputs.json_text import SCHEDULE, estimate
from runner.model.inventory import Server
from runner.model.plan import Plan
from runner.model.schedule import Exclusion, Schedule, ServerRef, together
from runner.model.shape import json_values
from runner.planning.schedule import make_schedule
from runner.report import schedule_json
from runner.report.schemas import schema_of
from tests.planning.build import codes, group, inventory, one_target, plan, schedule, server
from tests.planning.test_laws import fleets, plans, spent_of

SCHEMAS = Path(__file__).parents[2] / "schemas"


def saved() -> Schedule:
    fleet = inventory(
        [server(n, state="error" if n == 7 else "running", zone="z1") for n in range(8)]
    )
    one = group(
        "one", {"names": ("web-00[0-3]",)}, waves=(1, "50%"), pause=("5m",), max_failures="25%"
    )
    ready: dict[str, Any] = {
        "checks": ({"http": {"host": "a.b", "body": "ok"}}, {"ssh_banner": {}}),
        "baseline": "exclude",
    }
    two = group("two", {"names": ("web-00[4-9]",)}, waves=(2,), bake="250ms", ready=ready)
    return schedule(plan(one, two, description="Kernel\n✓"), fleet, plan_file="plans/kernel.yaml")


@given(fleets(), plans(), st.integers(0, 3))
def test_round_trip(fleet: list[Server], wanted: Plan, chance: int) -> None:
    """What is read is what was written, and written again it is the same bytes."""
    made = schedule(wanted, inventory(fleet), spent_of(fleet, chance))
    text = schedule_json.dump(made)
    assert schedule_json.load(text) == made
    assert schedule_json.dump(schedule_json.load(text)) == text


def test_the_file() -> None:
    """One wave and one exclusion a line, ASCII only, as the published schema says."""
    text = schedule_json.dump(saved())
    assert text.isascii()
    assert text.startswith('{\n"cycle":"kernel",\n')
    assert sum(line.startswith('{"group":') for line in text.splitlines()) == len(saved().waves)
    jsonschema.validate(json.loads(text), schema_of("schedule"))


def test_rules_of_later_versions_are_left_out_where_they_ask_for_nothing() -> None:
    """Schedules and journals that know no checks stay readable, and those without any keep
    their form.
    """
    one, two = json_values(saved())["groups"]
    assert not {"checks", "baseline"} & one.keys()
    assert {"checks", "baseline"} <= two.keys()
    assert schedule_json.load(schedule_json.dump(saved())) == saved()


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    raw = json.loads(schedule_json.dump(saved()))
    change(raw)
    return json.dumps(raw)


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        schedule_json.load(text, "saved.json")
    assert all(
        p.location is not None and p.location.file == "saved.json" for p in caught.value.problems
    )
    return codes(caught.value.problems)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["waves"][0]["servers"].append(raw["waves"][1]["servers"].pop()),
        lambda raw: raw["waves"][1]["servers"].reverse(),
        lambda raw: raw["waves"][1]["servers"][0].update(id="00000000-0000-0000-0000-00000000ffff"),
        lambda raw: raw.update(reboot_type="HARD"),
        lambda raw: raw.update(cycle="another"),
        lambda raw: raw["targets"][0].update(project_id="f" * 32),
        lambda raw: raw["waves"][0]["pause"].update(seconds=0),
        lambda raw: raw["excluded"].pop(),
        lambda raw: raw.update(digest="sha256:" + "0" * 64),
    ],
)
def test_tampering_is_found(change: Callable[[dict[str, Any]], object]) -> None:
    """A schedule that was changed after it was made does not fit its digest any more."""
    assert "DigestMismatch" in problems(changed(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(extra=1),
        lambda raw: raw.pop("cycle"),
        lambda raw: raw.update(visible="9"),
        lambda raw: raw.update(visible=-1),
        lambda raw: raw.update(visible=True),
        lambda raw: raw["waves"][0].update(servers=[]),
        lambda raw: raw["waves"][0]["servers"][0].update(id="../etc"),
        lambda raw: raw["waves"][0]["servers"][0].update(name=None),
        lambda raw: raw["waves"][0].update(written="1e9"),
        lambda raw: raw["waves"][0]["pause"].update(kind="never"),
        lambda raw: raw["waves"][0]["pause"].update(seconds=-1),
        lambda raw: raw["waves"][0]["pause"].update(seconds=1e300),
        lambda raw: raw["plan"].update(name="Not A Name"),
        lambda raw: raw["groups"][0].update(on_failure="explode"),
        lambda raw: raw["groups"][1].update(baseline="explode"),
        lambda raw: raw["groups"][1]["checks"][0].update(kind="udp"),
        lambda raw: raw["groups"][1]["checks"][0].update(port=0),
        lambda raw: raw["groups"][1]["checks"][0].update(host="a.b\r\nX: y"),
        lambda raw: raw["groups"][1]["checks"][0].update(path="no"),
        lambda raw: raw.update(groups=[]),
        lambda raw: raw.update(waves={}),
    ],
)
def test_what_the_schema_refuses(change: Callable[[dict[str, Any]], object]) -> None:
    """Wrong shapes are problems, and the published schema refuses the same documents."""
    text = changed(change)
    assert set(problems(text)) == {"InvalidSchedule"}
    assert not jsonschema.Draft7Validator(schema_of("schedule")).is_valid(json.loads(text))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["waves"].reverse(),
        lambda raw: raw["waves"][1].update(number=1),
        lambda raw: raw["waves"][0].update(group="three"),
        lambda raw: raw["groups"].reverse(),
        lambda raw: raw["groups"][1].update(name="one"),
        lambda raw: raw["waves"][0]["servers"].append(raw["waves"][1]["servers"][0]),
        lambda raw: raw["worst_case"].update(failures_before_stop=0),
    ],
)
def test_contradictions(change: Callable[[dict[str, Any]], object]) -> None:
    """Waves that do not fit together are refused even by one who could compute the digest."""
    assert "InvalidSchedule" in problems(changed(change))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "NotJson"),
        ("{", "NotJson"),
        ("[" * 100_000, "ScheduleTooLarge"),
        ('{"format_version": NaN}', "NotJson"),
        ('{"format_version": 1, "format_version": 1}', "NotJson"),
        ('{"format_version": ' + "9" * 5_000 + "}", "NotJson"),
        ("[]", "NotASchedule"),
        ("null", "NotASchedule"),
        ("{}", "UnknownFormatVersion"),
        ('{"format_version": 2}', "UnknownFormatVersion"),
        ('{"format_version": true}', "UnknownFormatVersion"),
        ('{"format_version": 1}', "InvalidSchedule"),
        ('{"a":"' + "x" * SCHEDULE.size + '"}', "ScheduleTooLarge"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_hostile_files(text: str, code: str) -> None:
    """Whatever a file holds, the answer is a problem."""
    assert set(problems(text)) == {code}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30)
@given(st.data())
def test_random_damage(data: st.DataObject) -> None:
    """A file with some characters changed is refused or says exactly the same schedule (or
    only other free text).
    """
    text = schedule_json.dump(saved())
    place = data.draw(st.integers(0, len(text) - 1))
    piece = data.draw(st.text(max_size=3))
    try:
        read = schedule_json.load(text[:place] + piece + text[place + len(piece) + 1 :])
    except InvalidInput:
        return
    assert read.digest == saved().digest


def test_many_problems_are_cut() -> None:
    """A file that is wrong everywhere gives twenty problems and says that there are more."""

    def change(raw: dict[str, Any]) -> None:
        raw.update({f"extra{n}": n for n in range(25)})

    with pytest.raises(InvalidInput) as caught:
        schedule_json.load(changed(change))
    assert len(caught.value.problems) == 21
    assert "and more of this kind" in {p.message for p in caught.value.problems}


def test_problems_do_not_quote(tmp_path: Path) -> None:
    """What a wrong file holds does not reach the message: it may be any file."""
    with pytest.raises(InvalidInput) as caught:
        schedule_json.load(changed(lambda raw: raw.update(cycle="SECRET value", visible="SECRET")))
    assert not any("SECRET" in p.message for p in caught.value.problems)


def test_the_schedule_is_made_for_saving() -> None:
    """Odd texts of the cloud and of the plan survive: names with control characters, very
    long sentences.
    """
    odd = server(1, 'we"b\x00\n\x1b[31m</script>', words="state " + "x" * 900, state="stopped")
    made = make_schedule(
        plan(),
        "sha256:" + "0" * 64,
        one_target(inventory([odd]), target=saved().targets[0]),
        now=inventory([]).read_at,
    )
    assert made.schedule is not None
    assert schedule_json.load(schedule_json.dump(made.schedule)) == made.schedule


@pytest.mark.parametrize("detail", ["names web-000{}", "ids"])
def test_a_fleet_of_which_most_is_excluded(detail: str) -> None:
    """90,000 excluded servers, even each with a detail of its own, leave room for 10,000
    that are scheduled.
    """
    made = saved()
    server = {
        "id": "616fb98f-46ca-475e-917e-2563e5a8cd19",
        "name": "web-000000",
        "zone": "eu-de-01",
    }
    ref = ServerRef(**server)
    few = tuple(Exclusion(ref, "one", "ExcludedByPlan", detail.format(n)) for n in range(100, 1000))
    raw = json_values(
        replace(made, waves=(replace(made.waves[0], servers=(ref,) * 100),), excluded=together(few))
    )
    assert estimate(json.dumps(raw, separators=(",", ":")).encode()) * 100 < SCHEDULE.memory


@pytest.mark.parametrize(("key", "at"), [("waves", 1), ("excluded", 0)])
def test_every_server_of_a_long_list_is_checked(key: str, at: int) -> None:
    """The long lists are checked in pieces; the place of what is wrong is that in the
    whole list.
    """

    def change(raw: dict[str, Any]) -> None:
        raw["excluded"] = [{"group": "one", "reason": "Locked", "detail": "", "servers": []}]
        server = {"id": "a", "name": "b", "zone": "c"}
        raw[key][at]["servers"] = [server] * 2345 + [server | {"id": "?"}]

    with pytest.raises(InvalidInput) as caught:
        schedule_json.load(changed(change))
    assert f"{key}[{at}].servers[2345].id: " in " ".join(p.message for p in caught.value.problems)


def test_exclusions_that_share_an_entry() -> None:
    """Servers with the same reason share an entry, in which a server has words of its own
    only if they differ.
    """
    made, ref = saved(), ServerRef("a", "b", "c")
    one = Exclusion(ref, "one", "Locked", "x")
    same = replace(
        made, excluded=together((one, replace(one, detail="y"), one, replace(one, named=True)))
    )
    found = json_values(same)["excluded"]
    server = {"id": "a", "name": "b", "zone": "c"}
    about = {"group": "one", "reason": "Locked", "detail": "x"}
    assert found == [
        about | {"servers": [server, server | {"detail": "y"}, server]},
        about | {"servers": [server], "named": True},
    ]
    assert [e.detail for e in same.exclusions] == ["x", "y", "x", "x"]
    assert together(same.exclusions) == same.excluded
