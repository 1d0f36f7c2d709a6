"""Readiness checks and the baseline, in virtual time: when a server counts as back, and
what a miss leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from runner.execution import fold
from runner.execution.effects import Ask, AskBefore, Pace, ReadBack, Send, Tuning
from runner.execution.machine import decide
from runner.model.check import Check
from runner.model.events import Event, EventData, Outcome, RunCreated, ServersEnded
from runner.model.job import JobStatus
from runner.model.run import Evidence, Phase, Run
from runner.model.window import CurrentFreezes, Freeze
from runner.report.run_build import build_report
from tests.execution.test_deaths import carry_on
from tests.journal import made

from .bedside import Health, bedside, bench_of, old_fault, well
from .memory_cloud import START
from .setup import Bench, schedule_of

TCP = Check("tcp", 443)


def follow(health: Health, waves: Sequence[int] = (1,), **rules: Any) -> tuple[Run, Bench]:
    bench = bench_of(sum(waves), health)
    rules = {"checks": (TCP,), **rules}
    return bench.follow(bench.start(schedule_of(waves, **rules))), bench


def after_reboot_at(seconds: float) -> Health:
    """Well but for the time between its reboot and so many seconds since the beginning."""
    return lambda server, now, rebooted: (
        f"starts until {seconds:g} s" if rebooted and now < seconds else None
    )


def test_a_server_is_ready_when_its_checks_pass() -> None:
    """ACTIVE is not enough: the checks are asked until they pass, and the evidence says so."""
    run, bench = follow(after_reboot_at(100))
    server = run.servers["s-000"]
    assert (server.outcome, server.reason, server.evidence) == (
        Outcome.READY,
        "Rebooted",
        Evidence.CHECK,
    )
    assert server.ended
    assert 100 <= (server.ended - START).total_seconds() <= 110
    assert {check for *_, check in bedside(bench).asked} == {TCP}


def test_each_check_is_asked_until_one_misses() -> None:
    """All checks must pass, in their order; after the first miss the others are not asked
    in that round.
    """
    both = (TCP, Check("ssh_banner", 22))
    _, bench = follow(after_reboot_at(60), checks=both)
    rounds: dict[float, list[Check]] = {}
    for _, at, check in bedside(bench).asked:
        rounds.setdefault(at, []).append(check)
    assert list(rounds.values())[-1] == list(both)
    assert all(asked == [TCP] for at, asked in rounds.items() if at < 60)


def test_checks_that_never_pass_fail_the_server_with_their_words() -> None:
    """At its deadline a server that runs and does not pass is failed, with the last answer
    in the report.
    """
    run, _ = follow(
        lambda server, now, rebooted: f"answered 503 at {now:g}" if rebooted else None,
        ready_timeout_s=300,
    )
    server = run.servers["s-000"]
    assert (server.outcome, server.reason, server.evidence) == (
        Outcome.FAILED,
        "CheckFailed",
        Evidence.STATE,
    )
    assert server.ended
    assert 300 <= (server.ended - START).total_seconds() <= 306
    assert "does not pass its checks within 5m: answered 503 at 30" in server.detail
    assert run.stop
    assert run.stop.reason == "CanaryFailed"


def test_flapping_begins_the_time_of_stable_for_anew() -> None:
    """A server must pass without a miss for as long as `stable_for` says."""

    def flaps(server: str, now: float, rebooted: int) -> str | None:
        return "down again" if 80 <= now < 90 else None

    run, _ = follow(flaps, stable_for_s=60)
    server = run.servers["s-000"]
    assert server.outcome is Outcome.READY
    assert server.healthy_since
    assert (server.healthy_since - START).total_seconds() >= 90
    assert server.ended
    assert server.ended - server.healthy_since >= timedelta(seconds=60)


def test_flapping_for_ever_fails() -> None:
    """Passing every other time is not ready, and it ends."""
    run, _ = follow(
        lambda s, now, r: "down" if int(now / 20) % 2 else None,
        stable_for_s=60,
        ready_timeout_s=300,
    )
    server = run.servers["s-000"]
    assert (server.outcome, server.reason, server.evidence) == (
        Outcome.FAILED,
        "CheckFailed",
        Evidence.STATE,
    )
    assert server.ended
    assert server.ended - START < timedelta(seconds=330)


def test_a_bad_image_takes_one_server_down() -> None:
    """All servers fail their checks once rebooted: the canary shows it, and nothing is asked
    of the cloud afterwards but reads.
    """
    run, bench = follow(
        lambda s, now, rebooted: "no kernel module" if rebooted else None, waves=(1, 10, 30)
    )
    assert run.word == "stopped"
    assert {k: n for k, n in run.counts().items() if n} == {"failed": 1, "not_started": 40}
    assert dict(bench.cloud.times_rebooted()) == {"s-000": 1}
    assert bench.cloud.calls["reboot"] == 1


def test_a_failed_check_within_the_budget_goes_on() -> None:
    """The run's failure budget decides on a failed check as on any other failure."""

    def one_is_bad(server: str, now: float, rebooted: int) -> str | None:
        return "bad" if server == "s-003" and rebooted else None

    run, bench = follow(one_is_bad, waves=(1, 5, 5), max_failures=1)
    assert run.word == "done"
    assert run.counts()["ready"] == 10
    assert bench.cloud.calls["reboot"] == 3
    run, bench = follow(one_is_bad, waves=(1, 5, 5), max_failures=0)
    assert run.word == "stopped"
    assert bench.cloud.calls["reboot"] == 2


