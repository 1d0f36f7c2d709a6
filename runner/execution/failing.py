"""A target that cannot be used: of a run with several it stops its own groups, and no others. Pure.

A run with a single target, or whose others are all done, has nothing to go on with: it
stays open as it is, the error is told, and whoever resumes it goes on where it stands.
"""

from __future__ import annotations

from datetime import datetime

from runner.execution.effects import Pace
from runner.model.events import Ended, EventData, Outcome, ServersEnded, TargetFailed, WaveEnded
from runner.model.run import IN_FLIGHT, BatchPhase, Phase, Run, ServerState
from runner.model.schedule import Wave

TARGET_FAILED = "TargetFailed"
_WORDS = 500


def target_of(run: Run, wave: Wave) -> str:
    return run.group(wave.group).target


def is_failed(run: Run, wave: Wave) -> bool:
    """Whether the wave's target was given up."""
    return target_of(run, wave) in run.failed_targets


def may_fail(run: Run, target: str) -> bool:
    """Whether a target can be given up: there is work on another one that was not."""
    if run.stop is not None or target in run.failed_targets:
        return False
    others = (
        w
        for w in run.schedule.waves[run.position :]
        if target_of(run, w) != target and not is_failed(run, w)
    )
    return any(s.outcome is None for w in others for s in run.members(w))


def failed(target: str, error: Exception) -> EventData:
    """The event that gives a target up."""
    return TargetFailed(target, f"{error}"[:_WORDS])


def ended(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    """What becomes of servers on a target that was given up: who was not asked for is not started.

    Those in flight are followed for as long as any others; of a request that nobody can
    look for any more its servers are unknown at their deadline.
    """
    if run.wave is None or not any(run.open_on.get(t) for t in run.failed_targets):
        return ()
    rows: dict[str, Ended] = {}
    for wave in run.schedule.waves[run.position :]:
        target = target_of(run, wave)
        if target not in run.failed_targets:
            continue
        why = f"target {target}: {run.failed_targets[target]}"
        for server in run.members(wave):
            if server.outcome is not None:
                continue
            if server.phase not in IN_FLIGHT or _is_refused(run, server):
                rows[server.ref.id] = Ended(Outcome.NOT_STARTED, TARGET_FAILED, why)
            elif _is_lost(run, wave, server, now):
                rows[server.ref.id] = Ended(
                    Outcome.UNKNOWN, "CannotSee", f"nobody can look for its reboot: {why}"
                )
    return (ServersEnded(rows),) if rows else ()


def _is_refused(run: Run, server: ServerState) -> bool:
    """Return True if the server's only request was refused by an answer that proves that
    nothing began.
    """
    batch = run.batches.get(server.batch or 0)
    was_refused = batch is not None and batch.phase is BatchPhase.REFUSED
    return server.phase is Phase.REFUSED and was_refused and not server.doubted


def _is_lost(run: Run, wave: Wave, server: ServerState, now: datetime) -> bool:
    """Whether only evidence of its reboot could still tell, and the time for that is over."""
    batch = run.batches.get(server.batch or 0)
    is_gone = (
        server.phase is Phase.ACCEPTED and batch is not None and batch.phase is BatchPhase.GONE
    )
    lost = (Phase.INTENDED, Phase.REFUSED, Phase.FAILING)
    if server.intended is None or not (server.phase in lost or is_gone):
        return False
    return (now - server.intended).total_seconds() >= run.group(wave.group).ready_timeout_s


def passed_over(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    """The end of a wave that never began, because its target was given up."""
    wave = run.wave
    if (
        wave is None
        or run.stop is not None
        or run.waves[run.position].started
        or not is_failed(run, wave)
    ):
        return ()
    if any(s.outcome is None for s in run.members(wave)):
        return ()
    return (WaveEnded(wave.number),)


def says_nothing(run: Run, before: Wave) -> bool:
    """Whether a wave was given up as a whole with its target, after others have shown that
    the plan works.
    """
    given_up = all(s.reason == TARGET_FAILED for s in run.members(before))
    return given_up and any(s.outcome is Outcome.READY for s in run.servers.values())
