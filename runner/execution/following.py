"""Servers in flight: what is read of them, and when. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from runner.execution import baking
from runner.execution.deadlines import ready_deadline
from runner.execution.effects import Ask, Effect, Look, Pace, Poll, ReadBack, Recheck, Tuning
from runner.execution.evidence import is_held, needs_a_look, round_due
from runner.model.run import Batch, BatchPhase, Phase, Run, ServerState

AFTER_THROTTLE_S = 2.0
"""How long after a throttled answer servers are read at the earliest: their state lags behind."""
STRAGGLER_READ_S = 120.0
"""How often states are read while some servers of the wave are still rebooting."""

TuningOf = Callable[[str], Tuning]
"""How a target is driven, by its name."""


def follow(
    run: Run, pace: Pace, now: datetime, tuning: TuningOf
) -> tuple[list[Effect], list[datetime]]:
    """Effects that are due for servers in flight, and when the next will be."""
    effects: list[Effect] = []
    wakes: list[datetime] = []
    members = run.members(run.wave) if run.wave else []
    flying = _follow_ups(run, members, pace, now, tuning) if run.wave else ()
    for due, effect in (*flying, *baking.rounds(run, pace, now)):
        if due <= now:
            effects.append(effect)
        else:
            wakes.append(due)
    wakes += [d for d in (_next_deadline(run, members, now),) if d]
    return effects, wakes


def _follow_ups(
    run: Run, members: list[ServerState], pace: Pace, now: datetime, tuning: TuningOf
) -> Iterator[tuple[datetime, Effect]]:
    waiting_for_job: set[int] = set()
    back: list[str] = []
    refused: dict[datetime, list[str]] = {}
    failing: dict[int, list[str]] = {}
    for s in members:
        if s.phase is Phase.ACCEPTED and s.batch:
            waiting_for_job.add(s.batch)
        elif s.phase in (Phase.REBOOTED, Phase.ADOPTED):
            back.append(s.ref.id)
        elif s.phase is Phase.REFUSED:
            refused.setdefault(_recheck_due(run, s, pace, now), []).append(s.ref.id)
        elif s.phase is Phase.FAILING:
            failing.setdefault(s.batch or 0, []).append(s.ref.id)
    target = run.rules().target
    tune = tuning(target)
    for number in sorted(waiting_for_job):
        batch = run.batches[number]
        if batch.phase is BatchPhase.ACCEPTED and batch.job_id:
            yield _poll_due(run, batch, pace, now, tune), Poll(number, target, batch.job_id)
    for batch in run.current_batches():
        suspects = list(failing.get(batch.number, ()))
        in_question = needs_a_look(batch)
        if in_question:
            suspects += (i for i in batch.servers if is_held(run.servers[i], batch))
        if suspects or in_question:
            yield _look_due(batch, pace, now, tune), Look(batch.number, target, tuple(suspects))
    if back:
        seldom = (waiting_for_job and _began_rebooting(members)) or _only_checks_miss(run, members)
        gap = STRAGGLER_READ_S if seldom else tune.poll_every_s
        began = run.waves[run.position].started
        last = pace.read_back if pace.read_back and began and pace.read_back >= began else None
        first = _first_straggler_read(members, now) if waiting_for_job else now
        yield (last + timedelta(seconds=gap) if last else first), ReadBack(target, tuple(back))
        for due, servers in _due_checks(run, members, pace, now, tune).items():
            yield due, Ask(target, run.rules().name, tuple(servers))
    for due, servers in refused.items():
        yield due, Recheck(target, tuple(servers))


def _due_checks(
    run: Run, members: list[ServerState], pace: Pace, now: datetime, tune: Tuning
) -> dict[datetime, list[str]]:
    """Servers that run again and whose address this process knows, by when their checks are due."""
    due: dict[datetime, list[str]] = {}
    for server in members if run.rules().checks else ():
        server_id = server.ref.id
        if (
            server.phase in (Phase.ADOPTED, Phase.REBOOTED)
            and server.up_since
            and server_id in pace.addresses
        ):
            asked = pace.asked.get(server_id)
            at = asked + timedelta(seconds=tune.poll_every_s) if asked else now
            due.setdefault(max(at, now), []).append(server_id)
    return due


def _only_checks_miss(run: Run, members: list[ServerState]) -> bool:
    """Whether all that are back run, and only their checks do not pass: those tell sooner
    than the cloud would.
    """
    back = [s for s in members if s.phase in (Phase.ADOPTED, Phase.REBOOTED)]
    return bool(run.rules().checks) and all(s.up_since and not s.healthy_since for s in back)


def _recheck_due(run: Run, server: ServerState, pace: Pace, now: datetime) -> datetime:
    """At once after a refusal; after a throttled answer when it may be repeated, and the
    state has had time to show.
    """
    due = pace.recheck_again or now
    batch = run.batches[server.batch or 0]
    if batch.phase is BatchPhase.THROTTLED and batch.answered is not None:
        due = max(due, batch.answered + timedelta(seconds=AFTER_THROTTLE_S), run.send_after or due)
    return due


def _began_rebooting(members: list[ServerState]) -> bool:
    return any(s.phase is Phase.ACCEPTED for s in members)


def _first_straggler_read(members: list[ServerState], now: datetime) -> datetime:
    """While jobs still run, those that ended are read only when they have waited for the
    others a while.
    """
    ended = [s.job_ended for s in members if s.phase is Phase.REBOOTED and s.job_ended]
    return min(ended) + timedelta(seconds=STRAGGLER_READ_S) if ended else now


def _poll_due(run: Run, batch: Batch, pace: Pace, now: datetime, tune: Tuning) -> datetime:
    """Every `poll_every`; the first not before the shortest reboot seen, and placed so that
    one falls just behind the longest seen. At a server's deadline there is always one more.
    """
    last = pace.polled.get(batch.number)
    if last is not None:
        due = last + timedelta(seconds=tune.poll_every_s)
    else:
        due = (batch.answered or batch.intended) + timedelta(
            seconds=_first_poll_s(run, tune.poll_every_s)
        )
    deadline = min((ready_deadline(run, run.servers[i]) for i in batch.servers), default=due)
    seen = pace.seen.get(batch.number)
    if now >= deadline and (seen is None or seen < deadline) and last is None:
        return now
    return due


def _first_poll_s(run: Run, every_s: float) -> float:
    shortest, longest = run.shortest_s or 0.0, run.longest_s or 0.0
    if shortest <= every_s:
        return every_s
    return shortest + (longest + 0.5 - shortest) % every_s


def _look_due(batch: Batch, pace: Pace, now: datetime, tune: Tuning) -> datetime:
    """Return when to look for proof: at once, then at every poll, and exactly when a
    reading may prove "no trace".
    """
    again = pace.look_again.get(batch.number)
    if again is None:
        return now
    counts = round_due(batch, tune.settle_s)
    return min(again, counts) if counts > now and needs_a_look(batch) else again


def _next_deadline(run: Run, members: list[ServerState], now: datetime) -> datetime | None:
    followed = (Phase.ACCEPTED, Phase.ADOPTED, Phase.REBOOTED, Phase.FAILING)
    late = [ready_deadline(run, s) for s in members if s.phase in followed]
    return min((d for d in late if d > now), default=None)
