"""`approve`: answer the one question a run waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.cli.options import Reason
from runner.errors import Held

if TYPE_CHECKING:
    from runner.app.decide import Decision
    from runner.model.run import Run


@click.command(
    "approve",
    short_help="Answer the question a run waits for.",
    epilog="""\b
Examples:
  reboot-runner status web                                 what does it ask?
  reboot-runner approve web --reason "canary is healthy"
""",
)
@click.argument("run")
@click.option("--reason", required=True, type=Reason(), help="Why; kept in the journal and the report.")
@click.pass_context
def command(ctx: click.Context, run: str, reason: str) -> None:
    """Let RUN go on with its next wave. Refused when it asks nothing."""
    from runner.app.decide import decide

    decide(ctx.obj, run, lambda state, by: _judge(state, by, reason))


def _judge(run: Run, by: str, reason: str) -> Decision:
    from runner.app.decide import Decision

    if not run.is_open or run.question is None or run.stop is not None:
        raise Held(f"run {run.id} asks nothing now ({run.word})", hint="`reboot-runner status` shows what it waits for")
    question = run.question
    data = {
        "question": question.id,
        "wave": question.wave,
        "schedule": run.schedule.digest,
        "by": by,
        "reason": reason,
    }
    return Decision(
        (("approval.given", data),),
        f"approved: {question.why}; the run goes on (wave {question.wave} is next)",
        word="suspended" if run.suspended else None,
    )
