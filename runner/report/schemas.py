"""The JSON Schemas of what the program writes.

`schemas/` holds them as files, made by `reboot-runner schema NAME`; a test says when one is stale.
"""

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


def status_schema() -> dict[str, Any]:
    """Of `status -o json`, with and without RUN."""
    from runner.report.status_schema import StatusDocument

    return _schema(StatusDocument, "status.schema.json", "Status of reboot-runner runs")


def init_schema() -> dict[str, Any]:
    """Of `init -o json`."""
    from runner.report.init_schema import InitDocument

    return _schema(InitDocument, "init.schema.json", "Files of a starter repository of reboot-runner")


def doctor_schema() -> dict[str, Any]:
    """Of `doctor -o json`."""
    from runner.report.doctor_schema import DoctorDocument

    return _schema(DoctorDocument, "doctor.schema.json", "What reboot-runner doctor found")


def config_show_schema() -> dict[str, Any]:
    """Of `config show -o json`."""
    from runner.report.settings_schema import ConfigShowDocument

    return _schema(ConfigShowDocument, "config-show.schema.json", "The effective configuration of reboot-runner")


def report_schema() -> dict[str, Any]:
    """Of `report -o json`. It is made of the report's own classes, so it cannot say anything else than they hold."""
    from pydantic import TypeAdapter

    from runner.report.run_report import RunReport

    made = TypeAdapter(RunReport).json_schema(mode="serialization", ref_template="#/definitions/{model}")
    return _draft_07(made, "report.schema.json", "Report of a reboot-runner run")


def _schema(model: type[BaseModel], name: str, title: str) -> dict[str, Any]:
    """The model's schema as draft-07, which every editor reads. It says `definitions` where pydantic says `$defs`."""
    made = model.model_json_schema(mode="validation", ref_template="#/definitions/{model}")
    return _draft_07(made, name, title)


def _draft_07(made: dict[str, Any], name: str, title: str) -> dict[str, Any]:
    made["definitions"] = made.pop("$defs", {})
    return {"$schema": "http://json-schema.org/draft-07/schema#", "$id": name, **made, "title": title}