def test_waiting_for_checks_costs_the_cloud_little() -> None:
    """While only checks are awaited they are asked, not the cloud."""
    run, bench = follow(
        lambda s, now, rebooted: "starts" if rebooted and now < 800 else None, waves=(50,)
    )
    assert run.counts()["ready"] == 50
    assert bench.cloud.calls["read_servers"] <= 10
    assert len(bedside(bench).asked) >= 50 * 100


def test_a_wave_of_a_thousand_is_asked_a_hundred_at_a_time() -> None:
    """Checks are asked side by side, and never for more than 100 servers at once."""
    import asyncio

    now, most = 0, 0

    class Crowd:
        async def ask(self, address: str, check: Check) -> str | None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            return None

    bench = bench_of(1000, well)
    bench.prober = Crowd()
    run = bench.follow(bench.start(schedule_of([1000], checks=(TCP,))))
    assert run.counts()["ready"] == 1000
    assert most == 100


def test_a_later_process_asks_again_and_goes_on_with_the_same_deadline() -> None:
    """A process that dies while checks are awaited leaves nothing behind but what passed;
    the next one asks itself.
    """
    bench = bench_of(1, after_reboot_at(100))
    run_id = bench.start(schedule_of([1], checks=(TCP,), stable_for_s=300))
    bench.follow(run_id, until="checks")
    bench.lapse()
    before = len(bedside(bench).asked)
    run = bench.follow(run_id)
    assert run.servers["s-000"].outcome is Outcome.READY
    assert len(bedside(bench).asked) > before
    assert run.waves[0].ended
    assert run.waves[0].ended - START < timedelta(seconds=500)


def test_a_server_that_is_well_when_somebody_looks_again_is_no_failure() -> None:
    """A run that is resumed long after the deadline judges by an answer of its own, not by
    the clock.
    """
    bench = bench_of(1, after_reboot_at(100))
    run_id = bench.start(schedule_of([1], checks=(TCP,), stable_for_s=30))
    bench.follow(run_id, until="checks")
    bench.clock.jump(days=1)
    assert bench.follow(run_id).servers["s-000"].outcome is Outcome.READY


@pytest.mark.parametrize("baseline", [None, "exclude", "count"])
def test_a_death_at_any_call_reboots_nothing_twice(baseline: str | None) -> None:
    """Whatever call was a process's last, the next one ends the run: each server once, the
    same outcomes.
    """
    deaths = 0
    for at in range(1, 1000, 3):
        bench = bench_of(
            5,
            lambda s, now, rebooted: "bad" if s == "s-003" or (s == "s-002" and rebooted) else None,
        )
        rules: dict[str, Any] = {
            "checks": (TCP,),
            "stable_for_s": 10,
            "baseline": baseline,
            "ready_timeout_s": 120,
        }
        run_id = bench.start(schedule_of([1, 4], max_failures=9, **rules))
        if not carry_on(bench, run_id, at):
            break
        deaths += 1
        run = bench.read(run_id)
        assert max(bench.cloud.times_rebooted().values(), default=0) <= 1
        assert not run.is_open
        if not any(s.outcome is Outcome.UNKNOWN for s in run.servers.values()):
            words = {i: s.reason.replace("RebootSeen", "Rebooted") for i, s in run.servers.items()}
            third = "UnhealthyBefore" if baseline == "exclude" else "CheckFailed"
            assert words == dict.fromkeys(words, "Rebooted") | {
                "s-002": "CheckFailed",
                "s-003": third,
            }, at
            assert run.failed == {None: 2, "exclude": 1, "count": 1}[baseline]
    assert deaths > 10


