"""What a cycle is spent for, as a plan sees it: one that repeats a run may have that run's
failed servers once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.errors import InvalidInput
from runner.execution.journal import read_run, repeated_by
from runner.model.events import Outcome
from runner.model.plan import Plan
from runner.model.problem import Problem
from runner.model.run import Run, ServerState
from runner.ports.store import RunNotFound, Store


@dataclass(frozen=True, slots=True)
class SpentServers:
    """The servers of a project that a plan leaves alone, because its cycle has asked for them.

    `rebooted`: those that ended ready. `unfinished`: the others by id, with the run that
    asked and what became of them.
    """

    rebooted: frozenset[str] = frozenset()
    unfinished: Mapping[str, str] = field(default_factory=dict)


def spent_for(store: Store | None, plan: Plan, cycle: str, project: str) -> SpentServers:
    """Return what a plan's cycle is spent for.

    Without `retry_of` these are the servers that any run of the cycle asked for. With it,
    those that failed in that run and that no later run has asked for are free. None stands
    for a store that does not exist yet. Raises InvalidInput, with the path into the plan,
    when the run is unknown, is still open, or is of another cycle.
    """
    holders = store.spent(cycle, project) if store is not None else {}
    runs: dict[str, Run] = {}
    if plan.retry_of is not None:
        repeated = _repeated(store, plan.retry_of, cycle)
        runs = {run.id: run for run in repeated}
        holders = {
            s: holder for s, holder in holders.items() if not _is_free(s, holder, repeated[0], runs)
        }
    if store is None:
        return SpentServers()
    unfinished: dict[str, str] = {}
    for server, holder in holders.items():
        if holder not in runs:
            runs[holder] = read_run(store, holder)
        state = runs[holder].servers.get(server)
        if state is not None and state.outcome is not Outcome.READY:
            unfinished[server] = _became(runs[holder], state)
    return SpentServers(frozenset(holders.keys() - unfinished.keys()), unfinished)


def _is_free(server: str, holder: str, last: Run, runs: Mapping[str, Run]) -> bool:
    """Return True if a run that is repeated asked for a server last, and neither it nor
    `last` has settled it.
    """
    asked = runs[holder].servers.get(server) if holder in runs else None
    then = last.servers.get(server)
    is_open = then is None or then.may_be_asked_again or then.outcome is Outcome.SKIPPED
    return asked is not None and asked.may_be_asked_again and is_open


def _became(run: Run, state: ServerState) -> str:
    if state.outcome is None:
        return f"run {run.id} asked for it and is not over: `reboot-runner resume {run.id}`"
    ended = state.outcome.value.replace("_", " ")
    is_unclear = state.outcome is Outcome.UNKNOWN or not state.may_be_asked_again
    repeat = f"`reboot-runner report {run.id}`" if is_unclear else f"`reboot-runner retry {run.id}`"
    return f"{ended} ({state.reason}) in run {run.id}: see {repeat}"


def _repeated(store: Store | None, run_id: str, cycle: str) -> list[Run]:
    """Return the run that a plan repeats, the one that it repeated, and so on."""
    if store is None:
        raise _unknown(run_id)
    try:
        row = store.find(run_id)
    except RunNotFound:
        raise _unknown(run_id) from None
    if row.id != run_id:
        raise _unknown(run_id, f"write the whole id: {row.id}")
    if row.is_open:
        hint = f"end it first: `reboot-runner resume {row.id}`, or `cancel`"
        raise _wrong("RetryOfOpenRun", f"run {row.id} is still {row.word}", hint)
    if row.cycle != cycle:
        hint = f"write cycle: {row.cycle}, or leave retry_of out"
        raise _wrong(
            "RetryOfOtherCycle",
            f"run {row.id} was of cycle {row.cycle}, the plan is of {cycle}",
            hint,
        )
    return repeated_by(store, row.id)


def _unknown(
    run_id: str, hint: str = "use the store in which it ran (--store), or leave retry_of out"
) -> InvalidInput:
    return _wrong("RetryOfUnknownRun", f"this store has no run {run_id}", hint)


def _wrong(code: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput([Problem(code, message, hint=hint, path=("retry_of",))])
