"""When each wave is expected to begin and end, if nothing goes wrong."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from runner.model.schedule import GroupRules, Rate, Schedule, Wave
from runner.model.shape import Shaped
from runner.model.window import first_fit

REBOOT_S = 60.0
"""A guess, until runs have shown better: small Linux servers are back within a minute of
the request.
"""

SERVERS_PER_MINUTE = 1_000
"""The quota of batch reboot: servers of one project a minute (page "Restarting ECSs in a Batch").
"""


@dataclass(frozen=True, slots=True)
class WaveForecast(Shaped):
    """Seconds since the run's start: first request sent, last server ready."""

    number: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Forecast(Shaped):
    """The expected course of a run. `total_s` has no time for the `approvals` that people
    must give on the way.
    """

    waves: tuple[WaveForecast, ...]
    total_s: float
    approvals: int
    reboot_s: float


def forecast(
    schedule: Schedule,
    reboot_s: float = REBOOT_S,
    servers_per_minute: int = SERVERS_PER_MINUTE,
    begins: datetime | None = None,
) -> Forecast:
    """Expect each server to be back `reboot_s` after its request, and approvals to be given
    at once.

    A wave ends when its last server is ready, `stable_for` included. The bake follows a
    group's last wave, then its pause. No more than `servers_per_minute` are asked for in
    any 60 s, so a large wave is sent in several minutes: 2,500 servers at 1,000 a minute
    are sent at 0, 60 and 120 s. The plan's own `rate`s brake as well. With `begins`, the
    moment of the run's start, waves wait for windows and freezes; one that fits into no
    opening in sight is expected as if there were none.
    """
    rules = {g.name: g for g in schedule.groups}
    of_run = [_Quota(servers_per_minute, 60.0), *_quotas(schedule.rate)]
    of_group = {g.name: _quotas(g.rate) for g in schedule.groups}
    waves: list[WaveForecast] = []
    now, approvals = 0.0, 0
    for wave, following in zip(schedule.waves, (*schedule.waves[1:], None), strict=False):
        group = rules[wave.group]
        if begins is not None:
            now = _opening_s(
                schedule,
                begins,
                now,
                wave_length_s(wave, group, schedule.rate, reboot_s, servers_per_minute),
            )
        first, last = _send([*of_run, *of_group[wave.group]], now, len(wave.servers))
        end = last + reboot_s + group.stable_for_s
        waves.append(WaveForecast(wave.number, first, end))
        now = end
        if following is None or following.group != wave.group:
            now += group.bake_s
        if following is not None:
            now += wave.pause.seconds
            approvals += wave.pause.kind == "approval"
    return Forecast(tuple(waves), now, approvals, reboot_s)


def _opening_s(schedule: Schedule, begins: datetime, now_s: float, length_s: float) -> float:
    if not schedule.windows and not schedule.freezes:
        return now_s
    opens = first_fit(
        schedule.windows, schedule.freezes, begins + timedelta(seconds=now_s), length_s
    )
    return now_s if opens is None else max(now_s, (opens - begins).total_seconds())


def wave_length_s(
    wave: Wave,
    rules: GroupRules,
    run_rate: Rate | None,
    reboot_s: float = REBOOT_S,
    servers_per_minute: int = SERVERS_PER_MINUTE,
) -> float:
    """From the first request of a wave until its last server is ready, with the whole quota
    and rates free.
    """
    quotas = [_Quota(servers_per_minute, 60.0), *_quotas(run_rate), *_quotas(rules.rate)]
    _, last = _send(quotas, 0.0, len(wave.servers))
    return last + reboot_s + rules.stable_for_s


class _Quota:
    """No more than `limit` servers in any `per_s` seconds."""

    def __init__(self, limit: int, per_s: float) -> None:
        self._limit = limit
        self._per_s = per_s
        self._sent: deque[tuple[float, int]] = deque()
        self._used = 0

    def room(self, now: float) -> int:
        while self._sent and self._sent[0][0] <= now - self._per_s:
            self._used -= self._sent.popleft()[1]
        return self._limit - self._used

    def take(self, now: float, servers: int) -> None:
        self._sent.append((now, servers))
        self._used += servers

    def frees_at(self) -> float:
        return self._sent[0][0] + self._per_s


def _quotas(rate: Rate | None) -> list[_Quota]:
    return [] if rate is None else [_Quota(rate.servers, rate.per_s)]


def _send(quotas: list[_Quota], now: float, servers: int) -> tuple[float, float]:
    """Send as soon as every quota lets us, from `now`; when the first and the last went out."""
    first: float | None = None
    while True:
        part = min(servers, *(q.room(now) for q in quotas))
        if part > 0:
            first = now if first is None else first
            for quota in quotas:
                quota.take(now, part)
            servers -= part
        if servers <= 0:
            return (now if first is None else first), now
        now = max(q.frees_at() for q in quotas if q.room(now) <= 0)
