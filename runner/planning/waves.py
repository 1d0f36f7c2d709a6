"""How the servers of a group are cut into waves, and what follows each wave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from runner.model.quantity import Amount
from runner.model.schedule import Pause

PauseWord = timedelta | Literal["approval"]


def size_of(n: int, total: int, sizes: Sequence[Amount]) -> int:
    """How many servers the group's wave `n` (from 0) of a group of `total` may have; the
    last size repeats.
    """
    return written_at(n, sizes).as_size(total)


def written_at(n: int, sizes: Sequence[Amount]) -> Amount:
    """The size of the group's wave `n`, as written."""
    return sizes[min(n, len(sizes) - 1)]


def cut(
    total: int, sizes: Sequence[Amount], held: Mapping[int, int] | None = None
) -> Iterator[int]:
    """The sizes of the waves of `total` servers; the numbers sum to `total`.

    Percentages are of `total`, rounded down, at least 1. The last size repeats; a size
    larger than what is left takes what is left. `[1, 10%, 25%]` of 37: 1, 3, 9, 9, 9, 6.
    `held`: waves (from 0) that have fewer, and how many.
    """
    left, n = total, 0
    while left > 0:
        size = min(size_of(n, total, sizes), left, *((held[n],) if held and n in held else ()))
        yield size
        left -= size
        n += 1


def pause_after(n: int, pauses: Sequence[PauseWord]) -> Pause:
    """What follows the group's wave `n`, counted from 0; the last of `pauses` repeats."""
    word = pauses[min(n, len(pauses) - 1)]
    if word == "approval":
        return Pause("approval")
    return Pause("timed", word.total_seconds())
