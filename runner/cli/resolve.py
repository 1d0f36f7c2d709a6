"""`resolve`: record what a person found out about servers that ended failed or unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.cli.options import Reason
from runner.errors import Exit, Held, UsageProblem

if TYPE_CHECKING:
    from runner.app.app import App
    from runner.app.decide import Decision
    from runner.execution.evidence import Finding
    from runner.model.run import Run


@dataclass(frozen=True, slots=True)
class ResolveRequest:
    """What a person says of a run's servers; `batch` names the unknown servers of one request."""

    run: str
    servers: tuple[str, ...]
    batch: int | None
    says: str
    reason: str
    accepts_late_request: bool


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

    if bool(servers) == (batch is not None):
        raise UsageProblem("give either the servers with --server ID, or a batch with --batch N")
    chosen = tuple(dict.fromkeys(servers))
    ctx.exit(asyncio.run(_resolve(ctx.obj, ResolveRequest(run, chosen, batch, says, reason, accept_late_request))))


async def _resolve(app: App, request: ResolveRequest) -> int:
    from runner.app.decide import decide
    from runner.app.targets import open_store_of
    from runner.execution.journal import read_run
    from runner.report.safe import plain

    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        run = read_run(store, store.find(request.run).id)
    chosen = _chosen(run, request)
    _demand_no_late_request(run, request)
    findings = await _findings(app, run, chosen, must_be_read=request.batch is not None)
    refused = {i: why for i in chosen if (why := _contradiction(run, i, findings.get(i), request))}
    for server_id, why in refused.items():
        app.talk(plain(f"{server_id} {run.servers[server_id].ref.name}: left as it is: {why}", 1000), run=run.id)
    accepted = [i for i in chosen if i not in refused]
    if not accepted or (refused and request.batch is None):
        app.talk(f"nothing was recorded: what was seen of the servers contradicts it; {_INSTEAD[request.says]}")
        return Exit.INCOMPLETE
    decide(app, run.id, lambda state, by: _decision(state, by, accepted, findings, request))
    return Exit.INCOMPLETE if refused else Exit.DONE


_INSTEAD = {
    "not-rebooted": "to reboot a server that has rebooted, say `--as reboot-again`",
    "rebooted": "to decide about single servers, name them with --server ID",
    "reboot-again": "wait until the server has rebooted",
}
"""What to do if a decision is refused for what was seen."""


def _chosen(run: Run, request: ResolveRequest) -> tuple[str, ...]:
    """Return the servers that the decision is about. Raises Held for one that cannot be decided about."""
    from runner.model.run import Outcome

    if request.batch is not None:
        batch = run.batches.get(request.batch)
        if batch is None:
            raise UsageProblem(f"run {run.id} has no batch {request.batch}")
        members = (run.servers[i] for i in batch.servers)
        found = tuple(s.ref.id for s in members if s.batch == batch.number and s.outcome is Outcome.UNKNOWN)
        if not found:
            raise UsageProblem(f"no server of batch {request.batch} is unknown")
        return found
    for server_id in request.servers:
        _demand_resolvable(run, server_id)
    return request.servers


def _demand_resolvable(run: Run, server_id: str) -> None:
    from runner.model.run import Outcome

    state = run.servers.get(server_id)
    if state is None:
        raise UsageProblem(f"run {run.id} has no server {server_id}", hint="give the id; `report` shows it")
    if state.outcome not in (Outcome.UNKNOWN, Outcome.FAILED):
        is_now = state.outcome.value if state.outcome else "still under way"
        raise UsageProblem(f"server {server_id} is not unknown or failed: {is_now}")


