"""`schema`: the JSON Schemas of what people write and of what the program writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from runner.app.app import App
from runner.loading.schemas import config_schema, plan_schema, policy_schema, rendered_plan_schema
from runner.report.schemas import DOCUMENTS, report_schema, schema_of
from runner.store.event_json import journal_schema

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "plan": plan_schema,
    "plan-rendered": rendered_plan_schema,
    "config": config_schema,
    "policy": policy_schema,
    **{name: partial(schema_of, name) for name in DOCUMENTS},
    "report": report_schema,
    "journal": journal_schema,
}


def print_schema(app: App, name: str) -> None:
    """Write one of SCHEMAS."""
    app.echo(json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False))
