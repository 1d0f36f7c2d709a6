"""A run's events as sentences: the same words in the progress, in the report's course and on the terminal.

Pure. Sentences may hold text that is not ours (names, messages): who shows them makes them harmless for the channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import singledispatch

from runner.model.events import (
    ApprovalAsked,
    ApprovalGiven,
    BakeEnded,
    BakeObserved,
    BakeStarted,
    BaselineChecked,
    BatchAccepted,
    BatchAmbiguous,
    BatchAnswer,
    BatchDenied,
    BatchLooked,
    BatchNotSent,
    BatchRefused,
    BatchSettled,
    BatchThrottled,
    BudgetPassed,
    CancelRequested,
    Ended,
    Event,
    EventData,
    GatesAsked,
    JobLost,
    JobPolled,
    Note,
    Outcome,
    PauseStarted,
    RunEnded,
    RunError,
    RunResumed,
    RunStopping,
    RunSuspended,
    ServerResolved,
    ServersBlocked,
    ServersChecked,
    ServersEnded,
    ServersFailing,
    ServersLost,
    ServersRechecked,
    TargetFailed,
    WaveBusy,
    WaveChecked,
    WaveEnded,
    WaveHeld,
    WaveStarted,
    WindowAwaited,
    WindowOverridden,
)
from runner.model.gate import GateState, verdict
from runner.model.quantity import format_duration
from runner.model.run import SERVER_WORDS, UNHEALTHY_BEFORE, BatchPhase, Run
from runner.model.schedule import ServerRef
from runner.report.gates import answer_words

NOT_SCHEDULED = "not_scheduled"
"""Beside the words of the model: servers that the plan means and no wave holds."""

STORE_BEGUN = "this run started a new, empty store: earlier reboots of this cycle are not known here"


def headline(run: Run, event: Event) -> str | None:
    """What happened, in a sentence without line breaks of ours; None for what nobody needs to be told.

    `run` is the state after the event, or any later one.
    """
    return _words(event.data, run, event.at)


@singledispatch
def _words(data: EventData, run: Run, at: datetime) -> str | None:
    """Intents and single observations are left out: their results are shown."""
    return None


def troubles(run: Run, event: Event) -> Iterator[tuple[ServerRef, str]]:
    """The servers that this event ended otherwise than ready, each with its sentence; not those never started."""
    match event.data:
        case ServersEnded(servers=rows):
            found = {i: row for i, row in rows.items() if row.outcome not in (Outcome.READY, Outcome.NOT_STARTED)}
        case BaselineChecked(group=group, unhealthy=unhealthy) if run.group(group).baseline == "exclude":
            found = {i: Ended(Outcome.SKIPPED, UNHEALTHY_BEFORE, words) for i, words in unhealthy.items()}
        case ServersLost(servers=servers):
            found = {i: Ended(Outcome.FAILED, *why) for i, why in servers.items()}
        case WaveChecked(skipped=skipped):
            found = {i: Ended(Outcome.SKIPPED, *why) for i, why in skipped.items()}
        case _:
            return
    for server_id, (outcome, reason, detail) in found.items():
        yield run.servers[server_id].ref, f"{outcome}: {reason}" + (f": {detail}" if detail else "")


def counts_words(counts: Mapping[str, int]) -> str:
    """`12 ready, 1 failed, 3 in flight`: only what is not zero, in a fixed order."""
    return ", ".join(f"{counts[k]} {shown(k)}" for k in (*SERVER_WORDS, NOT_SCHEDULED) if counts.get(k)) or "no servers"


def shown(word: str) -> str:
    """Return a word of the report as people read it: `not_started` as `not started`."""
    return word.replace("_", " ")


def count(number: int, noun: str) -> str:
    """`1 server`, `2 servers`, `2 batches`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('ch') else 's'}"


def length(seconds: float) -> str:
    """A length that people can read: whole seconds under an hour, else whole minutes. 94 s: `1m34s`; 0.2 s: `0s`."""
    step = 1 if seconds < 3600 else 60
    return format_duration(float(step * round(seconds / step)))


