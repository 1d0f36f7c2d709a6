"""The report as JSON: the truth from which all other renderings could be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from runner.model.events import Event
from runner.model.run import Run
from runner.report.run_build import build_report
from runner.report.run_report import RunReport


def report(run: Run, events: Sequence[Event]) -> dict[str, Any]:
    """The report as plain JSON values, as `schemas/report.schema.json` describes them."""
    return document(build_report(run, events))


def document(made: RunReport) -> dict[str, Any]:
    """The same of a report that is built already."""
    plain: dict[str, Any] = _plain(made)
    return plain


def report_json(made: RunReport) -> str:
    """The document as text: keys sorted, ASCII only, equal journals equal bytes; ends with a line break.

    In a CI log no line of it is taken for a command: each begins with a quote or a bracket, and `##[`, which
    GitHub's runner reads anywhere in a line, is written with an escape that means the same.
    """
    text = json.dumps(document(made), sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
    return text.replace("##[", "\\u0023#[") + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.value if isinstance(value, Enum) else value
