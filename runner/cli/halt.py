"""`halt`: a flag in the store that stops every run before its next batch."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from runner.cli.options import Reason


@click.command(
    "halt",
    short_help="Stop every run of the store before its next batch.",
    epilog="""\b
Example:
  reboot-runner halt --reason "incident 4711: nothing restarts until it is over"
""",
)
@click.option("--reason", required=True, type=Reason(), help="Why; shown by every runner that it stops.")
@click.pass_context
def command(ctx: click.Context, reason: str) -> None:
    """Set the halt flag: no run of any target of this store starts a batch while it is set.

    The flag is read in the transaction of every intent, so it holds for every runner at once. What is in flight is
    followed to its end. `unhalt` lifts it; suspended runs go on with `resume` or `reconcile`.
    """
    from runner.app.start_run import actor
    from runner.app.targets import open_store_of
    from runner.ports.store import Halt

    with open_store_of(ctx.obj) as store:
        store.set_halt(Halt(reason, actor(), datetime.now(UTC)))
        runs = len(store.runs(open_only=True, limit=10_000))
    said = "1 open run starts" if runs == 1 else f"{runs} open runs start"
    ctx.obj.talk(f"halted: {said} no further batch")
