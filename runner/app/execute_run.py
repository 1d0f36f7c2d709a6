"""Puts a driver together, follows a run, and says how it ended: shared by `run` and `resume`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.app.app import App
from runner.app.follow_run import Ending, Follower, Manner
from runner.app.live_rules import ConfiguredRules
from runner.app.sessions import Sessions
from runner.errors import EXIT_WORDS, CloudError, StoreError
from runner.execution.driver import Driver
from runner.execution.effects import Pace, Tuning
from runner.execution.site import Absent, Setting, Site
from runner.model.events import Event
from runner.model.run import Run
from runner.model.run_exit import exit_code
from runner.ports.store import Store
from runner.report.run_text import run_text
from runner.report.safe import plain
from runner.store.owner import boot_clock, is_provably_dead, this_process


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a plan: the exit code, the run if there is one, and in how many real
    seconds it wants to go on.

    `is_old`: the run had ended before, and nothing was sent now. `note`: why there is no
    run, lines of plain text.
    """

    code: int
    run_id: str | None = None
    due_s: float | None = None
    is_old: bool = False
    note: str = ""


def setting_for(
    app: App, store: Store, sessions: Sessions, *watchers: Callable[[Run, Event], None] | None
) -> Setting:
    """The surroundings of a run: all its targets share one clock (they are simulated
    together, or real).
    """
    first, by_name = sessions.first, sessions.by_name

    def tell(run: Run, event: Event) -> None:
        for watch in filter(None, watchers):
            watch(run, event)

    opened = {name: s.site for name, s in by_name.items()}
    absent = {
        name: Site(Absent(name, error), "", Tuning()) for name, error in sessions.failed.items()
    }
    return Setting(
        store=store,
        sites={**opened, **absent},
        clock=first.clock,
        owner=this_process(),
        is_dead=is_provably_dead,
        time_scale=first.time_scale,
        boot=None if first.is_embedded else boot_clock(),
        watch=tell,
        talk=lambda text: app.talk(plain(text, 2000)),
        spool=first.spool,
        rules=ConfiguredRules(app, by_name),
    )


async def execute(
    app: App, store: Store, sessions: Sessions, run_id: str, manner: Manner
) -> Result:
    """Follow a run and print its report on stdout."""
    progress = app.progress()
    setting = setting_for(app, store, sessions, progress.watch, manner.watch)
    driver = Driver(setting, run_id, pace=Pace(override=manner.override))
    try:
        ending = await Follower(app, driver, progress, manner).follow()
    except (CloudError, StoreError) as error:
        error.hint = (
            f"{error.hint or 'fix the cause'}; then `reboot-runner resume {run_id}` "
            f"continues the run"
        )
        raise
    finally:
        progress.close()
    return show_ending(app, store, ending)


def show_ending(app: App, store: Store, ending: Ending) -> Result:
    """Print the report as text on stdout: it holds the run's one label, and what to do next.

    What its journal does not tell, and what machines read of a suspension, goes to stderr.
    """
    run = ending.run
    app.show_result(run_text(run, store.events(run.id)))
    code = exit_code(run) if ending.code is None else ending.code
    if ending.code is not None and (run.suspended is None or app.log_format == "json"):
        why = plain(ending.why)
        app.talk(
            f"{EXIT_WORDS[code]}: {why}. `reboot-runner resume {run.id}` goes on.",
            run=run.id,
            result=EXIT_WORDS[code],
        )
    return Result(code, run.id, ending.due_s)
