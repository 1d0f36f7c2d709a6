"""Why a server that a selector matches is left out: stable reason codes, each with a sentence.

The same test of a server's state serves the diff and the look at each wave's servers just before it begins.
"""

from __future__ import annotations

from typing import NamedTuple

from runner.model.inventory import Server

EXCLUDED_BY_PLAN = "ExcludedByPlan"
REBOOTED_IN_CYCLE = "RebootedInCycle"
NOT_ACTIVE = "NotActive"
BUSY = "Busy"
LOCKED = "Locked"
FROZEN = "Frozen"
RUNNER_ITSELF = "RunnerItself"
RUNNER_SUPPORT = "RunnerSupport"

REASONS = {
    EXCLUDED_BY_PLAN: "left out by `exclude` in the plan",
    REBOOTED_IN_CYCLE: "rebooted already in this cycle",
    NOT_ACTIVE: "not running",
    BUSY: "another task is running on it",
    LOCKED: "locked: the cloud would refuse the reboot",
    FROZEN: "frozen by the cloud: it would refuse the reboot",
}
"""Each reason as a heading, in the order in which they are judged: what the plan says, what was done, what is."""


class Why(NamedTuple):
    """A reason and its sentence. The sentence may hold text of the cloud or of the plan."""

    reason: str
    detail: str


def unfit(server: Server) -> Why | None:
    """Why this server cannot be rebooted as it is now, or None if it can.

    Locked and frozen servers are refused by the cloud whatever their state (`locked`, and error `Ecs.0030`, pages
    "Querying Details About ECSs" and "Error Codes"). A server that is powering off still reads ACTIVE, so its task
    counts as well (table of server states).
    """
    if server.locked:
        return Why(LOCKED, "unlock it, or exclude it in the plan")
    if server.frozen:
        return Why(FROZEN, "")
    if server.status != "ACTIVE":
        return Why(NOT_ACTIVE, f"status {server.status}")
    if server.task_state:
        return Why(BUSY, f"task {server.task_state}")
    return None
