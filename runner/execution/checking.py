"""Asks many servers for their checks at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from runner.model.check import Check
from runner.ports import Prober

ASKED_AT_ONCE = 100
"""Servers: each has one connection open at a time."""


async def ask_all(addresses: Mapping[str, str], checks: Sequence[Check], prober: Prober) -> dict[str, str | None]:
    """Server id -> None when all its checks pass, else the words of the first that does not."""
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(address: str) -> str | None:
        async with gate:
            for check in checks:
                words = await prober.ask(address, check)
                if words is not None:
                    return words
            return None

    answers = await asyncio.gather(*(one(address) for address in addresses.values()))
    return dict(zip(addresses, answers, strict=True))
