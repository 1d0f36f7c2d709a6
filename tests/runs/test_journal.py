"""A journal cannot be poisoned: no event is stored that cannot follow, whatever others
append in between.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from runner.errors import CloudDenied, StoreError
from runner.execution import fold
from runner.execution.driver import Driver
from runner.execution.journal import read_run, replay
from runner.model.check import Check
from runner.model.events import EVENTS, Event, EventData, Outcome
from runner.model.gate import Gate, GateState
from runner.model.inventory import PowerState, Task
from runner.model.job import Ambiguous, NotSent, RebootAnswer, Refusal, Refused, Throttled
from runner.model.run import Run
from runner.model.schedule import Pause, Schedule
from runner.model.window import Freeze
from runner.ports.store import JournalMoved, LeaseHeld, RunNotFound
from runner.store.event_json import journal_schema
from runner.store.rows import event_line, written_events
from tests.execution.bedside import bench_of
from tests.execution.memory_cloud import (
    Answer,
    MemoryCloud,
    lost_after_acceptance,
    lost_before_acceptance,
)
from tests.execution.setup import Bench, Keeper, schedule_of
from tests.execution.test_targets import Two, breaks, on_two
from tests.journal import made


def refuse(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
    return Refused("Ecs.0605", "locked", 400, why=(Refusal.LOCKED,), is_divisible=True)


def eventful(kind: str) -> Bench:
    """A bench whose cloud goes wrong in one of several ways."""
    bench = Bench.of(4)
    wrongs: dict[str, list[Answer | None]] = {
        "lost": [
            lambda c, i: Throttled("APIGW.0308", "limit", 5.0),
            lost_after_acceptance,
            lost_before_acceptance,
        ],
        "refused": [lambda c, i: NotSent("no route"), refuse, None],
        "gone": [None],
    }
    bench.cloud.answers = wrongs[kind]
    if kind == "gone":
        bench.cloud.forgotten_jobs, bench.cloud.fails = {"job-1"}, {"s-003": "boot failed"}
    return bench


def journals() -> Iterator[tuple[Schedule, list[Event]]]:
    """Journals that together hold every type of event."""
    for kind in ("lost", "refused", "gone"):
        bench = eventful(kind)
        groups = ["a", "a", "b"]
        schedule = schedule_of(
            [2, 1, 1],
            max_failures=3,
            pause=Pause("timed", 60.0),
            bake_s=30.0,
            groups=groups,
            on_failure="continue",
            group_max=0,
        )
        run_id = bench.start(schedule)
        bench.follow(run_id, until="pause")
        now = bench.clock.now
        bench.store.record(
            run_id, now(), [made("run.suspended", {"why": "no-wait"}), made("run.resumed", {})]
        )
        bench.store.record(
            run_id, now(), [made("note", {"text": "hello"}), made("run.error", {"error": "boom"})]
        )
        run = bench.follow(run_id)
        for server in run.servers.values():
            if server.outcome is Outcome.UNKNOWN:
                data = {
                    "server": server.ref.id,
                    "resolved_as": "rebooted",
                    "by": "ann",
                    "reason": "seen",
                }
                bench.store.record(run_id, now(), [made("server.resolved", data)], open_only=False)
        yield schedule, bench.store.events(run_id)
    bench = eventful("gone")
    schedule = schedule_of([1, 3], pause=Pause("approval"))
    run_id = bench.start(schedule)
    bench.follow(run_id, until="approval")
    bench.store.record(
        run_id, bench.clock.now(), [made("approval.given", {"question": "pause:1", "by": "ann"})]
    )
    bench.follow(run_id, until="come back")
    bench.store.record(
        run_id, bench.clock.now(), [made("cancel.requested", {"by": "ann", "reason": "incident"})]
    )
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    bench = bench_of(
        4, lambda s, now, rebooted: "503" if s == "s-003" or (rebooted and 60 < now < 90) else None
    )
    schedule = schedule_of([2, 2], checks=(Check("tcp", 443),), baseline="count", stable_for_s=60.0)
    run_id = bench.start(schedule)
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    bench = Bench.of(2)
    began, hour = bench.clock.now(), timedelta(hours=1)
    schedule = replace(schedule_of([1, 1]), freezes=(Freeze(began - hour, began + hour),))
    run_id = bench.start(schedule)
    bench.follow(run_id, until="window")
    override = {"wave": 1, "why": "a freeze is on", "by": "ann", "reason": "urgent"}
    bench.store.record(run_id, began, [made("window.overridden", override)])
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    bench = Bench.of(4)
    bench.cloud.fails = {"s-000": "boot failed"}
    schedule = schedule_of([2, 2])
    run_id = bench.start(schedule)
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    bench = bench_of(
        2, lambda s, now, rebooted: "503" if s == "s-001" and 100 < now < 1000 else None
    )
    schedule = schedule_of([2], checks=(Check("tcp", 443),), bake_s=600.0)
    run_id = bench.start(schedule)
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    two = Two.of(4)
    began = two.bench.clock.now()
    breaks(
        two.other,
        two.bench.clock,
        lambda now: (now - began).total_seconds() > 70,
        CloudDenied("no"),
    )
    schedule = on_two([1, 2, 1], ["b", "b", "a"], pause=Pause("timed", 60.0))
    yield schedule, two.bench.store.events(two.run(schedule).id)
    bench = Bench.of(2)
    bench.cloud.servers["s-001"] = replace(
        bench.cloud.servers["s-001"], task=Task.OTHER, words="task image_snapshot"
    )
    bench.cloud.answers = [lost_before_acceptance]
    bench.follow(bench.start(schedule_of([1], plan="other", cycle="c2")), until="come back")
    schedule = schedule_of([2])
    run_id = bench.start(schedule)
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    bench = Bench.of(4)
    bench.cloud.servers["s-003"] = replace(
        bench.cloud.servers["s-003"], state=PowerState.STOPPED, words="status SHUTOFF"
    )
    schedule = schedule_of([2, 2], max_unavailable=2)
    run_id = bench.start(schedule)
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)
    bench = Bench.of(2)
    bench.rules = Keeper([GateState.CLOSED, GateState.CANNOT_TELL, GateState.OPEN])
    schedule = replace(schedule_of([1, 1]), gates=(Gate("alarms"),))
    run_id = bench.start(schedule)
    bench.follow(run_id)
    yield schedule, bench.store.events(run_id)


DENIED = Event(
    made("batch.denied", {"batch": 1, "code": "Ecs.0003", "reason": "no"}),
    Bench.of(1).clock.now(),
    3,
)


def corrupted(event: Event) -> Iterator[Event]:
    """The event itself, and with data of the right types that speaks of something else."""
    yield event
    for key, value in ((f.name, getattr(event.data, f.name)) for f in fields(event.data)):
        wrong: list[Any] = (
            [99] if isinstance(value, int) else ["nobody"] if isinstance(value, str) else []
        )
        if isinstance(value, Mapping) and value:  # the first fits, another does not
            wrong += [{}, {**value, "nobody": next(iter(value.values()))}]
        if isinstance(value, tuple):
            wrong += [(), (*value, "nobody")]
        yield from (replace(event, data=replace(event.data, **{key: other})) for other in wrong)


def specimens(told: list[tuple[Schedule, list[Event]]]) -> list[Event]:
    """Of each type of event one or two."""
    chosen: dict[str, list[Event]] = {"batch.denied": [DENIED]}
    for _, events in told:
        for event in events[1:]:
            if len(chosen.setdefault(event.type, [])) < 2:
                chosen[event.type].append(event)
    assert set(chosen) == set(EVENTS) - {"run.created"}
    return [event for some in chosen.values() for event in some]


def states(journal: list[Event]) -> Iterator[tuple[Run, list[Event]]]:
    """The run before each event that is the first of its type, with that event; and the run
    at its end.
    """
    met: set[str] = set()
    for length in range(1, len(journal) + 1):
        following = journal[length : length + 1]
        if following and following[0].type in met:
            continue
        met.update(e.type for e in following)
        run = replay("r", journal[:length])
        for wave in (
            run.schedule.waves
        ):  # what is remembered of the waves' members and groups changes nothing
            run.members(wave)
            run.group(wave.group)
        yield run, following


def test_an_event_follows_or_changes_nothing() -> None:
    """Every type of event, whole and corrupted, on every state of several runs: it applies,
    or the run stays equal.
    """
    told = list(journals())
    whole = specimens(told)
    broken = [bad for event in whole for bad in corrupted(event)]
    dice = random.Random(1)
    applied, refused = set(), set()
    for _, journal in told:
        for run, following in states(journal):
            before = deepcopy(run)
            for event in (*following, *whole, *dice.sample(broken, 25)):
                if _fits(run, event, before):
                    applied.add(event.type)
                    fold.apply(run, event)
                    run = deepcopy(before)
                    continue
                refused.add(event.type)
                with pytest.raises(fold.IllegalEvent):
                    fold.apply(run, event)
                assert run == before, f"{event.type} was refused, but left a trace"
    assert applied >= set(EVENTS) - {"run.created"}
    assert refused >= set(EVENTS) - {"run.created", "note", "run.error"}


def _fits(run: Run, event: Event, before: Run) -> bool:
    """Whether it can follow; when storing it fails then, the run is what it was."""
    try:
        with fold.trial(run, [event]):
            raise StoreError("the disk is full")  # noqa: TRY301 - the block is the store
    except fold.IllegalEvent:
        fits = False
    except StoreError:
        fits = True
    assert run == before, f"trying {event.type} left a trace"
    return fits


def test_events_are_tried_together() -> None:
    """Of several events none is taken if one of them cannot follow the others."""
    schedule, journal = next(journals())
    run = replay("r", journal[:1])
    first = journal[1]
    assert first.type == "wave.started"
    before = deepcopy(run)
    with pytest.raises(fold.IllegalEvent, match="starts twice"), fold.trial(run, [first, first]):
        raise AssertionError("nothing may be stored now")
    assert run == before
    assert run.schedule == schedule


def test_every_line_is_as_the_published_schema_says() -> None:
    """All types of events, in the form in which a store keeps them; what the schema does
    not know is refused.
    """
    path = Path(__file__).parents[2] / "schemas" / "journal.schema.json"
    schema = json.loads(path.read_text())
    assert schema == journal_schema(), (
        "stale: reboot-runner schema journal > schemas/journal.schema.json"
    )
    validator = Draft7Validator(schema)
    met: set[str] = set()
    for _, events in journals():
        head = ""
        for event in events:
            ((row,), head) = written_events(
                "r", [event.data], event.at, first=event.seq, fence=event.fence, head=head
            )
            line = json.loads(event_line(row))
            validator.validate(line)
            assert row == (
                event.format,
                event.seq,
                line["at"],
                event.type,
                event.fence,
                event.previous,
                row[-1],
            )
            assert not validator.is_valid(line | {"data": line["data"] | {"extra": 1}})
            met.add(event.type)
    assert met >= set(EVENTS) - {"batch.denied"}


class Meddler:
    """Somebody else with access to the store: between any two writes he does what commands
    and old owners may do.
    """

    def __init__(self, bench: Bench, run_id: str, dice: random.Random) -> None:
        self.bench, self.run_id, self.dice = bench, run_id, dice
        self.writes = 0
        self.lost: list[tuple[int, str, int]] = []
        """Batches whose job id some old owner still holds, and how many writes later he is
        able to store it.
        """
        self.deeds: list[str] = []
        real = bench.store.append

        def append(*args: Any, **kwargs: Any) -> list[Event]:
            self.writes += 1
            if dice.random() < 0.35:
                self.meddle()
            return real(*args, **kwargs)

        bench.store.append = append  # type: ignore[method-assign]

    def meddle(self) -> None:
        deed = self.dice.choice(
            [self._late, self._late, self._resolve, self._approve, self._cancel]
        )
        run = read_run(self.bench.store, self.run_id)
        event = deed(run)
        if event is None:
            return
        try:
            open_only = event.type not in ("batch.accepted", "server.resolved")
            self.bench.store.record(
                self.run_id, self.bench.clock.now(), [event], expect=run.seq, open_only=open_only
            )
            self.deeds.append(event.type)
        except (JournalMoved, RunNotFound):
            return

    def deliver_all(self) -> None:
        """Every job id that is still held reaches the store, long after the end."""
        for number, job, _ in self.lost:
            data = {"batch": number, "job": job, "late": True}
            self.bench.store.record(
                self.run_id, self.bench.clock.now(), [made("batch.accepted", data)], open_only=False
            )

    def _late(self, run: Run) -> EventData | None:
        known = [
            (n, job) for n, job, since in self.lost if n in run.batches and since <= self.writes
        ]
        if not known:
            return None
        number, job = self.dice.choice(known)
        return made("batch.accepted", {"batch": number, "job": job, "late": True})

    def _resolve(self, run: Run) -> EventData | None:
        unknown = [i for i, s in run.servers.items() if s.outcome is Outcome.UNKNOWN]
        if not unknown or self.dice.random() < 0.7:
            return None
        # He looks at the server: nobody says `not-rebooted` of one that was.
        server = self.dice.choice(unknown)
        was = "rebooted" if self.bench.cloud.times_rebooted()[server] else "not-rebooted"
        return made(
            "server.resolved", {"server": server, "resolved_as": was, "by": "ann", "reason": "seen"}
        )

    def _approve(self, run: Run) -> EventData | None:
        return (
            made("approval.given", {"question": run.question.id, "by": "ann"})
            if run.question and not run.stop
            else None
        )

    def _cancel(self, run: Run) -> EventData | None:
        if self.dice.random() < 0.9 or run.stop or not run.is_open:
            return None
        return made("cancel.requested", {"by": "ann", "reason": "incident"})


def _random_answer(meddler: Meddler, dice: random.Random) -> Answer:
    def answer(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer | None:
        kind = dice.choice(
            ["fine", "lost", "lost", "lost after", "throttled", "locked", "busy", "not sent"]
        )
        number = max(read_run(meddler.bench.store, meddler.run_id).batches)
        match kind:
            case "lost":
                return Ambiguous("reset")
            case "lost after":
                meddler.lost.append(
                    (number, cloud.accept(ids).job_id, meddler.writes + dice.randint(0, 30))
                )
                return Ambiguous("reset")
            case "throttled":
                return Throttled("APIGW.0308", "limit", 5.0)
            case "locked":
                return Refused("Ecs.0605", "locked", 400, why=(Refusal.LOCKED,), is_divisible=True)
            case "busy":
                return Refused(
                    "Ecs.0611",
                    "one of them",
                    400,
                    why=(Refusal.OTHER, Refusal.BUSY),
                    is_divisible=True,
                )
            case "not sent":
                return NotSent("no route")
        return None

    return answer


async def _drive(bench: Bench, driver: Driver, meddler: Meddler, turns: int = 4_000) -> Run:
    """To the end; approvals come from the meddler, or run out."""
    for _ in range(turns):
        try:
            step = await driver.advance()
        except LeaseHeld:
            bench.lapse()
            continue
        if step.due is None:
            return step.run
        if "approval" in step.waits_for:
            meddler.meddle()
        bench.clock.jump(
            seconds=max(0.001, min(3600.0, (step.due - bench.clock.now()).total_seconds()))
        )
    raise AssertionError("the run did not end")


@pytest.mark.parametrize("on_unknown", ["hold", "retry"])
def test_a_meddler_cannot_poison_a_run(on_unknown: str) -> None:
    """Late job ids, cancels, approvals and resolves at any moment: the journal stays
    readable, nothing goes twice.
    """
    deeds: set[str] = set()
    late_after_all = 0
    for seed in range(25):
        dice = random.Random(seed)
        bench = Bench.of(6)
        bench.cloud.history_readable = dice.random() < 0.7
        bench.cloud.takes = dict.fromkeys(bench.cloud.servers, 0.0) if dice.random() < 0.4 else {}
        bench.cloud.fails = {"s-004": "boot failed"} if dice.random() < 0.3 else {}
        schedule = schedule_of(
            [2, 2, 2], max_failures=6, pause=Pause("timed", 60.0), on_unknown=on_unknown
        )
        run_id = bench.start(schedule)
        meddler = Meddler(bench, run_id, dice)
        bench.cloud.answers = [_random_answer(meddler, dice)] * 40
        run = asyncio.run(_drive(bench, bench.driver(run_id), meddler))
        counts = dict(run.counts())
        meddler.deliver_all()
        told = read_run(bench.store, run_id)
        assert not told.is_open
        assert told.counts()["pending"] == 0
        assert max(bench.cloud.times_rebooted().values(), default=0) <= 1, f"seed {seed}"
        errors = [e for e in bench.store.events(run_id) if e.type == "run.error"]
        assert not errors, f"seed {seed}: {errors[0].data}"
        assert told.counts() == counts
        for server in told.servers.values():
            if server.outcome is Outcome.READY:
                assert bench.cloud.times_rebooted()[server.ref.id] == 1, (
                    f"seed {seed}: ready, but never rebooted"
                )
        deeds |= set(meddler.deeds)
        late_after_all += sum(
            "became known when its wave was over" in s.detail for s in told.servers.values()
        )
    assert deeds == {"batch.accepted", "server.resolved", "approval.given", "cancel.requested"}
    assert late_after_all


def test_a_late_job_id_of_a_wave_that_is_over_ends_no_run() -> None:
    """An `unknown` server whose wave has ended stays unknown when its job id arrives; the
    run goes on to its end.
    """
    bench = Bench.of(4)
    bench.cloud.history_readable = False
    jobs: list[str] = []

    def lost(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
        jobs.append(cloud.accept(ids).job_id)
        return Ambiguous("reset")

    bench.cloud.answers = [None, lost]
    bench.cloud.takes = {"s-002": 0.0}
    run_id = bench.start(schedule_of([2, 1, 1], max_failures=4, pause=Pause("timed", 600)))
    bench.follow(run_id, until="pause")
    bench.clock.jump(seconds=601)
    run = bench.follow(run_id, until="approval")
    assert run.servers["s-002"].outcome is Outcome.UNKNOWN
    bench.store.record(
        run_id,
        bench.clock.now(),
        [
            made("batch.accepted", {"batch": 2, "job": jobs[0], "late": True}),
            made("approval.given", {"question": "proof:2", "by": "ann"}),
        ],
    )
    run = bench.follow(run_id)
    assert run.word == "done"
    assert run.servers["s-002"].outcome is Outcome.UNKNOWN
    assert jobs[0] in run.servers["s-002"].detail
    assert run.servers["s-003"].outcome is Outcome.READY
    assert replay(run_id, bench.store.events(run_id)).counts() == run.counts()


def test_a_late_job_id_brings_servers_of_the_current_wave_back() -> None:
    """While its wave goes on, a server that was given up as unknown is followed by its
    late job id.
    """
    bench = Bench.of(3)
    bench.tuning = type(bench.tuning)(servers_per_request=1)
    bench.cloud.history_readable = False
    bench.cloud.takes = {"s-002": 600.0}
    jobs: list[str] = []

    def lost(cloud: MemoryCloud, ids: Collection[str]) -> RebootAnswer:
        jobs.append(cloud.accept(ids).job_id)
        return Ambiguous("reset")

    bench.cloud.answers = [lost]
    bench.cloud.takes["s-000"] = 0.0
    run_id = bench.start(schedule_of([3], max_failures=3))
    driver = bench.driver(run_id)
    is_unknown: Callable[[Run], bool] = lambda run: run.servers["s-000"].outcome is Outcome.UNKNOWN  # noqa: E731
    asyncio.run(_until(bench, driver, is_unknown))
    bench.store.record(
        run_id,
        bench.clock.now(),
        [made("batch.accepted", {"batch": 1, "job": jobs[0], "late": True})],
    )
    run = bench.follow(run_id, driver)
    assert run.counts()["ready"] == 3
    assert run.failed == 0
    assert set(bench.cloud.times_rebooted().values()) == {1}


async def _until(bench: Bench, driver: Driver, is_met: Callable[[Run], bool]) -> None:
    for _ in range(1_000):
        step = await driver.advance()
        if is_met(step.run):
            return
        assert step.due
        bench.clock.jump(seconds=max(0.001, (step.due - bench.clock.now()).total_seconds()))
    raise AssertionError("it never came to that")


def test_a_journal_that_somebody_edited_is_named_and_left_alone() -> None:
    """What cannot follow is an error of the store with what to think of it, also for a
    process that is under way.
    """
    bench = Bench.of(2)
    run_id = bench.start(schedule_of([1, 1], pause=Pause("timed", 600)))
    driver = bench.driver(run_id)
    bench.follow(run_id, driver, until="pause")
    posts = bench.cloud.calls["reboot"]
    bench.store.record(run_id, bench.clock.now(), [made("wave.ended", {"wave": 7})])
    bench.clock.jump(seconds=900)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be read"):
            asyncio.run(driver.advance())
    with pytest.raises(StoreError, match="cannot be read"):
        bench.read(run_id)
    assert bench.cloud.calls["reboot"] == posts


def test_a_server_is_judged_by_a_reading_of_its_own() -> None:
    """Resumed long after its deadline, a server whose job ended well is looked at before it
    is called not ready.
    """
    bench = Bench.of(2)
    bench.cloud.takes = {"s-000": 20.0, "s-001": 60.0}
    run_id = bench.start(schedule_of([2], max_failures=0))
    driver = bench.driver(run_id)
    asyncio.run(_until(bench, driver, lambda run: run.servers["s-000"].phase == "rebooted"))
    bench.clock.jump(minutes=40)
    run = bench.follow(run_id)
    assert run.counts()["ready"] == 2
    assert run.servers["s-001"].ended
    assert run.servers["s-001"].ended - run.created >= timedelta(minutes=40)
