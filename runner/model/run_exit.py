"""The exit code a run's state stands for.

It lives with the model because the command line and the reports both tell it. The numbers are those of
`runner.errors.Exit` (a test holds them together): the model imports nothing above it.
"""

from __future__ import annotations

from runner.model.run import Outcome, Run, ServerState

DONE = 0
INCOMPLETE = 4
STOPPED = 5
HELD = 7
SUSPENDED = 75

REBOOTED_IN_CYCLE = "RebootedInCycle"


def exit_code(run: Run) -> int:
    """0, 4 or 5 for a closed run; 75 for an open one, 7 where another process holds it.

    0: done, and every scheduled server is `ready` or was rebooted in this cycle before. 4: done, but not so.
    5: stopped or cancelled, whatever became of the servers.
    """
    if run.is_open:
        return HELD if run.word == "held" else SUSPENDED
    if run.word != "done":
        return STOPPED
    return DONE if all(_is_done(s) for s in run.servers.values()) else INCOMPLETE


def _is_done(server: ServerState) -> bool:
    return server.outcome is Outcome.READY or (server.outcome is Outcome.SKIPPED and server.reason == REBOOTED_IN_CYCLE)
