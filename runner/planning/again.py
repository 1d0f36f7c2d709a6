"""What a run left undone, as a plan of its own: the document that `retry` writes. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from runner.model.events import Outcome
from runner.model.run import Run
from runner.model.schedule import NOT_READY_IN_CYCLE, REBOOTED_IN_CYCLE, ServerRef
from runner.planning.schedule import support_names

LEFT_TO_PEOPLE = frozenset(
    {
        *("Missing", "NotSelected", "ExcludedByPlan", "BareMetal", "RunnerItself", "RunnerSupport"),
        *("RebootedByOther", "RebootedSinceReview", "HistoryUnreadable", "UnknownInOtherRun"),
        *(NOT_READY_IN_CYCLE, "RebootedByEarlierRequest", "EarlierRequestInDoubt"),
    }
)
"""Reasons of servers that were not rebooted and are not tried again: a plan that names them is
refused, or they show a reboot.
"""

_LONGEST = 63
_NUMBERED = re.compile(r"^(?P<stem>.*-retry)(?:-(?P<number>\d{1,9}))?$")


class Left(NamedTuple):
    """A server that is not ready: how it ended (`failed`, `not scheduled`), if it is tried
    again, and what was seen.
    """

    ref: ServerRef
    ended: str
    reason: str
    is_repeated: bool
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A plan's document, the servers that it repeats, and those that somebody may want to
    add by hand.
    """

    document: dict[str, Any]
    repeated: tuple[Left, ...]
    left_out: tuple[Left, ...]


def retry_of(run: Run, plan: Mapping[str, Any], folder: str = "") -> Retry | None:
    """Return the plan of a closed run again, with only the servers that are still to be
    rebooted; None without any.

    Those failed, were not started, were skipped as busy or locked, for example, or were not
    scheduled for such a reason. `plan`: the document that the run was made of. It keeps all
    its rules, its groups with such servers, its order and its cycle; `retry_of` lets the
    cycle's failed servers go down once more. `folder`: from the new file to the old one's
    folder, for the files that the plan names.
    """
    names = [group["name"] for group in plan["groups"]]
    left = left_of(run, names)
    undone = {name: [s.ref.id for s in some if s.is_repeated] for name, some in left.items()}
    groups = [
        _group(group, undone[group["name"]])
        for group in plan["groups"]
        if undone.get(group["name"])
    ]
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
    servers = [s for some in left.values() for s in some]
    repeated = tuple(s for s in servers if s.is_repeated)
    return Retry(document, repeated, tuple(s for s in servers if not s.is_repeated))


def with_lists(
    document: Mapping[str, Any], stem: str
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return a plan whose groups read their ids from text files beside it, and the ids by
    the names of those files.
    """
    lists: dict[str, list[str]] = {}
    groups = []
    for group in document["groups"]:
        selectors = {part: dict(group[part]) for part in ("servers", "exclude") if group.get(part)}
        for selector in selectors.values():
            if ids := selector.pop("ids", None):
                name = f"{stem}-{len(lists) + 1}.txt"
                lists[name] = ids
                selector["ids_from"] = name
        groups.append({**group, **selectors})
    return {**document, "groups": groups}, lists


def ids_in(document: Mapping[str, Any]) -> int:
    """Return how many ids the selectors of a plan's document hold."""
    selectors = [
        group[part]
        for group in document["groups"]
        for part in ("servers", "exclude")
        if group.get(part)
    ]
    return sum(len(selector.get("ids") or ()) for selector in selectors)


def retry_name(name: str) -> str:
    """`web-retry`, then `web-retry-2`, `web-retry-3`; never longer than a name may be."""
    found = _NUMBERED.match(name)
    if found is None:
        return name[: _LONGEST - len("-retry")].rstrip("-") + "-retry"
    number = f"-{int(found['number'] or 1) + 1}"
    return found["stem"][: _LONGEST - len(number)].rstrip("-") + number


def left_of(run: Run, names: Sequence[str] = ()) -> dict[str, list[Left]]:
    """Return the servers of each group of the plan that are not ready and were not rebooted in
    the cycle before.

    `names`: those of the plan's groups. The part of a group that goes last in the schedule
    belongs to its group.
    """
    home = {part: name for name, part in support_names(names).items()}
    found: dict[str, list[Left]] = {}
    for wave in run.schedule.waves:
        for server in run.members(wave):
            if server.outcome in (None, Outcome.READY):
                continue
            is_skipped = server.outcome is Outcome.SKIPPED
            if is_skipped and server.reason == REBOOTED_IN_CYCLE:
                continue
            is_repeated = (
                server.reason not in LEFT_TO_PEOPLE if is_skipped else server.may_be_asked_again
            )
            ended = server.outcome.value.replace("_", " ")
            left = Left(server.ref, ended, server.reason, is_repeated, server.detail)
            found.setdefault(home.get(wave.group, wave.group), []).append(left)
    for e in run.schedule.not_scheduled:
        left = Left(e.server, "not scheduled", e.reason, e.reason not in LEFT_TO_PEOPLE)
        found.setdefault(e.group, []).append(left)
    return found


def _group(group: Mapping[str, Any], ids: list[str]) -> dict[str, Any]:
    kept = {key: value for key, value in group.items() if key not in ("allow_empty", "target")}
    return {**kept, "servers": {"ids": ids}}


def _targets(run: Run, groups: list[dict[str, Any]]) -> dict[str, str]:
    """The target that the run was for, whatever the plan's file said; of each group where
    they differ.
    """
    targets = {rules.name: rules.target for rules in run.schedule.groups}
    names = {targets[group["name"]] for group in groups}
    if len(names) == 1:
        return {"target": names.pop()}
    for group in groups:
        group["target"] = targets[group["name"]]
    return {"target": targets[groups[0]["name"]]}


def _freezes(plan: Mapping[str, Any], folder: str) -> dict[str, Any]:
    named = plan.get("freeze")
    return (
        {"freeze": [posixpath.normpath(posixpath.join(folder, path)) for path in named]}
        if named
        else {}
    )


def comments(retry: Retry, most: int) -> Iterator[str]:
    """Lines that say what is repeated and what is not, and why; without the mark of a comment."""
    run, number = retry.document["retry_of"], len(retry.repeated)
    yield f"Run {run} again, with the servers of it that are still to be rebooted: {number}."
    yield from _listed(retry.repeated, most)
    if retry.left_out:
        yield ""
        yield (
            f"Not repeated: {len(retry.left_out)}. They rebooted, or may have, or cannot be asked."
        )
        yield (
            "Decide about failed and unknown ones with `reboot-runner resolve`, then write "
            "this plan again."
        )
        yield from _listed(retry.left_out, most)


def _listed(servers: tuple[Left, ...], most: int) -> Iterator[str]:
    for server in servers[:most]:
        reason = f" ({server.reason})" if server.reason else ""
        seen = f": {server.seen}" if server.seen and not server.is_repeated else ""
        yield f"  {server.ref.id}  {server.ref.name}  {server.ended}{reason}{seen}"
    if len(servers) > most:
        yield f"  … and {len(servers) - most} more; all are in the report of the run"
