"""`reboot-runner`: one entry point.

Everything is imported when it is used, in two steps, so that help and wrong options cost
little: this module knows the names of the commands and imports the module of the one that
is called (`get_command`); that module holds options and imports its use case of
`runner.app` when they are right.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from runner import __version__
from runner.errors import Exit, RunnerError

COMMANDS = {
    "init": "Write a starter repository: configuration, policy, a plan, workflows.",
    "doctor": "Check configuration, credentials, network, permissions, store.",
    "config": "Show the configuration that holds here, with the origin of each value.",
    "validate": "Check plans offline; all problems of all files.",
    "render": "Print a plan with templates resolved.",
    "diff": "Dry-run against the live cloud: waves, servers, exclusions.",
    "run": "Execute a plan and follow it to its end.",
    "resume": "Go on with a suspended or interrupted run.",
    "reconcile": "Advance every open run that is due, then exit.",
    "worker": "Advance due runs for as long as the process lives.",
    "status": "Show runs, or one run: waves, servers, what it waits for.",
    "approve": "Answer the question a run waits for.",
    "cancel": "Stop a run; what is in flight is followed to its end.",
    "resolve": "Say what became of a server that ended unknown.",
    "halt": "Stop every run of the store before its next batch.",
    "unhalt": "Lift the halt.",
    "retry": "Write a plan with what a run left undone.",
    "report": "Write the report of a run from its journal.",
    "github": "What the jobs of GitHub Actions call: plan, run, reconcile.",
    "simulator": "Serve a simulated cloud over HTTP.",
    "schema": "Print a JSON Schema: plan, config, schedule, diff, report and more.",
}
"""Name -> the line for `--help`. The module of that name in `runner.cli` has the click
command `command`.
"""

TOGETHER = dict.fromkeys(("approve", "cancel", "resolve", "halt", "unhalt"), "decisions")
"""Name -> the module that holds the command, under its own name, together with others."""

EXPECTED = (RunnerError, click.ClickException, click.Abort, KeyboardInterrupt, OSError)
"""What may end a command without being a defect of ours."""

EPILOG = """\b
Try it without an account, on the embedded simulated cloud:
  reboot-runner init reboots                   a repository with a plan
  cd reboots
  reboot-runner run plans/example.yaml         reboots simulated servers

\b
From a plan to a report:
  reboot-runner validate plans/web.yaml        offline
  reboot-runner diff plans/web.yaml            which servers go down together
  reboot-runner run plans/web.yaml             do it, wave by wave
  reboot-runner report web -o markdown         what happened to each server
"""


ELSEWHERE = {
    **dict.fromkeys(("plan", "preview", "dry-run", "dryrun", "what-if"), "diff"),
    **dict.fromkeys(
        ("apply", "execute", "exec", "start", "reboot", "restart", "deploy", "up"), "run"
    ),
    **dict.fromkeys(("check", "lint", "verify", "test"), "validate"),
    **dict.fromkeys(("list", "ls", "show", "ps", "get", "describe", "history", "watch"), "status"),
    **dict.fromkeys(("stop", "abort", "kill", "destroy", "delete", "down"), "cancel"),
    **dict.fromkeys(("pause", "suspend", "freeze"), "halt"),
    **dict.fromkeys(("continue", "proceed"), "resume"),
    **dict.fromkeys(("template", "expand"), "render"),
    **dict.fromkeys(("logs", "log", "output", "summary"), "report"),
    **dict.fromkeys(("rerun", "repeat"), "retry"),
    **dict.fromkeys(("new", "create", "setup"), "init"),
    **dict.fromkeys(("confirm", "accept"), "approve"),
    **dict.fromkeys(("help", "version"), ""),
}
"""What other tools call these commands -> ours; empty for an option of that name."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"runner.cli.{TOGETHER.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name if cmd_name in TOGETHER else "command")
        assert isinstance(command, click.Command)  # noqa: S101 - a wrong table is a bug
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except BrokenPipeError as error:  # `--help | head`: click itself would exit 1
            ctx.exit(_tell(error))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            word = args[0].lower()
            if (ours := ELSEWHERE.get(word)) is not None:
                meant = repr(ours or f"--{word}")
            else:
                meant = " or ".join(map(repr, get_close_matches(word, COMMANDS, n=2)))
            if not meant:
                raise
            ctx.fail(f"{error.message} Did you mean {meant}?")

    def invoke(self, ctx: click.Context) -> None:
        """Exit with the code that the command returns. Expected errors are told here, where
        `--log-format` is known.
        """
        try:
            code = super().invoke(ctx)
        except EXPECTED as error:
            code = _tell(error, ctx.obj)
        ctx.exit(code or Exit.DONE)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
@click.option(
    "--config", "config", metavar="FILE", help="Configuration; else found upwards to the Git root."
)
@click.option(
    "--store", "store", metavar="URL", help="Where journals live; overrides the configuration."
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour on stdout and stderr; NO_COLOR is honoured.",
)
@click.option("-v", "--verbose", count=True, help="Show each request to the cloud on stderr.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of the talk on stderr.",
)
@click.version_option(__version__, prog_name="reboot-runner")
@click.pass_context
def cli(
    ctx: click.Context,
    config: str | None,
    store: str | None,
    color: str,
    verbose: int,
    log_format: str,
) -> None:
    """Restart fleets of cloud servers safely: reviewed plans in Git, executed wave by wave,
    never twice.
    """
    from runner.cli.common import Terminal

    ctx.obj = Terminal.from_options(
        config=config, store=store, color=color, verbose=verbose, log_format=log_format
    )
    ctx.color = ctx.obj.click_color


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program and exit with a documented code: usage errors are 64, never click's 2.

    Garbage is looked for less often than Python does by default, and not at the end: a
    sixth of a short command's CPU.
    """
    gc.set_threshold(50_000)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a name that the terminal cannot show ends no run
    try:
        sys.exit(invoke(argv))
    finally:
        gc.freeze()


def invoke(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are printed on stderr."""
    try:
        result = cli.main(args=argv, prog_name="reboot-runner", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last handler
        return _tell(error)
    return result if isinstance(result, int) else Exit.DONE


def _tell(error: BaseException, app: Any = None) -> int:
    """Say what ended a command and return its exit code."""
    if isinstance(error, EXPECTED):
        from runner.cli.common import tell

        return tell(error, app)
    from runner.cli.crash import report_crash

    return report_crash(error)


if __name__ == "__main__":
    main()
