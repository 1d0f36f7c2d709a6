"""What a run left undone, as a plan of its own: the document that `retry` writes. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.model.run import Outcome, Run, ServerState

UNDONE = frozenset({Outcome.FAILED, Outcome.NOT_STARTED})
"""What is tried again. A server whose outcome is unknown is not: a person decides about it first."""

_LONGEST = 63
_NUMBERED = re.compile(r"^(?P<stem>.*-retry)(?:-(?P<number>\d{1,9}))?$")


@dataclass(frozen=True, slots=True)
class Retry:
    """A plan's document, the servers that it repeats, and those that somebody may want to add by hand."""

    document: dict[str, Any]
    repeated: tuple[ServerState, ...]
    left_out: tuple[ServerState, ...]


def retry_of(run: Run, plan: Mapping[str, Any], folder: str = "") -> Retry | None:
    """The plan of a closed run again, with only the servers that failed or were not started; None where none are.

    `plan`: the document that the run was made of. It keeps all its rules, its groups with such servers, its order and
    its cycle; `retry_of` lets the cycle's failed servers go down once more. `folder`: from the new file to the old
    one's folder, for the files that the plan names.
    """
    undone = {name: [s for s in members if s.outcome in UNDONE] for name, members in _by_group(run).items()}
    groups = [_group(run, group, undone[group["name"]]) for group in plan["groups"] if undone.get(group["name"])]
    if not groups:
        return None
    document = {
        **plan,
        "name": retry_name(plan["name"]),
        "cycle": run.schedule.cycle,
        "retry_of": run.id,
        **_targets(run, groups),
        **_freezes(plan, folder),
        "groups": groups,
    }
    unsure = (s for members in _by_group(run).values() for s in members if _may_be_wanted(s))
    return Retry(document, tuple(s for members in undone.values() for s in members), tuple(unsure))


def retry_name(name: str) -> str:
    """`web-retry`, then `web-retry-2`, `web-retry-3`; never longer than a name may be."""
    found = _NUMBERED.match(name)
    if found is None:
        return name[: _LONGEST - len("-retry")].rstrip("-") + "-retry"
    number = f"-{int(found['number'] or 1) + 1}"
    return found["stem"][: _LONGEST - len(number)].rstrip("-") + number


def _by_group(run: Run) -> dict[str, list[ServerState]]:
    found: dict[str, list[ServerState]] = {}
    for wave in run.schedule.waves:
        found.setdefault(wave.group, []).extend(run.members(wave))
    return found


def _may_be_wanted(server: ServerState) -> bool:
    is_done = server.reason == "RebootedInCycle"
    return server.outcome is Outcome.UNKNOWN or (server.outcome is Outcome.SKIPPED and not is_done)


def _group(run: Run, group: Mapping[str, Any], servers: list[ServerState]) -> dict[str, Any]:
    kept = {key: value for key, value in group.items() if key not in ("allow_empty", "target")}
    return {**kept, "servers": {"ids": [s.ref.id for s in servers]}}


def _targets(run: Run, groups: list[dict[str, Any]]) -> dict[str, str]:
    """The target that the run was for, whatever the plan's file said; of each group where they differ."""
    targets = {rules.name: rules.target for rules in run.schedule.groups}
    names = {targets[group["name"]] for group in groups}
    if len(names) == 1:
        return {"target": names.pop()}
    for group in groups:
        group["target"] = targets[group["name"]]
    return {"target": targets[groups[0]["name"]]}


def _freezes(plan: Mapping[str, Any], folder: str) -> dict[str, Any]:
    named = plan.get("freeze")
    return {"freeze": [posixpath.normpath(posixpath.join(folder, path)) for path in named]} if named else {}


def comments(retry: Retry, most: int) -> Iterator[str]:
    """Lines that say what is repeated and what is not, and why; without the mark of a comment."""
    run, number = retry.document["retry_of"], len(retry.repeated)
    yield f"Run {run} again, with what failed in it or was not started: {number} server{'' if number == 1 else 's'}."
    yield from _listed(retry.repeated, most)
    if retry.left_out:
        yield ""
        yield f"Not repeated: {len(retry.left_out)}. Nobody knows whether they went down, or they could not be asked."
        yield "Decide about unknown ones with `reboot-runner resolve`, then add by hand the ids that you want."
        yield from _listed(retry.left_out, most)


def _listed(servers: tuple[ServerState, ...], most: int) -> Iterator[str]:
    for server in servers[:most]:
        outcome = server.outcome.value if server.outcome else ""
        reason = f" ({server.reason})" if server.reason else ""
        yield f"  {server.ref.id}  {server.ref.name}  {outcome}{reason}"
    if len(servers) > most:
        yield f"  … and {len(servers) - most} more; all are in the report of the run"
