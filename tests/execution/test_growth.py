"""The work of a run grows with its servers, not with their square: by counting what is
looked at, not by time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from runner.errors import StoreError
from runner.execution import fold
from runner.model.events import Event, EventData, Outcome, TargetFailed
from runner.model.schedule import Target, Wave
from tests.execution.setup import Bench, schedule_of
from tests.journal import made


class Counted(tuple[Wave, ...]):
    """Waves that count how many of them are looked at in passing; one by its position is free."""

    looks = 0

    def __iter__(self) -> Iterator[Wave]:
        for wave in super().__iter__():
            type(self).looks += 1
            yield wave

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            type(self).looks += len(found)
        return found


def _looks(waves: int, *, gives_up: bool) -> int:
    """Over a whole run whose every second server fails, in groups of five waves; its last
    half may be given up.
    """
    bench = Bench.of(2 * waves)
    groups = [f"g{n // 5}" for n in range(waves)]
    made = schedule_of([2] * waves, max_failures=2 * waves, group_max=2 * waves, groups=groups)
    targets = (*made.targets, Target("u", "simulator", "r", "1" * 32)) if gives_up else made.targets
    last = groups[waves // 2 :]
    rules = tuple(
        replace(g, target="u" if gives_up and g.name in last else "t") for g in made.groups
    )
    for number in range(0, 2 * waves, 2):
        bench.cloud.fails[f"s-{number:03d}"] = "Ecs.0227"
    run_id = bench.start(replace(made, groups=rules, targets=targets))
    if gives_up:
        bench.store.record(run_id, bench.clock.now(), (TargetFailed("u", "no access"),))
    driver = bench.driver(run_id)
    run = driver.load()
    Counted.looks = 0
    run.schedule = replace(run.schedule, waves=Counted(run.schedule.waves))
    ended = bench.follow(run_id, driver)
    assert ended is run
    assert ended.word == "done"
    assert ended.counts()["failed"] == (waves // 2 if gives_up else waves)
    assert ended.open_on == dict.fromkeys(ended.open_on, 0)
    return Counted.looks


@pytest.mark.parametrize("gives_up", [False, True], ids=["failures", "a target given up"])
def test_waves_that_are_not_on_are_not_looked_at_again_and_again(gives_up: bool) -> None:
    """A run of four times the waves looks at four times as many, with failures and with a
    target that was given up.
    """
    small, large = _looks(20, gives_up=gives_up), _looks(80, gives_up=gives_up)
    assert large <= 6 * max(small, 20)


def test_what_is_taken_back_is_neither_counted_nor_kept() -> None:
    """Events whose storing fails leave no batch behind, nor a server that counts as ended."""
    bench = Bench.of(3)
    run = bench.driver(bench.start(schedule_of([2, 1]))).load()
    first: dict[str, Any] = {"batch": 1, "wave": 1, "target": "t", "servers": ["s-000"]}
    events: list[EventData] = [
        made("wave.started", {"wave": 1}),
        made(
            "wave.checked",
            {"wave": 1, "fit": {"s-000": None}, "skipped": {"s-001": ("Missing", "")}},
        ),
        made("batch.intended", first),
    ]
    journal = [Event(data, bench.clock.now()) for data in events]

    def in_vain() -> None:
        with fold.trial(run, journal):
            assert run.open_on == {"t": 2}
            assert list(run.batches) == [1]
            raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        in_vain()
    assert run.open_on == {"t": 3}
    assert not run.batches
    fold.apply_all(run, journal)
    again = Event(made("batch.intended", {**first, "batch": 2}), bench.clock.now())
    with pytest.raises(fold.IllegalEvent, match="asked for twice"):
        fold.apply(run, again)
    assert list(run.batches) == [1]
    assert run.servers["s-001"].outcome is Outcome.SKIPPED
