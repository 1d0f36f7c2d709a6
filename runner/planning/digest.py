"""The digest of a schedule: what was reviewed is what runs, if and only if the digests are equal."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

from runner.model.gate import Gate
from runner.model.schedule import GroupRules, Schedule, WorstCase

FORMAT_VERSION = 1


def schedule_digest(schedule: Schedule) -> str:
    """`sha256:` and 64 hex digits over everything that decides what the run does.

    Left out: when and from which file it was made, free text (description, names of servers, sentences of
    exclusions: ids and reasons stay), what calendars close in the next months (the digests of their files stay) and how
    many servers the target shows, which changes with every server that is none of the plan's business; and what bakes
    may find, which follows from the waves. The order of servers in a wave counts; that of exclusions does not. A
    schedule without windows, freezes and gates has the digest that it had before there were any.
    """
    text = json.dumps(_reviewed(schedule), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + sha256(text.encode()).hexdigest()


def worst_case_document(worst: WorstCase) -> dict[str, Any]:
    """What a bake may find is left out where none does, so that such schedules are as they always were."""
    return {key: value for key, value in asdict(worst).items() if value or key != "failures_in_bake"}


def group_document(group: GroupRules) -> dict[str, Any]:
    """The rules of a group as plain JSON values.

    Rules that came with later versions are left out where they ask for nothing: schedules without them keep their
    digests.
    """
    made = asdict(group)
    made["checks"] = [{**check, "status": list(check["status"])} for check in made["checks"]]
    made["spread"] = list(made["spread"])
    return {key: value for key, value in made.items() if value or key not in _ADDED}


_ADDED = frozenset({"checks", "baseline", "max_unavailable", "spread", "rate", "support"})


def gate_document(gate: Gate) -> dict[str, Any]:
    """A gate as plain JSON values."""
    return {**asdict(gate), "status": list(gate.status)}


def inventory_digest(schedule: Schedule) -> str:
    """`sha256:` and 64 hex digits over what the plan saw of the cloud: its project, and of each server that a group
    selects the id, the zone and why it is left out. It follows from the schedule; two schedules of the same plan that
    differ, differ here when it was the fleet that changed.
    """
    seen = {(e.server.id, e.server.zone, e.group, e.reason) for e in schedule.excluded}
    seen |= {(s.id, s.zone, w.group, "") for w in schedule.waves for s in w.servers}
    text = json.dumps([[t.project_id for t in schedule.targets], sorted(seen)], separators=(",", ":"))
    return "sha256:" + sha256(text.encode()).hexdigest()


def _reviewed(schedule: Schedule) -> dict[str, Any]:
    when = {
        "windows": [asdict(w) for w in schedule.windows],
        "calendars": list(schedule.calendars),
        "gates": [gate_document(g) for g in schedule.gates],
    }
    return {
        **{key: value for key, value in when.items() if value},
        "format_version": FORMAT_VERSION,
        "plan": [schedule.plan_name, schedule.plan_digest],
        "cycle": schedule.cycle,
        "targets": [asdict(t) for t in schedule.targets],
        "reboot_type": schedule.reboot_type,
        "on_unknown": schedule.on_unknown,
        "wait_at_most_s": schedule.wait_at_most_s,
        "max_failures": asdict(schedule.max_failures),
        "groups": [group_document(g) for g in schedule.groups],
        "waves": [
            {
                "wave": [w.number, w.group, w.written, w.is_canary],
                "pause": [w.pause.kind, w.pause.seconds],
                "servers": [[s.id, s.zone] for s in w.servers],
            }
            | ({"held_by": list(w.held_by)} if w.held_by else {})
            for w in schedule.waves
        ],
        "excluded": sorted([e.group, e.server.id, e.reason] for e in schedule.excluded),
        "worst_case": worst_case_document(replace(schedule.worst_case, failures_in_bake=0)),
        **({"rate": asdict(schedule.rate)} if schedule.rate else {}),
        **({"retry_of": schedule.retry_of} if schedule.retry_of else {}),
    }
