"""Copies of workflows that act can run. They differ in what act does not know, and in nothing else.

act 0.2 refuses `concurrency.queue`. It cannot fetch a called workflow from a local folder,
so the caller names the copy beside it. It runs what has an `environment`, `permissions` or
another `concurrency`, and gives them no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

CALLED = ".github/called"
"""Where the copies of the called workflows lie in the user's repository."""


def for_act(text: str) -> str:
    """Return the same workflow for act."""
    without = re.sub(r"^ +queue: max\n|, queue: max(?=\})", "", text, flags=re.MULTILINE)
    called = r"uses: [\w.-]+/[\w.-]+/\.github/workflows/([\w.-]+)@(?:[0-9a-f]{40}|v[\d.]+)"
    return re.sub(called, rf"uses: ./{CALLED}/\1", without)


def differences(one: Any, other: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Where two documents differ, as dotted paths."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            if key in one and key in other:
                yield from differences(one[key], other[key], (*path, str(key)))
            else:
                yield ".".join((*path, str(key)))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, (*path, str(number)))
    elif one != other:
        yield ".".join(path)