# --- baseline -----------------------------------------------------------------


def test_baseline_exclude_leaves_servers_out() -> None:
    """Servers that do not pass before the first wave are skipped with their words and never
    asked for.
    """
    run, bench = follow(old_fault, waves=(1, 4), baseline="exclude")
    assert run.word == "done"
    assert run.counts()["ready"] == 3
    assert {run.servers[i].reason for i in ("s-001", "s-002")} == {"UnhealthyBefore"}
    assert run.servers["s-001"].detail == "was broken all along"
    assert set(bench.cloud.times_rebooted()) == {"s-000", "s-003", "s-004"}


def test_baseline_count_keeps_old_faults_out_of_the_budget_and_new_ones_in() -> None:
    """What failed before and fails again uses up no budget and is told apart; a new failure
    stops the run.
    """
    run, bench = follow(old_fault, waves=(1, 4), baseline="count", ready_timeout_s=120)
    assert (run.word, run.failed, run.counts()["failed"]) == ("done", 0, 2)
    report = build_report(run, bench.store.events(run.id))
    assert report.failed_before == 2
    assert "2 failed (2 of the failed as before the run)" in report.summary
    assert {s.id for s in report.servers if s.unhealthy_before} == {"s-001", "s-002"}

    def and_a_new_one(server: str, now: float, rebooted: int) -> str | None:
        return "new fault" if server == "s-003" and rebooted else old_fault(server, now, rebooted)

    run, _ = follow(and_a_new_one, waves=(1, 4, 4), baseline="count", ready_timeout_s=120)
    assert run.stop
    assert (run.stop.reason, run.failed, run.counts()["failed"]) == ("FailureBudgetExceeded", 1, 3)


def test_baseline_count_of_a_canary() -> None:
    """A canary that was broken before fails no group, but proves nothing: a person is asked."""
    bench = bench_of(5, lambda s, now, rebooted: "old" if s == "s-000" else None)
    rules: dict[str, Any] = {"checks": (TCP,), "baseline": "count", "ready_timeout_s": 120}
    run = bench.follow(bench.start(schedule_of([1, 4], **rules)), until="approval")
    assert run.question
    assert run.question.id == "proof:1"


def test_baseline_stop_reboots_nothing() -> None:
    """One unhealthy server before the first wave stops the run; nothing was asked of the
    cloud but reads.
    """
    run, bench = follow(old_fault, waves=(1, 4), baseline="stop")
    assert run.stop
    assert run.stop.reason == "UnhealthyBefore"
    assert "2 of 5 servers of group web do not pass their checks" in run.stop.detail
    assert run.counts()["not_started"] == 5
    assert bench.cloud.calls["reboot"] == 0


def test_the_baseline_is_asked_once_and_a_miss_twice() -> None:
    """Before the first wave each server is asked; who does not pass is asked again, so that
    one lost packet is none.
    """
    seen = count()

    def first_is_lost(server: str, now: float, rebooted: int) -> str | None:
        return "lost" if server == "s-001" and next(seen) == 0 else None

    run, bench = follow(first_is_lost, waves=(1, 2), baseline="stop")
    assert run.word == "done"
    before = [server for server, at, _ in bedside(bench).asked if at == 0]
    assert sorted(before) == ["s-000", "s-001", "s-001", "s-002"]


def test_without_a_baseline_nothing_is_asked_before() -> None:
    """Checks alone are asked of rebooted servers only."""
    _, bench = follow(well, waves=(1, 2))
    assert all(at > 0 for _, at, _ in bedside(bench).asked)


def test_a_cloud_that_cannot_be_read_delays_the_baseline() -> None:
    """Nothing is rebooted before the baseline has been read."""
    from runner.errors import CloudError

    bench = bench_of(2, well)
    failures = iter([True, True])

    def fail(name: str) -> None:
        if name == "read_servers" and next(failures, False):
            raise CloudError("no answer")

    bench.cloud.before_call = fail
    run = bench.follow(bench.start(schedule_of([2], checks=(TCP,), baseline="exclude")))
    assert run.word == "done"
    assert bench.cloud.reboots[0].began - START == timedelta(seconds=60)


# --- the tables ---------------------------------------------------------------


