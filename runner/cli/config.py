"""`config show`: the configuration that holds here, and where each value of it comes from."""

from __future__ import annotations

import click

from runner.cli.options import config_rev_option, output_option


@click.group(
    epilog="""\b
Examples:
  reboot-runner config show            every value, with its file and line, variable or option
"""
)
def command() -> None:
    """What the configuration comes to. `reboot-runner doctor` says whether it works."""


@command.command(
    "show",
    short_help="Every value with its origin.",
    epilog="""\b
Examples:
  reboot-runner config show
  reboot-runner config show --config-rev origin/main
  reboot-runner config show -o json
""",
)
@config_rev_option
@output_option("yaml", "json")
@click.pass_context
def show(ctx: click.Context, config_rev: str | None, output: str) -> None:
    """Print the effective configuration: file, environment, options and defaults together.

    Each value has its origin beside it. Also shown, for each target: its endpoints, the
    hosts that are allowed, the proxy, and which credentials are taken, by the names of
    their variables. No secret is printed. Exits 3 for a configuration that is invalid.
    """
    from runner.app.show_config import show_config

    show_config(ctx.obj, config_rev, output, is_named=bool(ctx.find_root().params.get("config")))
