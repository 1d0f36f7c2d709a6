"""Servers that can be asked for their health, in virtual time, behind the port `Prober`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from runner.model.check import Check

from .memory_cloud import START, MemoryCloud, VirtualClock
from .setup import Bench

Health = Callable[[str, float, int], str | None]
"""(server, seconds since the beginning, times it was rebooted) -> what is wrong with it, or None.
"""


@dataclass
class Bedside:
    """Servers behind the port `Prober`; a server's address is its id. `asked`: whom, when,
    and for what.
    """

    clock: VirtualClock
    cloud: MemoryCloud
    health: Health
    asked: list[tuple[str, float, Check]] = field(default_factory=list)

    async def ask(self, address: str, check: Check) -> str | None:
        now = (self.clock.now() - START).total_seconds()
        self.asked.append((address, now, check))
        return self.health(address, now, self.cloud.times_rebooted()[address])


def well(server: str, now: float, rebooted: int) -> str | None:
    return None


def bench_of(servers: int, health: Health) -> Bench:
    bench = Bench.of(servers)
    bench.cloud.servers = {i: replace(s, own_address=i) for i, s in bench.cloud.servers.items()}
    bench.prober = Bedside(bench.clock, bench.cloud, health)
    return bench


def bedside(bench: Bench) -> Bedside:
    assert isinstance(bench.prober, Bedside)
    return bench.prober


def old_fault(server: str, now: float, rebooted: int) -> str | None:
    return "was broken all along" if server in ("s-001", "s-002") else None
