"""What the fault rules that fired on one call come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

from runner.simulator import faults
from runner.simulator.answers import Reply, ecs_error, gateway_error, proxy_page
from runner.simulator.auth import Request
from runner.simulator.call_reboot import throttled

Answerer = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one call goes wrong. `refusal` stands instead of carrying it out, `spoils` instead of its answer."""

    delays: tuple[faults.Delay, ...] = ()
    refusal: Answerer | None = None
    spoils: Answerer | None = None
    resets: Literal["before", "after"] | None = None
    truncates: bool = False
    expires_tokens: bool = False
    names: tuple[str, ...] = ()


def plan_for(rules: Iterable[faults.Rule]) -> Plan:
    """All rules together: delays add up, of several refusals (resets) the first counts."""
    plan = Plan()
    for rule in rules:
        plan = replace(_with(plan, rule), names=(*plan.names, rule.do))
    return plan


def _with(plan: Plan, rule: faults.Rule) -> Plan:
    match rule:
        case faults.Delay():
            return replace(plan, delays=(*plan.delays, rule))
        case faults.Throttle(effect=True):
            return replace(plan, spoils=plan.spoils or _throttle(rule))
        case faults.Throttle():
            return replace(plan, refusal=plan.refusal or _throttle(rule))
        case faults.Error(effect=False):
            return replace(plan, refusal=plan.refusal or _error(rule))
        case faults.Error():
            return replace(plan, spoils=plan.spoils or _error(rule))
        case faults.Reset():
            return replace(plan, resets=plan.resets or rule.when)
        case faults.Truncate():
            return replace(plan, truncates=True)
        case faults.ExpireToken():
            return replace(plan, expires_tokens=True)
        case _:
            return plan


def _throttle(rule: faults.Throttle) -> Answerer:
    code = rule.code or ("Common.0024" if rule.status == 202 else "Common.1503")
    headers: tuple[tuple[str, str], ...] = ()
    if rule.retry_after is not None:
        headers = (("Retry-After", str(round(rule.retry_after.total_seconds()))),)
    return lambda request: throttled(request, rule.status, code, headers)


def _error(rule: faults.Error) -> Answerer:
    def answer(request: Request) -> Reply:
        if rule.body == "html":
            return proxy_page(rule.status, _phrase(rule.status))
        if rule.body == "text":
            return Reply(rule.status, rule.message.encode(), "text/plain", code=str(rule.status))
        if rule.body == "raw":
            return Reply(rule.status, rule.message.encode(), code=str(rule.status))
        if rule.body == "empty":
            return Reply(rule.status, b"", "text/plain", code=str(rule.status))
        if rule.code.startswith("APIG"):
            return gateway_error(rule.status, rule.code, rule.message, request.request_id)
        return ecs_error(rule.code, rule.message, status=rule.status)

    return answer


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