def wave_words(run: Run, number: int) -> str:
    """`wave 2/5 web`."""
    waves = run.schedule.waves
    group = waves[number - 1].group if 0 < number <= len(waves) else ""
    return f"wave {number}/{len(waves)} {group}".rstrip()


# --- one function for each type of event -------------------------------------------------------------------------


@_words.register
def _wave_started(data: WaveStarted, run: Run, at: datetime) -> str:
    wave = run.schedule.waves[data.wave - 1]
    canary = ", the canary" if wave.is_canary else ""
    return f"{wave_words(run, wave.number)}: started, {count(len(wave.servers), 'server')}{canary}"


@_words.register
def _wave_checked(data: WaveChecked, run: Run, at: datetime) -> str | None:
    skipped = data.skipped
    if not skipped:
        return None
    return f"{wave_words(run, data.wave)}: {len(skipped)} skipped ({_reasons(r for r, _ in skipped.values())})"


@_words.register
def _wave_held(data: WaveHeld, run: Run, at: datetime) -> str:
    return (
        f"{wave_words(run, data.wave)}: held, {data.unavailable} of its group would be down,"
        f" {data.allowed} allowed; {data.down} are down already"
    )


@_words.register
def _wave_busy(data: WaveBusy, run: Run, at: datetime) -> str:
    return f"{wave_words(run, data.wave)}: waits for busy servers"


@_words.register
def _blocked(data: ServersBlocked, run: Run, at: datetime) -> str | None:
    servers = data.servers
    holders = ", ".join(sorted(set(servers.values())))
    what = count(len(servers), "server")
    return f"waits for {what} in flight in {holders}" if servers else None


@_words.register
def _wave_ended(data: WaveEnded, run: Run, at: datetime) -> str:
    state = run.waves[data.wave - 1]
    took = f" in {length((at - state.started).total_seconds())}" if state.started else ""
    return f"{wave_words(run, data.wave)}: over{took}: {counts_words(state.counts)}"


@_words.register
def _accepted(data: BatchAccepted, run: Run, at: datetime) -> str:
    batch = run.batches[data.batch]
    request = f" request {data.request_id}" if data.request_id else ""
    late = ", told late" if data.late else ""
    return f"{_batch(run, data.batch)}: accepted, {count(len(batch.servers), 'server')}, job {data.job}{request}{late}"


@_words.register
def _not_accepted(
    data: BatchNotSent | BatchThrottled | BatchRefused | BatchDenied | BatchAmbiguous, run: Run, at: datetime
) -> str:
    what = _ANSWERS[type(data)]
    is_told = data.code is not None and data.reason.startswith(f"{data.code}:")
    why = ": ".join(word for word in (what, None if is_told else data.code, data.reason) if word)
    again = f"; again at {data.again:%H:%M:%S}" if isinstance(data, BatchNotSent | BatchThrottled) else ""
    request = f" (request {data.request_id})" if data.request_id else ""
    return f"{_batch(run, data.batch)}: {why}{request}{again}"


_ANSWERS: Mapping[type[BatchAnswer], str] = {
    BatchNotSent: "could not be sent",
    BatchThrottled: "throttled",
    BatchRefused: "refused",
    BatchDenied: "denied",
    BatchAmbiguous: "it is not known whether the cloud accepted it",
}


@_words.register
def _looked(data: BatchLooked, run: Run, at: datetime) -> str | None:
    if not data.seen:
        return None
    return (
        f"{_batch(run, data.batch)}: looked for traces of its reboot on {count(len(data.seen), 'server')}:"
        f" {len(data.adopted)} rebooted"
    )


@_words.register
def _settled(data: BatchSettled, run: Run, at: datetime) -> str:
    again = f", {count(len(data.again), 'server')} to be asked for again" if data.again else ""
    return f"{_batch(run, data.batch)}: settled{again}"


