"""`reboot-runner`: one entry point; commands are imported when they are used, so that `--help` is quick."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

from runner import __version__
from runner.app.app import App
from runner.cli.common import Terminal, silence_stdout
from runner.errors import EXIT_WORDS, Exit, RunnerError

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("runner.cli.init", "Write a starter repository: configuration, policy, a plan, workflows."),
    "doctor": ("runner.cli.doctor", "Check configuration, credentials, network, permissions, store."),
    "config": ("runner.cli.config", "Show the configuration that holds here, with the origin of each value."),
    "validate": ("runner.cli.validate", "Check plans offline; all problems of all files."),
    "render": ("runner.cli.render", "Print a plan with templates resolved."),
    "diff": ("runner.cli.diff", "Dry-run against the live cloud: waves, servers, exclusions."),
    "run": ("runner.cli.run", "Execute a plan and follow it to its end."),
    "resume": ("runner.cli.resume", "Go on with a suspended or interrupted run."),
    "reconcile": ("runner.cli.reconcile", "Advance every open run that is due, then exit."),
    "worker": ("runner.cli.worker", "Advance due runs for as long as the process lives."),
    "status": ("runner.cli.status", "Show runs, or one run: waves, servers, what it waits for."),
    "approve": ("runner.cli.approve", "Answer the question a run waits for."),
    "cancel": ("runner.cli.cancel", "Stop a run; what is in flight is followed to its end."),
    "resolve": ("runner.cli.resolve", "Say what became of a server that ended unknown."),
    "halt": ("runner.cli.halt", "Stop every run of the store before its next batch."),
    "unhalt": ("runner.cli.unhalt", "Lift the halt."),
    "retry": ("runner.cli.retry", "Write a plan with what a run left undone."),
    "report": ("runner.cli.report", "Write the report of a run from its journal."),
    "github": ("runner.cli.github", "What the jobs of GitHub Actions call: plan, run, reconcile."),
    "simulator": ("runner.cli.simulator", "Serve a simulated cloud over HTTP."),
    "schema": ("runner.cli.schema", "Print a JSON Schema: plan, config, schedule, diff, report and more."),
}
"""Name -> module with a click command named `command`, and the line for `--help`."""

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
    **dict.fromkeys(("apply", "execute", "exec", "start", "reboot", "restart", "deploy", "up"), "run"),
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


def _meant(word: str) -> str | None:
    """Return the command, or the commands, that an unknown word can mean."""
    import difflib

    ours = ELSEWHERE.get(word.lower())
    if ours is not None:
        return repr(ours or f"--{word.lower()}")
    close = difflib.get_close_matches(word.lower(), COMMANDS, n=2)
    return " or ".join(map(repr, close)) or None


class LazyGroup(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101 - a wrong table is a bug
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except BrokenPipeError as error:  # `--help | head`: click itself would exit 1
            ctx.exit(tell(Terminal(), error))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            meant = _meant(args[0])
            if meant is None:
                raise
            ctx.fail(f"{error.message} Did you mean {meant}?")

    def invoke(self, ctx: click.Context) -> object:
        """Errors that are expected are told in here, where the options (`--log-format`, `--color`) are known."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            ctx.exit(tell(ctx.obj if isinstance(ctx.obj, App) else Terminal(), error))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
@click.option("--config", "config", metavar="FILE", help="Configuration; else found upwards to the Git root.")
@click.option("--store", "store", metavar="URL", help="Where journals live; overrides the configuration.")
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
def cli(ctx: click.Context, config: str | None, store: str | None, color: str, verbose: int, log_format: str) -> None:
    """Restart fleets of cloud servers safely: reviewed plans in Git, executed wave by wave, never twice."""
    ctx.obj = Terminal.from_options(config=config, store=store, color=color, verbose=verbose, log_format=log_format)
    ctx.color = ctx.obj.click_color


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program and exit with a documented code: usage errors are 64, never click's 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no run
    sys.exit(invoke(argv))


def invoke(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are printed on stderr."""
    try:
        result = cli.main(args=argv, prog_name="reboot-runner", standalone_mode=False)
    except EXPECTED as error:
        return tell(Terminal(), error)
    except Exception as error:  # noqa: BLE001 - the last handler
        from runner.cli.crash import report_crash

        return report_crash(error)
    return result if isinstance(result, int) else Exit.DONE


def tell(app: App, error: BaseException) -> int:
    """Say on stderr what ended a command, one of EXPECTED, and return its exit code."""
    if isinstance(error, RunnerError):
        app.show_error(error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        silence_stdout()
        return Exit.DONE
    if isinstance(error, OSError):  # a full disk, a file that may not be written
        silence_stdout()
        app.show_error(RunnerError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"))
        return Exit.ERROR
    if isinstance(error, click.ClickException):
        code = Exit.USAGE if isinstance(error, click.UsageError) else Exit.ERROR
        if app.log_format == "json":
            app.talk(error.format_message(), result=EXIT_WORDS[code])
        else:
            error.show(sys.stderr)
        return code
    app.talk("interrupted", result=EXIT_WORDS[Exit.INTERRUPTED])
    return Exit.INTERRUPTED


if __name__ == "__main__":
    main()
