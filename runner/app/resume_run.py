"""Follows an open run on the targets that it was begun on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from runner.app.app import App
from runner.app.execute_run import Result, execute, setting_for, show_ending
from runner.app.follow_run import Ending, Manner
from runner.app.sessions import Sessions, open_sessions
from runner.app.stores import demand_persistent_store, open_store_of
from runner.app.targets import choose_target
from runner.errors import Stale
from runner.execution.driver import Driver
from runner.execution.journal import read_run
from runner.execution.waiting import waiting_for
from runner.loading.config import LoadedConfig
from runner.model.events import RunResumed
from runner.model.run import Run
from runner.ports.store import Store
from runner.report.run_now import heartbeat
from runner.report.safe import plain


def resume(app: App, text: str, manner: Manner, store_is_persistent: bool) -> int:
    """Follow the run that `text` names (an id, a unique prefix, or a plan's name); a closed
    run is only reported.

    Return the exit code.
    """
    return asyncio.run(_resume(app, text, manner, store_is_persistent)).code


async def _resume(app: App, text: str, manner: Manner, store_is_persistent: bool) -> Result:
    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        row = store.find(text)
        run = read_run(store, row.id)
        if not run.is_open:
            return show_ending(app, store, Ending(run, None))
        return await follow_open(app, loaded, store, run, manner, store_is_persistent)


async def follow_open(
    app: App,
    loaded: LoadedConfig,
    store: Store,
    run: Run,
    manner: Manner,
    store_is_persistent: bool,
) -> Result:
    """Follow an open run to its end on the targets that it was begun on."""
    async with AsyncExitStack() as stack:
        sessions = await open_targets_of(app, loaded, run, stack)
        demand_persistent_store(app, loaded, sessions.is_real, store_is_persistent)
        driver = Driver(setting_for(app, store, sessions), run.id, run=run)
        run = driver.load()
        now = driver.setting.clock.now()  # this machine's clock may be ahead of the run's
        waits, _ = waiting_for(run, store.halted())
        clock = f" ({plain(run.facts['clock'])})" if run.facts.get("clock") else ""
        app.talk(f"run {run.id}{clock}: {plain(heartbeat(run, waits, now), 2000)}", run=run.id)
        end_suspension(driver)
        return await execute(app, store, sessions, run.id, manner)


def end_suspension(driver: Driver) -> None:
    """Write that somebody is at a suspended run again. Raises RunNotFound when it has ended
    meanwhile.
    """
    run, setting = driver.load(), driver.setting
    if run.is_open and run.suspended is not None:
        setting.store.record(run.id, setting.clock.now(), (RunResumed(),), word=run.working_word)


async def open_targets_of(
    app: App, loaded: LoadedConfig, run: Run, stack: AsyncExitStack
) -> Sessions:
    """The targets of a run, as configuration has them now; closed with `stack`.

    One of several that cannot be opened stops its own groups only. Raises InvalidInput for
    a target that is not configured any more, Stale for one whose cloud or project is
    another, CloudError, CloudDenied where none can be opened.
    """
    names = [choose_target(loaded, target.name) for target in run.schedule.targets]
    sessions = await open_sessions(app, loaded, names, names[0], stack, patient=True)
    for target in run.schedule.targets:
        session = sessions.by_name.get(target.name)
        if session is None:
            continue
        is_now = (session.target.cloud, session.target.project_id)
        if is_now != (target.cloud, target.project_id):
            raise Stale(
                f"target {target.name} is cloud {is_now[0]}, project {is_now[1]} now; the run was "
                f"begun for"
                f" cloud {target.cloud}, project {target.project_id}",
                hint="correct the configuration, or cancel the run",
            )
    return sessions
