"""Options of the commands that read plans, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.loading.plan import LoadOptions

F = TypeVar("F", bound=Callable[..., Any])


class Variable(click.ParamType):
    """`NAME=VALUE`; the value may hold further `=`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name.replace("_", "a").replace("-", "a").isalnum():
            self.fail("write --var NAME=VALUE", param, ctx)
        return name, text


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
        "--var", "var", multiple=True, type=Variable(), help="A variable for templates; wins. Repeatable."
    )(function)


def load_options(var: tuple[tuple[str, str], ...], vars_file: tuple[Path, ...], env: Mapping[str, str]) -> LoadOptions:
    """The options of a loader. `env` holds only what templates may read."""
    from runner.loading.plan import LoadOptions

    return LoadOptions(vars=dict(var), vars_files=vars_file, env=env)
