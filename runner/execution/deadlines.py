"""Servers whose outcome is known now: back and stable, or past their deadline. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from runner.errors import CloudError
from runner.execution import failing
from runner.execution.effects import Pace
from runner.model.events import Ended, EventData, Outcome, ServersEnded, ServersFailing, Why
from runner.model.quantity import format_duration
from runner.model.run import JOB_TIMED_OUT, BatchPhase, Phase, Run, ServerState

BLIND_GRACE_S = 120.0
"""How long reading may fail at a deadline before a server is called unknown."""


def ended_servers(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    """Servers whose outcome is known now: back and stable, or past their deadline.

    A server whose job did not end in time is looked at first: it is only marked as failing here.
    """
    ended: dict[str, Ended] = {}
    suspects: dict[str, Why] = {}
    for server in run.current():
        verdict = _verdict(run, server, pace, now)
        if verdict and verdict[1] == JOB_TIMED_OUT and server.phase is Phase.ACCEPTED:
            suspects[server.ref.id] = Why(*verdict[1:])
        elif verdict:
            ended[server.ref.id] = verdict
    if suspects:
        return (ServersFailing(suspects),)
    if not ended:
        return ()
    unseen = any(reason == "CannotSee" for _, reason, _ in ended.values())
    target = run.rules().target
    if unseen and failing.may_fail(run, target):
        words = format_duration(run.rules().ready_timeout_s)
        error = CloudError(
            f"it could not be asked at the end of the {words} that servers have to come back"
        )
        return (failing.failed(target, error), ServersEnded(ended))
    return (ServersEnded(ended),)


def _verdict(run: Run, server: ServerState, pace: Pace, now: datetime) -> Ended | None:
    if server.phase is Phase.FAILING:
        return _failing_unseen(run, server, pace, now)
    if server.phase not in (Phase.ACCEPTED, Phase.ADOPTED, Phase.REBOOTED):
        return _waited_too_long(run, server, pace, now)
    if server.phase is Phase.ACCEPTED:
        batch = run.batches[server.batch or 0]
        if batch.phase is BatchPhase.GONE:
            return None  # its evidence is being looked for
        return _too_late(run, server, pace, now, batch.number)
    if server.up_since is None:
        return _too_late(run, server, pace, now, 0)
    rules, looked = run.rules(), pace.looked.get(server.ref.id)
    if rules.checks and not _lasts(
        server.healthy_since, pace.asked.get(server.ref.id), rules.stable_for_s
    ):
        return _unhealthy(run, server, pace, now)
    if not _lasts(server.up_since, looked, rules.stable_for_s):
        return _out_of_sight(run, server, pace, now) if rules.checks else None
    return Ended(Outcome.READY, "Rebooted" if server.phase is Phase.REBOOTED else "RebootSeen", "")


def _lasts(since: datetime | None, seen: datetime | None, stable_s: float) -> bool:
    """Whether what has been so `since`, and was last seen so by this process at `seen`, has
    lasted for long enough.
    """
    if since is None or seen is None:
        return False
    return stable_s <= 0 or (seen - since).total_seconds() >= stable_s


def _unhealthy(run: Run, server: ServerState, pace: Pace, now: datetime) -> Ended | None:
    """A server that runs and whose checks do not pass: failed when an answer from its deadline
    on says so.

    Checks that have begun to pass by then may go on to the end of `stable_for`; the first
    miss ends it.
    """
    deadline, asked = ready_deadline(run, server), pace.asked.get(server.ref.id)
    if now < deadline:
        return None
    if server.healthy_since is None and asked is not None and asked >= deadline:
        timeout = format_duration(run.rules().ready_timeout_s)
        words = pace.answers.get(server.ref.id) or "no answer"
        return Ended(
            Outcome.FAILED,
            "CheckFailed",
            f"runs, but does not pass its checks within {timeout}: {words}",
        )
    return _out_of_sight(run, server, pace, now)


def _out_of_sight(run: Run, server: ServerState, pace: Pace, now: datetime) -> Ended | None:
    """A server that runs, as far as is known, while the cloud cannot be asked at its deadline."""
    deadline = ready_deadline(run, server)
    if now < deadline or not pace.is_blind(
        0, pace.looked.get(server.ref.id), deadline, now, BLIND_GRACE_S
    ):
        return None
    timeout = format_duration(run.rules().ready_timeout_s)
    return Ended(
        Outcome.UNKNOWN, "CannotSee", f"the cloud could not be asked at the end of its {timeout}"
    )


def _too_late(run: Run, server: ServerState, pace: Pace, now: datetime, what: int) -> Ended | None:
    """A server past its deadline, judged only by a reading of it made since, or when reading
    has failed for a while.

    `what`: the batch whose job it waits for, `0` when it waits for its own state.
    """
    deadline = ready_deadline(run, server)
    seen = pace.seen.get(what) if what else pace.looked.get(server.ref.id)
    blind = pace.is_blind(what, seen, deadline, now, BLIND_GRACE_S) if now >= deadline else None
    if blind is None:
        return None
    timeout = format_duration(run.rules().ready_timeout_s)
    if blind:
        return Ended(
            Outcome.UNKNOWN,
            "CannotSee",
            f"the cloud could not be asked at the end of its {timeout}",
        )
    if server.phase is Phase.ACCEPTED:
        job = run.batches[server.batch or 0].job_id
        return Ended(Outcome.FAILED, JOB_TIMED_OUT, f"its job {job} did not end within {timeout}")
    state = pace.states.get(server.ref.id, "no state seen")
    return Ended(Outcome.FAILED, "NotReady", f"rebooted, but not back within {timeout}: {state}")


def ready_deadline(run: Run, server: ServerState) -> datetime:
    """When a server must be back: `ready.timeout` after the cloud's acceptance, job and
    state together.
    """
    began = server.accepted or server.intended or run.created
    return began + timedelta(seconds=run.group(_group_of(run, server)).ready_timeout_s)


def _group_of(run: Run, server: ServerState) -> str:
    return run.schedule.waves[server.wave - 1].group


def _failing_unseen(run: Run, server: ServerState, pace: Pace, now: datetime) -> Ended | None:
    """A server whose job failed, when looking at it has failed for a while."""
    since = pace.troubles.get(f"looking {server.batch}")
    if since is None or (now - since).total_seconds() < BLIND_GRACE_S:
        return None
    return Ended(
        Outcome.UNKNOWN,
        server.reason,
        f"{server.detail}; the cloud could not be asked what became of it",
    )


def _waited_too_long(run: Run, server: ServerState, pace: Pace, now: datetime) -> Ended | None:
    """A server that no request could be made for within `ready.timeout`; within `wait_at_most`
    where the cloud only throttles.
    """
    if server.phase is not Phase.WAITING:
        return None
    patience = timedelta(seconds=run.rules().ready_timeout_s)
    blocked = pace.blocked.get(server.ref.id)
    if blocked and now - (server.blocked_since or blocked[0]) >= patience:
        return Ended(Outcome.SKIPPED, "ClaimedByOtherRun", f"in flight in {blocked[1]}")
    throttled = run.throttled_since
    if throttled and now - throttled >= timedelta(seconds=run.schedule.wait_at_most_s):
        return Ended(Outcome.FAILED, "NotAccepted", _not_accepted(run, server, "were throttled"))
    if run.trouble_since and now - run.trouble_since >= patience:
        return Ended(Outcome.FAILED, "NotAccepted", _not_accepted(run, server, "could not be sent"))
    return None


def _not_accepted(run: Run, server: ServerState, how: str) -> str:
    """Return what the last request was answered with, and what was seen of the server since."""
    answers = [b.answer for b in run.current_batches() if b.answer]
    last = f", the last with {answers[-1]}" if answers else ""
    seen = "; it was read again since: ACTIVE, idle and not updated" if server.first_asked else ""
    return f"{run.trouble_count} requests {how}{last}{seen}"
