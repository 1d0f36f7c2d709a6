"""What a dry-run announced, what the simulated cloud's log tells, and whether one exceeds
the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from runner.execution.journal import create_run
from runner.model.run import Run
from runner.model.schedule import Schedule
from runner.planning.forecast import forecast
from runner.report.diff import PlanDiff, diff_json
from runner.report.diff_sections import diff_text
from runner.report.schedule_json import load
from tests.runs.harness import Field

FILE = "plans/test.yaml"
WORST = re.compile(
    r"worst case (?:all )?(\d+) \w+ before it stops(?:, (?:all )?(\d+) if only a bake shows them)?"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A dry-run as its reader has it. `announced`: the worst case of its first line, which
    its JSON tells as well.
    """

    first_line: str
    announced: int
    largest: int
    schedule: Schedule


async def show(place: Field, text: str) -> Shown:
    """The dry-run of a plan; the schedule is read back from its JSON, as `run` reads a
    saved one.
    """
    made, _ = await place.plan(text)
    diff = PlanDiff(FILE, made, forecast(made))
    (told,) = json.loads(diff_json([diff]))["plans"]
    raw: dict[str, Any] = told["schedule"]
    first_line = diff_text(diff).splitlines()[0]
    assert first_line == told["summary"]
    found = WORST.search(first_line)
    assert found, first_line
    announced = max(int(number) for number in found.groups() if number)
    worst = raw["worst_case"]
    assert announced == max(worst["failures_before_stop"], worst.get("failures_in_bake", 0))
    return Shown(first_line, announced, worst["down_at_once"], load(json.dumps(raw)))


async def begin(place: Field, shown: Shown) -> str:
    """A run of the very schedule that was shown."""
    inventory = await place.cloud.inventory()
    baseline = {
        s.id: inventory.by_id[s.id].updated for w in shown.schedule.waves for s in w.servers
    }
    return create_run(
        place.store, shown.schedule, place.clock.now(), {"tool_version": "test"}, baseline
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """One run beside its dry-run. `down`, `at_once` and `failed` are the log's; `counted` is
    what the run says.

    `down`: servers that were rebooted; `at_once`: the most that were down at one time,
    those that never came back included; `failed`: whose job failed, or who did not run at
    the end, or (where a scenario has checks) did not pass them; `counted`: failed and
    unknown. `broken`: laws that did not hold, a sentence each.
    """

    shown: Shown
    down: int
    at_once: int
    failed: int
    counted: int
    ending: str
    broken: tuple[str, ...]

    @property
    def is_within(self) -> bool:
        return max(self.failed, self.counted, self.at_once) <= self.shown.announced


def judge(
    place: Field, shown: Shown, run: Run, *, ill: Collection[str] = (), broken: Collection[str] = ()
) -> Trial:
    """The trial of a run that is over. `ill`: servers (ids) that were rebooted and fail a
    check that they had passed before; `broken`: what the scenario itself has found.
    """
    reboots = place.state.accepted_reboots()
    asked = {r.server_id for r in reboots}
    lost = {i for i in asked if place.state.server_status(i) != "ACTIVE"}
    failed = {r.server_id for r in reboots if r.status != "SUCCESS"} | lost | (asked & set(ill))
    steps = [(r.begins, 1) for r in reboots]
    steps += [(r.back, -1) for r in reboots if r.back is not None and r.server_id not in lost]
    laws = list(broken)
    if run.is_open:
        laws.append("the run has not ended")
    if any(n > 1 for n in place.state.reboot_counts().values()):
        laws.append("a server was rebooted twice")
    if run.stop is not None and any(
        c.at > run.stop.at.timestamp() * 1000 for c in place.calls("reboot")
    ):
        laws.append("a reboot was asked for after the stop")
    if any(s.outcome is None for s in run.servers.values()):
        laws.append("a server has no outcome")
    return Trial(
        shown,
        down=len(asked),
        at_once=max(accumulate(step for _, step in sorted(steps)), default=0),
        failed=len(failed),
        counted=run.failed,
        ending=f"{run.word}: {run.stop.reason}" if run.stop else run.word,
        broken=tuple(laws),
    )
