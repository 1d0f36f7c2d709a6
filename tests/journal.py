"""Events for tests, written as journals hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.model.events import Event, EventData
from runner.store.event_json import read_event, write_event


def made(kind: str, data: Mapping[str, Any] | None = None, **fields: Any) -> EventData:
    """An event of this type from its JSON."""
    return read_event(kind, json.dumps({**(data or {}), **fields}))


def fields_of(event: Event | EventData) -> dict[str, Any]:
    """An event's data as its JSON has it; fields with their default are left out."""
    written: dict[str, Any] = json.loads(
        write_event(event.data if isinstance(event, Event) else event)
    )
    return written
