"""`diff`: the dry-run against the live cloud."""

from __future__ import annotations

from pathlib import Path

import click

from runner.app.app import App, PlanChoice
from runner.cli.options import changed_options, config_rev_option, output_option, target_option
from runner.errors import Exit


@click.command(
    epilog="""\b
Examples:
  reboot-runner diff plans/web.yaml                   which servers go down together
  reboot-runner diff plans/web.yaml --base main       also what differs from main, lifted belts first
  reboot-runner diff plans/web.yaml --out web.json    save the schedule for a review
  reboot-runner diff plans/ --changed main..HEAD --out schedules/   each plan that a branch changed
  reboot-runner diff -o markdown plans/               one comment for all plans
  reboot-runner diff --detailed-exitcode plans/       exit 2: there are servers to reboot
"""  # noqa: E501
)
@click.argument("plans", nargs=-1, type=click.Path(path_type=Path))
@changed_options
@config_rev_option
@click.option(
    "--base",
    metavar="REV",
    help="Compare with the plan of another Git revision against the same cloud.",
)
@target_option
@click.option(
    "--out",
    type=click.Path(),
    metavar="PATH",
    help=(
        "Save the schedule of a plan that may run. A folder (several plans, or PATH ends in /) "
        "gets NAME.json each."
    ),
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are servers to reboot.")
@output_option("text", "json", "markdown", of="Form of the dry-run on stdout.")
@click.pass_obj
def command(
    app: App,
    chosen: PlanChoice,
    config_rev: str | None,
    base: str | None,
    target: str | None,
    out: str | None,
    detailed_exitcode: bool,
    output: str,
) -> int:
    """Show what PLANS (files, or folders searched for plans) would do to the cloud as it is now.

    Which server goes down in which wave, every exclusion with its reason, the worst case,
    the expected duration, and what is new since the plan's last run. With --base also what
    differs from another revision: first the belts that plan and policy loosen (limits,
    budgets, canaries, pauses, exclusions), then servers and waves. Where the repository has
    a policy, the plan and its schedule are judged by it.

    Reads only: nothing is rebooted. Several plans: the exit code is the first of 1, 77, 3,
    7, 6, 5, 4, 75, 2, 0 that occurs.
    """
    from runner.app.show_diff import show_diff

    code = show_diff(app, chosen, target, base, config_rev, out, output)
    return Exit.DONE if code == Exit.CHANGES and not detailed_exitcode else code
