"""`github`: what the jobs of GitHub Actions call. Options come by environment variables, so
no input meets a shell.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from runner.app.app import App
from runner.cli.options import Length, persistent_option

PREFIX = "REBOOT_RUNNER_GITHUB_"

F = TypeVar("F", bound=Callable[..., Any])


class Blank(click.Option):
    """An option whose empty variable is as good as none: what an action does not set
    arrives as an empty text.
    """

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        found = super().resolve_envvar_value(ctx)
        return found if found and found.strip() else None


def option(name: str, **settings: Any) -> Callable[[F], F]:
    """An option with its environment variable: `--max-age` is REBOOT_RUNNER_GITHUB_MAX_AGE."""
    variable = PREFIX + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, cls=Blank, envvar=variable, show_envvar=True, **settings)


plans_option = option(
    "--plans",
    default="",
    help=(
        "Folders whose changed plans count, one a line, instead of plans/; for run also files, "
        "changed or not."
    ),
)
reports_option = option(
    "--reports",
    type=click.Path(path_type=Path),
    default=Path(".reboot-runner/reports"),
    help="Where reports go.",
)
deadline_option = option(
    "--deadline", type=Length(), help="Suspend after this time: below the limit of the job."
)
wait_option = option(
    "--wait",
    type=Length(),
    default="30m",
    show_default=True,
    help="Wait in the job for what is due within this.",
)


@click.group(
    "github",
    short_help="What the jobs of GitHub Actions call: plan, run, reconcile.",
    epilog="""\b
Examples (steps of a job; docs/github.md has whole workflows):
  reboot-runner github plan         on pull_request: validate, diff, one comment a plan
  reboot-runner github run          on push: what was reviewed, once
  reboot-runner github reconcile    on schedule: go on with what is due
""",
)
def command() -> None:
    """The three jobs of a repository with reboot plans on GitHub.

    Each reads the event that started it, and leaves annotations, a step summary and
    outputs. A summary that cannot be written never changes the exit code. A comment that
    plan cannot write fails it: a merge is refused without.
    """


@command.command(
    "plan",
    short_help="On pull_request: validate and diff what changed, comment, save the schedules.",
    epilog="""\b
Examples:
  reboot-runner github plan
  REBOOT_RUNNER_GITHUB_COMMENT=never reboot-runner github plan
""",
)
@plans_option
@option("--base", default="", help="The revision to compare with, instead of the event's.")
@option(
    "--schedules",
    type=click.Path(path_type=Path),
    default=Path(".reboot-runner/schedules"),
    help="Where the schedules are saved, to be stored as an artifact.",
)
@option(
    "--comment",
    type=click.Choice(["always", "on-change", "never"]),
    default="always",
    show_default=True,
    help=(
        "When to comment on the pull request; on-change: there are servers to reboot, or problems."
    ),
)
@option(
    "--offline",
    type=bool,
    default=False,
    help="Validate only, with a summary. Always so for forks.",
)
@click.pass_obj
def plan(app: App, plans: str, base: str, schedules: Path, comment: str, offline: bool) -> int:
    """Validate the plans that the pull request changes and show what each would do.

    Configuration and policy are those of the base revision: a change to them is shown, and
    never used. Requests from forks are only validated, without the network. Exits 3 when a
    plan is not valid.
    """
    from runner.app.github_plan import Wanted, plan_job

    return plan_job(app, Wanted(lines(plans), base, schedules, comment, offline))


@command.command(
    "run",
    short_help="On push: run the changed plans exactly as they were reviewed.",
    epilog="""\b
Examples:
  reboot-runner github run
  REBOOT_RUNNER_GITHUB_PLANS=plans/web.yaml reboot-runner github run      on workflow_dispatch
""",
)
@plans_option
@option(
    "--schedules",
    type=click.Path(path_type=Path),
    default=Path(".reboot-runner/schedules"),
    help="Where fetched schedules are kept.",
)
@option(
    "--artifact",
    default="reboot-schedules",
    show_default=True,
    help="How the names of the artifacts begin.",
)
@option(
    "--plan-workflow",
    default="",
    help="The workflow file that stores schedules; no other's are trusted.",
)
@option("--max-age", type=Length(), default="7d", show_default=True, help="Refuse older schedules.")
@option(
    "--comment",
    type=click.Choice(["always", "on-change", "never"]),
    default="always",
    help=(
        "As for plan. The stored schedule must be what the comment shows; with never there is "
        "none to ask."
    ),
)
@reports_option
@deadline_option
@wait_option
@option(
    "--follow-up", default="", help="A workflow file to dispatch when a suspended run is due soon."
)
@persistent_option
@click.pass_obj
def run(
    app: App,
    plans: str,
    schedules: Path,
    artifact: str,
    plan_workflow: str,
    max_age: timedelta,
    comment: str,
    reports: Path,
    deadline: timedelta | None,
    wait: timedelta,
    follow_up: str,
    store_is_persistent: bool,
) -> int:
    """Run the plans that the push changed, each by the schedule that its pull request's last
    diff has stored.

    A plan without a schedule that was stored and shown before the merge is refused (exit
    6); a plan that has run already sends nothing. A run that must wait for longer than
    --wait is suspended: the step is green then, with the output result=suspended.
    """
    from runner.app.github_job import GitHubJob
    from runner.app.github_run import Sources, run_job

    sources = Sources(
        lines(plans),
        schedules,
        artifact,
        plan_workflow or None,
        max_age,
        comment,
        store_is_persistent,
    )
    job = GitHubJob(app, reports, wait, deadline, follow_up)
    return run_job(job, sources)


@command.command(
    "reconcile",
    short_help="On schedule: go on with open runs that are due.",
    epilog="""\b
Examples:
  reboot-runner github reconcile
  REBOOT_RUNNER_GITHUB_WAIT=10m reboot-runner github reconcile
""",
)
@reports_option
@deadline_option
@wait_option
@option(
    "--follow-up", default="", help="A workflow file to dispatch when a suspended run is due soon."
)
@click.pass_obj
def reconcile(
    app: App, reports: Path, deadline: timedelta | None, wait: timedelta, follow_up: str
) -> int:
    """Advance every open run that is due, and stay with those that are due soon. It starts none."""
    from runner.app.github_job import GitHubJob
    from runner.app.github_run import reconcile_job

    return reconcile_job(GitHubJob(app, reports, wait, deadline, follow_up))


def lines(text: str) -> list[Path]:
    """Paths, one a line."""
    return [Path(line.strip()) for line in text.splitlines() if line.strip()]
