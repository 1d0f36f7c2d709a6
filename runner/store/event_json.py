"""Events of a journal as JSON text, and back. The one place that knows how they are written."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from runner.inputs.json_text import JOURNAL, check_json, parse_json
from runner.model.events import EVENTS, FORMAT, EventData
from runner.model.shape import json_values


class BadEvent(ValueError):
    """A text is no event of this type. The message says what is wrong, and quotes no value."""


def write_event(data: EventData) -> str:
    """Return the JSON of an event's data in ASCII: what an API answered can hold half a
    surrogate pair or a NUL, which no database takes as text. Fields that have their default
    are left out.

    Raises TooMuchJson where `read_event` would refuse it.
    """
    text = json.dumps(_plain(data), separators=(",", ":"), default=_plain)
    check_json(text, JOURNAL)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "__pydantic_config__"):
        return json_values(value)
    if not is_dataclass(value):
        raise TypeError(f"{type(value).__name__} is no JSON")
    values = {f.name: getattr(value, f.name) for f in fields(value)}
    return {f.name: values[f.name] for f in fields(value) if values[f.name] != _default(f)}


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def read_event(kind: str, text: str | bytes) -> EventData:
    """Return what `write_event` wrote of an event of this type.

    Raises BadEvent, NotJson and TooMuchJson for a text that is something else, however deep
    or large.
    """
    if kind not in EVENTS:
        raise BadEvent("this version does not know its type")
    try:
        return _adapter(kind).validate_python(parse_json(text, JOURNAL))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        place = ".".join(map(str, found[0]["loc"])) or "data"
        raise BadEvent(f"{place}: {found[0]['msg']}") from None


@cache
def _adapter(kind: str) -> TypeAdapter[EventData]:
    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(EVENTS[kind]))


def journal_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a journal, as a store in Git keeps them."""
    adapters: list[tuple[str, Literal["validation"], TypeAdapter[Any]]]
    adapters = [(kind, "validation", _adapter(kind)) for kind in EVENTS]
    refs, made = TypeAdapter.json_schemas(adapters, ref_template="#/definitions/{model}")
    line = {
        "format": {"const": FORMAT},
        "seq": {"type": "integer", "minimum": 1},
        "at": {"type": "string", "format": "date-time"},
        "type": {"enum": list(EVENTS)},
        "fence": {
            "type": "integer",
            "minimum": 0,
            "description": "Numbers the writer's lease; 0 without one.",
        },
        "previous": {
            "type": "string",
            "pattern": "^([0-9a-f]{64})?$",
            "description": (
                "The SHA-256 of the line before, without its line break; empty in the first one."
            ),
        },
        "data": {"type": "object"},
    }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "journal.schema.json",
        "title": "An event in the journal of a reboot-runner run",
        "type": "object",
        "properties": line,
        "required": list(line),
        "additionalProperties": False,
        "oneOf": [
            {"properties": {"type": {"const": k}, "data": refs[k, "validation"]}} for k in EVENTS
        ],
        "definitions": made["$defs"],
    }
    text = json.dumps(schema).replace(
        '"prefixItems"', '"items"'
    )  # what draft-07 calls the items of a fixed list
    found: dict[str, Any] = json.loads(text)
    return found
