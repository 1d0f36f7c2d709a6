"""A run's events as sentences: the same words in the progress, in the report's course and on
the terminal.

Pure. Sentences may hold text that is not ours (names, messages): who shows them makes them
harmless for the channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized

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
from runner.report.folding import named
from runner.report.gates import answer_words
from runner.report.run_report import Percentiles

NOT_SCHEDULED = "not_scheduled"
"""Beside the words of the model: servers that the plan means and no wave holds."""

STORE_BEGUN = (
    "this run started a new, empty store: earlier reboots of this cycle are not known here"
)


def headline(run: Run, event: Event) -> str | None:
    """What happened, in a sentence without line breaks of ours; None for what nobody needs
    to be told.

    `run` is the state after the event, or any later one. Intents and single observations
    are left out: their results are shown.
    """
    at, data = event.at, event.data
    match data:
        case WaveStarted():
            wave = run.schedule.waves[data.wave - 1]
            canary = ", the canary" if wave.is_canary else ""
            return (
                f"{wave_words(run, data.wave)}: started, "
                f"{count(len(wave.servers), 'server')}{canary}"
            )
        case WaveChecked(skipped=skipped) if skipped:
            return (
                f"{wave_words(run, data.wave)}: {len(skipped)} skipped "
                f"({_reasons(r for r, _ in skipped.values())})"
            )
        case WaveHeld():
            return (
                f"{wave_words(run, data.wave)}: held, {data.unavailable} of its group would be "
                f"down,"
                f" {data.allowed} allowed; {data.down} are down already"
            )
        case WaveBusy():
            return f"{wave_words(run, data.wave)}: waits for busy servers"
        case WaveEnded():
            state = run.waves[data.wave - 1]
            took = f" in {length((at - state.started).total_seconds())}" if state.started else ""
            return f"{wave_words(run, data.wave)}: over{took}: {counts_words(state.counts)}"
        case WindowAwaited():
            opens = "; none is in sight" if not data.current else "; the calendars are read again"
            opens = f"; it can begin at {data.until:%Y-%m-%d %H:%M} UTC" if data.until else opens
            return f"{wave_words(run, data.wave)}: waits for a window: {data.why}{opens}"
        case WindowOverridden():
            return (
                f"{wave_words(run, data.wave)}: begun outside a window ({data.why}) by "
                f"{data.by}{_why(data.reason)}"
            )
        case GatesAsked(answers=answers):
            gates = run.schedule.gates
            is_open = verdict(gates, answers) is GateState.OPEN
            pairs = sorted(
                zip(gates, answers, strict=True),  # those that hold the wave first
                key=lambda pair: (pair[0].dry_run, pair[1].state is GateState.OPEN),
            )
            each = "; ".join(
                f"{g.title}{' (dry run)' if g.dry_run else ''} {answer_words(a)}" for g, a in pairs
            )
            return (
                f"{wave_words(run, data.wave)}: "
                f"{'gates are open' if is_open else 'waits for gates'}: {each}"
            )
        case ServersChecked(passed=passed, missed=missed) if passed or missed:
            some = [f"the checks of {_servers(passed)} pass"] if passed else []
            some += [f"of {_servers(missed)} no longer ({_first(missed)})"] if missed else []
            return f"{wave_words(run, run.servers[[*passed, *missed][0]].wave)}: {', '.join(some)}"
        case BatchAccepted():
            request = f" request {data.request_id}" if data.request_id else ""
            late = ", told late" if data.late else ""
            servers = run.batches[data.batch].servers
            return (
                f"{_batch(run, data.batch)}: accepted, {_servers(servers)}, job "
                f"{data.job}{request}{late}"
            )
        case BatchNotSent() | BatchThrottled() | BatchRefused() | BatchDenied() | BatchAmbiguous():
            is_told = data.code is not None and data.reason.startswith(f"{data.code}:")
            words = (_ANSWERS[type(data)], None if is_told else data.code, data.reason)
            request = f" (request {data.request_id})" if data.request_id else ""
            again = (
                f"; again at {data.again:%H:%M:%S}"
                if isinstance(data, BatchNotSent | BatchThrottled)
                else ""
            )
            return f"{_batch(run, data.batch)}: {': '.join(filter(None, words))}{request}{again}"
        case BatchLooked(seen=seen) if seen:
            found = f"{_servers(seen)}: {len(data.adopted)} rebooted"
            return f"{_batch(run, data.batch)}: looked for traces of its reboot on {found}"
        case BatchSettled():
            again = f", {_servers(data.again)} to be asked for again" if data.again else ""
            return f"{_batch(run, data.batch)}: settled{again}"
        case JobPolled(final=True):
            return f"{_batch(run, data.batch)}: its job is over"
        case JobLost():
            return f"{_batch(run, data.batch)}: {data.why}"
        case ServersBlocked(servers=servers) if servers:
            return (
                f"waits for {_servers(servers)} in flight in "
                f"{', '.join(sorted(set(servers.values())))}"
            )
        case ServersFailing(servers=servers):
            rows = list(servers.values())
            return f"{_servers(rows)} to be looked at: {rows[0][0]}: {rows[0][1]}" if rows else ""
        case ServersRechecked(moving=moving, doubted=doubted) if moving or doubted:
            some = [f"{_servers(moving)} rebooted or are rebooting"] if moving else []
            some += [f"{_servers(doubted)} in doubt ({_first(doubted)})"] if doubted else []
            return f"read again before a second request: {', '.join(some)}"
        case ServersEnded(servers=servers):
            bad = {i: row for i, row in servers.items() if row.outcome != Outcome.READY}
            if not bad:
                return None
            waves = {run.servers[i].wave for i in bad}
            place = wave_words(run, waves.pop()) if len(waves) == 1 else "run"
            counts = counts_words(Counter(str(row.outcome) for row in bad.values()))
            return f"{place}: {counts} ({_reasons(row.reason for row in bad.values())})"
        case ServerResolved():
            server = run.servers[data.server].ref
            return (
                f"server {server.name} ({server.id}): resolved as {data.resolved_as} by "
                f"{data.by}{_why(data.reason)}"
            )
        case BaselineChecked(group=group, unhealthy=unhealthy):
            what = {"exclude": "left out", "count": "counted apart"}.get(
                run.group(group).baseline or "", "too many"
            )
            found = (
                f"{len(unhealthy)} do not pass their checks, {what}"
                if unhealthy
                else "all pass their checks"
            )
            return (
                f"group {group}: asked {count(data.asked, 'server')} before the first wave: {found}"
            )
        case PauseStarted():
            return f"pause of {length(data.seconds)} after wave {data.after}"
        case BakeStarted():
            return f"bake of {length(data.seconds)} after group {data.group}"
        case BakeObserved(missed=missed, back=back) if missed or back:
            some = [f"{_servers(missed)} not well ({_first(missed)})"] if missed else []
            some += [f"{_servers(back)} well again"] if back else []
            return f"bake of group {data.group}: {', '.join(some)}"
        case ServersLost(servers=lost):
            reasons = _reasons(reason for reason, _ in lost.values())
            return f"bake of group {data.group}: {len(lost)} failed ({reasons})"
        case BakeEnded():
            and_lost = f", {data.lost} lost" if data.lost else ""
            return f"bake of group {data.group}: over, {data.ready} still ready{and_lost}"
        case ApprovalAsked():
            return f"waits for an approval: {data.why}"
        case ApprovalGiven():
            return f"approved by {data.by} ({data.question}){_why(data.reason)}"
        case BudgetPassed():
            return f"{data.why}; the plan says to go on"
        case CancelRequested():
            return f"cancelled by {data.by}{_why(data.reason)}"
        case TargetFailed():
            return f"target {data.target} is given up, the others go on: {data.why}"
        case RunResumed():
            return "resumed"
        case RunStopping():
            return (
                f"stops ({data.reason}{_why(data.detail)}); what is in flight is followed to "
                f"its end"
            )
        case RunSuspended():
            return (data.word or "suspended") + _why(data.why)
        case RunError():
            return f"error: {data.error}"
        case RunEnded():
            return f"run is {data.word} ({data.reason}): {counts_words(run.counts())}"
        case Note():
            return f"note: {data.text}" if data.text else None
        case _:
            return None


def trouble_lines(run: Run, event: Event, most: int | None) -> Iterator[tuple[str, str]]:
    """Yield a line for each server that this event ended otherwise than ready or never
    started, and its id.

    With more than `most` of them, the last line counts the others, and has no id.
    """
    match event.data:
        case ServersEnded(servers=rows):
            found = {
                i: row
                for i, row in rows.items()
                if row.outcome not in (Outcome.READY, Outcome.NOT_STARTED)
            }
        case BaselineChecked(group=group, unhealthy=unhealthy) if (
            run.group(group).baseline == "exclude"
        ):
            found = {
                i: Ended(Outcome.SKIPPED, UNHEALTHY_BEFORE, words) for i, words in unhealthy.items()
            }
        case ServersLost(servers=servers):
            found = {i: Ended(Outcome.FAILED, *why) for i, why in servers.items()}
        case WaveChecked(skipped=skipped):
            found = {i: Ended(Outcome.SKIPPED, *why) for i, why in skipped.items()}
        case _:
            return
    for server_id, (outcome, reason, detail) in list(found.items())[:most]:
        yield f"{named(run.servers[server_id].ref)} {outcome}: {reason}{_why(detail)}", server_id
    if most is not None and len(found) > most:
        yield f"… and {len(found) - most} more, all in the report", ""


def counts_words(counts: Mapping[str, int]) -> str:
    """`12 ready, 1 failed, 3 in flight`: only what is not zero, in a fixed order."""
    return (
        ", ".join(
            f"{counts[k]} {shown(k)}" for k in (*SERVER_WORDS, NOT_SCHEDULED) if counts.get(k)
        )
        or "no servers"
    )


def shown(word: str) -> str:
    """Return a word of the report as people read it: `not_started` as `not started`."""
    return word.replace("_", " ")


def count(number: int, noun: str) -> str:
    """`1 server`, `2 servers`, `2 batches`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('ch') else 's'}"


