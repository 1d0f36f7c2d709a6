"""The cycle of a run on the embedded simulated cloud, where people try the same plan again
and again.
"""

from __future__ import annotations

_LONGEST = 63


def fresh_cycle(campaign: str, runs: int) -> str:
    """A cycle of its own for the run after `runs` others: `quickstart-3` after two. The same
    for diff and run.

    Raises ValueError for a negative number.
    """
    if runs < 0:
        raise ValueError("a number of runs is not negative")
    number = f"-{runs + 1}"
    return campaign[: _LONGEST - len(number)].rstrip("-") + number
