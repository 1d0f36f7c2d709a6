"""Chance from a seed: the same question gets the same answer in every process."""

from __future__ import annotations

import math
from hashlib import blake2b


def pick_bytes(seed: int, *question: object, size: int = 16) -> bytes:
    """`size` (at most 64) bytes that depend only on the seed and the question."""
    return blake2b(repr((seed, *question)).encode(), digest_size=size).digest()


def pick_hex(seed: int, *question: object, digits: int = 32) -> str:
    """Lower-case hex digits, at most 128."""
    return pick_bytes(seed, *question, size=(digits + 1) // 2).hex()[:digits]


def pick_uuid(seed: int, *question: object) -> str:
    """A random UUID (version 4) in its usual form."""
    h = pick_hex(seed, *question)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:]}"


def pick_share(seed: int, *question: object) -> float:
    """A number from 0 up to, but not including, 1."""
    return int.from_bytes(pick_bytes(seed, *question, size=7)) / 2**56


def pick_log_normal(median: float, sigma: float, seed: int, *question: object) -> float:
    """A log-normal number (Box and Muller): half of them under `median`, about two thirds
    within e^±sigma.
    """
    one, two = pick_share(seed, *question, 1), pick_share(seed, *question, 2)
    normal = math.sqrt(-2 * math.log(1 - one)) * math.cos(2 * math.pi * two)
    return median * math.exp(sigma * normal)
