"""The JSON Schemas of what the program writes. `schemas/` holds them as files; a test says when one is stale."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def schedule_schema() -> dict[str, Any]:
    """Of the saved schedule (`diff --out`)."""
    from runner.report.schedule_schema import ScheduleDocument

    return _schema(ScheduleDocument, "schedule.schema.json", "Schedule of a reboot-runner plan")


def diff_schema() -> dict[str, Any]:
    """Of `diff -o json`."""
    from runner.report.diff_schema import DiffDocument

    return _schema(DiffDocument, "diff.schema.json", "Dry-run of reboot-runner plans")


def _schema(model: type[BaseModel], name: str, title: str) -> dict[str, Any]:
    """The model's schema as draft-07, which every editor reads. It says `definitions` where pydantic says `$defs`."""
    made = model.model_json_schema(mode="validation", ref_template="#/definitions/{model}")
    made["definitions"] = made.pop("$defs", {})
    return {"$schema": "http://json-schema.org/draft-07/schema#", "$id": name, **made, "title": title}