def length(seconds: float) -> str:
    """A length that people can read: whole seconds under an hour, else whole minutes. 94 s:
    `1m34s`; 0.2 s: `0s`.
    """
    step = 1 if seconds < 3600 else 60
    return format_duration(float(step * round(seconds / step)))


def spread_words(spread: Percentiles | None) -> str:
    """`40s (p50), 44s (p90), 52s (longest) of 120 servers`; empty for none."""
    if spread is None:
        return ""
    values = (
        f"{length(spread.p50_s)} (p50), {length(spread.p90_s)} (p90), {length(spread.max_s)} "
        f"(longest)"
    )
    return f"{values} of {count(spread.servers, 'server')}"


def wave_words(run: Run, number: int) -> str:
    """`wave 2/5 web`."""
    waves = run.schedule.waves
    group = waves[number - 1].group if 0 < number <= len(waves) else ""
    return f"wave {number}/{len(waves)} {group}".rstrip()


_ANSWERS: Mapping[type[BatchAnswer], str] = {
    BatchNotSent: "could not be sent",
    BatchThrottled: "throttled",
    BatchRefused: "refused",
    BatchDenied: "denied",
    BatchAmbiguous: "it is not known whether the cloud accepted it",
}

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


def _why(reason: str) -> str:
    return f": {reason}" if reason else ""


def _first(why: Mapping[str, str]) -> str:
    return next(iter(why.values()))


def _servers(servers: Sized) -> str:
    return count(len(servers), "server")


def _reasons(reasons: Iterable[str]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in sorted(Counter(reasons).items()))
