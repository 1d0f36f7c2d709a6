"""`cancel`: stop a run, from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.cli.options import Reason
from runner.errors import Held

if TYPE_CHECKING:
    from runner.app.decide import Decision
    from runner.model.run import Run


@click.command(
    "cancel",
    short_help="Stop a run; what is in flight is followed to its end.",
    epilog="""\b
Example:
  reboot-runner cancel web --reason "incident 4711"
""",
)
@click.argument("run")
@click.option("--reason", required=True, type=Reason(), help="Why; kept in the journal and the report.")
@click.pass_context
def command(ctx: click.Context, run: str, reason: str) -> None:
    """Stop RUN: no further batch is sent, also by a process elsewhere (within one poll interval).

    What the cloud has accepted cannot be called back: it is followed to its end by the process that has the run, or by
    `resume` or `reconcile`.
    """
    from runner.app.decide import decide

    decide(ctx.obj, run, lambda state, by: _judge(state, by, reason))


def _judge(run: Run, by: str, reason: str) -> Decision:
    from runner.app.decide import Decision

    if not run.is_open:
        raise Held(f"run {run.id} is closed already ({run.word})")
    if run.stop is not None:
        raise Held(f"run {run.id} stops already: {run.stop.reason}")
    said = (
        f"run {run.id} starts nothing more; `reboot-runner resume {run.id}` follows what is in flight, if nobody does"
    )
    return Decision((("cancel.requested", {"by": by, "reason": reason}),), said, word="stopping")