@_words.register
def _job_polled(data: JobPolled, run: Run, at: datetime) -> str | None:
    return f"{_batch(run, data.batch)}: its job is over" if data.final else None


@_words.register
def _servers_failing(data: ServersFailing, run: Run, at: datetime) -> str:
    rows = list(data.servers.values())
    return f"{count(len(rows), 'server')} to be looked at: {rows[0][0]}: {rows[0][1]}" if rows else ""


@_words.register
def _rechecked(data: ServersRechecked, run: Run, at: datetime) -> str | None:
    """Say what a second reading found after a request was turned away; nothing where all may be asked again."""
    moving, doubted = data.moving, data.doubted
    said = [f"{count(len(moving), 'server')} rebooted or are rebooting"] if moving else []
    if doubted:
        why = next(iter(doubted.values()))
        said.append(f"{count(len(doubted), 'server')} in doubt ({why})")
    return f"read again before a second request: {', '.join(said)}" if said else None


@_words.register
def _job_lost(data: JobLost, run: Run, at: datetime) -> str:
    return f"{_batch(run, data.batch)}: {data.why}"


@_words.register
def _servers_checked(data: ServersChecked, run: Run, at: datetime) -> str | None:
    passed, missed = data.passed, data.missed
    servers = [*passed, *missed]
    said = [f"the checks of {count(len(passed), 'server')} pass"] if passed else []
    said += [f"of {count(len(missed), 'server')} no longer ({next(iter(missed.values()))})"] if missed else []
    return f"{wave_words(run, run.servers[servers[0]].wave)}: {', '.join(said)}" if servers else None


@_words.register
def _baseline(data: BaselineChecked, run: Run, at: datetime) -> str:
    asked, unhealthy = count(data.asked, "server"), len(data.unhealthy)
    where = f"group {data.group}: asked {asked} before the first wave"
    what = {"exclude": "left out", "count": "counted apart"}.get(run.group(data.group).baseline or "", "too many")
    return f"{where}: {unhealthy} do not pass their checks, {what}" if unhealthy else f"{where}: all pass their checks"


@_words.register
def _servers_ended(data: ServersEnded, run: Run, at: datetime) -> str | None:
    rows = [(str(outcome), reason) for outcome, reason, _ in data.servers.values() if outcome != Outcome.READY]
    if not rows:
        return None
    counts = Counter(outcome for outcome, _ in rows)
    where = {run.servers[i].wave for i, (outcome, *_) in data.servers.items() if outcome != Outcome.READY}
    place = wave_words(run, where.pop()) if len(where) == 1 else "run"
    return f"{place}: {counts_words(counts)} ({_reasons(r for _, r in rows)})"


@_words.register
def _resolved(data: ServerResolved, run: Run, at: datetime) -> str:
    server = run.servers[data.server].ref
    why = f": {data.reason}" if data.reason else ""
    return f"server {server.name} ({server.id}): resolved as {data.resolved_as} by {data.by}{why}"


@_words.register
def _pause(data: PauseStarted, run: Run, at: datetime) -> str:
    return f"pause of {length(data.seconds)} after wave {data.after}"


@_words.register
def _bake(data: BakeStarted, run: Run, at: datetime) -> str:
    return f"bake of {length(data.seconds)} after group {data.group}"


@_words.register
def _bake_observed(data: BakeObserved, run: Run, at: datetime) -> str | None:
    missed, back = data.missed, data.back
    said = [f"{count(len(missed), 'server')} not well ({next(iter(missed.values()))})"] if missed else []
    said += [f"{count(len(back), 'server')} well again"] if back else []
    return f"bake of group {data.group}: {', '.join(said)}" if said else None


@_words.register
def _lost(data: ServersLost, run: Run, at: datetime) -> str:
    servers = data.servers
    reasons = _reasons(reason for reason, _ in servers.values())
    return f"bake of group {data.group}: {len(servers)} failed ({reasons})"


@_words.register
def _baked(data: BakeEnded, run: Run, at: datetime) -> str:
    lost = f", {data.lost} lost" if data.lost else ""
    return f"bake of group {data.group}: over, {data.ready} still ready{lost}"


