"""Options of the commands that read plans, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runner.errors import UsageProblem

if TYPE_CHECKING:
    from runner.app.execute_run import Manner
    from runner.loading.plan import LoadOptions

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*")


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
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

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from runner.model.quantity import parse_duration

        try:
            return value if isinstance(value, timedelta) else parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


deadline_option = click.option(
    "--deadline", type=Length(), help="Suspend (exit 75) after this time: a little below the limit of a CI job."
)
no_wait_option = click.option(
    "--no-wait", is_flag=True, help="Suspend (exit 75) instead of waiting for a pause or an approval."
)
max_wait_option = click.option(
    "--max-wait", type=Length(), help="Suspend (exit 75) instead of waiting longer than this; --no-wait is 0s."
)
persistent_option = click.option(
    "--store-is-persistent",
    is_flag=True,
    envvar="REBOOT_RUNNER_STORE_IS_PERSISTENT",
    show_envvar=True,
    help="In CI: this machine's disk outlives the job, a local store is fine.",
)


def override_options(function: F) -> F:
    """Adds `--override-window` and `--reason`: parameters `override_window` and `reason`."""
    function = click.option("--reason", type=Reason(), help="Why --override-window, for the journal and the report.")(
        function
    )
    return click.option(
        "--override-window",
        is_flag=True,
        help="Begin waves outside windows and in freezes, for as long as this process follows the run.",
    )(function)


def manner_of(
    deadline: timedelta | None,
    no_wait: bool,
    max_wait: timedelta | None,
    override_window: bool = False,
    reason: str | None = None,
) -> Manner:
    """How a run is followed. Raises UsageProblem for options that contradict or need each other."""
    from runner.app.execute_run import Manner
    from runner.app.start_run import actor

    if override_window != (reason is not None):
        raise UsageProblem("--override-window and --reason TEXT go together: say why")

    if no_wait and max_wait is not None:
        raise UsageProblem("--no-wait and --max-wait say two things; give one of them")
    wait = timedelta(0) if no_wait else max_wait
    wait_s, deadline_s = (d.total_seconds() if d is not None else None for d in (wait, deadline))
    return Manner(wait_s, deadline_s or None, override={"by": actor(), "reason": reason} if reason else None)


def template_options(function: F) -> F:
    """Adds `--var` and `--vars-file`: parameters `var` (pairs) and `vars_file` (paths)."""
    function = click.option(
        "--vars-file",
        "vars_file",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A YAML file with variables for templates; over the plan's vars. Repeatable.",
    )(function)
    return click.option(
        "--var",
        "var",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_pairs,
        help="A variable for templates; wins over files and plan. Repeatable.",
    )(function)


def load_options(var: tuple[tuple[str, str], ...], vars_file: tuple[Path, ...], env: Mapping[str, str]) -> LoadOptions:
    """The options of a loader. `env` holds only what templates may read."""
    from runner.loading.plan import LoadOptions

    return LoadOptions(vars=dict(var), vars_files=vars_file, env=env)


def config_rev_option(function: F) -> F:
    """Adds `--config-rev`: parameter `config_rev`, None for the working tree."""
    return click.option(
        "--config-rev",
        metavar="REV",
        help="Configuration and policy of this Git revision, for a pull request its base; those of the working tree"
        " are not used.",
    )(function)


def changed_option(function: F) -> F:
    """Adds `--changed [BASE..HEAD]`: parameter `changed`, None without it, empty for the range of GitHub's event."""
    return click.option(
        "--changed",
        is_flag=False,
        flag_value="",
        default=None,
        metavar="[BASE..HEAD]",
        help="Only plans that changed between two commits (A...B: since B left A). Without a range, that of the"
        " GitHub event. Without PLANS, those in plans/ of the repository's root.",
    )(function)
