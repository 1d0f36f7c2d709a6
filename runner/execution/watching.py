"""One round of a bake: the group's ready servers are read, and those that run are asked for their checks."""

from __future__ import annotations

from datetime import datetime, timedelta

from runner.errors import CloudDenied, CloudError
from runner.execution import baking
from runner.execution.checking import ask_all
from runner.execution.effects import Pace, Watch
from runner.execution.site import Setting, Site
from runner.execution.writer import Writer
from runner.model.inventory import Server
from runner.model.run import Run

TROUBLE_AGAIN = timedelta(seconds=30)
PATIENCE_WITH_DENIALS = 3
_BAKE = -1
"""Among what `Pace.denied` counts: batches have numbers from 1, states 0."""


async def watch(effect: Watch, setting: Setting, site: Site, writer: Writer, pace: Pace) -> None:
    """Look at a group in its bake, once. Raises CloudError when it cannot be looked at for long after its end."""
    at = setting.clock.now()
    try:
        seen = await site.cloud.read_servers(effect.servers)
    except CloudError as error:
        _endure(error, writer.run, effect.group, pace, at)
        setting.talk(f"the servers of group {effect.group} could not be looked at in its bake: {error}")
        return
    pace.troubles.pop("bake", None)
    pace.denied.pop(_BAKE, None)
    pace.watch_again = None
    down = {i: words for i in effect.servers if (words := baking.not_running(seen.get(i)))}
    ill = await _ill({i: seen[i] for i in effect.servers if i not in down}, effect.group, site, writer.run)
    writer.conclude(lambda: baking.seen_events(writer.run, effect.group, down, ill, at))
    pace.watched = at


async def _ill(running: dict[str, Server], group: str, site: Site, run: Run) -> dict[str, str]:
    """Those that do not pass the group's checks, with words. One that another task keeps busy is asked like any."""
    checks = run.group(group).checks
    if not checks:
        return {}
    answers = await ask_all({i: s.own_address for i, s in running.items()}, checks, site.prober)
    return {i: words for i, words in answers.items() if words is not None}


def _endure(error: CloudError, run: Run, group: str, pace: Pace, now: datetime) -> None:
    """A round that cannot be read is tried again; past the end of the bake for `ready.timeout`, no longer."""
    pace.watch_again = now + TROUBLE_AGAIN
    if isinstance(error, CloudDenied):
        pace.denied[_BAKE] = pace.denied.get(_BAKE, 0) + 1
        if pace.denied[_BAKE] >= PATIENCE_WITH_DENIALS:
            raise error
    since, rules = pace.troubles.setdefault("bake", now), run.group(group)
    if run.bake_began is None:
        return
    end = max(since, baking.ends(run, rules))
    if (now - end).total_seconds() >= rules.ready_timeout_s:
        raise error
