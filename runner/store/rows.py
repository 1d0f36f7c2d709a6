"""Our values as columns, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from runner.errors import StoreError
from runner.inputs.json_text import JOURNAL, TooMuchJson, check_json, parse_json
from runner.model.owner import Owner
from runner.model.run import Event
from runner.ports.store import Halt, RunRow

RUN_COLUMNS = (
    "id, plan, plan_digest, schedule_digest, cycle, word, is_open, created, fence, owner, lease_until, due, seq"
)
EVENT_COLUMNS = "seq, at, type, fence, data"

NO_CLOCK: Mapping[str, str | float] = MappingProxyType({})


def written(data: Any) -> str:
    """JSON in ASCII: what an API answered can hold half a surrogate pair or a NUL, which no database takes as text."""
    return json.dumps(data, separators=(",", ":"), default=str)


def readable(data: Any) -> str:
    """Return what `written` makes of the data. Raises StoreError where `event` would refuse it later."""
    text = written(data)
    try:
        check_json(text, JOURNAL)
    except TooMuchJson as error:
        raise StoreError(f"the run's plan and schedule are JSON {error}", hint="split the plan into several") from None
    return text


def written_time(at: datetime) -> str:
    """An aware time, always in UTC and with six digits: the texts sort like the times in every collation."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def written_owner(owner: Owner, clock: Mapping[str, str | float] = NO_CLOCK) -> str:
    """Return the holder of a lease; `clock`: `clock` and `booted` of `RunRow`."""
    return written({**owner.as_json(), **clock})


def written_halt(halt: Halt) -> str:
    return written({"reason": halt.reason, "by": halt.by, "at": written_time(halt.at)})


def run_row(row: Sequence[Any]) -> RunRow:
    """From `RUN_COLUMNS`. Raises StoreError."""
    (key, plan, plan_digest, schedule_digest, cycle, word, is_open, created, fence, holder, until, due, seq) = row
    try:
        at = datetime.fromisoformat(created)
        facts = (key, plan, plan_digest, schedule_digest, cycle, word, bool(is_open), at)
        return RunRow(*facts, fence, owner(holder), until, due, seq, *_clock(holder))
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable("run", key) from error


def event(row: Sequence[Any], run: str) -> Event:
    """From `EVENT_COLUMNS`, of a run. Raises StoreError."""
    seq, at, kind, fence, data = row
    try:
        return Event(kind, parse_json(data, JOURNAL), datetime.fromisoformat(at), seq, fence)
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable("event", f"{run}, event {seq}") from error


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


def _unreadable(table: str, key: object) -> StoreError:
    return StoreError(
        f"the store's table {table} holds something unreadable at {key!r}",
        hint="it was edited, or written by another program; nothing was sent",
    )
