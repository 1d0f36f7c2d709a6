"""Which process this is, and whether another one of this machine is dead."""

from __future__ import annotations

import os
import socket
import time
from functools import lru_cache
from pathlib import Path

from runner.model.owner import Owner
from runner.ports import BootClock
from runner.ports.store import RunRow

CLOCKS_AGREE_S = 2.0


@lru_cache(maxsize=1)
def _me(pid: int) -> Owner:
    return Owner(
        host=socket.gethostname(),
        pid=pid,
        boot=_read("/proc/sys/kernel/random/boot_id"),
        namespace=_link("/proc/self/ns/pid"),
        started=_start_time(pid),
        ci_run=_ci_run(),
    )


def this_process() -> Owner:
    """The owner that this process writes into leases and intents."""
    return _me(os.getpid())


def is_provably_dead(owner: Owner) -> bool:
    """True only for a process of this boot and this pid namespace that is gone, or whose pid
    is another process now.

    Of a process elsewhere nothing is known: False.
    """
    me = this_process()
    if not (owner.boot and owner.namespace and owner.started):
        return False
    if (owner.boot, owner.namespace) != (me.boot, me.namespace):
        return False
    return _start_time(owner.pid) != owner.started


def is_held(run: RunRow, now: float, boot: BootClock | None) -> bool:
    """Return True while the holder of a run's lease may go on with it. `now`: the store's clock.

    Clocks of processes can differ. A process that shares the holder's boot-time clock,
    `boot`, goes by that as well, so that a clock that is ahead takes no lease over before
    it has ended.
    """
    if run.owner is None or is_provably_dead(run.owner):
        return False
    if boot is not None and boot.id and boot.id == run.clock:
        now = min(now, run.booted + boot.seconds())
    return run.lease_until > now


def boot_clock() -> BootClock:
    """Return the boot-time clock of this process.

    It has no id if the system does not tell the boot, or if the kernel's own count
    (/proc/uptime) differs: then this process is shown another time than others of the same
    boot.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    boot, uptime = this_process().boot, _read("/proc/uptime").split()
    is_plain = (
        bool(boot and uptime) and abs(float(uptime[0]) - time.clock_gettime(clock)) < CLOCKS_AGREE_S
    )
    name = f"{boot} {_link('/proc/self/ns/time')}" if is_plain else ""
    return BootClock(name, lambda: time.clock_gettime(clock))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (start in clock ticks since boot), "" where there is no
    such process.

    A zombie has ended, so it counts as gone (field 3, state Z).
    """
    text = _read(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return ""
    return fields[19]


def _ci_run() -> str:
    """A CI run as people find it: GitHub's server, repository and run id."""
    server, repo, run = (
        os.environ.get(k, "") for k in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    return f"{server}/{repo}/actions/runs/{run}" if server and repo and run else ""
