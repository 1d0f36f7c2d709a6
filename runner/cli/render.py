"""`render`: a plan with its templates resolved and its `for_each` expanded, as YAML."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App
from runner.cli.options import load_options, template_options


@click.command(
    "render",
    short_help="Print a plan with templates resolved.",
    epilog="""\b
Examples:
  reboot-runner render plans/web.yaml
  reboot-runner render plans/web.yaml --var env=staging --defaults
""",
)
@click.argument("plan", type=click.Path(path_type=Path))
@template_options
@click.option("--defaults", is_flag=True, help="Fill in every default.")
@click.pass_context
def command(
    ctx: click.Context,
    plan: Path,
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    defaults: bool,
) -> None:
    """Print PLAN as it will be executed: values for templates, a group for each item of for_each.

    What is printed is a plan itself, with the same digest. Exits 3 when the plan has an error.
    """
    import os

    from runner.loading.config import template_env
    from runner.loading.plan import load_plan, require
    from runner.loading.writing import plan_yaml

    app: App = ctx.obj
    config = app.load_config()
    options = load_options(var, vars_file, template_env(config.config, os.environ))
    loaded = load_plan(plan, options)
    text = plan_yaml(require(loaded), defaults=defaults)
    if loaded.problems:
        app.show_problems(loaded.problems)
    app.echo(text, newline=False)
