"""`run`: execute a plan and follow it to its end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from runner.app.app import App, PlanChoice
from runner.cli.options import Length, changed_options, manner_options, target_option


@click.command(
    epilog="""\b
Examples:
  reboot-runner run plans/quickstart.yaml             on the embedded simulated cloud
  reboot-runner run plans/web.yaml                    asks for the plan's name first
  reboot-runner run plans/web.yaml --schedule-digest sha256:…   exactly what was reviewed
  reboot-runner run web.json --schedule-digest sha256:…         what `diff --out web.json` saved
  reboot-runner run --changed origin/main~1..HEAD plans/        the plans that a merge changed
  reboot-runner run plans/web.yaml --deadline 5h30m   in a CI job of six hours

\b
Exit codes: 0 done · 3 plan invalid · 4 not every server ready · 5 stopped ·
6 schedule differs · 7 held or halted · 75 suspended, go on with `resume` ·
77 credentials · 130/143 interrupted (state saved)
"""
)
@click.argument("plans", nargs=-1, metavar="PLAN|SCHEDULE", type=click.Path(path_type=Path))
@changed_options
@target_option
@click.option("--yes", is_flag=True, help="Do not ask, although the servers are real.")
@click.option(
    "--schedule-digest", metavar="DIGEST", help="Refuse (exit 6) any schedule but the reviewed one."
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    help="The plan of SCHEDULE, if its file was renamed.",
)
@click.option(
    "--max-age",
    type=Length(),
    default="7d",
    show_default=True,
    help="Refuse (exit 6) an older SCHEDULE; judged once, when its run is created.",
)
@click.option(
    "--supersede",
    is_flag=True,
    help="Cancel an open run of another version of the plan and end it first.",
)
@manner_options
@click.pass_obj
def command(
    app: App,
    chosen: PlanChoice,
    target: str | None,
    yes: bool,
    schedule_digest: str | None,
    plan_file: Path | None,
    max_age: timedelta,
    supersede: bool,
    manner: Any,
    store_is_persistent: bool,
) -> int:
    """Restart the servers of PLAN wave by wave and report what happened to each.

    SCHEDULE is what `diff --out` saved: exactly its servers and waves are executed. It is
    refused (exit 6) when its plan has changed since, when its target's project is another,
    when it is too old, or when more than 10 % of its servers would be skipped before the
    first wave, those that are merely busy not counted. Servers that match only now are
    listed and never added.

    An open run of the same plan is gone on with; a plan whose run has ended sends nothing
    and says so. Ctrl-C stops new work, saves everything and says what is in flight; a
    second one ends at once.

    Outside the plan's windows, and in freezes, a wave waits until the next one that it fits
    into. --override-window lets the waves of this call begin all the same; each that does
    is recorded with who and why.

    With --changed the plans that a range of commits changed are run, one after the other;
    the exit code is the first of 1, 77, 3, 7, 6, 5, 4, 75, 0 that occurs.
    """
    from runner.app.run_plans import run_plans
    from runner.app.start_run import Wish

    wish = Wish(yes, schedule_digest, supersede, max_age)
    return run_plans(app, chosen, target, plan_file, wish, manner, store_is_persistent)
