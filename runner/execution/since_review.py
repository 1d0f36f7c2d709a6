"""Servers that were rebooted after their schedule was made: found before a run of it is
created. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from runner.execution.evidence import CLOCK_SKEW, moment_of
from runner.model.events import Why
from runner.model.inventory import Inventory
from runner.model.schedule import Schedule

REBOOTED_SINCE_REVIEW = "RebootedSinceReview"
SECOND = timedelta(seconds=1)
"""A schedule's time is cut to the second."""


def changed_since_review(
    schedule: Schedule, inventory: Inventory, skipped: Collection[str], *, is_old: bool
) -> dict[str, list[str]]:
    """Return the ids of servers that changed after their schedule was made, by target: their
    histories are read.

    `is_old`: the schedule was made by an earlier call, or the store cannot know what
    earlier calls did. Then the cloud's clock may be behind ours by CLOCK_SKEW, and a server
    without `updated` counts as changed. A schedule of this very call is compared to the
    second: what was rebooted shortly before it was made was meant to be.
    """
    made = datetime.fromisoformat(schedule.made_at) - (CLOCK_SKEW if is_old else timedelta())
    targets = {g.name: g.target for g in schedule.groups}
    found: dict[str, list[str]] = {}
    for wave in schedule.waves:
        for ref in wave.servers:
            server = inventory.by_id.get(ref.id)
            if server is None or ref.id in skipped:
                continue
            updated = moment_of(server.updated)
            is_changed = is_old if updated is None else updated > made
            if is_changed:
                found.setdefault(targets[wave.group], []).append(ref.id)
    return found


def rebooted_since_review(
    schedule: Schedule,
    histories: Mapping[str, tuple[datetime, ...] | None],
    asked: Mapping[str, Sequence[datetime]],
) -> dict[str, datetime]:
    """Return the last reboot of the servers whose history shows one since their schedule was
    made, by server id.

    A reboot within CLOCK_SKEW before that counts, because clocks differ, unless a run of
    this store asked for it before the schedule was made: `asked` holds those times, by
    server id.
    """
    made = datetime.fromisoformat(schedule.made_at)
    found: dict[str, datetime] = {}
    for server_id, history in histories.items():
        before = [
            at for at in asked.get(server_id, ()) if made - 2 * CLOCK_SKEW < at < made + SECOND
        ]
        since = min([made, *before]) - CLOCK_SKEW
        reboots = [at for at in history or () if at >= since]
        last = max(reboots, default=None)
        if last is not None and len(reboots) > len(before):
            found[server_id] = last
    return found


def may_be_older(schedule: Schedule, reboots: Mapping[str, datetime]) -> list[str]:
    """Return the servers whose reboot may have been before their schedule was made, because
    clocks differ.
    """
    made = datetime.fromisoformat(schedule.made_at)
    return [i for i, at in reboots.items() if at < made + CLOCK_SKEW]


def reason_of(schedule: Schedule, reboot: datetime) -> Why:
    """Return why a server is skipped: reason and sentence."""
    at = reboot.isoformat(timespec="seconds")
    words = f"its history has a reboot at {at}, and the schedule is of {schedule.made_at}"
    return Why(REBOOTED_SINCE_REVIEW, words)
