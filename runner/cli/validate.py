"""`validate`: all problems of all plans, without the network."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App, PlanChoice
from runner.cli.options import changed_options, config_rev_option, output_option


@click.command(
    epilog="""\b
Examples:
  reboot-runner validate plans/                      every plan in a folder
  reboot-runner validate plans/web.yaml --var env=prod
  reboot-runner validate -o github plans/            annotations on a pull request
  reboot-runner validate plans/ --changed main..HEAD   only what a branch changed
"""
)
@click.argument("plans", nargs=-1, type=click.Path(path_type=Path))
@changed_options
@config_rev_option
@output_option("text", "json", "github", "sarif", of="Form of the problems on stdout.")
@click.pass_obj
def command(app: App, chosen: PlanChoice, config_rev: str | None, output: str) -> int:
    """Check PLANS (files, or folders searched for *.yaml and *.yml) offline.

    Every problem of every file is shown at once, with its place and how to mend it: also
    those of the configuration, of the policy that it names, and what the plans break of
    that policy by what they say. Nothing is sent anywhere. Exits 3 when there is an error,
    0 otherwise; warnings do not count.
    """
    from runner.app.validate import validate

    return validate(app, chosen, config_rev, output)
