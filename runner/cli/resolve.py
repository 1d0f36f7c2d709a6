"""`resolve`: a person says what became of a server that ended unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.cli.options import Reason
from runner.errors import Held

if TYPE_CHECKING:
    from runner.cli.deciding import Decision
    from runner.model.run import Run


@click.command(
    "resolve",
    short_help="Say what became of a server that ended unknown.",
    epilog="""\b
Examples:
  reboot-runner report web                       what was seen of the unknown servers
  reboot-runner resolve web --server ID --as rebooted --reason "uptime is 5 minutes"
  reboot-runner resolve web --server ID --server ID --as not-rebooted --reason "uptime is 90 days"
""",
)
@click.argument("run")
@click.option("--server", "servers", required=True, multiple=True, help="The server's id; may be given several times.")
@click.option("--as", "as_", required=True, type=click.Choice(["rebooted", "not-rebooted"]), help="What happened.")
@click.option("--reason", required=True, type=Reason(), help="How you know; kept in the journal and the report.")
@click.pass_context
def command(ctx: click.Context, run: str, servers: tuple[str, ...], as_: str, reason: str) -> None:
    """Decide `unknown` servers of RUN, all or none. `not-rebooted` gives them back: the cycle is not spent for them."""
    from runner.cli.deciding import decide

    decide(ctx.obj, run, lambda state, by: _judge(state, by, tuple(dict.fromkeys(servers)), as_, reason))


def _judge(run: Run, by: str, servers: tuple[str, ...], as_: str, reason: str) -> Decision:
    from runner.cli.deciding import Decision
    from runner.model.run import Outcome

    for server in servers:
        state = run.servers.get(server)
        if state is None:
            raise Held(f"run {run.id} has no server {server}")
        if state.outcome is not Outcome.UNKNOWN:
            raise Held(f"server {server} is not unknown: {state.outcome.value if state.outcome else 'still under way'}")
    said = f"server {servers[0]} is" if len(servers) == 1 else f"{len(servers)} servers are"
    return Decision(
        tuple(("server.resolved", {"server": i, "as": as_, "by": by, "reason": reason}) for i in servers),
        f"{said} recorded as {as_}",
        release=servers if as_ == "rebooted" else (),
        forget=servers if as_ == "not-rebooted" else (),
        open_only=False,
    )
