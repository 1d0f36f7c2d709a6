"""What `init -o json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runner.model.shape import Shaped

FileResult = Literal["wrote", "overwrote", "unchanged", "kept"]


@dataclass(frozen=True, slots=True)
class FileRow(Shaped):
    """A file. `unchanged`: it held this text already. `kept`: it holds another one, and was
    left alone.
    """

    path: str
    result: FileResult


@dataclass(frozen=True, slots=True)
class FillInRow(Shaped):
    """A placeholder that a person has to replace in these files."""

    files: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class InitDocument(Shaped):
    """The files of a starter repository."""

    format_version: Literal[1]
    folder: str
    """As it was named; paths of files are relative to it."""
    files: tuple[FileRow, ...]
    fill_in: tuple[FillInRow, ...]
    notes: tuple[str, ...]
    next: tuple[str, ...]
    """Command lines for a shell."""
