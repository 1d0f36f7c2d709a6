"""`validate`: all problems of all plans, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.options import changed_option, config_rev_option, load_options, template_options
from runner.errors import Exit, UsageProblem

if TYPE_CHECKING:
    from runner.loading.plan import Loaded, LoadOptions
    from runner.model.problem import Problem


@click.command(
    "validate",
    short_help="Check plans offline; all problems of all files.",
    epilog="""\b
Examples:
  reboot-runner validate plans/                      every plan in a folder
  reboot-runner validate plans/web.yaml --var env=prod
  reboot-runner validate -o github plans/            annotations on a pull request
  reboot-runner validate plans/ --changed main..HEAD   only what a branch changed
""",
)
@click.argument("plans", nargs=-1, type=click.Path(path_type=Path))
@template_options
@changed_option
@config_rev_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="Form of the problems on stdout.",
)
@click.pass_context
def command(
    ctx: click.Context,
    plans: tuple[Path, ...],
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    changed: str | None,
    config_rev: str | None,
    output: str,
) -> None:
    """Check PLANS (files, or folders searched for *.yaml and *.yml) offline.

    Every problem of every file is shown at once, with its place and how to mend it: also those of the configuration,
    of the policy that it names, and what the plans break of that policy by what they say. Nothing is sent anywhere.
    Exits 3 when there is an error, 0 otherwise; warnings do not count.
    """
    app: App = ctx.obj
    named, others, found = _files(app, plans, changed, vars_file)
    files, more, checked = _check(app, named, others, var, vars_file, config_rev)
    problems = list(dict.fromkeys([*found, *more]))  # a file of variables is read for every plan
    shown = _rendered(output, problems, [path.as_posix() for path in files])
    if shown and output == "text":
        app.show(shown, color=ctx.color)
    elif shown:
        click.echo(shown, color=ctx.color)
    errors = sum(p.severity == "error" for p in problems)
    app.talk(_summary(len(files), errors, len(problems) - errors), files=len(files), errors=errors, valid=checked)
    if errors:
        ctx.exit(Exit.INVALID)


def _files(
    app: App, plans: Sequence[Path], changed: str | None, vars_file: tuple[Path, ...]
) -> tuple[list[Path], list[Path], list[Problem]]:
    """The files that are meant: those that are named or lie in a folder, or what a range of commits changed of them.

    Second, the plans beside them that did not change: a plan's name must not be that of one of them.
    """
    import os

    from runner.app.changed_plans import select, tell_selection
    from runner.loading.search import find_plans

    if changed is None:
        if not plans:
            raise UsageProblem("name plans or a folder with plans, or give --changed BASE..HEAD")
        files, problems = find_plans(plans)
        return files, [], problems
    selection = select(plans, changed, os.environ, Path.cwd(), shared=vars_file)
    tell_selection(app, selection)
    return selection.files, selection.unchanged, []


def _check(
    app: App,
    named: Sequence[Path],
    others: Sequence[Path],
    var: tuple[tuple[str, str], ...],
    vars_file: tuple[Path, ...],
    config_rev: str | None,
) -> tuple[list[Path], list[Problem], int]:
    """The files, all problems (the configuration's and the policy's too), and how many files hold a usable plan."""
    import os

    from runner.app.policy import rules_of
    from runner.loading.config import template_env
    from runner.loading.plan import load_plan
    from runner.loading.together import across
    from runner.planning.belts import first_waves, idle_freezes

    config, police = rules_of(app, config_rev)
    options: LoadOptions = load_options(var, vars_file, template_env(config.config, os.environ))
    files = police.plans_among(named)
    loaded: list[Loaded] = [load_plan(path, options) for path in files]
    problems = [*config.problems, *police.loaded.problems]
    problems += [problem for one in loaded for problem in one.problems]
    beside = [load_plan(path, options) for path in police.plans_among(others)] if loaded else []
    problems += across(loaded, config, beside)
    problems += [problem for one in loaded for problem in police.judge(one)]
    now = datetime.now(UTC)
    for one in loaded:
        found = (*first_waves(one.plan), *idle_freezes(one.plan, now)) if one.plan else ()
        problems += [one.place(problem) for problem in found]
    return files, problems, sum(one.plan is not None for one in loaded)


def _rendered(output: str, problems: Sequence[Problem], files: Sequence[str]) -> str:
    from runner.report import problems as forms

    if output == "json":
        return forms.problems_json(problems, files)
    if output == "github":
        return forms.problems_github(problems)
    if output == "sarif":
        from runner import __version__
        from runner.loading.codes import CODES

        return forms.problems_sarif(problems, CODES, __version__)
    return forms.problems_text(problems, color=True)


def _summary(files: int, errors: int, warnings: int) -> str:
    parts = [_counted(errors, "error")] + ([_counted(warnings, "warning")] if warnings else [])
    return f"{_counted(files, 'plan')} checked: {', '.join(parts) if errors or warnings else 'no problems'}"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
