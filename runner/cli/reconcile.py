"""`reconcile`: one pass over the open runs of the store."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from runner.cli.common import App
from runner.errors import Exit, RunnerError

if TYPE_CHECKING:
    from runner.loading.config import LoadedConfig
    from runner.ports.store import RunRow
    from runner.store.sql import SqlStore


@click.command(
    "reconcile",
    short_help="Advance every open run that is due, then exit.",
    epilog="""\b
Examples:
  reboot-runner reconcile                       from cron, every five minutes, from several places
  REBOOT_RUNNER_STORE=postgresql://… reboot-runner reconcile
""",
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Advance every open run that is due by all that can be done now, then exit; the rest is left alone.

    It never starts a run: work is begun by `run`. A run that fails is set back with a growing delay and does not stop
    the others. Exits 0, or with the code of the first failure.
    """
    from runner.cli.executing import run_now

    ctx.exit(run_now(_reconcile(ctx.obj)))


async def _reconcile(app: App) -> int:
    from runner.cli.targets import open_store_of

    loaded = app.load_config()
    with open_store_of(app, loaded) as store:
        rows = store.due()
        codes = [await _advance(app, loaded, store, row) for row in rows]
        rest = len(store.runs(open_only=True, limit=10_000))
    app.talk(f"{len(rows)} due, {rest} open now", advanced=len(rows), open=rest)
    return next((c for c in codes if c), Exit.DONE)


async def _advance(app: App, loaded: LoadedConfig, store: SqlStore, row: RunRow) -> int:
    from runner.cli.executing import setting_for
    from runner.cli.resume import open_targets_of
    from runner.execution.driver import Driver
    from runner.execution.journal import read_run
    from runner.execution.machine import counts_line
    from runner.ports.store import LeaseHeld
    from runner.report.safe import plain

    try:
        async with AsyncExitStack() as stack:
            sessions = await open_targets_of(app, loaded, read_run(store, row.id), stack)
            step = await Driver(setting_for(app, store, sessions), row.id).advance()
    except LeaseHeld as held:
        app.talk(f"{row.id} {row.plan}: {held}")
        return Exit.DONE
    except RunnerError as error:
        app.talk(f"{row.id} {row.plan}: error: {plain(error.message)}", run=row.id, error=plain(error.message))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - one poisoned run must not stop the others
        app.talk(f"{row.id} {row.plan}: unexpected error: {type(error).__name__}: {plain(error)}", run=row.id)
        return Exit.ERROR
    waits = f", waits for {plain(step.waits_for)}" if step.run.is_open and step.waits_for else ""
    app.talk(
        f"{row.id} {row.plan}: {step.run.word}: {counts_line(step.run.counts())}{waits}",
        run=row.id,
        word=step.run.word,
    )
    return Exit.DONE
