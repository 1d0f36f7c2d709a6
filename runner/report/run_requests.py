"""Requests that still hold servers: what is in flight, and what is in doubt. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from runner.model.schedule import ServerRef
from runner.report.run_report import BatchPart, RunReport
from runner.report.run_words import BATCH_WORDS

HELD: tuple[tuple[Literal["in_doubt", "in_flight"], str], ...] = (
    ("in_doubt", "it is not known whether the cloud accepted the request; `resume` looks for evidence"),
    ("in_flight", "the cloud accepted the request and goes on; `resume` follows it"),
)
"""The words of servers that a request holds, each with what it means for the reader."""


def held_by(report: RunReport, word: str) -> Iterator[tuple[BatchPart, list[ServerRef]]]:
    """Yield each request that holds servers of this word, with these servers, in the order of the requests."""
    batches = {b.number: b for wave in report.waves for b in wave.batches}
    servers: dict[int, list[ServerRef]] = {}
    for server in report.servers:
        if server.outcome == word and server.batch in batches:
            servers.setdefault(server.batch, []).append(ServerRef(server.id, server.name, server.zone))
    for number in sorted(servers):
        yield batches[number], servers[number]


def request_words(batch: BatchPart) -> str:
    """Return `batch 3 at 22:13:04 UTC, job 0a1b`, or what is known where no job is."""
    if batch.job_id is not None and batch.state == "accepted":
        return f"batch {batch.number} at {batch.intended:%H:%M:%S} UTC, job {batch.job_id}"
    why = " ".join(word for word in (batch.code, batch.reason) if word)
    known = BATCH_WORDS[batch.state] + (f" ({why})" if why else "")
    return f"batch {batch.number} at {batch.intended:%H:%M:%S} UTC, {known}"
