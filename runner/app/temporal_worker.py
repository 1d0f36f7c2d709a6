"""A worker whose runs are driven by Temporal: its workflows say which run is next, the step
is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from runner.app.app import App
from runner.app.scheduler import NextSteps, schedule
from runner.app.worker_base import AT_ONCE, Base, OpenRuns, Options, based
from runner.errors import InvalidInput, StoreError
from runner.ports.store import RunNotFound, RunRow
from runner.report.safe import plain
from runner.temporal.driving import Cluster, Connection, NoSuchRun, NotNow, TemporalError, connect
from runner.temporal.workflow import RunProgress

RIVAL_S = 2.0
"""In how many seconds a workflow comes again where another process was at its run."""
SOON_S = 0.1
"""The shortest sleep of a workflow."""
LATE_S = 5.0
"""A run that nobody has taken for so long after it was due is looked after: its workflow
may be gone, or asleep.
"""
AGAIN_S = 30.0
"""How long after that it is looked after again."""
AT_A_TIME = 20
"""Requests to Temporal at once."""


def work(app: App, options: Options, cluster: Cluster) -> int:
    """Take steps from Temporal until a signal says to end; return the exit code of that.
    Raises TemporalError.
    """
    return asyncio.run(_work(app, options, cluster))


async def _work(app: App, options: Options, cluster: Cluster) -> int:
    async with based(app, options, "temporal") as base:
        connection = await connect(cluster, lambda text: app.talk(plain(text, 2000)))
        worker = TemporalWorker(base, connection)
        async with connection.working(
            options.runs, worker.advance, options.grace_s
        ) as worker.check:
            await schedule(worker, base.ending)
            base.trouble("draining")
        return base.told.code


@dataclass(slots=True)
class TemporalWorker:
    """Takes the steps of Temporal's activity. Sees to it that each open run has a workflow,
    and that none sleeps while there is something to do.
    """

    base: Base
    connection: Connection
    check: Callable[[], None] = lambda: None
    """Raises TemporalError when Temporal's worker has ended."""
    mine: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    woken: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Runs whose workflow was woken: at which event of the journal, and when (monotonic)."""

    async def advance(self, run_id: str) -> RunProgress:
        """One step of a run, by its id. Raises NotNow, NoSuchRun."""
        base = self.base
        if base.ending.is_set():
            raise NotNow("draining")
        try:
            base.config()
            row = base.store.find(run_id)
            if row.id != run_id:  # found as a prefix, or as a plan's name
                raise NoSuchRun
            if not row.is_open:
                return RunProgress(row.word, None)
            self.mine.add(run_id)
            try:
                stepped = await base.step(row)
            finally:
                self.mine.discard(run_id)
            row = base.store.find(
                run_id
            )  # when to come again is the store's word, whoever has written it
            due_s: float | None = RIVAL_S
            if not row.is_open:
                due_s = None
            elif not stepped.is_held:
                due_s = max(SOON_S, base.stepper.rest_s(run_id), row.due - base.store.now())
            if stepped.advance is None:
                return RunProgress(row.word, due_s)
            counts = {str(k): n for k, n in stepped.advance.run.counts().items()}
            return RunProgress(row.word, due_s, plain(stepped.advance.waits_for, 500), counts)
        except RunNotFound:
            raise NoSuchRun from None
        except InvalidInput:
            raise NotNow("configuration") from None
        except StoreError:
            raise NotNow("store") from None

    async def turn(self, mine: Collection[str]) -> NextSteps:
        """Temporal begins the steps. Raises TemporalError when its worker has ended."""
        self.check()
        look = self.base.look(self.mine)
        if look is not None:
            await self._see_to(look)
        return NextSteps(pause_s=self.base.pause_s)

    async def _see_to(self, look: OpenRuns) -> None:
        ended = self.known - {r.id for r in look.open}
        self.woken = {r.id: self.woken[r.id] for r in look.open if r.id in self.woken}
        late = {r.id for r in look.due if self._is_late(r, look.now)}
        wanted = [(r, r.id in late) for r in look.open if r.id in late or r.id not in self.known]
        try:
            for first in range(0, len(wanted), AT_A_TIME):
                await asyncio.gather(
                    *(self._ensure(r, wake) for r, wake in wanted[first : first + AT_A_TIME])
                )
                self.base.turn()
            for run_id in ended:  # by somebody else: its workflow may sleep for days
                await self.connection.wake(run_id)
                self.known.discard(run_id)
        except TemporalError as error:
            self.base.trouble("temporal", error)
        else:
            self.base.trouble("")

    async def _ensure(self, row: RunRow, wake: bool) -> None:
        await self.connection.ensure(row.id, wake=wake)
        self.known.add(row.id)
        if wake:
            self.woken[row.id] = (row.seq, time.monotonic())

    def _is_late(self, row: RunRow, now: float) -> bool:
        """Whether something was written for the run to act on at once, or nobody has
        come for long.
        """
        seq, at = self.woken.get(row.id, (0, float("-inf")))
        if row.due <= AT_ONCE and row.seq != seq:
            return True
        return self.base.lag(row, now) > LATE_S and time.monotonic() - at > AGAIN_S
