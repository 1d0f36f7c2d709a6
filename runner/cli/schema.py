"""`schema`: the JSON Schemas of what people write and of what the program writes."""

from __future__ import annotations

import json
from importlib import import_module

import click

from runner.app.app import App

GENERATORS: dict[str, tuple[str, str]] = {
    "plan": ("runner.loading.schemas", "plan_schema"),
    "plan-rendered": ("runner.loading.schemas", "rendered_plan_schema"),
    "config": ("runner.loading.schemas", "config_schema"),
    "policy": ("runner.loading.schemas", "policy_schema"),
    "schedule": ("runner.report.schemas", "schedule_schema"),
    "diff": ("runner.report.schemas", "diff_schema"),
    "status": ("runner.report.schemas", "status_schema"),
    "init": ("runner.report.schemas", "init_schema"),
    "doctor": ("runner.report.schemas", "doctor_schema"),
    "config-show": ("runner.report.schemas", "config_show_schema"),
    "report": ("runner.report.schemas", "report_schema"),
    "journal": ("runner.store.event_json", "journal_schema"),
    "problems": ("runner.report.problems", "problems_schema"),
}
"""Name -> module and function that makes the schema. Imported only when it is asked for."""


@click.command(
    epilog="""\b
Examples:
  reboot-runner schema plan > plan.schema.json
Then, as the first line of a plan, editors read:
  # yaml-language-server: $schema=plan.schema.json
"""
)
@click.argument("name", type=click.Choice(list(GENERATORS)))
@click.pass_obj
def command(app: App, name: str) -> None:
    """Print the JSON Schema (draft-07) called NAME.

    plan is for plans as they are edited: values may be templates. plan-rendered is for what `render` prints.
    """
    module, function = GENERATORS[name]
    app.echo(json.dumps(getattr(import_module(module), function)(), indent=2, ensure_ascii=False))
