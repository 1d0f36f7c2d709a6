"""Our values as columns, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from runner.errors import StoreError
from runner.inputs.json_text import JOURNAL, TooMuchJson, parse_json
from runner.model.events import FORMAT, Event, EventData, RunCreated
from runner.model.owner import Owner
from runner.ports.store import Halt, RunRow
from runner.store.event_json import BadEvent, read_event, write_event

RUN_COLUMNS = (
    "id, plan, plan_digest, schedule_digest, cycle, word, is_open, created, fence, "
    "owner, lease_until, due, seq"
)
EVENT_COLUMNS = "format, seq, at, type, fence, previous, data"

EventRow = tuple[int, int, str, str, int, str, str]
"""`EVENT_COLUMNS`."""

NO_CLOCK: Mapping[str, str | float] = MappingProxyType({})


def written(data: Any) -> str:
    """JSON in ASCII: what an API answered can hold half a surrogate pair or a NUL, which no
    database takes as text.
    """
    return json.dumps(data, separators=(",", ":"), default=str)


def written_events(
    run: str, events: Sequence[EventData], at: datetime, *, first: int, fence: int, head: str
) -> tuple[list[EventRow], str]:
    """Return events as rows of `EVENT_COLUMNS`, and the hash of the last one. `head`: that of
    the one before them.

    Raises StoreError where `event` would refuse one later.
    """
    made: list[EventRow] = []
    for seq, data in enumerate(events, first):
        try:
            text = write_event(data)
        except TooMuchJson as error:
            what = (
                "the run's plan and schedule"
                if isinstance(data, RunCreated)
                else f"event {seq} of run {run}"
            )
            hint = (
                "split the plan into several"
                if isinstance(data, RunCreated)
                else "nothing of it was stored"
            )
            raise StoreError(f"{what}: JSON {error}", hint=hint) from None
        row = (FORMAT, seq, written_time(at), data.type, fence, head, text)
        head = hash_of(row)
        made.append(row)
    return made, head


def event_line(row: Sequence[Any]) -> bytes:
    """Return a row of `EVENT_COLUMNS` as a line of JSON in ASCII. Its data is JSON already,
    and stands as it is.
    """
    *facts, data = row
    head = json.dumps(dict(zip(EVENT_COLUMNS.split(", "), facts, strict=False)))[:-1]
    return f'{head}, "data": {data.replace(chr(10), " ")}}}'.encode()


def hash_of(row: Sequence[Any]) -> str:
    """Return what the event after this one holds as `previous`: the SHA-256 of its line."""
    return sha256(event_line(row)).hexdigest()


def written_time(at: datetime) -> str:
    """An aware time, always in UTC and with six digits: the texts sort like the times in
    every collation.
    """
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def written_owner(owner: Owner, clock: Mapping[str, str | float] = NO_CLOCK) -> str:
    """Return the holder of a lease; `clock`: `clock` and `booted` of `RunRow`."""
    return written({**owner.as_json(), **clock})


def written_halt(halt: Halt) -> str:
    return written({"reason": halt.reason, "by": halt.by, "at": written_time(halt.at)})


def run_row(row: Sequence[Any]) -> RunRow:
    """From `RUN_COLUMNS`. Raises StoreError."""
    (
        key,
        plan,
        plan_digest,
        schedule_digest,
        cycle,
        word,
        is_open,
        created,
        fence,
        holder,
        until,
        due,
        seq,
    ) = row
    try:
        at = datetime.fromisoformat(created)
        facts = (key, plan, plan_digest, schedule_digest, cycle, word, bool(is_open), at)
        return RunRow(*facts, fence, owner(holder), until, due, seq, *_clock(holder))
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable("run", key) from error


def event(row: Sequence[Any], run: str) -> Event:
    """From `EVENT_COLUMNS`, of a run. Raises StoreError."""
    number, seq, at, kind, fence, previous, data = row
    try:
        if number != FORMAT:
            raise BadEvent("this version does not know its format")
        return Event(
            read_event(kind, data), datetime.fromisoformat(at), seq, fence, previous, number
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable("event", f"{run}, event {seq}", error) from error


def owner(text: str | None) -> Owner | None:
    """Raises ValueError, TypeError or AttributeError for what is not one."""
    return Owner.from_json(parse_json(text, JOURNAL)) if text else None


def _clock(holder: str | None) -> tuple[str, float]:
    """Raises ValueError, TypeError or AttributeError for what is none."""
    data = parse_json(holder, JOURNAL) if holder else {}
    return str(data.get("clock", "")), float(data.get("booted", 0.0))


def halt(text: str) -> Halt:
    """Raises StoreError."""
    try:
        data = parse_json(text, JOURNAL)
        return Halt(str(data["reason"]), str(data["by"]), datetime.fromisoformat(data["at"]))
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable("flag", "halt") from error


def _unreadable(table: str, key: object, why: Exception | None = None) -> StoreError:
    said = f": {str(why)[:200]}" if isinstance(why, BadEvent | TooMuchJson) else ""
    return StoreError(
        f"the store's table {table} holds something unreadable at {key!r}{said}",
        hint="it was edited, or written by another program; nothing was sent",
    )
