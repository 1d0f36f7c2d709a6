"""`schema`: the JSON Schemas of what people write and of what the program writes."""

from __future__ import annotations

import click

from runner.app.app import App

NAMES = (
    *(
        "plan",
        "plan-rendered",
        "config",
        "policy",
        "schedule",
        "diff",
        "status",
        "init",
        "doctor",
        "config-show",
    ),
    *("problems", "report", "journal"),
)
"""Those of `print_schema.SCHEMAS`; a test holds them equal."""


@click.command(
    epilog="""\b
Examples:
  reboot-runner schema plan > plan.schema.json
Then, as the first line of a plan, editors read:
  # yaml-language-server: $schema=plan.schema.json
"""
)
@click.argument("name", type=click.Choice(NAMES))
@click.pass_obj
def command(app: App, name: str) -> None:
    """Print the JSON Schema (draft-07) called NAME.

    plan is for plans as they are edited: values may be templates. plan-rendered is for what
    `render` prints.
    """
    from runner.app.print_schema import print_schema

    print_schema(app, name)
