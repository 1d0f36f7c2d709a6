"""`unhalt`: lift the halt flag."""

from __future__ import annotations

import click


@click.command(
    "unhalt",
    short_help="Lift the halt.",
    epilog="""\b
Example:
  reboot-runner unhalt && reboot-runner reconcile
""",
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Lift the halt flag of the store. Runs go on with `resume` or at the next `reconcile`."""
    from runner.app.targets import open_store_of
    from runner.report.safe import plain

    with open_store_of(ctx.obj) as store:
        halt = store.halted()
        store.set_halt(None)
    said = f"lifted the halt of {plain(halt.by)}: {plain(halt.reason)}" if halt else "nothing was halted"
    ctx.obj.talk(said)
