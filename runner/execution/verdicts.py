"""Readings of the cloud -> events. Pure: what was read comes in, what is to be recorded goes out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from runner.execution.effects import NewEvent
from runner.execution.evidence import last_reboot
from runner.model.inventory import Server
from runner.model.job import Action, Job, JobGone, JobStatus, SubJob
from runner.model.run import Batch, BatchPhase, Outcome, Phase, Run
from runner.planning.exclusions import BUSY, REBOOTED_IN_CYCLE, is_busy, unfit

JOB_INVISIBLE = timedelta(seconds=60)
"""How long a job may be unknown right after its acceptance."""
MISSING = ("Missing", "the cloud does not know it any more")
SINGLE_REFUSED = {
    "Ecs.0100": "NotActive",
    "Ecs.0114": "Missing",
    "Ecs.0614": "Missing",
    "Ecs.0603": "Busy",
    "Ecs.0605": "Locked",
    "Ecs.0030": "Frozen",
}
"""Why a single server was refused, by the cloud's code (page "Error Codes")."""


def is_rebooting(server: Server) -> bool:
    """REBOOT and HARD_REBOOT come of the task states with `reboot` in their names (table of server states)."""
    return server.status in ("REBOOT", "HARD_REBOOT") or "reboot" in (server.task_state or "")


