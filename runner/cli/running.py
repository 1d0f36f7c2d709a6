"""One plan from its file to the end of its run: shared by `run` and the jobs of CI systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.cli import starting
from runner.cli.common import App, closed_pipe_is_fine
from runner.cli.executing import Manner, Result, execute
from runner.cli.ordering import Order, Prepared
from runner.cli.policing import Police
from runner.cli.resume import follow_open
from runner.cli.starting import OlderOpen, Wish
from runner.cli.targets import Session, choose_target, demand_persistent_store, open_store_of, open_target
from runner.errors import Exit, InvalidInput
from runner.execution.journal import read_run
from runner.model.run_exit import exit_code
from runner.ports.store import RunExists, RunRow
from runner.report.diff import headline
from runner.report.run_text import run_text
from runner.store.sql import SqlStore

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig


@dataclass(frozen=True, slots=True)
class Runner:
    """How plans are run in this call. `store_is_persistent`: the caller's word that a local store outlives CI."""

    app: App
    config: LoadedConfig
    wish: Wish
    manner: Manner
    store_is_persistent: bool = False

    async def run(self, order: Order, target: str | None = None) -> Result:
        """Begin the run of an order, or go on with the one that is there, and follow it.

        Raises InvalidInput, Stale, Held, UsageProblem before anything is sent.
        """
        name = choose_target(self.config, target, order.target)
        with open_store_of(self.app, self.config) as store:
            earlier = await self._earlier(store, order, name)
            if earlier is not None and earlier.is_open:
                return await self._join(store, earlier)
            async with open_target(self.app, self.config, name) as session:
                demand_persistent_store(self.app, self.config, session.is_real, self.store_is_persistent)
                if earlier is not None and order.is_done_by(earlier, session):
                    return self._done_already(store, earlier.id)
                police = Police.of(self.config)
                police.demand_usable()
                prepared = await order.prepare(store, session, self.wish.max_age)
                _demand_lawful(police, prepared)
                return await self._begin(store, session, order, prepared)

    async def _earlier(self, store: SqlStore, order: Order, target: str) -> RunRow | None:
        """What is in the store already; with `supersede` another version's open run is cancelled and ended first."""
        while True:
            try:
                return starting.earlier_run(store, order.plan_name, order.digest, target)
            except OlderOpen as older:
                if not self.wish.supersede:
                    raise
                await self._end(store, older.row)
                if store.find(older.row.id).is_open:
                    raise

    async def _end(self, store: SqlStore, row: RunRow) -> None:
        """Cancel a run and follow what it has in flight to its end."""
        run = read_run(store, row.id)
        if run.stop is None:
            at = max(starting.utc_now(), run.last_event_at or run.created)
            decision = {"by": starting.actor(), "reason": "superseded by another version of the plan"}
            store.record(run.id, at, (("cancel.requested", decision),))
        self.app.talk(f"run {run.id} of another version is cancelled; what it has in flight is followed first")
        await follow_open(self.app, self.config, store, read_run(store, row.id), self.manner, self.store_is_persistent)

    async def _begin(self, store: SqlStore, session: Session, order: Order, prepared: Prepared) -> Result:
        for warning in prepared.warnings:
            self.app.talk(f"warning: {warning}")
        schedule = prepared.schedule
        if not schedule.servers or prepared.is_spent:
            spent = f"nothing to reboot: all {schedule.servers} servers rebooted already in cycle {schedule.cycle}"
            self.app.echo(spent if schedule.servers else headline(schedule))
            return Result(Exit.DONE)
        self.app.talk(headline(schedule))
        starting.demand_consent(self.app, schedule, session, self.wish)
        try:
            run_id = starting.begin_run(store, session, prepared, order.file)
        except RunExists:  # another process began it while this one was planning
            other = starting.earlier_run(store, order.plan_name, order.digest, session.target.name)
            if other is None:
                raise
            return await self._join(store, other)
        self.app.talk(f"run {run_id} begins", run=run_id)
        return await execute(self.app, store, {session.target.name: session}, run_id, self.manner)

    async def _join(self, store: SqlStore, row: RunRow) -> Result:
        """Follow the run of the same plan that is there already. Raises Stale when another schedule was reviewed."""
        starting.demand_reviewed(row.schedule_digest, self.wish)
        if not row.is_open:
            return self._done_already(store, row.id)
        self.app.talk(f"run {row.id} of this plan is open: going on with it", run=row.id)
        run = read_run(store, row.id)
        return await follow_open(self.app, self.config, store, run, self.manner, self.store_is_persistent)

    def _done_already(self, store: SqlStore, run_id: str) -> Result:
        """The same plan has run to its end: nothing is sent, and its own exit code is returned."""
        run = read_run(store, run_id)
        with closed_pipe_is_fine():
            self.app.echo(run_text(run, store.events(run_id)))
        self.app.talk(
            f"nothing was sent: this plan has run already, as run {run_id} ({run.word})."
            " To restart its servers again, give the plan a new `cycle`."
        )
        return Result(exit_code(run), run_id, is_old=True)


def _demand_lawful(police: Police, prepared: Prepared) -> None:
    """Raises InvalidInput when the schedule breaks the repository's policy."""
    problems = police.judge_made(prepared.loaded, prepared.schedule, prepared.inventory)
    if any(p.severity == "error" for p in problems):
        raise InvalidInput(problems)
