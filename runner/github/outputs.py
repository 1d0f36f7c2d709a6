"""The step's outputs, for later steps and jobs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.github.api import GitHubError

Value = str | int | bool | Sequence[str] | Sequence[int] | Mapping[str, str] | None

OUTPUTS = {
    "result": "the exit code as a word",
    "exit-code": "the exit code",
    "failure-reason": "why it failed, as a fixed word; empty where it did not",
    "plans": "JSON list of the plans' files",
    "schedule-digests": "JSON object: plan's file to its schedule's digest",
    "run-ids": "JSON list of the runs",
    "report-dir": "the folder with the reports",
    "due": "when a suspended run wants to go on, ISO 8601 in UTC; or empty",
    "comment-ids": "JSON list of the pull request's comments",
    "follow-up": "true where a suspended run is due soon",
}
"""Every output that the action has, and what it tells."""

LIMIT = 400_000
"""Bytes of all outputs of a call. A job has 1 MB, counted in UTF-16: ASCII counts double there."""


def write_outputs(environ: Mapping[str, str], values: Mapping[str, Value]) -> None:
    """Append the outputs to `$GITHUB_OUTPUT`; nothing without it.

    Text stays as it is, None is empty, truth is `true` or `false`, lists and objects become JSON. No value can set
    another output: each ends at a random word that is not in it. Raises GitHubError, before anything is written, for
    more than LIMIT, and where the file cannot be written; KeyError for a name that is not in OUTPUTS.
    """
    written = environ.get("GITHUB_OUTPUT")
    if not written:
        return
    entries = b"".join(_entry(name, _text(value)) for name, value in values.items())
    if len(entries) > LIMIT:
        raise GitHubError(f"the outputs are larger than {LIMIT:,} bytes", hint="name fewer plans at once")
    try:
        with Path(written).open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
            file.write((b"" if file.read(1) in (b"", b"\n") else b"\n") + entries)
    except OSError as error:
        raise GitHubError(f"GITHUB_OUTPUT cannot be written: {error.strerror}") from None


def _entry(name: str, value: str) -> bytes:
    if name not in OUTPUTS:
        raise KeyError(name)
    delimiter = secrets.token_hex(16)
    while delimiter in value:
        delimiter = secrets.token_hex(16)
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n".encode(errors="replace")


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    return json.dumps(value, separators=(",", ":"))
