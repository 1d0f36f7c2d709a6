"""Reads of the cloud that the machine asked for: each reads, and hands what it saw to the
pure part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from runner.errors import CloudDenied, CloudError
from runner.execution import baking, brakes, evidence, verdicts
from runner.execution.effects import (
    Ask,
    AskBefore,
    AskGates,
    GateLook,
    Look,
    Pace,
    Poll,
    ReadBack,
    ReadFreezes,
    ReadWave,
    Recheck,
    WatchBake,
)
from runner.execution.site import Setting, Site
from runner.execution.writer import Writer
from runner.model.check import Check
from runner.model.events import EventData, GatesAsked, RunStopping, WaveBusy, WaveHeld, Why
from runner.model.gate import GateAnswer
from runner.model.inventory import Server
from runner.model.job import Job, JobGone, SubJob
from runner.model.quantity import format_duration
from runner.model.run import Phase, Run
from runner.model.schedule import Schedule
from runner.model.window import CurrentFreezes
from runner.ports import Cloud, EvidenceKind, Gatekeeper, Prober

BUSY_PATIENCE = timedelta(minutes=2)
BUSY_AGAIN = timedelta(seconds=10)
TROUBLE_AGAIN = timedelta(seconds=30)
DOWN_AGAIN = timedelta(seconds=30)
ODD_WORD_HOLDS = timedelta(seconds=60)
"""How long an undocumented status word with an end time stays unchanged before it is taken
for a failure.
"""
HISTORIES_AT_ONCE = 8
ASKED_AT_ONCE = 100
"""Servers: each has one connection open at a time."""
_BAKE = -1
"""Among what `Pace.denied` counts: batches have numbers from 1, states 0."""
PATIENCE_WITH_DENIALS = 3


async def ask_gates(
    effect: AskGates, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Ask all gates at once. The journal gets what has changed; this process remembers all,
    and when it was.
    """
    began, run = setting.clock.now(), writer.run
    answers = await gate_answers(run.schedule, setting.rules)
    now = setting.clock.now()
    is_news = [a.state for a in run.gate_answers] != [a.state for a in answers]
    if not is_news or writer.decide((GatesAsked(effect.wave, answers),)):
        pace.gates = GateLook(effect.wave, now, (now - began).total_seconds(), answers)


async def gate_answers(schedule: Schedule, gatekeeper: Gatekeeper) -> tuple[GateAnswer, ...]:
    """The answers of a schedule's gates now, in their order."""
    targets = {g.name: g.target for g in schedule.groups}
    servers: dict[str, list[str]] = {}
    for wave in schedule.waves:
        servers.setdefault(targets[wave.group], []).extend(s.id for s in wave.servers)
    return tuple(await asyncio.gather(*(gatekeeper.ask(gate, servers) for gate in schedule.gates)))


