"""What can be known of a request whose answer is missing: by state, `updated` and action history. Pure.

There is no idempotency token and no list of jobs, so a lost answer is settled by looking at the servers
(page "Querying the actions of a server", `instanceActions[].action` and `start_time`; field `updated` of a server).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.execution.effects import NewEvent
from runner.model.inventory import Server
from runner.model.job import Action
from runner.model.run import Batch, BatchPhase, Outcome, Phase, Run, ServerState

CLOCK_SKEW = timedelta(minutes=5)
"""How far the cloud's clock may be from ours: an action this much before the intent can still be ours."""

SECOND_ROUND = 2
LATEST_ROUND = 30
MOST_LOST = 3
"""Requests for a server that may be lost without a trace before it is left to a person."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was read of one server. `server` None: the cloud does not know it. `actions` None: history unreadable."""

    server: Server | None
    actions: tuple[Action, ...] | None


class Trace(StrEnum):
    """What a finding says about one request and one server."""

    REBOOTED = "rebooted"
    NONE = "no trace"
    UNCLEAR = "unclear"


def trace_of(finding: Finding, intended: datetime, updated_before: str | None) -> tuple[Trace, str]:
    """Whether the server was rebooted by a request of `intended`, with the sentence that is kept.

    REBOOTED: its history has a reboot since the intent, or one within the clock skew before it and `updated` moved, or
    it is in a reboot now. NONE: readable history without that, `updated` unchanged, ACTIVE and idle. Else UNCLEAR.
    """
    server = finding.server
    if server is None:
        return Trace.UNCLEAR, "the cloud does not know the server any more"
    moved = server.updated is None or updated_before is None or server.updated != updated_before
    if server.status in ("REBOOT", "HARD_REBOOT"):
        return Trace.REBOOTED, f"its status is {server.status}"
    reboot = last_reboot(finding.actions, intended - CLOCK_SKEW)
    if reboot is not None and reboot.started is not None and (moved or reboot.started >= intended):
        return Trace.REBOOTED, f"its history has a reboot at {reboot.started.isoformat(timespec='seconds')}"
    if finding.actions is None:
        return Trace.UNCLEAR, "its action history cannot be read"
    if moved:
        return Trace.UNCLEAR, f"no reboot in its history, but it was updated at {server.updated}"
    if not server.is_idle:
        return Trace.UNCLEAR, f"status {server.status}, task {server.task_state}"
    return Trace.NONE, "no reboot in its history, not updated, ACTIVE and idle"


def vanished_trace(finding: Finding, intended: datetime, updated_before: str | None) -> tuple[Trace, str]:
    """The same for a server of an accepted job that vanished: `updated` after the intent is evidence too."""
    trace, why = trace_of(finding, intended, updated_before)
    server = finding.server
    if trace is Trace.UNCLEAR and server and server.updated and updated_before and server.updated != updated_before:
        return Trace.REBOOTED, f"its job was accepted, and it was updated at {server.updated}"
    return trace, why


def last_reboot(actions: tuple[Action, ...] | None, since: datetime) -> Action | None:
    """The newest reboot in a history that began at `since` or later."""
    reboots = [a for a in actions or () if a.action == "reboot" and a.started is not None and a.started >= since]
    return max(reboots, key=lambda a: a.started or since, default=None)


def is_held(server: ServerState, batch: Batch) -> bool:
    """Whether the batch, and no later one, still has to tell what became of the server."""
    return server.batch == batch.number and server.phase in (Phase.INTENDED, Phase.ACCEPTED)


def _times_lost(run: Run, servers: Collection[str]) -> int:
    """How many requests that held one of these servers left no trace, the one in question included."""
    wanted = set(servers)
    lost = (b for b in run.batches.values() if b.phase is BatchPhase.SETTLED)
    return 1 + max(Counter(i for b in lost for i in b.servers if i in wanted).values(), default=0)


def judge(run: Run, batch: Batch, findings: Mapping[str, Finding], *, may_arrive_late: bool) -> tuple[NewEvent, ...]:
    """Events that follow from one look at a batch in doubt.

    Evidence of a reboot: adopted at once. *No trace* needs every server of the batch and two readings; then `hold`
    makes them unknown, and `retry` asks again – but only where no late request can still arrive, else it waits on, and
    only until three requests were lost. Anything mixed or unreadable is unknown after the second reading. Nothing
    follows for a batch that is not in doubt any more.
    """
    if not (batch.phase.is_in_doubt or batch.phase is BatchPhase.GONE):
        return ()
    findings = {i: f for i, f in findings.items() if is_held(run.servers[i], batch)}
    look = vanished_trace if batch.phase is BatchPhase.GONE else trace_of
    traces = {i: look(f, batch.intended, run.servers[i].updated_before) for i, f in findings.items()}
    adopted = [i for i, (t, _) in traces.items() if t is Trace.REBOOTED]
    rest = [i for i in traces if i not in set(adopted)]
    seen: NewEvent = (
        "batch.looked",
        {"batch": batch.number, "adopted": adopted, "seen": {i: why for i, (_, why) in traces.items()}},
    )
    if not rest:
        return (seen, ("batch.settled", {"batch": batch.number}))
    round_ = batch.rounds + 1
    if round_ < SECOND_ROUND:
        return (seen,)
    clean = len(rest) == len(batch.servers) and all(t is Trace.NONE for t, _ in traces.values())
    may_repeat = run.schedule.on_unknown == "retry" and _times_lost(run, rest) < MOST_LOST
    if clean and batch.phase is not BatchPhase.GONE and may_repeat:
        if not may_arrive_late:
            return (seen, ("batch.settled", {"batch": batch.number, "again": rest}))
        if round_ < LATEST_ROUND:
            return (seen,)
    reason = "NoTrace" if clean else "JobVanished" if batch.phase is BatchPhase.GONE else "MixedEvidence"
    ended = {i: (Outcome.UNKNOWN, reason, traces[i][1]) for i in rest}
    return (seen, ("servers.ended", {"servers": ended}), ("batch.settled", {"batch": batch.number}))
