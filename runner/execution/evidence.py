"""What the servers tell of a request whose answer is missing, or of a job that failed. Pure.

The servers are looked at: state, `updated` and history. Proof is a reboot in the history or
the state *rebooting*. A changed `updated` is a hint: it blocks a resend, proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.execution.deadlines import ready_deadline
from runner.model.events import (
    BatchLooked,
    BatchSettled,
    EarlierRequest,
    Ended,
    EventData,
    Outcome,
    RunStopping,
    ServersEnded,
    Why,
)
from runner.model.inventory import PowerState, Server
from runner.model.owner import Owner
from runner.model.run import JOB_TIMED_OUT, NO_TRACE, Batch, BatchPhase, Phase, Run, ServerState

CLOCK_SKEW = timedelta(minutes=5)
"""How far the cloud's clock may be from ours: an action this much before the intent can
still be ours.
"""

SECOND_LOOK = 1 / 3
"""Time between the two readings that prove "no trace", as a share of `settle`: 60 s of 3 minutes.
"""
SECOND_ROUND = 2
LATEST_ROUND = 30
MOST_LOST = 3
"""Requests for a server that may be lost without a trace before it is left to a person."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was read of one server. `server` None: the cloud does not know it. `reboots`:
    when it was rebooted, newest first; None: history unreadable.
    """

    server: Server | None
    reboots: tuple[datetime, ...] | None


class Trace(StrEnum):
    """What a finding says about one request and one server."""

    REBOOTED = "rebooted"
    NONE = "no trace"
    UNCLEAR = "unclear"


def has_moved(server: Server, updated_before: str | None) -> bool:
    """Return True unless `updated` is known to be what it was."""
    return server.updated is None or server.updated != updated_before


def shows_hint(server: Server | None, updated_before: str | None) -> bool:
    """Return True if a server is anything but running, idle and unchanged: then its
    history is read.
    """
    return server is None or not server.is_idle or has_moved(server, updated_before)


def trace_of(
    finding: Finding, asked: datetime, updated_before: str | None, since: datetime | None = None
) -> tuple[Trace, str]:
    """Return whether a request written at `asked` rebooted the server, with the sentence
    that is kept.

    REBOOTED: its history has a reboot since then, or it is in a reboot now. NONE:
    readable history without that, `updated` unchanged, running and idle. Else UNCLEAR, as
    for a reboot within the clock skew before the request and an unchanged `updated`, or
    for one that began before `updated_before`, which the cloud's own clock tells: it was
    over or under way when the server was read. `since`: only reboots after it count,
    where a person knew of earlier ones.
    """
    server = finding.server
    if server is None:
        return Trace.UNCLEAR, "the cloud does not know the server any more"
    if server.state is PowerState.REBOOTING:
        return Trace.REBOOTED, f"it is rebooting ({server.words})"
    moved = has_moved(server, updated_before)
    reboot = last_reboot(finding.reboots, since or asked - CLOCK_SKEW)
    if reboot is not None:
        words = f"its history has a reboot at {_second(reboot)}"
        is_later = reboot >= asked.replace(microsecond=0)  # histories can tell whole seconds only
        if may_be_ours(reboot, updated_before) and (moved or is_later):
            return Trace.REBOOTED, words
        return Trace.UNCLEAR, f"{words}, just before the request"
    if finding.reboots is None:
        changed = f"; it was updated at {server.updated}" if moved else "; it was not updated"
        return Trace.UNCLEAR, f"its action history cannot be read{changed}"
    if moved:
        return Trace.UNCLEAR, f"no reboot in its history, but it was updated at {server.updated}"
    if not server.is_idle:
        return Trace.UNCLEAR, f"no reboot in its history; {state_words(server)}"
    return Trace.NONE, "no reboot in its history, not updated, running and idle"


def trace_in(run: Run, server_id: str, finding: Finding) -> tuple[Trace, str]:
    """Return the same for the requests of one run."""
    updated_before = run.servers[server_id].updated_before
    return trace_of(
        finding, first_asked(run, server_id), updated_before, reboots_since(run, server_id)
    )


def vanished_trace(run: Run, server_id: str, finding: Finding) -> tuple[Trace, str]:
    """The same for a server of an accepted job that vanished: `updated` after the intent is
    evidence too.
    """
    trace, why = trace_in(run, server_id, finding)
    server, updated_before = finding.server, run.servers[server_id].updated_before
    if (
        trace is Trace.UNCLEAR
        and server
        and server.updated
        and updated_before
        and server.updated != updated_before
    ):
        return Trace.REBOOTED, f"its request was accepted, and it was updated at {server.updated}"
    return trace, why


def last_reboot(reboots: tuple[datetime, ...] | None, since: datetime) -> datetime | None:
    """Return the newest reboot that began at `since` or later."""
    return max((at for at in reboots or () if at >= since), default=None)


def state_words(server: Server | None) -> str:
    """Return a server's state as the cloud names it."""
    return "missing" if server is None else server.words