def _demand_no_late_request(run: Run, request: ResolveRequest) -> None:
    """Raise Held while the batch's request may still reach the cloud."""
    from runner.execution.evidence import may_arrive_late
    from runner.model.owner import Owner
    from runner.store.owner import is_provably_dead, this_process

    if request.batch is None or request.accepts_late_request:
        return
    batch = run.batches[request.batch]
    if may_arrive_late(batch, this_process(), is_provably_dead, datetime.now(UTC)):
        sender = Owner.from_json(batch.sender)
        raise Held(
            f"the request of batch {batch.number} may still reach the cloud: {sender} may hold it",
            hint="end that process, or wait 20 minutes where requests are signed with an access key;"
            " --accept-late-request decides nevertheless",
        )


async def _findings(app: App, run: Run, ids: Sequence[str], *, must_be_read: bool) -> Mapping[str, Finding]:
    """Read the servers and their histories. What cannot be read is left out, or raises CloudError."""
    from runner.app.open_target import open_target
    from runner.app.targets import choose_target
    from runner.errors import CloudError, Stale
    from runner.execution.evidence import Finding
    from runner.execution.reading import histories_of

    loaded = app.load_config()
    found: dict[str, Finding] = {}
    by_target: dict[str, list[str]] = {}
    for server_id in ids:
        by_target.setdefault(run.target_of(run.servers[server_id]), []).append(server_id)
    projects = {t.name: t.project_id for t in run.schedule.targets}
    for name, members in by_target.items():
        try:
            async with AsyncExitStack() as stack:
                session = await stack.enter_async_context(open_target(app, loaded, choose_target(loaded, name)))
                if session.target.project_id != projects[name]:
                    raise Stale(f"target {name} is project {session.target.project_id} now, not {projects[name]}")
                seen = await session.cloud.read_servers(members)
                histories = await histories_of(members, session.cloud)
        except CloudError as error:
            if must_be_read:
                raise
            app.talk(f"warning: {len(members)} servers of target {name} could not be read: {error}", run=run.id)
        else:
            found |= {i: Finding(seen.get(i), histories.get(i)) for i in members}
    return found


def _contradiction(run: Run, server_id: str, finding: Finding | None, request: ResolveRequest) -> str | None:
    """Return why a decision is not taken, as the server shows something else."""
    from runner.execution.evidence import Trace, is_rebooting, trace_in

    if finding is None:
        return None
    trace, seen = trace_in(run, server_id, finding)
    is_whole_batch = request.batch is not None
    match request.says:
        case "not-rebooted":
            is_clear = trace is Trace.NONE or (trace is Trace.UNCLEAR and not is_whole_batch)
        case "rebooted":
            is_clear = trace is Trace.REBOOTED or not is_whole_batch
        case _:
            is_clear = finding.server is None or not is_rebooting(finding.server)
    return None if is_clear else seen


def _decision(
    run: Run, by: str, ids: Sequence[str], findings: Mapping[str, Finding], request: ResolveRequest
) -> Decision:
    from runner.app.decide import Decision

    for server_id in ids:
        _demand_resolvable(run, server_id)
    said = f"server {ids[0]} is" if len(ids) == 1 else f"{len(ids)} servers are"
    told = {"as": request.says, "by": by, "reason": request.reason}
    return Decision(
        tuple(("server.resolved", {"server": i, **told, **_seen(run, i, findings.get(i))}) for i in ids),
        f"{said} recorded as {request.says}",
        release=ids if request.says == "rebooted" else (),
        forget=ids if request.says != "rebooted" else (),
        open_only=False,
    )


def _seen(run: Run, server_id: str, finding: Finding | None) -> dict[str, str | None]:
    """Return what the decision was based on: later signs are told from it."""
    from runner.execution.evidence import last_reboot, reboots_since, state_words, trace_in

    if finding is None:
        return {"seen": "it could not be read"}
    _, words = trace_in(run, server_id, finding)
    reboot = last_reboot(finding.actions, reboots_since(run, server_id))
    started = reboot.started.isoformat() if reboot and reboot.started else None
    updated = finding.server.updated if finding.server else None
    return {"seen": f"{words}; {state_words(finding.server)}", "updated": updated, "last_reboot": started}
