"""Runs with gates in virtual time, against a real HTTP server that answers like Prometheus:
flapping, closed, dead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from runner.checks.gatekeeper import GateSource, NetGatekeeper
from runner.execution.fold import IllegalEvent, apply
from runner.execution.journal import read_run
from runner.model.events import Event, Outcome
from runner.model.gate import GateState
from runner.model.run import Run
from runner.report.run_build import build_report
from tests.cloud.wild import Connection, free_port, wild
from tests.journal import fields_of, made
from tests.runs.harness import Field, Gated, options_of, plan_of, simulated

READS = {
    "list",
    "show",
    "job",
    "actions",
    "groups",
    "limits",
    "tags",
    "projects",
    "token",
    "alarms",
}
GATES = "gates: [{prometheus: {source: main, query: errors, max: 5}}%s]\nwait_at_most: %s\n"


@dataclass
class Metrics:
    """A Prometheus with one number: `value` of the seconds since the run's beginning, None
    for an error 503.
    """

    place: Field
    value: Callable[[float], float | None]
    asked: list[float] = field(default_factory=list)
    began: datetime | None = None

    @property
    def seconds(self) -> float:
        self.began = self.began or self.place.clock.now()
        return (self.place.clock.now() - self.began).total_seconds()

    async def answer(self, connection: Connection) -> None:
        self.asked.append(self.seconds)
        value = self.value(self.seconds)
        sample = {
            "metric": {"__name__": "errors"},
            "value": [self.place.clock.now().timestamp(), str(value)],
        }
        body = json.dumps(
            {"status": "success", "data": {"resultType": "vector", "result": [sample]}}
        )
        head = "HTTP/1.1 200 OK" if value is not None else "HTTP/1.1 503 Told"
        lines = (
            f"{head}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        await connection.send(lines.encode())


@asynccontextmanager
async def guarded(
    servers: int,
    value: Callable[[float], float | None],
    *,
    is_dead: bool = False,
    speaks: str = "huaweicloud",
) -> AsyncIterator[tuple[Field, Metrics]]:
    async with simulated(options_of(servers, switches={"cloud": speaks})) as place:
        metrics = Metrics(place, value)
        async with wild(metrics.answer) as server:
            url = f"http://127.0.0.1:{free_port()}" if is_dead else server.url
            metrics.began = place.clock.now()
            sources = {"main": GateSource("prometheus", url)}
            place.rules = Gated(
                NetGatekeeper(sources, {place.target.name: place.cloud}, place.clock.now, 2.0)
            )
            yield place, metrics


def plan(waves: str, more: str = "", *, wait: str = "1h", **group: object) -> str:
    return GATES % (more, wait) + plan_of(waves, **group)  # type: ignore[arg-type]  # of a plan


def states(place: Field, run: Run) -> list[str]:
    """What the journal tells of the first gate, in order."""
    return [
        fields_of(e)["answers"][0]["state"]
        for e in place.store.events(run.id)
        if e.type == "gates.asked"
    ]


def seconds_of(run: Run, at: datetime | None) -> float:
    assert at is not None
    return (at - run.created).total_seconds()


def reboots_at(place: Field, began: datetime) -> list[float]:
    return [(c.at / 1000) - began.timestamp() for c in place.calls("reboot")]


def test_a_run_goes_on_only_while_a_flapping_gate_is_open() -> None:
    """Closed for the first 100 s and again from 150 s to 400 s: no request leaves then, and
    each server goes down once.

    The wave in flight when the gate closes is followed to its end.
    """

    async def scene() -> None:
        def is_shut(s: float) -> bool:
            return s < 100 or 150 <= s < 400

        async with guarded(6, lambda s: 9.0 if is_shut(s) else 1.0) as (place, metrics):
            run = await place.run(plan("2", pause="10s"))
            assert run.word == "done"
            assert set(place.state.reboot_counts().values()) == {1}
            assert metrics.began
            assert not [s for s in reboots_at(place, metrics.began) if is_shut(s)]
            assert states(place, run) == ["closed", "open", "closed", "open", "open"]
            first, second, _ = run.waves
            assert 100 <= seconds_of(run, first.started) <= 130
            assert 150 <= seconds_of(run, first.ended) < 200
            assert 400 <= seconds_of(run, second.started) <= 440
            assert max(b - a for a, b in zip(metrics.asked, metrics.asked[1:], strict=False)) <= 60

    asyncio.run(scene())


@pytest.mark.parametrize(("is_dead", "reason"), [(False, "GateClosed"), (True, "GateCannotTell")])
def test_a_gate_that_never_opens_stops_the_run(is_dead: bool, reason: str) -> None:
    """After `wait_at_most`, counted from the wave's first wait, the run stops; nothing but
    reads, and no request.
    """

    async def scene() -> None:
        async with guarded(4, lambda s: 9.0, is_dead=is_dead) as (place, _):
            run = await place.run(plan("1, 3"))
            assert run.stop
            assert (run.word, run.stop.reason) == ("stopped", reason)
            assert 3600 <= seconds_of(run, run.ended) <= 3605
            assert {s.outcome for s in run.servers.values()} == {Outcome.NOT_STARTED}
            assert not place.calls("reboot")
            assert {c.call for c in place.calls()} <= READS
            assert len(states(place, run)) == 1
            said = "errors is 9, at most 5 is wanted" if not is_dead else "cannot connect"
            assert said in run.stop.detail

    asyncio.run(scene())


def test_nothing_is_asked_of_the_cloud_once_a_gate_has_closed() -> None:
    """A gate that closes after the canary: from its first bad answer on the cloud's log
    holds no call at all.
    """

    async def scene() -> None:
        async with guarded(5, lambda s: 1.0 if s < 30 else 9.0) as (place, _):
            run = await place.run(plan("1, 100%", pause="1m"))
            assert run.stop
            assert run.stop.reason == "GateClosed"
            assert sum(place.state.reboot_counts().values()) == 1
            closed = next(
                e.at
                for e in place.store.events(run.id)
                if "closed" in str(fields_of(e).get("answers"))
            )
            assert not [c for c in place.calls() if c.at / 1000 >= closed.timestamp()]
            report = build_report(run, place.store.events(run.id))
            assert [(g.wave, g.state) for g in report.gates] == [(1, "open"), (2, "closed")]
            assert report.exit_code == 5

    asyncio.run(scene())


def test_a_gate_in_a_dry_run_is_reported_and_decides_nothing() -> None:
    """A closed gate with `dry_run` and one that nobody can ask: the run goes through, and
    its report shows both.
    """

    async def scene() -> None:
        async with guarded(3, lambda s: 1.0) as (place, _):
            more = (
                ", {name: trial, dry_run: true, prometheus: {source: main, query: errors, min: 2}}"
            )
            more += ", {dry_run: true, http: {source: nowhere}}"
            run = await place.run(plan("1, 100%", more))
            assert run.word == "done"
            report = build_report(run, place.store.events(run.id))
            first = [(g.gate, g.dry_run, g.state) for g in report.gates if g.wave == 1]
            assert first == [
                ("prometheus main", False, "open"),
                ("trial", True, "closed"),
                ("http nowhere/", True, "cannot_tell"),
            ]
            assert "the configuration has no http source nowhere" in {
                g.reason for g in report.gates
            }

    asyncio.run(scene())


def test_an_answer_goes_stale_before_the_first_request() -> None:
    """Approved late, throttled before, held by `max_unavailable`: what was open then is
    asked again just before.
    """

    async def scene() -> None:
        async with guarded(4, lambda s: 1.0 if s < 60 or s > 900 else 9.0) as (place, metrics):
            place.add_rules({"do": "not_active", "servers": {"count": 1}, "for": "100s"})
            run = await place.run(
                plan("100%", servers="{names: ['*']}", max_unavailable=3, ready="{timeout: 20m}")
            )
            assert run.word == "done"
            assert metrics.began
            assert min(reboots_at(place, metrics.began)) > 900
            assert states(place, run) == ["open", "closed", "open"]
            assert seconds_of(run, run.waves[0].started) < 60

    asyncio.run(scene())


def test_a_process_that_dies_while_waiting_loses_nothing() -> None:
    """Another process asks at once, waits on with the same end, and suspends with the
    moment of its next question.
    """

    async def scene() -> None:
        async with guarded(3, lambda s: 9.0 if s < 3000 else 1.0) as (place, metrics):
            run_id = await place.begin(plan("1, 100%"))
            step = await place.driver(run_id).advance()
            assert step.can_suspend
            assert step.due == place.clock.now() + timedelta(seconds=30)
            assert step.waits_for.startswith("gates: prometheus main is closed (errors is 9")
            place.clock.jump(seconds=2400)
            late = await place.driver(run_id).advance()
            assert metrics.asked[-1] == pytest.approx(2400, abs=1)
            assert late.due
            assert 100 < (late.due - place.clock.now()).total_seconds() <= 300
            assert late.run.gates_since == step.run.gates_since
            run = await place.follow(run_id)
            assert run.word == "done"
            assert states(place, run) == ["closed", "open", "open"]

    asyncio.run(scene())


def test_a_run_that_is_resumed_after_its_patience_asks_once_more() -> None:
    """Days after `wait_at_most` has passed one more answer decides: open, and the run goes
    on; closed, and it stops.
    """

    async def scene(later: float) -> Run:
        async with guarded(2, lambda s: 9.0 if s < 1000 else later) as (place, _):
            run_id = await place.begin(plan("1, 1"))
            await place.driver(run_id).advance()
            place.clock.jump(seconds=200_000)
            return await place.follow(run_id)

    assert asyncio.run(scene(1.0)).word == "done"
    assert asyncio.run(scene(9.0)).word == "stopped"


@pytest.mark.parametrize("speaks", ["huaweicloud", "otc"])
def test_cloud_eye_alarms_hold_the_next_wave(speaks: str) -> None:
    """An alarm on a server of the plan closes, one on another server does not; missing
    permission cannot tell.
    """

    async def scene() -> None:
        async with guarded(6, lambda s: 1.0, speaks=speaks) as (place, _):
            schedule, _ = await place.plan("gates: [{alarms: none}]\n" + plan_of("1, 100%"))
            names = [s.name for w in schedule.waves for s in w.servers]
            text = "gates: [{alarms: none}]\n" + plan_of(
                "1, 100%", servers=f"{{names: {json.dumps(names[:4])}}}"
            )
            place.add_rules(
                {"do": "alarm", "servers": {"names": [names[5]]}},
                {
                    "do": "alarm",
                    "name": "shared",
                    "rule": "shared",
                    "servers": {"names": [names[1]]},
                    "for": "10m",
                },
            )
            run_id = await place.begin(text)
            waiting = await place.follow(
                run_id, until="gates: alarms is closed (alarm shared is on for"
            )
            assert not waiting.waves[0].started
            place.add_rules({"do": "error", "on": "alarms", "status": 403, "times": 1, "at": "5m"})
            run = await place.follow(run_id)
            assert run.word == "done"
            assert seconds_of(run, run.waves[0].started) >= 600
            said = states(place, run)
            assert said[0] == "closed"
            assert GateState.CANNOT_TELL.value in said

    asyncio.run(scene())


def test_a_journal_in_which_a_wave_begins_while_a_gate_is_not_open_is_refused() -> None:
    """No event begins a wave, or asks for its first server, before all deciding gates have
    answered open.
    """

    async def scene() -> None:
        async with guarded(1, lambda s: 9.0) as (place, _):
            run_id = await place.begin(plan("1"))
            await place.driver(run_id).advance()
            run = read_run(place.store, run_id)
            assert run.gates_since
            begun = Event(made("wave.started", {"wave": 1}), place.clock.now(), run.seq + 1, 1)
            with pytest.raises(IllegalEvent, match="gate"):
                apply(run, begun)
            assert run.waves[0].started is None

    asyncio.run(scene())


@pytest.mark.parametrize("override", [False, True])
def test_after_a_wait_for_gates_a_wave_begins_in_a_window_only(override: bool) -> None:
    """A wave that had begun and was held by a gate before its first request waits for the next
    window, or for a person who lets it begin outside, which is a decision.
    """

    async def scene() -> None:
        async with guarded(4, lambda s: 1.0 if s < 60 or s > 4_000 else 9.0) as (place, _):
            now = place.clock.now()
            until = now + timedelta(hours=1)
            window = (
                f"windows: [{{days: [{now:%a}], start: '{now:%H:%M}', length: 1h, timezone: "
                f"UTC}}]\n"
            ).lower()
            place.add_rules({"do": "not_active", "servers": {"count": 1}, "for": "100s"})
            text = window.replace("utc", "UTC") + plan(
                "100%", wait="10d", max_unavailable=3, ready="{timeout: 20m}"
            )
            run_id = await place.begin(text)
            driver = place.driver(run_id)
            waiting = await place.follow(run_id, driver=driver, until="window (no window is open)")
            assert waiting.waves[0].started
            assert waiting.waves[0].started < until < place.clock.now()
            assert not place.calls("reboot")
            if override:
                driver.pace.override = {"by": "ann", "reason": "urgent"}
            run = await place.follow(run_id, driver=driver)
            assert run.word == "done"
            assert set(place.state.reboot_counts().values()) == {1}
            (first, *_) = place.calls("reboot")
            since = first.at / 1000 - now.timestamp()
            assert since % (7 * 86_400) < 3600 or override
            assert [e.type for e in run.decisions] == ["window.overridden"] * override

    asyncio.run(scene())
