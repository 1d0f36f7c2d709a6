"""Options of the commands that read plans, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
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
