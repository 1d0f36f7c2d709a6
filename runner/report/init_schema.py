"""What `init -o json` prints, as a schema."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _File(_Part):
    """`unchanged`: it held this text already. `kept`: it holds another one, and was left alone."""

    path: str
    result: Literal["wrote", "overwrote", "unchanged", "kept"]


class _FillIn(_Part):
    """A placeholder that a person has to replace in these files."""

    files: list[str]
    what: str


class InitDocument(_Part):
    """`folder` as it was named; paths of files are relative to it. `next`: command lines for a shell."""

    format_version: Literal[1]
    folder: str
    files: list[_File]
    fill_in: list[_FillIn]
    notes: list[str]
    next: list[str]
