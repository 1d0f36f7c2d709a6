"""A run's events as sentences: the same words in the progress, in the report's course and on the terminal.

Pure. Sentences may hold text that is not ours (names, messages): who shows them makes them harmless for the channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from runner.model.gate import GateAnswer, GateState, verdict
from runner.model.quantity import format_duration
from runner.model.run import SERVER_WORDS, UNHEALTHY_BEFORE, BatchPhase, Event, Outcome, Run
from runner.model.schedule import ServerRef
from runner.report.gates import answer_words

NOT_SCHEDULED = "not_scheduled"
"""Beside the words of the model: servers that the plan means and no wave holds."""

STORE_BEGUN = "this run started a new, empty store: earlier reboots of this cycle are not known here"


def headline(run: Run, event: Event) -> str | None:
    """What happened, in a sentence without line breaks of ours; None for what nobody needs to be told.

    `run` is the state after the event, or any later one.
    """
    words = HEADLINES.get(event.type)
    return words(run, event.data, event.at) if words else None


def troubles(run: Run, event: Event) -> Iterator[tuple[ServerRef, str]]:
    """The servers that this event ended otherwise than ready, each with its sentence; not those never started."""
    if event.type == "servers.ended":
        for server_id, (outcome, reason, detail) in event.data["servers"].items():
            if outcome not in (Outcome.READY, Outcome.NOT_STARTED):
                yield run.servers[server_id].ref, _because(str(outcome), reason, detail)
    elif event.type == "baseline.checked" and run.group(event.data["group"]).baseline == "exclude":
        for server_id, words in event.data["unhealthy"].items():
            yield run.servers[server_id].ref, _because("skipped", UNHEALTHY_BEFORE, words)
    elif event.type == "servers.lost":
        for server_id, (reason, detail) in event.data["servers"].items():
            yield run.servers[server_id].ref, _because("failed", reason, detail)
    elif event.type == "wave.checked":
        for server_id, (reason, detail) in event.data["skipped"].items():
            yield run.servers[server_id].ref, _because("skipped", reason, detail)


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


def _because(outcome: str, reason: str, detail: str) -> str:
    return f"{outcome}: {reason}" + (f": {detail}" if detail else "")


# --- one function for each type of event -------------------------------------------------------------------------


def _wave_started(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    wave = run.schedule.waves[data["wave"] - 1]
    canary = ", the canary" if wave.is_canary else ""
    return f"{wave_words(run, wave.number)}: started, {count(len(wave.servers), 'server')}{canary}"


def _wave_checked(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    skipped = data["skipped"]
    if not skipped:
        return None
    return f"{wave_words(run, data['wave'])}: {len(skipped)} skipped ({_reasons(r for r, _ in skipped.values())})"


def _wave_held(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return (
        f"{wave_words(run, data['wave'])}: held, {data['unavailable']} of its group would be down,"
        f" {data['allowed']} allowed; {data['down']} are down already"
    )


def _wave_busy(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"{wave_words(run, data['wave'])}: waits for busy servers"


def _blocked(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    servers = data["servers"]
    holders = ", ".join(sorted({str(holder) for holder in servers.values()}))
    what = count(len(servers), "server")
    return f"waits for {what} in flight in {holders}" if servers else None


def _wave_ended(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    state = run.waves[data["wave"] - 1]
    took = f" in {length((at - state.started).total_seconds())}" if state.started else ""
    return f"{wave_words(run, data['wave'])}: over{took}: {counts_words(state.counts)}"


def _accepted(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    batch = run.batches[data["batch"]]
    request = f" request {data['request_id']}" if data.get("request_id") else ""
    late = ", told late" if data.get("late") else ""
    return f"{_batch(run, data)}: accepted, {count(len(batch.servers), 'server')}, job {data['job']}{request}{late}"


def _not_started(what: str) -> Callable[[Run, Mapping[str, Any], datetime], str]:
    def words(run: Run, data: Mapping[str, Any], at: datetime) -> str:
        code, reason = data.get("code"), str(data.get("reason") or "")
        is_told = bool(code) and reason.startswith(f"{code}:")
        why = ": ".join(str(word) for word in (what, None if is_told else code, reason) if word)
        again = f"; again at {_clock(data['again'])}" if data.get("again") else ""
        request = f" (request {data['request_id']})" if data.get("request_id") else ""
        return f"{_batch(run, data)}: {why}{request}{again}"

    return words


def _looked(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    if not data["seen"]:
        return None
    return (
        f"{_batch(run, data)}: looked for traces of its reboot on {count(len(data['seen']), 'server')}:"
        f" {len(data['adopted'])} rebooted"
    )


def _settled(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    again = data.get("again") or ()
    return f"{_batch(run, data)}: settled" + (f", {count(len(again), 'server')} to be asked for again" if again else "")


def _job_polled(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    return f"{_batch(run, data)}: its job is over" if data.get("final") else None


def _servers_failing(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    rows = list(data["servers"].values())
    return f"{count(len(rows), 'server')} to be looked at: {rows[0][0]}: {rows[0][1]}" if rows else ""


def _rechecked(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    """Say what a second reading found after a request was turned away; nothing where all may be asked again."""
    moving, doubted = data["moving"], data["doubted"]
    said = [f"{count(len(moving), 'server')} rebooted or are rebooting"] if moving else []
    if doubted:
        why = next(iter(doubted.values()))
        said.append(f"{count(len(doubted), 'server')} in doubt ({why})")
    return f"read again before a second request: {', '.join(said)}" if said else None


def _job_gone(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"{_batch(run, data)}: {data.get('why') or 'its job cannot be followed any more'}"


def _servers_checked(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    passed, missed = data["passed"], data["missed"]
    servers = [*passed, *missed]
    said = [f"the checks of {count(len(passed), 'server')} pass"] if passed else []
    said += [f"of {count(len(missed), 'server')} no longer ({next(iter(missed.values()))})"] if missed else []
    return f"{wave_words(run, run.servers[servers[0]].wave)}: {', '.join(said)}" if servers else None


def _baseline(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    asked, unhealthy = count(data["asked"], "server"), len(data["unhealthy"])
    where = f"group {data['group']}: asked {asked} before the first wave"
    what = {"exclude": "left out", "count": "counted apart"}.get(run.group(data["group"]).baseline or "", "too many")
    return f"{where}: {unhealthy} do not pass their checks, {what}" if unhealthy else f"{where}: all pass their checks"


def _servers_ended(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    rows = [(str(outcome), reason) for outcome, reason, _ in data["servers"].values() if outcome != Outcome.READY]
    if not rows:
        return None
    counts = Counter(outcome for outcome, _ in rows)
    where = {run.servers[i].wave for i, (outcome, *_) in data["servers"].items() if outcome != Outcome.READY}
    place = wave_words(run, where.pop()) if len(where) == 1 else "run"
    return f"{place}: {counts_words(counts)} ({_reasons(r for _, r in rows)})"


def _resolved(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    server = run.servers[data["server"]].ref
    why = f": {data['reason']}" if data.get("reason") else ""
    return f"server {server.name} ({server.id}): resolved as {data['as']} by {data.get('by') or 'somebody'}{why}"


def _pause(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"pause of {length(data['seconds'])} after wave {data['after']}"


def _bake(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"bake of {length(data['seconds'])} after group {data['group']}"


def _bake_observed(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    missed, back = data["missed"], data["back"]
    said = [f"{count(len(missed), 'server')} not well ({next(iter(missed.values()))})"] if missed else []
    said += [f"{count(len(back), 'server')} well again"] if back else []
    return f"bake of group {data['group']}: {', '.join(said)}" if said else None


def _lost(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    servers = data["servers"]
    reasons = _reasons(reason for reason, _ in servers.values())
    return f"bake of group {data['group']}: {len(servers)} failed ({reasons})"


def _baked(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    lost = f", {data['lost']} lost" if data.get("lost") else ""
    return f"bake of group {data['group']}: over, {data.get('ready', 0)} still ready{lost}"


def _window(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    opens = "; none is in sight" if not data.get("current") else "; the calendars are read again"
    opens = f"; it can begin at {_moment(data['until'])}" if data.get("until") else opens
    return f"{wave_words(run, data['wave'])}: waits for a window: {data['why']}{opens}"


def _gates(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    """All answers, those that hold the wave first."""
    answers = [GateAnswer(GateState(state), value, reason) for state, value, reason in data["answers"]]
    pairs = list(zip(run.schedule.gates, answers, strict=True))
    is_open = verdict(run.schedule.gates, answers) is GateState.OPEN
    pairs.sort(key=lambda pair: (pair[0].dry_run, pair[1].state is GateState.OPEN))
    said = "; ".join(f"{g.title}{' (dry run)' if g.dry_run else ''} {answer_words(a)}" for g, a in pairs)
    return f"{wave_words(run, data['wave'])}: {'gates are open' if is_open else 'waits for gates'}: {said}"


def _overridden(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    why = f": {data['reason']}" if data.get("reason") else ""
    who = data.get("by") or "somebody"
    return f"{wave_words(run, data['wave'])}: begun outside a window ({data['why']}) by {who}{why}"


def _asked(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"waits for an approval: {data['why']}"


def _given(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    why = f": {data['reason']}" if data.get("reason") else ""
    return f"approved by {data.get('by') or 'somebody'} ({data['question']}){why}"


def _passed(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"{data.get('why') or 'the budget of group ' + data['group'] + ' is exceeded'}; the plan says to go on"


def _cancelled(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    why = f": {data['reason']}" if data.get("reason") else ""
    return f"cancelled by {data.get('by') or 'somebody'}{why}"


def _stopping(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    detail = f": {data['detail']}" if data.get("detail") else ""
    return f"stops ({data['reason']}{detail}); what is in flight is followed to its end"


def _suspended(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return str(data.get("word") or "suspended") + (f": {data['why']}" if data.get("why") else "")


def _error(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"error: {data.get('message') or data.get('error') or 'no message'}"


def _ended(run: Run, data: Mapping[str, Any], at: datetime) -> str:
    return f"run is {data['word']} ({data.get('reason') or 'no reason'}): {counts_words(run.counts())}"


def _note(run: Run, data: Mapping[str, Any], at: datetime) -> str | None:
    text = data.get("text") or data.get("message")
    return f"note: {text}" if text else None


HEADLINES: dict[str, Callable[[Run, Mapping[str, Any], datetime], str | None]] = {
    "baseline.checked": _baseline,
    "wave.started": _wave_started,
    "wave.checked": _wave_checked,
    "wave.held": _wave_held,
    "wave.busy": _wave_busy,
    "servers.blocked": _blocked,
    "wave.ended": _wave_ended,
    "batch.accepted": _accepted,
    "batch.not_sent": _not_started("could not be sent"),
    "batch.throttled": _not_started("throttled"),
    "batch.refused": _not_started("refused"),
    "batch.denied": _not_started("denied"),
    "batch.ambiguous": _not_started("it is not known whether the cloud accepted it"),
    "batch.looked": _looked,
    "batch.settled": _settled,
    "job.polled": _job_polled,
    "servers.failing": _servers_failing,
    "servers.rechecked": _rechecked,
    "job.gone": _job_gone,
    "servers.checked": _servers_checked,
    "target.failed": lambda run, data, at: f"target {data['target']} is given up, the others go on: {data['why']}",
    "servers.ended": _servers_ended,
    "server.resolved": _resolved,
    "pause.started": _pause,
    "bake.started": _bake,
    "gates.asked": _gates,
    "bake.observed": _bake_observed,
    "servers.lost": _lost,
    "bake.ended": _baked,
    "window.awaited": _window,
    "window.overridden": _overridden,
    "approval.asked": _asked,
    "approval.given": _given,
    "budget.passed": _passed,
    "cancel.requested": _cancelled,
    "run.stopping": _stopping,
    "run.suspended": _suspended,
    "run.resumed": lambda run, data, at: "resumed",
    "run.error": _error,
    "run.ended": _ended,
    "note": _note,
}
"""Intents and single observations are left out: their results are shown."""

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


def _batch(run: Run, data: Mapping[str, Any]) -> str:
    batch = run.batches[data["batch"]]
    return f"wave {batch.wave}/{len(run.schedule.waves)} batch {batch.number}"


def _reasons(reasons: Any) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in sorted(Counter(reasons).items()))


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC")


def _clock(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%H:%M:%S")
