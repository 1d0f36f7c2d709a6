"""The digest of a schedule: what was reviewed is what runs, if and only if the digests
are equal.
"""

from __future__ import annotations

import json
from hashlib import sha256

from runner.model.schedule import Schedule
from runner.model.shape import json_values


def canonical(schedule: Schedule) -> str:
    """Return the text that the digest covers: everything that decides what the run does.

    Left out are the fields that are marked as free in the model: when and from which file
    it was made, names and sentences for people (ids and reasons stay), what calendars close
    in the next months (the digests of their files stay), how many servers the target shows,
    which changes with every server that is none of the plan's business, and what bakes may
    find, which follows from the waves. The order of servers in a wave counts; that of
    exclusions does not. A field that came later is left out where it has its default.
    """
    reviewed = json_values(schedule, reviewed=True)
    reviewed["excluded"] = sorted(
        [e.group, s.id, e.reason] for e in schedule.excluded for s in e.servers
    )
    return json.dumps(reviewed, sort_keys=True, separators=(",", ":"), allow_nan=False)


def schedule_digest(schedule: Schedule) -> str:
    """`sha256:` and 64 hex digits over `canonical`."""
    return "sha256:" + sha256(canonical(schedule).encode()).hexdigest()


def inventory_digest(schedule: Schedule) -> str:
    """`sha256:` and 64 hex digits over what the plan saw of the cloud: its project, and of
    each server that a group selects the id, the zone and why it is left out. It follows
    from the schedule; two schedules of the same plan that differ, differ here when it was
    the fleet that changed.
    """
    seen = {(s.id, s.zone, e.group, e.reason) for e in schedule.excluded for s in e.servers}
    seen |= {(s.id, s.zone, w.group, "") for w in schedule.waves for s in w.servers}
    text = json.dumps(
        [[t.project_id for t in schedule.targets], sorted(seen)], separators=(",", ":")
    )
    return "sha256:" + sha256(text.encode()).hexdigest()
