"""`validate`: all problems of all plans, without the network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from runner import __version__
from runner.app.app import App, PlanChoice
from runner.app.plan_files import PlanFiles, find_chosen, options_of
from runner.app.policy import rules_of
from runner.errors import Exit
from runner.loading.codes import CODES
from runner.loading.plan import load_plan
from runner.loading.together import across
from runner.model.problem import Problem
from runner.model.quantity import counted
from runner.planning.plan_warnings import first_waves, idle_freezes
from runner.report.problems import problems_github, problems_json, problems_sarif, problems_text


def validate(app: App, chosen: PlanChoice, config_rev: str | None, output: str) -> int:
    """Write every problem in the form `output` and say how many there are; return 3 where
    one is an error, else 0.
    """
    found = find_chosen(app, chosen)
    files, problems, valid = _check(app, chosen, found, config_rev)
    if output == "json":
        app.echo(problems_json(problems, [path.as_posix() for path in files]))
    elif output == "sarif":
        app.echo(problems_sarif(problems, CODES, __version__))
    elif problems and output == "github":
        app.echo(problems_github(problems))
    elif problems:
        app.show(problems_text(problems, color=True))
    errors = sum(p.severity == "error" for p in problems)
    warnings = len(problems) - errors
    said = ", ".join(
        [counted(errors, "error"), *([counted(warnings, "warning")] if warnings else [])]
    )
    summary = f"{counted(len(files), 'plan')} checked: {said if problems else 'no problems'}"
    app.talk(summary, files=len(files), errors=errors, valid=valid)
    return Exit.INVALID if errors else Exit.DONE


def _check(
    app: App, chosen: PlanChoice, found: PlanFiles, config_rev: str | None
) -> tuple[list[Path], list[Problem], int]:
    """Return the files, all problems (the configuration's and the policy's too), and how
    many hold a usable plan.
    """
    config, police = rules_of(app, config_rev)
    options = options_of(chosen, config)
    files = police.plans_among(found.files)
    loaded = [load_plan(path, options) for path in files]
    problems = [*found.problems, *config.problems, *police.loaded.problems]
    problems += [problem for one in loaded for problem in one.problems]
    beside = (
        [load_plan(path, options) for path in police.plans_among(found.unchanged)] if loaded else []
    )
    problems += across(loaded, config, beside)
    problems += [problem for one in loaded for problem in police.judge(one)]
    now = datetime.now(UTC)
    for one in loaded:
        noted = (*first_waves(one.plan), *idle_freezes(one.plan, now)) if one.plan else ()
        problems += [one.place(problem) for problem in noted]
    # A file of variables is read for every plan: its problems count once.
    return files, list(dict.fromkeys(problems)), sum(one.plan is not None for one in loaded)
