"""The process dies – before and after every single call to store and cloud – and another
one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from runner.execution.journal import replay
from runner.model.events import Event, Outcome
from runner.model.job import RebootAnswer, Refusal, Refused, Throttled
from runner.model.schedule import Pause

from .memory_cloud import Answer, MemoryCloud, lost_after_acceptance
from .setup import Bench, schedule_of


class Death(BaseException):
    """The process is gone at this instant: nothing of it runs any more."""


WRITES = ("create", "take", "append", "record", "touch", "give_back")


class Mortal:
    """Counts every call to store and cloud and dies at one of them, before or after it."""

    def __init__(self, bench: Bench, at: int) -> None:
        self.at, self.count, self.dead = at, 0, False
        self.bench = bench
        bench.cloud.before_call = lambda name: self.tick()
        bench.cloud.after_call = lambda name: self.tick()
        self.store: Any = _Dying(bench.store, self.tick)

    def tick(self) -> None:
        if self.dead:
            raise Death
        self.count += 1
        if self.count == self.at:
            self.dead = True
            raise Death


class _Dying:
    """A store whose writes can be the last thing a process does."""

    def __init__(self, store: Any, tick: Callable[[], None]) -> None:
        self._store, self._tick = store, tick

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._tick()
            result = method(*args, **kwargs)
            self._tick()
            return result

        return call


def refuse_s3(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer | None:
    """One locked server makes the cloud refuse the whole batch."""
    return (
        Refused("Ecs.0605", "locked", 400, why=(Refusal.LOCKED,), is_divisible=True)
        if "s-003" in ids
        else None
    )


TROUBLE: list[Answer | None] = [
    lambda c, i: Throttled("APIGW.0308", "limit", 5.0),
    None,
    refuse_s3,
    refuse_s3,
    lost_after_acceptance,
]


def bench_with_trouble() -> Bench:
    bench = Bench.of(9)
    bench.cloud.answers = list(TROUBLE)
    bench.cloud.fails = {"s-008": "boot failed"}
    return bench


def carry_on(bench: Bench, run_id: str, at: int) -> bool:
    """Run until death at call `at`, then let new processes finish; False when the run ended
    before that call.
    """
    mortal = Mortal(bench, at)
    driver = bench.driver(run_id)
    driver.setting = type(driver.setting)(
        **{f: getattr(driver.setting, f) for f in driver.setting.__dataclass_fields__}
        | {"store": mortal.store}
    )
    try:
        bench.follow(run_id, driver)
    except Death:
        pass
    else:
        return False
    bench.cloud.before_call = bench.cloud.after_call = lambda name: None
    bench.lapse()
    bench.follow(run_id)
    return True


@pytest.mark.parametrize("on_unknown", ["hold", "retry"])
def test_a_death_at_any_call_reboots_nothing_twice(on_unknown: str) -> None:
    """Whatever call was the last one of a process, the next one ends the run and reboots no
    server again.
    """
    deaths, unknown = 0, 0
    first = 1 if on_unknown == "hold" else 2  # every other call in each mode: together all of them
    for at in range(first, 2_000, 2):
        bench = bench_with_trouble()
        run_id = bench.start(
            schedule_of([1, 4, 4], max_failures=9, pause=Pause("timed", 60), on_unknown=on_unknown)
        )
        if not carry_on(bench, run_id, at):
            break
        deaths += 1
        run = bench.read(run_id)
        times = bench.cloud.times_rebooted()
        assert max(times.values(), default=0) <= 1, f"death at call {at}"
        assert not run.is_open
        for server in run.servers.values():
            assert server.outcome, f"death at call {at}: no outcome"
            if server.outcome is Outcome.READY:
                assert times[server.ref.id] == 1, f"death at call {at}: ready without a reboot"
        unknown += run.counts()["unknown"]
    assert deaths > 30
    assert unknown == 0 or on_unknown == "hold"


def test_every_prefix_of_a_journal_ends_the_same() -> None:
    """Resuming from each prefix of a journal never repeats a request, and ends with the
    same outcomes or unknown.
    """
    schedule = schedule_of([1, 4, 4], max_failures=9)
    whole = Bench.of(9)
    whole.cloud.answers = [None, lost_after_acceptance]
    run_id = whole.start(schedule)
    whole.follow(run_id)
    events = whole.store.events(run_id)
    outcomes = {i: s.outcome for i, s in whole.read(run_id).servers.items()}
    for length in range(1, len(events)):
        bench = Bench.of(9)
        fresh = bench.start(schedule)
        bench.clock.jump(seconds=(events[length - 1].at - bench.clock.now()).total_seconds())
        intents = sum(1 for e in events[:length] if e.type == "batch.intended")
        bench.cloud.reboots = [
            r for r in whole.cloud.reboots if int(r.job.removeprefix("job-")) <= intents
        ]
        bench.store.record(fresh, bench.clock.now(), [e.data for e in events[1:length]])
        _with_their_times(bench, fresh, events[:length])
        run = bench.follow(fresh)
        assert max(bench.cloud.times_rebooted().values()) == 1, f"prefix of {length}"
        assert not run.is_open
        stopped = (
            {Outcome.UNKNOWN, Outcome.NOT_STARTED} if run.word == "stopped" else {Outcome.UNKNOWN}
        )
        for server_id, server in run.servers.items():
            assert server.outcome in {outcomes[server_id], *stopped}, (
                f"prefix of {length}: {server_id}"
            )


def _with_their_times(bench: Bench, run_id: str, events: list[Event]) -> None:
    for event in events:
        bench.store.db.execute(
            "update event set at = ? where run = ? and seq = ?",
            (event.at.isoformat(), run_id, event.seq),
        )


def test_replay_is_what_was_lived() -> None:
    """Folding a journal gives the state that the process had which wrote it."""
    bench = bench_with_trouble()
    run_id = bench.start(schedule_of([1, 4, 4], max_failures=9))
    lived = bench.follow(run_id)
    told = replay(run_id, bench.store.events(run_id))
    assert told.counts() == lived.counts()
    assert {i: (s.phase, s.reason, s.ended) for i, s in told.servers.items()} == {
        i: (s.phase, s.reason, s.ended) for i, s in lived.servers.items()
    }
