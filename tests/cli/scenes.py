"""Runs to look at on a terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from runner.execution.journal import replay
from runner.model.events import Event
from runner.model.run import Run
from runner.model.schedule import Pause, Schedule
from tests.execution.setup import Bench, schedule_of
from tests.journal import fields_of, made
from tests.report.cases import Case, case_of

NAME = "prod-platform-web-frontend-eu-de-01-blue-kernel-2026-11-customer-facing-autoscaled-pool-a-node-"  # noqa: E501


def named(schedule: Schedule) -> Schedule:
    """The schedule with names of 100 characters that differ at their ends."""
    waves = [
        replace(w, servers=tuple(replace(s, name=f"{NAME}{s.id[2:]:>05}") for s in w.servers))
        for w in schedule.waves
    ]
    return replace(schedule, waves=tuple(waves))


def long_names() -> tuple[Run, list[Event]]:
    """A run whose second wave has begun, of 39 servers with names of 100 characters, 2 of
    them failed already.
    """
    bench = Bench.of(180)
    schedule = named(schedule_of([1, 39, 35, 35, 35, 35], max_failures=5))
    group = "group-of-a-very-long-name-web-frontend-eu-de-01-blue"
    rules = tuple(replace(g, name=group) for g in schedule.groups)
    schedule = replace(
        schedule, waves=tuple(replace(w, group=group) for w in schedule.waves), groups=rules
    )
    bench.cloud.fails = {"s-001": "boot failed", "s-002": "boot failed"}
    bench.cloud.takes = {f"s-{n:03d}": 200.0 + n for n in range(3, 40)}
    run_id = bench.start(schedule)
    bench.follow(run_id)
    events = list(case_of(bench, run_id).events)
    last = next(
        n
        for n, e in enumerate(events)
        if e.type == "servers.ended" and len(fields_of(e)["servers"]) == 2
    )
    run = replay(run_id, events[: last + 1])
    return run, events[last : last + 1]


def paused_run() -> Case:
    """An interrupted run with pauses between its waves, failures, and servers in flight,
    all with long names.
    """
    bench = Bench.of(60)
    bench.cloud.fails = {
        "s-003": "boot failed",
        "s-004": "boot failed: no bootable device was found",
    }
    schedule = schedule_of(
        [1, 5, 10, 20, 24], max_failures=5, pause=Pause("timed", 600), plan="prod-kernel-2026-11"
    )
    about = replace(schedule.plan, description="Kernel fix for CVE-2026-0000")
    run_id = bench.start(replace(named(schedule), plan=about))
    bench.follow(run_id)
    events = list(case_of(bench, run_id).events)
    accepted = [n for n, e in enumerate(events) if e.type == "batch.accepted"][3]
    last = events[accepted]
    at = last.at + timedelta(seconds=25)
    kept = [
        *events[: accepted + 1],
        Event(made("run.suspended", {"why": "SIGINT"}), at, last.seq + 1),
    ]
    return Case(replay(run_id, kept), kept)
