"""Servers that were rebooted after their schedule was made: found before a run of it is created. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from runner.execution.evidence import CLOCK_SKEW, last_reboot
from runner.model.inventory import Inventory
from runner.model.job import Action
from runner.model.schedule import Schedule

REBOOTED_SINCE_REVIEW = "RebootedSinceReview"


def changed_since_review(
    schedule: Schedule, inventory: Inventory, skipped: Collection[str], *, is_old: bool
) -> dict[str, list[str]]:
    """Return the ids of servers that changed after their schedule was made, by target: their histories are read.

    `is_old`: the schedule was made by an earlier call, or the store cannot know what earlier calls did. Then the
    cloud's clock may be behind ours by CLOCK_SKEW, and a server without `updated` counts as changed. A schedule of
    this very call is compared to the second: what was rebooted shortly before it was made was meant to be.
    """
    made = datetime.fromisoformat(schedule.made_at) - (CLOCK_SKEW if is_old else timedelta())
    targets = {g.name: g.target for g in schedule.groups}
    found: dict[str, list[str]] = {}
    for wave in schedule.waves:
        for ref in wave.servers:
            server = inventory.by_id.get(ref.id)
            if server is None or ref.id in skipped:
                continue
            updated = _moment(server.updated)
            if is_old if updated is None else updated > made:
                found.setdefault(targets[wave.group], []).append(ref.id)
    return found


def rebooted_since_review(
    schedule: Schedule, histories: Mapping[str, tuple[Action, ...] | None]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the servers whose history shows a reboot since their schedule was made, with reason and sentence.

    A reboot within CLOCK_SKEW before that counts, because clocks differ.
    """
    made = datetime.fromisoformat(schedule.made_at)
    for server_id, actions in histories.items():
        reboot = last_reboot(actions, made - CLOCK_SKEW)
        if reboot is not None and reboot.started is not None:
            at = reboot.started.isoformat(timespec="seconds")
            words = f"its history has a reboot at {at}, and the schedule is of {schedule.made_at}"
            yield server_id, (REBOOTED_SINCE_REVIEW, words)


def _moment(updated: str | None) -> datetime | None:
    """Return the time of an `updated`, which the cloud writes in UTC; None for one that cannot be read."""
    try:
        moment = datetime.fromisoformat(updated or "")
        return moment if moment.tzinfo else None
    except ValueError:
        return None
