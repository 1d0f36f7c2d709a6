"""Every reason code that a server or a run can end with, each with the sentence that
explains it.
"""

from __future__ import annotations

from runner.planning.exclusions import REASONS as EXCLUSIONS

OUTCOMES = {
    "Rebooted": "its part of the job succeeded, and it was seen ACTIVE without a task",
    "RebootSeen": (
        "the reboot was seen on the server itself, not by a job; it was seen ACTIVE without a task"
    ),
    "ResolvedAsRebooted": "a person said that it was rebooted",
    "ResolvedAsNotRebooted": (
        "a person said that it was not rebooted, so it may be rebooted in this cycle"
    ),
    "ResolvedAsRebootAgain": "a person decided that it may be rebooted once more in this cycle",
    "JobFailed": (
        "the cloud accepted the reboot, and its job failed; the detail says what was "
        "seen of the server then"
    ),
    "JobTimedOut": (
        "its job did not end within `ready.timeout`; the detail says what was seen of "
        "the server then"
    ),
    "NotReady": "it was rebooted, but was not back within the time that `ready.timeout` gives",
    "CheckFailed": (
        "it was rebooted and runs, but did not pass its checks within the time that "
        "`ready.timeout` gives"
    ),
    "LostInBake": "it was ready, and was no longer running in the bake of its group",
    "UnhealthyInBake": (
        "it was ready and runs, but no longer passed its checks in the bake of its group"
    ),
    "ServerError": "after the reboot its status is ERROR",
    "NotAccepted": (
        "every request was throttled (for `wait_at_most`) or could not be sent (for "
        "`ready.timeout`)"
    ),
    "Refused": "the cloud refused the reboot for a reason that is not the server's state",
    "CannotSee": "at its deadline the cloud could not be asked, so nobody knows how it is",
    "NoTrace": (
        "the answer to the request was lost, and no server of its batch shows a trace of "
        "it; the run stopped"
    ),
    "JobVanished": (
        "the cloud accepted the reboot and then did not know the job any more; "
        "nothing proves the reboot"
    ),
    "MixedEvidence": (
        "the cloud did not accept its request for certain, and what was seen since proves nothing"
    ),
    "Missing": "the cloud does not know the server any more",
    "NotActive": "it was not running",
    "Busy": "another task was running on it",
    "Locked": "it is locked: the cloud would refuse the reboot",
    "BareMetal": "it is a bare metal server (BMS), which the ECS API cannot reboot",
    "StatusUnknown": "the cloud's answer has no status for it, or says UNKNOWN",
    "Frozen": "it is frozen by the cloud, which would refuse the reboot",
    "TagsUnknown": "its tags could not be read, so nothing told whether a tag excludes it",
    "RebootedSinceReview": "it was rebooted after its schedule was made, so it was left alone",
    "RebootedByEarlierRequest": "it was rebooted after an earlier run of its cycle asked for it",
    "EarlierRequestInDoubt": (
        "an earlier run of its cycle asked for it, and what was seen since proves nothing"
    ),
    "RebootedByOther": "somebody else rebooted it since the run began",
    "HistoryUnreadable": "it changed since the run began, and its history could not be read",
    "UnhealthyBefore": (
        "it did not pass its checks before the first wave, so it was left out, or the run stopped"
    ),
    "RunnerItself": "it is the machine that the runner runs on, which never reboots itself",
    "RunnerSupport": "the runner depends on it, as configuration says, and this was not its turn",
    "RebootedInCycle": "it was rebooted already in this cycle",
    "TargetFailed": "its target could not be used any more; the groups of other targets went on",
    "ClaimedByOtherRun": "another run had it in flight for the whole time of `ready.timeout`",
    "UnknownInOtherRun": "it ended unknown in another run and nobody has resolved it there",
    "FailureBudgetExceeded": (
        "more servers failed than `max_failures` of the run allows, so the run stopped"
    ),
    "GroupBudgetExceeded": (
        "more servers failed than `max_failures` of the group allows, so the run stopped"
    ),
    "CanaryFailed": "the first server of its group failed, so the run stopped",
    "TooManyUnavailable": (
        "its wave would have had more servers down than `max_unavailable` "
        "allows, so the run stopped"
    ),
    "ApprovalTimeout": "nobody answered within `wait_at_most`, so the run stopped",
    "WindowTimeout": (
        "no window opened in which the next wave could begin within `wait_at_most`, "
        "so the run stopped"
    ),
    "GateClosed": (
        "a gate was closed before the next wave for all of `wait_at_most`, so the run stopped"
    ),
    "GateCannotTell": (
        "a gate could not be asked before the next wave for all of `wait_at_most`, "
        "so the run stopped"
    ),
    "PolicyViolated": (
        "the repository's policy forbids the wave as it would be now, so the run stopped"
    ),
    "NotSelected": (
        "its plan did not select it any more when the run of the reviewed schedule began"
    ),
    "Cancelled": "a person cancelled the run",
}
"""Of servers that the schedule holds: what became of each. The last ones are also why a run
stopped.
"""

REASONS = {**EXCLUSIONS, **OUTCOMES}
"""The same with what excludes a server from the schedule; what both have is told as an outcome."""


def sentence(reason: str) -> str:
    """What a code means; empty for one that this version does not know (a journal of a
    newer one).
    """
    return REASONS.get(reason, "")
