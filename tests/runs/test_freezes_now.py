"""Freezes that change while a run is open, in virtual time: what is added holds waves, what
goes opens nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from runner.execution.driver import Driver
from runner.execution.effects import Pace
from runner.execution.site import LiveRules
from runner.loading.current import current_freezes
from runner.model.run import Run
from runner.model.window import CurrentFreezes
from tests.journal import fields_of
from tests.runs.harness import Field, plan_of, simulated
from tests.runs.harness import options_of as options
from tests.runs.test_windows import begin


def write_calendar(path: Path, *events: tuple[datetime, float]) -> None:
    """A calendar of events: begin and hours."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0"]
    for n, (begins, hours) in enumerate(events):
        ends = begins + timedelta(hours=hours)
        lines += [
            "BEGIN:VEVENT",
            f"UID:{n}",
            f"DTSTART:{begins:%Y%m%dT%H%M%SZ}",
            f"DTEND:{ends:%Y%m%dT%H%M%SZ}",
        ]
        lines += ["SUMMARY:hunter2", "END:VEVENT"]
    path.write_text("\r\n".join([*lines, "END:VCALENDAR", ""]))


def driver_at(field: Field, folder: Path, run_id: str) -> Driver:
    """A driver in a process that runs in a checkout."""
    driver = field.driver(run_id)

    class Rules(LiveRules):
        def freezes(self, run: Run, now: datetime) -> CurrentFreezes | None:
            return current_freezes("plans/test.yaml", run.schedule.plan_name, "UTC", folder, now)

    driver.setting = replace(driver.setting, rules=Rules())
    return driver


class Checkout:
    """A repository with a plan of three servers, one a wave, and its calendar."""

    def __init__(self, folder: Path, field: Field) -> None:
        self.folder, self.field = folder, field
        (folder / ".git").mkdir()
        (folder / "plans").mkdir()
        self.calendar = folder / "plans" / "2026.ics"
        self.text = "freeze: [2026.ics]\nwait_at_most: 12h\n" + plan_of("1", pause="10m")
        (folder / "plans" / "test.yaml").write_text(self.text)

    def freeze(self, *events: tuple[float, float]) -> None:
        """In so many hours from now, for so many hours."""
        now = self.field.clock.now()
        write_calendar(self.calendar, *((now + timedelta(hours=h), length) for h, length in events))

    async def begin(self) -> str:
        return await begin(self.field, self.text, self.folder / "plans")

    async def follow(self, run_id: str, until: str = "") -> Run:
        return await self.field.follow(
            run_id, driver=driver_at(self.field, self.folder, run_id), until=until
        )


def test_a_freeze_that_is_added_in_mid_run_holds_the_next_wave(tmp_path: Path) -> None:
    """Nothing is sent while it is on; the journal says why; the run goes on when it is
    over, each server once.
    """

    async def scene() -> None:
        async with simulated(options(3)) as field:
            here = Checkout(tmp_path, field)
            here.freeze((-48, 1))
            run_id = await here.begin()
            await here.follow(run_id, until="pause")
            here.freeze((-1, 6))
            frozen_until = field.clock.now() + timedelta(hours=5)
            run = await here.follow(
                run_id, until="a freeze that was added since the run began is on"
            )
            assert len(field.calls("reboot")) == 1
            (awaited,) = [
                fields_of(e) for e in field.store.events(run_id) if e.type == "window.awaited"
            ]
            assert awaited["current"] is True
            assert datetime.fromisoformat(awaited["until"]) == run.window_opens
            assert run.window_opens
            assert abs(run.window_opens - frozen_until) < timedelta(seconds=2)
            step = await driver_at(field, tmp_path, run_id).advance()
            assert step.can_suspend
            assert step.until == run.window_opens
            run = await here.follow(run_id)
            assert run.word == "done"
            assert run.waves[1].started
            assert run.waves[1].started >= run.created + timedelta(hours=4)
            assert set(field.state.reboot_counts().values()) == {1}
            assert "hunter2" not in str([e.data for e in field.store.events(run_id)])

    asyncio.run(scene())


def test_a_freeze_that_is_taken_out_does_not_open(tmp_path: Path) -> None:
    """The run's own copy holds; an added one that is taken out again lets the run go on at
    the next look.
    """

    async def scene() -> None:
        async with simulated(options(3)) as field:
            here = Checkout(tmp_path, field)
            here.freeze((-1, 3))
            run_id = await here.begin()
            await here.follow(run_id, until="a freeze is on")
            here.calendar.unlink()
            (tmp_path / "plans" / "test.yaml").write_text(plan_of("1", pause="10m"))
            run = await here.follow(run_id, until="pause")
            assert run.waves[0].started
            assert run.waves[0].started - run.created >= timedelta(hours=1, minutes=59)
            (tmp_path / "plans" / "test.yaml").write_text(here.text)
            here.freeze((-1, 100))
            await here.follow(run_id, until="was added since")
            here.freeze()
            began = field.clock.now()
            run = await here.follow(run_id, until="pause")
            assert run.waves[1].started
            assert run.waves[1].started - began <= timedelta(seconds=61)

    asyncio.run(scene())


@pytest.mark.parametrize("wrong", ["hunter2", None])
def test_a_calendar_that_cannot_be_read_closes_and_in_the_end_stops(
    tmp_path: Path, wrong: str | None
) -> None:
    """Cannot tell is closed, with the reason and nothing of the file; after `wait_at_most`
    the run stops.
    """

    async def scene() -> None:
        async with simulated(options(3)) as field:
            here = Checkout(tmp_path, field)
            here.freeze()
            run_id = await here.begin()
            await here.follow(run_id, until="pause")
            if wrong is None:
                here.calendar.unlink()
            else:
                here.calendar.write_text(wrong)
            run = await here.follow(
                run_id, until="the plan's calendars cannot be read now: freeze: the file"
            )
            assert "hunter2" not in run.window_why
            run = await here.follow(run_id)
            assert (run.word, run.stop and run.stop.reason) == ("stopped", "WindowTimeout")
            assert len(field.calls("reboot")) == 1
            assert [e.type for e in field.store.events(run_id)].count("window.awaited") == 1

    asyncio.run(scene())


def test_an_override_holds_for_added_freezes_too(tmp_path: Path) -> None:
    """A person may let a wave begin all the same: it is recorded with what was overridden."""

    async def scene() -> None:
        async with simulated(options(3)) as field:
            here = Checkout(tmp_path, field)
            here.freeze()
            run_id = await here.begin()
            await here.follow(run_id, until="pause")
            here.freeze((-1, 100))
            driver = driver_at(field, tmp_path, run_id)
            driver.pace = Pace(override={"by": "alex", "reason": "CVE"})
            run = await field.follow(run_id, driver=driver)
            assert run.word == "done"
            assert [fields_of(d)["why"] for d in run.decisions] == [
                "a freeze that was added since the run began is on"
            ] * 2

    asyncio.run(scene())


def test_a_wave_that_an_added_freeze_would_meet_waits_for_its_end(tmp_path: Path) -> None:
    """A freeze that begins before the wave would be over holds it like the end of a window."""

    async def scene() -> None:
        async with simulated(options(3, reboot_s=600.0)) as field:
            here = Checkout(tmp_path, field)
            here.freeze()
            run_id = await here.begin()
            await here.follow(run_id, until="pause")
            here.freeze((0.3, 2))
            run = await here.follow(run_id, until="comes sooner")
            assert run.waves[1].started is None

    asyncio.run(scene())
