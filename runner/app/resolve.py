"""Decides about servers that ended failed or unknown: what a person says is held against
what the servers show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.app.app import App
from runner.app.decide import Decision, decide
from runner.app.open_target import open_target
from runner.app.stores import open_store_of
from runner.app.targets import choose_target
from runner.errors import CloudError, Exit, Held, Stale, UsageProblem
from runner.execution.evidence import (
    Finding,
    Trace,
    last_reboot,
    may_arrive_late,
    reboots_since,
    state_words,
    trace_in,
)
from runner.execution.journal import read_run
from runner.execution.reading import histories_of
from runner.model.events import Outcome, ResolvedAs, ServerResolved
from runner.model.owner import Owner
from runner.model.run import Run
from runner.report.safe import plain
from runner.store.owner import is_provably_dead, this_process


@dataclass(frozen=True, slots=True)
class ResolveRequest:
    """What a person says of a run's servers; `batch` names the unknown servers of one request."""

    run: str
    servers: tuple[str, ...]
    batch: int | None
    says: ResolvedAs
    reason: str
    accepts_late_request: bool


def resolve(app: App, request: ResolveRequest) -> int:
    """Read the servers, record the decision about those that do not contradict it, and return
    the exit code.

    Raises UsageProblem, Held, and CloudError where a batch's servers cannot be read.
    """
    if bool(request.servers) == (request.batch is not None):
        raise UsageProblem("give either the servers with --server ID, or a batch with --batch N")
    return asyncio.run(_resolve(app, request))


async def _resolve(app: App, request: ResolveRequest) -> int:
    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        run = read_run(store, store.find(request.run).id)
    chosen = _chosen(run, request)
    _demand_no_late_request(run, request)
    findings = await _findings(app, run, chosen, must_be_read=request.batch is not None)
    refused = {i: why for i in chosen if (why := _contradiction(run, i, findings.get(i), request))}
    for server_id, why in refused.items():
        app.talk(
            plain(f"{server_id} {run.servers[server_id].ref.name}: left as it is: {why}", 1000),
            run=run.id,
        )
    accepted = [i for i in chosen if i not in refused]
    if not accepted or (refused and request.batch is None):
        app.talk(
            f"nothing was recorded: what was seen of the servers contradicts it; "
            f"{_INSTEAD[request.says]}"
        )
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
    """Return the servers that the decision is about. Raises Held for one that cannot be
    decided about.
    """
    if request.batch is not None:
        batch = run.batches.get(request.batch)
        if batch is None:
            raise UsageProblem(f"run {run.id} has no batch {request.batch}")
        members = (run.servers[i] for i in batch.servers)
        found = tuple(
            s.ref.id for s in members if s.batch == batch.number and s.outcome is Outcome.UNKNOWN
        )
        if not found:
            raise UsageProblem(f"no server of batch {request.batch} is unknown")
        return found
    for server_id in request.servers:
        _demand_resolvable(run, server_id)
    return request.servers


def _demand_resolvable(run: Run, server_id: str) -> None:
    state = run.servers.get(server_id)
    if state is None:
        raise UsageProblem(
            f"run {run.id} has no server {server_id}", hint="give the id; `report` shows it"
        )
    if state.outcome not in (Outcome.UNKNOWN, Outcome.FAILED):
        is_now = state.outcome.value if state.outcome else "still under way"
        raise UsageProblem(f"server {server_id} is not unknown or failed: {is_now}")


def _demand_no_late_request(run: Run, request: ResolveRequest) -> None:
    """Raise Held while the batch's request may still reach the cloud."""
    if request.batch is None or request.accepts_late_request:
        return
    batch = run.batches[request.batch]
    if may_arrive_late(batch, this_process(), is_provably_dead, datetime.now(UTC)):
        sender = Owner.from_json(batch.sender)
        raise Held(
            f"the request of batch {batch.number} may still reach the cloud: {sender} may hold it",
            hint="end that process, or wait 20 minutes where requests are signed with an access "
            "key;"
            " --accept-late-request decides nevertheless",
        )


async def _findings(
    app: App, run: Run, ids: Sequence[str], *, must_be_read: bool
) -> Mapping[str, Finding]:
    """Read the servers and their histories. What cannot be read is left out, or raises
    CloudError.
    """
    loaded = app.load_config()
    found: dict[str, Finding] = {}
    by_target: dict[str, list[str]] = {}
    for server_id in ids:
        by_target.setdefault(run.target_of(run.servers[server_id]), []).append(server_id)
    projects = {t.name: t.project_id for t in run.schedule.targets}
    for name, members in by_target.items():
        try:
            async with AsyncExitStack() as stack:
                session = await stack.enter_async_context(
                    open_target(app, loaded, choose_target(loaded, name))
                )
                if session.target.project_id != projects[name]:
                    raise Stale(
                        f"target {name} is project {session.target.project_id} now, not "
                        f"{projects[name]}"
                    )
                seen = await session.cloud.read_servers(members)
                histories = await histories_of(members, session.cloud)
        except CloudError as error:
            if must_be_read:
                raise
            app.talk(
                f"warning: {len(members)} servers of target {name} could not be read: {error}",
                run=run.id,
            )
        else:
            found |= {i: Finding(seen.get(i), histories.get(i)) for i in members}
    return found


def _contradiction(
    run: Run, server_id: str, finding: Finding | None, request: ResolveRequest
) -> str | None:
    """Return why a decision is not taken, as the server shows something else."""
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
            is_clear = finding.server is None or not finding.server.is_rebooting
    return None if is_clear else seen


def _decision(
    run: Run, by: str, ids: Sequence[str], findings: Mapping[str, Finding], request: ResolveRequest
) -> Decision:
    for server_id in ids:
        _demand_resolvable(run, server_id)
    said = f"server {ids[0]} is" if len(ids) == 1 else f"{len(ids)} servers are"
    return Decision(
        tuple(
            ServerResolved(i, request.says, by, request.reason, *_seen(run, i, findings.get(i)))
            for i in ids
        ),
        f"{said} recorded as {request.says}",
        release=ids if request.says == "rebooted" else (),
        forget=ids if request.says != "rebooted" else (),
        open_only=False,
    )


def _seen(run: Run, server_id: str, finding: Finding | None) -> tuple[str, str | None, str | None]:
    """Return what the decision was based on, `updated` and the last reboot: later signs are
    told from it.
    """
    if finding is None:
        return "it could not be read", None, None
    _, words = trace_in(run, server_id, finding)
    reboot = last_reboot(finding.reboots, reboots_since(run, server_id))
    started = reboot.isoformat() if reboot else None
    updated = finding.server.updated if finding.server else None
    return f"{words}; {state_words(finding.server)}", updated, started
