"""The one place from which a reboot leaves: intent first, then the request, then its answer."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

from runner.errors import CloudDenied, StoreError
from runner.execution.effects import Pace, Send
from runner.execution.reading import TROUBLE_AGAIN, read_patiently, vet
from runner.execution.run_clock import stamp_of
from runner.execution.site import Setting, Site
from runner.execution.writer import Writer
from runner.model.events import (
    BatchAccepted,
    BatchAmbiguous,
    BatchDenied,
    BatchIntended,
    BatchNotSent,
    BatchRefused,
    BatchThrottled,
    Ended,
    EventData,
    Outcome,
    ServersBlocked,
    ServersEnded,
)
from runner.model.job import Accepted, Ambiguous, Denied, NotSent, RebootAnswer, Refused, Throttled
from runner.model.run import BatchPhase, Run
from runner.ports.store import Halted, Intent, RateFull, Taken

MINUTE_S = 61.0
"""The window of the rate budget, of the run's clock. Reservations are counted when they are
made, the cloud counts requests when they arrive: a second more than its minute, so that one
that was slow on its way is not counted with those of a minute later.
"""
NOT_SENT_BACK_OFF_S = (5.0, 10.0, 20.0, 40.0, 60.0)
THROTTLED_BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 120.0, 300.0)
"""At least, whatever time the answer names; up to a quarter more, so that runs which were
throttled together part.
"""


async def send(effect: Send, setting: Setting, site: Site, writer: Writer, pace: Pace) -> None:
    """Reserve and record the intent durably, then ask the cloud once, then record what it answered.

    Raises LeaseLost when somebody else has the run, CloudDenied when credentials or
    permission are missing.
    """
    held_s = site.cloud.held_s()
    if held_s > 0:
        pace.send_after = setting.clock.now() + timedelta(
            seconds=held_s * setting.time_scale + 0.05
        )
        return
    if not await _vetted(effect, setting, site, writer, pace):
        return
    run, now = writer.run, setting.clock.now()
    signed_at = setting.wall()
    if not _intend(effect, setting, site, writer, pace, signed_at):
        return
    if writer.lease_age_s() > writer.lease.ttl_s / 2:
        given_up = NotSent("this process was stopped for too long between intent and request")
        return writer.conclude(lambda: answer_events(run, effect, given_up, now))
    answer = await site.cloud.reboot(effect.servers, run.schedule.reboot_type, signed_at)
    await record_answer(effect, answer, setting, writer)


async def _vetted(effect: Send, setting: Setting, site: Site, writer: Writer, pace: Pace) -> bool:
    """Whether this process knows of each server that it may reboot it: that it does not run on
    it, above all.

    The look at the wave may be that of another process, on another machine. Then the
    servers are read again here first; those to be spared are skipped, and the machine asks
    anew.
    """
    if not setting.rules.spares_any or pace.vetted.issuperset(effect.servers):
        return True
    now = setting.clock.now()
    seen = await read_patiently(effect.servers, site, writer, pace, now, "vetting")
    if seen is None:
        pace.send_after = now + TROUBLE_AGAIN
        return False
    spared = vet(effect.target, seen, setting, writer, pace)
    gone = {
        i: ("Missing", "the cloud does not know it any more")
        for i in effect.servers
        if i not in seen
    }
    rows = {i: Ended(Outcome.SKIPPED, *why) for i, why in {**gone, **spared}.items()}
    if rows:
        writer.decide((ServersEnded(rows),))
    return not rows


def _intend(
    effect: Send, setting: Setting, site: Site, writer: Writer, pace: Pace, signed_at: datetime
) -> bool:
    run, now = writer.run, setting.clock.now()
    valid_for = site.cloud.capabilities.valid_for
    event = BatchIntended(
        batch=effect.batch,
        wave=run.wave.number if run.wave else 0,
        target=effect.target,
        servers=effect.servers,
        attempt=max(run.servers[i].attempts for i in effect.servers) + 1,
        sender={
            **setting.owner.as_json(),
            "wall": signed_at.isoformat(),
            **stamp_of(setting.clock),
        },
        valid_until=None if valid_for is None else signed_at + valid_for,
    )
    intent = Intent(
        project=site.project_id,
        cycle=run.schedule.cycle,
        batch=effect.batch,
        servers=effect.servers,
        per_window=site.tuning.servers_per_minute,
        window_s=MINUTE_S / setting.time_scale,
        repeats=run.repeats,
    )
    try:
        if not writer.decide((event,), intent):
            return False
    except RateFull as full:
        pace.send_after = now + timedelta(seconds=full.wait_s * setting.time_scale + 0.05)
    except Halted:
        pace.send_after = now + timedelta(seconds=1)
    except Taken as taken:
        _taken(effect, taken, setting, writer, pace, now)
    else:
        _unblock(effect.servers, pace)
        return True
    return False


def _unblock(servers: Collection[str], pace: Pace) -> None:
    for server in servers:
        pace.blocked.pop(server, None)


def _taken(
    effect: Send, taken: Taken, setting: Setting, writer: Writer, pace: Pace, now: datetime
) -> None:
    """Servers in flight elsewhere are waited for; servers that this cycle is spent for are
    skipped at once, and so are those that a closed run holds: they ended unknown there, and
    only a person can give them back.
    """
    _unblock([i for i in effect.servers if i not in taken.claimed], pace)
    closed = {h for h in set(taken.claimed.values()) if not setting.store.find(h).is_open}
    unknown = {i: h for i, h in taken.claimed.items() if h in closed}
    if unknown:
        rows = {
            i: Ended(
                Outcome.SKIPPED,
                "UnknownInOtherRun",
                f"unknown since run {h}: `reboot-runner resolve {h} --server {i} --as rebooted "
                f"--reason …`",
            )
            for i, h in unknown.items()
        }
        writer.decide((ServersEnded(rows),))
    for server, holder in taken.claimed.items():
        if server in unknown:
            continue
        since, _ = pace.blocked.get(server, (now, ""))
        pace.blocked[server] = (since, f"run {holder}")
    if taken.claimed:
        pace.claimed = now
        new = {
            i: h
            for i, h in taken.claimed.items()
            if i not in unknown and not writer.run.servers[i].blocked_since
        }
        if new:
            writer.decide((ServersBlocked(new),))
    if taken.spent:
        rows = {
            i: Ended(Outcome.SKIPPED, "RebootedInCycle", f"by run {run}")
            for i, run in taken.spent.items()
        }
        writer.decide((ServersEnded(rows),))


async def record_answer(
    effect: Send, answer: RebootAnswer, setting: Setting, writer: Writer
) -> None:
    """Record what came of a request; raises CloudDenied after a denial is recorded."""
    now = setting.clock.now()
    if isinstance(answer, Accepted):
        return await writer.accepted(BatchAccepted(effect.batch, answer.job_id, answer.request_id))
    writer.conclude(lambda: answer_events(writer.run, effect, answer, now))
    if isinstance(answer, Throttled):
        _hold_all(effect, answer, setting, writer)
    if isinstance(answer, Denied):
        raise CloudDenied(
            f"the cloud denied the reboot: {answer.reason}; nothing was rebooted by this request",
            hint=answer.hint or None,
            code=answer.code,
            status=answer.status,
            request_id=answer.request_id,
        )
    return None


def _hold_all(effect: Send, answer: Throttled, setting: Setting, writer: Writer) -> None:
    """The other runs of the store wait as well, of whatever process: what throttles one would
    throttle each of them.

    At most a minute; only a help, so that a store that does not take it costs nothing.
    """
    wait_s = _wait_s(writer.run, answer)
    if wait_s > 0:
        with suppress(StoreError):
            window_s, real_s = 60.0 / setting.time_scale, wait_s / setting.time_scale
            project = setting.sites[effect.target].project_id
            setting.store.hold(project, writer.run.id, real_s, window_s)


def answer_events(
    run: Run, effect: Send, answer: RebootAnswer, now: datetime
) -> tuple[EventData, ...]:
    """The events that an answer other than an acceptance becomes. Pure.

    None when the batch is known to be accepted by then: a job id is the stronger fact.
    """
    if run.batches[effect.batch].phase is not BatchPhase.INTENDED:
        return ()
    if isinstance(answer, Accepted):
        raise AssertionError("an acceptance is recorded by record_answer")  # noqa: TRY004 - a bug
    batch, reason = effect.batch, answer.reason
    if isinstance(answer, NotSent):
        return (BatchNotSent(batch, reason, again=now + timedelta(seconds=_wait_s(run, answer))),)
    said = (batch, reason, answer.code, answer.status, answer.request_id)
    match answer:
        case Throttled():
            return (BatchThrottled(*said, again=now + timedelta(seconds=_wait_s(run, answer))),)
        case Denied():
            return (BatchDenied(*said),)
        case Refused() if any(w.is_of_state for w in answer.why) and any(
            run.servers[i].doubted for i in effect.servers
        ):
            return (BatchAmbiguous(*said),)
        case Refused() if answer.is_divisible:
            return (BatchRefused(*said, why=answer.why),)
        case Refused():
            row = Ended(Outcome.FAILED, "Refused", f"{answer.code}: {reason}")
            return (
                BatchRefused(*said, why=answer.why),
                ServersEnded(dict.fromkeys(effect.servers, row)),
            )
        case Ambiguous():
            return (BatchAmbiguous(*said),)


def _wait_s(run: Run, answer: NotSent | Throttled) -> float:
    """Return the seconds until the next request: what the cloud says, else a growing back-off."""
    if isinstance(answer, NotSent):
        return NOT_SENT_BACK_OFF_S[min(run.trouble_count, len(NOT_SENT_BACK_OFF_S) - 1)]
    wait_s = THROTTLED_BACK_OFF_S[min(run.trouble_count, len(THROTTLED_BACK_OFF_S) - 1)]
    share = zlib.crc32(f"{run.id} {run.trouble_count}".encode()) / 2**32
    return max(answer.retry_after_s or 0.0, wait_s * (1 + share / 4))
