"""`approve`, `cancel`, `resolve`, `halt` and `unhalt`: a person's decisions about runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.app.app import App
from runner.cli.options import Reason, reason_option

if TYPE_CHECKING:
    from runner.model.events import ResolvedAs


@click.command(
    epilog="""\b
Examples:
  reboot-runner status web                                 what does it ask?
  reboot-runner approve web --reason "canary is healthy"
"""
)
@click.argument("run")
@reason_option
@click.pass_obj
def approve(app: App, run: str, reason: str) -> None:
    """Let RUN go on with its next wave. Refused when it asks nothing."""
    from runner.app import decide

    decide.approve(app, run, reason)


@click.command(
    epilog="""\b
Example:
  reboot-runner cancel web --reason "incident 4711"
"""
)
@click.argument("run")
@reason_option
@click.pass_obj
def cancel(app: App, run: str, reason: str) -> None:
    """Stop RUN: no further batch is sent, also by a process elsewhere (within one poll interval).

    What the cloud has accepted cannot be called back: it is followed to its end by the
    process that has the run, or by `resume` or `reconcile`.
    """
    from runner.app import decide

    decide.cancel(app, run, reason)


@click.command(
    epilog="""\b
Examples:
  reboot-runner report web                       what was seen of the unknown servers
  reboot-runner resolve web --server ID --as rebooted --reason "uptime is 5 minutes"
  reboot-runner resolve web --server ID --server ID --as not-rebooted --reason "uptime is 90 days"
  reboot-runner resolve web --batch 3 --as not-rebooted --reason "the API was down"
  reboot-runner resolve web --server ID --as reboot-again --reason "hangs since its reboot"
"""
)
@click.argument("run")
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="ID",
    help="A server's id; may be given several times.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Instead of --server: the unknown servers of this batch.",
)
@click.option(
    "--as",
    "says",
    required=True,
    type=click.Choice(["rebooted", "not-rebooted", "reboot-again"]),
    help="What happened, or that a server that rebooted goes down once more.",
)
@click.option(
    "--reason",
    required=True,
    type=Reason(),
    help="How you know; kept in the journal and the report.",
)
@click.option(
    "--accept-late-request",
    is_flag=True,
    help="With --batch: decide although the request may still reach the cloud.",
)
@click.pass_obj
def resolve(
    app: App,
    run: str,
    servers: tuple[str, ...],
    batch: int | None,
    says: ResolvedAs,
    reason: str,
    accept_late_request: bool,
) -> int:
    """Decide about `failed` and `unknown` servers of RUN.

    Each server is read first, and what was seen is recorded with the decision.
    `not-rebooted` and `reboot-again` make a server eligible again in its cycle: `retry`
    lists it. `not-rebooted` is refused for a server that shows a reboot.

    Servers that show something else are left as they are and listed, and the exit code is
    then 4: with --batch any sign of the request, with --server a reboot. With --server all
    or nothing is recorded.
    """
    from runner.app import resolve as use_case

    chosen = tuple(dict.fromkeys(servers))
    request = use_case.ResolveRequest(run, chosen, batch, says, reason, accept_late_request)
    return use_case.resolve(app, request)


@click.command(
    epilog="""\b
Example:
  reboot-runner halt --reason "incident 4711: nothing restarts until it is over"
"""
)
@click.option(
    "--reason", required=True, type=Reason(), help="Why; shown by every runner that it stops."
)
@click.pass_obj
def halt(app: App, reason: str) -> None:
    """Set the halt flag: no run of any target of this store starts a batch while it is set.

    The flag is read in the transaction of every intent, so it holds for every runner at
    once. What is in flight is followed to its end. `unhalt` lifts it; suspended runs go on
    with `resume` or `reconcile`.
    """
    from runner.app import decide

    decide.halt(app, reason)


@click.command(
    epilog="""\b
Example:
  reboot-runner unhalt && reboot-runner reconcile
"""
)
@click.pass_obj
def unhalt(app: App) -> None:
    """Lift the halt flag of the store. Runs go on with `resume` or at the next `reconcile`."""
    from runner.app import decide

    decide.unhalt(app)
