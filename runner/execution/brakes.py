"""What holds a wave back besides budgets: `max_unavailable` and `rate`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from runner.model.inventory import Server
from runner.model.run import IN_FLIGHT, Batch, BatchPhase, Phase, Run
from runner.model.schedule import Rate, Wave

NEVER_ASKED = frozenset(
    {BatchPhase.NOT_SENT, BatchPhase.THROTTLED, BatchPhase.REFUSED, BatchPhase.DENIED}
)
"""Requests that provably rebooted nothing: they use up no rate."""


def others_to_read(run: Run, wave: Wave) -> tuple[str, ...]:
    """The servers of the wave's group, those that wait in it excepted, whose state decides
    whether it may go on.

    None where nobody wrote `max_unavailable`, or where it would hold even if all of them were down.
    """
    most = run.group(wave.group).max_unavailable
    if most is None:
        return ()
    waiting = {s.ref.id for s in run.members(wave) if s.phase is Phase.WAITING}
    others = [i for i in run.group_servers(wave.group) if i not in waiting]
    return () if len(waiting) + len(others) <= most.allowed else tuple(others)


def too_many_down(
    run: Run, seen: Mapping[str, Server], others: tuple[str, ...]
) -> tuple[int, int] | None:
    """How many servers of the group would be down with the wave, and how many are down without
    it; None: few enough.

    Down is what is not running, has a task, or is in flight. A server that the cloud does
    not know any more is not down: it is gone. Servers of the wave that are down themselves
    count once, those that cannot be rebooted only so.
    """
    wave = run.wave
    most = run.group(wave.group).max_unavailable if wave else None
    if wave is None or most is None:
        return None
    flying = {i for i in others if i in run.servers and run.servers[i].phase in IN_FLIGHT}
    down = sum(i in flying or (i in seen and not seen[i].is_idle) for i in others)
    found = [
        seen[s.ref.id] for s in run.members(wave) if s.phase is Phase.WAITING and s.ref.id in seen
    ]
    down += sum(not s.is_idle for s in found)
    going = sum(s.is_idle and not s.locked and not s.frozen for s in found)
    return (down + going, down) if going and down + going > most.allowed else None


def room(run: Run, wave: Wave, now: datetime) -> tuple[int | None, datetime, Rate | None]:
    """How many servers `rate` lets the wave ask for now (None: any number), else from when on,
    and which rate it is.

    The rates of run and group hold together. A server counts from the intent of its
    request, for `per`.
    """
    found: tuple[int | None, datetime, Rate | None] = (None, now, None)
    for rate, group in ((run.schedule.rate, None), (run.group(wave.group).rate, wave.group)):
        if rate is None:
            continue
        recent = list(_recent(run, now - timedelta(seconds=rate.per_s), group))
        left = rate.servers - sum(len(b.servers) for b in recent)
        frees = min((b.intended for b in recent), default=now) + timedelta(seconds=rate.per_s)
        if found[0] is None or (left, -frees.timestamp()) < (found[0], -found[1].timestamp()):
            found = (left, frees, rate)
    return found


def _recent(run: Run, since: datetime, group: str | None) -> Iterator[Batch]:
    """Requests that were intended after an instant, the newest first; of one group
    only, if asked.
    """
    for batch in reversed(run.batches.values()):
        if batch.intended <= since:
            return
        if batch.phase in NEVER_ASKED or (
            group and run.schedule.waves[batch.wave - 1].group != group
        ):
            continue
        yield batch
