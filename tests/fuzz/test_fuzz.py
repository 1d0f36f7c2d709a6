"""The short form of `python -m tests.fuzz`: every reader with hostile inputs that are
small, and a few mutations.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.fuzz import hostile, mutate
from tests.fuzz.readers import HOLE, readers

SIZE = 1_500


@pytest.mark.parametrize("name", readers())
def test_readers_end_in_errors_of_ours(name: str, tmp_path: Path) -> None:
    """Valid inputs are read; hostile and mutated ones are read or refused, and nothing else
    is raised.
    """
    reader = readers()[name]
    read = reader.make()
    path = tmp_path / "input.jsonl"
    for data in reader.examples:
        path.write_bytes(data)
        with suppress(*reader.errors):
            read(path)
    for make in hostile.KINDS[reader.kind].values():
        path.write_bytes(reader.frames[-1].replace(HOLE, make(SIZE)))
        with suppress(*reader.errors):
            read(path)
    count, wrong = mutate.run(reader, 0.0, examples=6)
    assert count
    assert wrong is None
