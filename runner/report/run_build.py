"""Journal -> report. Pure, and without the present time: equal journals give equal reports."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

from runner.errors import EXIT_WORDS
from runner.model.events import (
    ApprovalAsked,
    ApprovalGiven,
    CancelRequested,
    Event,
    GatesAsked,
    Outcome,
    ServerResolved,
    WindowOverridden,
)
from runner.model.owner import Owner
from runner.model.run import Batch, Run, ServerState
from runner.model.run_exit import exit_code
from runner.model.schedule import Exclusion, Schedule
from runner.report.fitting import end
from runner.report.reasons import sentence
from runner.report.run_report import (
    FORMAT_VERSION,
    Approval,
    BatchPart,
    Counts,
    CoursePart,
    DecisionPart,
    ExcludedPart,
    GateAnswerPart,
    Percentiles,
    RunReport,
    ServerPart,
    ServerTimes,
    StopPart,
    UnknownPart,
    WavePart,
)
from runner.report.run_steps import next_steps
from runner.report.run_words import NOT_SCHEDULED, count, counts_words, headline, length

ResultWord = Literal["done", "incomplete", "stopped", "suspended", "held"]


def build_report(run: Run, events: Sequence[Event]) -> RunReport:
    """Everything a report holds, of an open run too. `events`: the whole journal that `run`
    was folded from.
    """
    servers = tuple(
        _server(run, run.servers[ref.id]) for wave in run.schedule.waves for ref in wave.servers
    )
    excluded = tuple(map(_excluded, run.schedule.exclusions))
    approvals = tuple(_approvals(events))
    code, as_of = exit_code(run), run.last_event_at or run.created
    schedule = run.schedule
    return RunReport(
        format_version=FORMAT_VERSION,
        run=run.id,
        state=run.word,
        result=cast(ResultWord, EXIT_WORDS[code]),
        exit_code=code,
        summary=summary(run),
        next=next_steps(run),
        created=run.created,
        ended=run.ended,
        as_of=as_of,
        duration_s=((run.ended or as_of) - run.created).total_seconds(),
        tool_version=_fact(run, "tool_version"),
        actor=_fact(run, "actor"),
        commit=_fact(run, "commit"),
        ci_run=_fact(run, "ci_run"),
        clock=_fact(run, "clock"),
        store_begun=run.facts.get("store_begun") is True,
        plan=schedule.plan,
        schedule_digest=schedule.digest,
        cycle=schedule.cycle,
        targets=schedule.targets,
        reboot_type=schedule.reboot_type,
        max_failures=schedule.max_failures,
        counts=_counts(run, run.servers.values()),
        failed_before=_failed_before(run),
        reboot=spread(s.reboot_s for s in servers),
        out=spread(s.out_s for s in servers if s.outcome == "ready"),
        stop=StopPart(run.stop.at, run.stop.reason, run.stop.detail) if run.stop else None,
        waits_for=next(
            (
                a
                for a in approvals
                if run.question and a.question == run.question.id and not a.given
            ),
            None,
        ),
        approvals=approvals,
        decisions=tuple(_decision(event) for event in run.decisions),
        gates=tuple(_gates(run, events)),
        waves=tuple(_waves(run)),
        unknown=tuple(_unknown(run)),
        servers=servers,
        not_scheduled=not_scheduled(schedule),
        excluded=excluded,
        course=tuple(CoursePart(e.at, e.type, text) for e in events if (text := headline(run, e))),
        reasons={
            r: text
            for r in sorted({s.reason for s in servers} | {e.reason for e in excluded})
            if (text := sentence(r))
        },
    )


def summary(run: Run) -> str:
    """The totals in a sentence: `done: 38 of 40 servers ready, 2 not scheduled; 12m3s`."""
    counts = run.counts() | {NOT_SCHEDULED: len(run.schedule.not_scheduled)}
    ready, total = counts.pop("ready"), len(run.servers) + counts[NOT_SCHEDULED]
    others = counts_words(counts)
    rest = "" if others == "no servers" else f", {others}"
    if old := _failed_before(run):
        rest += f" ({old} of the failed as before the run)"
    until = run.ended or run.last_event_at or run.created
    took = length((until - run.created).total_seconds())
    return f"{state_words(run)}: {ready} of {count(total, 'server')} ready{rest}; {took}"


def state_words(run: Run) -> str:
    """Return the run's one label and its cause: `stopped (CanaryFailed)`, `suspended
    (SIGINT)`, `running`.
    """
    why = run.stop.reason if run.stop and run.stop.reason != "Cancelled" else ""
    if run.suspended is not None:
        why = end(run.suspended.why, 120)
    return f"{run.word} ({why})" if why else run.word


def spread(values: Iterable[float | None]) -> Percentiles | None:
    """Percentiles by nearest rank: the p-th of n values is number ceil(p * n) in their order.
    None without values.

    Of 10, 20, 30, 40: p50 20, p90 40, max 40.
    """
    known = sorted(v for v in values if v is not None)
    if not known:
        return None

    def rank(p: float) -> float:
        return known[max(0, math.ceil(p * len(known)) - 1)]

    return Percentiles(len(known), rank(0.5), rank(0.9), known[-1])


def _failed_before(run: Run) -> int:
    return sum(s.outcome is Outcome.FAILED and not s.uses_up_budget for s in run.servers.values())


def not_scheduled(schedule: Schedule) -> tuple[ExcludedPart, ...]:
    """Return the servers that the plan means and no wave holds."""
    return tuple(map(_excluded, schedule.not_scheduled))


def _excluded(exclusion: Exclusion) -> ExcludedPart:
    server, e = exclusion.server, exclusion
    return ExcludedPart(server.id, server.name, server.zone, e.group, e.reason, e.detail)


def _fact(run: Run, name: str) -> str:
    value = run.facts.get(name)
    return "" if value is None else str(value)


def _counts(run: Run, servers: Iterable[ServerState]) -> Counts:
    found = Counter[str](map(run.word_of, servers))
    return Counts(scheduled=found.total(), **found)


def _server(run: Run, state: ServerState) -> ServerPart:
    batch = run.batches.get(state.batch) if state.batch is not None else None
    ref = state.ref
    return ServerPart(
        id=ref.id,
        name=ref.name,
        zone=ref.zone,
        group=run.schedule.waves[state.wave - 1].group,
        wave=state.wave,
        outcome=run.word_of(state),
        phase=state.phase,
        reason=state.reason,
        detail=state.detail,
        evidence=state.evidence,
        unhealthy_before=state.unhealthy_before,
        attempts=state.attempts,
        batch=state.batch,
        job_id=batch.job_id if batch else None,
        request_id=batch.request_id if batch else None,
        times=ServerTimes(
            state.intended,
            state.accepted,
            state.job_began,
            state.job_ended,
            state.up_since,
            state.healthy_since,
            state.ended,
            state.lost,
        ),
        reboot_s=_between(state.job_began, state.job_ended),
        out_s=_between(state.accepted, state.up_since),
        resolution=dict(state.resolution) if state.resolution else None,
    )


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end and end >= start else None


def _waves(run: Run) -> Iterator[WavePart]:
    batches: dict[int, list[BatchPart]] = {}
    for batch in run.batches.values():
        batches.setdefault(batch.wave, []).append(_batch(batch))
    for wave, state in zip(run.schedule.waves, run.waves, strict=True):
        yield WavePart(
            number=wave.number,
            group=wave.group,
            written=wave.written,
            is_canary=wave.is_canary,
            started=state.started,
            checked=state.checked,
            ended=state.ended,
            duration_s=_between(state.started, state.ended),
            counts=_counts(run, run.members(wave)),
            batches=tuple(batches.get(wave.number, ())),
        )


def _batch(batch: Batch) -> BatchPart:
    return BatchPart(
        number=batch.number,
        state=batch.phase,
        target=batch.target,
        servers=batch.servers,
        sender=_sender(batch.sender),
        intended=batch.intended,
        answered=batch.answered,
        job_id=batch.job_id,
        job_ended=batch.job_final,
        request_id=batch.request_id,
        code=batch.code,
        reason=batch.reason,
        looks=batch.rounds,
    )


def _sender(sender: Mapping[str, Any]) -> str:
    return str(Owner.from_json(sender)) if {"host", "pid"} <= sender.keys() else ""


def _unknown(run: Run) -> Iterator[UnknownPart]:
    for state in run.servers.values():
        if state.outcome is Outcome.UNKNOWN:
            batch = run.batches.get(state.batch or 0)
            yield UnknownPart(
                id=state.ref.id,
                name=state.ref.name,
                wave=state.wave,
                reason=state.reason,
                seen=state.detail,
                intended=state.intended,
                batch=state.batch,
                job_id=batch.job_id if batch else None,
                request_id=batch.request_id if batch else None,
            )


def _gates(run: Run, events: Iterable[Event]) -> Iterator[GateAnswerPart]:
    for event in events:
        if isinstance(event.data, GatesAsked):
            for gate, answer in zip(run.schedule.gates, event.data.answers, strict=True):
                said = (answer.state, answer.value, answer.reason)
                yield GateAnswerPart(
                    event.at, event.data.wave, gate.title, str(gate), gate.dry_run, *said
                )


def _approvals(events: Sequence[Event]) -> Iterator[Approval]:
    """Every question with its answer, in the order of asking. A question id is asked and
    answered once.
    """
    given = {e.data.question: (e.at, e.data) for e in events if isinstance(e.data, ApprovalGiven)}
    for event in events:
        if isinstance(asked := event.data, ApprovalAsked):
            at, answer = given.get(asked.question, (None, None))
            by, reason = (answer.by, answer.reason) if answer else ("", "")
            yield Approval(asked.question, asked.why, asked.wave, event.at, at, by, reason)


def _decision(event: Event) -> DecisionPart:
    match event.data:
        case ApprovalGiven(question=question, by=by, reason=reason):
            return DecisionPart(event.at, "approve", question, by, reason)
        case CancelRequested(by=by, reason=reason):
            return DecisionPart(event.at, "cancel", "", by, reason)
        case ServerResolved(by=by, reason=reason) as resolved:
            return DecisionPart(
                event.at, "resolve", f"{resolved.server} as {resolved.resolved_as}", by, reason
            )
        case WindowOverridden(by=by, reason=reason) as overridden:
            return DecisionPart(
                event.at, "override", f"window before wave {overridden.wave}", by, reason
            )
    raise AssertionError(f"{event.type} is no decision")
