"""Who holds a lease: enough to tell, on the same machine, that the holder is dead."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. `boot`, `namespace` and `started` are empty where the system does not tell them (not Linux)."""

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


@lru_cache(maxsize=1)
def _me(pid: int) -> Owner:
    return Owner(
        host=socket.gethostname(),
        pid=pid,
        boot=_read("/proc/sys/kernel/random/boot_id"),
        namespace=_namespace(),
        started=_start_time(pid),
        ci_run=_ci_run(),
    )


def this_process() -> Owner:
    """The owner that this process writes into leases and intents."""
    return _me(os.getpid())


def is_provably_dead(owner: Owner) -> bool:
    """True only for a process of this boot and this pid namespace that is gone, or whose pid is another process now.

    Of a process elsewhere nothing is known: False.
    """
    me = this_process()
    if not (owner.boot and owner.namespace and owner.started):
        return False
    if (owner.boot, owner.namespace) != (me.boot, me.namespace):
        return False
    return _start_time(owner.pid) != owner.started


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (start in clock ticks since boot), "" where there is no such process.

    A zombie has ended, so it counts as gone (field 3, state Z).
    """
    text = _read(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return ""
    return fields[19]


def _ci_run() -> str:
    """A CI run as people find it: GitHub's server, repository and run id."""
    server, repo, run = (os.environ.get(k, "") for k in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"))
    return f"{server}/{repo}/actions/runs/{run}" if server and repo and run else ""
