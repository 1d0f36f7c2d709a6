"""The JSON Schemas of what people write: plans (as edited, and rendered), the configuration
and the policy.

`python -m runner.loading.schemas` writes them into `schemas/`; a test says when one of the
files is stale.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from runner.model.config import Config
from runner.model.plan import Plan
from runner.model.policy import Policy
from runner.model.quantity import Amount, format_duration

_DRAFT = "http://json-schema.org/draft-07/schema#"
_TEMPLATE = {"$ref": "#/definitions/Template"}
_NEVER_TEMPLATES = frozenset({"version", "vars", "groups"})


def plan_schema() -> dict[str, Any]:
    """Of a plan as people edit it: every value may also be a template, and groups may have
    `for_each`.
    """
    schema = _schema(Plan, "plan.schema.json", "Plan of reboot-runner")
    definitions = schema["definitions"]
    for definition in [schema, *definitions.values()]:
        _allow_templates(definition)
    definitions["Group"]["properties"]["for_each"] = {
        "description": "One group for each item; the group's templates read it as item.",
        "anyOf": [{"type": "array", "maxItems": 1000}, _TEMPLATE],
    }
    definitions["Template"] = {
        "title": "Template",
        "description": "A Jinja expression over vars, item and env, for example {{ vars.zones }}.",
        "type": "string",
        "pattern": r"\{\{[\s\S]*\}\}",
    }
    return schema


def rendered_plan_schema() -> dict[str, Any]:
    """Of a plan whose templates are resolved: what `render` prints."""
    return _schema(Plan, "plan.rendered.schema.json", "Rendered plan of reboot-runner")


def config_schema() -> dict[str, Any]:
    """Of `reboot-runner.yaml`."""
    return _schema(Config, "config.schema.json", "Configuration of reboot-runner")


def policy_schema() -> dict[str, Any]:
    """Of the policy."""
    return _schema(Policy, "policy.schema.json", "Policy of reboot-runner")


FILES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "plan.schema.json": plan_schema,
    "plan.rendered.schema.json": rendered_plan_schema,
    "config.schema.json": config_schema,
    "policy.schema.json": policy_schema,
}
"""The files in `schemas/` that come from here."""


def as_json(schema: dict[str, Any]) -> str:
    """A schema as its file is written."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write every schema of `FILES` into a folder."""
    for name, make in FILES.items():
        (folder / name).write_text(as_json(make()), encoding="utf-8")


class _Generator(GenerateJsonSchema):
    """Writes defaults as people write them: `15m`, `10%`."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, Amount):
            return dft.number if dft.percent is None else str(dft)
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", exclude_none=True)
        return super().encode_default(dft)


def _schema(model: type[BaseModel], name: str, title: str) -> dict[str, Any]:
    """The model's schema as draft-07, which every editor reads.

    It says `definitions` where pydantic says `$defs`; a description beside `$ref` moves
    into an `allOf`, because readers of draft-07 ignore what stands beside `$ref`; null is
    taken out, because a key without a value is an error.
    """
    made = model.model_json_schema(
        ref_template="#/definitions/{model}", schema_generator=_Generator
    )
    definitions = made.pop("$defs", {})
    schema = {"$schema": _DRAFT, "$id": name, **made, "title": title}
    schema["definitions"] = {key: definitions[key] for key in sorted(definitions)}
    tidied = _tidied(schema)
    assert isinstance(tidied, dict)  # noqa: S101 - a schema is a mapping
    return tidied


def _tidied(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        schema = {
            **schema,
            "properties": {k: _property(v) for k, v in schema["properties"].items()},
        }
    return {key: value if key == "properties" else _tidied(value) for key, value in schema.items()}


def _property(schema: dict[str, Any]) -> dict[str, Any]:
    """One property without its made-up title, without null, and with its description where
    it is read.
    """
    made = {k: v for k, v in schema.items() if k != "title" and not (k == "default" and v is None)}
    options = [option for option in made.get("anyOf", []) if option != {"type": "null"}]
    if "anyOf" in made and len(options) == 1:
        del made["anyOf"]
        made = {**options[0], **made}
    elif "anyOf" in made:
        made["anyOf"] = options
    if "$ref" in made and len(made) > 1:
        made = {"allOf": [{"$ref": made.pop("$ref")}], **made}
    if "patternProperties" in made:  # keys of another form are not allowed either
        ((pattern, value),) = made.pop("patternProperties").items()
        made |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    tidied = _tidied(made)
    assert isinstance(tidied, dict)  # noqa: S101 - a schema is a mapping
    return tidied


def _allow_templates(definition: dict[str, Any]) -> None:
    """Let every value of a definition be a template too. Plain text is not widened: it
    takes templates already.
    """
    for name, schema in definition.get("properties", {}).items():
        if name not in _NEVER_TEMPLATES:
            definition["properties"][name] = _widened(schema)


def _widened(schema: dict[str, Any]) -> dict[str, Any]:
    if _takes_any_text(schema):
        return schema
    about: dict[str, Any] = {
        key: schema[key] for key in ("description", "default", "examples") if key in schema
    }
    inner = {key: value for key, value in schema.items() if key not in about}
    if set(inner) == {"anyOf"}:
        return {**about, "anyOf": [*map(_inside, inner["anyOf"]), _TEMPLATE]}
    return {**about, "anyOf": [_inside(inner), _TEMPLATE]}


def _inside(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with the items of a list and the values of a mapping widened."""
    made = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _widened(made[key])
    if isinstance(made.get("anyOf"), list):
        made["anyOf"] = [_inside(option) for option in made["anyOf"]]
    return made


def _takes_any_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and not {"pattern", "enum", "const"} & set(schema)


if __name__ == "__main__":
    write(Path("schemas"))
