"""`diff`: what plans would do to the cloud as it is now, and what is new in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runner.app.app import App, PlanChoice
from runner.app.diff_plans import DiffWish, Out, diff_all, with_problems
from runner.app.plan_files import find_chosen, options_of
from runner.app.policy import rules_of
from runner.app.rules import loosened_rules
from runner.errors import InvalidInput, RunnerError, UsageProblem
from runner.loading.plan import load_plan
from runner.loading.together import same_names
from runner.report.ansi import BOLD, RED, paint
from runner.report.diff import PlanDiff, Selected, diff_json, exit_code
from runner.report.diff_markdown import diff_markdown
from runner.report.diff_sections import LIFTED, diff_text


def show_diff(
    app: App,
    chosen: PlanChoice,
    target: str | None,
    base: str | None,
    config_rev: str | None,
    out: str | None,
    form: str,
) -> int:
    """Write the dry-run of each plan in the form `form`, and save to `out` the schedules
    that may run.

    Return the exit code of all plans. Raises UsageProblem, and InvalidInput for what is
    no plan's fault.
    """
    if base is not None and not base.strip():
        raise UsageProblem("--base is empty: name a revision, for example --base main")
    config, police = rules_of(app, config_rev)
    if not config.is_valid:
        raise InvalidInput(config.problems)
    police.demand_usable()
    options = options_of(chosen, config)
    found = find_chosen(app, chosen)
    if any(p.severity == "error" for p in found.problems):
        raise InvalidInput(found.problems)
    if found.problems:
        app.show_problems(found.problems)
    loaded = [load_plan(path, options) for path in police.plans_among(found.files)]
    others = (
        [load_plan(path, options) for path in police.plans_among(found.unchanged)] if loaded else []
    )
    place = Out.of(out, loaded) if out else None
    rules = loosened_rules(app, base, rules_of(app, None)[1]) if base else ()
    repeat = [f"--target={target}"] if target else []
    repeat += [f"--var={name}={value}" for name, value in chosen.variables]
    repeat += [f"--vars-file={path}" for path in chosen.vars_files]
    wish = DiffWish(target, place, tuple(repeat), base, options, rules)
    diffs = asyncio.run(diff_all(app, config, loaded, wish, police))
    diffs = with_problems(diffs, same_names(loaded, others))
    if place is not None:
        for one in diffs:
            place.save(one)
    selected = None
    if (selection := found.selection) is not None:
        deleted, unchanged = tuple(selection.deleted), len(selection.unchanged)
        selected = Selected(selection.base, selection.head, deleted, selection.renamed, unchanged)
    with app.closed_pipe_is_fine():
        if form == "json":
            app.echo(diff_json(diffs, selected))
        elif form == "markdown":
            app.echo(diff_markdown(diffs, selected=selected), newline=False)
        else:
            _show_text(app, diffs)
    return exit_code(diff.code for diff in diffs)


def _show_text(app: App, diffs: Sequence[PlanDiff]) -> None:
    """The dry-run on stdout; what went wrong is on stderr, with the line of the plan."""
    for n, diff in enumerate(diffs):
        first, *rest = diff_text(diff).removesuffix("\n").split("\n")
        app.show(("\n" if n else "") + paint(first, BOLD))
        for line in rest:
            app.show(paint(line, RED + BOLD) if line.startswith(LIFTED) else line)
        if diff.errors:
            app.show_problems(diff.errors)
        if diff.failure is not None:
            app.show_error(RunnerError(f"{diff.file}: {diff.failure}", hint=diff.failure_hint))