def may_be_ours(reboot: datetime, updated_before: str | None) -> bool:
    """Return True unless the cloud's own clock shows that a reboot began before the server
    was read.
    """
    known = moment_of(updated_before)
    return known is None or reboot >= known


def shows_reboot(run: Run, server_id: str, finding: Finding) -> bool:
    """Return True if a history has a reboot that can be the run's, even if nothing proves
    that it is.
    """
    reboot = last_reboot(finding.reboots, reboots_since(run, server_id))
    return reboot is not None and may_be_ours(reboot, run.servers[server_id].updated_before)


def reboots_since(run: Run, server_id: str) -> datetime:
    """Return since when reboots of a server can be the run's.

    Those that a person knew of, who made the server eligible again before the run, are not.
    """
    earlier = run.earlier.get(server_id)
    since = first_asked(run, server_id) - CLOCK_SKEW
    if earlier is None or earlier.known_reboot is None:
        return since
    return max(since, earlier.known_reboot + timedelta(microseconds=1))


def moment_of(updated: str | None) -> datetime | None:
    """Return the time of an `updated`, which the cloud writes in UTC; None for one that
    cannot be read.
    """
    try:
        moment = datetime.fromisoformat(updated or "")
        return moment if moment.tzinfo else None
    except ValueError:
        return None


