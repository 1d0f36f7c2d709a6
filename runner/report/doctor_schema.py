"""What `doctor -o json` prints, as a schema."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Status = Literal["ok", "warning", "failed", "skipped"]


class _Problem(_Part):
    """As in problems.schema.json."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    hint: str | None
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None


class _Check(_Part):
    """`about` and `name` are stable. `target`: the one that it is about. `action`: the IAM action that is needed.

    `hint`: how to mend it. Texts are not escaped.
    """

    about: Literal["configuration", "program", "store", "target"]
    target: str | None
    name: str
    action: str | None
    status: Status
    message: str
    hint: str | None
    details: list[str]


class DoctorDocument(_Part):
    """`result` is the exit code as a word. `problems`: of the configuration and of the policy."""

    format_version: Literal[1]
    result: Literal["done", "error", "invalid", "denied"]
    counts: dict[Status, int]
    problems: list[_Problem]
    checks: list[_Check]
