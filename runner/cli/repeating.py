"""What a cycle is spent for, as a plan sees it: one that repeats a run may have that run's failed servers once more."""

from __future__ import annotations

from runner.errors import InvalidInput
from runner.execution.journal import read_run
from runner.model.plan import Plan
from runner.model.problem import Problem
from runner.ports.store import RunNotFound, Store


def spent_for(store: Store | None, plan: Plan, cycle: str, project: str) -> frozenset[str]:
    """The servers of a project that a plan leaves alone, because its cycle is spent for them.

    Without `retry_of` those that any run of the cycle asked for. With it, those that failed in that run and that no
    later run has asked for are free. None stands for a store that nobody has written yet. Raises InvalidInput, with
    the path into the plan, when the run is unknown, is still open, or is of another cycle.
    """
    spent = store.spent(cycle, project) if store is not None else {}
    if plan.retry_of is None:
        return frozenset(spent)
    if store is None:
        raise _unknown(plan.retry_of)
    try:
        row = store.find(plan.retry_of)
    except RunNotFound:
        raise _unknown(plan.retry_of) from None
    if row.id != plan.retry_of:
        raise _unknown(plan.retry_of, f"write the whole id: {row.id}")
    if row.is_open:
        hint = f"end it first: `reboot-runner resume {row.id}`, or `cancel`"
        raise _wrong("RetryOfOpenRun", f"run {row.id} is still {row.word}", hint)
    if row.cycle != cycle:
        hint = f"write cycle: {row.cycle}, or leave retry_of out"
        raise _wrong("RetryOfOtherCycle", f"run {row.id} was of cycle {row.cycle}, the plan is of {cycle}", hint)
    run = read_run(store, row.id)
    undone = {server for server, state in run.servers.items() if state.may_be_asked_again}
    return frozenset(server for server, holder in spent.items() if holder != run.id or server not in undone)


def _unknown(run_id: str, hint: str = "use the store in which it ran (--store), or leave retry_of out") -> InvalidInput:
    return _wrong("RetryOfUnknownRun", f"this store has no run {run_id}", hint)


def _wrong(code: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput([Problem(code, message, hint=hint, path=("retry_of",))])
