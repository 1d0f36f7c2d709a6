"""`init`: a repository to keep reboot plans in, ready for a first pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import click

from runner.app.app import App
from runner.cli.options import output_option
from runner.model.clouds import CLOUDS

T = TypeVar("T")


class Checked(click.ParamType[T]):
    """A text that a function of `runner.starter.request` understands, by its name."""

    def __init__(self, name: str, function: str) -> None:
        self.name = name
        self.function = function

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        from runner.starter import request

        try:
            return getattr(request, self.function)(str(value))  # type: ignore[no-any-return]
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog="""\b
Examples:
  reboot-runner init                                  in the root of a repository, or in an empty folder
  reboot-runner init fleet --target prod-eu --region eu-west-101 --owners @example/sre
  reboot-runner init --no-github                      for another CI system
  reboot-runner init --hardened --workflows example/reboot-runner@0123456789abcdef0123456789abcdef01234567
""",  # noqa: E501
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=Checked[str]("NAME", "name"),
    default="prod",
    show_default=True,
    help="Name of the target.",
)
@click.option(
    "--cloud",
    type=click.Choice(list(CLOUDS)),
    default=next(iter(CLOUDS)),
    show_default=True,
    help="Of the target.",
)
@click.option(
    "--region", type=Checked[str]("NAME", "name"), help="Of the target, for example eu-west-101."
)
@click.option(
    "--hardened",
    is_flag=True,
    help="Workflows with every action pinned by its commit, a job per permission.",
)
@click.option(
    "--workflows",
    "source",
    type=Checked[Any]("OWNER/NAME[@REF]", "source"),
    help=(
        "Where the action comes from: reboot-runner's repository, or your copy of it, at a tag "
        "or a full commit."
    ),
)
@click.option(
    "--owners",
    type=Checked[Any]("NAMES", "owners"),
    help="Who must review, for CODEOWNERS: @user, @organisation/team.",
)
@click.option("--no-github", is_flag=True, help="Without the files in .github/.")
@click.option("--force", is_flag=True, help="Overwrite files that are there with another content.")
@output_option("text", "json")
@click.pass_obj
def command(
    app: App,
    folder: Path | None,
    target: str,
    cloud: str,
    region: str | None,
    hardened: bool,
    source: Any,
    owners: Any,
    no_github: bool,
    force: bool,
    output: str,
) -> None:
    """Write a repository for reboot plans into FOLDER (default: this one).

    Files that are there are kept unless --force is given. Every file works as it is
    written. At the end `init` lists the values that it had to assume. Nothing is sent
    anywhere.
    """
    from runner.app.write_starter import write_starter
    from runner.starter.request import ActionSource, StarterRequest

    if target == "simulator" and cloud != "simulator":
        raise click.BadParameter(
            "simulator is the embedded cloud, name a real target differently", param_hint="--target"
        )
    request = StarterRequest(
        target,
        cloud,
        region,
        source or ActionSource(),
        owners or (),
        github=not no_github,
        hardened=hardened,
    )
    write_starter(app, folder, request, output, force=force)
