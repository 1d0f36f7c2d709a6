"""Runs with windows and freezes in virtual time: they wait, suspend, go on the next night,
and never start outside.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runner.execution.effects import Pace
from runner.execution.journal import create_run
from runner.execution.site import LiveRules
from runner.loading.plan import LoadOptions, load_text, plan_digest, require
from runner.model.run import Run
from runner.model.window import CurrentFreezes, Freeze
from runner.planning.fleet import Fleet, TargetFleet
from runner.planning.schedule import make_schedule
from runner.simulator.timeline import from_millis
from tests.journal import fields_of
from tests.runs.harness import Field, options_of, plan_of, simulated

NIGHTS = (
    "windows: [{days: [mon, tue, wed, thu, fri, sat, sun], start: '22:00', length: 2h, "
    "timezone: Europe/Berlin}]\n"
)


def at_night(field: Field, hour: int, minute: int = 0) -> datetime:
    """Move the clock to the next such time in Berlin (in winter, an hour ahead of UTC)."""
    now = field.clock.now()
    then = now.replace(hour=hour - 1, minute=minute, second=0, microsecond=0)
    then += timedelta(days=then < now)
    field.clock.jump(seconds=(then - now).total_seconds())
    return field.clock.now()


async def begin(field: Field, text: str, folder: Path | None = None) -> str:
    """A run of a plan with calendars in a folder."""
    options = (
        LoadOptions(files=lambda name: (folder / name).read_bytes()) if folder else LoadOptions()
    )
    plan = require(load_text(text, "plans/test.yaml", options))
    inventory = await field.cloud.inventory()
    made = make_schedule(
        plan,
        plan_digest(plan),
        Fleet.of([TargetFleet(field.target, inventory)]),
        now=field.clock.now(),
    ).schedule
    assert made is not None
    baseline = {s.id: inventory.by_id[s.id].updated for w in made.waves for s in w.servers}
    return create_run(field.store, made, field.clock.now(), {"tool_version": "test"}, baseline)


def starts(run: Run) -> list[str]:
    return [f"{w.started:%d %H:%M}" if w.started else "" for w in run.waves]


def test_a_window_closes_between_waves_and_the_run_goes_on_the_next_nights(tmp_path: Path) -> None:
    """Three nights: the window closes, a freeze takes the second night, the rest follows in
    the third; each once.
    """

    async def scene() -> None:
        async with simulated(options_of(12)) as field:
            first = at_night(field, 21, 30)
            frozen = first.date() + timedelta(days=1)
            lines = (
                "BEGIN:VCALENDAR",
                "VERSION:2.0",
                "BEGIN:VEVENT",
                "UID:1",
                f"DTSTART;VALUE=DATE:{frozen:%Y%m%d}",
            )
            (tmp_path / "2026.ics").write_text(
                "\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""])
            )
            text = NIGHTS + "freeze: [2026.ics]\n" + plan_of("1, 3, 4", pause="50m")
            run_id = await begin(field, text, tmp_path)
            before = await field.follow(run_id, until="no window is open")
            assert starts(before) == ["", "", "", ""]
            run = await field.follow(run_id, until="a freeze is on")
            assert [w.started is not None for w in run.waves] == [True, True, True, False]
            step = await field.driver(run_id).advance()
            assert step.can_suspend
            assert step.due is not None
            assert step.due.astimezone(UTC).strftime("%H:%M") == "21:00"
            assert step.due - first > timedelta(days=1, hours=23)
            field.clock.jump(seconds=(step.due - field.clock.now()).total_seconds())
            run = await field.follow(run_id)  # another process, another night
            assert run.word == "done"
            assert run.counts()["ready"] == 12
            assert set(field.state.reboot_counts().values()) == {1}
            assert all(w.started and w.started.hour in (21, 22) for w in run.waves)

    asyncio.run(scene())


def test_a_wave_that_would_not_be_over_in_time_does_not_start() -> None:
    """With what the run has learned of reboots: ten minutes do not fit into the last nine."""

    async def scene() -> None:
        async with simulated(options_of(3, reboot_s=600.0)) as field:
            at_night(field, 23, 30)
            run_id = await begin(field, NIGHTS + plan_of("1", pause="11m"))
            run = await field.follow(run_id, until="more than is left")
            assert [w.started is not None for w in run.waves] == [True, False, False]
            run = await field.follow(run_id)
            assert run.word == "done"
            assert [int(s[:2]) - int(starts(run)[0][:2]) for s in starts(run)[1:]] in (
                [1, 1],
                [-30, -30],
                [-29, -29],
            )

    asyncio.run(scene())


def test_a_wave_in_flight_is_sent_to_its_end() -> None:
    """A wave that has begun sends every batch, also when the window closes between two of them."""

    async def scene() -> None:
        async with simulated(options_of(4)) as field:
            end = at_night(field, 23, 57) + timedelta(minutes=3)
            run_id = await begin(field, NIGHTS + plan_of("100%"))
            field.add_rules({"do": "throttle", "on": "reboot", "times": 5, "retry_after": "60s"})
            run = await field.follow(run_id)
            assert run.word == "done"
            accepted = [b.answered for b in run.batches.values() if b.job_id]
            assert all(at and at > end for at in accepted)
            assert set(field.state.reboot_counts().values()) == {1}

    asyncio.run(scene())


def test_a_wait_for_a_window_has_an_end() -> None:
    """After `wait_at_most`, counted from when the waiting began, the run stops and says
    why; nothing was sent.
    """

    async def scene() -> None:
        async with simulated(options_of(2)) as field:
            at_night(field, 12)
            run_id = await begin(field, NIGHTS + "wait_at_most: 3h\n" + plan_of("1"))
            run = await field.follow(run_id)
            assert run.word == "stopped"
            assert run.stop is not None
            assert run.stop.reason == "WindowTimeout"
            assert run.ended is not None
            assert run.ended - run.created < timedelta(hours=3, minutes=1)
            assert field.calls("reboot") == []

    asyncio.run(scene())


def test_an_override_holds_for_the_process_that_was_given_it() -> None:
    """Each wave that begins outside is a decision in the journal, with who and why; the
    next process waits again.
    """

    async def scene() -> None:
        async with simulated(options_of(3)) as field:
            at_night(field, 12)
            run_id = await begin(field, NIGHTS + plan_of("1", pause="1h"))
            driver = field.driver(run_id)
            driver.pace = Pace(override={"by": "alex", "reason": "CVE"})
            run = await field.follow(run_id, driver=driver, until=lambda r: r.position == 2)
            assert [fields_of(d)["wave"] for d in run.decisions] == [1, 2]
            assert {(fields_of(d)["by"], fields_of(d)["reason"]) for d in run.decisions} == {
                ("alex", "CVE")
            }
            run = await field.follow(run_id, until="no window is open")
            assert run.waves[2].started is None
            run = await field.follow(run_id)
            assert len(run.decisions) == 2
            assert set(field.state.reboot_counts().values()) == {1}

    asyncio.run(scene())


def asked_at(field: Field) -> list[datetime]:
    """When servers were asked for: the simulated cloud's word."""
    return [from_millis(c.at) for c in field.calls("reboot")]


