"""The failure budgets of run and group, judged after every server's result. Pure."""

from __future__ import annotations

from datetime import datetime

from runner.execution.effects import Pace
from runner.model.events import ApprovalAsked, BudgetPassed, EventData, RunStopping
from runner.model.run import Run


def over_budget(run: Run, pace: Pace, now: datetime) -> tuple[EventData, ...]:
    """The failure budgets of run and group, judged after every server's result.

    A group whose target was given up begins nothing more anyway: what failed there counts
    for the run alone.
    """
    if run.stop is not None or not run.failed:
        return ()
    budget = run.schedule.max_failures
    for name in run.failed_in:
        excess = None if run.group(name).target in run.failed_targets else _group_excess(run, name)
        if excess and name not in run.passed_over:
            action = run.group(name).on_failure
            if action == "stop":
                return (RunStopping(*excess),)
            if action == "continue":
                return (BudgetPassed(name, excess[1]), *_run_excess(run, budget.allowed))
            if (
                run.failed <= budget.allowed
                and run.question is None
                and (run.wave or not run.bake_began)
            ):
                return (ask(run, f"budget:{name}:{run.failed_in[name]}", excess[1]),)
    return _run_excess(run, budget.allowed)


def _run_excess(run: Run, allowed: int) -> tuple[EventData, ...]:
    if run.failed <= allowed:
        return ()
    detail = f"{run.failed} failed, {allowed} allowed ({run.schedule.max_failures.written})"
    return (RunStopping("FailureBudgetExceeded", detail),)


def _group_excess(run: Run, name: str) -> tuple[str, str] | None:
    """Why a group's budget is exceeded: its number, or its canary whatever the number.

    What a person has accepted covers the failures that there were then: the canary's for
    good, the number up to that.
    """
    rules = run.group(name)
    failed, accepted = run.failed_in.get(name, 0), run.accepted_over.get(name)
    if accepted is not None and failed <= accepted:
        return None
    canary = run.canary(name)
    if accepted is None and canary and any(s.uses_up_budget for s in run.members(canary)):
        return ("CanaryFailed", f"the canary of group {name} failed")
    if rules.max_failures is not None and failed > rules.max_failures.allowed:
        return (
            "GroupBudgetExceeded",
            (
                f"{failed} of group {name} failed, {rules.max_failures.allowed} allowed "
                f"({rules.max_failures.written})"
            ),
        )
    return None


def ask(run: Run, question: str, why: str) -> EventData:
    """A question to people; `wave` is the next one that has not begun, or the last."""
    begun = run.wave is not None and run.waves[run.position].started is not None
    number = min(run.position + (2 if begun else 1), len(run.schedule.waves))
    return ApprovalAsked(question, why, number)