def run_in(phase: str, baseline: str | None = None) -> Run:
    """A run of two servers, whose first is in this state."""
    rules: dict[str, Any] = {"checks": (TCP,), "baseline": baseline}
    schedule = schedule_of([1, 1], **rules)
    run = fold.begin("r", schedule, Event(RunCreated(schedule), START, 1))
    for event in list(events_to(phase)):
        fold.apply(run, Event(event, START, run.seq + 1))
    return run


WAY: dict[str, EventData] = {
    "baselined": made("baseline.checked", {"group": "web", "asked": 2, "unhealthy": {}}),
    "started": made("wave.started", {"wave": 1}),
    "waiting": made("wave.checked", {"wave": 1, "fit": {"s-000": "u0"}, "skipped": {}}),
    "intended": made(
        "batch.intended", {"batch": 1, "wave": 1, "target": "t", "servers": ["s-000"]}
    ),
    "accepted": made("batch.accepted", {"batch": 1, "job": "j"}),
    "rebooted": made(
        "job.polled",
        {"batch": 1, "servers": {"s-000": [JobStatus.SUCCESS.value, None, None]}, "final": True},
    ),
    "up": made("servers.observed", {"up": ["s-000"], "down": []}),
    "healthy": made("servers.checked", {"passed": ["s-000"], "missed": {}}),
    "ended": made("servers.ended", {"servers": {"s-000": ["ready", "Rebooted", ""]}}),
}


def events_to(phase: str) -> Iterator[EventData]:
    for name, event in WAY.items():
        if phase == "created":
            return
        yield event
        if name == phase:
            return


PASSED = made("servers.checked", {"passed": ["s-000"], "missed": {}})
MISSED = made("servers.checked", {"passed": [], "missed": {"s-000": "503"}})
DOWN = made("servers.observed", {"up": [], "down": ["s-000"]})
BASELINE = made("baseline.checked", {"group": "web", "asked": 2, "unhealthy": {"s-000": "old"}})
OF_NOBODY = made("servers.checked", {"passed": ["s-999"], "missed": {}})
OF_NO_GROUP = made("baseline.checked", {"group": "db", "asked": 0, "unhealthy": {}})
LEGAL = {
    ("up", "PASSED"): ("healthy", Evidence.CHECK),
    ("up", "MISSED"): ("up", Evidence.STATE),
    ("up", "DOWN"): ("down", Evidence.STATE),
    ("healthy", "PASSED"): ("healthy", Evidence.CHECK),
    ("healthy", "MISSED"): ("up", Evidence.STATE),
    ("healthy", "DOWN"): ("down", Evidence.STATE),
    ("rebooted", "DOWN"): ("down", Evidence.JOB),
    ("created", "BASELINE"): ("skipped", Evidence.NONE),
}
EVENTS: dict[str, EventData] = {
    "PASSED": PASSED,
    "MISSED": MISSED,
    "DOWN": DOWN,
    "BASELINE": BASELINE,
    "OF_NOBODY": OF_NOBODY,
    "OF_NO_GROUP": OF_NO_GROUP,
}
HARMLESS = {"DOWN"}
"""Observations that follow in every state."""


def word_of(run: Run) -> str:
    server = run.servers["s-000"]
    if server.outcome:
        return server.outcome.value
    return "healthy" if server.healthy_since else "up" if server.up_since else "down"


@pytest.mark.parametrize("phase", ["created", *WAY])
@pytest.mark.parametrize("name", EVENTS)
def test_each_state_and_event(phase: str, name: str) -> None:
    """Answers follow only of servers that run again, a baseline only before the first wave;
    no other is taken.
    """
    run = run_in(phase, "exclude")
    wanted = LEGAL.get((phase, name))
    event = Event(EVENTS[name], START + timedelta(seconds=1), run.seq + 1)
    if wanted is not None:
        fold.apply(run, event)
        assert (word_of(run), run.servers["s-000"].evidence) == wanted
    elif name not in HARMLESS:
        before = snapshot(run)
        with pytest.raises(fold.IllegalEvent):
            fold.apply(run, event)
        assert snapshot(run) == before


def snapshot(run: Run) -> Any:
    return (
        run.seq,
        set(run.baselined),
        [{f: getattr(s, f) for f in s.__dataclass_fields__} for s in run.servers.values()],
    )


AT = {"early": START + timedelta(seconds=10), "late": START + timedelta(seconds=901)}


@dataclass(frozen=True)
class Case:
    """What the machine does of a server that runs, is `healthy` or not, was asked and
    looked at so long ago (s).
    """

    healthy: bool
    asked: float | None
    looked: float | None
    at: str
    then: str
    known: bool = True
    blind: bool = False
    stable: float = 0.0


