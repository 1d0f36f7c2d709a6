"""The one loop around `advance`, for whoever drives runs: `run` and `resume`, `reconcile`,
workers, Temporal.

The loop begins steps, waits for the first of them to end, and heeds signals. What is next,
and when to look again, is the word of an `Agenda`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from runner.app.app import App
from runner.execution.site import Setting


@dataclass(frozen=True, slots=True)
class NextSteps:
    """Steps to begin now, by run id, and in how many real seconds to look again at the latest.

    With neither, and none under way, the loop is over.
    """

    steps: Mapping[str, Coroutine[Any, Any, None]] = field(default_factory=dict)
    pause_s: float | None = None


class Agenda(Protocol):
    """What a loop does."""

    async def turn(self, mine: Collection[str]) -> NextSteps:
        """Return what is next. `mine`: the runs whose steps are under way."""
        ...


async def schedule(
    agenda: Agenda,
    ending: asyncio.Event,
    drain_s: float | None = None,
    drains: Callable[[], None] = lambda: None,
) -> None:
    """Step runs until the agenda is done or `ending` is set; then what is under way ends.

    A step ends by itself soon after `ending` is set; `drain_s`: it is cancelled after so
    long. `drains` is called before that wait. Raises what the agenda and its steps raise.
    """
    stop = asyncio.ensure_future(ending.wait())
    tasks: dict[asyncio.Task[None], str] = {}
    try:
        while not ending.is_set():
            turn = await agenda.turn(set(tasks.values()))
            tasks |= {asyncio.ensure_future(step): run_id for run_id, step in turn.steps.items()}
            if not tasks and turn.pause_s is None:
                return
            await asyncio.wait(
                {*tasks, stop}, timeout=turn.pause_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in [t for t in tasks if t.done()]:
                del tasks[task]
                task.result()
        drains()
        if tasks:
            await asyncio.wait(tasks, timeout=drain_s)
            for task in [t for t in tasks if t.done()]:
                del tasks[task]
                task.result()
    finally:
        stop.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.wait({stop, *tasks}, timeout=0.5)


def real_s(setting: Setting, until: datetime) -> float:
    """Return the real seconds until a moment of a run's clock."""
    return (until - setting.clock.now()).total_seconds() / setting.time_scale


@dataclass(slots=True)
class Told:
    """Whether the process was told to end, and by which signal."""

    ending: asyncio.Event
    signal: int | None = None

    @property
    def code(self) -> int:
        """130 or 143; 0 when nobody told."""
        return 128 + self.signal if self.signal else 0


@contextlib.asynccontextmanager
async def signals_handled(app: App, ending: asyncio.Event | None = None) -> AsyncIterator[Told]:
    """The first SIGINT or SIGTERM sets `ending` and says what that means; the second ends
    the process at once.
    """
    loop, told = asyncio.get_running_loop(), Told(ending or asyncio.Event())

    def on_signal(number: int) -> None:
        if told.ending.is_set() and told.signal is not None:
            os._exit(128 + number)
        told.signal = number
        told.ending.set()
        app.talk(
            f"{signal.Signals(number).name}: nothing new is started; what the cloud has accepted "
            f"goes on there."
            " A second signal ends at once; `resume` goes on either way."
        )

    handled = (signal.SIGINT, signal.SIGTERM)
    for number in handled:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, on_signal, number)
    try:
        yield told
    finally:
        for number in handled:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
