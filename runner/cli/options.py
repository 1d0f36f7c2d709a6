"""What several commands share: their options, the types of these, and the values that
they come to.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from runner.app.app import PlanChoice
from runner.errors import UsageProblem
from runner.model.quantity import parse_duration

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*")


def _pairs(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """`NAME=VALUE` texts as pairs; the value may hold further `=`."""
    pairs = []
    for written in values:
        name, equals, value = written.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise click.BadParameter("write --var NAME=VALUE", ctx, param)
        pairs.append((name, value))
    return tuple(pairs)


class Reason(click.ParamType[str]):
    """A sentence for the journal: never empty."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not text:
            self.fail("say why: it is kept in the journal and the report", param, ctx)
        return text


class Length(click.ParamType[timedelta]):
    """A duration such as `5h30m`."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            return value if isinstance(value, timedelta) else parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


reason_option = click.option(
    "--reason", required=True, type=Reason(), help="Why; kept in the journal and the report."
)
target_option = click.option(
    "--target", metavar="NAME", help="A target of the configuration; overrides the plan's."
)
config_rev_option = click.option(
    "--config-rev",
    metavar="REV",
    help="Configuration and policy of this Git revision, for a pull request its base; those of "
    "the working tree"
    " are not used.",
)
persistent_option = click.option(
    "--store-is-persistent",
    is_flag=True,
    envvar="REBOOT_RUNNER_STORE_IS_PERSISTENT",
    show_envvar=True,
    help="In CI: this machine's disk outlives the job, a local store is fine.",
)


def output_option(*forms: str, of: str = "Form on stdout.") -> Callable[[F], F]:
    """Add `--output`: parameter `output`, the first of the forms by default."""
    choice = click.Choice(forms)
    return click.option("-o", "--output", type=choice, default=forms[0], show_default=True, help=of)


_MANNER = (
    click.option(
        "--deadline",
        type=Length(),
        help="Suspend (exit 75) after this time: a little below the limit of a CI job.",
    ),
    click.option(
        "--no-wait",
        is_flag=True,
        help="Suspend (exit 75) instead of waiting for a pause or an approval.",
    ),
    click.option(
        "--max-wait",
        type=Length(),
        help="Suspend (exit 75) instead of waiting longer than this; --no-wait is 0s.",
    ),
    click.option(
        "--override-window",
        is_flag=True,
        help=(
            "Begin waves outside windows and in freezes, for as long as this process follows "
            "the run."
        ),
    ),
    click.option(
        "--reason", type=Reason(), help="Why --override-window, for the journal and the report."
    ),
    persistent_option,
)


def manner_options(function: F) -> F:
    """Add the options that say how a run is followed: parameters `manner` (Manner) and
    `store_is_persistent`.

    Raises UsageProblem for options that contradict or need each other.
    """

    def call(
        deadline: timedelta | None,
        no_wait: bool,
        max_wait: timedelta | None,
        override_window: bool,
        reason: str | None,
        **others: Any,
    ) -> Any:
        from runner.app.follow_run import Manner
        from runner.app.start_run import actor

        if override_window != (reason is not None):
            raise UsageProblem("--override-window and --reason TEXT go together: say why")
        if no_wait and max_wait is not None:
            raise UsageProblem("--no-wait and --max-wait say two things; give one of them")
        wait = timedelta(0) if no_wait else max_wait
        wait_s, deadline_s = (
            d.total_seconds() if d is not None else None for d in (wait, deadline)
        )
        override = {"by": actor(), "reason": reason} if reason else None
        return function(manner=Manner(wait_s, deadline_s or None, override=override), **others)

    return _with(function, call, _MANNER)


def template_options(function: F) -> F:
    """Add `--var` and `--vars-file`; with the argument `plans` of the command they are one
    PlanChoice, `chosen`.
    """
    return _choosing(function, _TEMPLATES)


def changed_options(function: F) -> F:
    """Add the same and `--changed [BASE..HEAD]`."""
    return _choosing(function, (*_TEMPLATES, changed_option))


_TEMPLATES = (
    click.option(
        "--var",
        "var",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_pairs,
        help="A variable for templates; wins over files and plan. Repeatable.",
    ),
    click.option(
        "--vars-file",
        "vars_file",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A YAML file with variables for templates; over the plan's vars. Repeatable.",
    ),
)
changed_option = click.option(
    "--changed",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[BASE..HEAD]",
    help="Only plans that changed between two commits (A...B: since B left A). Without a range, "
    "that of the"
    " GitHub event. Without PLANS, those in plans/ of the repository's root.",
)


def _choosing(function: F, options: tuple[Callable[[Any], Any], ...]) -> F:
    def call(
        plans: tuple[Path, ...] | Path,
        var: tuple[tuple[str, str], ...],
        vars_file: tuple[Path, ...],
        changed: str | None = None,
        **others: Any,
    ) -> Any:
        paths = (plans,) if isinstance(plans, Path) else plans
        return function(chosen=PlanChoice(paths, changed, var, vars_file), **others)

    return _with(function, call, options)


def _with(function: F, call: Callable[..., Any], options: tuple[Callable[[Any], Any], ...]) -> F:
    """Return `call` in the place of a function that it calls, with further options."""
    made = functools.wraps(function)(call)
    for option in reversed(options):
        made = option(made)
    return made  # type: ignore[return-value]