@_words.register
def _window(data: WindowAwaited, run: Run, at: datetime) -> str:
    opens = "; none is in sight" if not data.current else "; the calendars are read again"
    opens = f"; it can begin at {data.until:%Y-%m-%d %H:%M} UTC" if data.until else opens
    return f"{wave_words(run, data.wave)}: waits for a window: {data.why}{opens}"


@_words.register
def _gates(data: GatesAsked, run: Run, at: datetime) -> str:
    """All answers, those that hold the wave first."""
    answers = data.answers
    pairs = list(zip(run.schedule.gates, answers, strict=True))
    is_open = verdict(run.schedule.gates, answers) is GateState.OPEN
    pairs.sort(key=lambda pair: (pair[0].dry_run, pair[1].state is GateState.OPEN))
    said = "; ".join(f"{g.title}{' (dry run)' if g.dry_run else ''} {answer_words(a)}" for g, a in pairs)
    return f"{wave_words(run, data.wave)}: {'gates are open' if is_open else 'waits for gates'}: {said}"


@_words.register
def _overridden(data: WindowOverridden, run: Run, at: datetime) -> str:
    why = f": {data.reason}" if data.reason else ""
    return f"{wave_words(run, data.wave)}: begun outside a window ({data.why}) by {data.by}{why}"


@_words.register
def _asked(data: ApprovalAsked, run: Run, at: datetime) -> str:
    return f"waits for an approval: {data.why}"


@_words.register
def _given(data: ApprovalGiven, run: Run, at: datetime) -> str:
    why = f": {data.reason}" if data.reason else ""
    return f"approved by {data.by} ({data.question}){why}"


@_words.register
def _passed(data: BudgetPassed, run: Run, at: datetime) -> str:
    return f"{data.why}; the plan says to go on"


@_words.register
def _cancelled(data: CancelRequested, run: Run, at: datetime) -> str:
    why = f": {data.reason}" if data.reason else ""
    return f"cancelled by {data.by}{why}"


@_words.register
def _stopping(data: RunStopping, run: Run, at: datetime) -> str:
    detail = f": {data.detail}" if data.detail else ""
    return f"stops ({data.reason}{detail}); what is in flight is followed to its end"


@_words.register
def _suspended(data: RunSuspended, run: Run, at: datetime) -> str:
    return (data.word or "suspended") + (f": {data.why}" if data.why else "")


@_words.register
def _error(data: RunError, run: Run, at: datetime) -> str:
    return f"error: {data.error}"


@_words.register
def _ended(data: RunEnded, run: Run, at: datetime) -> str:
    return f"run is {data.word} ({data.reason}): {counts_words(run.counts())}"


@_words.register
def _note(data: Note, run: Run, at: datetime) -> str | None:
    return f"note: {data.text}" if data.text else None


@_words.register
def _target_failed(data: TargetFailed, run: Run, at: datetime) -> str:
    return f"target {data.target} is given up, the others go on: {data.why}"


@_words.register
def _resumed(data: RunResumed, run: Run, at: datetime) -> str:
    return "resumed"


BATCH_WORDS = {
    BatchPhase.INTENDED: "not answered, it is not known whether the cloud accepted it",
    BatchPhase.ACCEPTED: "accepted",
    BatchPhase.NOT_SENT: "could not be sent",
    BatchPhase.THROTTLED: "throttled",
    BatchPhase.REFUSED: "refused",
    BatchPhase.DENIED: "denied",
    BatchPhase.AMBIGUOUS: "it is not known whether the cloud accepted it",
    BatchPhase.GONE: "accepted, then its job was gone",
    BatchPhase.SETTLED: "settled by evidence",
}


def _batch(run: Run, number: int) -> str:
    batch = run.batches[number]
    return f"wave {batch.wave}/{len(run.schedule.waves)} batch {batch.number}"


def _reasons(reasons: Iterable[str]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in sorted(Counter(reasons).items()))