def _second(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


# --- requests in doubt --------------------------------------------------------


def is_held(server: ServerState, batch: Batch) -> bool:
    """Whether the batch, and no later one, still has to tell what became of the server."""
    return server.batch == batch.number and server.phase in (Phase.INTENDED, Phase.ACCEPTED)


def needs_a_look(batch: Batch) -> bool:
    """Return True if the servers that a batch holds have to tell what became of it."""
    return batch.phase.is_in_doubt or batch.phase is BatchPhase.GONE


def round_due(batch: Batch, settle_s: float) -> datetime:
    """Return when the next reading may count for "no trace": `settle` after the request,
    then a third of it later.
    """
    if batch.last_round is not None:
        return batch.last_round + timedelta(seconds=settle_s * SECOND_LOOK)
    answered = batch.answered or batch.intended
    had_job = batch.phase is BatchPhase.GONE and batch.job_id
    return answered if had_job else answered + timedelta(seconds=settle_s)


def may_arrive_late(
    batch: Batch, owner: Owner, is_dead: Callable[[Owner], bool], wall: datetime
) -> bool:
    """Return False if the request of a batch in doubt can no longer reach the cloud.

    Its sender is this process, whose connection is closed by now, or provably dead; or the
    cloud no longer accepts the request. A process elsewhere may be frozen.
    """
    sender = Owner.from_json(batch.sender)
    if sender == owner or is_dead(sender):
        return False
    return batch.valid_until is None or wall <= batch.valid_until


def _times_lost(run: Run, servers: Collection[str]) -> int:
    """How many requests that held one of these servers left no trace, the one in
    question included.
    """
    wanted = set(servers)
    lost = (b for b in run.batches.values() if b.phase is BatchPhase.SETTLED)
    return 1 + max(Counter(i for b in lost for i in b.servers if i in wanted).values(), default=0)


def judge(
    run: Run,
    batch: Batch,
    findings: Mapping[str, Finding],
    *,
    is_round: bool,
    may_arrive_late: bool,
) -> tuple[EventData, ...]:
    """Return the events that follow from one look at a batch in doubt.

    Proof of a reboot: adopted at once. `is_round`: the reading is late enough to count for
    *no trace*, which needs every server of the batch and two such readings; then `hold`
    makes them unknown and stops the run, and `retry` asks again – but only where no late
    request can still arrive, else it waits on, and only until three requests were lost.
    Anything mixed or unreadable is unknown after the second reading. Nothing follows for a
    batch that is not in doubt.
    """
    if not needs_a_look(batch):
        return ()
    findings = {i: f for i, f in findings.items() if is_held(run.servers[i], batch)}
    look = vanished_trace if batch.phase is BatchPhase.GONE else trace_in
    traces = {i: look(run, i, f) for i, f in findings.items()}
    adopted = [i for i, (t, _) in traces.items() if t is Trace.REBOOTED]
    rest = [i for i in traces if i not in set(adopted)]
    if rest and not is_round and not adopted:
        return ()
    said = {i: why for i, (_, why) in traces.items()}
    seen = BatchLooked(batch.number, tuple(adopted), said, round=is_round or not rest)
    if not rest:
        return (seen, BatchSettled(batch.number))
    round_ = batch.rounds + 1
    if not is_round or round_ < SECOND_ROUND:
        return (seen,)
    clean = len(rest) == len(batch.servers) and all(t is Trace.NONE for t, _ in traces.values())
    may_repeat = run.schedule.on_unknown == "retry" and _times_lost(run, rest) < MOST_LOST
    if clean and batch.phase is not BatchPhase.GONE and may_repeat:
        if not may_arrive_late:
            return (seen, BatchSettled(batch.number, tuple(rest)))
        if round_ < LATEST_ROUND:
            return (seen,)
    vanished = batch.phase is BatchPhase.GONE and batch.job_id
    reason = NO_TRACE if clean else "JobVanished" if vanished else "MixedEvidence"
    answer = f"; the request was answered with {batch.answer}" if batch.answer else ""
    ended = {i: Ended(Outcome.UNKNOWN, reason, said[i] + answer) for i in rest}
    events = (seen, ServersEnded(ended), BatchSettled(batch.number))
    return (
        (*events, _no_trace_stop(run, batch)) if reason == NO_TRACE and run.stop is None else events
    )


def _no_trace_stop(run: Run, batch: Batch) -> EventData:
    answer = f" ({batch.answer})" if batch.answer else ""
    detail = (
        f"the request of batch {batch.number} got no usable answer{answer}, and none of its "
        f"{len(batch.servers)}"
        " servers shows a trace of it. Resolve the batch, then repeat it with `retry`:"
        f" reboot-runner resolve {run.id} --batch {batch.number} --as not-rebooted --reason REASON"
    )
    return RunStopping(NO_TRACE, detail)


def first_asked(run: Run, server_id: str) -> datetime:
    """Return when this run first asked for a server, the beginning of the run before that."""
    return run.servers[server_id].first_asked or run.created


# --- jobs that failed ---------------------------------------------------------


def judge_failing(
    run: Run, batch: Batch, findings: Mapping[str, Finding], now: datetime
) -> tuple[EventData, ...]:
    """Return the events that follow from a look at servers whose job failed, or did not end
    in time.

    A failed job never makes a server ready: it is `failed`, or `unknown` where it runs
    and was updated while its history cannot be read. A job that did not end is judged by
    proof: a server that was rebooted is followed by its state. A server that is busy is
    looked at again until its deadline.
    """
    rows: dict[str, Ended] = {}
    adopted: list[str] = []
    proven: list[str] = []
    hints: dict[str, str] = {}
    for server_id, finding in findings.items():
        state, server = run.servers[server_id], finding.server
        if state.phase is not Phase.FAILING or state.batch != batch.number:
            continue
        if server is not None and server.is_busy and now < ready_deadline(run, state):
            continue
        trace, seen = trace_in(run, server_id, finding)
        if trace is Trace.REBOOTED and state.reason == JOB_TIMED_OUT:
            adopted.append(server_id)
            continue
        outcome = Outcome.FAILED
        if trace is Trace.REBOOTED:
            proven.append(server_id)
        elif shows_hint(server, state.updated_before) or shows_reboot(run, server_id, finding):
            hints[server_id] = seen
            if finding.reboots is None and server is not None and server.is_idle:
                outcome = Outcome.UNKNOWN
        words = f"{state.detail}; seen since: {seen}" + (
            f"; {state_words(server)}" if server else ""
        )
        rows[server_id] = Ended(outcome, state.reason, words)
    events: list[EventData] = []
    if adopted or proven or hints:
        events.append(BatchLooked(batch.number, tuple(adopted), hints, tuple(proven), round=False))
    if rows:
        events.append(ServersEnded(rows))
    return tuple(events)


# --- earlier runs of the cycle ------------------------------------------------


def earlier_requests(runs: Iterable[Run], ids: Collection[str]) -> dict[str, EarlierRequest]:
    """Return what earlier runs of a cycle, oldest first, asked of these servers and may
    have reached.

    Of each server the first request counts, and after a person's decision that decision.
    """
    found: dict[str, EarlierRequest] = {}
    for run in runs:
        for server_id in ids:
            state = run.servers.get(server_id)
            if state is None:
                continue
            if state.first_asked is not None and server_id not in found:
                found[server_id] = EarlierRequest(run.id, state.first_asked, state.updated_before)
            made_eligible = state.resolution and state.resolution["as"] in (
                "not-rebooted",
                "reboot-again",
            )
            if state.resolution and made_eligible:
                found[server_id] = _after(run, found.get(server_id), state.resolution)
    return found


def _after(run: Run, first: EarlierRequest | None, said: Mapping[str, str]) -> EarlierRequest:
    """Return what counts after a decision: signs that are newer than what the person saw.

    A person who said `not-rebooted` saw no reboot since the first request: one that shows
    now is new, whenever it began, because a history can be late.
    """
    at = datetime.fromisoformat(said["at"])
    asked = first.at if first else at
    last = said.get("last_reboot")
    known = datetime.fromisoformat(last) if last else None
    if known is None and said["as"] == "not-rebooted":
        decided = first.known_reboot or first.resolved if first else None
        known = decided or asked - CLOCK_SKEW
    return EarlierRequest(run.id, asked, said.get("updated"), resolved=at, known_reboot=known)


def earlier_sign(request: EarlierRequest, finding: Finding) -> Why | None:
    """Return why a server is left alone that an earlier request may have rebooted; None for
    no sign of that.
    """
    updated, since = request.updated, None
    server = finding.server
    if request.resolved is not None:
        since = (request.known_reboot or request.resolved) + timedelta(microseconds=1)
        if updated is None and server is not None:
            updated = server.updated
        if finding.reboots is None and not shows_hint(server, updated):
            return None
    trace, seen = trace_of(finding, request.at, updated, since)
    if trace is Trace.NONE:
        return None
    reason = "RebootedByEarlierRequest" if trace is Trace.REBOOTED else "EarlierRequestInDoubt"
    return Why(reason, f"{seen}; run {request.run} asked for it at {_second(request.at)}")
