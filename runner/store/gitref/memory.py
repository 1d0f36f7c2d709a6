"""What this machine last saw of a store in Git: a file beside the configuration.

By it a later process can tell that the ref was deleted, rewound or replaced in between.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from runner.inputs.files import read_regular

MOST_BYTES = 1_000
"""Of the file, which holds two lines."""
_FORM = re.compile(r"([!-~]{1,64})\n(?:([0-9a-f]{40})\n)?")


@dataclass(frozen=True, slots=True)
class Seen:
    """The store's id and its newest commit. `commit` is "" where an older version kept the
    id alone.
    """

    store: str
    commit: str


@dataclass(frozen=True, slots=True)
class Memory:
    """The file of one URL. Whoever deletes it accepts whatever is there the next time."""

    path: Path

    @classmethod
    def of(cls, url: str, state: Path) -> Memory:
        return cls(state.absolute() / f"{sha256(url.encode()).hexdigest()[:16]}.store")

    def read(self) -> Seen | None:
        """None the first time, and for a file that cannot be read or was edited."""
        try:
            found = _FORM.fullmatch(read_regular(self.path, MOST_BYTES).decode("ascii"))
        except (OSError, UnicodeDecodeError):
            return None
        return Seen(found[1], found[2] or "") if found else None

    def write(self, seen: Seen) -> None:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with suppress(OSError):  # then the next process knows less, and nothing is wrong now
            draft.write_text(f"{seen.store}\n{seen.commit}\n", encoding="ascii")
            draft.replace(self.path)
