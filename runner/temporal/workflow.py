"""The workflow that drives a run: `advance`, sleep until it is due, again. It holds no truth;
the run's journal does.

Whatever Temporal repeats, loses or runs twice is harmless: `advance` takes the run's lease
and goes on from the journal. This module is loaded into Temporal's sandbox for workflows,
so it imports next to nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

WORKFLOW = "reboot-runner-run"
ADVANCE = "reboot-runner-advance"
WAKE = "wake"
STATE = "state"

STEP_MOST = timedelta(minutes=10)
"""A step that takes longer is given to another worker; the first may go on, the journal
lets only one of them write.
"""
SILENCE = timedelta(seconds=10)
"""A worker that is not heard of for so long is dead: its step is given to another one."""


@dataclass
class RunProgress:
    """Where a step left a run, for whoever queries the workflow; `reboot-runner status` tells more.

    `due_s`: in how many seconds to come again, None when the run has ended. `waits_for`: a
    sentence.
    """

    word: str = ""
    due_s: float | None = 0.0
    waits_for: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class DriveRequest:
    """What a workflow is about. `left`: how it was when its history became too long and it
    began a new one.
    """

    run: str
    left: RunProgress = field(default_factory=RunProgress)


def id_of(run_id: str) -> str:
    """The workflow's id: there is one for a run, whoever starts it."""
    return f"reboot-runner/{run_id}"


@workflow.defn(name=WORKFLOW)
class DriveRun:
    """One run, from wherever it is to its end."""

    def __init__(self) -> None:
        self._left = RunProgress()
        self._is_woken = False

    @workflow.run
    async def run(self, order: DriveRequest) -> RunProgress:
        """Ends with the run."""
        self._left = order.left
        while True:
            self._is_woken = False
            self._left = await workflow.execute_activity(
                ADVANCE,
                order.run,
                result_type=RunProgress,
                start_to_close_timeout=STEP_MOST,
                heartbeat_timeout=SILENCE,
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
                ),
            )
            if self._left.due_s is None:
                return self._left
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    DriveRequest(order.run, self._left)
                )  # which begins with a step: no wake is lost
            try:
                await workflow.wait_condition(lambda: self._is_woken, timeout=self._left.due_s)
            except asyncio.TimeoutError:  # noqa: UP041 - the name that Temporal documents
                continue

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Somebody has written into the journal: do not sleep on. It says nothing else, and
        decides nothing.
        """
        self._is_woken = True

    @workflow.query(name=STATE)
    def state(self) -> RunProgress:
        """How the last step left the run."""
        return self._left
