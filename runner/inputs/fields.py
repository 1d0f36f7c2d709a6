"""Values of JSON from outside, taken for what they should be: another kind counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.inputs.json_text import parse_json


def json_object(text: bytes) -> dict[str, Any]:
    """The object of a JSON text; empty for everything else."""
    try:
        value = parse_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def as_map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def as_number(value: Any) -> int | None:
    """A whole number over 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
