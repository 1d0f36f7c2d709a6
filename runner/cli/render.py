"""`render`: a plan with its templates resolved and its `for_each` expanded, as YAML."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App, PlanChoice
from runner.cli.options import template_options


@click.command(
    epilog="""\b
Examples:
  reboot-runner render plans/web.yaml
  reboot-runner render plans/web.yaml --var env=staging --defaults
"""
)
@click.argument("plans", metavar="PLAN", type=click.Path(path_type=Path))
@template_options
@click.option("--defaults", is_flag=True, help="Fill in every default.")
@click.pass_obj
def command(app: App, chosen: PlanChoice, defaults: bool) -> None:
    """Print PLAN as it will be executed: values for templates, a group for each item of for_each.

    What is printed is a plan itself, with the same digest. Exits 3 when the plan has an error.
    """
    from runner.app.render_plan import render_plan

    render_plan(app, chosen, defaults=defaults)
