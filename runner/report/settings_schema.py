"""What `config show -o json` prints, as a schema."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Scalar = str | int | float | bool | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Origin(_Part):
    """`name`: the file, the environment variable or the option. `line`: of a file."""

    kind: Literal["default", "file", "environment", "flag", "rule", "looked-up", "credentials"]
    name: str | None
    line: int | None


class _Setting(_Part):
    """`path`: keys, and positions in lists. `value`: never a secret."""

    path: list[str | int]
    value: Scalar | list[Scalar] | dict[str, Scalar]
    origin: _Origin


class ConfigShowDocument(_Part):
    """`file`: the configuration, null where there is none. `revision`: with `--config-rev`."""

    format_version: Literal[1]
    file: str | None
    found_by: Literal["--config", "REBOOT_RUNNER_CONFIG", "search", "none"]
    revision: str | None
    settings: list[_Setting]
