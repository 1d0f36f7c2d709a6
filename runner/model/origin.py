"""Where a value of the effective configuration comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OriginKind = Literal["default", "file", "environment", "flag", "rule", "looked-up", "credentials"]


@dataclass(frozen=True, slots=True)
class Origin:
    """`name`: the file, the variable or the option. `line` counts from 1, of a file only.

    `rule`: what follows from other values, as an endpoint from its region. `looked-up`:
    asked of the cloud. `credentials`: `name` says what was found of them.
    """

    kind: OriginKind
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        match self.kind:
            case "file":
                return f"{self.name}:{self.line}"
            case "environment":
                return f"environment variable {self.name}"
            case "rule":
                return f"by the rule{f' of {self.name}' if self.name else ''}"
            case "looked-up":
                return f"looked up{f' {self.name}' if self.name else ''}"
        return self.name or self.kind


@dataclass(frozen=True, slots=True)
class ConfigSetting:
    """One value. `path`: keys, and positions in lists counted from 0. `value`: plain JSON,
    never a secret.
    """

    path: tuple[str | int, ...]
    value: object
    origin: Origin
