"""The JSON Schemas of plans and configuration, and the documents that list codes: what is
published is what holds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.loading.codes import CODES
from runner.loading.schemas import FILES, as_json, config_schema, plan_schema, rendered_plan_schema

ROOT = Path(__file__).resolve().parents[2]
GROUP = {"name": "a", "servers": {"all": True}, "waves": 1}
PLAN: dict[str, Any] = {"version": 1, "name": "a", "groups": [GROUP]}


def accepts(schema: dict[str, Any], document: object) -> bool:
    return bool(jsonschema.Draft7Validator(schema).is_valid(document))


def with_group(**fields: Any) -> dict[str, Any]:
    return {**PLAN, "groups": [{**GROUP, **fields}]}


@pytest.mark.parametrize("name", FILES)
def test_published_schemas_are_fresh(name: str) -> None:
    """`schemas/` holds what the models say now (`python -m runner.loading.schemas` writes it)."""
    assert (ROOT / "schemas" / name).read_text(encoding="utf-8") == as_json(FILES[name]())


@pytest.mark.parametrize("name", FILES)
def test_schemas_are_draft_07_and_closed(name: str) -> None:
    """Every schema is valid draft-07, says so, and no object of a fixed shape takes
    unknown keys.
    """
    schema = FILES[name]()
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema["$id"] == name
    for part in [schema, *schema["definitions"].values()]:
        if "properties" in part:
            assert part["additionalProperties"] is False
    text = json.dumps(schema)
    assert "$defs" not in text
    assert '"null"' not in text


@pytest.mark.parametrize(
    "document",
    [
        {**PLAN, "name": "{{ vars.x }}"},
        {**PLAN, "limits": {"servers": "{{ vars.n }}", "percent": "{{ vars.p }}"}},
        {**PLAN, "limits": "{{ vars.limits }}"},
        {**PLAN, "max_failures": "{{ vars.n }}%"},
        with_group(for_each="{{ vars.zones }}", name="web-{{ item }}"),
        with_group(for_each=["a", {"name": "b"}]),
        with_group(allow_empty="{{ vars.flag }}"),
        with_group(order="{{ vars.order }}"),
        with_group(waves=["{{ vars.first }}", "10%", 3]),
        with_group(waves="{{ vars.waves }}"),
        with_group(pause=["approval", "{{ vars.pause }}", "1h30m"]),
        with_group(bake="{{ vars.bake }}"),
        with_group(
            servers={
                "tags": {"a": "{{ item }}", "b": ["x", "{{ item }}"]},
                "zones": "{{ vars.zones }}",
            }
        ),
        with_group(servers={"tags": "{{ item.tags }}"}),
        with_group(ready="{{ vars.ready }}"),
        {
            **PLAN,
            "gates": [
                {"prometheus": {"source": "main", "query": "{{ vars.q }}", "max": "{{ vars.n }}"}}
            ],
        },
        with_group(spread={"zone": "{{ vars.n }}"}, max_unavailable="{{ vars.n }}%"),
        with_group(rate={"servers": "{{ vars.n }}", "per": "{{ vars.per }}"}),
    ],
)
def test_the_source_form_takes_templates(document: dict[str, Any]) -> None:
    """Editors accept a template wherever the loader renders one; the rendered form does not."""
    assert accepts(plan_schema(), document)
    if '"{{' in json.dumps({k: v for k, v in document.items() if k != "labels"}):
        tags_only = document["groups"][0]["servers"].get("tags")
        assert tags_only is not None or not accepts(rendered_plan_schema(), document)


@pytest.mark.parametrize(
    "document",
    [
        {**PLAN, "version": 2},
        {**PLAN, "version": "{{ vars.v }}"},
        {**PLAN, "name": "Upper"},
        {**PLAN, "nme": "x"},
        {**PLAN, "groups": []},
        {**PLAN, "groups": "{{ vars.groups }}"},
        {**PLAN, "limits": {"servers": "3"}},
        {**PLAN, "limits": {"servers": 0}},
        {**PLAN, "max_failures": -1},
        {**PLAN, "max_failures": "many"},
        {**PLAN, "description": None},
        with_group(waves=[0]),
        with_group(waves=[]),
        with_group(waves=[1.5]),
        with_group(pause="10"),
        with_group(pause=10),
        with_group(order="shufle"),
        with_group(exclude=None),
        with_group(servers={"ids": [10]}),
        with_group(servers={"tags": {"a": True}}),
        with_group(servers={"all": False}),
        with_group(max_unavailable="many"),
        with_group(spread={}),
        with_group(spread={"zones": 1}),
        with_group(spread={"zone": "all"}),
        {**PLAN, "gates": []},
        {**PLAN, "gates": [{"alarms": "some"}]},
        {
            **PLAN,
            "gates": [{"prometheus": {"source": "main", "query": "up", "min": 1, "lasting": "2m"}}],
        },
        {**PLAN, "gates": [{"prometheus": {"source": "https://host", "query": "up", "min": 1}}]},
        with_group(rate={"servers": 10}),
        with_group(rate={"servers": 0, "per": "1m"}),
        {"version": 1, "name": "a"},
    ],
)
def test_both_forms_refuse_mistakes(document: dict[str, Any]) -> None:
    """What the loader refuses by its shape, editors mark as wrong."""
    assert not accepts(plan_schema(), document)
    assert not accepts(rendered_plan_schema(), document)


def test_configuration_schema() -> None:
    """Editors take a full configuration, and mark unknown clouds and badly named targets."""
    target = {
        "cloud": "huaweicloud",
        "endpoints": {"ecs": "https://x"},
        "rate": {"poll_every": "5s"},
    }
    assert accepts(
        config_schema(), {"version": 1, "targets": {"prod-eu": target}, "template_env": ["CI"]}
    )
    assert accepts(
        config_schema(),
        {"sources": {"main": {"prometheus": "https://h", "token_env": "PROM_TOKEN"}}},
    )
    assert not accepts(
        config_schema(), {"sources": {"main": {"prometheus": "https://h", "token": "x"}}}
    )
    assert not accepts(config_schema(), {"targets": {"prod": {"cloud": "aws"}}})
    assert not accepts(config_schema(), {"targets": {"Prod": {"cloud": "otc"}}})
    assert not accepts(config_schema(), {"targets": {"prod": {"cloud": "otc", "password": "x"}}})


def test_every_code_is_documented() -> None:
    """docs/problems.md lists every code once with the sentence of the table, and none that
    does not exist.
    """
    text = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.+?) \|$", text, re.MULTILINE)
    assert [(code, sentence) for code, sentence, _ in rows] == list(CODES.items())


def test_every_code_is_used() -> None:
    """No code is documented that nothing can say."""
    files = sorted((ROOT / "runner").rglob("*.py"))
    said = "".join(path.read_text(encoding="utf-8") for path in files if path.name != "codes.py")
    assert [code for code in CODES if f'"{code}"' not in said] == []
