"""One plan from its file to the end of its run: shared by `run` and the jobs of CI systems."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from runner.app import start_run
from runner.app.app import App
from runner.app.changed_plans import Selection
from runner.app.execute_run import Result, execute
from runner.app.follow_run import Manner
from runner.app.orders import Order
from runner.app.policy import Police
from runner.app.prepare import Prepared, Saved, Scene, prepare
from runner.app.resume_run import follow_open
from runner.app.sessions import open_sessions
from runner.app.start_run import OlderOpen, Wish
from runner.app.stores import demand_persistent_store, open_store_of
from runner.app.targets import choose_targets
from runner.errors import Exit
from runner.execution.journal import read_run
from runner.git.repository import Repository
from runner.loading.config import LoadedConfig
from runner.loading.revision import load_plan_at
from runner.model.events import CancelRequested, Why
from runner.model.run_exit import exit_code, owes
from runner.model.schedule import REBOOTED_IN_CYCLE, Schedule
from runner.model.surroundings import Surroundings
from runner.planning.again import left_of
from runner.ports.store import RunExists, RunRow, Store
from runner.report.as_text import inline, printed
from runner.report.diff import headline
from runner.report.folding import clipped
from runner.report.run_build import not_scheduled
from runner.report.run_text import not_scheduled_lines, run_text
from runner.report.run_words import STORE_BEGUN
from runner.report.safe import plain
from runner.report.surroundings import advice, surroundings_lines


@dataclass(frozen=True, slots=True)
class Runner:
    """How plans are run in this call. `store_is_persistent`: the caller's word that a local
    store outlives CI.
    """

    app: App
    config: LoadedConfig
    wish: Wish
    manner: Manner
    store_is_persistent: bool = False

    async def run(self, order: Order, target: str | None = None) -> Result:
        """Begin the run of an order, or go on with the one that is there, and follow it.

        Raises InvalidInput, Stale, Held, UsageProblem before anything is sent.
        """
        if order.saved is not None:
            start_run.demand_reviewed(order.saved.digest, self.wish)
        names, default = choose_targets(self.config, target, order.wanted)
        with open_store_of(self.app, self.config) as store:
            earlier, older = self._found(store, order, names)
            if earlier is not None and earlier.is_open:
                return await self._join(store, earlier)
            async with AsyncExitStack() as stack:
                sessions = await open_sessions(self.app, self.config, names, default, stack)
                demand_persistent_store(
                    self.app, self.config, sessions.is_real, self.store_is_persistent
                )
                if earlier is not None and order.is_done_by(earlier, sessions):
                    return self._done_already(store, earlier.id)
                police = Police.of(self.config)
                police.demand_usable()
                if store.begun:
                    self.app.talk(_store_begun(is_real=not sessions.is_embedded))
                loaded = order.open_plan()
                inventories, around = await asyncio.gather(
                    sessions.inventories(), sessions.surroundings()
                )
                scene = Scene(self.app, self.config, store, police, sessions, inventories, around)
                saved = Saved(order.saved, order.file, self.wish.max_age) if order.saved else None
                prepared = await prepare(scene, loaded, saved)
                return await self._begin(store, scene, order, prepared, older)

    def _found(
        self, store: Store, order: Order, targets: Collection[str]
    ) -> tuple[RunRow | None, OlderOpen | None]:
        """The run of this version that is there already, and with `supersede` the open one of
        another version.

        Raises OlderOpen where that is not to be superseded.
        """
        try:
            return start_run.earlier_run(store, order.plan_name, order.digest, targets), None
        except OlderOpen as older:
            if not self.wish.supersede:
                raise
            return older.done, older

    async def _end(self, store: Store, row: RunRow) -> None:
        """Cancel a run and follow what it has in flight to its end."""
        run = read_run(store, row.id)
        if run.stop is None:
            at = max(start_run.utc_now(), run.last_event_at or run.created)
            decision = CancelRequested(
                start_run.actor(), "superseded by another version of the plan"
            )
            store.record(run.id, at, (decision,))
        self.app.talk(
            f"run {run.id} of another version is cancelled; what it has in flight is followed first"
        )
        await follow_open(
            self.app,
            self.config,
            store,
            read_run(store, row.id),
            self.manner,
            self.store_is_persistent,
        )

    async def _begin(
        self, store: Store, scene: Scene, order: Order, prepared: Prepared, older: OlderOpen | None
    ) -> Result:
        schedule, sessions = prepared.demand(), scene.sessions
        for warning in prepared.warnings():
            self.app.talk(f"warning: {warning}")
        if len(prepared.skipped) == schedule.servers:
            result = _nothing_left(schedule, prepared.skipped)
            self.app.echo(result.note)
            return result
        self.app.talk(headline(schedule))
        notes = (*prepared.notes, *self._advised(schedule, scene.around))
        start_run.demand_consent(self.app, schedule, sessions, self.wish)
        if older is not None:  # only now: what is refused must not have cancelled anything
            await self._end(store, older.row)
            if store.find(older.row.id).is_open:
                raise older
        try:
            run_id = start_run.begin_run(store, sessions, prepared, notes, order.file)
        except RunExists:  # another process began it while this one was planning
            other = start_run.earlier_run(store, order.plan_name, order.digest, sessions.names)
            if other is None:
                raise
            return await self._join(store, other)
        clock = f" ({sessions.clock_words})" if sessions.clock_words else ""
        self.app.talk(f"run {run_id} begins{clock}", run=run_id)
        return await execute(self.app, store, sessions, run_id, self.manner)

    def _advised(self, schedule: Schedule, around: Surroundings) -> Sequence[str]:
        """Say before the consent what speaks against rebooting these servers now; the
        journal keeps it.
        """
        for line in surroundings_lines(schedule, around):
            names = f": {clipped(line.names, 200)}" if line.names else ""
            self.app.talk(plain(f"{'  ' * line.level}{inline(line.words)}{names}", 1000))
        return advice(schedule, around)

    async def _join(self, store: Store, row: RunRow) -> Result:
        """Follow the run of the same plan that is there already. Raises Stale when another
        schedule was reviewed.
        """
        start_run.demand_reviewed(row.schedule_digest, self.wish)
        if not row.is_open:
            return self._done_already(store, row.id)
        self.app.talk(f"run {row.id} of this plan is open: going on with it", run=row.id)
        run = read_run(store, row.id)
        return await follow_open(
            self.app, self.config, store, run, self.manner, self.store_is_persistent
        )

    def _done_already(self, store: Store, run_id: str) -> Result:
        """The same plan has run to its end: nothing is sent, and its own exit code is returned."""
        run = read_run(store, run_id)
        self.app.show_result(run_text(run, store.events(run_id)))
        self.app.talk(
            f"nothing was sent: this plan has run already, as run {run_id} ({run.word})."
            " To restart its servers again, give the plan a new `cycle`"
            + (
                f"; only those that are not ready: `reboot-runner retry {run_id}`."
                if left_of(run)
                else "."
            )
        )
        return Result(exit_code(run), run_id, is_old=True)


def _nothing_left(schedule: Schedule, skipped: Mapping[str, Why]) -> Result:
    """Return why no run begins: 0 if nothing was to be done, 4 if a server that should be
    rebooted is not.
    """
    is_spent = all(reason == REBOOTED_IN_CYCLE for reason, _ in skipped.values())
    lines = [headline(schedule)]
    if skipped and is_spent:
        lines = [
            (
                f"nothing to reboot: all {schedule.servers} servers rebooted already in cycle "
                f"{schedule.cycle}"
            )
        ]
    elif skipped:
        lines = [
            f"nothing was rebooted: all {schedule.servers} servers of the schedule are left alone"
        ]
        refs = (ref for wave in schedule.waves for ref in wave.servers)
        parts = [(ref, *skipped[ref.id]) for ref in refs]
        lines += [
            f"  {ref.name} ({ref.id}): {reason}: {detail}" for ref, reason, detail in parts[:50]
        ]
        lines += [f"  … and {len(parts) - 50} more"] if len(parts) > 50 else []
        lines += [
            "to reboot them all the same, make and review a new schedule with `reboot-runner diff`"
        ]
    if left := not_scheduled(schedule):
        lines += not_scheduled_lines(left)
    return Result(
        Exit.DONE if is_spent and not owes(schedule) else Exit.INCOMPLETE, note=printed(lines)
    )


def _store_begun(*, is_real: bool) -> str:
    """Return what `run` says before the first run of a store. An embedded simulator lives
    beside its store: with it nothing that could be forgotten was rebooted.
    """
    if not is_real:
        return STORE_BEGUN
    return (
        f"warning: {STORE_BEGUN}. If the store held runs before, stop now and restore it: "
        f"without them servers can"
        " be rebooted a second time"
    )


def open_runs_of_deleted(
    app: App, config: LoadedConfig, selection: Selection
) -> list[tuple[str, str, str]]:
    """Deleted plans that have an open run: the file, what is so, and what to do. Deleting a
    plan stops nothing.
    """
    repository = Repository.find(Path.cwd(), os.environ)
    found = []
    with open_store_of(app, config) as store:
        for path in selection.deleted:
            name = repository.path_of(Path.cwd() / path)
            plan = (
                load_plan_at(lambda p: repository.read(selection.base, p), name).plan
                if name
                else None
            )
            for row in store.runs(plan=plan.name, open_only=True) if plan else ():
                said = f"{path} was deleted, and its run {row.id} is open ({row.word})"
                hint = (
                    f"deleting a plan stops nothing: `reboot-runner cancel {row.id} --reason "
                    f"…` does"
                )
                found.append((path, said, hint))
    return found


def tell_open_runs(app: App, config: LoadedConfig, selection: Selection) -> None:
    """On stderr: what of deleted plans goes on."""
    for _, said, hint in open_runs_of_deleted(app, config, selection) if selection.deleted else ():
        app.talk(f"warning: {plain(said)}; {plain(hint)}")
