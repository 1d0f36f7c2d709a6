"""The exit code a run's state stands for.

It lives with the model because the command line and the reports both tell it. The numbers
are those of `runner.errors.Exit` (a test holds them together): the model imports nothing
above it.
"""

from __future__ import annotations

from runner.model.events import Outcome
from runner.model.run import Run, ServerState
from runner.model.schedule import REBOOTED_IN_CYCLE, Exclusion, Schedule

DONE = 0
INCOMPLETE = 4
STOPPED = 5
HELD = 7
SUSPENDED = 75

EXCUSED = frozenset({"NotActive", "BareMetal", "RunnerItself", "RunnerSupport"})
"""Why a server may be left out of a schedule without a word in the exit code, if a rule
selected it.
"""


def exit_code(run: Run) -> int:
    """0, 4 or 5 for a closed run; 75 for an open one, 7 where another process holds it.

    0: done, and every scheduled server is `ready` or was rebooted in this cycle before, and
    the schedule left out none that it owes. 4: done, but not so. 5: stopped or cancelled,
    whatever became of the servers.
    """
    if run.is_open:
        return HELD if run.word == "held" else SUSPENDED
    if run.word != "done":
        return STOPPED
    is_complete = all(_is_done(s) for s in run.servers.values()) and not owes(run.schedule)
    return DONE if is_complete else INCOMPLETE


def owes(schedule: Schedule) -> bool:
    """Return True if the schedule left out a server that should have been rebooted."""
    return any(is_owed(e) for e in schedule.not_scheduled)


def is_owed(exclusion: Exclusion) -> bool:
    """Return True for a server that the plan names by its id, and for one that runs but is
    locked or unreadable.

    A stopped server that a rule selects is none: nothing on it needs a reboot.
    """
    return exclusion.named or exclusion.reason not in EXCUSED


def _is_done(server: ServerState) -> bool:
    return server.outcome is Outcome.READY or (
        server.outcome is Outcome.SKIPPED and server.reason == REBOOTED_IN_CYCLE
    )
