"""Who holds a lease: enough to tell, on the same machine, that the holder is dead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. `boot`, `namespace` and `started` are empty where the system does not tell
    them (not Linux).
    """

    host: str
    pid: int
    boot: str = ""
    namespace: str = ""
    started: str = ""
    ci_run: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Owner:
        known = {k: data[k] for k in cls.__dataclass_fields__ if k in data}
        return cls(**known)

    def __str__(self) -> str:
        where = f"process {self.pid} on {self.host}"
        return f"{where} ({self.ci_run})" if self.ci_run else where