async def read_freezes(
    effect: ReadFreezes, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Read the plan's calendars of this moment; where they are not at hand, the run's own
    copy of them holds alone.
    """
    found = await asyncio.to_thread(setting.rules.freezes, writer.run, setting.clock.now())
    pace.calendars = (effect.wave, found or CurrentFreezes())


async def read_wave(
    effect: ReadWave, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Read the wave before it begins; busy servers are read again for up to two minutes."""
    now, run = setting.clock.now(), writer.run
    both = await read_patiently(
        (*effect.servers, *effect.others), site, writer, pace, now, "checking"
    )
    if both is None:
        pace.check_again = now + TROUBLE_AGAIN
        return
    seen = {i: both[i] for i in effect.servers if i in both}
    held = {i for i in effect.servers if i in pace.blocked or run.servers[i].blocked_since}
    if any(i not in held for i in verdicts.busy_ones(run, seen)) and _is_busy_still(
        effect.wave, writer, now
    ):
        pace.check_again = now + BUSY_AGAIN
        return
    forbidden = setting.rules.forbidden(writer.run, seen)
    if forbidden is not None:
        writer.decide((RunStopping("PolicyViolated", forbidden),))
        return
    if _is_held(writer, both, effect.others, now):
        pace.check_again = now + DOWN_AGAIN
        return
    settled = _settled_at(run, effect.servers, site.tuning.settle_s)
    if settled is not None and now < settled:
        pace.check_again = settled
        return
    spared = vet(effect.target, seen, setting, writer, pace)
    moved = [i for i in effect.servers if i in seen and verdicts.needs_history(writer.run, seen[i])]
    spent = setting.store.spent(run.schedule.cycle, site.project_id) if moved else {}
    spent = {i: holder for i, holder in spent.items() if holder not in run.repeats}
    histories = await histories_of([i for i in moved if i not in spent], site.cloud)
    if writer.decide(verdicts.wave_events(writer.run, seen, histories, spent, held, spared)):
        pace.check_again = None


def _settled_at(run: Run, ids: Collection[str], settle_s: float) -> datetime | None:
    """Return when the last request of an earlier run is old enough for its servers to show
    a sign of it.
    """
    requests = (run.earlier[i] for i in ids if i in run.earlier)
    asked = [request.at for request in requests if request.resolved is None]
    return max(asked) + timedelta(seconds=settle_s) if asked else None


def _is_busy_still(wave: int, writer: Writer, now: datetime) -> bool:
    """Whether busy servers are waited for: for two minutes from when the first was seen, by
    whatever process.
    """
    since = writer.run.waves[writer.run.position].busy
    if since is None:
        writer.decide((WaveBusy(wave),))
    return since is None or now - since < BUSY_PATIENCE


def _is_held(
    writer: Writer, seen: Mapping[str, Server], others: tuple[str, ...], now: datetime
) -> bool:
    """Whether too many servers of the group are down for the wave: it waits for them, and
    at last the run stops.
    """
    run = writer.run
    found = brakes.too_many_down(run, seen, others)
    if found is None or run.wave is None:
        return False
    rules, since = run.group(run.wave.group), run.waves[run.position].held
    allowed = rules.max_unavailable.allowed if rules.max_unavailable else 0
    if since is None:
        writer.decide((WaveHeld(run.wave.number, found[0], allowed, found[1]),))
    elif (now - since).total_seconds() >= rules.ready_timeout_s:
        waited = format_duration(rules.ready_timeout_s)
        detail = (
            f"with wave {run.wave.number}, {found[0]} of group {rules.name} would be down, "
            f"{allowed} allowed;"
        )
        detail += f" {found[1]} are down already, and were not back within {waited}"
        writer.decide((RunStopping("TooManyUnavailable", detail),))
    return True


def vet(
    target: str, seen: Mapping[str, Server], setting: Setting, writer: Writer, pace: Pace
) -> Mapping[str, Why]:
    """Those of the current wave's servers that this process must not reboot; the others are
    vetted for it.
    """
    run = writer.run
    if run.wave is None:
        return {}
    spared = setting.rules.spared(run, target, run.wave.group, seen)
    pace.vetted |= seen.keys() - spared.keys()
    pace.vetted -= spared.keys()
    return spared


async def poll(effect: Poll, setting: Setting, site: Site, writer: Writer, pace: Pace) -> None:
    """Read one job. Errors are no verdict: they are retried until the deadline of the job's
    servers.
    """
    now = setting.clock.now()
    pace.polled[effect.batch] = now
    try:
        job = await site.cloud.job(effect.job_id)
    except CloudError as error:
        pace.tried(effect.batch, now, success=False)
        _raise_denied(error, pace, effect.batch)
        setting.talk(f"job {effect.job_id} could not be read: {error}")
        return
    now = setting.clock.now()
    pace.denied.pop(effect.batch, None)
    pace.tried(effect.batch, now, success=True)
    stale = _stale_words(effect.batch, job, pace, now)
    writer.conclude(
        lambda: verdicts.job_events(writer.run, writer.run.batches[effect.batch], job, now, stale)
    )


def _stale_words(batch: int, job: Job | JobGone, pace: Pace, now: datetime) -> set[str]:
    """Return the servers whose last word is undocumented and has not changed for a minute;
    "" is the job itself.
    """
    if isinstance(job, JobGone):
        return set()
    stale: set[str] = set()
    parts: dict[str, Job | SubJob] = {"": job, **job.sub_jobs}
    for server_id, part in parts.items():
        if not part.looks_ended:
            pace.odd.pop((batch, server_id), None)
            continue
        word, since = pace.odd.setdefault((batch, server_id), (part.word, now))
        if word != part.word:
            pace.odd[batch, server_id] = (part.word, now)
        elif now - since >= ODD_WORD_HOLDS:
            stale.add(server_id)
    return stale


async def read_back(
    effect: ReadBack, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Read rebooted servers: are they back?"""
    now = setting.clock.now()
    pace.read_back = now
    try:
        seen = await site.cloud.read_servers(effect.servers)
    except CloudError as error:
        pace.tried(0, now, success=False)
        _raise_denied(error, pace, 0)
        setting.talk(f"servers could not be read: {error}")
        return
    now = setting.clock.now()
    pace.denied.pop(0, None)
    settle_s = site.tuning.settle_s
    writer.conclude(lambda: verdicts.back_events(writer.run, effect.servers, seen, now, settle_s))
    pace.tried(0, now, success=True)
    pace.looked.update(dict.fromkeys(effect.servers, now))
    pace.states.update({i: evidence.state_words(seen.get(i)) for i in effect.servers})
    pace.addresses.update({i: server.own_address for i, server in seen.items()})


async def ask(effect: Ask, setting: Setting, site: Site, writer: Writer, pace: Pace) -> None:
    """Ask servers that run again for their checks, at the addresses that were read last."""
    addresses = {i: pace.addresses.get(i, "") for i in effect.servers}
    answers = await ask_all(addresses, writer.run.group(effect.group).checks, site.prober)
    now = setting.clock.now()
    writer.conclude(lambda: verdicts.check_events(writer.run, answers))
    pace.asked.update(dict.fromkeys(answers, now))
    pace.answers.update({i: words or "" for i, words in answers.items()})


async def ask_all(
    addresses: Mapping[str, str], checks: Sequence[Check], prober: Prober
) -> dict[str, str | None]:
    """Ask many servers at once, but not too many: server id -> None when all its checks pass,
    else the words of the first that does not.
    """
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(address: str) -> str | None:
        async with gate:
            for check in checks:
                words = await prober.ask(address, check)
                if words is not None:
                    return words
            return None

    answers = await asyncio.gather(*(one(address) for address in addresses.values()))
    return dict(zip(addresses, answers, strict=True))


async def ask_before(
    effect: AskBefore, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Ask a group's servers before the first wave; those that do not run are left to the look
    at their wave.

    Whoever does not pass is asked a second time: one lost packet is no fault of long standing.
    """
    now = setting.clock.now()
    seen = await read_patiently(effect.servers, site, writer, pace, now, "baseline")
    if seen is None:
        pace.baseline_again = now + TROUBLE_AGAIN
        return
    checks = writer.run.group(effect.group).checks
    addresses = {i: seen[i].own_address for i in effect.servers if i in seen and seen[i].is_idle}
    answers = await ask_all(addresses, checks, site.prober)
    again = {i: addresses[i] for i, words in answers.items() if words is not None}
    answers |= await ask_all(again, checks, site.prober)
    writer.decide(verdicts.baseline_events(writer.run, effect.group, answers))


async def recheck(
    effect: Recheck, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Read servers whose request was turned away again, and the history of those that
    show a hint.
    """
    now = setting.clock.now()
    seen = await read_patiently(effect.servers, site, writer, pace, now, "rechecking")
    if seen is None:
        pace.recheck_again = now + TROUBLE_AGAIN
        return
    pace.recheck_again = None
    traced = [
        i
        for i, s in seen.items()
        if i in writer.run.servers and verdicts.to_be_traced(writer.run, i, s)
    ]
    histories = await histories_of(traced, site.cloud)
    writer.conclude(lambda: verdicts.recheck_events(writer.run, effect.servers, seen, histories))
    pace.rechecked.update(dict.fromkeys(effect.servers, setting.clock.now()))


async def look(effect: Look, setting: Setting, site: Site, writer: Writer, pace: Pace) -> None:
    """Read state and history of servers of a batch in doubt, or whose job failed, and judge
    what that proves.

    All histories are read at first and for a reading that may prove that there is no trace,
    in between only those of servers that show a hint.
    """
    now, batch = setting.clock.now(), writer.run.batches[effect.batch]
    run, tuning = writer.run, site.tuning
    seen = await read_patiently(effect.servers, site, writer, pace, now, f"looking {effect.batch}")
    if seen is None:
        pace.look_again[effect.batch] = now + TROUBLE_AGAIN
        return
    is_round = now >= evidence.round_due(batch, tuning.settle_s)
    reads_all = is_round or effect.batch not in pace.look_again
    traced = [
        i
        for i in effect.servers
        if reads_all
        or run.servers[i].phase is Phase.FAILING
        or evidence.shows_hint(seen.get(i), run.servers[i].updated_before)
    ]
    histories = await histories_of(traced, site.cloud)
    findings = {i: evidence.Finding(seen.get(i), histories.get(i)) for i in effect.servers}
    pace.look_again[effect.batch] = now + timedelta(seconds=tuning.poll_every_s)
    late = evidence.may_arrive_late(batch, setting.owner, setting.is_dead, setting.wall())

    def follows() -> tuple[EventData, ...]:
        events = evidence.judge_failing(run, batch, findings, now)
        return events or evidence.judge(
            run, batch, findings, is_round=is_round, may_arrive_late=late
        )

    writer.conclude(follows)


async def watch(
    effect: WatchBake, setting: Setting, site: Site, writer: Writer, pace: Pace
) -> None:
    """Look at a group in its bake, once: its ready servers are read, and those that run are
    asked for their checks.

    A round that cannot be read is tried again. Raises CloudError past the end of the bake
    for `ready.timeout`.
    """
    at, run = setting.clock.now(), writer.run
    rules = run.group(effect.group)
    try:
        seen = await site.cloud.read_servers(effect.servers)
    except CloudError as error:
        pace.watch_again = at + TROUBLE_AGAIN
        _raise_denied(error, pace, _BAKE)
        since = pace.troubles.setdefault("bake", at)
        if run.bake_began is not None:
            late = at - max(since, baking.ends(run, rules))
            if late.total_seconds() >= rules.ready_timeout_s:
                raise
        setting.talk(
            f"the servers of group {effect.group} could not be looked at in its bake: {error}"
        )
        return
    pace.troubles.pop("bake", None)
    pace.denied.pop(_BAKE, None)
    pace.watch_again = None
    down = {i: words for i in effect.servers if (words := baking.not_running(seen.get(i)))}
    addresses = {i: seen[i].own_address for i in effect.servers if i not in down}
    answers = await ask_all(addresses, rules.checks, site.prober) if rules.checks else {}
    ill = {i: words for i, words in answers.items() if words is not None}
    writer.conclude(lambda: baking.seen_events(writer.run, effect.group, down, ill, at))
    pace.watched = at


async def read_patiently(
    ids: Collection[str], site: Site, writer: Writer, pace: Pace, now: datetime, what: str
) -> Mapping[str, Server] | None:
    """Servers by id; None when they cannot be read now. Raises when that has lasted for
    `ready.timeout`.
    """
    try:
        seen = await site.cloud.read_servers(ids)
    except CloudDenied:
        raise
    except CloudError:
        since = pace.troubles.setdefault(what, now)
        run = writer.run
        patience = run.group(run.wave.group).ready_timeout_s if run.wave else 0.0
        if (now - since).total_seconds() >= patience:
            raise
        return None
    pace.troubles.pop(what, None)
    return seen


async def histories_of(
    ids: Collection[str], cloud: Cloud
) -> dict[str, tuple[datetime, ...] | None]:
    """Return when servers were rebooted, few read at once; None where that cannot be read."""
    if EvidenceKind.HISTORY not in cloud.capabilities.evidence:
        return dict.fromkeys(ids)
    gate = asyncio.Semaphore(HISTORIES_AT_ONCE)

    async def one(server_id: str) -> tuple[datetime, ...] | None:
        async with gate:
            try:
                return await cloud.reboot_history(server_id)
            except CloudError:
                return None

    return dict(zip(ids, await asyncio.gather(*(one(i) for i in ids)), strict=True))


def _raise_denied(error: CloudError, pace: Pace, what: int) -> None:
    """Credentials that stay refused end the step: a person must mend them."""
    if isinstance(error, CloudDenied):
        pace.denied[what] = pace.denied.get(what, 0) + 1
        if pace.denied[what] >= PATIENCE_WITH_DENIALS:
            raise error
