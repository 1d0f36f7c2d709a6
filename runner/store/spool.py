"""Job ids that could not be stored: a file beside the store, read by whoever goes on with the
run on this machine.

The cloud has accepted a batch, and the store cannot be reached: the job id is the only link
to what happens now, so it is flushed to a local file before anything is tried again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import StoreError
from runner.inputs.files import describe, read_regular
from runner.model.events import BatchAccepted
from runner.store.event_json import read_event, write_event

MOST_BYTES = 4 << 20
"""Of the file of a run. A job id has a line of about 200 bytes."""


@dataclass(frozen=True, slots=True)
class FileSpool:
    """The folder of such files, one a run."""

    folder: Path

    def path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.jsonl"

    def put(self, run_id: str, fact: BatchAccepted) -> Path:
        """Append a fact and flush it to the disk. Raises OSError when that fails too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(run_id)
        with path.open("a", encoding="utf-8") as file:
            file.write(write_event(fact) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return path

    def read(self, run_id: str) -> list[BatchAccepted]:
        """Return the facts of a run; a line torn by a power cut is left out. Raises StoreError."""
        path = self.path(run_id)
        try:
            lines = read_regular(path, MOST_BYTES).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            hint = "it may hold the ids of jobs that the store lacks: correct it, or move it away"
            raise StoreError(f"the file {path} {describe(error)}", hint=hint) from None
        facts = []
        for line in lines:
            with suppress(ValueError):
                fact = read_event(BatchAccepted.type, line)
                assert isinstance(fact, BatchAccepted)  # noqa: S101 - by its type
                facts.append(fact)
        return facts

    def clear(self, run_id: str) -> None:
        """The facts are in the store now."""
        self.path(run_id).unlink(missing_ok=True)
