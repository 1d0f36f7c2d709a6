"""Why a server that a selector matches is left out: stable reason codes, each with a sentence.

The same test of a server's state serves the diff and the look at each wave's servers just
before it begins.
"""

from __future__ import annotations

from runner.model.events import Why as Why
from runner.model.inventory import PowerState, Server
from runner.model.schedule import EXCLUDED_BY_PLAN as EXCLUDED_BY_PLAN
from runner.model.schedule import NOT_READY_IN_CYCLE as NOT_READY_IN_CYCLE
from runner.model.schedule import REBOOTED_IN_CYCLE as REBOOTED_IN_CYCLE

BARE_METAL = "BareMetal"
STATUS_UNKNOWN = "StatusUnknown"
NOT_ACTIVE = "NotActive"
BUSY = "Busy"
LOCKED = "Locked"
FROZEN = "Frozen"
TAGS_UNKNOWN = "TagsUnknown"
RUNNER_ITSELF = "RunnerItself"
RUNNER_SUPPORT = "RunnerSupport"

REASONS = {
    EXCLUDED_BY_PLAN: "left out by `exclude` in the plan",
    REBOOTED_IN_CYCLE: "rebooted already in this cycle",
    NOT_READY_IN_CYCLE: (
        "asked for already in this cycle, and not ready: only `retry` or `resolve` repeats it"
    ),
    BARE_METAL: "a bare metal server: the servers' API cannot reboot it",
    STATUS_UNKNOWN: "status unknown: the cloud's answer has none, or says UNKNOWN",
    NOT_ACTIVE: "not running",
    BUSY: "another task is running on it",
    LOCKED: "locked: the cloud would refuse the reboot",
    FROZEN: "frozen by the cloud: it would refuse the reboot",
    TAGS_UNKNOWN: (
        "with tags that cannot be read, so that nothing tells whether a tag excludes them"
    ),
}
"""Each reason as a heading, in the order in which they are judged: what the plan says, what
was done, what is.
"""


def unfit(server: Server) -> Why | None:
    """Return why this server cannot be rebooted as it is now, or None if it can.

    A cloud refuses locked and frozen servers whatever their state.
    """
    if server.bare_metal:
        return Why(BARE_METAL, "")
    if server.locked:
        return Why(LOCKED, "unlock it, or exclude it in the plan")
    if server.frozen:
        return Why(FROZEN, "")
    if server.tags_unknown:
        return Why(TAGS_UNKNOWN, "its tags are unknown")
    if server.state is PowerState.UNKNOWN:
        return Why(STATUS_UNKNOWN, server.words)
    if server.is_busy:
        return Why(BUSY, server.words)
    if server.state is not PowerState.RUNNING:
        return Why(NOT_ACTIVE, server.words)
    return None


def unfit_for_long(server: Server) -> Why | None:
    """Return the same for a schedule, which keeps busy servers: their wave waits for them."""
    why = unfit(server)
    return None if why is not None and why.reason == BUSY else why
