"""Requests that still hold servers: what is in flight, and what is in doubt. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from runner.model.schedule import ServerRef
from runner.report.folding import fold, names_shared
from runner.report.run_report import BatchPart, RunReport
from runner.report.run_words import BATCH_WORDS, count, shown
from runner.report.sections import Line, Section

HELD = {
    "in_doubt": (
        "it is not known whether the cloud accepted the request; `resume` looks for evidence"
    ),
    "in_flight": "the cloud accepted the request and goes on; `resume` follows it",
}
"""The words of servers that a request holds, each with what it means for the reader."""


def held_sections(report: RunReport, most: int | None = None) -> Iterator[Section]:
    """Yield the servers that requests hold, request by request. `most`: items of names for
    each of them.
    """
    shared = names_shared([*report.servers, *report.excluded])
    batches = {b.number: b for wave in report.waves for b in wave.batches}
    for word, meaning in HELD.items():
        held = [
            server
            for server in report.servers
            if server.outcome == word and server.batch in batches
        ]
        lines = []
        for number in sorted({server.batch or 0 for server in held}):
            refs = [ServerRef(s.id, s.name, s.zone) for s in held if s.batch == number]
            names = fold(refs, shared)
            more = ["… and more, all in the report"] if names[:most] != names else []
            lines.append(
                Line(
                    f"{count(len(refs), 'server')} of {request_words(batches[number])}",
                    [*names[:most], *more],
                )
            )
        yield Section(f"{shown(word)}: {count(len(held), 'server')}", lines, meaning)


def request_words(batch: BatchPart) -> str:
    """Return `batch 3 at 22:13:04 UTC, job 0a1b`, or what is known where no job is."""
    if batch.job_id is not None and batch.state == "accepted":
        return f"batch {batch.number} at {batch.intended:%H:%M:%S} UTC, job {batch.job_id}"
    why = " ".join(word for word in (batch.code, batch.reason) if word)
    known = BATCH_WORDS[batch.state] + (f" ({why})" if why else "")
    return f"batch {batch.number} at {batch.intended:%H:%M:%S} UTC, {known}"
