"""The JSON Schemas of what the program writes.

`schemas/` holds them as files, made by `reboot-runner schema NAME`; a test says when one is stale.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from runner.model.schedule import Schedule
from runner.report.diff import DiffDocument
from runner.report.doctor import DoctorDocument
from runner.report.init_document import InitDocument
from runner.report.problems import ProblemsDocument
from runner.report.run_report import RunReport
from runner.report.settings import ConfigShowDocument
from runner.report.status_document import RunDocument, RunsDocument

DOCUMENTS: dict[str, tuple[Any, str]] = {
    "schedule": (Schedule, "Schedule of a reboot-runner plan"),
    "diff": (DiffDocument, "Dry-run of reboot-runner plans"),
    "status": (RunsDocument | RunDocument, "Status of reboot-runner runs"),
    "init": (InitDocument, "Files of a starter repository of reboot-runner"),
    "doctor": (DoctorDocument, "What reboot-runner doctor found"),
    "config-show": (ConfigShowDocument, "The effective configuration of reboot-runner"),
    "problems": (ProblemsDocument, "Problems that reboot-runner validate found"),
}
"""Name of the schema -> the document, and its title: the saved schedule, and what commands
print with `-o json`.
"""


def schema_of(name: str) -> dict[str, Any]:
    """Return the schema of one of DOCUMENTS as draft-07, which every editor reads."""
    model, title = DOCUMENTS[name]
    made = TypeAdapter(model).json_schema(mode="validation", ref_template="#/definitions/{model}")
    return _draft_07(made, name, title)


def report_schema() -> dict[str, Any]:
    """Of `report -o json`. It is made of the report's own classes, so it cannot say
    anything else than they hold.
    """
    made = TypeAdapter(RunReport).json_schema(
        mode="serialization", ref_template="#/definitions/{model}"
    )
    return _draft_07(made, "report", "Report of a reboot-runner run")


def _draft_07(made: dict[str, Any], name: str, title: str) -> dict[str, Any]:
    made["definitions"] = made.pop("$defs", {})  # where pydantic says `$defs`
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": f"{name}.schema.json"}
    return {**head, **made, "title": title}
