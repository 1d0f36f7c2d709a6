"""Which files differ between two revisions, as `git diff-tree --name-status -z` says it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Status = Literal["added", "modified", "renamed", "deleted"]

_STATUS: dict[bytes, Status] = {
    b"A": "added",
    b"C": "added",
    b"M": "modified",
    b"T": "modified",
    b"D": "deleted",
}
"""A copy is an addition: its original is unchanged. Another type (a link where a file was)
is a modification.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs. Paths are relative to the root, with `/`.

    `old_path` is set for renamed files only; `similarity` is in percent, 100 for the same content.
    """

    status: Status
    path: str
    old_path: str | None = None
    similarity: int | None = None


def read_changes(out: bytes) -> list[Change]:
    """The changes in NUL-separated output: a status, then one path, or two for renames
    and copies.
    """
    return list(_changes(iter(out.split(b"\0")[:-1])))


def _changes(words: Iterator[bytes]) -> Iterator[Change]:
    for status in words:
        first = os.fsdecode(next(words))
        letter, number = status[:1], int(status[1:] or 0)
        if letter == b"R":
            yield Change("renamed", os.fsdecode(next(words)), first, number)
        elif letter == b"C":
            yield Change("added", os.fsdecode(next(words)))
        else:
            yield Change(_STATUS.get(letter, "modified"), first)