CASES = {
    "never asked": Case(False, None, 1, "early", "Ask"),
    "address not known": Case(False, None, None, "early", "ReadBack", known=False),
    "just missed": Case(False, 1, 1, "early", "wait"),
    "asked a while ago": Case(False, 5, 1, "early", "Ask"),
    "passes": Case(True, 0, 0, "early", "ready"),
    "passed for an earlier process": Case(True, None, 0, "early", "Ask"),
    "passes, not looked at": Case(True, 0, None, "early", "ReadBack"),
    "passes, not for long": Case(True, 1, 1, "early", "wait", stable=60),
    "late, never asked": Case(False, None, 1, "late", "Ask"),
    "late, asked before": Case(False, 5, 1, "late", "Ask"),
    "late, missed since": Case(False, 0, 1, "late", "CheckFailed"),
    "late, passes": Case(True, 0, 0, "late", "ready"),
    "late, passes, but not for long": Case(True, 1, 1, "late", "ready", stable=60),
    "late, not to be read": Case(False, None, None, "late", "CannotSee", known=False, blind=True),
    "late, passes, not to be read": Case(True, 0, None, "late", "CannotSee", blind=True),
}


@pytest.mark.parametrize("name", CASES)
def test_each_state_and_moment(name: str) -> None:
    """What is done next with a server that runs, by what its checks said and when;
    never a request.
    """
    case = CASES[name]
    run, now = run_in("healthy" if case.healthy else "up"), AT[case.at]
    run.schedule = replace(
        run.schedule,
        groups=tuple(replace(g, stable_for_s=case.stable) for g in run.schedule.groups),
    )
    run._groups.clear()
    step = decide(run, pace_of(case, now), now, lambda target: Tuning())
    assert not any(isinstance(e, Send) for e in step.effects)
    if case.then in ("ready", "CheckFailed", "CannotSee"):
        (event,) = step.events
        assert isinstance(event, ServersEnded)
        assert case.then in event.servers["s-000"]
    else:
        assert not step.events
        kinds = {"Ask": Ask, "ReadBack": ReadBack}
        wanted = kinds.get(case.then)
        assert any(isinstance(e, wanted) for e in step.effects) if wanted else not step.effects
        assert step.effects or step.wake


def pace_of(case: Case, now: datetime) -> Pace:
    def ago(seconds: float | None) -> datetime:
        return now - timedelta(seconds=seconds or 0)

    pace = Pace()
    if case.known:
        pace.addresses["s-000"] = "10.0.0.1"
    if case.asked is not None:
        pace.asked["s-000"], pace.answers["s-000"] = ago(case.asked), "503"
    if case.looked is not None:
        pace.looked["s-000"] = pace.read_back = ago(case.looked)
    if case.blind:
        pace.trying[0] = pace.read_back = ago(200)
    return pace


def test_the_baseline_comes_first() -> None:
    """Before the first wave of a plan that wants it nothing is done but that."""
    run = run_in("created", "count")
    step = decide(run, Pace(calendars=(1, CurrentFreezes())), START, lambda target: Tuning())
    assert step.effects == (AskBefore("t", "web", ("s-000", "s-001")),)
    assert not step.events
    assert decide(run, Pace(), START, lambda t: Tuning(), "halted for now").effects == ()
    assert Phase.WAITING is run.servers["s-000"].phase


def test_the_baseline_is_of_the_moment_that_the_window_opens() -> None:
    """While a freeze is on nobody is asked: what broke during the wait counts as broken
    before the first wave.
    """
    began = timedelta(hours=1)

    def breaks(server: str, now: float, rebooted: int) -> str | None:
        return "broke while we waited" if server == "s-001" and now > 1_800 else None

    bench = bench_of(4, breaks)
    schedule = schedule_of([4], checks=(TCP,), baseline="exclude")
    run_id = bench.start(replace(schedule, freezes=(Freeze(START - began, START + began),)))
    bench.follow(run_id, until="window")
    assert bedside(bench).asked == []
    run = bench.follow(run_id)
    assert min(at for _, at, _ in bedside(bench).asked) >= 3_600
    assert (run.servers["s-001"].outcome, run.servers["s-001"].reason) == (
        Outcome.SKIPPED,
        "UnhealthyBefore",
    )
    assert run.counts()["ready"] == 3
    assert bench.cloud.times_rebooted()["s-001"] == 0
