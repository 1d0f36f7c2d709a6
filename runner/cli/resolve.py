"""`resolve`: record what a person found out about servers that ended failed or unknown."""

from __future__ import annotations

import click

from runner.cli.options import Reason
from runner.errors import UsageProblem


@click.command(
    "resolve",
    short_help="Say what became of servers that ended failed or unknown.",
    epilog="""\b
Examples:
  reboot-runner report web                       what was seen of the unknown servers
  reboot-runner resolve web --server ID --as rebooted --reason "uptime is 5 minutes"
  reboot-runner resolve web --server ID --server ID --as not-rebooted --reason "uptime is 90 days"
  reboot-runner resolve web --batch 3 --as not-rebooted --reason "the API was down"
  reboot-runner resolve web --server ID --as reboot-again --reason "hangs since its reboot"
""",
)
@click.argument("run")
@click.option("--server", "servers", multiple=True, metavar="ID", help="A server's id; may be given several times.")
@click.option("--batch", type=click.IntRange(min=1), help="Instead of --server: the unknown servers of this batch.")
@click.option(
    "--as",
    "says",
    required=True,
    type=click.Choice(["rebooted", "not-rebooted", "reboot-again"]),
    help="What happened, or that a server that rebooted goes down once more.",
)
@click.option("--reason", required=True, type=Reason(), help="How you know; kept in the journal and the report.")
@click.option(
    "--accept-late-request",
    is_flag=True,
    help="With --batch: decide although the request may still reach the cloud.",
)
@click.pass_context
def command(
    ctx: click.Context,
    run: str,
    servers: tuple[str, ...],
    batch: int | None,
    says: str,
    reason: str,
    accept_late_request: bool,
) -> None:
    """Decide about `failed` and `unknown` servers of RUN.

    Each server is read first, and what was seen is recorded with the decision. `not-rebooted` and `reboot-again` make
    a server eligible again in its cycle: `retry` lists it. `not-rebooted` is refused for a server that shows a reboot.

    Servers that show something else are left as they are and listed, and the exit code is then 4: with --batch any sign
    of the request, with --server a reboot. With --server all or nothing is recorded.
    """
    import asyncio

    from runner.app.resolve import ResolveRequest, resolve

    if bool(servers) == (batch is not None):
        raise UsageProblem("give either the servers with --server ID, or a batch with --batch N")
    chosen = tuple(dict.fromkeys(servers))
    ctx.exit(asyncio.run(resolve(ctx.obj, ResolveRequest(run, chosen, batch, says, reason, accept_late_request))))
