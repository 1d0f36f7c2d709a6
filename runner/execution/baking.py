"""The bake at the end of a group: whom it watches and when, and what a reading of them means. Pure.

A bake is a stored start and length. While it lasts, and once more when its time is over,
the group's ready servers are looked at: one list a round, the checks after it. Whoever is
not well is looked at again soon, and is lost only when nothing else was seen of it for
MISSED_FOR_S; the bake does not end before that is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from runner.execution.effects import Pace, Step, WatchBake
from runner.model.events import (
    BakeEnded,
    BakeObserved,
    BakeStarted,
    EventData,
    Outcome,
    ServersLost,
    Why,
)
from runner.model.inventory import PowerState, Server, Task
from runner.model.quantity import format_duration
from runner.model.run import Run, ServerState
from runner.model.schedule import GroupRules

OFTEN_S = 60.0
SELDOM_S = 300.0
BACK_OFF = 0.1
"""A round comes after a tenth of what the bake has lasted so far, between the two above."""
AGAIN_S = 20.0
"""How often the servers are looked at while one of them is not well."""
MISSED_FOR_S = 120.0
"""For how long a server must not have been seen well to be lost: a busy one is waited for
as long before a wave.
"""


def rules_now(run: Run) -> GroupRules | None:
    """The group at whose end the run stands, while its bake is on or to come; None where
    there is nothing to watch.
    """
    if not run.position or run.stop is not None:
        return None
    name = run.schedule.waves[run.position - 1].group
    rules = run.group(name)
    if rules.bake_s <= 0 or name in run.baked or rules.target in run.failed_targets:
        return None
    if run.wave is not None and (run.wave.group == name or run.waves[run.position].started):
        return None
    return rules if run.bake_began or watched(run, name) else None


def watched(run: Run, group: str) -> list[ServerState]:
    """The ready servers of a group; of those that a person has resolved that person
    knows better.
    """
    own = (w for w in run.schedule.waves[: run.position] if w.group == group)
    return [
        s
        for w in own
        for s in run.members(w)
        if s.outcome is Outcome.READY and s.resolution is None
    ]


def ends(run: Run, rules: GroupRules) -> datetime:
    """When the time of the bake that is on is over."""
    assert run.bake_began is not None  # noqa: S101 - asked only while one is on
    return run.bake_began + timedelta(seconds=rules.bake_s)


def waits(run: Run, now: datetime) -> Step | None:
    """What the run waits for at the end of a group; None when its bake is over, or
    there is none.
    """
    rules = rules_now(run)
    if rules is None:
        return None
    if run.bake_began is None:
        return Step(events=(BakeStarted(rules.name, rules.bake_s),))
    until = ends(run, rules)
    if now < until:
        words = f"bake until {until.isoformat(timespec='seconds')}"
        return Step(wake=until, waits_for=words, can_suspend=True, until=until)
    return Step(waits_for=f"a look at group {rules.name}, whose bake is over", can_suspend=True)


def rounds(run: Run, pace: Pace, now: datetime) -> Iterator[tuple[datetime, WatchBake]]:
    """The next look at the group that bakes, and when it is due; also while the run waits
    for a person or is halted.
    """
    rules = rules_now(run)
    servers = watched(run, rules.name) if rules and run.bake_began else []
    if rules is not None and servers:
        due = max(_due(run, pace, servers, ends(run, rules)), pace.watch_again or now)
        yield due, WatchBake(rules.target, rules.name, tuple(s.ref.id for s in servers))


def _due(run: Run, pace: Pace, servers: list[ServerState], end: datetime) -> datetime:
    began, last = run.bake_began or end, _last(run, pace)
    if last is None:
        return min(began + timedelta(seconds=OFTEN_S), end)
    if any(s.missing_since for s in servers):
        return last + timedelta(seconds=AGAIN_S)
    gap = min(
        max((last - began) * BACK_OFF, timedelta(seconds=OFTEN_S)), timedelta(seconds=SELDOM_S)
    )
    return min(last + gap, end) if last < end else last + gap


def _last(run: Run, pace: Pace) -> datetime | None:
    """The last round of this bake that this process has made."""
    return (
        pace.watched if pace.watched and run.bake_began and pace.watched >= run.bake_began else None
    )


def over(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    """The end of a bake: its servers were looked at after its time, and nobody is waited
    for; or nobody is left.
    """
    rules = rules_now(run)
    if rules is None or run.bake_began is None:
        return ()
    servers, last = watched(run, rules.name), _last(run, pace)
    if servers and (
        last is None or last < ends(run, rules) or any(s.missing_since for s in servers)
    ):
        return ()
    lost = sum(
        s.lost is not None
        for w in run.schedule.waves
        if w.group == rules.name
        for s in run.members(w)
    )
    return (BakeEnded(rules.name, len(servers), lost),)


def not_running(server: Server | None) -> str | None:
    """Why a server that was ready is not well, by what the cloud shows; None while it runs and
    is not on its way out.

    Any other task (a snapshot, say) does not keep it from its work.
    """
    if server is None:
        return "the cloud does not know it any more"
    is_well = server.state is PowerState.RUNNING and server.task is not Task.STOP
    return None if is_well else server.words


def seen_events(
    run: Run, group: str, down: Mapping[str, str], ill: Mapping[str, str], at: datetime
) -> tuple[EventData, ...]:
    """What one round changed: who is not well since now, who is again, and who is lost.

    `down`: servers that do not run, `ill`: those that run and do not pass their checks,
    with words; `at`: when they were read.
    """
    rules = rules_now(run)
    if rules is None or rules.name != group or run.bake_began is None:
        return ()
    words = {**ill, **down}
    servers = watched(run, group)
    missed = {
        s.ref.id: words[s.ref.id] for s in servers if s.ref.id in words and s.missing_since is None
    }
    back = [s.ref.id for s in servers if s.missing_since is not None and s.ref.id not in words]
    events: list[EventData] = []
    if missed or back:
        events.append(BakeObserved(group, missed, tuple(back)))
    lost: dict[str, Why] = {}
    for server in servers:
        since = server.missing_since
        if (
            since is not None
            and server.ref.id in words
            and (at - since).total_seconds() >= MISSED_FOR_S
        ):
            missed_for = format_duration(float(round((at - since).total_seconds())))
            reason = "LostInBake" if server.ref.id in down else "UnhealthyInBake"
            detail = f"was ready, and has not been well for {missed_for}: {words[server.ref.id]}"
            lost[server.ref.id] = Why(reason, detail)
    if lost:
        events.append(ServersLost(group, lost))
    return tuple(events)
