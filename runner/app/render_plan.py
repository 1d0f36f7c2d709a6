"""`render`: a plan with its templates resolved and its `for_each` expanded, as YAML."""

from __future__ import annotations

from runner.app.app import App, PlanChoice
from runner.app.plan_files import options_of
from runner.loading.plan import load_plan, require
from runner.loading.writing import plan_yaml


def render_plan(app: App, chosen: PlanChoice, *, defaults: bool) -> None:
    """Write the chosen plan, with every default if `defaults`. Raises InvalidInput if it
    has an error.
    """
    loaded = load_plan(chosen.paths[0], options_of(chosen, app.load_config()))
    text = plan_yaml(require(loaded), defaults=defaults)
    if loaded.problems:
        app.show_problems(loaded.problems)
    app.echo(text, newline=False)
