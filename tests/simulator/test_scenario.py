"""Scenario and inventory files: what they say happens, and what is wrong in them is
told at once.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from runner.model.inventory import Inventory, PowerState, Server, ServerGroup
from runner.simulator.faults import Rule
from runner.simulator.fleet import FleetOptions
from runner.simulator.inventory import fleet_of, load_fleet
from runner.simulator.scenario import ScenarioInvalid, load_scenario
from runner.simulator.switches import Switches

from .bench import START, simulated

DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"


def test_example_of_the_documentation(tmp_path: Path) -> None:
    """The documented scenario is read, `on` and durations as people write them."""
    (example,) = re.findall(r"```yaml\n(# scenario\.yaml\n.*?)```", DOCS.read_text(), re.DOTALL)
    path = tmp_path / "scenario.yaml"
    path.write_text(example)
    scenario = load_scenario(path)
    assert scenario.switches.bad_servers == "sub_job"
    assert len(scenario.rules) >= 5
    assert {r.on for r in scenario.rules} >= {"reboot", "job", None}
    assert len(scenario.digest) == 64


def test_documentation_names_every_switch_and_rule() -> None:
    """Each switch, each rule and each field of a rule is in the documentation."""
    text = DOCS.read_text()
    models = get_args(get_args(Rule)[0])
    assert len(models) > 20
    words = set(Switches.model_fields)
    for model in models:
        words |= {field.alias or name for name, field in model.model_fields.items()}
        words |= set(model.model_fields["do"].annotation.__args__)
    assert {w for w in words if f"`{w}`" not in text} == set()


def test_empty_scenario(tmp_path: Path) -> None:
    """An empty file is a scenario without faults."""
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert load_scenario(path).rules == ()
    assert load_scenario(path).switches == Switches()


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("rules: [", "line "),
        ("- 1", "must be a mapping"),
        ("digest: x", "must be a mapping"),
        ("version: 2", "version: "),
        ("ruls: []", "ruls: Extra inputs"),
        ("rules: [{do: throttle}]", "rules[0].throttle.on: Field required"),
        ("rules: [{do: fly}]", "rules[0]: "),
        (
            "rules: [{do: delay, on: any, seconds: 5}, {do: delay, on: any, seconds: x}]",
            "not a duration",
        ),
        ("switches: {init: 5}", ""),
        ("a: &a [*a]", ""),
        ("x: !!python/object:os.system {}", ""),
        ("[" * 400, ""),
        ("a: \ud800".encode("utf-8", "surrogatepass").decode("latin-1"), ""),
    ],
)
def test_wrong_scenarios(tmp_path: Path, text: str, finding: str) -> None:
    """A wrong file is refused with the place and the reason, whatever is in it."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    if text == "switches: {init: 5}":  # a bare number is seconds
        assert load_scenario(path).switches.init == timedelta(seconds=5)
        return
    with pytest.raises(ScenarioInvalid) as wrong:
        load_scenario(path)
    assert any(finding in f for f in wrong.value.findings)
    assert str(wrong.value).startswith("scenario.yaml: ")


def test_all_findings_at_once(tmp_path: Path) -> None:
    """Every wrong rule is told, not only the first."""
    path = tmp_path / "scenario.yaml"
    path.write_text("rules:\n" + "  - {do: delay, on: any}\n" * 3)
    with pytest.raises(ScenarioInvalid) as wrong:
        load_scenario(path)
    assert len(wrong.value.findings) == 3


def test_unreadable_files(tmp_path: Path) -> None:
    """A missing, a too large and a binary file are refused."""
    with pytest.raises(ScenarioInvalid, match="no such file"):
        load_scenario(tmp_path / "missing.yaml")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ScenarioInvalid, match="larger than 1 MiB"):
        load_scenario(large)
    large.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ScenarioInvalid):
        load_scenario(large)


def test_fleet_of_a_file(tmp_path: Path) -> None:
    """A fleet from a file has its names, ids, tags, groups and states, and is served like
    any other.
    """
    path = tmp_path / "fleet.yaml"
    path.write_text(
        'servers:\n  - {name: "a \\" b", zone: z1, tags: {role: web}, group: g, flavor: "x\\"y"}\n'
        "  - {name: b, id: 616fb98f-46ca-475e-917e-2563e5a8cd19, status: SHUTOFF, locked: "
        "true, group: g}\n"
        "project_id: 05041fffa40025702f6dc009cc6f8f33\n"
    )
    with simulated(fleet=load_fleet(path, FleetOptions(seed=3))) as bench:
        first, second = bench.listed()["servers"]
        assert (first["name"], first["OS-EXT-AZ:availability_zone"], first["tags"]) == (
            'a " b',
            "z1",
            ["role=web"],
        )
        assert first["flavor"]["id"] == 'x"y'
        assert (second["id"], second["status"], second["locked"]) == (
            "616fb98f-46ca-475e-917e-2563e5a8cd19",
            "SHUTOFF",
            True,
        )
        (group,) = bench.get("/v1/{p}/cloudservers/os-server-groups").json()["server_groups"]
        assert group["members"] == [first["id"], second["id"]]
        assert bench.running.project_id == "05041fffa40025702f6dc009cc6f8f33"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "servers: []",
        "servers: [{id: x}]",
        "[{name: a, tags: [x]}]",
        "[{name: a, colour: red}]",
    ],
)
def test_wrong_inventories(tmp_path: Path, text: str) -> None:
    """A file without servers, or with a wrong one, is refused."""
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioInvalid):
        load_fleet(path, FleetOptions())


def test_same_id_twice(tmp_path: Path) -> None:
    """Two servers with one id are refused."""
    path = tmp_path / "fleet.yaml"
    path.write_text("- {name: a, id: 616fb98f-46ca-475e-917e-2563e5a8cd19}\n" * 2)
    with pytest.raises(ScenarioInvalid, match="same id"):
        load_fleet(path, FleetOptions())


def test_aliases_in_a_scenario_are_refused(tmp_path: Path) -> None:
    """Ten lines of them stand for a billion values."""
    path = tmp_path / "fleet.yaml"
    path.write_text("- &a {name: a}\n- *a\n")
    with pytest.raises(ScenarioInvalid, match="aliases"):
        load_fleet(path, FleetOptions())


def test_copy_of_an_inventory() -> None:
    """A copy of an inventory in memory lists the same servers with the same groups and states."""
    group = ServerGroup("g1", "pair", ("anti-affinity",), ("616fb98f-46ca-475e-917e-2563e5a8cd19",))
    server = Server(
        id=group.members[0],
        name="db ü",
        state=PowerState.ERROR,
        zone="eu-de-01",
        flavor="f",
        tags={"role": "db", "note": "a=b"},
        server_group="g1",
        frozen=True,
        addresses=("10.0.0.7",),
    )
    fleet = fleet_of(Inventory((server,), START, (group,)), FleetOptions(region="eu-de"), "f" * 32)
    with simulated(fleet=fleet) as bench:
        (shown,) = bench.listed()["servers"]
        assert (shown["name"], shown["status"], shown["tags"]) == (
            "db ü",
            "ERROR",
            ["role=db", "note=a=b"],
        )
        assert shown["metadata"]["EcmResStatus"] == "freeze"
        assert shown["os:scheduler_hints"] == {"group": ["g1"]}
        assert bench.running.project_id == "f" * 32
