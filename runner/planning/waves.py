"""How the servers of a group are cut into waves, and what follows each wave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Literal

from runner.model.quantity import Amount
from runner.model.schedule import Pause

PauseWord = timedelta | Literal["approval"]


def cut(total: int, sizes: Sequence[Amount]) -> Iterator[tuple[Amount, int]]:
    """The waves of `total` servers, as (size as written, servers it comes to); the numbers sum to `total`.

    Percentages are of `total`, rounded down, at least 1. The last size repeats; a size larger than what is left
    takes what is left. `[1, 10%, 25%]` of 37: 1, 3, 9, 9, 9, 6.
    """
    left, n = total, 0
    while left > 0:
        written = sizes[min(n, len(sizes) - 1)]
        size = min(written.as_size(total), left)
        yield written, size
        left -= size
        n += 1


def pause_after(n: int, pauses: Sequence[PauseWord]) -> Pause:
    """What follows the group's wave `n`, counted from 0; the last of `pauses` repeats."""
    word = pauses[min(n, len(pauses) - 1)]
    if word == "approval":
        return Pause("approval")
    return Pause("timed", word.total_seconds())