def wave_events(
    run: Run,
    seen: Mapping[str, Server],
    histories: Mapping[str, tuple[Action, ...] | None],
    spent: Mapping[str, str],
    held: Collection[str] = (),
    spared: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> tuple[NewEvent, ...]:
    """The look at a wave's servers before they are asked for: who is fit, who is skipped and why.

    `histories`: of the servers whose `updated` moved since the run began; None where unreadable. `spent`: servers that
    were rebooted in this cycle, and the run that did it. `held`: servers that another run has in flight: while they are
    busy with that they go on waiting. `spared`: those that must not be rebooted from here, reason and sentence.
    """
    assert run.wave is not None  # noqa: S101 - asked for the current wave
    fit: dict[str, str | None] = {}
    skipped: dict[str, tuple[str, str]] = {}
    for state in run.members(run.wave):
        server = seen.get(state.ref.id)
        if state.phase is not Phase.WAITING or (server and state.ref.id in held and is_busy(server)):
            continue
        if state.ref.id in spent:
            why: tuple[str, str] | None = (REBOOTED_IN_CYCLE, f"by run {spent[state.ref.id]}")
        elif state.ref.id in spared:
            why = spared[state.ref.id]
        else:
            why = MISSING if server is None else unfit(server) or _rebooted_elsewhere(run, server, histories)
        if why:
            skipped[state.ref.id] = (why[0], why[1])
        elif server is not None:
            fit[state.ref.id] = server.updated
    return (("wave.checked", {"wave": run.wave.number, "fit": fit, "skipped": skipped}),)


def has_moved(run: Run, server: Server) -> bool:
    """Whether anything changed on it since the run began: only then its history is read."""
    return server.id in run.baseline and server.updated != run.baseline[server.id]


def _rebooted_elsewhere(
    run: Run, server: Server, histories: Mapping[str, tuple[Action, ...] | None]
) -> tuple[str, str] | None:
    if server.id not in histories:
        return None
    actions = histories[server.id]
    if actions is None:
        return ("HistoryUnreadable", "it changed since the run began, and its history cannot be read")
    reboot = last_reboot(actions, run.created)
    if reboot is None or reboot.started is None:
        return None
    return ("RebootedByOther", f"its history has a reboot at {reboot.started.isoformat(timespec='seconds')}")


def job_events(run: Run, batch: Batch, job: Job | JobGone, now: datetime) -> tuple[NewEvent, ...]:
    """What a poll changed: sub-jobs that ended, by server id; nothing when nothing did.

    A server without a sub-job when the parent is final, or whose sub-job is not, is looked for by its state; so are
    all when the cloud does not know the job, unless it is too new to be seen.
    """
    if batch.phase is not BatchPhase.ACCEPTED:
        return ()
    if isinstance(job, JobGone):
        if now - (batch.answered or batch.intended) < JOB_INVISIBLE:
            return ()
        return (("job.gone", {"batch": batch.number, "why": "the cloud does not know the job any more"}),)
    waiting = [run.servers[i] for i in batch.servers]
    waiting = [s for s in waiting if s.batch == batch.number and s.phase is Phase.ACCEPTED]
    done: dict[str, tuple[str, str | None, str | None]] = {}
    failed: dict[str, tuple[str, str, str]] = {}
    for state in waiting:
        sub = job.sub_jobs.get(state.ref.id)
        if sub is None or not sub.status.is_final:
            continue
        done[state.ref.id] = (sub.status.value, _iso(sub.began), _iso(sub.ended))
        if sub.status is JobStatus.FAIL:
            failed[state.ref.id] = (Outcome.FAILED, "JobFailed", _cause(sub, job))
    lost = job.status.is_final and len(done) < len(waiting)
    events: list[NewEvent] = []
    if done or (job.status.is_final and batch.job_final is None):
        events.append(("job.polled", {"batch": batch.number, "servers": done, "final": job.status.is_final}))
    if failed:
        events.append(("servers.ended", {"servers": failed}))
    if lost:
        events.append(("job.gone", {"batch": batch.number, "why": "the job ended without a result for some servers"}))
    return tuple(events)


def _cause(sub: SubJob, job: Job) -> str:
    code = sub.code or job.code
    reason = sub.reason or job.reason or "no reason given"
    return f"{code}: {reason}" if code else reason


def back_events(run: Run, ids: tuple[str, ...], seen: Mapping[str, Server]) -> tuple[NewEvent, ...]:
    """Who is back, who fell down again, who will never be: from one reading of the servers' states."""
    up: list[str] = []
    down: list[str] = []
    ended: dict[str, tuple[str, str, str]] = {}
    for server_id in ids:
        state, server = run.servers[server_id], seen.get(server_id)
        if state.outcome is not None:
            continue
        if server is None:
            ended[server_id] = (Outcome.FAILED, *MISSING)
        elif server.status == "ERROR":
            ended[server_id] = (Outcome.FAILED, "ServerError", "status ERROR after the reboot")
        elif server.is_idle and state.up_since is None:
            up.append(server_id)
        elif not server.is_idle and state.up_since is not None:
            down.append(server_id)
    events: list[NewEvent] = []
    if up or down:
        events.append(("servers.observed", {"up": up, "down": down}))
    if ended:
        events.append(("servers.ended", {"servers": ended}))
    return tuple(events)


def check_events(run: Run, answers: Mapping[str, str | None]) -> tuple[NewEvent, ...]:
    """What one round of checks changed: who passes now, and who no longer does. `answers`: words, None for a pass."""
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
    return (("servers.checked", {"passed": passed, "missed": missed}),) if passed or missed else ()


def baseline_events(run: Run, group: str, answers: Mapping[str, str | None]) -> tuple[NewEvent, ...]:
    """What the checks of a group answered before the run's first wave, and the stop that the plan may want of it."""
    unhealthy = {i: words for i, words in answers.items() if words is not None and run.servers[i].outcome is None}
    said: NewEvent = ("baseline.checked", {"group": group, "asked": len(answers), "unhealthy": unhealthy})
    if not unhealthy or run.group(group).baseline != "stop":
        return (said,)
    detail = f"{len(unhealthy)} of {len(answers)} servers of group {group} do not pass their checks"
    return (said, ("run.stopping", {"reason": "UnhealthyBefore", "detail": detail}))


def recheck_events(run: Run, ids: tuple[str, ...], seen: Mapping[str, Server]) -> tuple[NewEvent, ...]:
    """After a refusal because of single servers: what is explained is dropped, what reboots now is taken for rebooted,
    the rest goes on in smaller batches; a single refused server that looks fit is skipped with the cloud's code.
    """
    fit: dict[str, str | None] = {}
    moving: list[str] = []
    skipped: dict[str, tuple[str, str, str]] = {}
    for server_id in (i for i in ids if run.servers[i].phase is Phase.REFUSED):
        server, batch = seen.get(server_id), run.batches[run.servers[server_id].batch or 0]
        if server is not None and is_rebooting(server):
            moving.append(server_id)
            continue
        why = MISSING if server is None else unfit(server)
        if why is None and len(batch.servers) == 1:
            why = (SINGLE_REFUSED.get(batch.code or "", "Refused"), f"{batch.code}: {batch.reason}")
        if why:
            skipped[server_id] = (Outcome.SKIPPED, why[0], why[1])
        elif server is not None:
            fit[server_id] = server.updated
    events: list[NewEvent] = [("servers.rechecked", {"fit": fit, "moving": moving})]
    if skipped:
        events.append(("servers.ended", {"servers": skipped}))
    return tuple(events)


def busy_ones(run: Run, seen: Mapping[str, Server]) -> list[str]:
    """Servers of the current wave that only a passing task keeps from being fit."""
    assert run.wave is not None  # noqa: S101 - asked for the current wave
    found = (seen.get(s.ref.id) for s in run.members(run.wave))
    return [s.id for s in found if s is not None and (unfit(s) or ("", ""))[0] == BUSY]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
