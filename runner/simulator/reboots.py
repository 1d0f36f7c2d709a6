"""What an accepted reboot will do: the course of each server, decided at acceptance and written to the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from runner.simulator import events as ev
from runner.simulator import faults
from runner.simulator.chance import pick_hex, pick_share
from runner.simulator.rules import Hit
from runner.simulator.timeline import Millis, length_millis
from runner.simulator.world import World

BEGIN_LAG: Millis = 100
"""From acceptance to a sub-job's begin (recorded: 0.09 s)."""

REFUSAL_TIME: Millis = 7_000
"""How long a sub-job takes to find out that its server cannot be rebooted (a guess)."""


def accept(
    world: World,
    now: Millis,
    servers: Sequence[str],
    kind: str,
    *,
    request_id: str = "",
    troubles: Mapping[str, tuple[str, str]] | None = None,
    hits: Iterable[Hit] = (),
) -> ev.Accepted:
    """Accept a batch. `troubles`: servers whose sub-job only fails, each with code and reason. `hits`: faults.

    Equal worlds accept the same batch in the same way, ids and durations included.
    """
    switches = world.switches
    seed, number = world.fleet.options.seed, len(world.accepted)
    hits = tuple(hits)
    parts = []
    for index, server in enumerate(servers):
        trouble = (troubles or {}).get(server)
        part = _refused(now, server, trouble) if trouble else _normal(world, now, server, kind, (number, index))
        for hit in hits:
            if server in hit.servers and not trouble:
                part = _spoiled(part, hit.rule)
        parts.append(part)
    ends = _parent_end(parts, length_millis(switches.parent_lag))
    visible = now + length_millis(switches.job_visible_after)
    for hit in hits:
        if isinstance(hit.rule, faults.JobUnknown):
            visible = max(visible, now + length_millis(hit.rule.seconds))
    return ev.Accepted(
        at=now,
        job="ff8080828" + pick_hex(seed, "job", number, digits=23),
        request_id=request_id or pick_hex(seed, "accepted", number),
        type=kind,
        parts=tuple(parts),
        visible=visible,
        runs_from=now + length_millis(switches.init),
        ends=ends,
        gone=None if ends is None else ends + length_millis(switches.job_kept),
        status=_parent_status(world, parts, hits),
    )


def accept_from_somebody(world: World, now: Millis, at: Millis, servers: Sequence[str], kind: str) -> ev.Accepted:
    """A reboot that somebody else asks for at `at`."""
    accepted = accept(world, at, servers, kind)
    return replace(accepted, at=now, by="scenario")


def _normal(world: World, now: Millis, server: str, kind: str, place: tuple[int, int]) -> ev.Part:
    begins = now + BEGIN_LAG + int(100 * pick_share(world.fleet.options.seed, "begin", *place))
    if world.switches.rebooting_servers == "queue":
        earlier = world.back_at(server, begins)
        begins = begins if earlier is None else max(begins, earlier)
    nth = len(world.reboots_of(server))
    back = begins + world.fleet.reboot_millis(server, nth, kind)
    lag = length_millis(world.switches.state_lag)
    return ev.Part(server, begins, ends=back, back=back, lag=lag)


def _refused(now: Millis, server: str, trouble: tuple[str, str]) -> ev.Part:
    code, reason = trouble
    begins = now + BEGIN_LAG
    return ev.Part(
        server,
        begins,
        ends=begins + REFUSAL_TIME,
        sub_status="FAIL",
        goes_down=False,
        code=code,
        reason=reason,
        message=f'{{"conflictingRequest": {{"code": 409, "message": "Cannot \'reboot\' instance {server}"}}}}',
    )


def _spoiled(part: ev.Part, rule: faults.Rule) -> ev.Part:
    """The part as a batch rule decides it. Rules apply one after the other."""
    match rule:
        case faults.JobFail():
            failed = replace(part, sub_status="FAIL", code=rule.code, reason=rule.reason, message=rule.message)
            if rule.goes_down:
                return failed
            ends = part.begins + REFUSAL_TIME
            return replace(failed, goes_down=False, back=None, ends=min(ends, part.ends or ends))
        case faults.JobStuck():
            return replace(part, sub_status="RUNNING", ends=None)
        case faults.SubJobMissing():
            return replace(part, is_listed=False)
        case faults.ServerError():
            part = _sub_job(part, rule.sub_job)
            return replace(part, back_to="ERROR", code=rule.code, reason=rule.reason)
        case faults.StaysInReboot():
            return replace(_sub_job(part, rule.sub_job), back=None)
        case faults.Slow():
            back = part.begins + length_millis(rule.seconds)
            return replace(part, back=part.back and back, ends=part.ends and back)
        case faults.StateLag():
            return replace(part, lag=length_millis(rule.seconds))
        case _:
            return part


def _sub_job(part: ev.Part, status: ev.SubStatus) -> ev.Part:
    return replace(part, sub_status=status, ends=None if status == "RUNNING" else part.ends)


def _parent_end(parts: Sequence[ev.Part], lag: Millis) -> Millis | None:
    """Some seconds after the last sub-job; never while one does not end."""
    ends = [p.ends for p in parts]
    return None if None in ends else max(e for e in ends if e is not None) + lag


def _parent_status(world: World, parts: Sequence[ev.Part], hits: Iterable[Hit]) -> Literal["SUCCESS", "FAIL"]:
    failed = sum(1 for p in parts if p.sub_status == "FAIL")
    if not failed:
        return "SUCCESS"
    for hit in hits:
        if isinstance(hit.rule, faults.JobFail) and hit.rule.parent:
            return hit.rule.parent
    return "FAIL" if failed == len(parts) else world.switches.parent_of_mixed