def test_a_wave_that_has_not_sent_anything_waits_for_the_next_window() -> None:
    """A rate holds the second wave, which has begun, until the window is closed: nothing is
    sent before the next night, whoever goes on with the run, and then all comes to its end.
    """

    async def scene() -> None:
        async with simulated(options_of(3)) as field:
            at_night(field, 23, 50)
            closes = field.clock.now() + timedelta(minutes=10)
            text = NIGHTS + plan_of("1", rate="{servers: 1, per: 20m}", pause="1m")
            run_id = await begin(field, text)
            run = await field.follow(run_id, until="no window is open")
            assert [w.started is not None for w in run.waves] == [True, True, False]
            (first,) = asked_at(field)
            assert first < closes
            step = await field.driver(run_id).advance()  # another process knows it as well
            assert step.can_suspend
            assert "no window is open" in step.waits_for
            run = await field.follow(run_id)
            assert run.word == "done"
            opens = closes + timedelta(hours=22)
            second, third = asked_at(field)[1:]
            assert opens <= second < third < opens + timedelta(hours=2)
            assert set(field.state.reboot_counts().values()) == {1}

    asyncio.run(scene())


def test_a_freeze_that_is_added_holds_a_wave_that_has_not_sent_anything() -> None:
    """The calendars are read again before the first request, not only before the wave is
    said to begin.
    """

    async def scene() -> None:
        async with simulated(options_of(2)) as field:
            run_id = await begin(field, plan_of("1", rate="{servers: 1, per: 20m}"))
            driver = field.driver(run_id)
            frozen: list[Freeze] = []

            class Rules(LiveRules):
                def freezes(self, run: Run, now: datetime) -> CurrentFreezes | None:
                    return CurrentFreezes(tuple(frozen))

            driver.setting = replace(driver.setting, rules=Rules())
            await field.follow(run_id, driver=driver, until="rate")
            assert len(field.calls("reboot")) == 1
            now = field.clock.now()
            ends = now + timedelta(days=1)
            frozen.append(Freeze(now - timedelta(hours=1), ends))
            run = await field.follow(run_id, driver=driver)
            assert run.word == "done"
            assert asked_at(field)[-1] >= ends

    asyncio.run(scene())


def test_a_wave_that_is_overridden_in_its_wait_is_recorded_once() -> None:
    """`--override-window` lets a wave that has begun and sent nothing go on, and the
    journal says so one time.
    """

    async def scene() -> None:
        async with simulated(options_of(2)) as field:
            at_night(field, 23, 50)
            run_id = await begin(
                field, NIGHTS + plan_of("1", rate="{servers: 1, per: 20m}", pause="1m")
            )
            await field.follow(run_id, until="no window is open")
            driver = field.driver(run_id)
            driver.pace = Pace(override={"by": "ann", "reason": "urgent"})
            run = await field.follow(run_id, driver=driver)
            assert run.word == "done"
            assert [e.type for e in field.store.events(run_id)].count("window.overridden") == 1

    asyncio.run(scene())
