"""A plan as YAML again: what `render` prints. Read back, it is the same plan with the
same digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from runner.model.hidden import hidden_in
from runner.model.plan import Plan

_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_FLOW_WIDTH = 90


def plan_yaml(plan: Plan, *, defaults: bool = False) -> str:
    """The resolved plan in the order of the format: only what was written, or with `defaults`
    every default too.

    `vars` are left out, as no template is left to read them.
    """
    data = plan_document(plan, defaults=defaults)
    if defaults:
        data["cycle"] = plan.campaign
    return document_yaml(data)


def plan_document(plan: Plan, *, defaults: bool = False) -> dict[str, Any]:
    """The resolved plan as plain JSON values: what was written, or with `defaults` every
    default too; no `vars`.
    """
    return plan.model_dump(
        mode="json", by_alias=True, exclude={"vars"}, exclude_unset=not defaults, exclude_none=True
    )


def document_yaml(data: Mapping[str, Any]) -> str:
    """The document of a plan as YAML, in the order of the format."""
    ordered = {name: _literal(data[name]) for name in Plan.model_fields if name in data}
    text = yaml.dump(
        ordered,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=110,
        default_flow_style=False,
    )
    if hidden_in(text):
        text = yaml.dump(
            ordered, Dumper=_Dumper, sort_keys=False, width=110, default_flow_style=False
        )
    return text


def _literal(value: Any) -> Any:
    """The same data, with what would be a template when it is read again written as one
    that gives the text.
    """
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return _TEMPLATE.sub(lambda match: f'{{{{ "{match[0]}" }}}}', value)
    return value


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 or 1.2 would not read as text, and writes short lists on
    one line.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    short = (
        all(not isinstance(v, list | dict) for v in values)
        and sum(len(str(v)) + 2 for v in values) < _FLOW_WIDTH
    )
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short or None)


_Dumper.add_representer(list, _represent_list)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("^0o[0-7]+$|^[-+]?[0-9]+$"), list("-+0123456789")
)
