"""Readings of the cloud -> events. Pure: what was read comes in, what is to be recorded
goes out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from runner.execution.evidence import (
    Finding,
    Trace,
    earlier_sign,
    has_moved,
    last_reboot,
    shows_hint,
    shows_reboot,
    trace_in,
)
from runner.model.events import (
    BaselineChecked,
    Ended,
    EventData,
    JobLost,
    JobPolled,
    Outcome,
    RunStopping,
    ServersChecked,
    ServersEnded,
    ServersFailing,
    ServersObserved,
    ServersRechecked,
    SubJobEnd,
    WaveChecked,
)
from runner.model.inventory import PowerState, Server
from runner.model.job import Job, JobGone, JobStatus, SubJob
from runner.model.run import Batch, BatchPhase, Phase, Run, ServerState
from runner.planning.exclusions import BUSY, REBOOTED_IN_CYCLE, Why, unfit

JOB_INVISIBLE = timedelta(seconds=60)
"""How long a job may be unknown right after its acceptance."""
MISSING = Why("Missing", "the cloud does not know it any more")


def wave_events(
    run: Run,
    seen: Mapping[str, Server],
    histories: Mapping[str, tuple[datetime, ...] | None],
    spent: Mapping[str, str],
    held: Collection[str] = (),
    spared: Mapping[str, Why] = MappingProxyType({}),
) -> tuple[EventData, ...]:
    """The look at a wave's servers before they are asked for: who is fit, who is skipped and why.

    `histories`: of the servers that `needs_history` names; None where unreadable. A server
    that this run has asked for already and that shows a hint goes on waiting: before it is
    asked for again its history is read. `spent`: servers that were rebooted in this cycle,
    and the run that did it. `held`: servers that another run has in flight: while they are
    busy with that they go on waiting. `spared`: those that must not be rebooted from here,
    reason and sentence.
    """
    assert run.wave is not None  # noqa: S101 - asked for the current wave
    fit: dict[str, str | None] = {}
    skipped: dict[str, Why] = {}
    for state in run.members(run.wave):
        server = seen.get(state.ref.id)
        if state.phase is not Phase.WAITING or (server and state.ref.id in held and server.is_busy):
            continue
        if state.first_asked is not None and shows_hint(server, state.updated_before):
            continue
        if state.ref.id in spent:
            why: Why | None = Why(REBOOTED_IN_CYCLE, f"by run {spent[state.ref.id]}")
        elif state.ref.id in spared:
            why = spared[state.ref.id]
        else:
            why = (
                MISSING
                if server is None
                else unfit(server) or _rebooted_elsewhere(run, server, histories)
            )
        if why:
            skipped[state.ref.id] = why
        elif server is not None:
            fit[state.ref.id] = server.updated
    return (WaveChecked(run.wave.number, fit, skipped),)


def needs_history(run: Run, server: Server) -> bool:
    """Return True if a server changed since the run began, or an earlier run of its cycle
    may have reached it.
    """
    changed = server.id in run.baseline and server.updated != run.baseline[server.id]
    return changed or server.id in run.earlier


def _rebooted_elsewhere(
    run: Run, server: Server, histories: Mapping[str, tuple[datetime, ...] | None]
) -> Why | None:
    if server.id not in histories:
        return None
    reboots = histories[server.id]
    earlier = run.earlier.get(server.id)
    if earlier is not None:
        sign = earlier_sign(earlier, Finding(server, reboots))
        if sign is not None or reboots is None:
            return sign
    if reboots is None:
        return Why(
            "HistoryUnreadable", "it changed since the run began, and its history cannot be read"
        )
    reboot = last_reboot(reboots, run.created)
    if reboot is None:
        return None
    return Why(
        "RebootedByOther",
        f"its history has a reboot at {reboot.isoformat(timespec='seconds')}",
    )


def job_events(
    run: Run, batch: Batch, job: Job | JobGone, now: datetime, stale: Collection[str] = ()
) -> tuple[EventData, ...]:
    """What a poll changed: sub-jobs that ended, by server id; nothing when nothing did.

    A server whose sub-job failed, or that has no result when its job failed, is looked at
    before it is judged. One without a result of a job that ended well is looked for by its
    state; so are all when the cloud does not know the job, unless it is too new to be seen.
    `stale`: servers whose undocumented last word has not changed for a while, and the batch
    itself as "": they have failed.
    """
    if batch.phase is not BatchPhase.ACCEPTED:
        return ()
    if isinstance(job, JobGone):
        if now - (batch.answered or batch.intended) < JOB_INVISIBLE:
            return ()
        return (JobLost(batch.number, "the cloud does not know the job any more"),)
    waiting = [run.servers[i] for i in batch.servers]
    waiting = [s for s in waiting if s.batch == batch.number and s.phase is Phase.ACCEPTED]
    done: dict[str, SubJobEnd] = {}
    failing: dict[str, Why] = {}
    has_failed = job.status is JobStatus.FAIL or "" in stale
    is_final = job.status.is_final or has_failed
    for state in waiting:
        sub = job.sub_jobs.get(state.ref.id)
        ended = sub is not None and (sub.status.is_final or state.ref.id in stale)
        if sub is not None and ended:
            done[state.ref.id] = SubJobEnd(sub.status.value, sub.began, sub.ended)
        if sub is not None and ended and sub.status is not JobStatus.SUCCESS:
            failing[state.ref.id] = Why("JobFailed", _cause(sub, job))
        elif has_failed and not ended:
            failing[state.ref.id] = Why("JobFailed", _anonymous_cause(job))
    lost = is_final and len(done.keys() | failing.keys()) < len(waiting)
    events: list[EventData] = []
    if done or (is_final and batch.job_final is None):
        events.append(JobPolled(batch.number, done, is_final))
    if failing:
        events.append(ServersFailing(failing))
    if lost:
        events.append(JobLost(batch.number, "the job ended without a result for some servers"))
    return tuple(events)


def _cause(part: SubJob | Job, job: Job) -> str:
    """Return the cloud's words for a failure: status if it is not FAIL, code, reason,
    request id of the poll.
    """
    code = part.code or job.code
    said = part.reason or job.reason or "no reason given"
    said = f"{code}: {said}" if code else said
    if part.looks_ended:
        said = f"{part.word}: {said}"
    request = f", request id {job.request_id}" if job.request_id else ""
    return f"{said} (job {job.id}{request})"


def _anonymous_cause(job: Job) -> str:
    """Return why a job failed that has no result for a server: its failed part without a
    server, else itself.
    """
    parts = [
        part
        for part in job.anonymous
        if part.status is not JobStatus.SUCCESS and (part.code or part.reason)
    ]
    return _cause(parts[0] if parts else job, job)


def back_events(
    run: Run, ids: tuple[str, ...], seen: Mapping[str, Server], now: datetime, settle_s: float
) -> tuple[EventData, ...]:
    """Who is back, who fell down again, who will never be: from one reading of the
    servers' states.
    """
    up: list[str] = []
    down: list[str] = []
    ended: dict[str, Ended] = {}
    for server_id in ids:
        state, server = run.servers[server_id], seen.get(server_id)
        if state.outcome is not None:
            continue
        if server is None:
            ended[server_id] = Ended(Outcome.FAILED, *MISSING)
        elif server.state is PowerState.ERROR:
            ended[server_id] = Ended(
                Outcome.FAILED, "ServerError", f"{server.words} after the reboot"
            )
        elif server.is_idle and state.up_since is None:
            if not _may_lag(run, state, server, now, settle_s):
                up.append(server_id)
        elif not server.is_idle and state.up_since is not None:
            down.append(server_id)
    events: list[EventData] = []
    if up or down:
        events.append(ServersObserved(tuple(up), tuple(down)))
    if ended:
        events.append(ServersEnded(ended))
    return tuple(events)


def _may_lag(run: Run, state: ServerState, server: Server, now: datetime, settle_s: float) -> bool:
    """Return True if a server still reads as it was before the reboot that its history shows.

    Its state lags, and it is down: for as long as `settle`, or half of `ready.timeout`.
    """
    if (
        state.phase is not Phase.ADOPTED
        or has_moved(server, state.updated_before)
        or state.accepted is None
    ):
        return False
    patience = min(settle_s, run.rules().ready_timeout_s / 2)
    return now - state.accepted < timedelta(seconds=patience)


def check_events(run: Run, answers: Mapping[str, str | None]) -> tuple[EventData, ...]:
    """What one round of checks changed: who passes now, and who no longer does. `answers`:
    words, None for a pass.
    """
    passed: list[str] = []
    missed: dict[str, str] = {}
    for server_id, words in answers.items():
        state = run.servers[server_id]
        if state.up_since is None or state.phase not in (Phase.ADOPTED, Phase.REBOOTED):
            continue
        if words is None and state.healthy_since is None:
            passed.append(server_id)
        elif words is not None and state.healthy_since is not None:
            missed[server_id] = words
    return (ServersChecked(tuple(passed), missed),) if passed or missed else ()


def baseline_events(
    run: Run, group: str, answers: Mapping[str, str | None]
) -> tuple[EventData, ...]:
    """What the checks of a group answered before the run's first wave, and the stop that
    the plan may want of it.
    """
    unhealthy = {
        i: words
        for i, words in answers.items()
        if words is not None and run.servers[i].outcome is None
    }
    said = BaselineChecked(group, len(answers), unhealthy)
    if not unhealthy or run.group(group).baseline != "stop":
        return (said,)
    detail = f"{len(unhealthy)} of {len(answers)} servers of group {group} do not pass their checks"
    return (said, RunStopping("UnhealthyBefore", detail))


def recheck_events(
    run: Run,
    ids: tuple[str, ...],
    seen: Mapping[str, Server],
    histories: Mapping[str, tuple[datetime, ...] | None],
) -> tuple[EventData, ...]:
    """After a request was turned away: who may be asked for again, who was rebooted after all,
    who is in doubt.

    Servers with proof of a reboot since the first request are followed by their state. A
    sign that proves nothing puts them in doubt. What is explained otherwise is dropped, the
    rest goes on, after a refusal in smaller batches; a single refused server that looks fit
    is skipped with the cloud's code, or is in doubt if that code speaks of its state and an
    earlier request was throttled: that one may be in the way. `histories`: of the servers
    that `to_be_traced` names.
    """
    fit: list[str] = []
    moving: list[str] = []
    doubted: dict[str, str] = {}
    skipped: dict[str, Ended] = {}
    for server_id in (i for i in ids if _was_turned_away(run.servers[i])):
        state, server = run.servers[server_id], seen.get(server_id)
        batch = run.batches[state.batch or 0]
        refused = batch.phase is BatchPhase.REFUSED
        if server is None:
            skipped[server_id] = Ended(Outcome.SKIPPED, *MISSING)
            continue
        if server.is_rebooting:
            moving.append(server_id)
            continue
        finding = Finding(server, histories.get(server_id))
        trace, words = trace_in(run, server_id, finding)
        if trace is Trace.REBOOTED:
            moving.append(server_id)
            continue
        why = unfit(server)
        says_state = any(why.is_of_state for why in batch.refusals)
        has_sign = has_moved(server, state.updated_before) or server.is_busy
        is_alone = why is None and refused and len(batch.servers) == 1
        is_suspect = (is_alone and says_state) or shows_reboot(run, server_id, finding)
        in_the_way = refused and is_suspect and _may_have_begun(run, server_id)
        if (
            in_the_way
            or (server.is_busy and says_state)
            or (has_sign and (why is None or not refused))
        ):
            doubted[server_id] = words
            continue
        if is_alone:
            why = Why(batch.refusals[0], batch.answer)
        if why is not None:
            skipped[server_id] = Ended(Outcome.SKIPPED, *why)
        else:
            fit.append(server_id)
    events: list[EventData] = [ServersRechecked(tuple(fit), tuple(moving), doubted)]
    if skipped:
        events.append(ServersEnded(skipped))
    return tuple(events)


def _may_have_begun(run: Run, server_id: str) -> bool:
    """Return True if an earlier request of the wave for a server was answered, but not refused."""
    proven = (BatchPhase.REFUSED, BatchPhase.NOT_SENT, BatchPhase.DENIED)
    return any(server_id in b.servers and b.phase not in proven for b in run.current_batches())


def to_be_traced(run: Run, server_id: str, server: Server) -> bool:
    """Return True if a server's history is read before it is asked for again.

    After a throttled answer only where it shows a hint; after a refusal always.
    """
    state = run.servers[server_id]
    batch = run.batches.get(state.batch or 0)
    was_refused = batch is not None and batch.phase is BatchPhase.REFUSED
    return was_refused or shows_hint(server, state.updated_before)


def _was_turned_away(server: ServerState) -> bool:
    return server.phase is Phase.REFUSED or (
        server.phase is Phase.WAITING and server.first_asked is not None
    )


def busy_ones(run: Run, seen: Mapping[str, Server]) -> list[str]:
    """Servers of the current wave that only a passing task keeps from being fit."""
    assert run.wave is not None  # noqa: S101 - asked for the current wave
    found = (seen.get(s.ref.id) for s in run.members(run.wave))
    return [s.id for s in found if s is not None and (unfit(s) or ("", ""))[0] == BUSY]
