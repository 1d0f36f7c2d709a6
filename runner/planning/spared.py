"""Servers that a run needs to stay up: the machine it runs on, and what configuration names as
its support. Pure.

Neither is left out quietly: a plan that would reboot one is refused until it says so itself
(`exclude`). Support with `action: last` goes down in waves of its own after all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runner.model.config import Support
from runner.model.inventory import Inventory, Server
from runner.model.machine import NOBODY, Machine, is_it
from runner.model.problem import Problem
from runner.model.schedule import Schedule
from runner.planning.belts import few
from runner.planning.exclusions import RUNNER_ITSELF, RUNNER_SUPPORT, Why
from runner.planning.fleet import NEVER, Last
from runner.planning.select import Index, Test, matcher

_EMPTY = Index(Inventory((), datetime.min.replace(tzinfo=UTC)))
"""Support is named by id, name and tag: no list of the cloud's is needed to know it."""


@dataclass(frozen=True)
class Spared:
    """What a run spares, as it is known here and now. Compiled once, then asked about
    single servers.
    """

    machine: Machine = NOBODY
    support: tuple[Support, ...] = ()
    _tests: tuple[tuple[Support, Test], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tests = tuple((one, matcher(one.servers.selector, _EMPTY)) for one in self.support)
        object.__setattr__(self, "_tests", tests)

    @property
    def is_nothing(self) -> bool:
        return self.machine == NOBODY and not self.support

    @property
    def last(self) -> Last:
        """The test for servers that go down after all others, as planning wants it."""
        return self._is_last if any(one.action == "last" for one in self.support) else NEVER

    def _is_last(self, server: Server) -> bool:
        """What is to be refused is refused wherever it stands."""
        return {one.action for one in self._of(server)} == {"last"}

    def _of(self, server: Server) -> list[Support]:
        return [one for one, test in self._tests if test(server) is not None]

    def names(self, server: Server) -> str:
        """What this server is to the runner: `bastion, nat`; empty for others."""
        return ", ".join(one.name for one in self._of(server))

    def why(self, server: Server, *, among_last: bool) -> Why | None:
        """Why this server may not be rebooted now. `among_last`: its wave is one of those
        after all others.
        """
        how = is_it(self.machine, server)
        if how is not None:
            return Why(RUNNER_ITSELF, f"it is the machine that the runner runs on: {how}")
        found = self._of(server)
        refused = next((one for one in found if one.action == "refuse"), None)
        if refused is not None:
            return Why(RUNNER_SUPPORT, f"the runner depends on it ({refused.name})")
        if found and not among_last:
            return Why(
                RUNNER_SUPPORT,
                f"the runner depends on it ({found[0].name}): it goes down after all others",
            )
        return None

    def unmatched(self, servers: Collection[Server]) -> Iterator[str]:
        """The names of support that no server is: a belt that has slipped off."""
        for one, test in self._tests:
            if not any(test(server) is not None for server in servers):
                yield one.name


def spare_now(
    spared: Spared, schedule: Schedule, group: str, servers: Mapping[str, Server]
) -> dict[str, Why]:
    """Those of a wave's servers, as just read, that may not be rebooted after all, with
    the reason.
    """
    if spared.is_nothing:
        return {}
    among_last = any(g.name == group and g.support for g in schedule.groups)
    found = ((i, spared.why(server, among_last=among_last)) for i, server in servers.items())
    return {i: why for i, why in found if why is not None}


def judge_spared(
    spared: Spared,
    schedule: Schedule,
    inventory: Inventory,
    skipped: Collection[str] = (),
    *,
    target: str | None = None,
) -> list[Problem]:
    """What in a schedule may not be rebooted from here: one problem for each group and kind;
    `path` in the plan.

    `target`: the one that this is about, None for all. `skipped`: ids of its servers that
    will be left out anyway. Warnings tell which support goes last, and which names no
    server of the target.
    """
    if spared.is_nothing:
        return []
    found: list[Problem] = []
    for n, group in enumerate(schedule.groups):
        if target not in (None, group.target):
            continue
        refs = [
            s
            for w in schedule.waves
            if w.group == group.name
            for s in w.servers
            if s.id not in skipped
        ]
        servers = [inventory.by_id[s.id] for s in refs if s.id in inventory.by_id]
        path = ("groups", n, "servers")
        found += _refused(spared, group.name, servers, path, among_last=group.support)
        if group.support and servers:
            found.append(_goes_last(spared, group.name, servers, path))
    unmatched = list(spared.unmatched(inventory.servers))
    if unmatched:
        said = (
            f"support {few(unmatched)}: the target has no such server, so nothing is protected "
            f"by it"
        )
        hint = "correct support of the target in the configuration"
        found.append(
            Problem("SupportNotFound", said, hint=hint, severity="warning", path=("groups",))
        )
    return found


def _refused(
    spared: Spared,
    group: str,
    servers: Sequence[Server],
    path: tuple[str | int, ...],
    *,
    among_last: bool,
) -> Iterator[Problem]:
    reasons: dict[str, list[tuple[Server, str]]] = {}
    for server in servers:
        why = spared.why(server, among_last=among_last)
        if why is not None:
            reasons.setdefault(why.reason, []).append((server, why.detail))
    for server, detail in reasons.get(RUNNER_ITSELF, ()):
        said = f"group {group} would reboot {server.name} ({server.id}), and {detail}"
        yield Problem(RUNNER_ITSELF, said, hint=_HOW_ITSELF, path=path)
    needed = reasons.get(RUNNER_SUPPORT, [])
    if needed:
        shown = few([f"{s.name} ({s.id}), {spared.names(s)}" for s, _ in needed])
        said = (
            f"group {group} would reboot {len(needed)} of the servers that the runner depends "
            f"on: {shown}"
        )
        yield Problem(RUNNER_SUPPORT, said, hint=_HOW_SUPPORT, path=path)


_HOW_ITSELF = (
    "exclude it in the plan, or run the plan from another machine; if it is another machine, set"
    " REBOOT_RUNNER_ITSELF=none (that does not overrule the metadata service)"
)
_HOW_SUPPORT = (
    "exclude them in the plan, or write action: last for them in the configuration, then plan again"
)


def _goes_last(
    spared: Spared, group: str, servers: Sequence[Server], path: tuple[str | int, ...]
) -> Problem:
    names = few([f"{s.name} ({s.id}), {spared.names(s)}" for s in servers])
    said = (
        f"the runner depends on {len(servers)} servers, which go down after all others, as "
        f"group {group}: {names}"
    )
    return Problem("SupportLast", said, severity="warning", path=path)
