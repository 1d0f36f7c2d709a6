"""`diff`: the dry-run against the live cloud."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.common import closed_pipe_is_fine
from runner.cli.options import changed_option, config_rev_option, load_options, template_options
from runner.errors import Exit, InvalidInput, RunnerError, UsageProblem

if TYPE_CHECKING:
    from runner.app.changed_plans import Selection
    from runner.report.diff import PlanDiff, Selected


@click.command(
    "diff",
    short_help="Dry-run against the live cloud: waves, servers, exclusions.",
    epilog="""\b
Examples:
  reboot-runner diff plans/web.yaml                   which servers go down together
  reboot-runner diff plans/web.yaml --base main       also what differs from main, lifted belts first
  reboot-runner diff plans/web.yaml --out web.json    save the schedule for a review
  reboot-runner diff plans/ --changed main..HEAD --out schedules/   each plan that a branch changed
  reboot-runner diff -o markdown plans/               one comment for all plans
  reboot-runner diff --detailed-exitcode plans/       exit 2: there are servers to reboot
""",
)
@click.argument("plans", nargs=-1, type=click.Path(path_type=Path))
@template_options
@changed_option
@config_rev_option
@click.option("--base", metavar="REV", help="Compare with the plan of another Git revision against the same cloud.")
@click.option("--target", metavar="NAME", help="A target of the configuration; overrides the plan's.")
@click.option(
    "--out",
    type=click.Path(),
    metavar="PATH",
    help="Save the schedule of a plan that may run. A folder (several plans, or PATH ends in /) gets NAME.json each.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are servers to reboot.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Form of the dry-run on stdout.",
)
@click.pass_context
def command(
    ctx: click.Context,
    plans: tuple[Path, ...],
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    changed: str | None,
    config_rev: str | None,
    base: str | None,
    target: str | None,
    out: str | None,
    detailed_exitcode: bool,
    output: str,
) -> None:
    """Show what PLANS (files, or folders searched for plans) would do to the cloud as it is now.

    Which server goes down in which wave, every exclusion with its reason, the worst case, the expected duration, and
    what is new since the plan's last run. With --base also what differs from another revision: first the belts that
    plan and policy loosen (limits, budgets, canaries, pauses, exclusions), then servers and waves. Where the
    repository has a policy, the plan and its schedule are judged by it.

    Reads only: nothing is rebooted. Several plans: the exit code is the first of 1, 77, 3, 7, 6, 5, 4, 75, 2, 0 that
    occurs.
    """
    import asyncio

    from runner.app.diff_plans import Out, Wish, diff_all, with_problems
    from runner.app.policy import loosened_rules, rules_of
    from runner.loading.config import template_env
    from runner.loading.plan import load_plan
    from runner.loading.together import same_names
    from runner.report.diff import exit_code

    app: App = ctx.obj
    repeat = [f"--target={target}"] if target else []
    repeat += [f"--var={name}={value}" for name, value in var] + [f"--vars-file={path}" for path in vars_file]
    if base is not None and not base.strip():
        raise UsageProblem("--base is empty: name a revision, for example --base main")
    config, police = rules_of(app, config_rev)
    if not config.is_valid:
        raise InvalidInput(config.problems)
    police.demand_usable()
    options = load_options(var, vars_file, template_env(config.config, os.environ))
    files, selection = _files(app, plans, changed, vars_file)
    loaded = [load_plan(path, options) for path in police.plans_among(files)]
    others = police.plans_among(selection.unchanged) if selection and loaded else []
    place = Out.of(out, loaded) if out else None
    rules = loosened_rules(app, base, rules_of(app, None)[1]) if base else ()
    wish = Wish(target, place, tuple(repeat), base, options, rules)
    diffs = asyncio.run(diff_all(app, config, loaded, wish, police))
    diffs = with_problems(diffs, same_names(loaded, (load_plan(path, options) for path in others)))
    if place is not None:
        for one in diffs:
            place.save(one)
    with closed_pipe_is_fine():
        _show(ctx, app, output, diffs, _selected(selection) if selection else None)
    code = exit_code(diff.code for diff in diffs)
    ctx.exit(Exit.DONE if code == Exit.CHANGES and not detailed_exitcode else code)


def _files(
    app: App, plans: Sequence[Path], changed: str | None, vars_file: tuple[Path, ...]
) -> tuple[list[Path], Selection | None]:
    """Return the plans that are meant: named, in a folder, or those among them that a range of commits changed.

    Second, what the range selects, None without one. Raises InvalidInput for what is no plan's fault.
    """
    from runner.app.changed_plans import select, tell_selection
    from runner.loading.search import find_plans

    if changed is not None:
        selection = select(plans, changed, os.environ, Path.cwd(), shared=vars_file)
        tell_selection(app, selection)
        return selection.files, selection
    if not plans:
        raise UsageProblem("name plans or a folder with plans, or give --changed BASE..HEAD")
    files, problems = find_plans(plans)
    if any(p.severity == "error" for p in problems):
        raise InvalidInput(problems)
    if problems:
        app.show_problems(problems)
    return files, None


def _selected(selection: Selection) -> Selected:
    from runner.report.diff import Selected

    return Selected(
        selection.base, selection.head, tuple(selection.deleted), selection.renamed, len(selection.unchanged)
    )


def _show(ctx: click.Context, app: App, output: str, diffs: Sequence[PlanDiff], selected: Selected | None) -> None:
    """The dry-run on stdout; as text, what went wrong is on stderr, with the line of the plan."""
    if output == "json":
        from runner.report.diff import diff_json

        app.echo(diff_json(diffs, selected))
        return
    if output == "markdown":
        from runner.report.diff_markdown import diff_markdown

        app.echo(diff_markdown(diffs, selected=selected), newline=False)
        return
    from runner.report.diff_text import LIFTED, diff_text

    for n, diff in enumerate(diffs):
        first, *rest = diff_text(diff).removesuffix("\n").split("\n")
        app.show(("\n" if n else "") + click.style(first, bold=True), color=ctx.color)
        for line in rest:
            app.show(click.style(line, fg="red", bold=True) if line.startswith(LIFTED) else line, color=ctx.color)
        if diff.errors:
            app.show_problems(diff.errors)
        if diff.failure is not None:
            app.show_error(RunnerError(f"{diff.file}: {diff.failure}", hint=diff.failure_hint))
