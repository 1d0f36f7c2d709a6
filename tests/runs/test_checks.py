"""Readiness over the network: a simulated cloud in virtual time, and a real HTTP server at
each server's address.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.checks.prober import NetProber
from runner.model.events import Outcome
from runner.model.run import Evidence, Run
from runner.simulator.fleet import FleetOptions
from runner.simulator.inventory import load_fleet
from runner.simulator.state import CloudOptions
from tests.cloud.wild import free_port
from tests.runs.harness import Field, plan_of, simulated

READS = {"list", "show", "job", "actions", "groups", "tags", "token", "projects", "limits"}
READY = (
    "{timeout: 5m, checks: [{http: {scheme: http, port: %d, path: /health, body: well}}, "
    "{tcp: {port: %d}}]%s}"
)
Health = Callable[["Ward", int], str]
"""(the ward, a server's number) -> `well`, `ill` (503), `lies` (200 without the text) or `hangs`.
"""


@dataclass
class Ward:
    """A cloud whose server n is at 127.0.9.n, and what answers there."""

    place: Field
    port: int
    health: Health
    asked: list[tuple[int, float]] = field(default_factory=list)

    def rebooted(self, number: int) -> int:
        (server,) = self.place.ids(f"s-{number:02d}")
        return self.place.state.reboot_counts().get(server, 0)

    def seconds(self) -> float:
        return self.place.clock.seconds() - self.began

    def __post_init__(self) -> None:
        self.began = self.place.clock.seconds()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = int(writer.get_extra_info("sockname")[0].rpartition(".")[2])
        try:
            if not (await reader.readline()).startswith(b"GET /health "):
                return
            self.asked.append((number, self.seconds()))
            state = self.health(self, number)
            if state == "hangs":
                await reader.read()
                await asyncio.sleep(30)
            status, body = {"well": (200, "well"), "ill": (503, "well"), "lies": (200, "fine")}[
                state
            ]
            writer.write(
                f"HTTP/1.1 {status} Told\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def plan(self, waves: str, more: str = "", **rules: object) -> str:
        return plan_of(waves, ready=READY % (self.port, self.port, more), **rules)  # type: ignore[arg-type]  # of a plan


@asynccontextmanager
async def ward(
    tmp_path: Path, servers: int, health: Health, *, listens: bool = True
) -> AsyncIterator[Ward]:
    numbers = range(1, servers + 1)
    path = tmp_path / "servers.json"
    path.write_text(
        json.dumps([{"name": f"s-{n:02d}", "address": f"127.0.9.{n}"} for n in numbers])
    )
    fleet = load_fleet(path, FleetOptions(seed=1, reboot_seconds=40))
    async with simulated(CloudOptions(fleet=fleet)) as field:
        here = Ward(field, free_port(), health)
        field.prober = NetProber(longest_s=1.0)
        if not listens:
            yield here
            return
        try:
            server = await asyncio.start_server(
                here.answer, [f"127.0.9.{n}" for n in numbers], here.port
            )
        except OSError:
            pytest.skip("this machine has one loopback address only")
        async with server:
            yield here


def nothing_but_reads_after_the_last_reboot(field: Field) -> None:
    calls = [c.call for c in field.calls()]
    assert set(calls) <= READS | {"reboot"}
    last = max(n for n, call in enumerate(calls) if call == "reboot")
    assert set(calls[last + 1 :]) <= READS


def test_a_bad_image_takes_exactly_one_server_down(tmp_path: Path) -> None:
    """Every server fails its check once rebooted: the canary shows it, and the cloud is
    only read from then on.
    """

    async def scene() -> None:
        async with ward(tmp_path, 30, lambda w, n: "ill" if w.rebooted(n) else "well") as here:
            run = await here.place.run(here.plan("1, 10, 100%", max_failures=5))
            assert run.stop
            assert run.stop.reason == "CanaryFailed"
            (failed,) = [s for s in run.servers.values() if s.outcome is Outcome.FAILED]
            assert (failed.reason, failed.evidence) == ("CheckFailed", Evidence.STATE)
            assert "answered 503, 200 is wanted" in failed.detail
            assert sum(here.place.state.reboot_counts().values()) == 1
            assert run.failed <= run.schedule.worst_case.failures_before_stop
            assert run.counts()["not_started"] == 29
            nothing_but_reads_after_the_last_reboot(here.place)

    asyncio.run(scene())


def test_slow_and_flapping_servers_are_waited_for(tmp_path: Path) -> None:
    """A server that starts slowly is ready when it answers, one that flaps when it has been
    well for long enough.
    """

    def health(here: Ward, n: int) -> str:
        since = here.seconds()
        if n == 1:
            return "ill" if since < 150 else "well"
        if n == 2:
            return "lies" if 60 < since < 90 else "well"
        return "well"

    async def scene() -> Run:
        async with ward(tmp_path, 5, health) as here:
            run = await here.place.run(here.plan("100%", ", stable_for: 30s"))
            nothing_but_reads_after_the_last_reboot(here.place)
            return run

    run = asyncio.run(scene())
    assert run.word == "done"
    assert {s.evidence for s in run.servers.values()} == {Evidence.CHECK}
    took = {
        s.ref.name: (s.ended - run.created).total_seconds() for s in run.servers.values() if s.ended
    }
    assert 180 <= took["s-01"] <= 195
    assert 120 <= took["s-02"] <= 135
    assert all(took[name] <= 90 for name in ("s-03", "s-04", "s-05"))


def test_dead_and_lying_servers_fail_with_what_they_said(tmp_path: Path) -> None:
    """What each server said last stands in its detail; the budget decides, and no
    request follows.
    """

    async def scene() -> None:
        async with ward(tmp_path, 4, lambda w, n: {1: "lies", 2: "ill"}.get(n, "well")) as here:
            run = await here.place.run(here.plan("3, 1", max_failures=1))
            by_name = {s.ref.name: s for s in run.servers.values()}
            assert "answered 200 without the text 'well'" in by_name["s-01"].detail
            assert "answered 503" in by_name["s-02"].detail
            assert by_name["s-03"].outcome is Outcome.READY
            assert by_name["s-04"].reason == "FailureBudgetExceeded"
            assert len(here.place.calls("reboot")) == 1
            nothing_but_reads_after_the_last_reboot(here.place)
        async with ward(tmp_path, 2, lambda w, n: "well", listens=False) as here:
            run = await here.place.run(here.plan("1, 1"))
            (failed,) = [s for s in run.servers.values() if s.outcome is Outcome.FAILED]
            assert "cannot connect" in failed.detail
            assert sum(here.place.state.reboot_counts().values()) == 1

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("baseline", "word", "rebooted"),
    [("exclude", "done", 4), ("count", "done", 6), ("stop", "stopped", 0)],
)
def test_baseline(tmp_path: Path, baseline: str, word: str, rebooted: int) -> None:
    """Servers that were ill before are left out, counted apart, or stop the run before
    anything is asked for.
    """

    async def scene() -> None:
        async with ward(tmp_path, 6, lambda w, n: "ill" if n in (3, 4) else "well") as here:
            run = await here.place.run(here.plan("1, 100%", f", baseline: {baseline}"))
            assert (run.word, run.failed) == (word, 0)
            assert sum(here.place.state.reboot_counts().values()) == rebooted
            assert {n for n, at in here.asked if at == 0} == {1, 2, 3, 4, 5, 6}

    asyncio.run(scene())


def test_a_process_that_ends_does_not_wait_for_checks(tmp_path: Path) -> None:
    """Told to end while a server keeps a check waiting, a process lets it go; the next one
    asks again.
    """

    async def scene() -> None:
        async with ward(tmp_path, 1, lambda w, n: "well" if w.seconds() > 200 else "hangs") as here:
            here.place.prober = NetProber(longest_s=60)
            run_id = await here.place.begin(here.plan("1"))
            driver = here.place.driver(run_id)
            began = 0.0

            async def end() -> None:
                nonlocal began
                while not here.asked:
                    await asyncio.sleep(0.01)
                began = time.monotonic()
                driver.ending.set()

            ender = asyncio.create_task(end())
            run = await here.place.follow(
                run_id, driver=driver, until=lambda run: driver.ending.is_set()
            )
            await ender
            assert time.monotonic() - began < 2
            assert run.is_open
            here.place.clock.jump(seconds=200)
            assert (await here.place.follow(run_id)).counts()["ready"] == 1

    asyncio.run(scene())


def test_servers_that_fall_ill_in_the_bake_stop_the_run_before_the_next_group(
    tmp_path: Path,
) -> None:
    """Over the network: a check fails in mid-bake, a server is switched off: both are lost,
    nothing more is sent.
    """

    async def scene() -> None:
        async with ward(
            tmp_path, 4, lambda w, n: "ill" if n == 1 and w.seconds() > 600 else "well"
        ) as here:
            text = here.plan("100%", servers="{names: [s-01, s-02]}", bake="1h", max_failures=0)
            two = here.plan("100%", servers="{names: [s-03, s-04]}").partition("groups:")[2]
            run_id = await here.place.begin(text + two.replace("name: all", "name: more"))
            await here.place.follow(run_id, until="bake")
            here.place.add_rules({"do": "not_active", "servers": {"names": ["s-02"]}})
            run = await here.place.follow(run_id)
            assert run.stop
            assert run.stop.reason == "FailureBudgetExceeded"
            found = {s.ref.name: s.reason for s in run.servers.values()}
            assert found["s-02"] == "LostInBake"
            assert found["s-03"] == found["s-04"] == "FailureBudgetExceeded"
            assert len(here.place.calls("reboot")) == 1
            nothing_but_reads_after_the_last_reboot(here.place)
        async with ward(
            tmp_path, 4, lambda w, n: "ill" if n == 1 and w.seconds() > 600 else "well"
        ) as here:
            run = await here.place.run(here.plan("1, 3", bake="1h", max_failures=9))
            assert run.stop
            assert run.stop.reason == "CanaryFailed"
            assert run.servers[here.place.ids("s-01")[0]].reason == "UnhealthyInBake"
            nothing_but_reads_after_the_last_reboot(here.place)

    asyncio.run(scene())
